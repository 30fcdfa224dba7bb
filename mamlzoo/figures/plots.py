"""Figures from results, and the files and pages that they go into."""

from __future__ import annotations

import io
from pathlib import Path

from mamlzoo import files
from mamlzoo.errors import UsageError
from mamlzoo.figures.curves import curves, training
from mamlzoo.figures.fits import adaptation, key
from mamlzoo.figures.galleries import average, gallery
from mamlzoo.figures.style import DPI, Figure, Look, looks, styled, swatch
from mamlzoo.figures.svg import inline

__all__ = [
    "Figure",
    "Look",
    "adaptation",
    "average",
    "check_format",
    "curves",
    "gallery",
    "key",
    "looks",
    "png",
    "save",
    "svg",
    "swatch",
    "training",
]
FORMATS = (".png", ".svg", ".pdf")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the file's ending.

    Raises:
        UsageError: another ending, or a place that cannot be written.
    """
    check_format(path)
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower())
    with files.named_in_refusal(path), files.whole(path) as file, styled():
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=DPI, metadata=metadata)


def png(figure: Figure) -> bytes:
    """A figure as a PNG file holds it."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def svg(figure: Figure, label: str) -> str:
    """A figure as an element of an HTML page: it scales to its box, and black is the page's own text colour.

    Args:
        label: what it shows, for those who cannot see it; "" where it is an ornament.
    """
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return inline(buffer.getvalue(), label)


def check_format(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is drawn.

    Raises:
        UsageError: the file's ending names no format.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path} must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
