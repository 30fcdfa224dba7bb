"""What paired differences say, in words: one of them in a sentence, many in as few as will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mamlzoo.experiments.result import FEW_TASKS
from mamlzoo.statistics import MOST_SEEDS
from mamlzoo.tables import count, grouped, listed, named, number

if TYPE_CHECKING:
    from mamlzoo.comparisons.differences import Difference

NOT_APART = "cannot be told apart"


def in_words(rows: Sequence[Difference]) -> list[str]:
    """Who is better than whom, what cannot be told, and where that rests on fewer seeds than there are."""
    better = grouped((row.winner, row.other if row.winner == row.label else row.label) for row in rows if row.winner)
    notes = [f"{winner} is better than {listed(losers)}" for winner, losers in better.items()]
    undecided = [row for row in rows if not hindrance(row) and not row.winner]
    notes += [f"{pair(row)} found the very same numbers" for row in undecided if is_zero(row)]
    apart = [row for row in undecided if not is_zero(row)]
    for little in dict.fromkeys(map(evidence, apart)):
        remedies = grouped((remedy(row), pair(row)) for row in apart if evidence(row) == little)
        told = "; ".join(f"{', '.join(pairs)} ({what})" for what, pairs in remedies.items())
        notes.append(f"with {little} these {NOT_APART}: {told}")
    for why, pairs in grouped((hindrance(row), pair(row)) for row in rows if hindrance(row)).items():
        of = "any two" if len(pairs) == len(rows) else ", ".join(pairs)
        notes.append(f"no verdict on {of}: {why}")
    rests = grouped((left(row), pair(row)) for row in rows if left(row) and row.seeds)
    return notes + [f"{', '.join(pairs)}: this rests on {seeds}" for seeds, pairs in rests.items()]


def sentence(row: Difference) -> str:
    """The verdict and what it rests on."""
    if hindrance(row):
        here = (
            f" (in {named('seed', row.seeds)}, {row.label}'s {_amount(row)})"
            if len(row.seeds) == 1 and row.over
            else ""
        )
        said = f"no verdict on {pair(row)}: {hindrance(row)}{here}"
    elif row.winner is not None:
        said = f"{row.verdict} than {row.other}: its {_amount(row)}"
    elif is_zero(row):
        said = f"{pair(row)} found the very same numbers"
    else:
        said = f"{pair(row)} {NOT_APART} with {evidence(row)}: {row.label}'s {_amount(row)}; {remedy(row)}"
    return f"{said}; this rests on {left(row)}" if left(row) and row.seeds else said


def basis(row: Difference) -> str:
    """What an interval was taken over, and what it does not speak of."""
    tasks, seeds = count(row.test_tasks, "test task"), count(len(row.seeds), "seed")
    said = f"paired on the same {tasks} and {seeds}; {100 * row.confidence:.4g}% t interval over {row.over}"
    if "seeds" not in row.over:
        if row.alike:
            return f"{said} only, as the seeds found the very same differences"
        return f"{said} only, as there is one seed: it says nothing of another training run"
    if "test tasks" not in row.over:
        return f"{said} only, as there is one test task: it says nothing of another task"
    return said


def hindrance(row: Difference) -> str:
    """Why there is no verdict; empty where nothing is in its way."""
    if not row.seeds:
        return f"there is {left(row)}"
    if row.infinite:
        return (
            f"adaptation ran to infinity on {row.infinite} of {count(row.test_tasks, 'test task')}, so their "
            "difference is not finite; a smaller inner rate may help"
        )
    if len(row.seeds) == 1:
        return "one seed says nothing of another training run; it takes several"
    if row.test_tasks < FEW_TASKS:
        say = "test task says nothing" if row.test_tasks == 1 else "test tasks say little"
        return f"{row.test_tasks} {say} of others; it takes {FEW_TASKS} at least"
    return ""


def pair(row: Difference) -> str:
    """Both names."""
    return f"{row.label} and {row.other}"


def left(row: Difference) -> str:
    """Which seeds are left, and where the others are; empty where none is missing."""
    if not row.diverged and not row.unshared:
        return ""
    those = f"{named('seed', row.seeds)} alone" if row.seeds else "no seed left"
    places = dict.fromkeys(map(tuple, row.diverged.values()))
    reasons = [
        f"{named('seed', [seed for seed in row.diverged if tuple(row.diverged[seed]) == where])} diverged in "
        + " and ".join(where)
        for where in places
    ]
    if row.unshared:
        reasons.append(f"only one of the two has {named('seed', row.unshared)}")
    return f"{those}, as {', '.join(reasons)}"


def evidence(row: Difference) -> str:
    """What there is too little of where they cannot be told apart."""
    return count(row.test_tasks, "test task") if row.alike else count(len(row.seeds), "seed")


def remedy(row: Difference) -> str:
    """How much of it would do."""
    if row.alike:
        return "seeds make no difference, more test tasks may"
    if row.seeds_needed is None:
        return f"{MOST_SEEDS} would not do either"
    return f"about {_rounded(row.seeds_needed)} would do"


def is_zero(row: Difference) -> bool:
    """Whether the two found the very same numbers."""
    return row.interval.low == row.interval.high == 0


def _amount(row: Difference) -> str:
    mean, low, high = row.interval
    low, high = (low, high) if mean > 0 else (-high, -low)
    way = "higher" if mean > 0 else "lower"
    return f"{row.metric} is {way} by {number(abs(mean), 3)} {bracketed(low, high)}"


def _rounded(seeds: int) -> int:
    """Above 10 to one digit, upwards: it is a guess."""
    unit: int = 10 ** (len(str(seeds)) - 1) if seeds > 10 else 1
    return -(-seeds // unit) * unit


def bracketed(low: float, high: float) -> str:
    """An interval, as in '[0.1, 0.2]'."""
    return f"[{number(low, 3)}, {number(high, 3)}]"
