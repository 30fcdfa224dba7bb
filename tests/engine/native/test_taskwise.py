"""Meta-steps task by task in C++ are those of the vmap plan, for every algorithm; the number of threads changes no digit."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from dataclasses import replace

import pytest
import torch
from every_algorithm import TRAINED, fitting
from torch import nn

from mamlzoo import trees
from mamlzoo.engine import plan_choice
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.blocks import blocks
from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.agreement import disagreement
from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.compilation.traced_steps import CompiledSteps
from mamlzoo.engine.cpu import computing
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.gradients import EAGER, in_double
from mamlzoo.engine.native import source
from mamlzoo.engine.native.taskwise import TaskwiseSteps
from mamlzoo.engine.native.writer import UncoveredError
from mamlzoo.engine.outer_optimizer import OuterOptimizer
from mamlzoo.engine.steps import EagerSteps
from mamlzoo.runs.name_resolution import as_model
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.reptile import Reptile
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")
STEPS = 20
QUICK = {"maml", "protonet", "dkt"}


class Trial:
    """The same meta-steps by the vmap plan and by a program in C++."""

    def __init__(
        self, algorithm, *, task=None, model=None, seeds=(0, 1), meta_batch=5, optimizer="adam", reduction="mean", clip=None,
        dtype=torch.float32, lr=1e-3, recompute=False, numbers=None, **options,
    ):  # fmt: skip
        task = task or Sine()
        bound = bind_seeds(task, model or MLP(hidden=(9,)), algorithm, seeds, CPU, dtype, recompute=recompute)
        self.bound = replace(bound, numbers=numbers or {})
        stream = TrainingStream(task, seeds, meta_batch, CPU, dtype)
        self.block, _ = next(blocks(stream, 1000, (lr,)))
        self.gradients = EAGER["vmap"](self.bound, reduction, None, clip)
        self._optimizer = lambda: OuterOptimizer(
            optimizer, lr, self.bound.meta, statistics=self.bound.algorithm.statistics, **options
        )
        self._how = reduction, clip

    @functools.cached_property
    def traced(self):
        trial, (reduction, clip) = self.vmap(), self._how
        logs = list(trial.advance(self.block, 0, 1).logs)
        return TaskwiseSteps(self.bound, reduction, trial.optimizer, self.block, logs, clip)

    def vmap(self):
        return EagerSteps(self._optimizer(), self.gradients)

    def compiled(self, threads=1):
        eager = self.vmap()
        return CompiledSteps(eager.optimizer, eager, self.traced, self.traced.kept() or self.traced.compiled(), threads)

    def disagreement(self, threads=1):
        return disagreement(self.vmap(), self.compiled(threads), self.gradients, self.block, self.traced.roughness)

    def judged(self, gradients, *, with_float64):
        """What is said of the program beside a vmap plan that has these gradients."""
        exact = in_double(self.bound, "mean") if with_float64 else None
        eager = EagerSteps(self._optimizer(), gradients)
        return disagreement(eager, self.compiled(), gradients, self.block, self.traced.roughness, exact)

    def ends_with(self, threads, cuts=(0, STEPS)):
        """θ and what was measured after some meta-steps."""
        steps = self.compiled(threads)
        with computing(threads):
            found = [steps.advance(self.block, one, other) for one, other in itertools.pairwise(cuts)]
        return steps.optimizer.theta, torch.cat([part.losses for part in found])


def each_written():
    """The quick ones in the ordinary suite: a program takes seconds to compile where it factorises or attends."""
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in TRAINED]


@pytest.mark.parametrize("name", each_written())
def test_every_algorithm_makes_the_meta_steps_of_vmap(name):
    of = fitting(name)
    assert Trial(of.shortened(), task=of.task, model=MLP(hidden=(8,), activation="tanh")).disagreement() is None


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", "adamw", *(pytest.param(name, marks=pytest.mark.slow) for name in ("adadelta", "adagrad", "rmsprop"))],
)
def test_outer_optimisers_make_the_updates_of_torch(optimizer):
    assert Trial(MAML(), optimizer=optimizer).disagreement() is None


@pytest.mark.parametrize(
    "options",
    [{"reduction": "sum"}, {"clip": 0.5}, {"clip_norm": 0.5}, {"ema": 0.9}, {"dtype": torch.float64}, {"seeds": (0,), "meta_batch": 1}],
    ids=["sum", "each task clipped", "the whole clipped", "average", "float64", "a single task"],
)  # fmt: skip
def test_ways_of_the_outer_loop_are_those_of_vmap(options):
    assert Trial(MAML(), **options).disagreement() is None


def normed():
    return nn.Sequential(nn.Linear(1, 6), nn.LayerNorm(6), nn.GELU(), nn.Dropout(0.2), nn.Linear(6, 1))


def frozen():
    network = nn.Sequential(nn.Linear(1, 6), nn.SiLU(), nn.Linear(6, 1))
    network[0].weight.requires_grad_(False)
    return network


@pytest.mark.parametrize("network", [normed, frozen], ids=["norms and dropout", "frozen"])
def test_networks_with_constants_or_random_numbers_are_those_of_vmap(network):
    assert Trial(MAML(), model=as_model(network)).disagreement() is None


def test_classification_is_that_of_vmap():
    assert Trial(MAML(), task=Blobs()).disagreement() is None


def off_by(gradients, share):
    """Gradients that are off everywhere and at every θ by the same, as by rounding of long sums of the same number."""

    def systematic(meta, episodes, progress):
        result = gradients(meta, episodes, progress)
        return result._replace(gradient=trees.tree_map(lambda leaf: leaf + share * leaf.abs().amax(), result.gradient))

    return systematic


def test_a_program_that_is_nearer_to_float64_than_vmap_is_believed():
    trial = Trial(MAML(), optimizer="sgd", lr=0.01)
    vmap = off_by(trial.gradients, 1e-3)
    assert trial.judged(vmap, with_float64=False) == "θ"
    assert trial.judged(vmap, with_float64=True) is None


def test_a_program_that_is_farther_from_float64_than_vmap_is_not_believed():
    of_another_rate = Trial(MAML(inner_lr=0.02), optimizer="sgd", lr=0.01)
    trial = Trial(MAML(inner_lr=0.01), optimizer="sgd", lr=0.01)
    trial.compiled = of_another_rate.compiled
    assert trial.judged(trial.gradients, with_float64=True) == "meta-losses"


def test_the_number_of_threads_and_of_calls_changes_no_digit():
    trial = Trial(MAML(), meta_batch=20)
    expected = trial.ends_with(1)
    for threads, cuts in [(2, (0, STEPS)), (3, (0, STEPS)), (1, (0, 1, 4, 5, STEPS)), (2, (0, 7, STEPS))]:
        for one, other in zip(trial.ends_with(threads, cuts), expected, strict=True):
            assert torch.equal(one, other), (threads, cuts)


def test_programs_that_run_at_the_same_time_do_not_disturb_each_other():
    calls = []
    for trial in (Trial(MAML(), meta_batch=20), Trial(Reptile(inner_steps=2))):
        steps, traced = trial.compiled(), trial.traced
        steps.advance(trial.block, 0, 1)
        given = [*traced.given(trial.block), *traced.lifted]
        calls += 2 * [functools.partial(traced.kept(), 1, 200, traced.carried(steps.optimizer), given)]
    with computing(2):
        alone = [call() for call in calls]
        found = {}
        runs = [
            threading.Thread(target=lambda at=at, call=call: found.update({at: call()}))
            for at, call in enumerate(calls)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    for at, expected in enumerate(alone):
        assert torch.equal(found[at][0], expected[0])


def test_small_meta_steps_are_left_to_one_thread():
    small, large = (
        Trial(MAML(), seeds=(0,), meta_batch=1).traced,
        Trial(MAML(), model=MLP(hidden=(40, 40)), meta_batch=30).traced,
    )
    assert small.threads(8) == 1
    assert large.threads(8) == 8
    assert large.threads(64) == source.PARTS * large.seeds


def test_no_more_threads_compute_than_there_is_memory_for(monkeypatch):
    large = Trial(MAML(), model=MLP(hidden=(40, 40)), meta_batch=30).traced
    own = large._source.scratch(2) - large._source.scratch(1)
    for fit in (1, 3):
        monkeypatch.setattr(source, "BUDGET", own * fit + own // 2)
        assert large.threads(8) == fit


def test_tensors_of_other_sizes_are_refused():
    trial = Trial(MAML())
    given = [*trial.traced.given(trial.block), *trial.traced.lifted]
    with pytest.raises(ValueError, match="a program that was compiled for"):
        trial.traced.fitting([given[0][:3], *given[1:]])


def test_a_seed_that_diverges_leaves_the_others_alone():
    trial = Trial(MAML())
    steps, alone = trial.compiled(), trial.compiled()
    steps.advance(trial.block, 0, 1)
    alone.advance(trial.block, 0, 1)
    steps.optimizer.theta[0] = torch.nan
    steps.advance(trial.block, 1, STEPS)
    alone.advance(trial.block, 1, STEPS)
    assert steps.optimizer.theta[0].isnan().all()
    assert torch.equal(steps.optimizer.theta[1], alone.optimizer.theta[1])


def test_what_is_not_written_in_cpp_is_said():
    def convolutional():
        return nn.Sequential(nn.Unflatten(1, (1, 1, 1, 1)), nn.Conv3d(1, 4, 1), nn.Flatten(), nn.Linear(4, 1))

    with pytest.raises(UncoveredError, match="convolution"):
        _ = Trial(MAML(), model=as_model(convolutional)).traced


def test_without_a_compiler_that_is_said(monkeypatch):
    trial = Trial(MAML(), model=MLP(hidden=(7,)))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CannotCompileError, match=r"^no C\+\+ compiler was found$"):
        trial.traced.compiled()


def test_a_compiler_that_fails_is_quoted_in_a_line_and_nothing_is_left_behind(tmp_path, monkeypatch):
    compiler, cache = tmp_path / "broken", tmp_path / "cache"
    compiler.write_text("#!/bin/sh\necho 'note: first' >&2\necho 'fatal error: no space left' >&2\nexit 1\n")
    compiler.chmod(0o700)
    monkeypatch.setenv("MAMLZOO_CACHE", str(cache))
    monkeypatch.setenv("CXX", str(compiler))
    trial = Trial(MAML())
    with pytest.raises(CannotCompileError, match=r"^broken: fatal error: no space left$"):
        trial.traced.compiled()
    assert list(cache.iterdir()) == []


def test_a_compiler_without_functions_of_several_numbers_makes_programs_all_the_same(tmp_path, monkeypatch):
    real = os.environ.get("CXX") or "g++"
    compiler, cache = tmp_path / "plain", tmp_path / "cache"
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *-lmvec*) exit 1;; esac\nexec {real} "$@"\n')
    compiler.chmod(0o700)
    monkeypatch.setenv("MAMLZOO_CACHE", str(cache))
    monkeypatch.setenv("CXX", str(compiler))
    assert Trial(MAML(), model=MLP(hidden=(8,), activation="tanh")).disagreement() is None


def test_a_program_is_made_once_and_serves_other_rates():
    first = Trial(MAML())
    first.disagreement()
    assert program_cache.read(first.traced.path) is not None
    assert Trial(MAML(), lr=1e-2).traced.path == first.traced.path
    assert Trial(MAML(inner_lr=0.02)).traced.path == first.traced.path
    assert Trial(MAML(inner_steps=2)).traced.path != first.traced.path


@pytest.mark.slow
def test_a_convolution_of_volumes_goes_by_torchs_compiler():
    def convolutional():
        return nn.Sequential(nn.Unflatten(1, (1, 1, 1, 1)), nn.Conv3d(1, 4, 1), nn.Flatten(), nn.Linear(4, 1))

    task, model = Sine(), as_model(convolutional)
    bound = bind_seeds(task, model, MAML(), (0,), CPU)
    training = plan_choice.Training(10, "mean", "adam", 1e-3, "compile")
    preparing = plan_choice.prepare(bound, TrainingStream(task, (0,), 2, CPU), training)
    while True:
        try:
            next(preparing)
        except StopIteration as end:
            steps, choice = end.value
            break
    assert choice.plan == "compile", choice
    before = trees.ravel(trees.stop_gradient(bound.meta))
    block, _ = next(blocks(TrainingStream(task, (0,), 2, CPU), 10, (1e-3,)))
    steps.advance(block, 0, 5)
    assert not torch.equal(steps.optimizer.theta, before)
