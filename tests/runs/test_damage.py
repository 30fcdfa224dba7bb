"""Run directories that were damaged, or written by strangers: one clear line or the truth, never a traceback.

The damages are structured: every place of a config, a result and a checkpoint gets values of wrong types, shapes and sizes
or goes, with digests and sums made anew so that nothing but its meaning is wrong; files are cut, and replaced by
directories, links and pipes, which nobody is to wait for.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import mamlzoo
from mamlzoo import MamlzooError, files
from mamlzoo.cli import main
from mamlzoo.runs import checkpoint_file
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.digests import digest, experiment_digest

pytestmark = [
    pytest.mark.usefixtures("no_figures"),
    pytest.mark.filterwarnings("ignore"),  # numbers that are no metrics' numbers
]
QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "plan": "loop", "validate_every": 1}
Damage = Callable[[Path], None]

DEEP: Any = 0
for _ in range(200):
    DEEP = [DEEP]
WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "-1": -1,
    "2": 2,
    "a huge whole number": 10**300,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "0.5": 0.5,
    "a word": "x\x1b[31m[/b]$\ud800",
    "nothing": "",
    "a path": "../../x",
    "an empty list": [],
    "an empty dict": {},
    "lists of lists": [[], [[1]]],
    "a list of words": ["a", "b"],
    "lists too deep": DEEP,
}
GONE = object()
TENSORS: dict[str, Any] = {
    "other numbers of rows": torch.zeros(3, 1),
    "no axis": torch.tensor(1.0),
    "no numbers": torch.zeros(0),
    "whole numbers": torch.ones(1, 1, dtype=torch.int64),
    "complex numbers": torch.ones(1, 1, dtype=torch.complex64),
    "a sparse tensor": torch.eye(2).to_sparse(),
    "NaN": torch.full((1, 1), float("nan")),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory, no_figures) -> Path:
    directory = tmp_path_factory.mktemp("damage") / "run"
    mamlzoo.run(**QUICK, select_best=True, out=directory)
    return directory


def paths(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested dicts and lists."""
    if above:
        yield above
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from paths(value, (*above, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    *above, last = path
    part = document
    for key in above:
        part = part[key]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    return document


def fresh(run: Path, content: dict[str, Any] | None = None) -> None:
    """Digests and sums that fit what was changed."""
    content = content or torch.load(run / checkpoint_file.NAME, weights_only=True)
    content.pop("digest", None)
    with contextlib.suppress(KeyError, TypeError, AttributeError, RecursionError):  # what no digest can be made of
        content["experiment"] = experiment_digest(json.loads((run / "config.json").read_text()))
    found = digest(content) if content.get("meta") is not TENSORS["a sparse tensor"] else ""
    torch.save(content | {"digest": found}, run / checkpoint_file.NAME)
    files.write_sums(run, [name for name in run_directory.SUMMED if (run / name).is_file()])


def in_json(name: str, path: tuple[Any, ...], value: Any) -> Damage:
    def damage(run: Path) -> None:
        document = changed(json.loads((run / name).read_text()), path, value)
        (run / name).write_text(json.dumps(document))
        fresh(run)

    return damage


def in_checkpoint(path: tuple[Any, ...], value: Any) -> Damage:
    def damage(run: Path) -> None:
        content = changed(torch.load(run / checkpoint_file.NAME, weights_only=True), path, value)
        try:
            fresh(run, content)
        except (RuntimeError, RecursionError, NotImplementedError):  # what has no digest
            torch.save(content | {"digest": "0"}, run / checkpoint_file.NAME)
            files.write_sums(run, run_directory.SUMMED)

    return damage


def in_arrays(arrays: dict[str, Any]) -> Damage:
    def damage(run: Path) -> None:
        np.savez(run / "test_losses.npz", **arrays)
        fresh(run)

    return damage


def as_file(name: str, make: Callable[[Path], None]) -> Damage:
    def damage(run: Path) -> None:
        make(run / name)

    return damage


def cut(share: float) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(len(path.read_bytes()) * share)])


def instead(make: Callable[[Path], Any]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


FILES = {
    "cut in the middle": cut(0.5),
    "empty": cut(0),
    "cut at its end": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "other bytes": lambda path: path.write_bytes(b"\xff\x00\x1b[31m" * 40),
    "gone": Path.unlink,
    "a directory": instead(Path.mkdir),
    "a pipe": instead(os.mkfifo),
    "a device": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link to nowhere": instead(lambda path: path.symlink_to("nowhere")),
    "a link to itself": instead(lambda path: path.symlink_to(path.name)),
    "lists too deep": lambda path: path.write_text("[" * 100_000),
    "digits": lambda path: path.write_text("9" * 10_000),
}
ARRAYS = {
    "no metric": {},
    "no test task": {"mse": np.zeros((1, 0, 2), np.float32)},
    "words": {"mse": np.array([[["a"]]])},
    "two axes": {"mse": np.zeros((1, 2), np.float32)},
    "other seeds": {"mse": np.zeros((3, 2, 2), np.float32)},
    "two metrics of two shapes": {"mse": np.zeros((1, 2, 2), np.float32), "mae": np.zeros((1, 2, 3), np.float32)},
    "another metric": {"\x1b[31m$": np.zeros((1, 2, 2), np.float32)},
}


def damages(run: Path) -> list[tuple[str, Damage]]:
    """Every damage, by what it does; in an order that a seed fixes."""
    found: list[tuple[str, Damage]] = []
    for name in ("config.json", "result.json"):
        for path in paths(json.loads((run / name).read_text())):
            if name == "config.json" or path[0] in ("timing", "evaluation", "config"):
                several = {**WRONG, "gone": GONE}.items()
                found += [(f"{name}: {path} is {what}", in_json(name, path, value)) for what, value in several]
    for path in paths(torch.load(run / checkpoint_file.NAME, weights_only=True)):
        several = {**WRONG, **TENSORS, "gone": GONE}.items()
        found += [(f"checkpoint.pt: {path} is {what}", in_checkpoint(path, value)) for what, value in several]
    random.Random(11).shuffle(found)
    whole = [*run_directory.SUMMED, "SHA256SUMS", "metrics.jsonl", ".lock"]
    rest = [(f"{name} is {what}", as_file(name, make)) for name in whole for what, make in FILES.items()]
    rest += [(f"test_losses.npz has {what}", in_arrays(arrays)) for what, arrays in ARRAYS.items()]
    return rest + found


def assert_told(damage: str, *arguments: Any) -> None:
    """A command ends well, or with one line that says what is wrong."""
    found = CliRunner().invoke(main, [str(argument) for argument in arguments])
    what = f"{damage}; mamlzoo {' '.join(map(str, arguments[:2]))}: {found.output}"
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise AssertionError(what) from found.exception
    assert found.exit_code in (0, 1, 2), what
    assert "\x1b" not in found.output, what
    if found.exit_code:
        errors = [line for line in found.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, what
        assert errors == found.stderr.splitlines()[-1:], what


def looked_at(original: Path, folder: Path, several: list[tuple[str, Damage]], first: int = 0) -> None:
    """Every damaged copy is shown, drawn, adapted, reported and gone on with, each by a command or two."""
    support = folder / "support.csv"
    support.write_text("x,y\n1,1\n2,2\n")
    for at, (what, damage) in enumerate(several, first):
        run, begun = folder / f"run-{at}", folder / f"begun-{at}"
        shutil.copytree(original, run)
        damage(run)
        shows = [
            ["adapt", run, "--support", support, "-o", folder / f"adapted-{at}", "--steps", "1"],
            ["plot", "curves", run, "-o", folder / "curves.svg"],
            ["report", run, "-o", folder / "report.html"],
            ["plot", "adaptation", run, "-o", folder / "fits.svg", "--steps", "0"],
        ]
        assert_told(what, *shows[at % 4])
        if "pipe" in what or "device" in what:
            for name in {path.name for path in run.iterdir() if not path.is_file() or path.is_symlink()}:
                shutil.copytree(original, begun)
                (begun / name).unlink(missing_ok=True)
                os.mkfifo(begun / name)
        else:
            shutil.copytree(run, begun, symlinks=True)
        sums = begun / "SHA256SUMS"
        shutil.rmtree(sums) if sums.is_dir() and not sums.is_symlink() else sums.unlink(missing_ok=True)
        assert_told(what, "resume", begun, "-q")
        assert_told(what, "resume", run, "-q")


def test_a_damaged_directory_is_one_clear_line_or_the_truth(run, tmp_path):
    found = damages(run)
    pipes = [one for one in found if " is a pipe" in one[0]]
    looked_at(run, tmp_path, [*pipes[::3], *found[100::900]][:5])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(12))
def test_600_structured_damages_have_no_traceback(part, run, tmp_path):
    found = damages(run)
    assert len(found) > 600
    looked_at(run, tmp_path, found[:600][part::12], part)


def test_the_sums_must_name_all_files_that_a_result_is_loaded_from(run, tmp_path):
    for lines in range(4):
        directory = shutil.copytree(run, tmp_path / str(lines))
        sums = directory / "SHA256SUMS"
        sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:lines]))
        with pytest.raises(MamlzooError, match="is damaged: its SHA256SUMS must have a line for each of config.json, "):
            mamlzoo.load(directory)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["format", "runs", "configs", "baseline", "step", "results"])
def test_a_comparison_of_another_layout_is_one_clear_line_or_the_truth(key, run, tmp_path):
    directory = tmp_path / "both"
    (directory / "maml").parent.mkdir()
    shutil.copytree(run, directory / "maml")
    whole = {"format": 1, "runs": ["maml"], "configs": [run_directory.read_config(run)], "baseline": None, "step": None}
    whole["results"] = []
    for value in [*WRONG.values(), [".."], ["a\0b"], [None], [{}], GONE]:
        (directory / "comparison.json").write_text(json.dumps(changed(whole, (key,), value)))
        assert_told(f"{key} is {value!r:.20}", "resume", directory, "-q")


@pytest.mark.slow
@pytest.mark.parametrize(
    "place", [("format",), ("axes",), ("axes", 0), ("axes", 0, "key"), ("axes", 0, "values"), ("cells",), ("cells", 0)]
    + [("cells", 0, key) for key in ("values", "config", "run", "error", "best")]
    + [("cells", 0, "config", kind) for kind in ("task", "settings")]
)  # fmt: skip
def test_a_sweep_of_another_layout_is_one_clear_line_or_the_truth(place, tmp_path):
    directory = tmp_path / "all"
    budget = {"iterations": 1, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "valid_tasks": 2, "plan": "loop"}
    mamlzoo.sweep({"outer_lr": [0.1, 0.2]}, out=directory, **budget)
    whole = json.loads((directory / "sweep.json").read_text())
    for value in [*WRONG.values(), [".."], "..", "a/b", ["a\0b"], [None], [{}], GONE]:
        (directory / "sweep.json").write_text(json.dumps(changed(whole, place, value)))
        assert_told(f"{place} is {value!r:.20}", "resume", directory, "-q")
    whole["cells"][0] |= {"config": None, "run": None, "error": None}
    (directory / "sweep.json").write_text(json.dumps(whole))
    assert_told("a cell without a config and an error", "resume", directory, "-q")


@pytest.mark.parametrize(
    "text", ["[]", "null", "3", '{"format": []}', '{"format": 1, "recipe": ["; rm -rf ~ \\u001b"]}']
)
def test_a_recipes_directory_of_another_layout_is_one_clear_line(text, tmp_path):
    (tmp_path / "reproduction.json").write_text(text)
    assert_told(text, "resume", tmp_path)
