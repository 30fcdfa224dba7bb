"""Ridge regression in closed form."""

from __future__ import annotations

import torch
from torch import Tensor


def ridge_weights(features: Tensor, targets: Tensor, penalty: Tensor) -> Tensor:
    """W that minimises ‖features·W − targets‖² + penalty·‖W‖², [size, outputs], for features [n, size].

      W = (XᵀX + λI)⁻¹·XᵀY = Xᵀ·(XXᵀ + λI)⁻¹·Y,

    by Woodbury's identity; the smaller of the two matrices is factorised. Rows of zeros leave W as it is without them.
    """
    n, size = features.shape
    transposed = features.T
    if n <= size:
        return transposed @ _solve(features @ transposed, penalty, targets)
    return _solve(transposed @ features, penalty, transposed @ targets)


def _solve(gram: Tensor, penalty: Tensor, right: Tensor) -> Tensor:
    """(gram + λI)⁻¹·right."""
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.cholesky_solve(right, torch.linalg.cholesky(gram + penalty * identity))
