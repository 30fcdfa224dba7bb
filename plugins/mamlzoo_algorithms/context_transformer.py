"""A transformer that reads a support set as its context, of which the in-context learners are two heads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Learner, MetaParams, Spec, option
from mamlzoo_algorithms.input_vectors import require_numbers


class Block(nn.Module):
    """A layer of a pre-norm transformer, whose tokens attend to a context and to no one else.

    Attention is written out, so that it can be batched and traced; where nobody is there to attend to, it gives 0.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.out = nn.Linear(width, width), nn.Linear(width, width)
        # Without a bias: that of keys shifts all scores alike, and that of values is `out`'s.
        self.known = nn.Linear(width, 2 * width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor, context: Tensor, there: Tensor) -> Tensor:
        """Tokens [m, width] after the layer, of a context [n, width] of which `there` [n] says who is no padding."""
        known = self.known(self.before_attention(context))
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(0, 1)  # [heads, tokens, width of a head]
            for part in (self.asked(self.before_attention(tokens)), *known.chunk(2, -1))
        )
        scores = query @ key.mT / math.sqrt(key.shape[-1])
        # Not −∞, whose softmax over nobody is NaN.
        weights = scores.masked_fill(~there, torch.finfo(scores.dtype).min).softmax(-1) * there
        tokens = tokens + self.out((weights @ value).transpose(0, 1).flatten(1))
        changed: Tensor = tokens + self.mlp(self.before_mlp(tokens))
        return changed


class Read(NamedTuple):
    """φ: the support set as the transformer has read it.

    Attributes:
        context: what each layer begins with of the support set's tokens, [layers, n, width].
        there: which of the n points are no padding.
    """

    context: Tensor
    there: Tensor


class ContextTransformer(mamlzoo.CompleteAtOnce):
    """Algorithms whose whole adaptation is that a transformer reads the support set.

    Each support point is a token of x, y and 1, each query point one of x, 0 and 0, which the network `embed` brings to
    the transformer's width. In every layer support tokens attend to support tokens, and so do query tokens: nobody
    sees a query point but itself, and the order of a set means nothing.
    """

    width: int = option(64, "numbers in a token", minimum=1)
    layers: int = option(3, "layers of the transformer", minimum=1)
    heads: int = option(2, "heads of its attention; they divide the width", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise mamlzoo.UsageError(
                f"algorithm '{self.name}': {self.heads} heads do not divide a width of {self.width}; "
                f"choose a width as {self.heads * math.ceil(self.width / self.heads)}"
            )

    def outputs(self, spec: Spec) -> int:
        """Numbers that the head gives for a query point."""
        return spec.output_size

    def networks(self, spec: Spec) -> dict[str, Spec | mamlzoo.Builder]:
        require_numbers(self, spec, of_vectors=True)
        token = (spec.input_shape[0] + _target_numbers(spec) + 1,)
        blocks = {f"block{at}": lambda: Block(self.width, self.heads) for at in range(self.layers)}
        return {
            "embed": Spec(token, self.width),
            **blocks,
            "network": replace(spec, input_shape=(self.width,), output_size=self.outputs(spec)),
        }

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Read:
        there, spec = support.there, learner.spec
        y = functional.one_hot(support.y, spec.output_size) if spec.kind == "classification" else support.y
        rows = torch.cat([support.x, y.to(support.x.dtype), torch.ones_like(support.x[:, :1])], -1)
        tokens = learner.predict(meta["embed"], rows.masked_fill(~there[:, None], 0), "embed", mask=support.mask)
        begins = []
        for at in range(self.layers):
            begins.append(tokens)
            if at < self.layers - 1:  # behind the last one nobody attends to them
                tokens = learner.predict(meta[f"block{at}"], (tokens, tokens, there), f"block{at}")
        return Read(torch.stack(begins), there)

    def answers(self, learner: Learner, meta: MetaParams, fast: Read, x: Tensor) -> Tensor:
        """What the head says of each query point, [n, outputs]."""
        unknown = x.new_zeros(len(x), _target_numbers(learner.spec) + 1)
        tokens = learner.predict(meta["embed"], torch.cat([x, unknown], -1), "embed")
        for at in range(self.layers):
            name = f"block{at}"
            tokens = learner.predict(meta[name], (tokens, fast.context[at], fast.there), name)
        return learner.predict(meta["network"], functional.layer_norm(tokens, (self.width,)))


def _target_numbers(spec: Spec) -> int:
    """Numbers that a target is written with: of a class, one for each that there is."""
    return spec.output_size if spec.kind == "classification" else spec.target_shape[0]
