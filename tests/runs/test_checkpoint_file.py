"""Checkpoint files: what is read is what was written, or it is known to be damaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mamlzoo import MamlzooError
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.steps import Measured
from mamlzoo.engine.training import TrainingRecord, TrainingState
from mamlzoo.experiments.checkpoint import Best, Checkpoint, Seconds, ValidationRecord
from mamlzoo.runs import checkpoint_file
from mamlzoo.runs.digests import digest

EXPERIMENT = "a digest"


def example(step=7):
    generator = torch.Generator().manual_seed(step)
    meta = {
        "network": {"weight": torch.randn(2, 3, 4, generator=generator), "bias": torch.randn(2, generator=generator)}
    }
    slots = {"step": torch.tensor(7.0), "exp_avg": torch.randn(2, 14, generator=generator)}
    recent = Measured(torch.randn(3, 2, generator=generator), {"inner": torch.randn(3, 2, generator=generator)})
    return Checkpoint(
        plan=Choice("vmap", "as asked for"),
        training=TrainingState(step, meta, [{0: slots}], recent, {1: 3}),
        history=[TrainingRecord(2, np.array([1.0, np.nan]), {"inner": np.array([0.5, 2.0])}, {}),
                 TrainingRecord(4, np.array([0.1, np.inf]), {"inner": np.array([0.25, 3.0])}, {1: 3})],
        validation=[ValidationRecord(4, "mse", np.array([1 / 3, 2.0]))],
        best=Best(meta, np.array([1 / 3, 2.0]), np.array([4, 4])),
        seconds=Seconds(1.0, 2.5, 0.5),
        remarks=["all seeds start from the same θ⁰"],
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    checkpoint_file.save(example(), tmp_path, EXPERIMENT)
    return tmp_path / "checkpoint.pt"


def test_what_is_loaded_is_what_was_saved(saved):
    loaded, original = checkpoint_file.load(saved, EXPERIMENT), example()
    for part in ("plan", "seconds", "remarks"):
        assert getattr(loaded, part) == getattr(original, part)
    assert torch.equal(loaded.training.meta["network"]["weight"], original.training.meta["network"]["weight"])
    assert torch.equal(loaded.training.optimizer[0][0]["exp_avg"], original.training.optimizer[0][0]["exp_avg"])
    assert torch.equal(loaded.training.recent.losses, original.training.recent.losses)
    assert loaded.training.diverged == {1: 3}
    for ours, theirs in zip(loaded.records, original.records, strict=True):
        assert np.array_equal(
            ours[1] if ours[0] == 2 else ours[0], theirs[1] if theirs[0] == 2 else theirs[0], equal_nan=True
        )
    assert [record.diverged for record in loaded.history] == [{}, {1: 3}]
    assert np.array_equal(loaded.history[1].losses, [0.1, np.inf])
    assert loaded.validation[0].values.tolist() == [1 / 3, 2.0]
    assert loaded.best.steps.tolist() == [4, 4]


def test_a_file_that_is_not_full_of_code(saved):
    assert torch.load(saved, weights_only=True)["step"] == 7


def test_the_checkpoint_before_is_kept(tmp_path):
    for step in (1, 2, 3):
        checkpoint_file.save(example(step), tmp_path, EXPERIMENT)
    steps = [
        checkpoint_file.load(tmp_path / name, EXPERIMENT).training.step
        for name in (checkpoint_file.NAME, checkpoint_file.PREVIOUS)
    ]
    assert steps == [3, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_a_view_of_a_large_tensor_is_saved_as_what_it_shows(tmp_path):
    whole = torch.zeros(1_000_000)
    state = TrainingState(0, {"network": {"weight": whole[:2].view(1, 2)}})
    checkpoint_file.save(Checkpoint(Choice("none", ""), state), tmp_path, EXPERIMENT)
    assert (tmp_path / "checkpoint.pt").stat().st_size < 20_000


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_changed_byte_is_found_or_changes_nothing(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("damaged")
    checkpoint_file.save(example(), directory, EXPERIMENT)
    path = directory / "checkpoint.pt"
    raw, expected = bytearray(path.read_bytes()), torch.load(path, weights_only=True)["digest"]
    at, bit = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7))
    raw[at] ^= 1 << bit
    path.write_bytes(raw)
    try:
        loaded = checkpoint_file.load(path, EXPERIMENT)
    except MamlzooError as error:
        assert "is damaged" in str(error)  # noqa: PT017
    else:
        again = directory / "again"
        again.mkdir()
        checkpoint_file.save(loaded, again, EXPERIMENT)
        assert torch.load(again / "checkpoint.pt", weights_only=True)["digest"] == expected


def test_a_flipped_bit_that_asks_for_gradients_is_found(tmp_path):
    checkpoint_file.save(example(), tmp_path, EXPERIMENT)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    content["history"]["losses"].requires_grad_()
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(MamlzooError, match="is damaged: its content does not have its digest"):
        checkpoint_file.load(tmp_path / "checkpoint.pt", EXPERIMENT)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_file_cut_short_is_damaged(tmp_path_factory, length):
    directory = tmp_path_factory.mktemp("short")
    checkpoint_file.save(example(), directory, EXPERIMENT)
    path = directory / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:length][:-1])
    with pytest.raises(MamlzooError, match="checkpoint.pt is damaged"):
        checkpoint_file.load(path, EXPERIMENT)


def test_the_checkpoint_of_another_experiment_is_refused(saved):
    with pytest.raises(MamlzooError, match="does not belong to the config.json beside it"):
        checkpoint_file.load(saved, "another digest")


def test_the_digest_sees_values_names_types_and_shapes():
    contents = [
        {"a": torch.tensor([1.0, 2.0])},
        {"b": torch.tensor([1.0, 2.0])},
        {"a": torch.tensor([1.0, 3.0])},
        {"a": torch.tensor([[1.0, 2.0]])},
        {"a": torch.tensor([1.0, 2.0], dtype=torch.float64)},
        {"a": [1.0, 2.0]},
        {"a": [1, 2]},
        {"a": None},
    ]
    assert len({digest(content) for content in contents}) == len(contents)
