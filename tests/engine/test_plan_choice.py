"""Which plan is chosen, and what is said about it."""

from __future__ import annotations

import pytest
import torch
from conftest import Recurrent
from torch import nn

from mamlzoo.engine import plan_choice
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.compilation.traced_steps import CompiledSteps
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.native import taskwise
from mamlzoo.engine.native.taskwise import Call, TaskwiseSteps
from mamlzoo.engine.plan_choice import Alert, Notice, Training, prepare
from mamlzoo.engine.steps import EagerSteps
from mamlzoo.runs.name_resolution import as_model
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")


def prepared(plan, *, model=None, iterations=20, chunk=None, optimizer="adam", algorithm=None, threads=1):
    bound = bind_seeds(Sine(), model or MLP(hidden=(8,)), algorithm or MAML(), (0, 1), CPU)
    stream = TrainingStream(Sine(), (0, 1), 3, CPU)
    preparing, notices = prepare(bound, stream, Training(iterations, "mean", optimizer, 1e-3, plan, chunk, threads)), []
    while True:
        try:
            notices.append(next(preparing))
        except StopIteration as end:
            return *end.value, notices


@pytest.mark.parametrize("plan", ["loop", "vmap"])
def test_an_eager_plan_is_taken_as_asked_for(plan):
    steps, choice, notices = prepared(plan)
    assert isinstance(steps, EagerSteps)
    assert choice == (plan, "as asked for")
    assert notices == []


@pytest.mark.slow
def test_compile_says_that_it_compiles_but_only_the_first_time():
    steps, choice, notices = prepared("compile")
    assert isinstance(steps, CompiledSteps)
    assert choice == ("compile", "as asked for")
    (notice,) = notices
    assert isinstance(notice, Notice)
    assert notice.text.startswith("compiling the meta-step, once: about ")
    assert prepared("compile")[2] == []


def test_without_a_compiler_the_next_plan_goes_on_and_says_why(monkeypatch):
    def machine_code(traced):
        raise CannotCompileError("no C++ compiler was found")

    monkeypatch.setattr(TaskwiseSteps, "kept", machine_code)
    steps, choice, _ = prepared("compile")
    assert isinstance(steps, EagerSteps)
    assert choice.plan == "vmap"
    assert choice.why.startswith("'compile' cannot: no C++ compiler was found; ")


@pytest.mark.parametrize("plan", ["compile", "auto"])
def test_a_network_that_cannot_be_batched_is_looped_over(plan, monkeypatch):
    monkeypatch.setattr(plan_choice, "WORTH_A_THOUGHT", 0)
    steps, choice, _ = prepared(plan, model=as_model(Recurrent))
    assert isinstance(steps, EagerSteps)
    assert choice.plan == "loop"
    assert "its tasks cannot be batched" in choice.why


def test_an_optimiser_that_cannot_be_compiled_is_named_by_what_it_does(monkeypatch):
    _, choice, _ = prepared("compile", optimizer="radam")
    assert choice.plan in {"vmap", "loop"}
    assert choice.why.startswith("'compile' cannot: it asks for a tensor's value; ")


def test_a_short_job_is_not_compiled():
    steps, choice, notices = prepared("auto")
    assert isinstance(steps, EagerSteps)
    assert choice.why.endswith(f" s in all; --plan {choice.plan} repeats it")
    assert notices == []


@pytest.mark.parametrize("plan", ["auto", "vmap"])
def test_where_one_thread_is_faster_than_several_that_is_said_and_does_not_make_looping_look_fast(plan, monkeypatch):
    monkeypatch.setattr(plan_choice, "SPREAD", 0)
    monkeypatch.setattr(plan_choice, "is_busy", lambda: True)
    monkeypatch.setattr(plan_choice, "_pace", lambda steps, block, threads: 0.001 * threads**3)
    steps, choice, notices = prepared(plan, threads=2)
    assert [type(notice) for notice in notices] == [Alert]
    assert notices[0].text == (
        "one thread is 8 times as fast here as 2, as where other processes use the cores: "
        "try --threads 1 (the last digits can differ)"
    )
    assert (choice.plan, steps.threads) == ("vmap", 2)


def test_a_plan_that_a_clock_chose_is_said_with_the_flags_that_repeat_it(monkeypatch):
    monkeypatch.setattr(plan_choice, "_pace", lambda steps, block, threads: 0.001 / threads)
    assert prepared("auto", threads=2)[1].why.endswith(" s in all; --plan vmap repeats it")
    monkeypatch.setattr(plan_choice, "SPREAD", 0)
    _, choice, notices = prepared("auto", threads=2)
    assert choice.why.endswith(" s in all; --plan vmap --threads 2 repeats it")
    assert notices == []


def test_a_cache_that_is_not_safe_is_said(tmp_path, monkeypatch):
    tmp_path.chmod(0o770)
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(taskwise, "A_STATEMENT", 1e9)
    monkeypatch.setattr(plan_choice, "WORTH_A_THOUGHT", 0)
    why = "may be written by others; chmod 700 would do; what is compiled is not kept"
    assert prepared("auto")[2] == [Alert(f"the cache {tmp_path} {why}")]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_program_is_said_and_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path))
    compiled = []

    def machine_code(traced):
        compiled.append(traced.path)
        raise CannotCompileError("nothing is compiled here")

    monkeypatch.setattr(TaskwiseSteps, "compiled", machine_code)
    prepared("compile")
    compiled[0].write_bytes(b"no program")
    damaged, compiling = prepared("compile")[2]
    assert damaged == Alert(f"the program {compiled[0]} is damaged; it was removed")
    assert compiling.text.startswith("compiling the meta-step, once: about ")
    assert compiled == 2 * compiled[:1]


def test_a_job_shorter_than_compiling_is_not_compiled(monkeypatch):
    monkeypatch.setattr(plan_choice, "WORTH_A_THOUGHT", 0)
    monkeypatch.setattr(taskwise, "A_STATEMENT", 1e9)
    steps, choice, notices = prepared("auto", model=MLP(hidden=(9,)))
    assert isinstance(steps, EagerSteps)
    assert "compiling alone about" in choice.why
    assert notices == []


@pytest.mark.slow
def test_a_long_job_is_compiled_and_the_gain_is_said(monkeypatch):
    prepared("compile")
    monkeypatch.setattr(plan_choice, "WORTH_A_THOUGHT", 0)
    steps, choice, _ = prepared("auto")
    assert isinstance(steps, CompiledSteps)
    assert choice.plan == "compile"
    assert " tasks/s against " in choice.why


@pytest.mark.parametrize("plan", ["loop", "vmap", pytest.param("compile", marks=pytest.mark.slow), "auto"])
def test_nothing_is_trained_while_a_plan_is_chosen(plan, monkeypatch):
    monkeypatch.setattr(plan_choice, "WORTH_A_THOUGHT", 0)
    steps, *_ = prepared(plan)
    fresh, *_ = prepared("loop")
    assert torch.equal(steps.optimizer.theta, fresh.optimizer.theta)
    assert not steps.optimizer.started


def test_tasks_are_cut_into_chunks_where_they_would_not_fit(monkeypatch):
    bound = bind_seeds(Sine(), MLP(hidden=(8,)), MAML(), (0, 1), CPU)
    episodes = TrainingStream(Sine(), (0, 1), 3, CPU).block(0)
    one, wide = (
        plan_choice.bytes_of_a_task(bind_seeds(Sine(), MLP(hidden=(h,)), MAML(), (0, 1), CPU), episodes)
        for h in (8, 80)
    )
    assert plan_choice.bytes_of_a_task(bound, episodes) == one
    assert 1_000 < one < wide


@pytest.mark.slow
def test_a_program_with_other_numbers_is_not_believed(monkeypatch):
    prepared("compile")
    right = Call.__call__
    monkeypatch.setattr(Call, "__call__", lambda *inputs: [tensor * 1.1 for tensor in right(*inputs)])
    steps, choice, _ = prepared("compile")
    assert isinstance(steps, EagerSteps)
    assert choice.why.startswith("'compile' cannot: the program's meta-losses are not those of vmap; it was removed; ")


def test_a_program_that_fails_is_replaced(monkeypatch):
    def failing(traced):
        def run(*inputs):
            raise RuntimeError("no such kernel")

        return run

    monkeypatch.setattr(TaskwiseSteps, "kept", failing)
    steps, choice, _ = prepared("compile")
    assert isinstance(steps, EagerSteps)
    assert choice.why.startswith("'compile' cannot: the program fails: no such kernel; ")


def test_convolutions_that_are_differentiated_twice_are_not_batched_eagerly():
    def convolutional():
        return nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Conv1d(1, 4, 1), nn.Flatten(), nn.Linear(4, 1))

    assert prepared("auto", model=as_model(convolutional))[1].plan == "loop"
    assert prepared("auto", model=as_model(convolutional), algorithm=FOMAML())[1].plan == "vmap"
