"""One bar and what stands beside it, as a line of text for any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len

BAR = 10
"""Columns that a bar has at least, whatever stands beside it."""
LONG_BAR = 40


class Line(NamedTuple):
    """One bar and what stands beside it.

    Attributes:
        share: how much is done, in [0, 1]; None: nobody knows, and there is no bar.
        time: that is left, or that has passed.
        info: more, the most important first.
    """

    text: str
    share: float | None
    time: str
    info: Sequence[str] = ()

    def drawn(self, width: int, *, ascii_only: bool = False) -> str:
        """The line in so many columns: bar, share and time always, then as much of the text and of the rest as fits.

        >>> Line("train cell 2: inner_lr=0.05, meta_batch=4", 0.4, "1:40 left", ["loss 1.35"]).drawn(50)
        'train cell 2: inner_lr=… ━━━━──────  40%  1:40 left'
        """
        full, empty, cut = ("=", "-", "...") if ascii_only else ("━", "─", "…")
        share = "" if self.share is None else f"{int(100 * self.share):3}%"
        figures = f"{share}  {self.time}" if self.time else share
        room = width - cell_len(figures) - (0 if self.share is None else BAR + 2)
        info = list(self.info)
        while info and cell_len(self.text) + cell_len(_beside(info)) > room:
            info.pop()
        beside = _beside(info)
        text = _shortened(self.text, room - cell_len(beside), cut)
        if self.share is None:
            return f"{text}{figures}{beside}"
        bar = min(LONG_BAR, BAR + room - cell_len(text) - cell_len(beside))
        done = int(self.share * bar)
        return f"{text} {full * done}{empty * (bar - done)} {figures}{beside}"


def _beside(info: Sequence[str]) -> str:
    return "  " + " · ".join(info) if info else ""


def _shortened(text: str, width: int, cut: str) -> str:
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) + len(cut) > width:
        text = text[:-1]
    return text + cut


def as_clock(seconds: float) -> str:
    """As a clock shows it: 0:07, 12:30, 3:05:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
