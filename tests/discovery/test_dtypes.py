"""What kind of numbers a task may give, and that it is the task's fault if it gives others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_blame import QUICK, changed, refused, variant

import mamlzoo
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

LABELS = {
    "floats": (torch.Tensor.float, "support.y as torch.float32; targets of a classification must be class indices from 0 to 4, as"),
    "int32": (torch.Tensor.int, "support.y as torch.int32; targets of a classification must be class indices from 0 to 4, as torch.int64: "),
    "bytes": (torch.Tensor.byte, "as torch.uint8; "),
    "counted from 1": (lambda y: y + 1, "support.y with classes from 1 to 5; targets of a classification must be class indices from 0 to 4"),
    "negative": (lambda y: y - 1, "support.y with classes from -1 to 3; "),
}  # fmt: skip


@pytest.mark.parametrize("algorithm", ["maml", "protonet"])
@pytest.mark.parametrize(("change", "what"), LABELS.values(), ids=LABELS)
def test_labels_of_another_kind_are_the_tasks_fault_whichever_algorithm_meets_them(change, what, algorithm):
    said = refused(variant(Blobs, sample=changed("support", Blobs, y=change)), algorithm=algorithm)
    assert said.startswith("task 'odd' was asked for 2 episodes and returned ")
    assert what in said


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_floating_point_numbers_of_any_width_will_do(dtype):
    wide = changed("support", x=lambda x: x.to(dtype), y=lambda y: y.to(dtype))
    assert np.isfinite(mamlzoo.run(variant(Sine, sample=wide), **QUICK).evaluation.values["mse"]).all()
