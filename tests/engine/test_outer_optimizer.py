"""Any optimiser of torch.optim, each seed as if it were alone."""

from __future__ import annotations

import pytest
import torch

from mamlzoo import trees
from mamlzoo.engine.outer_optimizer import UNFIT, OuterOptimizer, optimizer_class
from mamlzoo.errors import UsageError

NAMES = sorted(
    name.lower()
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
)
FIT = [name for name in NAMES if name not in UNFIT]


@pytest.mark.parametrize("name", FIT)
def test_seeds_together_are_the_seeds_alone(name):
    shape = (4, 3)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2, *shape, generator=generator)
    gradients = torch.randn(5, 2, *shape, generator=generator)
    optimizer = OuterOptimizer(name, 0.01, {"network": {"weight": start}})
    for gradient in gradients:
        optimizer.step({"network": {"weight": gradient}})
    together = optimizer.meta["network"]["weight"].detach()
    for seed in range(2):
        alone = torch.nn.Parameter(start[seed].clone())
        reference = optimizer_class(name)([alone], lr=0.01)
        for gradient in gradients:
            alone.grad = gradient[seed].clone()
            reference.step()
        torch.testing.assert_close(together[seed], alone.detach())
    assert not torch.equal(together, start)


@pytest.mark.parametrize("name", UNFIT)
def test_an_optimiser_that_cannot_serve_is_refused(name):
    with pytest.raises(UsageError, match=f"optimizer '{name}' cannot be the outer optimiser"):
        optimizer_class(name)


def test_an_unknown_optimiser_brings_the_nearest_one():
    with pytest.raises(UsageError, match="no optimizer 'adamm'; did you mean 'adam'"):
        optimizer_class("adamm")


def test_names_may_be_capitalised():
    assert optimizer_class("AdamW") is torch.optim.AdamW


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has no Muon before 2.9")
def test_an_optimiser_that_refuses_the_model_is_named():
    with pytest.raises(UsageError, match="optimizer 'muon' cannot train this model"):
        OuterOptimizer("muon", 0.01, {"network": {"bias": torch.zeros(1, 3)}})


@pytest.mark.parametrize("name", [name for name in FIT if name != "asgd"])  # which cannot be traced
def test_an_update_is_a_step_that_changes_nothing(name):
    generator = torch.Generator().manual_seed(0)
    meta = {"network": {"weight": torch.randn(2, 4, 3, generator=generator)}}
    first, second = ({"network": {"weight": torch.randn(2, 4, 3, generator=generator)}} for _ in range(2))
    optimizer = OuterOptimizer(name, 0.01, meta)
    optimizer.step(first)
    theta, state = optimizer.theta.clone(), [value.clone() for value in optimizer.state()]
    updated, new = optimizer.update(
        optimizer.theta, optimizer.state(), trees.ravel(second), torch.tensor([0.01], dtype=torch.float64)
    )
    assert torch.equal(optimizer.theta, theta)
    assert all(torch.equal(a, b) for a, b in zip(optimizer.state(), state, strict=True))
    optimizer.step(second)
    torch.testing.assert_close(updated, optimizer.theta)
    for a, b in zip(new, optimizer.state(), strict=True):
        torch.testing.assert_close(a, b)


def test_an_optimiser_goes_on_from_what_it_is_given():
    meta = {"network": {"weight": torch.ones(1, 3)}}
    gradient = {"network": {"weight": torch.full((1, 3), 0.5)}}
    one, two = OuterOptimizer("adam", 0.1, meta), OuterOptimizer("adam", 0.1, meta)
    one.step(gradient)
    two.step({"network": {"weight": torch.zeros(1, 3)}})
    two.load(one.theta, [value.clone() for value in one.state()])
    one.step(gradient)
    two.step(gradient)
    assert torch.equal(one.theta, two.theta)
    assert torch.equal(two.meta["network"]["weight"], one.meta["network"]["weight"])
