"""The outer optimiser: any of torch.optim by name, over θ of all seeds."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

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
    classes = {
        key.lower(): cls
        for key, cls in vars(torch.optim).items()
        if inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
    }
    if name.lower() in UNFIT:
        raise UsageError(f"optimizer '{name}' cannot be the outer optimiser: {UNFIT[name.lower()]}")
    if name.lower() not in classes:
        raise UsageError(
            f"torch.optim has no optimizer '{name}'; {did_you_mean(name.lower(), set(classes) - set(UNFIT))}"
        )
    return classes[name.lower()]


class OuterOptimizer:
    """θ of all seeds, and the optimisers that update it in place, each seed as if it were alone.

    An optimiser that treats every number on its own gets θ as one matrix. One that looks at a parameter as a whole
    (its shape, its norm) must see neither its neighbours nor the seed axis: then there is one a seed, over views.

    Attributes:
        theta: [seeds, numbers].
        meta: the same numbers as the tree that algorithms see; leaves are views of `theta` that require gradients.
        elementwise: whether every number is treated on its own.
        lrs: the full rate of each group of parameters that has one of its own.
    """

    def __init__(
        self,
        name: str,
        lr: float,
        meta: MetaParams,
        *,
        options: Mapping[str, Any] = NOTHING,
        group_lrs: Mapping[str, float] = NOTHING,
        clip_norm: float | None = None,
        ema: float | None = None,
        statistics: Collection[str] = (),
    ) -> None:
        """Optimise this θ.

        Args:
            lr: the rate of a meta-step that is not given another.
            options: further arguments of the optimiser's class, as `optimizer_options.checked` gives them.
            group_lrs: the rates of groups of θ that have another, by name.
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
        self._class, self._options = optimizer_class(name), dict(options)
        self.lrs, self._sizes = _groups(lr, group_lrs, self.meta, elementwise=name.lower() in ELEMENTWISE)
        self._clip_norm, self._ema = clip_norm, ema
        self._carried = columns(meta, statistics) if statistics else None
        self._average = self.theta.clone()
        self.elementwise = name.lower() in ELEMENTWISE
        self._params = self._split(self.theta)
        try:
            self._optimizers = [self._new(params) for params in self._params]
        except ValueError as error:
            raise UsageError(f"optimizer '{name}' cannot train this model: {error}") from error

    def step(self, gradient: MetaParams, rates: Sequence[float] | None = None) -> None:
        """One update of θ, in place.

        Args:
            rates: of this meta-step, one for each of `lrs`; None: these.
        """
        whole, before = trees.ravel(gradient), None if self._carried is None else self.theta.clone()
        _step(self._optimizers, self._params, self._split(self._clipped(whole)), rates or self.lrs)
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
        return all(optimizer.state for optimizer in self._optimizers) or self._keeps_nothing

    @functools.cached_property
    def _keeps_nothing(self) -> bool:
        """Whether it never has a state, as SGD without momentum."""
        params = [torch.zeros_like(param) for param in self._params[0]]
        fresh = self._new(params)
        _step([fresh], [params], [[torch.zeros_like(param) for param in params]], self.lrs)
        return not any(slots for slots in fresh.state.values())

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
        optimizers = [self._new(own, differentiable=True) for own in params]
        for optimizer, real, own, old in zip(optimizers, self._optimizers, params, self._params, strict=True):
            for param, counterpart in zip(own, old, strict=True):
                optimizer.state[param] = {
                    key: next(given) if isinstance(value, Tensor) else value
                    for key, value in real.state[counterpart].items()
                }
        with TracedNumbers():
            _step(optimizers, params, self._split(self._clipped(gradient)), numbers(rates))
        theta = self._carried_on(before, theta, gradient)
        slots = [optimizer.state[param] for optimizer, own in zip(optimizers, params, strict=True) for param in own]
        found = [value for slot in slots for value in slot.values() if isinstance(value, Tensor)]
        return theta, found if self._ema is None else [*found, self._averaged(next(given), theta)]

    def _slots(self) -> list[dict[str, Any]]:
        return [
            optimizer.state[param]
            for optimizer, params in zip(self._optimizers, self._params, strict=True)
            for param in params
        ]

    def _split(self, matrix: Tensor) -> list[list[Tensor]]:
        """What each optimiser sees of a matrix [seeds, numbers]: parameters, a group of `lrs` after another."""
        if self.elementwise:
            return [[matrix] if len(self._sizes) == 1 else list(matrix.split(self._sizes, 1))]
        leaves = trees.leaves(trees.unravel(matrix, self.meta))
        return [[leaf[seed] for leaf in leaves] for seed in range(len(matrix))]

    def _new(self, params: list[Tensor], differentiable: bool = False) -> torch.optim.Optimizer:
        # Differentiable: all arithmetic on tensors, so that it can be traced. Capturable: no number leaves the GPU.
        wanted = {"differentiable": differentiable, "capturable": params[0].is_cuda}
        known = inspect.signature(self._class).parameters
        switches = {name: True for name, value in wanted.items() if value and name in known}
        sizes = [1] * len(self.lrs) if self.elementwise else self._sizes
        rest = iter(params)
        groups = [
            {"params": list(itertools.islice(rest, size)), "lr": lr} for size, lr in zip(sizes, self.lrs, strict=True)
        ]
        return self._class(groups, lr=self.lrs[0], **self._options, **switches)


def clipped(gradient: Tensor, norm: float) -> Tensor:
    """Each row of [rows, numbers] that is longer than `norm`, made as long: g · min(1, norm / ‖g‖).

    Norms are taken in float64, where squares of float32 neither overflow nor vanish. A row that is not finite stays so.
    """
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True, dtype=torch.float64)
    factor: Tensor = (norm / length).clamp(max=1.0)
    return gradient * factor.to(gradient.dtype)


def _groups(
    lr: float, group_lrs: Mapping[str, float], meta: MetaParams, *, elementwise: bool
) -> tuple[tuple[float, ...], list[int]]:
    """The full rate of each group of θ, and how many columns of θ's matrix, or else leaves, are its; of all as one
    where no group has a rate of its own.

    Raises:
        UsageError: θ has no such group.
    """
    for name in group_lrs:
        if name not in meta:
            raise UsageError(f"θ has no group {shown(name)} that could have an outer rate; {did_you_mean(name, meta)}")
    parts: Sequence[object] = list(meta.values()) if group_lrs else [meta]
    lrs = [group_lrs.get(name, lr) for name in meta] if group_lrs else [lr]
    sizes = [[leaf[0].numel() if elementwise else 1 for leaf in trees.leaves(part)] for part in parts]
    kept = [(rate, sum(size)) for rate, size in zip(lrs, sizes, strict=True) if size]
    return tuple(rate for rate, _ in kept), [size for _, size in kept]


def _step(
    optimizers: list[torch.optim.Optimizer],
    params: list[list[Tensor]],
    gradients: list[list[Tensor]],
    rates: Sequence[float],
) -> None:
    for optimizer, own, theirs in zip(optimizers, params, gradients, strict=True):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        for param, gradient in zip(own, theirs, strict=True):
            param.grad = gradient
        optimizer.step()
