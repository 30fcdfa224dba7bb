"""Checks of how tasks judge: their loss and their metrics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.functional import one_hot

from mamlzoo import trees
from mamlzoo.contracts.plugins import Task
from mamlzoo.contracts.readings import reading_of
from mamlzoo.engine.generators import Generators
from mamlzoo.testing.checks import check, require
from mamlzoo.testing.task_checks import same, sample


@check("task")
def loss_is_a_scalar(task: Task) -> None:
    """The loss of an episode's predictions is one number, a tensor of no axes.

    End it with .mean() or .sum().
    """
    prediction, target = _prediction(task)
    loss = task.loss(prediction, target)
    require(isinstance(loss, Tensor), f"it is a {type(loss).__name__}, no tensor")
    require(loss.ndim == 0, f"it has the shape {list(loss.shape)}")


@check("task")
def loss_is_a_mean_over_examples(task: Task) -> None:
    """The loss of examples that come twice is their loss: it does not grow with how many there are.

    End it with .mean(). Where a sum is meant, as in a paper's own formula, say so in exempt_from.
    """
    prediction, target = _prediction(task)
    once, twice = (task.loss(prediction.repeat(n, 1), torch.cat([target] * n)).mean() for n in (1, 2))
    require(_close(once, twice), f"it is {once.item():.6g} once and {twice.item():.6g} where every example comes twice")


@check("task")
def examples_of_a_loss_do_not_see_each_other(task: Task) -> None:
    """How an example's prediction should move does not depend on the predictions for the others, but for its speed.

    Sum or average a loss of each example; take no mean or spread over predictions. Where examples are meant to be
    judged together, as by a ranking, say so in exempt_from.
    """
    prediction, target = _prediction(task)
    kept = len(target) // 2
    others = torch.cat([prediction[:kept], prediction[kept:].flip(0) + 1])
    pulls = [
        gradient[:kept].flatten()
        for p in (prediction, others)
        if (gradient := _gradient(task, p, target.clone())) is not None
    ]
    if len(pulls) < 2 or not all(pull.isfinite().all() and pull.norm() > 0 for pull in pulls):
        return  # which has a check of its own, or a single example
    one, two = (pull / pull.norm() for pull in pulls)
    apart = float((one - two).norm())
    require(
        apart < 1e-3,
        f"where later predictions change, the gradient by the first {kept} turns, by {apart:.2g} of its length",
    )


@check("task")
def loss_is_finite(task: Task) -> None:
    """The loss is finite for any prediction: random, zero, or large.

    Look for a division or a logarithm whose argument can be zero.
    """
    prediction, target = _prediction(task)
    for name, given in {"random": prediction, "zero": 0 * prediction, "large": 100 * prediction}.items():
        loss = task.loss(given, target)
        require(loss.isfinite().all(), f"for {name} predictions it is {loss.detach().tolist()}")


@check("task")
def loss_is_differentiable(task: Task) -> None:
    """The loss has a gradient by the prediction: finite, also where the prediction is right, and not always zero.

    Use differentiable functions, no rounding and no .detach(); a square root has no gradient at zero.
    """
    prediction, target = _prediction(task)
    gradient = _gradient(task, prediction, target)
    require(gradient is not None, "it does not depend on the prediction by anything that autograd sees")
    assert gradient is not None
    require(gradient.isfinite().all(), "for random predictions the gradient is not finite")
    require((gradient != 0).any(), "for random predictions the gradient is zero")
    if prediction.shape == target.shape:
        at_target = _gradient(task, target.clone(), target)
        finite = at_target is None or bool(at_target.isfinite().all())
        require(finite, "where the prediction equals the target the gradient is not finite")


@check("task")
def metrics_are_finite_scalars(task: Task) -> None:
    """There is a metric at least, and every metric is a finite scalar.

    Return {"name": tensor without axes, …}; look for a division by zero.
    """
    metrics = _metrics(task, *_prediction(task))
    require(isinstance(metrics, dict) and metrics, f"metrics returned {metrics!r}, no dict of them")
    for name, value in metrics.items():
        require(isinstance(value, Tensor), f"'{name}' is a {type(value).__name__}, no tensor")
        require(value.ndim == 0, f"'{name}' has the shape {list(value.shape)}")
        require(value.isfinite(), f"'{name}' is {value.item()}")


@check("task")
def higher_is_better_names_metrics(task: Task) -> None:
    """Every name in higher_is_better is one of its metrics.

    Correct the name in higher_is_better.
    """
    metrics = _metrics(task, *_prediction(task))
    for name in task.higher_is_better:
        require(name in metrics, f"'{name}' is none of its metrics, which are {', '.join(metrics)}")


@check("task")
def growing_metrics_are_declared(task: Task) -> None:
    """A metric is in higher_is_better if it is higher for right predictions than for wrong ones, and not if lower.

    Add its name to higher_is_better, a frozenset of names, or take it away: a sweep chooses by it.
    """
    target = sample(task, 2, "train").query.y[0]
    if task.spec.kind == "classification":
        classes = task.spec.output_size
        right = 10 * one_hot(target, classes).float()
        wrong = [10 * one_hot((target + 1) % classes, classes).float(), torch.zeros_like(right)]
    else:
        right, far = target, 1 + target.abs()
        wrong = [target + far, target - far]
    best, *others = (dict(task.metrics(prediction, target)) for prediction in (right, *wrong))
    for name, value in best.items():
        values = [float(other[name]) for other in others]
        if float(value) > max(values):
            require(name in task.higher_is_better, f"'{name}' grows as predictions get right, and it is not declared")
        elif float(value) < min(values):
            require(name not in task.higher_is_better, f"'{name}' is declared, and it falls as predictions get right")


@check("task")
def loss_and_metrics_change_nothing(task: Task) -> None:
    """The loss and the metrics leave the prediction, the target and the generators of random numbers as they are.

    Make new tensors; use no functions that end in an underscore, and draw no random numbers.
    """
    prediction, target = _prediction(task)
    functions: dict[str, Callable[[Tensor, Tensor], Any]] = {
        "the loss": task.loss,
        "the metrics": partial(_metrics, task),
    }
    for name, function in functions.items():
        before, generators = (prediction.clone(), target.clone()), Generators.now()
        function(prediction, target)
        drawn = " and ".join(generators.drawn_from())
        require(not drawn, f"{name} drew random numbers from {drawn} generator")
        for what, one, two in zip(("prediction", "target"), before, (prediction, target), strict=True):
            require(same(one, two), f"{name} changed the {what}")


@check("task")
def loss_and_metrics_work_under_vmap(task: Task) -> None:
    """The loss and the metrics of many episodes at once equal those of one after another.

    Use tensor operations only: no .item(), no `if` on a tensor's value, no work in place.
    """
    pairs = [_prediction(task, seed) for seed in range(3)]

    def both(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": task.loss(prediction, target)} | {
            f"metric '{name}'": value for name, value in _metrics(task, prediction, target).items()
        }

    batched = vmap(both)(*(torch.stack(column) for column in zip(*pairs, strict=True)))
    looped = trees.stack([both(*pair) for pair in pairs])
    for name, value in batched.items():
        require(_close(value, looped[name]), f"the {name} is {value.tolist()}, one by one {looped[name].tolist()}")


def _prediction(task: Task, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A random prediction [n, output_size] for one training episode's query set, and its target."""
    target = sample(task, 2, "train", seed).query.y[0]
    generator = torch.Generator().manual_seed(seed + 1)
    return torch.randn(len(target), task.spec.output_size, generator=generator), target


def _metrics(task: Task, outputs: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The task's own, of a network's outputs as it reads them, and the scores of a distribution."""
    points, distribution = reading_of(task, outputs)
    scores = {} if distribution is None else distribution.scores(target)
    return {name: score.mean() for name, score in scores.items()} | task.metrics(points, target)


def _gradient(task: Task, prediction: Tensor, target: Tensor) -> Tensor | None:
    tracked = prediction.clone().requires_grad_()
    loss = task.loss(tracked, target).sum()
    if not loss.requires_grad:
        return None
    return torch.autograd.grad(loss, tracked, allow_unused=True)[0]


def _close(one: Tensor, two: Tensor) -> bool:
    return torch.allclose(one, two, rtol=1e-4, atol=1e-6, equal_nan=True)
