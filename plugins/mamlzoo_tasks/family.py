"""Families of regressions, of which papers take members: the same options with other defaults."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from mamlzoo_tasks.regression import RegressionTask


class Family(RegressionTask):
    """Regressions that share their options and differ in defaults alone, which a member names behind its base:

    class CAVIASine(SineFamily, test_points=100): ...
    """

    def __init_subclass__(cls, **defaults: Any) -> None:
        declared = {field.name: field for field in dataclasses.fields(cls)} if defaults else {}
        hints = typing.get_type_hints(cls) if defaults else {}
        for name, default in defaults.items():
            cls.__annotations__[name] = hints[name]
            setattr(cls, name, dataclasses.field(default=default, metadata=declared[name].metadata))
        super().__init_subclass__()
