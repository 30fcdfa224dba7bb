"""What adapting to one episode costs, counted and not timed: the same number on any machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from mamlzoo.contracts.data import Episode
from mamlzoo.engine.binding import Bound


def adaptation_flops(bound: Bound, episode: Episode, steps: int) -> list[int]:
    """Floating-point operations of adapting to one episode and predicting its query set, after 0, 1, … steps.

    Counted are products of matrices, convolutions, and factorisations and solutions of linear systems, a multiplication
    and an addition as two: nearly all that a network or a kernel does. What goes element by element is not.

    Args:
        episode: a single one, without a leading axis.
    """
    algorithm = bound.algorithm
    learner, meta = bound.first(episode)

    fast, adapted = _counted(algorithm.start, learner, meta, episode.support)
    costs = []
    for step in range(steps + 1):
        if step:
            fast, more = _counted(algorithm.adapt, learner.branch(), meta, fast, episode.support)
            adapted += more
        _, predicted = _counted(algorithm.predict, learner, meta, fast, episode.query.x)
        costs.append(adapted + predicted)
    return costs


def _counted(function: Callable[..., Any], *given: Any) -> tuple[Any, int]:
    with FlopCounterMode(display=False, custom_mapping=FACTORISATIONS) as counter:
        result = function(*given)
    return result, counter.get_total_flops()


def _of_matrices(shape: Sequence[int]) -> tuple[int, int]:
    """How many there are, and the larger side of each."""
    *many, rows, columns = shape
    return int(torch.Size(many).numel()), max(rows, columns)


def _cubic(share: float) -> Callable[..., int]:
    """The count of what takes share·n³ for an n × n matrix."""

    def count(shape: Sequence[int], *rest: Any, out_shape: Any = None, **named: Any) -> int:
        many, n = _of_matrices(shape)
        return round(many * share * n**3)

    return count


def _solution(factorisation: float, triangles: int) -> Callable[..., int]:
    """The count of solving for k right-hand sides: share·n³ once, and n²·k for each triangle."""

    def count(one: Sequence[int], other: Sequence[int], *rest: Any, out_shape: Any = None, **named: Any) -> int:
        square, sides = (one, other) if len(one) > 1 and one[-1] == one[-2] else (other, one)
        many, n = _of_matrices(square)
        k = sides[-1] if len(sides) > 1 else 1
        return round(many * (factorisation * n**3 + triangles * n**2 * k))

    return count


aten = torch.ops.aten
FACTORISATIONS: dict[Any, Any] = {
    aten.linalg_cholesky_ex: _cubic(1 / 3),
    aten.cholesky_solve: _solution(0, 2),
    aten.cholesky_inverse: _cubic(2 / 3),
    aten.linalg_solve_triangular: _solution(0, 1),
    aten._linalg_solve_ex: _solution(2 / 3, 2),
    aten.linalg_lu_factor_ex: _cubic(2 / 3),
    aten.linalg_lu_solve: _solution(0, 2),
    aten.linalg_inv_ex: _cubic(2),
    aten._linalg_eigh: _cubic(9),
    aten._linalg_svd: _cubic(21),
    aten.linalg_qr: _cubic(4 / 3),
    aten.linalg_pinv: _cubic(21),
}
"""Leading terms for n × n: Golub and Van Loan, "Matrix Computations", 4th edition, sections 3.2, 4.2, 5.2, 8.3, 8.6."""
