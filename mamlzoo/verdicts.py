"""What many paired differences say, in as few sentences as will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mamlzoo.tables import grouped, listed

if TYPE_CHECKING:
    from mamlzoo.paired import Difference

NOT_APART = "cannot be told apart"


def in_words(rows: Sequence[Difference]) -> list[str]:
    """Who is better than whom, what cannot be told, and where that rests on fewer seeds than there are."""
    better = grouped((row.winner, row.other if row.winner == row.label else row.label) for row in rows if row.winner)
    notes = [f"{winner} is better than {listed(losers)}" for winner, losers in better.items()]
    undecided = [row for row in rows if not row.hindrance and not row.winner]
    notes += [f"{row.pair} found the very same numbers" for row in undecided if row.is_zero]
    apart = [row for row in undecided if not row.is_zero]
    for evidence in dict.fromkeys(row.evidence for row in apart):
        remedies = grouped((row.remedy, row.pair) for row in apart if row.evidence == evidence)
        pairs_of = "; ".join(f"{', '.join(pairs)} ({remedy})" for remedy, pairs in remedies.items())
        notes.append(f"with {evidence} these {NOT_APART}: {pairs_of}")
    for hindrance, pairs in grouped((row.hindrance, row.pair) for row in rows if row.hindrance).items():
        of = "any two" if len(pairs) == len(rows) else ", ".join(pairs)
        notes.append(f"no verdict on {of}: {hindrance}")
    left = grouped((row.left, row.pair) for row in rows if row.left and row.seeds)
    return notes + [f"{', '.join(pairs)}: this rests on {seeds}" for seeds, pairs in left.items()]
