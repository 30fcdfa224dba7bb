"""Meta-curvature: meta-train matrices by which inner gradients are multiplied."""

from __future__ import annotations

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Episode, Learner, MetaParams, Params, option

MODES = ("outputs", "inputs", "filter")
"""The axes of a gradient, and whose matrix each is multiplied by; those behind the second are one, a filter's."""


class MetaCurvature(mamlzoo.GradientDescent):
    """MAML whose inner gradients are multiplied by meta-trained matrices, one for each axis of a parameter.

    A convolution's gradient G has the axes [outputs, inputs, filter], the last one the filter's places in a row; that
    of a linear layer has two, of a bias or a norm one. With ×ₙ the product of a matrix with the n-th axis,

      MC(G) = G ×₁ M_o ×₂ M_i ×₃ M_f,   MC(G)_{oif} = Σ_{o′i′f′} M_o[o, o′]·M_i[i, i′]·M_f[f, f′]·G_{o′i′f′},
      φ₀ = θ,   φ_{t+1} = φ_t − α·MC(∇L_S(φ_t)),   meta-loss(θ, M) = L_Q(φ_k).

    For a linear layer MC(G) = M_o·G·M_iᵀ, and on the gradient in a row that is the Kronecker product M_o ⊗ M_i ⊗ M_f.
    All M are identities at the start, where it is MAML. θ = {"network": parameters, "curvature": the matrices}, named
    as '0.weight.outputs'; the outer rate of these is `outer-lr.curvature`. An axis of n entries has n² numbers, so
    layers of very many inputs or outputs cost much memory.

    Deviation: a vector, of which implementations take a rate for each number, has a whole M_o as every other axis has.

    Reference: Park, Oliva, "Meta-Curvature", NeurIPS 2019, section 3.
    """

    name = "meta-curvature"
    claims = frozenset({"query-loss"})
    inner_steps: int = option(1, "adaptation steps in training, k", minimum=0)

    def init(self, networks: dict[str, Params]) -> MetaParams:
        curvature = {
            f"{name}.{mode}": torch.eye(size, dtype=value.dtype, device=value.device)
            for name, value in networks["network"].items()
            for mode, size in zip(MODES, _axes(value), strict=False)
        }
        return networks | {"curvature": curvature}

    def adapt(self, learner: Learner, meta: MetaParams, fast: Params, support: Batch) -> Params:
        gradient = learner.gradient(fast, support)
        curved = {name: _curved(name, value, meta["curvature"]) for name, value in gradient.items()}
        return mamlzoo.sgd(fast, curved, self.inner_lr)

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = mamlzoo.adapt(self, learner, meta, episode.support, self.inner_steps)
        return learner.loss(fast, episode.query), {}


def _axes(value: Tensor) -> list[int]:
    """The sizes of a parameter's axes, at most three of them, and one of a single number."""
    outer = list(value.shape[:2]) or [1]
    return [*outer, value.shape[2:].numel()] if value.ndim > 2 else outer


def _curved(name: str, gradient: Tensor, curvature: Params) -> Tensor:
    rows = gradient.reshape(_axes(gradient))
    for axis, mode in zip(range(rows.ndim), MODES, strict=False):
        last = rows.movedim(axis, -1) @ curvature[f"{name}.{mode}"].mT
        rows = last.movedim(-1, axis)
    return rows.reshape(gradient.shape)
