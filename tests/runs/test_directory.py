"""Run directories: whole or not at all, and what is loaded is what was saved."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import without_figures

import mamlzoo
from mamlzoo import MamlzooError, UsageError, files
from mamlzoo.runs import directory as run_directory
from mamlzoo_algorithms.maml import MAML

QUICK = {"iterations": 4, "meta_batch": 2, "test_tasks": 6, "test_steps": 2}


@pytest.fixture(scope="module")
def result():
    return mamlzoo.run(seeds=2, **QUICK)


@pytest.fixture(scope="module")
def saved(result, tmp_path_factory):
    return result.save(tmp_path_factory.mktemp("saved") / "run").run_dir


@pytest.fixture
def undrawn():
    """This test's runs leave no figures, which take longer than they."""
    with without_figures():
        yield


@pytest.fixture
def run_dir(saved, tmp_path):
    """A saved run of one's own, to do harm to."""
    return shutil.copytree(saved, tmp_path / "run")


def test_a_run_directory_has_every_file(result, tmp_path):
    result.save(tmp_path / "a" / "run")
    names = {path.name for path in (tmp_path / "a" / "run").iterdir()}
    assert names == {
        "config.json", "result.json", "metrics.jsonl", "test_losses.npz", "checkpoint.pt", "SHA256SUMS",
        "curves.png", "training.png", "adaptation.png",
    }  # fmt: skip
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["run"]


def test_what_is_loaded_is_what_was_saved(result, tmp_path, undrawn):
    saved = result.save(tmp_path / "run")
    loaded = mamlzoo.load(tmp_path / "run")
    assert saved.run_dir == loaded.run_dir == tmp_path / "run"
    assert loaded.document() == saved.document()
    assert np.array_equal(loaded.evaluation.values["mse"], result.evaluation.values["mse"])
    assert torch.equal(loaded.meta["network"]["0.weight"], result.meta["network"]["0.weight"])
    assert str(loaded.table()) == str(result.table())
    assert [record.step for record in loaded.history] == [1, 2, 3, 4]


def test_the_checkpoint_holds_tensors_only(run_dir):
    checkpoint = torch.load(run_dir / "checkpoint.pt", weights_only=True)
    assert checkpoint["meta"]["network"]["0.weight"].shape == (2, 40, 1)


def test_a_diverged_run_is_saved_as_valid_json_and_loads(tmp_path, undrawn):
    result = mamlzoo.run("scalar", "neuron", "maml", options={"algorithm.inner_lr": 0.1}, optimizer="sgd",
                         outer_lr=10.0, iterations=50, meta_batch=2)  # fmt: skip
    result.save(tmp_path / "run")
    text = (tmp_path / "run" / "result.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert mamlzoo.load(tmp_path / "run").diverged == result.diverged


def test_a_network_from_python_is_never_taken_for_the_plugin_of_its_name(tmp_path):
    def mlp():
        return torch.nn.Linear(1, 1)

    mamlzoo.run(model=mlp, **QUICK).save(tmp_path / "run")
    assert (tmp_path / "run" / "adaptation.png").exists()
    loaded = mamlzoo.load(tmp_path / "run")
    with pytest.raises(UsageError, match="model 'mlp' came from Python and its code is not in the run directory"):
        loaded.plot("adaptation")
    assert loaded.plot("curves") is not None


def test_an_empty_directory_is_taken(result, tmp_path, undrawn):
    (tmp_path / "run").mkdir()
    result.save(tmp_path / "run")
    assert (tmp_path / "run" / "result.json").exists()


def test_nothing_is_overwritten(result, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("x")
    with pytest.raises(UsageError, match="exists and is no empty directory; nothing is overwritten"):
        result.save(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["precious"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_file_in_the_way_is_not_overwritten(result, tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(UsageError, match="exists and is no empty directory"):
        result.save(tmp_path / "run")
    with pytest.raises(UsageError, match="cannot be written"):
        result.save(tmp_path / "run" / "below")


def test_nothing_half_written_stays_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt), run_directory.new_directory(tmp_path / "a" / "b" / "run") as temporary:
        (temporary / "half").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_was_taken_meanwhile_does_not_cost_the_results(tmp_path):
    with (
        pytest.raises(MamlzooError, match="was taken meanwhile") as caught,
        run_directory.new_directory(tmp_path / "run") as temporary,
    ):
        (temporary / "result.json").write_text("x")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "other").write_text("y")
    kept = Path(str(caught.value).rpartition("the results are in ")[2])
    assert (kept / "result.json").read_text() == "x"
    assert (tmp_path / "run" / "other").read_text() == "y"


def test_a_link_to_an_empty_directory_is_followed(result, tmp_path, undrawn):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    result.save(tmp_path / "link")
    assert (tmp_path / "real" / "result.json").exists()


def test_a_failed_figure_does_not_cost_the_numbers(result, tmp_path):
    class Undrawable(type(result.experiment.task)):
        """A task that cannot be sampled again."""

        name = "undrawable"

        def sample(self, count, *, split, generator):
            raise RuntimeError("gone")

    broken = replace(result, experiment=replace(result.experiment, task=Undrawable()))
    with pytest.warns(
        UserWarning, match="no figure 'adaptation' was drawn: PluginError: task 'undrawable' failed to sample"
    ):
        broken.save(tmp_path / "run")
    assert mamlzoo.load(tmp_path / "run").document()["evaluation"] == result.document()["evaluation"]


def test_a_failed_figure_does_not_cost_a_comparison(tmp_path, monkeypatch):
    comparison = mamlzoo.compare(algorithm=["maml", "scratch"], **QUICK)

    def refuse(figure):
        raise MemoryError("too large")

    monkeypatch.setattr("mamlzoo.figures.plots.png", refuse)
    with pytest.warns(UserWarning, match=r"no figure '\w+' was drawn: MemoryError: too large"):
        comparison.save(tmp_path / "all")
    assert (tmp_path / "all" / "comparison.json").exists()
    assert mamlzoo.load(tmp_path / "all" / "maml").seeds == [0]


def test_a_failed_figure_does_not_cost_the_others(result, tmp_path, monkeypatch):
    monkeypatch.setattr("mamlzoo.inference.fits.panels", lambda *args, **kwargs: 1 / 0)
    with pytest.warns(UserWarning, match="no figure 'adaptation' was drawn: ZeroDivisionError"):
        result.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").glob("*.png")} == {"curves.png", "training.png"}


@pytest.mark.slow
def test_a_comparisons_and_a_sweeps_directory_are_loaded(result, tmp_path):
    with without_figures():
        both = mamlzoo.save(mamlzoo.Comparison([result, result]), tmp_path / "both")
    assert isinstance(mamlzoo.load(tmp_path / "both"), mamlzoo.Comparison)
    assert isinstance(mamlzoo.resume(tmp_path / "both"), mamlzoo.Comparison)
    mamlzoo.report(both, tmp_path / "both.html")
    with without_figures():
        swept = mamlzoo.sweep({"outer_lr": [0.1, 0.2]}, out=tmp_path / "swept", valid_tasks=2, **QUICK)
    assert mamlzoo.plot(swept).axes
    assert isinstance(mamlzoo.load(tmp_path / "swept"), mamlzoo.Sweep)
    assert isinstance(mamlzoo.resume(tmp_path / "swept"), mamlzoo.Sweep)
    with pytest.raises(UsageError, match=r"must be of type mamlzoo.Result or mamlzoo.Comparison, not Sweep"):
        mamlzoo.save(swept, tmp_path / "again")


def test_an_algorithms_own_logs_do_not_hide_steps_and_losses(tmp_path, undrawn):
    class Logger(MAML):
        """Logs under names that are taken."""

        name = "logger"

        def meta_loss(self, learner, meta, episode, progress):
            loss, _ = super().meta_loss(learner, meta, episode, progress)
            return loss, {"step": loss * 0 + 7, "meta_loss": loss * 0}

    result = mamlzoo.run(algorithm=Logger, **QUICK)
    loaded = mamlzoo.load(result.save(tmp_path / "run").run_dir)
    assert [record.step for record in loaded.history] == [1, 2, 3, 4]
    assert all(record.logs["step"] == 7 for record in loaded.history)
    assert all(record.losses > 0 for record in loaded.history)


def test_default_directories_never_collide(tmp_path):
    first = run_directory.default_directory("sine × mlp × maml", tmp_path)
    first.mkdir()
    second = run_directory.default_directory("sine × mlp × maml", tmp_path)
    assert first != second
    assert "sine-mlp-maml" in first.name


def test_another_directory_is_no_run(tmp_path):
    with pytest.raises(UsageError, match="is no run directory: it has no config.json"):
        mamlzoo.load(tmp_path)


@pytest.mark.parametrize("source", ["net.py:Net", {}, {"reference": "net.py:Net"}, {"reference": 3, "sha256": "0"}])
def test_a_damaged_source_of_a_plugin_is_one_clear_line(tmp_path, source):
    plugins = {
        kind: {"name": "x", "options": {}, "registered": False, "source": source}
        for kind in ("task", "model", "algorithm")
    }
    others = {"settings": {"seeds": [0]}, "machine": {"threads": 1}, "versions": {"torch": "2"}}
    run_directory.write_config(tmp_path, {**plugins, **others})
    with pytest.raises(
        MamlzooError, match=r"config.json cannot be read: its task.source is no reference with its sha256"
    ):
        run_directory.read_config(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[]", '{"config": {}}'])
def test_a_result_of_another_shape_is_one_clear_line(run_dir, text):
    (run_dir / "result.json").write_text(text)
    files.write_sums(run_dir, run_directory.SUMMED)
    with pytest.raises(MamlzooError, match="run cannot be read: "):
        mamlzoo.load(run_dir)


def test_a_file_of_another_run_is_not_taken_for_its_own(run_dir, tmp_path, undrawn):
    mamlzoo.run(seeds=[2, 3], **QUICK).save(tmp_path / "other")
    for name in run_directory.SUMMED[1:]:
        own = (run_dir / name).read_bytes()
        shutil.copy(tmp_path / "other" / name, run_dir / name)
        with pytest.raises(
            MamlzooError, match=f"run/{name} is damaged: it is not what was written; `mamlzoo resume .* makes it"
        ):
            mamlzoo.load(run_dir)
        (run_dir / name).write_bytes(own)
    assert mamlzoo.load(run_dir).seeds == [0, 1]


def test_the_sums_are_those_of_sha256sum(run_dir):
    for line in (run_dir / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((run_dir / name).read_bytes()).hexdigest() == digest


CONFIGS = {
    "a name that is none": ('"name": "sine"', '"name": null', "has no task.name, or not as a str"),
    "seeds that are none": (
        '"seeds": [\n      0,\n      1\n    ]',
        '"seeds": 2',
        "has no settings.seeds, or not as a list",
    ),
    "no machine": ('"machine": {', '"engine": {', "has no machine.threads, or not as a int"),
}


@pytest.mark.parametrize(("old", "new", "line"), CONFIGS.values(), ids=CONFIGS)
def test_a_config_of_another_shape_is_one_clear_line(run_dir, old, new, line):
    path = run_dir / "config.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(MamlzooError, match=f"config.json cannot be read: it {line}"):
        mamlzoo.load(run_dir)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("config.json", "config.json cannot be read: "),
        ("result.json", "result.json is damaged: .*; `mamlzoo resume .*run` makes it again"),
        ("test_losses.npz", "test_losses.npz is damaged: .*; `mamlzoo resume .*run` makes it again"),
        ("checkpoint.pt", "checkpoint.pt is damaged: .*; `mamlzoo resume .*run` makes it again"),
        ("SHA256SUMS", "run is damaged: .*; `mamlzoo resume .*run` makes it again"),
    ],
)
def test_a_damaged_file_is_one_clear_line(run_dir, name, line):
    (run_dir / name).write_bytes(b"\x00damaged")
    with pytest.raises(MamlzooError, match=line):
        mamlzoo.load(run_dir)


def test_a_comparison_is_a_directory_of_runs(tmp_path):
    comparison = mamlzoo.compare(algorithm=["maml", "scratch"], **QUICK).save(tmp_path / "all")
    assert {path.name for path in (tmp_path / "all").iterdir()} == {"maml", "scratch", "comparison.json", "curves.png"}
    assert mamlzoo.load(tmp_path / "all" / "maml").document() == comparison.results[0].document()
    document = json.loads((tmp_path / "all" / "comparison.json").read_text())
    assert [entry["config"]["algorithm"]["name"] for entry in document["results"]] == ["maml", "scratch"]
