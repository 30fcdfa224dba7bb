"""Networks are differentiated twice, attention too, by every plan, and wherever a run is called from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import trees
from mamlzoo.testing import outcomes_of
from mamlzoo_algorithms.maml import MAML
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "seeds": 2, "optimizer": "sgd"}
SINE = Sine(shots=3, queries=3, test_points=3)


class Attending(nn.Module):
    """A network whose middle attends to itself, in 3 places of 4 numbers."""

    def __init__(self, middle):
        super().__init__()
        self.enter, self.middle, self.leave = nn.Linear(1, 12), middle, nn.Linear(12, 1)

    def forward(self, x):
        return self.leave(self.middle(self.enter(x).unflatten(-1, (3, 4))).flatten(1))


class Functional(nn.Module):
    """`scaled_dot_product_attention` alone."""

    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x.cos(), x.sin())


class MultiHead(nn.MultiheadAttention):
    """`MultiheadAttention` of a sequence with itself."""

    def __init__(self, **options):
        super().__init__(4, 2, batch_first=True)
        self.options = options

    def forward(self, x):
        return super().forward(x, x, x, **self.options)[0]


def encoder():
    return nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True)


MIDDLES = {
    "functional": Functional,
    "weighing": MultiHead,
    "fused": lambda: MultiHead(need_weights=False),
    "encoder": encoder,
    "evaluated encoder": lambda: encoder().eval(),
}


def network(middle):
    return lambda: Attending(middle())


@pytest.mark.parametrize("middle", MIDDLES.values(), ids=MIDDLES)
def test_plans_agree(middle):
    batched, looped = (mamlzoo.run(SINE, network(middle), plan=plan, **QUICK) for plan in ("vmap", "loop"))
    assert not batched.diverged
    for one, two in zip(trees.leaves(batched.meta), trees.leaves(looped.meta), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)
    mse = batched.evaluation.values["mse"]
    np.testing.assert_allclose(mse, looped.evaluation.values["mse"], rtol=1e-3)


@pytest.mark.slow
def test_it_compiles():
    compiled, batched = (mamlzoo.run(SINE, network(Functional), plan=plan, **QUICK) for plan in ("compile", "vmap"))
    assert compiled.plan.plan == "compile"
    for one, two in zip(trees.leaves(compiled.meta), trees.leaves(batched.meta), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("middle", [Functional, lambda: encoder().eval()], ids=["functional", "encoder"])
def test_the_meta_gradient_is_that_of_differences(middle):
    assert mamlzoo.verify(SINE, network(middle), coordinates=8, episodes=1).passed


def test_in_a_loop_of_ones_own_the_meta_loss_goes_back_through_it():
    net = Attending(encoder())
    learner, meta = mamlzoo.bind(MAML(), net, nn.functional.mse_loss)
    episodes = SINE.sample(2, split="train", generator=torch.Generator().manual_seed(0))
    mamlzoo.meta_loss(MAML(), learner, meta, episodes).backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_an_adapted_network_predicts_alone_what_the_run_predicts():
    result = mamlzoo.run(SINE, network(lambda: encoder().eval()), **QUICK)
    x = torch.linspace(-1, 1, 4)[:, None]
    adapted = result.adapt(x, x.sin(), steps=2)
    with torch.no_grad():
        np.testing.assert_allclose(adapted.module()(x).numpy(), adapted.predict(x), rtol=1e-4, atol=1e-5)


def test_torchs_own_choice_of_a_kernel_is_as_it_was_also_behind_an_error():
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled()
    learner, meta = mamlzoo.bind(MAML(), Attending(encoder()), nn.functional.mse_loss)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        learner.predict(meta["network"], torch.ones(2, 7))
    assert before == (torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled())
    assert all(before)


def test_it_conforms():
    class Attention(mamlzoo.Model):
        """A network with attention."""

        name = "attention"

        def build(self, spec):
            if spec.input_shape != (1,):
                raise mamlzoo.UsageError("for one number alone")
            net = Attending(encoder())
            net.leave = nn.Linear(12, spec.output_size)
            return net

    assert [outcome.finding for outcome in outcomes_of(Attention()) if outcome.verdict != "passed"] == []


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_run_differentiates_also_where_its_caller_does_not(mode):
    settings = QUICK | {"plan": "loop", "seeds": 1}
    expected = mamlzoo.run(**settings)
    with mode():
        found = mamlzoo.run(**settings)
        adapted = found.adapt([[0.0], [1.0]], [[0.0], [1.0]], steps=1)
        assert mamlzoo.verify("scalar", "neuron", episodes=1).passed
        assert not torch.is_grad_enabled()
    assert trees.equal(found.meta, expected.meta)
    assert np.isfinite(adapted.losses).all()
