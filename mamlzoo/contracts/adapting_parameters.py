"""Which of a network's parameters adapt: those whose names one of some patterns matches."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fnmatch import fnmatchcase

from mamlzoo.errors import UsageError

ALL = ("*",)
"""The pattern of every name."""


@functools.lru_cache(maxsize=64)
def adapting(patterns: Sequence[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that one of the patterns matches, as '*.bias' or '2.*', in their order.

    Raises:
        UsageError: a pattern matches none, or there is no pattern.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"no parameter is called as in adapts '{pattern}'; there are: {', '.join(names)}")
    if not patterns:
        raise UsageError(f"adapts is empty, so nothing adapts; give patterns of names, as '*'; {', '.join(names)}")
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
