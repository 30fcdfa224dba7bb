"""Whether a compiled program makes the meta-steps of the vmap plan: a compiler is not believed.

Each meta-step begins for both where the vmap plan stands, so that rounding does not grow from one to the next. How far
the numbers after it may be apart follows from how well the vmap plan knows them itself: its gradient is taken once more
at a θ that is off by some roundings, and the optimiser's update is looked at for gradients that are off by as much as
that made of them. An update that hardly depends on a gradient's last digits, as Adam's, is so held tightly, and one
that rounding alone decides, as Adam's where a gradient is 0, is not held at all.

Where the two are further apart, float64 decides: long sums over numbers that are alike, as of the background of images,
round in the same direction at every θ, and there a program may well be nearer to the true gradient than vmap.

A gradient also jumps, by a little, where a rounding moves an input of a ReLU across 0. Whether it does is a matter of
luck at one θ, so before a program is refused the gradient is taken at several that are off by roundings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams
from mamlzoo.engine.blocks import Block
from mamlzoo.engine.compilation.traced_steps import CompiledSteps
from mamlzoo.engine.cpu import computing
from mamlzoo.engine.gradients import Gradients
from mamlzoo.engine.outer_optimizer import OuterOptimizer
from mamlzoo.engine.steps import EagerSteps

STEPS = 3
"""Meta-steps that are compared; the one before them is eager by both."""
MARGIN = 8.0
"""How many times further than the vmap plan's own gradients those of the program may be off."""
ROUNDINGS = 16
"""By how many roundings θ is off there: in long sums of float32 they add up."""
SHAKEN = 8
"""At how many such θ, before a program is refused."""
SHARES = tuple(sign * 2.0**-power for power in range(13) for sign in (1.0, -1.0))
"""Of what gradients may be off, what is tried. An update need not be farthest off where its gradient is: Adam's of a
number whose gradient has been as small as the rounding is largest where it is as small again."""
SMALL = tuple(sign * 2.0**-power for power in range(24) for sign in (1.0, -1.0))
"""The same of what is tried around a gradient of 0, where that may be the true one: near 0 Adam's update turns."""
BETWEEN = 1 + 1 / 16
"""How much farther off an update may be between these than at them: Adam's, between powers of 2, by some hundredths."""
COUNTED = 1e-4
"""By how much of itself an update may be off at most that an optimiser makes with its step counter in a tensor, as it
is traced, from the one it makes with a Python number: 1 − β^t has lost digits there."""
SAME = 1e-3
"""How far meta-losses in float64 may be from those in float32, relatively: beyond, they are of other random numbers."""
LOW_PRECISION = 1e-4
"""Numbers that are rougher than this are summed up in float32, so theirs do not."""


def disagreement(
    eager: EagerSteps,
    compiled: CompiledSteps,
    gradients: Gradients,
    block: Block,
    roughness: float,
    exact: Gradients | None = None,
) -> str | None:
    """What the program makes otherwise than the vmap plan; None if it makes the same meta-steps.

    Args:
        eager: the vmap plan, before its first meta-step; it is moved on.
        compiled: the same with the program.
        gradients: the vmap plan's.
        block: of the program's shapes; its first meta-steps are made.
        roughness: how far the roughest numbers that the program computes with are apart, relatively.
        exact: the same gradients in float64; None: nobody knows them.

    Raises:
        RuntimeError: the program fails.
    """
    own, other = eager.optimizer, compiled.optimizer
    with computing(eager.threads):
        eager.advance(block, 0, 1)
    for step in range(1, 1 + STEPS):
        at = step % len(block.progress)
        other.restore(own.meta, own.saved(), own.average)
        with computing(compiled.threads):
            losses = compiled.compiled(block, at, at + 1).losses[0]
        found = {"meta-losses": [losses], "θ": [other.theta], "optimiser's state": other.state()}
        with computing(eager.threads):
            wrong = None
            for expected in _step(own, gradients, block, at, roughness, exact):
                apart = (what for what in found if not _all_agree(found[what], expected[what]))
                wrong = next(apart, None)
                if wrong is None:
                    break
        if wrong is not None:
            return wrong
    return _cut(own, compiled, block)


def _cut(own: OuterOptimizer, compiled: CompiledSteps, block: Block) -> str | None:
    """Whether several meta-steps in one call of the program are those of several calls, to the bit."""
    if own.theta.is_cuda or len(block.progress) < 1 + STEPS:
        return None  # sums in parallel may differ there from one time to the next
    ends = []
    for cuts in ([1, 1 + STEPS], range(1, 2 + STEPS)):
        compiled.optimizer.restore(own.meta, own.saved(), own.average)
        with computing(compiled.threads):
            for first, last in itertools.pairwise(cuts):
                compiled.compiled(block, first, last)
        ends.append([tensor.clone() for tensor in (compiled.optimizer.theta, *compiled.optimizer.state())])
    same = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(*ends, strict=True))
    return None if same else "numbers in one go"


Expected = tuple[Sequence[Tensor], Sequence[Tensor]]
"""Tensors, and how far each of their numbers may be off."""


@dataclass(frozen=True)
class _Gradient:
    """A gradient as a matrix [seeds, numbers], and how far each of its numbers may be off."""

    value: Tensor
    noise: Tensor

    def tried(self, shares_of_zero: Sequence[float] = SMALL) -> Iterator[Tensor]:
        """The gradient, and others that it may be in truth."""
        yield self.value
        for share in SHARES:
            yield self.value + share * self.noise
        least, most = self.value - self.noise, self.value + self.noise
        for share in shares_of_zero:
            yield (share * self.noise).clamp(least, most)


def _step(
    optimizer: OuterOptimizer, gradients: Gradients, block: Block, at: int, roughness: float, exact: Gradients | None
) -> Iterator[dict[str, Expected]]:
    """Make meta-step `at` of a block; what is expected after it, by name: first by what is quickly known.

    Most programs agree by that. For others more gradients are tried, and float64 is asked.
    """
    episodes, progress = trees.index(block.episodes, at), block.progress[at]
    rates = block.rates[at].to(progress.device)
    result = gradients(optimizer.meta, episodes, progress)
    shaken = gradients(_shaken(optimizer.meta, roughness), episodes, progress)
    losses = result.losses.mean(-1)
    # Of each episode by itself: in their mean what they are off by may cancel for one, and not for the other.
    off = (shaken.losses - result.losses).abs().mean(-1) + roughness * result.losses.abs().mean(-1)
    before = [optimizer.theta.clone(), *(tensor.clone() for tensor in optimizer.state())]
    meta = trees.tree_map(lambda leaf: leaf.detach().clone(), optimizer.meta)
    optimizer.step(result.gradient, block.rates[at].tolist())
    after = [optimizer.theta, *optimizer.state()]

    def expected(others: Sequence[MetaParams], shares_of_zero: Sequence[float]) -> dict[str, Expected]:
        gradient = _noisy(result.gradient, others, roughness)
        with torch.no_grad():
            usual, *off_by = (_updated(optimizer, before, tried, rates) for tried in gradient.tried(shares_of_zero))
        tolerances = [
            _tolerance(old, new, traced, apart, roughness, optimizer.elementwise)
            for old, new, traced, *apart in zip(before, after, usual, *off_by, strict=True)
        ]
        return {
            "meta-losses": ([losses], [MARGIN * off]),
            "θ": (after[:1], tolerances[:1]),
            "optimiser's state": (after[1:], tolerances[1:]),
        }

    yield expected([shaken.gradient], ())
    yield expected([shaken.gradient], SMALL)
    others = [shaken.gradient]
    if (double := _in_double(exact, meta, episodes, progress, result.losses)) is not None:
        others.append(double)
        yield expected(others, SMALL)
    others += [gradients(_shaken(meta, roughness, way), episodes, progress).gradient for way in range(1, SHAKEN)]
    yield expected(others, SMALL)


def _in_double(
    exact: Gradients | None, meta: MetaParams, episodes: Episode, progress: Tensor, losses: Tensor
) -> MetaParams | None:
    """The gradient in float64; None where nobody knows it."""
    if exact is None:
        return None
    try:
        double = exact(meta, episodes, progress)
    except RuntimeError:  # a network may know nothing of float64
        return None
    same = bool(((double.losses - losses).abs() <= SAME * losses.abs()).all())
    return double.gradient if same else None


def _shaken(meta: MetaParams, roughness: float, way: int = 0) -> MetaParams:
    """θ with every number a little larger or smaller; which, is the same for the same way."""
    generator = torch.Generator().manual_seed(way)
    size = roughness if roughness > LOW_PRECISION else ROUNDINGS * roughness

    def shake(leaf: Tensor) -> Tensor:
        signs = torch.randint(0, 2, leaf.shape, generator=generator) * 2 - 1
        return (leaf.detach() * (1 + size * signs.to(leaf.device, leaf.dtype))).requires_grad_()

    shaken: MetaParams = trees.tree_map(shake, meta)
    return shaken


def _noisy(gradient: MetaParams, others: Sequence[MetaParams], roughness: float) -> _Gradient:
    """A gradient off, in every number of a parameter, by what the others are off in any, or by a rounding."""

    def off(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().reshape(len(a), -1).amax(1).reshape(-1, *[1] * (a.ndim - 1)).expand_as(a)

    value = trees.ravel(gradient)
    noises = [trees.ravel(trees.tree_map(off, gradient, other)).to(value) for other in others]
    least = roughness * value.abs().amax(1, keepdim=True).expand_as(value)
    return _Gradient(value, MARGIN * torch.stack([least, *noises]).amax(0))


def _updated(optimizer: OuterOptimizer, before: list[Tensor], gradient: Tensor, rates: Tensor) -> list[Tensor]:
    theta, *state = before
    theta, state = optimizer.update(theta, state, gradient, rates)
    return [theta, *state]


def _tolerance(
    old: Tensor, new: Tensor, traced: Tensor, others: Sequence[Tensor], roughness: float, elementwise: bool
) -> Tensor:
    """How far each number of a tensor may be off after an update.

    Args:
        old, new: before and after it.
        traced: after it, as it is traced.
        others: after the traced one, for gradients that are off by more or less to either side.
    """
    if not new.is_floating_point():
        return torch.zeros_like(new)

    def widest(tensor: Tensor) -> Tensor:
        """The largest number of a seed: of its row, or of all where each has an optimiser of its own."""
        return tensor.amax(-1, keepdim=True) if elementwise and tensor.ndim > 1 else tensor.amax()

    by_gradient = BETWEEN * torch.stack([(other - traced).abs() for other in others]).amax(0)
    change = widest((new - old).abs())
    by_counting = torch.minimum(2 * (traced - new).abs(), COUNTED * change)
    own = 4 * torch.finfo(new.dtype).eps * new.abs() + MARGIN * roughness * change
    return (by_gradient if elementwise else widest(by_gradient)) + by_counting + own


def _all_agree(found: Sequence[Tensor], expected: Expected) -> bool:
    return all(_agrees(*three) for three in zip(found, *expected, strict=True))


def _agrees(found: Tensor, expected: Tensor, tolerance: Tensor) -> bool:
    same = (found == expected) | (found.isnan() & expected.isnan())
    return bool((same | ((found - expected).abs() <= tolerance) | ~tolerance.isfinite()).all())
