"""What data sets must be before anything is trained on them: enough, different, and about 1 in size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from mamlzoo import Split, UsageError
from mamlzoo_tasks.csv_data_sets import DataSet
from mamlzoo_tasks.csv_splits import counted

NAMED = 4
"""At most so many of several data sets are named in a message."""
SMALLEST, LARGEST = 0.03, 30.0
"""Root mean squares of a column that gradient steps of common sizes can still cope with."""


def check_enough(several: Sequence[DataSet], what: str, *, ways: int, needed: int, short: str) -> None:
    """Refuse data sets of which no episode can be drawn, all at once.

    Args:
        what: 'file' or 'group'.
        needed: how many rows each must have, or each of its classes.
        short: what is done with fewer rows than shots and queries, 'refuse' or 'use'.

    Raises:
        UsageError: there are such.
    """
    rows = f"shots + queries = {needed} rows"
    lower = ["--task.ways"] * bool(ways) + ["--task.shots", "--task.queries"]
    if short == "use":
        rows, lower = "2 rows, one to adapt on and one to judge by", lower[:-2]
    wanted, least = (f"ways = {ways} classes of at least {rows}", ways) if ways else (rows, needed)
    counts = [len(data.classes(needed)) if ways else len(data.x) for data in several]
    few = [(count, data.title) for count, data in zip(counts, several, strict=True) if count < least]
    if few:
        fewest, title = min(few)
        raise UsageError(
            f"{len(few)} of {counted(len(several), what)} {'has' if len(few) == 1 else 'have'} fewer than {wanted}; "
            f"the fewest, {fewest}, are in {title}; {_instead(lower, what)}"
            f"{'; --task.short-files use takes what they have' * (short == 'refuse')}"
        )


def check_different(parts: Mapping[Split, Sequence[DataSet]], what: str, needed: int) -> None:
    """Refuse data sets of the same rows, but in training: a test on what was trained on, or one that counts twice.

    Args:
        needed: how many rows a class must have to count.

    Raises:
        UsageError: there are such.
    """
    alike: dict[str, list[tuple[Split, str]]] = {}
    for split, several in parts.items():
        for data in several:
            alike.setdefault(data.content(needed), []).append((split, data.title))
    for found in alike.values():
        splits = [split for split, _ in found]
        if len(found) > 1 and splits != ["train"] * len(found):
            named = ", ".join(f"{title} ({split})" for split, title in found[:NAMED])
            more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
            raise UsageError(
                f"{len(found)} {what}s hold the same rows: {named}{more}; a test must not see what was trained on, nor "
                f"count a {what} twice: leave all but one of them out"
            )


def check_varied(names: Sequence[str], values: Tensor, instead: str) -> None:
    """Refuse a column of one number, of the rows to train on [rows, columns].

    Args:
        instead: what else to do about it.

    Raises:
        UsageError: there is one.
    """
    for name, column in zip(names, values.T, strict=True):
        if (column == column[0]).all():
            raise UsageError(
                f"column '{name}' is {float(column[0]):.4g} in every row to train on, from which nothing can be "
                f"learned; leave it out{instead}"
            )


def check_size(names: Sequence[str], values: Tensor) -> None:
    """Refuse columns whose numbers are far from 1, of the rows to train on [rows, columns].

    Raises:
        UsageError: there are such.
    """
    sizes = values.square().mean(0).sqrt()
    wrong = ((sizes < SMALLEST) | (sizes > LARGEST)).nonzero().flatten().tolist()
    if not wrong:
        return
    name, column, size = names[wrong[0]], values[:, wrong[0]], float(sizes[wrong[0]])
    check_varied([name], column[:, None], ", or --task.any-scale true to take it all the same")
    mean, sd = float(column.mean()), float(column.std(correction=0))
    raise UsageError(
        f"column '{name}' is far from 1 in size, its root mean square {size:.4g}; --task.scale true makes it ({name} - "
        f"{mean:.4g}) / {sd:.4g} and undoes it in predictions, or --task.any-scale true if the network scales it"
    )


def _instead(lower: Sequence[str], what: str) -> str:
    """What to do about data sets of too few rows: which flags to lower, or to leave them out."""
    if not lower:
        return f"leave such {what}s out"
    flags = " or ".join(filter(None, [", ".join(lower[:-1]), lower[-1]]))
    return f"lower {flags}, or leave such {what}s out"
