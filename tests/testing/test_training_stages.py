"""An algorithm is verified where its schedule changes something, and once where it has none."""

from __future__ import annotations

import torch
from faulty_algorithms import Good, StoppingLast

from mamlzoo.testing.probes import task_for
from mamlzoo.testing.training_stages import stages
from mamlzoo_algorithms.maml_plus_plus import MAMLPlusPlus


class Late(Good):
    """Adds a number without a gradient, in late training.

    Reference: none.
    """

    def meta_loss(self, learner, meta, episode, progress):
        loss, logs = super().meta_loss(learner, meta, episode, progress)
        off = sum(leaf.detach().abs().sum() for leaf in meta["network"].values())
        return loss + torch.where(progress > 0.6, off, 0.0), logs


def test_without_a_schedule_one_stage_stands_for_all():
    assert stages(Good(), task_for(Good())) == [0.0]


def test_a_schedules_stages_are_kept():
    assert stages(MAMLPlusPlus(), task_for(MAMLPlusPlus())) == [0.0, 0.5]


def test_a_derivative_that_is_left_out_late_is_a_stage_though_the_loss_is_the_same():
    assert stages(StoppingLast(), task_for(StoppingLast()))[-1] == 1.0


def test_what_has_no_gradient_is_seen_by_its_value():
    assert stages(Late(), task_for(Late())) == [0.0, 1.0]
