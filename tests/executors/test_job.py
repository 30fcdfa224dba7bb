"""A job on a machine that has nothing of this one's: what it needs is sent, and what it writes comes back."""

from __future__ import annotations

import shutil

import pytest
from small_jobs import bits_in, of_model, own_model

from mamlzoo import files
from mamlzoo.discovery import packed_code, serialisation
from mamlzoo.executors import messages, run_files
from mamlzoo.executors.job_process import JobProcess, with_threads
from mamlzoo.executors.messages import Done, Failed, Gone, Heard, Order, OrderedRun, Written
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording
from mamlzoo.runs.recording_policy import DEFAULT, Interval

MARK = "from pathlib import Path\n(Path(__file__).parent / 'executed').touch()\n"


def sent(experiment, directory):
    """An order for a run that was begun here, with all that it needs."""
    recording.begin(experiment, directory, 1)
    source = serialisation.source_of(experiment.model)
    run = OrderedRun(str(directory), {"model": source.reference}, run_files.read(directory))
    return Order([run], {source.reference: packed_code.packed(source)}, Interval(steps=10), (), DEFAULT.draw)


def made(order, folder):
    folder.mkdir()
    process = JobProcess(with_threads(1) | {"XDG_CONFIG_HOME": str(folder / "config")}, folder, folder)
    return [messages.unpacked(message) for message in process.made(messages.packed(order))]


def test_a_run_is_made_from_what_was_sent_alone_and_what_comes_back_are_its_bits(tmp_path):
    (experiment,) = of_model(own_model(tmp_path / "own"))
    recording.record(experiment, tmp_path / "here")
    order = sent(experiment, tmp_path / "there")
    kept = tmp_path / "kept"
    for gone in ("there", "own"):
        (tmp_path / gone).rename(tmp_path / f"{gone}-is-elsewhere")
    said = made(order, tmp_path / "machine")
    assert [type(message) for message in said[-2:]] == [Done, Gone], said[-2:]
    run_files.write(kept, order.runs[0].files)
    for message in said:
        if isinstance(message, Written):
            run_files.keep(kept, message.files)
    assert bits_in(kept) == bits_in(tmp_path / "here")
    assert files.read_json(kept / "result.json")["run_dir"] == str(kept)
    assert run_directory.read_config(kept) == run_directory.read_config(tmp_path / "there-is-elsewhere")
    checkpoints = [
        message.event for message in said if isinstance(message, Heard) and isinstance(message.event, Checkpoint)
    ]
    assert checkpoints[-1].training.step == 30
    assert checkpoints[-1].training.meta == {}  # θ comes with the files, and not with every event


@pytest.mark.slow
def test_code_that_has_not_the_digest_of_the_config_is_not_executed(tmp_path):
    (experiment,) = of_model(own_model(tmp_path / "own", MARK))
    order = sent(experiment, tmp_path / "there")
    ((reference, code),) = order.code.items()
    changed = code._replace(contents=code.contents | {"beside.py": b"WIDTH = 6\n"})
    shutil.rmtree(tmp_path / "own")
    said = made(order._replace(code={reference: changed}), tmp_path / "machine")
    (failed,) = (message for message in said if isinstance(message, Failed))
    assert "net.py:Net, which has changed since, or what it imports from its folder has (SHA-256 " in failed.text
    assert not list((tmp_path / "machine").rglob("executed"))


def test_a_result_that_is_not_what_was_written_there_is_not_taken(tmp_path):
    (experiment,) = of_model("mlp", iterations=2)
    recording.record(experiment, tmp_path / "there")
    content = run_files.read(tmp_path / "there")
    run_files.write(tmp_path / "here", {"config.json": content["config.json"]})
    content["test_losses.npz"] += b"?"
    with pytest.raises(run_files.MamlzooError, match="test_losses.npz is not what was written where the run was made"):
        run_files.keep(tmp_path / "here", content)
    assert not run_directory.is_finished(tmp_path / "here")
