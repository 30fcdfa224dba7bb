"""What tasks of arrays have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from mamlzoo.arrays.array_episodes import ArrayEpisodes
from mamlzoo.contracts.data import Spec, Split
from mamlzoo.contracts.inputs import Input, Inputs
from mamlzoo.errors import UsageError

E = TypeVar("E", bound=ArrayEpisodes)
GivenSplit = Mapping[Split, Iterable[Any]]
"""The names of the classes or groups of each split."""


@contextmanager
def told_of(name: str, where: str = "") -> Iterator[None]:
    """Within it, errors about a task's data say whose they are: task 'NAME': …

        with mamlzoo.told_of(self.name):
            return self.curves.split(valid=self.valid, test=self.test, seed=self.split_seed)

    Args:
        name: the task's.
        where: what comes before the error's own words, as "in test ".

    Raises:
        UsageError: one was raised, of the same type.
    """
    try:
        yield
    except UsageError as error:
        raise type(error)(f"task '{name}': {where}{error}") from None


def parts_of(
    episodes: E, given: Mapping[Split, list[Any]] | None, *, valid: float, test: float, seed: int, least: int = 1
) -> dict[Split, E]:
    """The episodes of each split: of one that was given, or at random."""
    if given is None:
        return episodes.split(valid=valid, test=test, seed=seed, least=least)
    return {split: episodes.only(names) for split, names in given.items()}


def spec_of(inputs: Inputs, **details: Any) -> Spec:
    """A Spec, which says floating numbers by their shape."""
    if isinstance(inputs, Input) and inputs.kind == "float":
        return Spec(input_shape=inputs.shape, **details)
    return Spec(inputs=inputs, **details)


def digest_of(episodes: ArrayEpisodes, given: Mapping[Split, list[Any]] | None) -> str:
    """Of the arrays, and of the split where it was given: one that is drawn follows from options."""
    return hashlib.sha256(f"{episodes.digest} {given!a}".encode()).hexdigest()
