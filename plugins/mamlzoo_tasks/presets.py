"""Options with other defaults: how a paper's variant of a family of tasks is written."""

from __future__ import annotations

import dataclasses
from typing import Any

import mamlzoo


def preset(family: type[mamlzoo.Task], name: str, default: Any) -> Any:
    """An option as the family declares it, but for its default.

    class OfPaper(Family):
        shots: int = preset(Family, "shots", 5)
    """
    (declared,) = (field for field in dataclasses.fields(family) if field.name == name)
    return dataclasses.field(default=default, metadata=declared.metadata)
