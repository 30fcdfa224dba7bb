"""Schedules of the outer rate: their closed forms, and torch's own schedulers as an independent computation."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim import lr_scheduler

from mamlzoo.engine.schedules import CONSTANT, Schedule, rates

STEPS = 40


def factors(schedule, steps=STEPS):
    return [schedule.factor(step, steps) for step in range(steps)]


def by_torch(make, warmup=0, steps=STEPS):
    """The factors of a scheduler of torch, after a warm-up that begins with a share of the rate."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    if warmup:
        warming = lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        scheduler = lr_scheduler.SequentialLR(optimizer, [warming, scheduler], milestones=[warmup])
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("warmup", [0, 7])
@pytest.mark.parametrize(
    ("schedule", "make"),
    [
        ({}, lambda left: lambda of: lr_scheduler.ConstantLR(of, factor=1.0)),
        (
            {"shape": "cosine", "final_factor": 0.05},
            lambda left: lambda of: lr_scheduler.CosineAnnealingLR(of, T_max=left, eta_min=0.05),
        ),
        (
            {"shape": "linear", "final_factor": 0.2},
            lambda left: lambda of: lr_scheduler.LinearLR(of, start_factor=1.0, end_factor=0.2, total_iters=left),
        ),
        (
            {"shape": "step", "decay_every": 6, "decay_factor": 0.3},
            lambda left: lambda of: lr_scheduler.StepLR(of, step_size=6, gamma=0.3),
        ),
    ],
    ids=["constant", "cosine", "linear", "step"],
)
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # of torch's own SequentialLR
def test_factors_are_those_of_torchs_schedulers(schedule, make, warmup):
    ours = factors(Schedule(**schedule, warmup=warmup))
    assert ours == pytest.approx(by_torch(make(STEPS - warmup), warmup), rel=1e-9, abs=1e-12)


def test_the_cosine_is_equation_5_of_loshchilov_and_hutter():
    highest, lowest = 0.3, 0.06
    schedule = Schedule("cosine", final_factor=lowest / highest)
    for step in range(STEPS):
        published = lowest + (highest - lowest) * (1 + math.cos(math.pi * step / STEPS)) / 2
        assert highest * schedule.factor(step, STEPS) == pytest.approx(published, rel=1e-12)


@pytest.mark.parametrize("shape", ["cosine", "linear"])
def test_what_falls_begins_with_the_whole_rate_and_ends_with_the_final_factor(shape):
    schedule = Schedule(shape, final_factor=0.1)
    assert schedule.factor(0, STEPS) == 1.0
    assert schedule.factor(STEPS // 2, STEPS) == pytest.approx(0.55)
    assert schedule.factor(STEPS, STEPS) == pytest.approx(0.1)
    assert schedule.factor(STEPS + 5, STEPS) == pytest.approx(0.1)  # beyond the last meta-step, in its block
    assert factors(schedule) == sorted(factors(schedule), reverse=True)


def test_steps_fall_in_three_equal_parts_unless_said_otherwise():
    assert factors(Schedule("step", decay_factor=0.5), 9) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_warming_up_grows_to_the_whole_rate():
    assert factors(Schedule(warmup=4), 6) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factors(Schedule("cosine", warmup=9), 3) == pytest.approx([1 / 9, 2 / 9, 3 / 9])  # longer than training


def test_a_constant_rate_is_what_was_given_to_the_last_bit():
    lrs = (0.1, 1e-3, 1 / 3)
    found = rates(lrs, CONSTANT, 7, 0, 7)
    assert found.dtype == torch.float64
    assert found.tolist() == [list(lrs)] * 7


def test_rates_are_a_pure_function_of_the_meta_step():
    schedule = Schedule("cosine", warmup=3)
    whole = rates((0.1, 0.01), schedule, 20, 0, 20)
    assert torch.equal(whole[5:9], rates((0.1, 0.01), schedule, 20, 5, 9))
