"""Jobs in processes of this machine: the bits of one process, what is tried again, and what is made here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from small_jobs import DIES, bits_in, of_model, own_model

from mamlzoo import MamlzooError
from mamlzoo.comparisons import directory as comparison_directory
from mamlzoo.contracts import recipe_files
from mamlzoo.executors import making
from mamlzoo.executors.executor import Job
from mamlzoo.executors.processes import Processes
from mamlzoo.reproductions.reproduction import reproduce
from mamlzoo.runs import recording
from mamlzoo.runs.recording_policy import DEFAULT
from mamlzoo.runs.watchers import Part

RECIPE = """
name = "small"
version = 1
summary = "θ that another run begins with"
source = "by hand"
minutes = 0.1

[common]
task = "sine"
model = "mlp"
seeds = 1
iterations = 10
meta_batch = 2
test_tasks = 6
valid_tasks = 6
test_steps = 1
plan = "vmap"
threads = 1

[runs.maml]
algorithm = "maml"
choose = { outer_lr = [1e-3, 1e-2] }

[runs.slower]
from = "maml"
algorithm = "maml"
options = { "algorithm.inner_lr" = 0.001 }

[runs.fomaml]
algorithm = "fomaml"
"""


def job_of(experiment, directory):
    return Job(Part("run", 1, 1, directory.name, [experiment]), [(experiment, directory)])


def mortal_model(folder, deaths):
    """A model whose code kills the process of a job, so many times in all."""
    for at in range(deaths):
        (folder / f"death-{at}").touch()
    return own_model(folder / "own", DIES.format(driver=os.getpid(), folder=str(folder)))


def test_runs_by_processes_have_the_bits_of_those_made_here_though_one_is_killed_on_the_way(tmp_path):
    several, said = of_model(mortal_model(tmp_path, deaths=1), ["maml", "fomaml"]), []
    here = comparison_directory.record(several, tmp_path / "here")
    policy = replace(DEFAULT, says=said.append)
    there = comparison_directory.record(several, tmp_path / "there", policy, executor=Processes(2))
    assert len(said) == 1
    assert said[0].endswith("maml: its process was ended by SIGKILL; tried once more")
    assert [result.name for result in there.results] == [result.name for result in here.results]
    assert [result.remarks for result in there.results] == [result.remarks for result in here.results]
    for name in ("maml", "fomaml"):
        assert bits_in(tmp_path / "there" / name) == bits_in(tmp_path / "here" / name)


@pytest.mark.slow
def test_one_that_was_killed_twice_is_reported_with_what_ended_it_and_can_be_gone_on_with(tmp_path):
    (experiment,), run = of_model(mortal_model(tmp_path, deaths=2)), tmp_path / "run"
    failed = making.failed(Processes(1), [job_of(experiment, run)], DEFAULT)
    assert [str(error) for error in failed.values()] == [
        f"run: its process was ended by SIGKILL; this happened twice; `mamlzoo resume {run}` goes on with it"
    ]
    assert recording.resume(run).run_dir == run


def test_what_came_from_python_is_left_to_this_process_in_a_line(tmp_path):
    class Own(type(of_model("mlp")[0].algorithm)):
        name = "own"

    (experiment,), said = of_model("mlp"), []
    own = replace(experiment, algorithm=Own())
    policy = replace(DEFAULT, says=said.append)
    assert making.failed(Processes(1), [job_of(own, tmp_path / "run")], policy) == {}
    assert said == ["1 run of plugins that came from Python: no other process has their code, so made in this one"]
    assert not (tmp_path / "run").exists()


def test_what_cannot_work_is_said_of_its_run_and_leaves_nothing(tmp_path):
    (experiment,) = of_model("mlp")
    broken = replace(experiment, settings=replace(experiment.settings, init_from=str(tmp_path / "nowhere")))
    failed = making.failed(Processes(1), [job_of(broken, tmp_path / "run")], DEFAULT)
    assert [str(error) for error in failed.values()] == [
        f"{tmp_path / 'nowhere'} is no run directory: it has no config.json"
    ]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_recipes_runs_come_after_those_that_they_begin_with(tmp_path):
    recipe = recipe_files.parse(RECIPE)
    here, there = (
        reproduce(recipe, tmp_path / name, DEFAULT, by) for name, by in [("here", None), ("there", Processes(2))]
    )
    assert there.chosen == here.chosen
    for label in ("maml", "slower", "fomaml"):
        assert bits_in(tmp_path / "there" / label) == bits_in(tmp_path / "here" / label)


@pytest.mark.slow
def test_a_run_that_fails_fails_its_comparison_as_it_would_here(tmp_path, monkeypatch):
    raises = f"import os\nif os.getppid() == {os.getpid()}:\n    raise ValueError('not here')\n"
    several = of_model(own_model(tmp_path / "own", raises), ["maml"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MamlzooError, match="net.py, line 3: ValueError: not here"):
        comparison_directory.record(several, Path("both"), executor=Processes(1))
