"""The outer optimiser: any of torch.optim by name, over θ with its seed axis."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mamlzoo.errors import UsageError, did_you_mean

ELEMENTWISE = frozenset(
    ["adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd"]
)
"""Those that treat every number on its own, so that one of them can serve all seeds at once."""
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
    """Updates θ in place, each seed as if it were alone.

    An optimiser that looks at a parameter as a whole (its shape, its norm) must not see the seed axis; then there is
    one optimiser a seed, over views of θ.
    """

    def __init__(self, name: str, lr: float, leaves: Sequence[Tensor]) -> None:
        cls = optimizer_class(name)
        together = name.lower() in ELEMENTWISE
        self._leaves = list(leaves)
        self._seeds: list[slice | int] = [slice(None)] if together else list(range(len(leaves[0])))
        self._views = [[leaf.detach()[at] for leaf in self._leaves] for at in self._seeds]
        try:
            self._optimizers = [cls(views, lr=lr) for views in self._views]
        except ValueError as error:
            raise UsageError(f"optimizer '{name}' cannot train this model: {error}") from error

    def step(self, gradients: Sequence[Tensor]) -> None:
        """One update of θ from a gradient for each of its leaves."""
        for at, views, optimizer in zip(self._seeds, self._views, self._optimizers, strict=True):
            for view, gradient in zip(views, gradients, strict=True):
                view.grad = gradient[at]
            optimizer.step()
