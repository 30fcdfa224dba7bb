"""Multinomial logistic regression with a ridge, solved by Newton's method and differentiated at its solution."""

from __future__ import annotations

import torch
from torch import Tensor

import mamlzoo

LENGTHS = tuple(2.0**-halvings for halvings in range(8))
"""Parts of a Newton step that are tried, the longest first."""
ENOUGH = 0.25
"""How much of the descent that the slope promises a part must keep."""
ROUNDING = 8
"""Roundings of E by which a step may seem to climb: near the solution they are all that is seen of it."""


def logistic_weights(
    features: Tensor, targets: Tensor, present: Tensor, penalty: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """W that minimises E(W) = Σᵢ −log softmax(xᵢᵀW)[yᵢ] + λ/2·‖W‖², [size, classes], differentiable at the solution.

    With g = ∇E(W) and H = ∇²E(W), Ŵ is where Newton's steps W ← W − t·H⁻¹g have led to, of which each takes the
    largest t of LENGTHS by which E falls enough: far from the solution a whole step may go too far. They are no part
    of the derivative. The last step is (sg, stop-gradient),

      W = sg(Ŵ) − sg(H)⁻¹·∇E(sg(Ŵ); x, λ),   dW = −H⁻¹·(∂_x ∇E·dx + ∂_λ ∇E·dλ),

    which at the solution is the derivative of the solution itself, by the implicit function theorem on ∇E = 0.

    Args:
        features, targets: [n, size], and 1 for the class of each and 0 for others, [n, classes]; of padding all 0.
        present: whether a class is there, [classes]; others keep weights of 0, and get no probability.
        penalty: λ, above 0.
        steps: how many of Newton's steps are made before the last one.

    Returns:
        W, and the norm of ∇E at Ŵ: how far it was from being solved.
    """
    still_features, still_penalty = mamlzoo.stop_gradient((features, penalty))
    weights = torch.zeros_like(features.T @ targets).detach()
    for _ in range(steps):
        slope = _slope(weights, still_features, targets, present, still_penalty)
        step = _solve(_curvature(weights, still_features, present, still_penalty), slope)
        length = _length(weights, step, slope, still_features, targets, present, still_penalty)
        weights = weights - length * step
    weights = mamlzoo.stop_gradient(weights)
    curvature = _curvature(weights, still_features, present, still_penalty)
    slope = _slope(weights, features, targets, present, penalty)
    return weights - _solve(curvature, slope), slope.detach().square().sum().sqrt()


def _logits(weights: Tensor, features: Tensor, present: Tensor) -> Tensor:
    return (features @ weights).masked_fill(present == 0, -torch.inf)


def _slope(weights: Tensor, features: Tensor, targets: Tensor, present: Tensor, penalty: Tensor) -> Tensor:
    """∇E = Xᵀ(P − Y) + λW, [size, classes]."""
    shares = _logits(weights, features, present).softmax(-1)
    return features.T @ (shares - targets) + penalty * weights


def _curvature(weights: Tensor, features: Tensor, present: Tensor, penalty: Tensor) -> Tensor:
    """∇²E = Σᵢ xᵢxᵢᵀ ⊗ (diag pᵢ − pᵢpᵢᵀ) + λI, [size·classes, size·classes]."""
    shares = _logits(weights, features, present).softmax(-1)
    spread = torch.diag_embed(shares) - shares[:, :, None] * shares[:, None]
    size = weights.numel()
    hessian = torch.einsum("ni,nj,nab->iajb", features, features, spread).reshape(size, size)
    return hessian + penalty * torch.eye(size, dtype=hessian.dtype, device=hessian.device)


def _solve(curvature: Tensor, slope: Tensor) -> Tensor:
    solved = torch.cholesky_solve(slope.reshape(-1, 1), torch.linalg.cholesky(curvature))
    return solved.reshape(slope.shape)


def _length(
    weights: Tensor,
    step: Tensor,
    slope: Tensor,
    features: Tensor,
    targets: Tensor,
    present: Tensor,
    penalty: Tensor,
) -> Tensor:
    """The largest t of LENGTHS with E(W − t·step) ≤ E(W) − ENOUGH·t·⟨slope, step⟩, Armijo's rule; or the least."""
    lengths = weights.new_tensor((0.0, *LENGTHS))
    tried = weights - lengths[:, None, None] * step
    outputs = features @ tried
    # Of padding, whose features are 0, the first term is the same for every t.
    certainty = outputs.masked_fill(present == 0, -torch.inf).logsumexp(-1).sum(-1) - (outputs * targets).sum((-2, -1))
    energy = certainty + penalty / 2 * tried.square().sum((-2, -1))
    before, after, lengths = energy[0], energy[1:], lengths[1:]
    promised = ENOUGH * lengths * (slope * step).sum()
    enough = after <= before - promised + ROUNDING * torch.finfo(energy.dtype).eps * before.abs()
    return torch.where(enough, lengths, lengths[-1]).amax()
