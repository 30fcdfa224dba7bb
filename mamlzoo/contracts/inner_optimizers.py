"""Optimisers of an inner loop: pure functions of parameters, a gradient and an explicit state, all differentiable.

`begin` makes the state before the first step, and `step` gives the parameters and the state after one more. Neither
works in place or asks for a tensor's value, so steps are batched, traced and differentiated as whatever stands around.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts.data import Params

State = dict[str, Any]
"""What an optimiser carries from step to step: tensors, in dicts by name."""


def sgd(params: Params, gradient: Params, rate: float | Params) -> Params:
    """One step of gradient descent; `rate` is a number, or a tensor for each parameter."""
    if isinstance(rate, dict):
        return {name: value - rate[name] * gradient[name] for name, value in params.items()}
    return {name: value - rate * gradient[name] for name, value in params.items()}


def clipped(gradient: Params, most: float) -> Params:
    """The gradient, made so short that the norm over all its tensors is `most`, where it is longer: g · min(1, c/‖g‖).

    Of a gradient that is 0 the norm has no derivative; where nothing is clipped, none is taken.
    """
    square = torch.stack([leaf.square().sum() for leaf in gradient.values()]).sum()
    long = square > most**2
    share = torch.where(long, most * torch.where(long, square, 1).rsqrt(), 1)
    return {name: leaf * share for name, leaf in gradient.items()}


class InnerOptimizer(Protocol):
    """What makes a step of a gradient."""

    def begin(self, params: Params) -> State:
        """The state before the first step; nothing where no state is carried."""

    def step(self, params: Params, gradient: Params, state: State) -> tuple[Params, State]:
        """Parameters and state after one more step."""

    def in_torch(self) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
        """The torch optimiser whose steps these are, and its options."""


class SGD(NamedTuple):
    """Plain gradient descent: φ ← φ − α·g."""

    rate: float

    def begin(self, params: Params) -> State:
        return {}

    def step(self, params: Params, gradient: Params, state: State) -> tuple[Params, State]:
        return sgd(params, gradient, self.rate), state

    def in_torch(self) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
        return torch.optim.SGD, {"lr": self.rate}


class Momentum(NamedTuple):
    """Gradient descent with momentum: b ← μ·b + g from b = 0 on, φ ← φ − α·b.

    Reference: Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; in torch's form.
    """

    rate: float
    momentum: float

    def begin(self, params: Params) -> State:
        return {"direction": trees.tree_map(torch.zeros_like, params)}

    def step(self, params: Params, gradient: Params, state: State) -> tuple[Params, State]:
        direction = {name: self.momentum * old + gradient[name] for name, old in state["direction"].items()}
        return sgd(params, direction, self.rate), {"direction": direction}

    def in_torch(self) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
        return torch.optim.SGD, {"lr": self.rate, "momentum": self.momentum}


class Adam(NamedTuple):
    """Adam: φ ← φ − α·m̂ / (√v̂ + ε), of the running means m of g and v of g², corrected for their start at 0.

    With m_t = β₁·m_{t−1} + (1 − β₁)·g_t the correction is m̂_t = m_t / (1 − β₁ᵗ), and likewise of v. What it divides by
    is the running mean of 1, w_t = β₁·w_{t−1} + (1 − β₁) from w₀ = 0 on: that is carried, in place of a count t, since
    1 − β₂ᵗ loses in float32 half its digits while t is small.

    √v has no derivative at v = 0, which a parameter has whose gradient has always been 0. There m = 0 too, and of
    m̂ / (√v̂ + ε) what √ adds to the derivative, −m̂ / (√v̂ + ε)² · d√v̂, tends to 0 with m̂; so the derivative of √ is
    taken to be 0 there, and that of a step is the right one, α/ε·(1 − β₁)/(1 − β₁ᵗ) by the last gradient.

    Reference: Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1.
    """

    rate: float
    beta1: float
    beta2: float
    eps: float

    def begin(self, params: Params) -> State:
        zeros = trees.tree_map(torch.zeros_like, params)
        nothing = next(iter(params.values())).new_zeros(())
        return {"mean": zeros, "square": zeros, "mean_weight": nothing, "square_weight": nothing}

    def step(self, params: Params, gradient: Params, state: State) -> tuple[Params, State]:
        def mean(old: Any, new: Any, beta: float) -> Any:
            return beta * old + (1 - beta) * new

        state = {
            "mean": {name: mean(old, gradient[name], self.beta1) for name, old in state["mean"].items()},
            "square": {name: mean(old, gradient[name].square(), self.beta2) for name, old in state["square"].items()},
            "mean_weight": mean(state["mean_weight"], 1, self.beta1),
            "square_weight": mean(state["square_weight"], 1, self.beta2),
        }
        direction = {
            name: old / state["mean_weight"] / (_root(state["square"][name] / state["square_weight"]) + self.eps)
            for name, old in state["mean"].items()
        }
        return sgd(params, direction, self.rate), state

    def in_torch(self) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
        return torch.optim.Adam, {"lr": self.rate, "betas": (self.beta1, self.beta2), "eps": self.eps}


def _root(value: Tensor) -> Tensor:
    """√, whose derivative at 0 is taken to be 0."""
    positive = value > 0
    return torch.where(positive, torch.where(positive, value, 1).sqrt(), 0)


class Stepped(dict[str, Tensor]):
    """Parameters by name, as a network takes them, with the state of the optimiser that made them.

    To a tree the state's tensors are leaves beside the parameters.

    Attributes:
        state: as the optimiser's `begin` and `step` give it.
    """

    def __init__(self, params: Params, state: State) -> None:
        super().__init__(params)
        self.state = state


trees.register_dict(Stepped, "state")


def stepped(optimizer: InnerOptimizer, fast: Params, gradient: Params) -> Params:
    """φ after a step by the gradient of some of its parameters, or of all; the others stay.

    Args:
        fast: parameters alone, to begin from; or with a state, to go on from.
    """
    own = fast if type(fast) is dict and len(gradient) == len(fast) else {name: fast[name] for name in gradient}
    state = fast.state if isinstance(fast, Stepped) else optimizer.begin(own)
    params, state = optimizer.step(own, gradient, state)
    params = params if len(params) == len(fast) else {**fast, **params}
    return Stepped(params, state) if state else params


def begun(optimizer: InnerOptimizer, params: Params, adapting: Params) -> Params:
    """φ before the first step.

    Args:
        adapting: those of the parameters that steps will be made of.
    """
    state = optimizer.begin(adapting)
    return Stepped(params, state) if state else params
