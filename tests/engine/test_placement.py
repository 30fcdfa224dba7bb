"""Other precisions, and a GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mamlzoo
from mamlzoo.errors import UsageError

QUICK = {"iterations": 10, "meta_batch": 2, "test_tasks": 8, "test_steps": 2}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def loss(**settings):
    return mamlzoo.run(**QUICK, **settings).evaluation.per_seed


@pytest.mark.parametrize("plan", ["vmap", "loop"])
def test_bfloat16_networks_learn_about_the_same(plan):
    exact, rough = loss(plan=plan), loss(plan=plan, precision="bf16")
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(rough, exact, rtol=0.05)


def test_bfloat16_leaves_parameters_in_float32():
    meta = mamlzoo.run(**QUICK, precision="bf16").meta
    assert all(leaf.dtype == torch.float32 for leaf in mamlzoo.leaves(meta))


def test_tf32_is_refused_where_it_would_change_nothing():
    with pytest.raises(UsageError, match="precision tf32 is a GPU's, and the device is cpu"):
        mamlzoo.run(**QUICK, precision="tf32")


def test_a_run_leaves_the_precision_of_matrix_products_as_it_was():
    torch.set_float32_matmul_precision("medium")
    try:
        loss()
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@needs_gpu
@pytest.mark.parametrize("plan", ["loop", "vmap", "compile"])
def test_every_plan_runs_on_a_gpu_and_finds_the_same_numbers(plan):
    np.testing.assert_allclose(loss(device="cuda", plan=plan), loss(device="cuda", plan="vmap"), rtol=1e-3)


@needs_gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_gpu_has_other_precisions(precision):
    np.testing.assert_allclose(loss(device="cuda", precision=precision), loss(device="cuda"), rtol=0.05)


@needs_gpu
def test_the_peak_memory_is_the_gpus():
    assert 0 < mamlzoo.run(**QUICK, device="cuda").timing.peak_memory_mb < 500
