"""Run directories of before plugins had some of their options."""

from __future__ import annotations

import json

import pytest

from mamlzoo import files, trees
from mamlzoo.contracts.inner_loop import OF_STEPS
from mamlzoo.errors import UsageError
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording
from mamlzoo.runs.config import config_of
from mamlzoo.runs.digests import experiment_digest
from mamlzoo.runs.name_resolution import experiments

BUDGET = {"iterations": 2, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "plan": "loop"}


def experiment(**given):
    options = {f"algorithm.{name}": value for name, value in given.items()} | {"model.hidden": (4,)}
    (chosen,) = experiments(["sine"], ["mlp"], ["maml"], options=options, **BUDGET)
    return chosen


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A directory as it was before there were these options."""
    directory = tmp_path_factory.mktemp("before") / "run"
    result = recording.record(experiment(), directory)
    path = directory / "config.json"
    config = json.loads(path.read_text())
    for kind, names in {"algorithm": OF_STEPS, "model": ("init", "extra_inputs", "norm", "dropout")}.items():
        for name in names:
            del config[kind]["options"][name]
        del config[kind]["later"]
    path.write_text(json.dumps(config))
    files.write_sums(directory, run_directory.SUMMED)
    return directory, result


def test_a_run_of_before_is_the_same_experiment(before):
    directory, result = before
    assert experiment_digest(run_directory.read_config(directory)) == experiment_digest(result.config)
    assert trees.equal(recording.record_or_resume(experiment(), directory).meta, result.meta)


@pytest.mark.parametrize("given", [{"inner_clip": 1.0}, {"inner_optimizer": "adam"}, {"adapts": ("2.*",)}], ids=str)
def test_with_another_value_of_theirs_it_is_another_experiment(before, given):
    with pytest.raises(UsageError, match="holds another experiment"):
        recording.record_or_resume(experiment(**given), before[0])


def test_of_a_later_option_two_other_values_are_two_experiments():
    clips = [config_of(experiment(inner_clip=clip)) for clip in (None, 1.0, 2.0)]
    assert len(set(map(experiment_digest, clips))) == 3


def test_an_option_that_is_not_said_to_be_later_is_always_part_of_the_experiment():
    config = config_of(experiment())
    assert config["algorithm"]["later"] == list(OF_STEPS)
    assert "later" not in config["task"]
    del config["algorithm"]["options"]["inner_steps"]
    assert experiment_digest(config) != experiment_digest(config_of(experiment()))
