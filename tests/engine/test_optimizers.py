"""Any optimiser of torch.optim, each seed as if it were alone."""

from __future__ import annotations

import pytest
import torch

from mamlzoo.engine.optimizers import UNFIT, OuterOptimizer, optimizer_class
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
    together = start.clone()
    optimizer = OuterOptimizer(name, 0.01, [together])
    for gradient in gradients:
        optimizer.step([gradient])
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


def test_an_optimiser_that_refuses_the_model_is_named():
    with pytest.raises(UsageError, match="optimizer 'muon' cannot train this model"):
        OuterOptimizer("muon", 0.01, [torch.zeros(1, 3)])
