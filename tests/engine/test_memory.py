"""How much memory something takes."""

from __future__ import annotations

import functools

import torch
from torch.func import grad, vmap

import mamlzoo
from mamlzoo.engine.memory import MIB, allocated_by, peak_memory
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")


def test_tensors_that_are_made_are_counted_and_views_are_not():
    x = torch.zeros(1000)
    assert allocated_by(lambda: x + 1) == 4000
    assert allocated_by(lambda: (x + 1).view(10, 100).t()[2:]) == 4000
    assert allocated_by(lambda: x.view(10, 100)) == 0


def test_what_vmap_and_grad_make_is_counted():
    x = torch.randn(7, 10)
    assert allocated_by(lambda: vmap(grad(lambda row: row.sin().sum()))(x)) >= 2 * 7 * 10 * 4


def test_the_peak_is_what_was_held_at_once():
    peak_memory(CPU)
    before = peak_memory(CPU)
    held = torch.ones(64 * MIB // 4)
    del held
    assert peak_memory(CPU) >= before + 60
    assert peak_memory(CPU) < before + 60


class Read(Sine):
    """Reads 256 MiB when it is first asked for its spec, and keeps none of them."""

    name = "read"

    @functools.cached_property
    def spec(self):
        torch.ones(256 * MIB // 4)
        return mamlzoo.Spec(input_shape=(1,), output_size=1)


def test_a_runs_peak_has_what_was_read_before_it_began():
    peak_memory(CPU)
    before = peak_memory(CPU)
    result = mamlzoo.run(Read(), iterations=0, test_tasks=1, test_steps=0)
    assert result.timing.peak_memory_mb >= before + 250
    assert mamlzoo.run(Sine(), iterations=0, test_tasks=1, test_steps=0).timing.peak_memory_mb < before + 250
