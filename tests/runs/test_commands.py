"""A run's command is one that makes it again."""

from __future__ import annotations

import json
import shlex
from tempfile import TemporaryDirectory

import click
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import mamlzoo
from mamlzoo import Experiment, Settings, UsageError
from mamlzoo.cli import config_command
from mamlzoo.cli.config_command import ConfigCommand
from mamlzoo.cli.run_flags import Request, run_flags
from mamlzoo.runs.commands import command_of
from mamlzoo.runs.config import config_of
from mamlzoo.runs.digests import experiment_digest
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.reptile import Reptile
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine


@click.command("run", cls=ConfigCommand)
@run_flags
def parse(**flags):
    """`mamlzoo run` up to where it begins to run."""
    request = Request(**flags)
    if request.save_config is not None:
        config_command.save(request.save_config, quiet=True)
    return request


def config_read_from(command: str) -> dict:
    """The config of what a command would run, by the command line's own parser."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("mamlzoo", "run")
    (experiment,) = parse.main(words, standalone_mode=False).experiments()
    return config_of(experiment)


def numbers(low, high):
    return st.floats(low, high, allow_nan=False)


tasks = st.builds(
    Sine,
    shots=st.integers(1, 9),
    noise=numbers(0, 1),
    phase_min=numbers(-9, 0),
    support_min=st.none() | numbers(-4, 4),
)
models = st.builds(
    MLP, hidden=st.lists(st.integers(1, 9), max_size=3).map(tuple), activation=st.sampled_from(["relu", "tanh"])
)
algorithms = st.builds(MAML, inner_lr=numbers(0, 1), inner_steps=st.integers(0, 2)) | st.builds(Reptile)
budgets = st.builds(
    Settings,
    seeds=st.integers(1, 3).map(lambda count: tuple(range(count)))
    | st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True).map(tuple),
    iterations=st.integers(0, 10**6),
    outer_lr=numbers(0, 1),
    optimizer=st.sampled_from(["adam", "sgd"]),
    meta_reduction=st.sampled_from(["mean", "sum"]),
    test_steps=st.integers(0, 99),
    plan=st.sampled_from(["auto", "loop", "vmap"]),
    chunk=st.none() | st.integers(1, 99),
    recompute=st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(st.builds(Experiment, tasks, models, algorithms, budgets))
@example(Experiment(Sine(phase_min=-0.0), MLP(), MAML(), Settings(outer_lr=0.0)))
def test_the_command_line_reads_the_same_config_back(experiment):
    saved = json.loads(json.dumps(config_of(experiment)))
    assert json.loads(json.dumps(config_read_from(command_of(saved)))) == saved


@settings(max_examples=8, deadline=None)
@given(st.builds(Experiment, tasks, models, algorithms, budgets))
@example(Experiment(Sine(phase_min=-0.0), MLP(), MAML(), Settings(outer_lr=0.0)))
def test_a_config_file_of_the_same_words_is_the_same_experiment(experiment):
    saved = json.loads(json.dumps(config_of(experiment)))
    with TemporaryDirectory() as folder:
        file = f"{folder}/experiment.toml"
        config_read_from(f"{command_of(saved)} --save-config {file}")
        again = config_read_from(f"mamlzoo run --config {file}")
    assert json.loads(json.dumps(again)) == saved
    assert experiment_digest(again) == experiment_digest(saved)


def test_only_what_differs_from_the_defaults_is_said():
    config = config_of(Experiment(Sine(shots=5), MLP(), MAML(inner_lr=0.05), Settings(seeds=(0, 1), iterations=300)))
    assert command_of(config) == (
        "mamlzoo run -t sine -m mlp -a maml --task.shots 5 --algorithm.inner-lr 0.05 --seeds 2 --iterations 300"
    )


def test_what_a_shell_would_not_leave_alone_is_quoted():
    config = config_of(Experiment(Sine(), MLP(hidden=()), MAML(), Settings(seeds=(7, 3))))
    assert command_of(config) == "mamlzoo run -t sine -m mlp -a maml --model.hidden '' --seed-list 7,3"


def test_a_part_from_python_has_no_command():
    def mine():
        return nn.Linear(1, 1)

    result = mamlzoo.run(model=mine, iterations=0, test_tasks=1)
    with pytest.raises(UsageError, match="model 'mine' came from Python: no command makes this run again"):
        command_of(result.config)


def test_a_value_that_no_flag_can_spell_is_said(distribution):
    distribution("tagged", '''
        import mamlzoo
        from mamlzoo_tasks.sine import Sine

        class Tagged(Sine):
            """Sine waves with a tag."""

            name = "tagged"
            tag: str | None = mamlzoo.option(None, "any word")

        @mamlzoo.hookimpl
        def mamlzoo_plugins():
            return [Tagged]
    ''')  # fmt: skip
    config = config_of(Experiment(mamlzoo.make("task", "tagged", tag="none"), MLP(), MAML()))
    with pytest.raises(UsageError, match="no command makes this run again: no flag can spell tag = 'none'"):
        command_of(config)
