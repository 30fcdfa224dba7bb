"""One legend for a whole figure, below its axes: it never lies over the data, however many entries it has."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from mamlzoo.figures.style import SMALL, Figure

LETTER = 0.62 * SMALL / 72
"""Inches that a letter takes, about."""
HANDLE = (2.8 + 0.8 + 1.2) * SMALL / 72
"""Inches of an entry beside its letters."""
LINE = 1.45 * SMALL / 72
"""Inches of a line."""


def below(figure: Figure, handles: Sequence[Any] | None = None, labels: Sequence[str] | None = None) -> None:
    """Put a legend of all that is labelled below the axes, and make the figure taller by as much.

    An entry that several axes have stands once. Long labels are broken into lines.
    """
    if handles is None or labels is None:
        found: dict[str, Any] = {}
        for axes in figure.axes:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                found.setdefault(label, handle)
        handles, labels = list(found.values()), list(found)
    if not handles:
        return
    width, height = figure.get_size_inches()
    letters = int((width - HANDLE) / LETTER)
    texts = [textwrap.fill(label, letters) or " " for label in labels]
    longest = max(len(line) for text in texts for line in text.splitlines())
    columns = max(1, min(len(texts), int(width / (longest * LETTER + HANDLE))))
    rows = -(-len(texts) // columns)
    columns = -(-len(texts) // rows)  # as even as possible
    lines = max(sum(len(text.splitlines()) for text in texts[at : at + rows]) for at in range(0, len(texts), rows))
    figure.set_size_inches(width, height + LINE * lines)
    figure.legend(handles, texts, loc="outside lower center", ncols=columns)
