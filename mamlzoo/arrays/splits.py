"""How classes or groups are divided into those to train, to validate and to test on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from mamlzoo import tables
from mamlzoo.contracts.data import Split
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.errors import UsageError

SPLITS: tuple[Split, ...] = get_args(Split)


def divided(
    names: Sequence[Any], what: str, *, valid: float, test: float, seed: int, least: int = 1
) -> dict[Split, list[Any]]:
    """Classes or groups in three at random: fractions of them to validate and to test on, the rest to train on.

    Args:
        names: of all that there are, in an order that has nothing to do with that of the examples.
        what: 'class' or 'group'.
        least: how many each of the three must have.

    Raises:
        UsageError: there are too few, or too few are left to train on.
    """
    each, there = len(SPLITS) * least, tables.count(len(names), what)
    if len(names) < each:
        fewer = len(names) // len(SPLITS)
        remedy = f", or lower ways to {fewer}" if fewer > 1 else ""
        raise UsageError(
            f"{there} do not make three splits of {least} at least, to train, to validate and to test; have {each} or "
            f"more{remedy}"
        )
    of_valid, of_test = (max(least, round(share * len(names))) for share in (valid, test))
    left = max(0, len(names) - of_valid - of_test)
    if left < least:
        raise UsageError(
            f"of {there}, {of_valid} to validate (valid {valid:g}) and {of_test} to test (test {test:g}) leave {left} "
            f"to train, and it takes {least} at least; lower valid or test"
        )
    shuffled = random.Random(seed).sample(list(names), len(names))
    return {
        "train": shuffled[of_valid + of_test :],
        "valid": shuffled[:of_valid],
        "test": shuffled[of_valid : of_valid + of_test],
    }


def given(split: Mapping[Split, Iterable[Any]], what: str) -> dict[Split, list[Any]]:
    """A split that somebody made, by name; none may be in two.

    Raises:
        UsageError: it lacks a split, or something is in two.
    """
    if not isinstance(split, Mapping):
        raise UsageError(f"split must give the {what} names of train, valid and test, a dict, not {shown(split)}")
    for part, names in split.items():
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise UsageError(f"split: {part} must be a list of {what} names, not {shown(names)}")
    if set(split) != set(SPLITS):
        raise UsageError(f"split must give the {what} names of train, valid and test, not of {', '.join(split)}")
    found = {part: as_names(split[part]) for part in SPLITS}
    where: dict[Any, Split] = {}
    for part, names in found.items():
        for name in names:
            if where.setdefault(name, part) != part:
                raise UsageError(
                    f"split: {what} {shown(name)} is in {where[name]} and {part}; a test must not see what was "
                    "trained on"
                )
    return found


def as_names(names: Iterable[Any]) -> list[Any]:
    """Names of classes or groups as Python's own numbers and texts."""
    return [name.item() if hasattr(name, "item") else name for name in names]
