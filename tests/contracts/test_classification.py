"""A classifier's metrics, beside counting and the cross-entropy by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mamlzoo import class_metrics


def test_accuracy_is_the_share_of_largest_outputs_and_the_loss_is_minus_log_p():
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0], [0.0, math.log(4)]])
    found = class_metrics(logits, torch.tensor([0, 1, 0]))
    assert float(found["accuracy"]) == pytest.approx(1 / 3)  # of equal outputs the first is the largest
    assert float(found["loss"]) == pytest.approx(-(math.log(3 / 4) + math.log(1 / 2) + math.log(1 / 5)) / 3)
