"""The first notebook, number by number (shared facts: worked out by hand, by differences and by autograd)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import trees
from mamlzoo_tasks.scalar import Scalar

D1 = {
    "θ": 1.0, "L_S(θ)": 8.0, "∂L_S/∂θ": 4.0, "φ": 0.6, "L_Q(φ)": 1.96, "∂L_Q/∂φ": -2.8, "∂φ/∂θ": -1.6, "dL_Q/dθ": 4.48,
    "eq. 14": 0.8, "eq. 14 · eq. 13": -2.24,
}  # fmt: skip
D2 = {
    "θ": 1.0, "L_S(θ)": 40.0, "∂L_S/∂θ": 92.0, "φ": -8.2, "L_Q(φ)": 1142.44, "∂L_Q/∂φ": -270.4, "∂φ/∂θ": -11.2,
    "dL_Q/dθ": 3028.48, "eq. 14": -2.2, "eq. 14 · eq. 13": 594.88,
}  # fmt: skip
NOTEBOOK = {"optimizer": "sgd", "outer_lr": 0.5, "meta_reduction": "sum", "meta_batch": 2, "iterations": 1}


def verified(algorithm, **options):
    given = {f"algorithm.{name}": value for name, value in {"inner_lr": 0.1, **options}.items()}
    return mamlzoo.verify("scalar", "neuron", algorithm, options=given)


def test_the_chain_rule_has_the_facts_numbers():
    for episode, expected in zip(verified("maml").episodes, (D1, D2), strict=True):
        assert {name: value for name, value, _ in episode.chain_rule} == pytest.approx(expected)


def test_the_notebooks_wrong_numbers_are_named_as_wrong():
    remarks = {name: remark for name, _, remark in verified("maml").episodes[0].chain_rule}
    assert "WRONG" in remarks["eq. 14"]
    assert "WRONG" in remarks["eq. 14 · eq. 13"]


@pytest.mark.parametrize(("algorithm", "expected"), [("maml", (4.48, 3028.48)), ("fomaml", (-2.8, -270.4))])
def test_meta_gradients_by_every_way(algorithm, expected):
    verification = verified(algorithm)
    assert verification.passed
    for episode, value in zip(verification.episodes, expected, strict=True):
        (coordinate,) = episode.coordinates
        assert coordinate.autograd == pytest.approx(value)
        assert coordinate.differences == pytest.approx(value)
        assert coordinate.closed_form == pytest.approx(value)


def test_adapted_weights():
    assert [episode.adapted["weight"][0] for episode in verified("maml").episodes] == pytest.approx([0.6, -8.2])


@pytest.mark.parametrize(("algorithm", "theta"), [("maml", -1515.48), ("fomaml", 137.6)])
def test_the_notebooks_meta_step(algorithm, theta):
    result = mamlzoo.run("scalar", "neuron", algorithm, options={"algorithm.inner_lr": 0.1}, **NOTEBOOK)
    assert result.theta()["network.weight"] == [[pytest.approx(theta, rel=1e-6)]]


def test_nothing_accumulates_between_episodes():
    # The notebook reads 4 and then 96 = 4 + 92 where `.grad` accumulates.
    learner, meta = mamlzoo.bind(mamlzoo.installed().make("algorithm", "maml"), Neuron(), Scalar().loss)
    episodes = Scalar().sample(2, split="train", generator=torch.Generator())
    gradients = [learner.gradient(meta["network"], trees.index(episodes, at).support)["weight"] for at in (0, 1)]
    assert [float(gradient.detach()) for gradient in gradients] == [4.0, 92.0]


class Neuron(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([1.0]))

    def forward(self, x):
        return self.weight * x


@given(steps=st.integers(0, 4), rate=st.floats(0.001, 0.02), weight=st.floats(-2, 2))
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("algorithm", ["maml", "fomaml"])
def test_the_closed_form_holds_for_any_steps_rate_and_weight(algorithm, steps, rate, weight):
    options = {"algorithm.inner_lr": rate, "algorithm.inner_steps": steps, "model.weight": weight}
    verification = mamlzoo.verify("scalar", "neuron", algorithm, options=options)
    assert verification.passed
    assert all(episode.chain_rule for episode in verification.episodes)


def test_episodes_take_turns():
    episodes = Scalar().sample(3, split="train", generator=torch.Generator())
    assert episodes.support.x.squeeze(-1).tolist() == [[2, 3], [5, 6], [2, 3]]
    assert episodes.query.y.flatten().tolist() == [2, 1, 2]


def test_another_network_or_another_adaptation_has_no_closed_form():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([1.0]))

        def forward(self, x):
            return 2 * self.weight * x

    verification = mamlzoo.verify("scalar", Twice, "maml")
    assert verification.passed
    assert all(episode.chain_rule == [] for episode in verification.episodes)
