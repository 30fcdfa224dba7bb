"""Meta-curvature: products with its matrices, by hand and by one large matrix."""

from __future__ import annotations

import pytest
import torch
from neuron_by_hand import THETA, bound, curvature, episode, gradients, padded, slope
from torch import nn

import mamlzoo
from mamlzoo import Batch, Spec
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.meta_curvature import MetaCurvature

OUTPUTS, INPUTS, RATE = 1.5, -0.4, 0.1


def with_matrices(meta):
    """θ of the neuron, whose two matrices are numbers."""
    numbers = {"weight.outputs": OUTPUTS, "weight.inputs": INPUTS}
    matrices = {n: torch.tensor([[v]], dtype=torch.float64, requires_grad=True) for n, v in numbers.items()}
    return {"network": meta["network"], "curvature": matrices}


def test_the_meta_gradient_of_one_step_is_the_closed_forms():
    # φ = θ − α·a·b·L_S′(θ), so ∂φ/∂θ = 1 − α·a·b·h, ∂φ/∂a = −α·b·L_S′(θ), ∂φ/∂b = −α·a·L_S′(θ).
    data, algorithm = episode(), MetaCurvature(inner_lr=RATE)
    learner, meta = bound(algorithm)
    inner = slope(THETA, data.support)
    outer = slope(THETA - RATE * OUTPUTS * INPUTS * inner, data.query)
    found = gradients(algorithm, learner, with_matrices(meta), data)
    assert {name: float(value) for name, value in found.items()} == {
        "network.weight": pytest.approx((1 - RATE * OUTPUTS * INPUTS * curvature(data.support)) * outer),
        "curvature.weight.outputs": pytest.approx(-RATE * INPUTS * inner * outer),
        "curvature.weight.inputs": pytest.approx(-RATE * OUTPUTS * inner * outer),
    }


def test_its_matrices_are_identities_at_the_start_and_it_is_maml():
    torch.manual_seed(0)
    network, data = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1)).double(), episode()
    learner, meta = mamlzoo.bind(MetaCurvature(inner_steps=2, inner_lr=RATE), network, nn.functional.mse_loss)
    assert all(torch.equal(m, torch.eye(len(m), dtype=m.dtype)) for m in meta["curvature"].values())
    found = gradients(MetaCurvature(inner_steps=2, inner_lr=RATE), learner, meta, data)
    of_maml = gradients(MAML(inner_steps=2, inner_lr=RATE), learner, {"network": meta["network"]}, data)
    torch.testing.assert_close({name: found[name] for name in of_maml}, of_maml)


def test_a_step_multiplies_by_the_kronecker_product_of_an_axis_matrices():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, (2, 4)), nn.Tanh(), nn.Flatten(), nn.Linear(3, 5)).double()
    algorithm, spec = MetaCurvature(inner_lr=RATE), Spec((2, 2, 4), 5)
    learner, meta = mamlzoo.bind(algorithm, network, nn.functional.mse_loss, spec)
    matrices = mamlzoo.tree_map(torch.randn_like, meta["curvature"])
    support = Batch(torch.randn(7, 2, 2, 4, dtype=torch.float64), torch.randn(7, 5, dtype=torch.float64))
    theta = meta["network"]
    fast = algorithm.adapt(learner, meta | {"curvature": matrices}, theta, support)
    gradient = learner.gradient(theta, support)
    for name, axes in {
        "0.weight": ("outputs", "inputs", "filter"),
        "0.bias": ("outputs",),
        "3.weight": ("outputs", "inputs"),
        "3.bias": ("outputs",),
    }.items():
        whole = torch.ones(1, 1, dtype=torch.float64)
        for axis in axes:
            whole = torch.kron(whole, matrices[f"{name}.{axis}"])
        by_hand = theta[name].flatten() - RATE * whole @ gradient[name].flatten()
        torch.testing.assert_close(fast[name].flatten(), by_hand)


def test_a_parameter_that_is_one_number_has_a_matrix_of_one_number():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

        def forward(self, x):
            return self.scale * x

    algorithm, data = MetaCurvature(inner_lr=RATE), episode()
    learner, meta = mamlzoo.bind(algorithm, Scaled(), nn.functional.mse_loss)
    meta["curvature"] = {"scale.outputs": torch.tensor([[3.0]], dtype=torch.float64)}
    fast = algorithm.adapt(learner, meta, meta["network"], data.support)
    assert fast["scale"].shape == ()
    assert float(fast["scale"].detach()) == pytest.approx(0.5 - 3 * RATE * slope(0.5, data.support))


def test_padding_has_no_part():
    data, algorithm = episode(), MetaCurvature(inner_lr=RATE, inner_steps=2)
    learner, meta = bound(algorithm)
    plain, same = (gradients(algorithm, learner, with_matrices(meta), given) for given in (data, padded(data)))
    torch.testing.assert_close(plain, same)
