"""A program is held to the meta-steps of the vmap plan: what is wrong is found, and rounding is not."""

from __future__ import annotations

import pytest
import torch
from every_algorithm import TRAINED, fitting
from test_program import OPTIMIZERS, UNTRACEABLE, Traced, bias_free
from torch import nn

from mamlzoo.engine.compilation.agreement import disagreement
from mamlzoo.engine.compilation.graph import roughness
from mamlzoo.engine.compilation.program import Replay
from mamlzoo.engine.gradients import EAGER
from mamlzoo.runs.name_resolution import as_model
from mamlzoo_algorithms.maml import MAML


def found(trial, run=None):
    """What the comparison says of a graph, executed as it is or by another function."""
    graph = trial.traced.graph
    gradients = EAGER["vmap"](trial.bound, trial.reduction, None)
    compiled = trial.steps(run or Replay(graph))
    return disagreement(trial.vmap, compiled, gradients, trial.block, roughness(graph))


@pytest.mark.parametrize(
    "algorithm",
    [name if name == "protonet" else pytest.param(name, marks=pytest.mark.slow) for name in TRAINED],
)
def test_the_graph_of_every_algorithm_agrees(algorithm):
    # With Adam, which makes a whole step of a gradient that is nothing but rounding, as that of ProtoNet's last bias.
    assert found(Traced(fitting(algorithm).shortened(), task=fitting(algorithm).task)) is None


@pytest.mark.parametrize(
    "optimizer",
    [
        name if name == "adam" else pytest.param(name, marks=pytest.mark.slow)
        for name in OPTIMIZERS
        if name not in UNTRACEABLE
    ],
)
def test_the_graph_with_every_optimiser_agrees(optimizer):
    assert found(Traced(MAML(), optimizer=optimizer, model=as_model(bias_free))) is None


class Coarse(nn.Module):
    """Computes in bfloat16."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(1, 16), nn.Linear(16, 1)

    def forward(self, x):
        hidden = torch.tanh(
            nn.functional.linear(x.bfloat16(), self.first.weight.bfloat16(), self.first.bias.bfloat16())
        )
        return nn.functional.linear(hidden, self.last.weight.bfloat16(), self.last.bias.bfloat16()).float()


class InFloat32(torch.fx.Interpreter):
    """Computes in float32 what a graph computes in bfloat16: no compiler that fuses operations keeps more digits."""

    def call_function(self, target, args, kwargs):
        if kwargs.get("dtype") == torch.bfloat16:
            kwargs = {**kwargs, "dtype": torch.float32}
        if target is torch.ops.aten.view.default:  # strides are others
            target = torch.ops.aten.reshape.default
        return super().call_function(target, args, kwargs)


@pytest.mark.slow
def test_bfloat16_may_be_rounded_elsewhere_but_not_become_anything():
    trial, again = Traced(MAML(), model=as_model(Coarse)), Traced(MAML(), model=as_model(Coarse))
    assert roughness(trial.traced.graph) == torch.finfo(torch.bfloat16).eps
    assert found(trial, Replay(InFloat32(trial.traced.graph).run)) is None
    assert found(again, at_the_rate(2e-3, Replay(InFloat32(again.traced.graph).run))) == "θ"


@pytest.mark.slow
def test_meta_steps_that_diverge_agree():
    trial = Traced(MAML(inner_lr=1e8, inner_steps=3), optimizer="sgd", lr=1e20)
    assert found(trial) is None
    assert trial.vmap.optimizer.theta.isnan().any()


def at_the_rate(rate, run):
    """The same program, given another rate."""

    def other(first, last, carried, given):
        progress, rates, *rest = given
        return run(first, last, carried, [progress, torch.full_like(rates, rate), *rest])

    return other


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        ("adam", 1e-3 * (1 + 2**-12)),
        ("sgd", 1.01e-3),
        pytest.param("adam", 1.001e-3, marks=pytest.mark.slow),
        pytest.param("adam", 2e-3, marks=pytest.mark.slow),
    ],
)
def test_a_rate_that_is_a_little_off_is_found(optimizer, rate):
    trial = Traced(MAML(), optimizer=optimizer)
    assert found(trial, at_the_rate(rate, Replay(trial.traced.graph))) == "θ"


@pytest.mark.parametrize(
    ("constant", "other"), [(0.1, 0.11), (0.999, 0.9989), pytest.param(1e-8, 1e-6, marks=pytest.mark.slow)]
)
def test_another_constant_of_adam_is_found(constant, other):
    trial = Traced(MAML())
    graph, changed = trial.traced.graph, 0
    for node in graph.graph.nodes:
        for at, value in enumerate(node.args):
            if isinstance(value, float) and abs(value - constant) < 1e-12:
                node.update_arg(at, other)
                changed += 1
    assert changed
    graph.recompile()
    assert found(trial, Replay(graph)) is not None


def test_several_meta_steps_in_one_call_are_those_of_several_calls():
    trial = Traced(MAML())
    right = Replay(trial.traced.graph)

    def forgets(first, last, carried, given):
        return right(max(first, last - 2), last, carried, given)

    assert found(trial, forgets) == "numbers in one go"


class Kinked(nn.Module):
    """A line, and beside it a ReLU that is where it turns, at 0."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.up, self.down = nn.Parameter(torch.full((1,), 0.7)), nn.Parameter(torch.full((1,), -0.7))

    def forward(self, x):
        return self.line(x) + torch.relu(self.up + self.down)


def test_a_relu_that_rounding_turns_is_no_mistake_of_a_program():
    trial = Traced(MAML(inner_lr=0.0), model=as_model(Kinked))
    right = Replay(trial.traced.graph)
    (at,) = (place for place, name in enumerate(trial.places()) if name == "up")

    def turned(first, last, carried, given):
        for step in range(first, last):
            theta, *state = carried
            theta = theta.clone()
            theta[..., at] *= 1 + torch.finfo(theta.dtype).eps
            carried = right(step, step + 1, [theta, *state], given)
        return carried

    assert found(trial) is None
    assert found(trial, turned) is None
