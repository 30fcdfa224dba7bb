"""What is said of predictions that depend on which others are asked for with them."""

from __future__ import annotations

from collections.abc import Mapping

TRANSDUCTIVE = "transductive: batch norm sees the statistics of all query inputs of an episode at once"
"""Of a result whose network has batch norms, which take the statistics of the inputs at hand."""


def transductive_notes(runs: Mapping[str, bool]) -> list[str]:
    """The line below a table of several runs, each by its label with whether it is transductive: none if none is."""
    found = [label for label, is_transductive in runs.items() if is_transductive]
    if len(found) == len(runs):
        return [TRANSDUCTIVE] if found else []
    return [f"{', '.join(found)}: {TRANSDUCTIVE}"] if found else []
