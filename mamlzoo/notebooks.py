"""Values in notebooks: what a cell that ends with one shows."""

from __future__ import annotations


def show(*parts: object) -> None:
    """Show things below each other, each in its own best way, as IPython has it."""
    from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

    display(*parts)
