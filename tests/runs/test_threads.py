"""How many threads a run uses, for whatever it does."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs import execution
from mamlzoo.runs.setup import rehearse
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine


class Watched(Sine):
    """Notes of each split how many threads there are while it draws."""

    drawing: ClassVar[set[tuple[str, int]]] = set()

    def sample(self, count, *, split, generator):
        self.drawing.add((split, torch.get_num_threads()))
        return super().sample(count, split=split, generator=generator)


@pytest.fixture
def experiment():
    """Of a run that is given two threads, in a process that has another number."""
    assert torch.get_num_threads() == 1
    Watched.drawing.clear()
    settings = Settings(threads=2, iterations=2, test_tasks=2, test_steps=1, validate_every=1, plan="loop")
    return Experiment(Watched(), MLP(hidden=(4,)), FOMAML(), settings)


def test_a_run_draws_its_episodes_on_as_many_threads_as_its_settings_say(experiment):
    execution.run(experiment)
    assert Watched.drawing == {("train", 2), ("valid", 2), ("test", 2)}
    assert torch.get_num_threads() == 1


def test_a_rehearsal_draws_its_episodes_on_as_many_threads_as_the_settings_say(experiment):
    rehearse(experiment)
    assert {threads for _, threads in Watched.drawing} == {2}
    assert torch.get_num_threads() == 1
