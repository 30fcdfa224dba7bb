"""Runs that are stopped at any moment and gone on with, against runs that were not."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import interrupted
from hypothesis import given, settings
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import MamlzooError, UsageError, files
from mamlzoo.engine.plan_choice import Alert
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.runs import checkpoint_file, execution, recording
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.commands import resume_command
from mamlzoo.runs.digests import digest
from mamlzoo.runs.name_resolution import experiments
from mamlzoo.runs.recording_policy import Interval, RecordingPolicy, StoppedError
from mamlzoo_algorithms.maml import MAML

pytestmark = pytest.mark.usefixtures("no_figures")
BUDGET = {"seeds": 2, "iterations": 12, "meta_batch": 2, "test_tasks": 5, "test_steps": 1, "plan": "vmap"}
EVERY_STEP = Interval(steps=1)


def experiment(algorithm="maml", **changes):
    (found,) = experiments(["sine"], ["mlp"], [algorithm], **(BUDGET | changes))
    return found


FULL = {
    "optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "weight_decay": 1e-3}, "schedule": "cosine", "warmup": 3,
    "clip_norm": 1.0, "clip_per": "task", "ema": 0.9, "select_best": True, "validate_every": 3, "valid_tasks": 4,
}  # fmt: skip
"""Everything that there is to say of an outer loop."""


class Killed(BaseException):
    """What no part of mamlzoo expects."""


def killed_after(events):
    """A listener that ends the run after so many events."""
    heard = []

    def listen(experiment, event):
        heard.append(event)
        if len(heard) > events:
            raise Killed

    return listen


def record_until(experiment, directory, events):
    with pytest.raises(Killed):
        recording.record(experiment, directory, RecordingPolicy(EVERY_STEP, killed_after(events)))


def contents(directory):
    """All that a run is, but for times and places."""
    checkpoint = torch.load(directory / "checkpoint.pt", weights_only=True)
    document = json.loads((directory / "result.json").read_text())
    for timing in ("timing", "run_dir"):
        del document[timing]
    del document["config"]["git"]  # of the folder in which a command was given
    del document["plan"]["why"], checkpoint["seconds"], checkpoint["digest"], checkpoint["plan"]
    metrics, losses = ((directory / name).read_bytes() for name in ("metrics.jsonl", "test_losses.npz"))
    return digest(checkpoint), document, metrics, losses


@pytest.fixture(scope="module")
def whole(tmp_path_factory, no_figures):
    """A run that was never stopped: two seeds, validated every five meta-steps, the best kept."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    recording.record(experiment(validate_every=5, select_best=True, valid_tasks=4), directory)
    return directory


@pytest.fixture(scope="module")
def plain(tmp_path_factory, no_figures):
    """A run that was never stopped, without more."""
    directory = tmp_path_factory.mktemp("plain") / "run"
    recording.record(experiment(), directory)
    return directory


anywhere = given(events=st.integers(1, 55), every=st.integers(1, 5), again=st.integers(1, 30))


@settings(max_examples=4, deadline=None)
@anywhere
def test_a_run_that_is_stopped_and_gone_on_with_ends_with_the_bits_of_one_that_was_not(
    whole, tmp_path_factory, events, every, again
):
    is_stopped_and_gone_on_with(whole, tmp_path_factory, events, every, again)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@anywhere
def test_a_run_that_is_stopped_in_many_places_ends_with_the_bits_of_one_that_was_not(
    whole, tmp_path_factory, events, every, again
):
    is_stopped_and_gone_on_with(whole, tmp_path_factory, events, every, again)


def is_stopped_and_gone_on_with(whole, tmp_path_factory, events, every, again):
    directory = tmp_path_factory.mktemp("stopped") / "run"
    chosen, interval = experiment(validate_every=5, select_best=True, valid_tasks=4), Interval(steps=every)
    try:
        recording.record(chosen, directory, RecordingPolicy(interval, killed_after(events)))
    except Killed:
        try:
            recording.resume(directory, RecordingPolicy(interval, killed_after(again)))
        except Killed:
            recording.resume(directory)
    assert contents(directory) == contents(whole)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"plan": "loop"}, id="loop"),
        pytest.param({"plan": "compile", "iterations": 40}, id="compile", marks=pytest.mark.slow),
        pytest.param({"optimizer": "sgd"}, id="sgd, which has no state"),
        pytest.param({"optimizer": "adafactor"}, id="adafactor, one a seed", marks=pytest.mark.slow),
        pytest.param({"optimizer": "nadam"}, id="nadam", marks=pytest.mark.slow),
        pytest.param({"optimizer": "rprop"}, id="rprop", marks=pytest.mark.slow),
        pytest.param({"algorithm": "reptile", "options": {"algorithm.inner_steps": 2}}, id="logs of its own"),
        pytest.param(FULL, id="all of the outer loop"),
        pytest.param(FULL | {"plan": "compile", "iterations": 40}, id="all of it compiled", marks=pytest.mark.slow),
        pytest.param(
            {"algorithm": "meta-sgd", "group_lrs": {"rates": 0.1}, "clip_norm": 1.0, "schedule": "step"},
            id="a rate by group",
        ),
        pytest.param({"optimizer": "adafactor", "ema": 0.9, "warmup": 20}, id="an average, one optimiser a seed"),
        pytest.param({"algorithm": "scratch"}, id="nothing to train"),
        pytest.param({"optimizer": "sgd", "outer_lr": 1e30}, id="all seeds diverge"),
    ],
)
def test_whatever_is_trained_goes_on_to_the_same_bits(changes, tmp_path):
    chosen = experiment(**changes)
    recording.record(chosen, tmp_path / "whole")
    record_until(chosen, tmp_path / "stopped", 9 if "outer_lr" not in changes and chosen.algorithm.trains else 2)
    recording.resume(tmp_path / "stopped")
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_run_that_goes_on_does_not_begin_again(tmp_path):
    chosen = experiment()
    record_until(chosen, tmp_path / "run", 20)
    there = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"]
    heard = []
    recording.resume(tmp_path / "run", RecordingPolicy(progress=lambda _, event: heard.append(event)))
    assert there > 0
    assert min(event.step for event in heard if isinstance(event, TrainingRecord)) == there + 1


def test_a_run_without_a_checkpoint_begins_again_and_says_so(plain, tmp_path):
    chosen, heard = experiment(), []
    record_until(chosen, tmp_path / "run", 0)
    (tmp_path / "run" / "checkpoint.pt").unlink()  # killed while it was written
    recording.resume(tmp_path / "run", RecordingPolicy(progress=lambda _, event: heard.append(event)))
    assert [event.text for event in heard if isinstance(event, Alert)] == [
        f"{tmp_path / 'run'} has no checkpoint, so the run begins again"
    ]
    assert contents(tmp_path / "run") == contents(plain)


def test_a_wish_to_stop_is_heard_at_the_next_checkpoint_and_nothing_is_lost(tmp_path):
    chosen, seen = experiment(), []
    policy = RecordingPolicy(Interval(seconds=3600), lambda _, event: seen.append(event), lambda: len(seen) > 8)
    with pytest.raises(StoppedError, match="^stopped; to go on: mamlzoo resume .*run$"):
        recording.record(chosen, tmp_path / "run", policy)
    steps = [event.step for event in seen if isinstance(event, TrainingRecord)]
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == max(steps) > 0


def test_a_finished_run_is_shown_and_not_made_again(whole):
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir() if path.name != files.LOCK}
    assert recording.resume(whole).document() == mamlzoo.load(whole).document()
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir() if path.name != files.LOCK} == before


def test_checkpoints_are_written_as_often_as_asked(tmp_path, monkeypatch):
    written, save = [], checkpoint_file.save

    def noting(checkpoint, *rest):
        written.append(checkpoint.training.step)
        save(checkpoint, *rest)

    monkeypatch.setattr(checkpoint_file, "save", noting)
    recording.record(experiment(), tmp_path / "run", RecordingPolicy(Interval(steps=5)))
    assert written == [0, 0, 5, 10, 12]  # θ⁰ at once, again with the plan


@pytest.mark.parametrize(
    ("text", "interval"),
    [("200", Interval(steps=200)), ("30s", Interval(seconds=30)), ("0.5m", Interval(seconds=30)), ("1h", Interval(seconds=3600))],
)  # fmt: skip
def test_intervals_are_meta_steps_or_times(text, interval):
    assert Interval.parse(text) == interval


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "1.5", "5 minutes", "s"])
def test_an_interval_that_is_neither_is_refused(text):
    with pytest.raises(UsageError, match="it must be meta-steps, as 200, or a time, as 30s, 5m or 1h"):
        Interval.parse(text)


def test_a_reader_never_sees_half_a_line_or_half_a_file(tmp_path):
    seen = set()

    def look(experiment, event):
        for path in (tmp_path / "run").iterdir():
            seen.add(path.name)
            if path.suffix == ".pt" and not path.name.startswith("."):
                torch.load(path, weights_only=True)
            if path.suffix in (".json", ".jsonl"):
                for line in [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines():
                    json.loads(line)

    recording.record(experiment(), tmp_path / "run", RecordingPolicy(EVERY_STEP, look))
    assert seen == {".lock", "config.json", "metrics.jsonl", "checkpoint.pt", "checkpoint.previous.pt"}


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    record_until(experiment(), tmp_path / "run", 5)
    (tmp_path / "run" / ".checkpoint.pt.new.x7").write_bytes(b"half")
    recording.resume(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").glob(".*")} == {".lock"}


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(plain, tmp_path):
    chosen = experiment()
    record_until(chosen, tmp_path / "run", 20)
    path, heard = tmp_path / "run" / "checkpoint.pt", []
    path.write_bytes(path.read_bytes()[:-100])
    recording.resume(tmp_path / "run", RecordingPolicy(progress=lambda _, event: heard.append(event)))
    (notice,) = (event.text for event in heard if isinstance(event, Alert))
    assert "checkpoint.pt is damaged: it cannot be read" in notice
    assert "going on from checkpoint.previous.pt, meta-step " in notice
    assert contents(tmp_path / "run") == contents(plain)


def test_with_no_whole_checkpoint_left_it_says_so(tmp_path):
    record_until(experiment(), tmp_path / "run", 20)
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (tmp_path / "run" / name).write_bytes(b"PK")
    with pytest.raises(MamlzooError, match=r"nothing is left to go on from; remove it and run it anew$"):
        recording.resume(tmp_path / "run")


def test_a_finished_run_with_a_damaged_file_is_refused_by_load_and_mended_by_resume(tmp_path):
    recording.record(experiment(), tmp_path / "run")
    before = contents(tmp_path / "run")
    for name in ("checkpoint.pt", "test_losses.npz", "result.json"):
        (tmp_path / "run" / name).write_bytes(b"damaged")
        with pytest.raises(MamlzooError, match="`mamlzoo resume .*run` makes it again"):
            mamlzoo.load(tmp_path / "run")
        recording.resume(tmp_path / "run")
        assert contents(tmp_path / "run") == before


def test_a_changed_config_is_not_taken_for_the_checkpoints_own(tmp_path):
    record_until(experiment(), tmp_path / "run", 20)
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"meta_batch": 2', '"meta_batch": 3'))
    with pytest.raises(MamlzooError, match=r"checkpoint.pt does not belong to the config.json beside it"):
        recording.resume(tmp_path / "run")


def test_a_newer_layout_is_refused(whole, tmp_path):
    config = json.loads((whole / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": run_directory.FORMAT + 1}))
    for read in (mamlzoo.load, recording.resume):
        with pytest.raises(
            MamlzooError, match="was written by a newer mamlzoo: its layout is 2, this one knows up to 1"
        ):
            read(tmp_path)


def test_an_unfinished_run_is_not_loaded(tmp_path):
    record_until(experiment(), tmp_path / "run", 5)
    with pytest.raises(UsageError, match=r"run is not finished; `mamlzoo resume .*run` goes on with it"):
        mamlzoo.load(tmp_path / "run")


def test_two_cannot_write_one_directory(tmp_path):
    record_until(experiment(), tmp_path / "run", 5)
    with (
        files.locked(tmp_path / "run"),
        pytest.raises(MamlzooError, match=r"run is being written by another process; wait for it or end it"),
    ):
        recording.resume(tmp_path / "run")
    recording.resume(tmp_path / "run")


@pytest.mark.parametrize("name", ["checkpoint.pt", "metrics.jsonl"])
def test_a_disk_that_refuses_costs_nothing_that_is_written(plain, name, tmp_path, monkeypatch):
    replace, count = Path.replace, itertools.count()

    def refuse_late(self, target):
        if Path(target).name == name and next(count) > (3 if name == "checkpoint.pt" else 0):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    chosen = experiment()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse_late)
        with pytest.raises(MamlzooError, match="No space left on device; what was written before is whole"):
            recording.record(chosen, tmp_path / "run", RecordingPolicy(EVERY_STEP))
    recording.resume(tmp_path / "run")
    assert contents(tmp_path / "run") == contents(plain)


def test_a_finished_run_that_is_made_again_is_not_finished_until_it_ends_again(plain, tmp_path):
    recording.record(experiment(), tmp_path / "run")
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"damaged")
    heard = []
    with pytest.raises(Killed):
        recording.resume(tmp_path / "run", RecordingPolicy(progress=killed_after(3)))
    with pytest.raises(UsageError, match="run is not finished; `mamlzoo resume .*run` goes on with it"):
        mamlzoo.load(tmp_path / "run")
    recording.resume(tmp_path / "run", RecordingPolicy(progress=lambda _, event: heard.append(event)))
    assert contents(tmp_path / "run") == contents(plain)


def test_a_run_from_another_keeps_the_theta_that_it_began_with(whole, tmp_path):
    source = tmp_path / "source"
    recording.record(experiment(), source)
    chosen = experiment(init_from=str(source))
    recording.record(chosen, tmp_path / "whole")
    record_until(chosen, tmp_path / "run", 0)
    shutil.rmtree(source)
    recording.record(experiment(meta_batch=3), source)
    recording.resume(tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["a b", "$(date)", "it's", "-x", "λ"])
def test_the_command_that_goes_on_can_be_pasted_into_a_shell(name):
    command = resume_command(Path(name))
    (_, _, path) = subprocess.run(
        ["sh", "-c", f"set -- {command}; printf '%s\\n' \"$@\""], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert Path(path) == Path(name)
    assert not path.startswith("-")


def test_a_plugin_that_fails_before_anything_was_trained_leaves_nothing(tmp_path):
    class Late(MAML):
        """Fails as soon as it is trained."""

        name = "late"

        def meta_loss(self, learner, meta, episode, progress):
            raise ValueError("not yet")

    (chosen,) = experiments(["sine"], ["mlp"], [MAML()], **BUDGET)
    late = type(chosen)(chosen.task, chosen.model, Late(), chosen.settings)
    with pytest.raises(MamlzooError, match="failed in training: ValueError: not yet"):
        recording.record(late, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_run_from_python_goes_on_with_what_is_given_again(tmp_path):
    class Mine(MAML):
        """MAML by another name."""

        name = "mine"

    chosen = experiment(Mine())
    record_until(chosen, tmp_path / "run", 20)
    with pytest.raises(
        UsageError, match=r"algorithm 'mine' came from Python .* mamlzoo.resume\(directory, algorithm=…\)"
    ):
        mamlzoo.resume(tmp_path / "run")
    result = mamlzoo.resume(tmp_path / "run", algorithm=Mine())
    assert result.document()["evaluation"] == mamlzoo.run(algorithm=Mine(), **BUDGET).document()["evaluation"]


def test_what_is_given_again_must_be_what_the_run_began_with(tmp_path):
    record_until(experiment(MAML(inner_lr=0.02)), tmp_path / "run", 20)
    with pytest.raises(UsageError, match="the algorithm given is not 'maml' with the options that the run began with"):
        mamlzoo.resume(tmp_path / "run", algorithm=MAML())


def test_other_versions_are_said_where_the_run_goes_on_and_where_its_result_stands(tmp_path):
    record_until(experiment(), tmp_path / "run", 20)
    path, heard = tmp_path / "run" / "config.json", []
    path.write_text(re.sub(r'"torch": "[^"]+"', '"torch": "2.5.0"', path.read_text()))
    result = recording.resume(tmp_path / "run", RecordingPolicy(progress=lambda _, event: heard.append(event)))
    (said,) = (event.text for event in heard if isinstance(event, Alert))
    assert said == f"begun with torch 2.5.0, gone on with torch {torch.__version__}: the last bits may differ"
    assert said in str(result.table())


def test_another_experiment_is_not_gone_on_with(tmp_path):
    recording.record_or_resume(experiment(), tmp_path / "run")
    recording.record_or_resume(experiment(), tmp_path / "run")
    with pytest.raises(UsageError, match="run holds another experiment; choose another directory"):
        recording.record_or_resume(experiment(meta_batch=3), tmp_path / "run")


def test_validation_keeps_the_best_of_each_seed(whole):
    result = mamlzoo.load(whole)
    assert [record.step for record in result.validation] == [5, 10, 12]
    values = np.stack([record.values for record in result.validation])
    best = values.argmin(0)
    assert [result.validation[at].step for at in best] == result.checkpoint.best.steps.tolist()
    assert values.min(0).tolist() == result.checkpoint.best.values.tolist()
    assert "θ is the best of 3 validations on 4 tasks: of meta-step" in str(result.table())


def test_the_best_theta_is_the_theta_of_its_meta_step(whole, tmp_path):
    best = mamlzoo.load(whole).checkpoint.best
    seen = {}

    def look(experiment, event):
        if isinstance(event, Checkpoint):
            seen[event.training.step] = event.training.meta["network"]["0.weight"].clone()

    execution.run(experiment(validate_every=5, select_best=True, valid_tasks=4), look)
    for row, step in enumerate(best.steps):
        assert torch.equal(best.meta["network"]["0.weight"][row], seen[step][row])


def test_validation_changes_nothing_that_is_not_chosen_by_it(tmp_path):
    plain, watched = map(execution.run, (experiment(), experiment(validate_every=1, valid_tasks=4)))
    assert plain.document()["evaluation"] == watched.document()["evaluation"]
    assert len(watched.validation) == 12


def test_an_accuracy_is_best_where_it_is_highest():
    (chosen,) = experiments(["blobs"], ["mlp"], ["protonet"], **(BUDGET | {"validate_every": 2, "select_best": True}))
    result = execution.run(chosen)
    values = np.stack([record.values for record in result.validation])
    assert result.checkpoint.best.values.tolist() == values.max(0).tolist()


def test_validation_records_stand_in_metrics(whole):
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "valid" in line] == [5, 10, 12]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)


def test_a_run_begins_where_another_ended(whole, tmp_path):
    theta = mamlzoo.load(whole).meta["network"]["2.weight"]
    result = execution.run(experiment(iterations=0, init_from=str(whole)))
    assert torch.equal(result.meta["network"]["2.weight"], theta)
    assert result.config["settings"]["init_from"] == str(whole)


def test_the_only_seed_of_a_run_serves_all_seeds(tmp_path):
    recording.record(experiment(seeds=[7]), tmp_path / "one")
    result = execution.run(experiment(seeds=3, iterations=0, init_from=str(tmp_path / "one")))
    weight = result.meta["network"]["0.weight"]
    assert torch.equal(weight, mamlzoo.load(tmp_path / "one").meta["network"]["0.weight"].expand_as(weight))
    assert "all seeds start from the same θ⁰" in result.remarks


def test_a_stopped_run_from_another_goes_on_without_it(whole, tmp_path):
    source = tmp_path / "source"
    recording.record(experiment(), source)
    chosen = experiment(init_from=str(source))
    recording.record(chosen, tmp_path / "whole")
    record_until(chosen, tmp_path / "run", 20)
    source.rename(tmp_path / "elsewhere")
    recording.resume(tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


INIT_ERRORS = {
    "another network": ({"options": {"model.hidden": (8,)}}, r"has another θ: network.0.weight is \[40, 1\] there and \[8, 1\]"),
    "another algorithm": ({"algorithm": "meta-sgd"}, r"has another θ: rates.0.weight is nothing there and \[40, 1\] in this run"),
    "a seed too many": ({"seeds": [0, 5]}, "has no θ for seed 5, which was not trained there; there are: 0, 1"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "line"), INIT_ERRORS.values(), ids=INIT_ERRORS)
def test_a_theta_that_does_not_fit_is_refused_before_training(whole, changes, line):
    with pytest.raises(UsageError, match=line):
        experiment(init_from=str(whole), **changes)


def test_no_run_is_no_beginning(tmp_path):
    with pytest.raises(UsageError, match="nowhere is no run directory"):
        experiment(init_from=str(tmp_path / "nowhere"))


COMMAND = [
    sys.executable,
    "-m",
    "mamlzoo",
    "run",
    "--plan",
    "vmap",
    "--meta-batch",
    "2",
    "--test-tasks",
    "5",
    "--quiet",
]


def test_sigint_saves_says_how_to_go_on_and_ends_with_130(tmp_path):
    command = [*COMMAND, "--iterations", "100000", "--out", "run", "--checkpoint-every", "1h"]
    code, said = interrupted(command, tmp_path, tmp_path / "run" / "metrics.jsonl")
    assert (code, said) == (130, "stopped; to go on: mamlzoo resume run")
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] > 0


@pytest.fixture
def small_files():
    """A disk that takes no large file, as a full one takes none at all."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))  # θ alone fits, with Adam's state it does not
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_one_line_and_what_was_written_stays_whole(plain, small_files, tmp_path):
    with pytest.raises(MamlzooError, match="could not be written: File too large; what was written before is whole"):
        recording.record(experiment(), tmp_path / "run", RecordingPolicy(EVERY_STEP))
    names = {".lock", "config.json", "metrics.jsonl", "checkpoint.pt", "checkpoint.previous.pt"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    small_files()
    recording.resume(tmp_path / "run")
    assert contents(tmp_path / "run") == contents(plain)


@pytest.mark.slow
def test_a_corrupted_byte_changes_no_result(plain, tmp_path, cli):
    record_until(experiment(), tmp_path / "stopped", 20)
    expected, places = contents(plain), random.Random(0)
    fallen_back = 0
    for number in range(50):
        directory = tmp_path / f"corrupted-{number}"
        shutil.copytree(tmp_path / "stopped", directory)
        path = directory / "checkpoint.pt"
        raw = bytearray(path.read_bytes())
        raw[places.randrange(len(raw))] ^= 1 << places.randrange(8)
        path.write_bytes(raw)
        said = cli("resume", directory).stderr
        fallen_back += "checkpoint.pt is damaged" in said and "going on from checkpoint.previous.pt" in said
        assert contents(directory) == expected, number
    assert fallen_back > 25  # the rest hit what nobody reads


def reached(directory):
    try:
        return torch.load(directory / "checkpoint.pt", weights_only=True)["step"]
    except FileNotFoundError:  # before the first, and while the last one is made the previous one
        return None


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["vmap", "compile"])
def test_kill_9_at_random_moments_changes_no_bit(plan, tmp_path):
    random_moments = random.Random(0)
    iterations = {"vmap": "600", "compile": "12000"}[plan]
    command = [
        sys.executable, "-m", "mamlzoo", "run", "--plan", plan, "--iterations", iterations, "--seeds", "2",
        "--meta-batch", "2", "--checkpoint-every", "50" if plan == "vmap" else "400", "--validate-every", "300", "--select-best", "--quiet", "--out",
    ]  # fmt: skip
    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    steps = set()
    for number in range(6):
        directory = tmp_path / f"killed-{number}"
        process = subprocess.Popen([*command, directory.name], cwd=tmp_path, stdout=subprocess.DEVNULL)
        # however fast the machine, each is killed some moment after another sixth of its meta-steps
        while not (directory / "config.json").exists() or (reached(directory) or 0) < number * int(iterations) // 6:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(random_moments.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        steps.add(reached(directory))
        subprocess.run(
            [sys.executable, "-m", "mamlzoo", "resume", directory.name], cwd=tmp_path, check=True, capture_output=True
        )
        assert contents(directory) == contents(tmp_path / "whole"), number
    assert len(steps) > 3  # they were killed at different places


def test_a_directory_that_holds_a_run_is_refused_and_left_as_it_is(tmp_path):
    budget = {"meta_batch": 2, "test_tasks": 3, "test_steps": 1, "plan": "loop"}
    mamlzoo.run(out=tmp_path / "run", iterations=1, **budget)
    before = (tmp_path / "run" / "SHA256SUMS").read_text()
    for iterations in (1, 2):
        with pytest.raises(UsageError, match="exists and is no empty directory; nothing is overwritten"):
            mamlzoo.run(out=tmp_path / "run", iterations=iterations, **budget)
    assert (tmp_path / "run" / "SHA256SUMS").read_text() == before
