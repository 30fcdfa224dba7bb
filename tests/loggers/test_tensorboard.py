"""What TensorBoard was told, as its own reader has it."""

from __future__ import annotations

import sys

import pytest

from mamlzoo import UsageError

REASON = "needs the extra mamlzoo[tensorboard]"


@pytest.fixture
def read(tmp_path):
    """Reads what there is in the run directory."""
    found = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=REASON)
    return lambda: found.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()


def test_its_reader_reads_what_metrics_and_result_say(logged, shown, read):
    result, events = logged("tensorboard"), read()
    found = {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}
    assert found == shown(result)


def test_table_and_figures_go_along(tmp_path, logged, curves, read):
    evaluation, events = logged("tensorboard", curves).evaluation, read()
    (picture,) = events.Images("curves")
    assert picture.encoded_image_string == (tmp_path / "run" / "curves.png").read_bytes()
    (table,) = events.Tensors("test/text_summary")
    *_, last = table.tensor_proto.string_val[0].decode().splitlines()
    assert last.startswith(f"| 1 | {evaluation.mean[1]:.6g} |")


def test_without_its_extra_it_is_one_line(tmp_path, logged, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if it were not installed
    with pytest.raises(UsageError, match=r"pip install 'mamlzoo\[tensorboard\]'"):
        logged("tensorboard")
    assert list(tmp_path.iterdir()) == []
