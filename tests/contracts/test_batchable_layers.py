"""Several tasks at once give the meta-gradient of one after another, whatever layers a network has; or that is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import vmap

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.engine.batching_check import off_by
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.episodes import draw
from mamlzoo.engine.gradients import EAGER
from mamlzoo.runs.name_resolution import plugin
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_algorithms.maml import MAML
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")
QUICK = {"iterations": 2, "meta_batch": 3, "test_tasks": 4, "test_steps": 2}


def between(layer):
    return lambda: nn.Sequential(nn.Linear(1, 6), nn.Tanh(), layer(), nn.Linear(6, 1))


class Padded(nn.Module):
    """Three words beside the number, of which the first is padding."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(3, 4, padding_idx=0), nn.Linear(5, 1)

    def forward(self, x):
        return self.out(torch.cat([x, torch.tanh(self.words((x[:, 0].sign() + 1).long()))], 1))


class Images(nn.Module):
    """The number as an image, which is normalised by its channels."""

    def __init__(self, norm):
        super().__init__()
        self.enter, self.norm, self.out = nn.Linear(1, 12), norm, nn.Linear(12, 1)

    def forward(self, x):
        return self.out(self.norm(torch.tanh(self.enter(x)).reshape(-1, 3, 2, 2)).flatten(1))


class Cell(nn.Module):
    """A cell of a recurrent network, twice."""

    def __init__(self, kind):
        super().__init__()
        self.cell, self.out = kind(1, 5), nn.Linear(5, 1)

    def forward(self, x):
        state = self.cell(x)
        state = self.cell(x, state)
        return self.out(state[0] if isinstance(state, tuple) else state)


NETWORKS = {
    "batch norm": between(lambda: nn.BatchNorm1d(6)),
    "batch norm without weights": between(lambda: nn.BatchNorm1d(6, affine=False)),
    "batch norm of images": lambda: Images(nn.BatchNorm2d(3)),
    "layer norm": between(lambda: nn.LayerNorm(6)),
    "layer norm of images": lambda: Images(nn.LayerNorm([3, 2, 2])),
    "instance norm": lambda: Images(nn.InstanceNorm2d(3, affine=True)),
    "group norm": lambda: Images(nn.GroupNorm(3, 3)),
    "one prelu": between(nn.PReLU),
    "a prelu a channel": between(lambda: nn.PReLU(6)),
    "padding": Padded,
    "a GRU's cell": lambda: Cell(nn.GRUCell),
    "an LSTM's cell": lambda: Cell(nn.LSTMCell),
    "a recurrent cell": lambda: Cell(nn.RNNCell),
}
"""Those that torch 2.13 gets wrong, and their relatives."""


def bound(network, seeds, dtype=torch.float64):
    return bind_seeds(Sine(shots=5), plugin("model", network), MAML(inner_lr=0.1), seeds, CPU, dtype)


def episodes(seeds, tasks, dtype=torch.float64):
    drawn = mamlzoo.tree_map(lambda leaf: leaf.to(dtype), draw(Sine(shots=5), tasks, 0, "train", 0, CPU))
    return mamlzoo.tree_map(lambda leaf: torch.stack([leaf] * seeds), drawn)


@pytest.mark.parametrize(("seeds", "tasks"), [((0,), 3), ((0, 1), 1), ((0, 1), 2), ((0, 1, 2), 4)])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_several_tasks_at_once_have_the_meta_gradient_of_one_after_another(network, seeds, tasks):
    own, drawn = bound(network, seeds), episodes(len(seeds), tasks)
    meta = mamlzoo.tree_map(lambda leaf: leaf.clone().requires_grad_(), own.meta)
    batched, looped = (EAGER[plan](own, "mean", None)(meta, drawn, torch.tensor(0.0)) for plan in ("vmap", "loop"))
    for (name, one), two in zip(mamlzoo.named_leaves(batched.gradient), mamlzoo.leaves(looped.gradient), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_layer_composed_for_batching_gives_the_outputs_of_torchs_own(network):
    own, x = bound(network, (0,)), episodes(1, 3).support.x[0]
    params = {name: leaf[0] for name, leaf in own.meta["network"].items()}
    several = vmap(lambda x: own.learner.predict(params, x))(x)
    torch.testing.assert_close(several, torch.stack([own.learner.predict(params, each) for each in x]))


class Unknown(nn.Module):
    """Uses a function that is batched wrongly, and no layer that says so."""

    def __init__(self):
        super().__init__()
        self.enter, self.out = nn.Linear(1, 6), nn.Linear(6, 1)
        self.weight, self.bias = nn.Parameter(torch.rand(6) + 0.5), nn.Parameter(torch.rand(6))

    def forward(self, x):
        hidden = nn.functional.layer_norm(torch.tanh(self.enter(x)), (6,), self.weight, self.bias)
        return self.out(hidden)


def test_a_meta_gradient_that_batching_gets_wrong_is_known():
    assert off_by(bound(Unknown, (0,)), episodes(1, 3), "mean") > 0.01
    assert off_by(bound(NETWORKS["layer norm"], (0,)), episodes(1, 3), "mean") == 0
    assert off_by(bound("mlp", (0, 1)), episodes(2, 3), "mean") == 0


@pytest.mark.parametrize("plan", ["vmap", "compile"])
def test_a_plan_that_would_be_wrong_is_refused_with_the_one_that_is_right(plan):
    said = f"plan '{plan}' would be wrong: torch computes several tasks at once with a meta-gradient that is .*% off; "
    with pytest.raises(UsageError, match=said + "--plan loop takes one after another"):
        mamlzoo.run(model=Unknown, plan=plan, **QUICK)


class Annealed(mamlzoo.GradientDescent):
    """First-order at first, and of second order in the end."""

    name = "annealed"
    order = "surrogate"

    def meta_loss(self, learner, meta, episode, progress):
        first, second = (by.meta_loss(learner, meta, episode, progress)[0] for by in (FOMAML(), MAML()))
        return (1 - progress) * first + progress * second, {}


def test_batching_that_is_wrong_in_the_end_of_training_alone_is_refused_too():
    with pytest.raises(UsageError, match="would be wrong"):
        mamlzoo.run(model=Unknown, algorithm=Annealed(), plan="vmap", **QUICK)


def test_auto_takes_one_task_after_another_where_batching_is_wrong():
    result = mamlzoo.run(model=Unknown, **QUICK)
    assert result.plan.plan == "loop"
    assert "a meta-gradient that is" in result.plan.why
