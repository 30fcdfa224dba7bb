"""Arrays as a whole task: run, compared, recorded, gone on with; green in the conformance kit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mamlzoo
from mamlzoo import Range, UsageError
from mamlzoo.testing import conformance


def digits(seed=0):
    """Pictures [400, 8, 8] of ten shapes, in bytes, and what each is of."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 400)
    shapes = np.random.default_rng(1).integers(0, 200, (10, 8, 8))
    return (shapes[labels] + rng.integers(0, 56, (400, 8, 8))).astype(np.uint8), labels


def lines(seed=0):
    """Points of 30 lines through zero: x [600, 1], y [600], and the line of each."""
    rng = np.random.default_rng(seed)
    line = np.repeat(np.arange(30), 20)
    x = rng.uniform(-1, 1, (600, 1))
    return x, rng.normal(size=30)[line] * x[:, 0], line


FEW = {"iterations": 3, "meta_batch": 4, "test_tasks": 20, "test_steps": 1, "plan": "loop"}
TASKS = {
    "digits": mamlzoo.task_of_classes(*digits(), ways=3, name="digits"),
    "digits of several sizes": mamlzoo.task_of_classes(*digits(), ways=2, shots=Range(1, 5), queries=60, short="use"),
    "lines": mamlzoo.task_of_groups(*lines(), name="lines"),
    "classes that mean the same": mamlzoo.task_of_groups(
        lines()[0], (lines()[1] > 0).astype(int), lines()[2], kind="classification"
    ),
}
test_tasks_of_arrays_conform = conformance(*TASKS.values())


def test_arrays_are_a_result_in_three_lines():
    images, labels = digits()
    task = mamlzoo.task_of_classes(images, labels, ways=3, shots=1)
    result = mamlzoo.run(task, "mlp", "protonet", iterations=100, test_tasks=100, test_steps=1)
    assert result.evaluation.metric == "accuracy"
    assert result.evaluation.mean[1] > 0.6  # chance is 1/3
    assert result.experiment.name == "arrays × mlp × protonet"


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_arrays_runs_by_maml(name):
    result = mamlzoo.run(TASKS[name], "mlp", "maml", **FEW)
    assert np.isfinite(result.evaluation.mean).all()


def test_each_group_to_test_on_is_one_episode():
    spec = TASKS["lines"].spec
    assert (spec.valid_episodes, spec.test_episodes) == (6, 6)
    assert len(mamlzoo.run(TASKS["lines"], "mlp", "maml", **FEW).evaluation.main[0]) == 6


def test_its_options_go_on_as_those_of_any_task():
    result = mamlzoo.run(TASKS["digits"], "mlp", "protonet", options={"task.shots": 3}, **FEW)
    assert result.experiment.task.shots == 3
    assert TASKS["digits"].shots == 1
    assert result.experiment.task.data_digest() == TASKS["digits"].data_digest()


def test_two_tasks_of_other_arrays_are_not_one():
    one, two = (mamlzoo.task_of_classes(*digits(seed), ways=3) for seed in (0, 1))
    assert one != two
    assert one.data_digest() != two.data_digest()


def test_the_digest_is_of_what_the_arrays_hold_wherever_they_lie(tmp_path):
    images, labels = digits()
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    digests = {
        mamlzoo.task_of_classes(x, labels, ways=3).data_digest() for x in (images, mapped, torch.from_numpy(images))
    }  # fmt: skip
    assert len(digests) == 1
    assert mamlzoo.task_of_classes(images, np.roll(labels, 1), ways=3).data_digest() not in digests
    split = {"train": range(4), "valid": [4, 5, 6], "test": [7, 8, 9]}
    assert mamlzoo.task_of_classes(images, labels, ways=3, split=split).data_digest() not in digests


@pytest.mark.usefixtures("no_figures")
def test_a_run_is_recorded_loaded_and_gone_on_with(tmp_path):
    images, labels = digits()
    result = mamlzoo.run(TASKS["digits"], "mlp", "protonet", out=tmp_path / "run", **FEW)
    assert np.array_equal(mamlzoo.load(tmp_path / "run").evaluation.main, result.evaluation.main)
    (tmp_path / "run" / "SHA256SUMS").unlink()
    with pytest.raises(UsageError, match="came from Python"):
        mamlzoo.resume(tmp_path / "run")
    other = images.copy()
    other[5, 0, 0] ^= 1
    changed = mamlzoo.task_of_classes(other, labels, ways=3, name="digits")
    with pytest.raises(UsageError) as caught:
        mamlzoo.resume(tmp_path / "run", task=changed)
    said = "task 'digits': what it reads has changed since the run began; make it what it was, or begin a new run"
    assert str(caught.value) == said
    again = mamlzoo.task_of_classes(images, labels, ways=3, name="digits")
    resumed = mamlzoo.resume(tmp_path / "run", task=again)
    assert np.array_equal(resumed.evaluation.main, result.evaluation.main)


def test_it_is_compared_as_any_task():
    comparison = mamlzoo.compare(TASKS["digits"], "mlp", ["maml", "protonet"], **FEW)
    assert len(comparison.results) == 2


class Alphabets(mamlzoo.Task):
    """Labelled examples in a task of one's own, in one line."""

    name = "alphabets"
    ways: int = mamlzoo.option(3, "classes of an episode", minimum=2)
    higher_is_better = frozenset({"accuracy"})

    @property
    def spec(self):
        return mamlzoo.Spec((8, 8), self.ways, "classification")

    def sample(self, count, *, split, generator):
        return PARTS[split].draw(count, ways=self.ways, shots=1, queries=5, generator=generator)

    def loss(self, prediction, target):
        return torch.nn.functional.cross_entropy(prediction, target)

    def metrics(self, prediction, target):
        return {"accuracy": (prediction.argmax(-1) == target).to(prediction.dtype).mean()}


PARTS = mamlzoo.ClassEpisodes(*digits()).split(valid=0.3, test=0.3)
test_a_task_that_draws_by_it_conforms = conformance(Alphabets)
