"""The options of every outer optimiser: read from its signature, checked by torch, and obeyed."""

from __future__ import annotations

import inspect

import pytest
import torch
from test_outer_optimizer import FIT

from mamlzoo import trees
from mamlzoo.engine.optimizer_options import NOT_OFFERED, checked, options_of_optimizer
from mamlzoo.engine.outer_optimizer import OuterOptimizer, Part, optimizer_class
from mamlzoo.errors import UsageError

GIVEN = {
    "adadelta": {"rho": 0.8, "weight_decay": 0.1},
    "adafactor": {"beta2_decay": -0.7, "d": 2.0, "weight_decay": 0.1},
    "adagrad": {"lr_decay": 0.1, "initial_accumulator_value": 0.2, "weight_decay": 0.1},
    "adam": {"betas": (0.8, 0.9), "eps": 1e-3, "amsgrad": True, "weight_decay": 0.1},
    "adamax": {"betas": (0.8, 0.9), "weight_decay": 0.1},
    "adamw": {"weight_decay": 0.5, "amsgrad": True},
    "asgd": {"lambd": 0.1, "t0": 2.0, "weight_decay": 0.1},
    "muon": {"momentum": 0.5, "nesterov": False, "ns_steps": 3, "weight_decay": 0.2},
    "nadam": {"momentum_decay": 0.1, "decoupled_weight_decay": True, "weight_decay": 0.1},
    "radam": {"betas": (0.5, 0.6), "weight_decay": 0.1},
    "rmsprop": {"alpha": 0.8, "centered": True, "momentum": 0.5},
    "rprop": {"etas": (0.4, 1.3), "step_sizes": (1e-3, 0.1)},
    "sgd": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
}


def test_every_optimiser_is_looked_at():
    assert set(FIT) <= set(GIVEN)


@pytest.mark.parametrize("name", FIT)
def test_all_of_a_signature_is_offered_but_what_is_not_to_be_chosen(name):
    first, *others = inspect.signature(optimizer_class(name)).parameters
    assert first == "params"
    assert set(options_of_optimizer(name)) == set(others) - set(NOT_OFFERED)
    assert all(option.type in (bool, int, float, str) for option in options_of_optimizer(name).values())


@pytest.mark.parametrize("name", FIT)
def test_options_are_obeyed_for_each_seed_as_if_it_were_alone(name):
    given = checked(name, GIVEN[name])
    generator = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(2, 4, 3, generator=generator), torch.randn(6, 2, 4, 3, generator=generator)
    optimizer, usual = (
        OuterOptimizer(name, [Part(0.01, options=options)], {"network": {"weight": start}}) for options in (given, {})
    )
    for gradient in gradients:
        optimizer.step({"network": {"weight": gradient}})
        usual.step({"network": {"weight": gradient}})
    together = optimizer.meta["network"]["weight"].detach()
    assert not torch.equal(together, usual.meta["network"]["weight"])
    for seed in range(2):
        alone = torch.nn.Parameter(start[seed].clone())
        reference = optimizer_class(name)([alone], lr=0.01, **GIVEN[name])
        for gradient in gradients:
            alone.grad = gradient[seed].clone()
            reference.step()
        torch.testing.assert_close(together[seed], alone.detach())


@pytest.mark.parametrize("name", [name for name in FIT if name != "asgd"])  # which cannot be traced
def test_an_update_obeys_them_and_a_rate_of_its_own_as_a_step_does(name):
    generator = torch.Generator().manual_seed(0)
    meta = {"network": {"weight": torch.randn(2, 4, 3, generator=generator)}}
    first, second = ({"network": {"weight": torch.randn(2, 4, 3, generator=generator)}} for _ in range(2))
    optimizer = OuterOptimizer(name, [Part(0.01, options=checked(name, GIVEN[name]))], meta)
    optimizer.step(first)
    rates = torch.tensor([0.003], dtype=torch.float64)
    updated, new = optimizer.update(optimizer.theta, optimizer.state(), trees.ravel(second), rates)
    optimizer.step(second, rates.tolist())
    torch.testing.assert_close(updated, optimizer.theta)
    for one, two in zip(new, optimizer.state(), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("adam", {"weight_decay": -1.0}, "optimizer 'adam' refuses weight_decay = -1.0: Invalid weight_decay value: -1.0"),
        ("adam", {"betas": (0.9, 1.5)}, "optimizer 'adam' refuses betas = (0.9, 1.5): Invalid beta parameter at index 1: 1.5"),
        ("adam", {"betas": (0.9,)}, "optimizer 'adam': betas must be 2 values, as 0.9,0.999, not '0.9'"),
        ("adam", {"betas": 0.9}, "optimizer 'adam': betas must be several values of type float, not 0.9"),
        ("adam", {"weigt_decay": 1}, "optimizer 'adam' has no option 'weigt_decay'; did you mean 'weight_decay'"),
        ("adam", {"eps": float("nan")}, "optimizer 'adam': eps must be finite, not nan"),
        ("adam", {"amsgrad": 1}, "optimizer 'adam': amsgrad must be of type bool, not 1"),
        ("sgd", {"nesterov": True}, "optimizer 'sgd' refuses nesterov = True: Nesterov momentum requires a momentum"),
        ("sgd", {"lr": 1.0}, "optimizer 'sgd' is not given lr: the rate is the setting outer_lr, --outer-lr"),
        ("adamm", {}, "torch.optim has no optimizer 'adamm'; did you mean 'adam'"),
        *(("adam", {name: True}, f"optimizer 'adam' is not given {name}: ") for name in NOT_OFFERED),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(name, given, said):
    with pytest.raises(UsageError) as error:
        checked(name, given)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_dashes_stand_for_underscores_and_whole_numbers_for_numbers():
    assert checked("sgd", {"weight-decay": 1, "momentum": 0}) == {"weight_decay": 1.0, "momentum": 0.0}
