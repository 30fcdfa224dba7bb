"""Inputs of every kind: what a spec says of them, and what a network gets."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, Input, PluginError, Spec, UsageError
from mamlzoo.contracts import inputs

QUICK = {"iterations": 1, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "plan": "loop"}


def test_a_spec_of_a_shape_takes_floating_point_numbers():
    assert Spec((2, 3), 1).structure == Input((2, 3))
    assert Spec(inputs=Input((12,), vocabulary=5)).input_shape == (12,)
    assert Input((12,), vocabulary=5).kind == "integer"


def test_a_shape_beside_inputs_that_contradict_it_is_refused():
    with pytest.raises(
        UsageError, match=r"a Spec has input_shape \(3,\) beside inputs of \[n, 12\] of whole numbers below"
    ):
        Spec((3,), 1, inputs=Input((12,), vocabulary=5))


class ByName(nn.Module):
    def forward(self, right, left=None):
        return right, left


@pytest.mark.parametrize(
    ("x", "expected"), [({"left": 1, "right": 2, "more": 3}, (2, 1)), ((1, 2), (1, 2)), ({"right": 2}, (2, None))]
)
def test_a_network_gets_what_its_forward_asks_for(x, expected):
    arguments, named = inputs.arguments_of(ByName(), x)
    assert ByName()(*arguments, **named) == expected


class Given(mamlzoo.Task):
    """Gives what it is told."""

    name = "given"

    @property
    def spec(self):
        return self.promised

    def sample(self, count, *, split, generator):
        batch = Batch(self.made(count), torch.zeros(count, 4, 1))
        return Episode(batch, batch)

    def loss(self, prediction, target):
        return (prediction - target).square().mean()

    def metrics(self, prediction, target):
        return {"mse": self.loss(prediction, target)}


WORDS = Spec(inputs=Input((3,), vocabulary=5))
PAIR = Spec(inputs={"left": Input((2,)), "there": Input((), "bool")})
BROKEN = {
    "floats for words": (
        WORDS,
        lambda n: torch.zeros(n, 4, 3),
        r"x as torch.float32; by its spec it is \[n, 3\] of whole",
    ),
    "words beyond the vocabulary": (
        WORDS,
        lambda n: torch.full((n, 4, 3), 5),
        "x with numbers from 5 to 5; its spec's vocabulary is 5",
    ),
    "one tensor for two": (
        PAIR,
        lambda n: torch.zeros(n, 4, 2),
        r"x as a Tensor; by its spec it must be left \[n, 2\] and",
    ),
    "a tensor too few": (PAIR, lambda n: {"left": torch.zeros(n, 4, 2)}, r"x as a dict; by its spec it must be left"),
    "numbers for truth": (
        PAIR,
        lambda n: {"left": torch.zeros(n, 4, 2), "there": torch.zeros(n, 4)},
        r"x\.there as torch.float32; by its spec it is \[n\] of truth values: end it with .bool\(\)",
    ),
    "other examples": (
        PAIR,
        lambda n: {"left": torch.zeros(n, 4, 2), "there": torch.zeros(n, 3, dtype=torch.bool)},
        "x.there of 3 examples beside x.left of 4",
    ),
}


@pytest.mark.parametrize(("promised", "made", "complaint"), BROKEN.values(), ids=BROKEN)
def test_inputs_that_are_not_what_the_spec_says_are_the_tasks_fault(promised, made, complaint):
    task = type("Broken", (Given,), {"promised": promised, "made": lambda self, n: made(n)})
    with pytest.raises(PluginError, match=complaint):
        mamlzoo.run(task, nn.Linear(1, 1), "maml", **QUICK)


def test_a_network_for_other_inputs_does_not_fit_and_says_what_the_task_needs():
    task = type("Words", (Given,), {"promised": WORDS, "made": lambda self, n: torch.zeros(n, 4, 3).long()})
    with pytest.raises(
        UsageError, match=r"the task needs inputs \[n, 3\] of whole numbers below 5 and outputs \[n, 1\]"
    ):
        mamlzoo.run(task, nn.Linear(3, 1), "maml", **QUICK)
    with pytest.raises(
        UsageError, match=r"'mlp' takes numbers, .* inputs are \[n, 3\] of whole numbers below 5; choose"
    ):
        mamlzoo.run(task, "mlp", "maml", **QUICK)
