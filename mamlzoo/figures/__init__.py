"""Figures: their style, limits, legends, and what is drawn into one pair of axes.

Whoever draws imports this package first. Nothing here uses pyplot, so a backend that the environment asks for and that
is not installed, as a notebook's in a shell that was started from it, is no error here.
"""

from __future__ import annotations

import contextlib
import os
import sys


def _import_matplotlib() -> None:
    """Import matplotlib, which would raise at once over a backend that it does not find.

    A backend that is there is set as matplotlib itself would have set it, for a notebook's own figures.
    """
    wanted = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if wanted is not None:
            os.environ["MPLBACKEND"] = wanted
    if wanted:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = wanted


_import_matplotlib()
