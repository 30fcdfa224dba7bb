"""What aten's operations are, as expressions and statements."""

from __future__ import annotations

from typing import Any

from mamlzoo.engine.native.operations import (
    constants,
    convolutions,
    elementwise,
    folds,
    indexing,
    matrices,
    pooling,
    views,
)
from mamlzoo.engine.native.writer import Operation

OPERATIONS: dict[Any, Operation] = {
    **elementwise.OPERATIONS,
    **views.OPERATIONS,
    **folds.OPERATIONS,
    **indexing.OPERATIONS,
    **matrices.OPERATIONS,
    **convolutions.OPERATIONS,
    **pooling.OPERATIONS,
    **constants.OPERATIONS,
}
"""By operation, without its overload."""
LOOKS = views.LOOKS
