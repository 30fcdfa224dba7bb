"""Which of several processes this one is, as torchrun tells by the environment; `--workers` tells it the same way."""

from __future__ import annotations

import os


def _number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name) or otherwise)


def count() -> int:
    """How many processes make the run together; 1 where nobody has started several."""
    return _number("WORLD_SIZE", 1) if "RANK" in os.environ else 1


def rank() -> int:
    """Which of them this is; 0 is the first, which speaks."""
    return _number("RANK", 0) if count() > 1 else 0


def count_here() -> int:
    """How many of them are on this machine."""
    return _number("LOCAL_WORLD_SIZE", 1)


def rank_here() -> int:
    """Which of those on this machine this is."""
    return _number("LOCAL_RANK", 0)


def attempt() -> int:
    """How often torchrun has started them anew, since one was lost."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0)
