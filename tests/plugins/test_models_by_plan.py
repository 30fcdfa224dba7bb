"""Every built-in network trains by every plan, and to the same θ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo.trees import leaves
from mamlzoo_models.conv4 import Conv4
from mamlzoo_models.fourier_mlp import FourierMLP
from mamlzoo_models.gru import GRU
from mamlzoo_models.lstm import LSTM
from mamlzoo_models.mlp import MLP
from mamlzoo_models.resnet12 import ResNet12
from mamlzoo_models.siren import Siren
from mamlzoo_models.transformer import Transformer

pytestmark = pytest.mark.slow  # the kit holds the meta-gradients of both plans to each other in the ordinary suite
WAYS = 3


class Shapes(mamlzoo.Task):
    """Three classes of examples of any shape around class means, two of each in both sets."""

    name = "shapes"
    shape: tuple[int, ...] = mamlzoo.option((1, 8, 8), "of an example", minimum=1)

    @property
    def spec(self):
        return Spec(self.shape, WAYS, "classification")

    def sample(self, count, *, split, generator):
        means = torch.randn(count, WAYS, *self.shape, generator=generator).repeat(1, 2, *(1 for _ in self.shape))
        labels = torch.arange(WAYS).repeat(count, 2)
        support, query = (
            Batch(means + 0.5 * torch.randn(means.shape, generator=generator), labels.clone()) for _ in range(2)
        )
        return Episode(support, query)

    def loss(self, prediction, target):
        return nn.functional.cross_entropy(prediction, target)

    def metrics(self, prediction, target):
        return {"loss": self.loss(prediction, target)}


IMAGES, SEQUENCES, VECTORS = Shapes(), Shapes(shape=(4, 3)), Shapes(shape=(2,))
CONV = Conv4(filters=4, blocks=2, groups=2)
CASES = {
    **{f"conv4 {norm}": (IMAGES, replace(CONV, norm=norm)) for norm in ("batch", "layer", "group", "instance", "none")},
    "conv4 strided": (IMAGES, replace(CONV, downsample="stride", spatial_mean=True)),
    "resnet12": (IMAGES, ResNet12(widths=(3, 4))),
    "mlp batch": (VECTORS, MLP(hidden=(6,), norm="batch", dropout=0.2)),
    "mlp layer": (VECTORS, MLP(hidden=(6,), norm="layer")),
    "fourier-mlp": (VECTORS, FourierMLP(features=5, hidden=(6,))),
    "siren": (VECTORS, Siren(hidden=(6, 5), first_omega=3.0, omega=3.0)),
    "gru": (SEQUENCES, GRU(state=5, layers=2)),
    "lstm": (SEQUENCES, LSTM(state=5)),
    "transformer": (SEQUENCES, Transformer(width=8, layers=1, heads=2)),
}


def trained(name, algorithm, plan):
    task, model = CASES[name]
    return mamlzoo.run(
        task,
        model,
        algorithm,
        plan=plan,
        iterations=3,
        meta_batch=2,
        optimizer="sgd",
        outer_lr=0.3,
        test_tasks=3,
        test_steps=1,
    )


def assert_same_theta(one, other):
    for a, b in zip(leaves(one.meta), leaves(other.meta), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("algorithm", ["maml", "protonet"])
@pytest.mark.parametrize("name", CASES)
def test_one_task_after_another_and_all_at_once_train_to_the_same_theta(name, algorithm):
    one, other = trained(name, algorithm, "loop"), trained(name, algorithm, "vmap")
    assert np.isfinite(one.evaluation.mean).all()
    assert_same_theta(one, other)


@pytest.mark.parametrize("name", CASES)
def test_so_does_a_compiled_program(name):
    compiled = trained(name, "maml", "compile")
    assert compiled.plan.plan == "compile"
    assert_same_theta(compiled, trained(name, "maml", "vmap"))
