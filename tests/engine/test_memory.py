"""How much memory something takes."""

from __future__ import annotations

import torch
from torch.func import grad, vmap

from mamlzoo.engine.memory import MIB, PeakMemory, allocated_by


def test_tensors_that_are_made_are_counted_and_views_are_not():
    x = torch.zeros(1000)
    assert allocated_by(lambda: x + 1) == 4000
    assert allocated_by(lambda: (x + 1).view(10, 100).t()[2:]) == 4000
    assert allocated_by(lambda: x.view(10, 100)) == 0


def test_what_vmap_and_grad_make_is_counted():
    x = torch.randn(7, 10)
    assert allocated_by(lambda: vmap(grad(lambda row: row.sin().sum()))(x)) >= 2 * 7 * 10 * 4


def test_the_peak_is_what_was_held_at_once():
    peak = PeakMemory(torch.device("cpu"))
    before = peak.mebibytes()
    held = torch.ones(64 * MIB // 4)
    del held
    assert peak.mebibytes() >= before + 60
    assert PeakMemory(torch.device("cpu")).mebibytes() < before + 60
