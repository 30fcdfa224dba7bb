"""Whose fault it is where a run asks for more memory than there is: an option's, not the plugin's that met it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mamlzoo.contracts import options
from mamlzoo.errors import UsageError
from mamlzoo.experiments.experiment import Experiment

TOO_MUCH = re.compile(
    r"can't allocate memory|not enough memory|out of memory|Unable to allocate|Storage size calculation overflowed"
    r"|integer multiplication overflow|array is too big|Maximum allowed dimension|too large to convert"
    r"|into an index-sized integer"
)
"""What torch and numpy say of a size that no memory holds, or no number."""
FAR = 10
"""A number is blamed from so many times its default on."""


def too_large(error: BaseException, experiment: Experiment) -> UsageError | None:
    """What is to be said of an error that an option set very high explains; None: none does."""
    if not _is_of_size(error):
        return None
    times, flag, value = max(_numbers(experiment), default=(0.0, "", ""))
    if times < FAR:
        return None
    return UsageError(f"{experiment.name} needs more memory than there is, with {flag} {value}; lower it")


def _is_of_size(error: BaseException | None) -> bool:
    """Whether it, or what it was raised from, is about a size."""
    while error is not None:
        if isinstance(error, MemoryError) or TOO_MUCH.search(str(error)):
            return True
        error = error.__cause__
    return False


def _numbers(experiment: Experiment) -> Iterator[tuple[float, str, str]]:
    """Of each option that asks for memory: how many times its default it is, its flag, and its value.

    More iterations need no more memory, nor does another seed. Where the default is no number, nothing is far from it;
    `chunk` counts from one episode.
    """
    plugins = {f"{plugin.kind}.": plugin for plugin in experiment.plugins}
    for prefix, holder in {**plugins, "": experiment.settings}.items():
        for option in options.options_of(type(holder)).values():
            value = getattr(holder, option.name)
            if option.type is not int or value is None or option.name.endswith(("seed", "seeds")):
                continue
            name = prefix + option.name
            if name == "chunk" or (name != "iterations" and option.default is not None):
                times = _largest(value) / max(1, _largest(option.default))
                yield times, f"--{prefix}{option.flag}", option.text(value)


def _largest(value: int | tuple[int, ...] | None) -> int:
    return max(value, default=0) if isinstance(value, tuple) else value or 0
