"""What Weights & Biases was told, offline, as its own messages have it.

Its file is a log of LevelDB's, of blocks of 32 KiB: a record is one piece or several, each with a checksum, a length
and a kind. Where nothing is sent nothing reads it but `wandb sync`, which wants a server.
"""

from __future__ import annotations

import json
import struct
import sys

import pytest

from mamlzoo import UsageError

REASON = "needs the extra mamlzoo[wandb]"
BLOCK, HEAD = 32 * 1024, 7
FULL, LAST = 1, 4


@pytest.fixture(scope="module", autouse=True)
def _environment(tmp_path_factory):
    """Nobody is logged in, and nothing leaves this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
            patch.delenv(name, raising=False)
        patch.setenv("NETRC", str(tmp_path_factory.mktemp("nobody") / "netrc"))
        patch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        yield


@pytest.fixture(autouse=True)
def _read_anew():
    """W&B reads the environment once, unless it is told that all is over."""
    wandb = sys.modules.get("wandb")
    if wandb is not None:
        wandb.teardown()


@pytest.fixture(scope="module")
def wandb():
    return pytest.importorskip("wandb", reason=REASON)


@pytest.fixture(scope="module")
def result(logged_once, wandb):
    """A run that several tests only read."""
    found = logged_once("wandb")
    wandb.teardown()  # another process writes its file, and has by then
    return found


def records(directory):
    """The messages of the one run that is kept there, in their order."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = directory.glob("wandb/offline-run-*/*.wandb")
    content, pieces, at = path.read_bytes(), b"", HEAD  # behind the file's own head, as long as a piece's
    while at + HEAD <= len(content):
        if BLOCK - at % BLOCK < HEAD:  # the rest of a block is empty where no head has room
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        pieces += content[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (FULL, LAST):
            yield Record.FromString(pieces)
            pieces = b""


def lines(directory):
    """What was logged, a dict for each call."""
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records(directory)
        if record.WhichOneof("record_type") == "history"
    ]


def test_its_file_holds_what_metrics_and_result_say(result, shown):
    found = {}
    for line in lines(result.run_dir):
        step = line.get("meta-step", line.get("adaptation step"))
        for name in line.keys() & shown(result):
            found.setdefault(name, {})[step] = line[name]
    assert found == shown(result)


def test_test_metrics_have_adaptation_steps_on_their_axis(result):
    axes = {
        record.metric.name: record.metric.step_metric
        for record in records(result.run_dir)
        if record.WhichOneof("record_type") == "metric"
    }
    assert axes["meta-loss/seed 1"] == "meta-step"
    assert axes["test mse by adaptation step/seed 1"] == "adaptation step"


def test_table_and_figures_go_along(result):
    last = lines(result.run_dir)[-1]
    files = next(result.run_dir.glob("wandb/offline-run-*")) / "files"
    assert (files / last["curves/path"]).read_bytes() == (result.run_dir / "curves.png").read_bytes()
    table = json.loads((files / last["test/path"]).read_text())
    assert table["columns"] == ["adaptation step", "mse", "± 95%", "seed 0", "seed 1"]
    assert [row[1] for row in table["data"]] == pytest.approx(list(result.evaluation.mean))


def test_options_and_settings_are_its_config(result):
    (run,) = [record.run for record in records(result.run_dir) if record.WhichOneof("record_type") == "run"]
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["task"]["name"] == "sine"
    assert config["settings"]["meta_batch"] == 2
    assert (run.project, run.display_name) == ("mamlzoo", "run")


def test_a_run_that_goes_on_has_the_name_that_it_had(tmp_path, interrupted, wandb):
    interrupted("wandb")
    sittings = sorted(path.name for path in (tmp_path / "run").glob("wandb/offline-run-*/*.wandb"))
    assert len(sittings) == 2
    assert set(sittings) == {f"run-{(tmp_path / 'run' / 'wandb-run').read_text().strip()}.wandb"}


def test_online_without_a_key_is_one_line_and_nothing_is_left_behind(tmp_path, logged, monkeypatch, wandb):
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(UsageError, match=r"has no key for http://127.0.0.1:9: `wandb login`, or WANDB_MODE=offline"):
        logged("wandb")
    assert list(tmp_path.iterdir()) == []


def test_without_its_extra_it_is_one_line(tmp_path, logged, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    with pytest.raises(UsageError, match=r"pip install 'mamlzoo\[wandb\]'"):
        logged("wandb")
    assert list(tmp_path.iterdir()) == []
