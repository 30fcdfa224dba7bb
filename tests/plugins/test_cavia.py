"""CAVIA: its maths on f(x, φ) = w·x + v·φ, whose squared errors have derivatives that can be written down."""

from __future__ import annotations

import pytest
import torch
from neuron_by_hand import bound, episode, gradients, padded

import mamlzoo
from mamlzoo import Input, Spec
from mamlzoo_algorithms.cavia import CAVIA

W, V, RATE = 0.7, 0.4, 0.3


def errors(context, batch):
    return W * batch.x + V * context - batch.y


def test_the_context_moves_by_the_gradient_of_the_support_loss_alone():
    data, cavia = episode(), CAVIA(context=1, inner_lr=RATE)
    learner, meta = bound(cavia, (W, V))
    by_hand = 0.0
    for steps in range(4):
        found = mamlzoo.adapt(cavia, learner, meta, data.support, steps)
        assert found.tolist() == pytest.approx([by_hand])
        by_hand -= RATE * float(2 * V * errors(by_hand, data.support).mean())  # ∂/∂φ mean (wx + vφ − y)²


def test_the_meta_gradient_of_one_step_is_the_closed_forms():
    # φ₁ = −2αv·r with r = mean over S of (wx − y), and L_Q = mean over Q of e², e = wx − y + vφ₁ = wx − y − 2αv²·r. So
    # ∂e/∂w = x − 2αv²·(mean of x over S) and ∂e/∂v = −4αv·r.
    data, cavia = episode(), CAVIA(context=1, inner_lr=RATE)
    learner, meta = bound(cavia, (W, V))
    residual = float(errors(0.0, data.support).mean())
    e = errors(-2 * RATE * V * residual, data.query)
    by_w = float((2 * e * (data.query.x - 2 * RATE * V**2 * data.support.x.mean())).mean())
    by_v = float((2 * e * -4 * RATE * V * residual).mean())
    found = gradients(cavia, learner, meta, data)["network.weight"]
    assert found.tolist() == [[pytest.approx(by_w), pytest.approx(by_v)]]


def test_a_context_that_nothing_depends_on_never_moves():
    data, cavia = episode(), CAVIA(context=1)
    learner, meta = bound(cavia, (W, 0.0))
    assert mamlzoo.adapt(cavia, learner, meta, data.support, 3).tolist() == [0.0]
    assert gradients(cavia, learner, meta, data)["network.weight"][0, 1] == 0


def test_padding_has_no_part_in_the_context():
    data, cavia = episode(), CAVIA(context=1, inner_steps=2, inner_lr=RATE)
    learner, meta = bound(cavia, (W, V))
    plain, same = (gradients(cavia, learner, meta, given) for given in (data, padded(data)))
    torch.testing.assert_close(plain, same)


def test_the_network_takes_the_context_behind_the_input():
    assert CAVIA(context=3).networks(Spec((2,), 4)) == {"network": Spec((5,), 4)}


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        (Spec((1, 6, 6), 3, "classification"), r"\[n, 1, 6, 6\]"),
        (Spec(inputs=Input((4,), vocabulary=9)), r"\[n, 4\] of whole numbers below 9"),
        (Spec(inputs={"left": Input((2,)), "right": Input((2,))}), "several tensors"),
    ],
    ids=["images", "words", "several"],
)
def test_inputs_that_are_no_vectors_are_refused(spec, given):
    with pytest.raises(mamlzoo.UsageError, match=f"'cavia' takes inputs .* and the task's are {given}; choose a task"):
        CAVIA().networks(spec)
