"""The outer optimiser: any of torch.optim by name, over θ of all seeds."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import MetaParams
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.engine.carried_statistics import columns
from mamlzoo.engine.traced_numbers import TracedNumbers, numbers
from mamlzoo.errors import MamlzooError, UsageError, did_you_mean

ELEMENTWISE = frozenset(
    ["adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd"]
)
"""Those that treat every number on its own, so that one of them can serve all parameters of all seeds at once."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
UNFIT = {
    "lbfgs": "it evaluates the loss several times a step, on one fixed batch",
    "sparseadam": "it wants sparse gradients",
}


def optimizer_class(name: str) -> Callable[..., torch.optim.Optimizer]:
    """The class of torch.optim of that name, however it is capitalised.

    Raises:
        UsageError: there is none, or it cannot serve as an outer optimiser.
    """
    classes = _classes()
    if name.lower() in UNFIT:
        raise UsageError(f"optimizer '{name}' cannot be the outer optimiser: {UNFIT[name.lower()]}")
    if name.lower() not in classes:
        raise UsageError(f"torch.optim has no optimizer '{name}'; {did_you_mean(name.lower(), optimizer_names())}")
    return classes[name.lower()]


def optimizer_names() -> list[str]:
    """The optimisers that can serve as an outer one, in lower case."""
    return sorted(set(_classes()) - set(UNFIT))


def _classes() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    return {
        key.lower(): cls
        for key, cls in vars(torch.optim).items()
        if inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
    }


class Part(NamedTuple):
    """How the seeds of one experiment are optimised, of which several may be trained side by side.

    Attributes:
        lr: the rate of a meta-step that is not given another.
        group_lrs: the rates of groups of θ that have another, by name.
        options: further arguments of the optimiser's class, as `optimizer_options.checked` gives them.
    """

    lr: float
    group_lrs: Mapping[str, float] = NOTHING
    options: Mapping[str, Any] = NOTHING


class OuterOptimizer:
    """θ of all seeds, and the optimisers that update it in place, each seed as if it were alone.

    An optimiser that treats every number on its own gets the θ of an experiment as one matrix. One that looks at a
    parameter as a whole (its shape, its norm) must see neither its neighbours nor the seed axis: then there is one a
    seed, over views.

    Attributes:
        theta: [seeds, numbers].
        meta: the same numbers as the tree that algorithms see; leaves are views of `theta` that require gradients.
        elementwise: whether every number is treated on its own.
        lrs: the full rate of each group of parameters that has one of its own, of one experiment after another.
    """

    def __init__(
        self,
        name: str,
        lr: float | Sequence[Part],
        meta: MetaParams,
        *,
        clip_norm: float | None = None,
        ema: float | None = None,
        statistics: Collection[str] = (),
    ) -> None:
        """Optimise this θ.

        Args:
            lr: the rate; or one or several parts with more to say, each of as many seeds.
            clip_norm: the largest norm of a seed's gradient; a longer one is made as long. None: any.
            ema: how much of the average of θ each step keeps; None: there is no average.
            statistics: groups of θ that are carried (`carried_statistics`), and not optimised.

        Raises:
            UsageError: the optimiser refuses this θ, or θ has no such group.
        """
        self.theta = trees.ravel(trees.stop_gradient(meta))
        self.meta = trees.tree_map(
            lambda leaf: leaf.detach().requires_grad_(), trees.unravel(self.theta, trees.stop_gradient(meta))
        )
        self._class, self.elementwise = optimizer_class(name), name.lower() in ELEMENTWISE
        parts = [Part(lr)] if isinstance(lr, int | float) else list(lr)
        self._rows = len(self.theta) // len(parts)
        alike = 1 if self.elementwise else self._rows
        self._kinds = [_Kind.of(part, self.meta, elementwise=self.elementwise) for part in parts for _ in range(alike)]
        self.lrs = tuple(rate for kind in self._kinds[::alike] for rate in kind.lrs)
        self._clip_norm, self._ema = clip_norm, ema
        self._carried = columns(meta, statistics) if statistics else None
        self._average = self.theta.clone()
        self._params = self._split(self.theta)
        try:
            self._optimizers = [kind.new(self._class, own) for kind, own in zip(self._kinds, self._params, strict=True)]
        except ValueError as error:
            raise UsageError(f"optimizer '{name}' cannot train this model: {error}") from error

    def step(self, gradient: MetaParams, rates: Sequence[float] | None = None) -> None:
        """One update of θ, in place.

        Args:
            rates: of this meta-step, one for each of `lrs`; None: these.
        """
        whole, before = trees.ravel(gradient), None if self._carried is None else self.theta.clone()
        self._step(self._optimizers, self._params, self._split(self._clipped(whole)), rates or self.lrs)
        if before is not None:
            self.theta.copy_(self._carried_on(before, self.theta, whole))
        if self._ema is not None:
            self._average = self._averaged(self._average, self.theta)

    @property
    def average(self) -> MetaParams | None:
        """The average of θ over meta-steps, θ̄ₜ = ema · θ̄ₜ₋₁ + (1 − ema) · θₜ from θ̄₀ = θ⁰ on; None if none is kept."""
        return None if self._ema is None else trees.unravel(self._average, trees.stop_gradient(self.meta))

    def _averaged(self, average: Tensor, theta: Tensor) -> Tensor:
        assert self._ema is not None
        return torch.lerp(average, theta, 1 - self._ema)

    def _clipped(self, gradient: Tensor) -> Tensor:
        """What the optimiser is given: nothing of what is carried, and no more than the largest norm."""
        if self._carried is not None:
            gradient = gradient.masked_fill(self._carried, 0)
        return gradient if self._clip_norm is None else clipped(gradient, self._clip_norm)

    def _carried_on(self, before: Tensor, after: Tensor, gradient: Tensor) -> Tensor:
        """θ after a step, what is carried moved as it says: an optimiser may move what has no gradient, too."""
        return after if self._carried is None else torch.where(self._carried, before - gradient, after)

    @property
    def started(self) -> bool:
        """Whether there is what state there will be: torch's optimisers make theirs in the first step."""
        if all(optimizer.state for optimizer in self._optimizers):
            return True
        pairs = zip(self._optimizers, self._keep_nothing, strict=True)
        return all(optimizer.state or keeps_nothing for optimizer, keeps_nothing in pairs)

    @functools.cached_property
    def _keep_nothing(self) -> list[bool]:
        """Of each optimiser whether it never has a state, as SGD without momentum."""
        params, zeros = ([[torch.zeros_like(param) for param in own] for own in self._params] for _ in range(2))
        fresh = [kind.new(self._class, own) for kind, own in zip(self._kinds, params, strict=True)]
        self._step(fresh, params, zeros, self.lrs)
        return [not any(slots for slots in optimizer.state.values()) for optimizer in fresh]

    def state(self) -> list[Tensor]:
        """Every tensor of the optimisers' states, and the average of θ last, if one is kept."""
        own = [value for slots in self._slots() for value in slots.values() if isinstance(value, Tensor)]
        return own if self._ema is None else [*own, self._average]

    def saved(self) -> list[dict[int, dict[str, Any]]]:
        """What a checkpoint needs of them besides θ: for each optimiser its state by parameter. Nothing is copied."""
        return [optimizer.state_dict()["state"] for optimizer in self._optimizers]

    def restore(
        self, meta: MetaParams, saved: Sequence[Mapping[int, Mapping[str, Any]]], average: MetaParams | None = None
    ) -> None:
        """Go on from this θ and from what `saved` gave, or nothing before the first step; all of it is copied.

        Args:
            average: as `average` gave it; None: it begins with this θ.

        Raises:
            MamlzooError: the state is no state of these optimisers.
        """
        if saved and not self._fits(saved):
            raise MamlzooError("the checkpoint's state of the outer optimiser is not that of this θ")
        with torch.no_grad():
            self.theta.copy_(trees.ravel(meta))
            self._average = trees.ravel(trees.stop_gradient(meta if average is None else average)).to(self.theta)
        for optimizer, state in zip(self._optimizers if saved else (), saved, strict=True):
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": copy.deepcopy(dict(state)), "param_groups": groups})

    def _fits(self, saved: Sequence[Mapping[int, Mapping[str, Any]]]) -> bool:
        """Whether a state is of as many optimisers and parameters; of those that see θ whole, of its shape too."""
        if len(saved) != len(self._params):
            return False
        if any(set(state) - set(range(len(params))) for state, params in zip(saved, self._params, strict=True)):
            return False
        return not self.elementwise or all(
            value.shape == params[at].shape
            for state, params in zip(saved, self._params, strict=True)
            for at, slots in state.items()
            for value in slots.values()
            if isinstance(value, Tensor) and value.numel() != 1
        )

    def load(self, theta: Tensor, state: Sequence[Tensor]) -> None:
        """Go on from this θ and this state, as `update` gives them; its tensors are taken over."""
        self.theta.copy_(theta)
        new = iter(state)
        for slots in self._slots():
            slots.update({key: next(new) for key, value in slots.items() if isinstance(value, Tensor)})
        self._average = next(new, self._average)

    def update(
        self, theta: Tensor, state: Sequence[Tensor], gradient: Tensor, rates: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """What a step makes of (θ, state), for gradients [seeds, numbers]: `step` without changing anything.

        It runs torch's own optimiser on copies, so that a compiler can trace it; `started` must be true. The rates,
        float64, one for each of `lrs`, are no constants of what is traced.
        """
        before, theta, new = theta, theta.clone(), [value.clone() for value in state]
        params, given = self._split(theta), iter(new)
        optimizers = [
            kind.new(self._class, own, differentiable=True) for kind, own in zip(self._kinds, params, strict=True)
        ]
        for optimizer, real, own, old in zip(optimizers, self._optimizers, params, self._params, strict=True):
            for param, counterpart in zip(own, old, strict=True):
                optimizer.state[param] = {
                    key: next(given) if isinstance(value, Tensor) else value
                    for key, value in real.state[counterpart].items()
                }
        with TracedNumbers():
            self._step(optimizers, params, self._split(self._clipped(gradient)), numbers(rates))
        theta = self._carried_on(before, theta, gradient)
        slots = [optimizer.state[param] for optimizer, own in zip(optimizers, params, strict=True) for param in own]
        found = [value for slot in slots for value in slot.values() if isinstance(value, Tensor)]
        return theta, found if self._ema is None else [*found, self._averaged(next(given), theta)]

    def _slots(self) -> list[dict[str, Any]]:
        return [
            optimizer.state.get(param, {})  # a look makes none: torch's optimisers begin where there is no state
            for optimizer, params in zip(self._optimizers, self._params, strict=True)
            for param in params
        ]

    def _split(self, matrix: Tensor) -> list[list[Tensor]]:
        """What each optimiser sees of a matrix [seeds, numbers]: parameters, a group of its rates after another."""
        if self.elementwise:
            blocks = matrix.split(self._rows) if len(self._kinds) > 1 else [matrix]
            return [kind.split(block) for kind, block in zip(self._kinds, blocks, strict=True)]
        leaves = trees.leaves(trees.unravel(matrix, self.meta))
        return [[leaf[seed] for leaf in leaves] for seed in range(len(matrix))]

    def _step(
        self,
        optimizers: list[torch.optim.Optimizer],
        params: list[list[Tensor]],
        gradients: list[list[Tensor]],
        rates: Sequence[float],
    ) -> None:
        """A step of each of the optimisers, with rates as `lrs` has them."""
        alike, first = 1 if self.elementwise else self._rows, 0
        for at, (optimizer, own, theirs) in enumerate(zip(optimizers, params, gradients, strict=True)):
            groups = optimizer.param_groups
            for group, rate in zip(groups, rates[first : first + len(groups)], strict=True):
                group["lr"] = rate
            first += len(groups) if at % alike == alike - 1 else 0
            for param, gradient in zip(own, theirs, strict=True):
                param.grad = gradient
            optimizer.step()


def clipped(gradient: Tensor, norm: float) -> Tensor:
    """Each row of [rows, numbers] that is longer than `norm`, made as long: g · min(1, norm / ‖g‖).

    Norms are taken in float64, where squares of float32 neither overflow nor vanish. A row that is not finite stays so.
    """
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True, dtype=torch.float64)
    factor: Tensor = (norm / length).clamp(max=1.0)
    return gradient * factor.to(gradient.dtype)


class _Kind(NamedTuple):
    """What one optimiser is made with.

    Attributes:
        lrs: of each of its groups of parameters the full rate; there is one group where no group of θ has a rate of
            its own.
        sizes: how many columns of θ's matrix, or else leaves, each of them has.
        counts: how many parameters.
        options: further arguments.
    """

    lrs: tuple[float, ...]
    sizes: list[int]
    counts: list[int]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, part: Part, meta: MetaParams, *, elementwise: bool) -> _Kind:
        """For a θ.

        Raises:
            UsageError: θ has no group that is given a rate.
        """
        for name in part.group_lrs:
            if name not in meta:
                raise UsageError(
                    f"θ has no group {shown(name)} that could have an outer rate; {did_you_mean(name, meta)}"
                )
        groups: Sequence[object] = list(meta.values()) if part.group_lrs else [meta]
        lrs = [part.group_lrs.get(name, part.lr) for name in meta] if part.group_lrs else [part.lr]
        sizes = [[leaf[0].numel() if elementwise else 1 for leaf in trees.leaves(group)] for group in groups]
        kept = [(rate, sum(size)) for rate, size in zip(lrs, sizes, strict=True) if size]
        widths = [size for _, size in kept]
        return cls(tuple(rate for rate, _ in kept), widths, [1] * len(kept) if elementwise else widths, part.options)

    def split(self, matrix: Tensor) -> list[Tensor]:
        """The columns of each group, of an optimiser that treats every number on its own."""
        return [matrix] if len(self.sizes) == 1 else list(matrix.split(self.sizes, 1))

    def new(
        self, made: Callable[..., torch.optim.Optimizer], params: list[Tensor], *, differentiable: bool = False
    ) -> torch.optim.Optimizer:
        """An optimiser of this class over these parameters."""
        # Differentiable: all arithmetic on tensors, so that it can be traced. Capturable: no number leaves the GPU.
        wanted = {"differentiable": differentiable, "capturable": params[0].is_cuda}
        known = inspect.signature(made).parameters
        switches = {name: True for name, value in wanted.items() if value and name in known}
        rest = iter(params)
        groups = [
            {"params": list(itertools.islice(rest, count)), "lr": lr}
            for count, lr in zip(self.counts, self.lrs, strict=True)
        ]
        return made(groups, lr=self.lrs[0], **self.options, **switches)
