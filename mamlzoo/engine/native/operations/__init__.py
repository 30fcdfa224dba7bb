"""What aten's operations are, as expressions and statements."""

from __future__ import annotations

from typing import Any

from mamlzoo.engine.native.operations import constants, elementwise, folds, indexing, matrices, views
from mamlzoo.engine.native.writer import Operation

OPERATIONS: dict[Any, Operation] = {
    **elementwise.OPERATIONS,
    **views.OPERATIONS,
    **folds.OPERATIONS,
    **indexing.OPERATIONS,
    **matrices.OPERATIONS,
    **constants.OPERATIONS,
}
"""By operation, without its overload."""
LOOKS = views.LOOKS
