"""JAX on images has the gradient of the plans, and says what it is not written for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import trees
from mamlzoo.bench.contenders import contender_for
from mamlzoo.bench.workload import CannotRunError, Work
from mamlzoo.contracts.data import Episode
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.gradients import EAGER

pytest.importorskip("jax")
pytest.importorskip("optax")
PLACE = "tests/bench/test_jax_images.py"


class Pictures(mamlzoo.Task):
    """Three classes of small images of two channels."""

    name = "pictures"

    @property
    def spec(self):
        return mamlzoo.Spec(input_shape=(2, 8, 8), output_size=3, kind="classification")

    def sample(self, count, *, split, generator):
        labels = torch.arange(3).repeat(count, 2)
        support, query = (mamlzoo.Batch(torch.randn(count, 6, 2, 8, 8, generator=generator), labels) for _ in range(2))
        return mamlzoo.Episode(support, query)

    def loss(self, prediction, target):
        return nn.functional.cross_entropy(prediction, target)

    def metrics(self, prediction, target):
        return {"accuracy": (prediction.argmax(-1) == target).float().mean()}


class Blocks(mamlzoo.Model):
    """Two blocks, after which images are still of four pixels."""

    name = "blocks"

    def build(self, spec):
        layers = []
        for channels in (2, 4):
            layers += [nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, spec.output_size))


class Recurrent(mamlzoo.Model):
    """No sequence of known layers."""

    name = "recurrent"

    def build(self, spec):
        return nn.Sequential(nn.Flatten(), nn.Linear(128, spec.output_size), nn.Tanh())


def work(algorithm="maml", contender="jax-loop", model="Blocks", **options):
    names = {"task": f"{PLACE}:Pictures", "model": f"{PLACE}:{model}", "algorithm": algorithm}
    return Work(contender, names, options, 2, 1, seconds=0.02, repeats=1)


def as_torch(gradient):
    """Weights as PyTorch has them, in the order of a network's parameters."""
    for own in gradient:
        for name in ("w", "b") if own else ():
            value = torch.from_numpy(np.array(own[name]))
            yield value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T if value.ndim == 2 else value


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("maml", {"algorithm.inner_lr": 0.1}),
        ("fomaml", {"algorithm.inner_steps": 2}),
        ("protonet", {"algorithm.embedding": 5}),
    ],
)
def test_jax_has_the_gradient_of_the_plans(algorithm, options):
    contender = contender_for(work(algorithm, **options))
    plugin = mamlzoo.make("algorithm", algorithm, **{key.partition(".")[2]: value for key, value in options.items()})
    bound = bind_seeds(Pictures(), Blocks(), plugin, (0,), torch.device("cpu"))
    (theirs,) = contender._carries
    names = list(bound.meta["network"])
    start = dict(zip(names, as_torch(theirs[0]), strict=True))
    meta = {"network": {name: value.clone()[None].requires_grad_() for name, value in start.items()}}
    episodes = Pictures().sample(2, split="train", generator=torch.Generator().manual_seed(1))
    batch = trees.tree_map(lambda leaf: leaf[None], Episode(*episodes))
    expected = EAGER["loop"](bound, "mean", None)(meta, batch, torch.tensor(0.0)).gradient["network"]
    found = contender.gradient(theirs[0], *contender.arrays(episodes))
    for name, value in zip(names, as_torch(found), strict=True):
        torch.testing.assert_close(value, expected[name][0], rtol=1e-3, atol=2e-5)


def test_it_makes_the_steps_that_it_is_asked_for():
    contender = contender_for(work())
    before = [value.clone() for value in as_torch(contender._carries[0][0])]
    assert contender.run(2) == 2
    assert not all(map(torch.equal, before, as_torch(contender._carries[0][0])))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (work("anil"), "is written for maml, fomaml and protonet"),
        (work(contender="jax-scan"), "on images JAX's step is timed in a loop"),
        (work(model="Recurrent"), "has no layer Tanh"),
    ],
)
def test_what_it_is_not_written_for_is_said(asked, reason):
    with pytest.raises(CannotRunError, match=reason):
        contender_for(asked)
