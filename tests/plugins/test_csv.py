"""The csv task: whose rows an episode has, how files are split, and one clear line for what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.engine.episodes import TestSet
from mamlzoo.figures import plots
from mamlzoo.inference import fits
from mamlzoo_tasks.csv import CSV

CPU = torch.device("cpu")
LONG = 1000
"""More rows than a file has: row r of file f is the point x = LONG·f + r, so that a point says where it comes from."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def write(folder: Path, lengths: list[int], first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for file, length in enumerate(lengths, first):
        points = (LONG * file + row for row in range(length))
        (folder / f"{file:04}.csv").write_text("x,y\n" + "".join(f"{x},{-x}\n" for x in points))
    return folder


def task(folder: Path, **given) -> CSV:
    return CSV(**{"folder": str(folder), "any_scale": True, "shots": 2, "queries": 3} | given)


def files_of(episodes) -> torch.Tensor:
    """The file of each row, [episodes, shots + queries]."""
    return torch.cat([batch.x for batch in episodes], 1)[..., 0].long() // LONG


@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(5, 40), min_size=3, max_size=8), seed=st.integers(0, 99))
def test_an_episode_has_different_rows_of_one_file(tmp_path_factory, lengths, seed):
    chosen = task(write(tmp_path_factory.mktemp("csv") / "data", lengths))
    for split in ("train", "valid", "test"):
        episodes = chosen.sample(20, split=split, generator=generator(seed))
        rows = torch.cat([batch.x for batch in episodes], 1)[..., 0]
        assert (files_of(episodes) == files_of(episodes)[:, :1]).all()
        assert all(len(set(row)) == 5 for row in rows.tolist())
        for file, row in zip(files_of(episodes)[:, 0].tolist(), rows.tolist(), strict=True):
            assert max(row) < LONG * file + lengths[file]
        for batch in episodes:
            torch.testing.assert_close(batch.y, -batch.x)


def test_training_takes_every_training_file_and_no_other(tmp_path):
    chosen = task(write(tmp_path / "data", [9] * 10))
    seen = {split: set() for split in ("train", "valid", "test")}
    for split, files in seen.items():
        files |= set(files_of(chosen.sample(200, split=split, generator=generator()))[:, 0].tolist())
    assert {split: len(files) for split, files in seen.items()} == {"train": 6, "valid": 2, "test": 2}
    assert set.union(*seen.values()) == set(range(10))


def test_every_test_file_is_one_episode_however_many_there_are(tmp_path):
    for split, first, count in [("train", 300, 1), ("valid", 301, 1), ("test", 0, 300)]:
        write(tmp_path / "data" / split, [5] * count, first)
    chosen = task(tmp_path / "data")
    blocks = list(TestSet(chosen, 1000, 0, CPU).blocks())
    files = torch.cat([files_of(block)[:, 0] for block in blocks])
    assert sorted(files.tolist()) == list(range(300))
    assert TestSet(chosen, 1000, 0, CPU, split="valid").size == 1


def test_the_rows_of_test_episodes_are_those_of_the_test_seed(tmp_path):
    folder = write(tmp_path / "data", [30] * 6)
    first, again, other = (
        next(TestSet(task(folder), 9, seed, CPU).blocks()).support.x for seed in (0, 0, 1)
    )  # fmt: skip
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_split_is_that_of_the_seed_and_not_of_the_clock_or_the_names_alone(tmp_path):
    folder = write(tmp_path / "data", [9] * 12)
    tested = [
        set(files_of(task(folder, split_seed=seed).sample(9, split="test", generator=generator()))[:, 0].tolist())
        for seed in (0, 0, 1, 2)
    ]
    assert tested[0] == tested[1]
    assert len({frozenset(files) for files in tested}) > 1


def test_folders_called_train_valid_and_test_are_the_split(tmp_path):
    for at, split in enumerate(("train", "valid", "test")):
        folder = write(tmp_path / "data" / split, [6])
        (folder / "0000.csv").write_text("x,y\n" + f"{at},0\n" * 6)
    for at, split in enumerate(("train", "valid", "test")):
        assert (task(tmp_path / "data").sample(3, split=split, generator=generator()).support.x == at).all()


def test_shapes_come_from_the_headers(tmp_path):
    (tmp_path / "data").mkdir()
    for name in range(3):
        (tmp_path / "data" / f"{name}.csv").write_text("y1,x1,x2,x3,y2\n" + f"{name},2,3,4,5\n" * 5)
    chosen = task(tmp_path / "data")
    assert (chosen.spec.input_shape, chosen.spec.output_size) == ((3,), 2)
    episodes = chosen.sample(4, split="train", generator=generator())
    assert episodes.support.x.shape == (4, 2, 3)
    assert episodes.query.y.shape == (4, 3, 2)


def test_labels_of_an_episode_number_its_classes_in_any_order(tmp_path):
    (tmp_path / "data").mkdir()
    for name in range(3):  # the point x = i is of the class called i; 'rare' has too few rows
        rows = [f"{i},class {i}\n" for i in range(4) for _ in range(6 + name)] + ["9,rare\n"]
        (tmp_path / "data" / f"{name}.csv").write_text("x,y\n" + "".join(rows))
    chosen = task(tmp_path / "data", ways=3)
    episodes = chosen.sample(200, split="train", generator=generator())
    assert chosen.spec.output_size == 3
    assert (episodes.support.x.shape, episodes.query.y.shape) == ((200, 6, 1), (200, 9))
    orders = set()
    for at in range(200):
        pairs = {
            (int(label), int(x))
            for batch in episodes
            for x, label in zip(batch.x[at, :, 0], batch.y[at], strict=True)
        }  # fmt: skip
        assert sorted(label for label, _ in pairs) == [0, 1, 2]
        assert len({x for _, x in pairs}) == 3
        orders.add(tuple(x for _, x in sorted(pairs)))
    assert len(orders) == 24  # 3 of 4 classes in every order, and never the rare one
    assert all(9 not in order for order in orders)


def test_short_files_are_used_by_what_they_have_if_that_is_asked_for(tmp_path):
    lengths = [2, 3, 4, 6, 30]
    for split in ("train", "valid", "test"):
        write(tmp_path / "data" / split, lengths, first={"train": 1, "valid": 6, "test": 11}[split])
    chosen = task(tmp_path / "data", shots=2, queries=4, short_files="use")
    drawn = {split: chosen.sample(5, split=split, generator=generator()) for split in ("train", "valid", "test")}
    assert {tuple(part.mask.shape for part in episodes) for episodes in drawn.values()} == {((5, 2), (5, 4))}
    for episodes in (drawn["valid"], drawn["test"]):
        first = files_of(episodes)[:, 0] - 6 - 5 * (episodes is drawn["test"])
        held = torch.tensor(lengths)[first]
        assert torch.equal(episodes.support.mask.sum(1), (held * 2 // 6).clamp(1, 2))
        assert torch.equal(episodes.query.mask.sum(1), (held - episodes.support.mask.sum(1)).clamp(max=4))
        for at in range(5):
            rows = [row for batch in episodes for row in batch.x[at, batch.mask[at], 0].tolist()]
            assert len(set(rows)) == len(rows) == min(6, held[at])


@pytest.mark.parametrize("ways", [0, 2])
def test_long_files_give_the_same_episodes_whatever_is_done_with_short_ones(tmp_path, ways):
    folder = write(tmp_path / "data", [20] * 6)
    if ways:
        for file in folder.iterdir():
            rows = file.read_text().splitlines()[1:]
            labelled = (f"{row.partition(',')[0]},{'ab'[at % 2]}" for at, row in enumerate(rows))
            file.write_text("\n".join(["x,y", *labelled]) + "\n")
    for split in ("train", "valid", "test"):
        one, two = (
            task(folder, ways=ways, short_files=short).sample(9, split=split, generator=generator())
            for short in ("refuse", "use")
        )
        for batch, masked in zip(one, two, strict=True):
            assert batch.mask is None
            assert masked.mask.all()
            assert torch.equal(batch.x, masked.x)
            assert torch.equal(batch.y, masked.y)


def test_short_classes_take_part_if_that_is_asked_for_but_not_those_of_one_row(tmp_path):
    (tmp_path / "data").mkdir()
    for name in range(3):
        rows = [f"{i},class {i}\n" for i, count in enumerate((8 + name, 3, 1)) for _ in range(count)]
        (tmp_path / "data" / f"{name}.csv").write_text("x,y\n" + "".join(rows))
    chosen = task(tmp_path / "data", ways=2, short_files="use")
    drawn = chosen.sample(50, split="train", generator=generator())
    shots = drawn.support.mask.unflatten(1, (2, 2)).sum(-1)
    assert {tuple(sorted(row)) for row in shots.tolist()} == {(1, 2)}
    assert set(drawn.query.x[drawn.query.mask].flatten().tolist()) == {0, 1}
    with pytest.raises(UsageError, match="fewer than ways = 2 classes of at least shots"):
        task(tmp_path / "data", ways=2).spec  # noqa: B018


def test_shots_may_be_drawn_from_a_range(tmp_path):
    chosen = task(write(tmp_path / "data", [9] * 5), shots=mamlzoo.Range(1, 6), queries=3)
    drawn = chosen.sample(200, split="train", generator=generator())
    assert drawn.query.mask is None
    assert drawn.support.mask.sum(1).unique().tolist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UsageError, match=r"fewer than shots \+ queries = 10 rows"):
        task(tmp_path / "data", shots=mamlzoo.Range(1, 7), queries=3).spec  # noqa: B018


@pytest.mark.usefixtures("no_figures")
def test_ranges_and_short_files_are_flags_and_a_run_goes_on_with_them(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data", [3, 5, 9, 4, 6, 20])
    flags = ["--task.shots", "1..4", "--task.short-files", "use", *FLAGS[2:]]
    printed = cli("run", "-t", "csv", "--task.folder", "data", *flags, "-a", "maml", "--out", "run").stdout
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["task"]["options"]["shots"], config["task"]["options"]["short_files"]) == ("1..4", "use")
    (tmp_path / "run" / "SHA256SUMS").unlink()
    table = next(line for line in printed.splitlines() if line.strip().startswith("1 "))
    assert table in cli("resume", "run", "-q").stdout


def test_a_file_of_one_row_is_always_refused(tmp_path):
    write(tmp_path / "data", [3, 1, 9])
    with pytest.raises(UsageError) as caught:
        task(tmp_path / "data", short_files="use").spec  # noqa: B018
    assert str(caught.value) == (
        "task 'csv': 1 of 3 files has fewer than 2 rows, one to adapt on and one to judge by; the fewest, 1, are in "
        f"{tmp_path}/data/0001.csv; leave such files out"
    )


def test_a_file_that_has_changed_is_read_again(tmp_path):
    folder = write(tmp_path / "data", [5] * 3)
    assert task(folder).spec.output_size == 1
    for at, file in enumerate(folder.iterdir()):
        file.write_text("x,y1,y2\n" + f"{at},2,3\n" * 5)
    assert task(folder).spec.output_size == 2


def test_the_examples_files_are_a_task():
    example = CSV.example()
    assert (example.spec.input_shape, example.spec.output_size) == ((1,), 1)
    assert example.spec.test_episodes == 2
    assert len(example.sample(3, split="train", generator=generator()).query.x) == 3


@pytest.mark.usefixtures("no_figures")
def test_a_run_goes_on_from_another_folder(cli, tmp_path, monkeypatch):
    write(tmp_path / "data", [6] * 5)
    cli("run", "-t", "csv", "--task.folder", "data", "--task.shots", 2, "--task.queries", 2, "--task.any-scale", "true",
        "--iterations", 1, "--outer-lr", 0, "--test-steps", 1, "--out", "run", "-q")  # fmt: skip
    (tmp_path / "run" / "SHA256SUMS").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "mean over 1 test task" in cli("resume", "../run", "-q").stdout
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["task"]["options"]["folder"] == str(tmp_path / "data")


FLAGS = ["--task.shots", 2, "--task.queries", 2, "--task.any-scale", "true", "--iterations", 1, "--outer-lr", 0,
         "--test-steps", 1, "--plan", "loop", "-q"]  # fmt: skip


def rename_one(data: Path) -> None:
    (data / "0000.csv").rename(data / "9999.csv")


def add_one(data: Path) -> None:
    (data / "00.csv").write_text((data / "0000.csv").read_text())


def edit_one(data: Path) -> None:
    (data / "0003.csv").write_text((data / "0003.csv").read_text().replace("3000", "3001"))


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    "change", [edit_one, *(pytest.param(change, marks=pytest.mark.slow) for change in (rename_one, add_one))]
)
def test_a_run_does_not_go_on_with_other_files_than_it_began_with(cli, tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data", [6] * 5)
    cli("run", "-t", "csv", "--task.folder", "data", *FLAGS, "--out", "run")
    change(tmp_path / "data")
    said = (
        f"task 'csv': what it reads has changed since the run began (folder {tmp_path / 'data'}); "
        "make it what it was, or begin a new run"
    )
    assert cli.error("plot", "adaptation", "run", "--steps", 1) == said
    mamlzoo.load("run").adapt([[1.0], [2.0]], [1.0, 2.0], steps=1)  # its support is the user's own
    (tmp_path / "run" / "SHA256SUMS").unlink()
    assert cli.error("resume", "run", "-q") == said
    forget_the_data(tmp_path / "run")
    cli("resume", "run", "-q")


def forget_the_data(run: Path) -> None:
    """As a mamlzoo wrote it that kept no digest."""
    config = json.loads((run / "config.json").read_text())
    assert config["task"].pop("data")
    (run / "config.json").write_text(json.dumps(config))


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_sweep_and_a_comparison_do_not_go_on_with_other_files(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data", [6] * 5)

    def sweep() -> None:
        few = {"iterations": 1, "outer_lr": 0.0, "test_steps": 1, "plan": "loop"}
        mamlzoo.sweep({"meta_batch": [1, 2]}, task=task(tmp_path / "data"), out="cells", **few)

    sweep()
    cli("compare", "-t", "csv", "--task.folder", "data", *FLAGS, "-a", "maml", "-a", "scratch", "--out", "both")
    shutil.rmtree(tmp_path / "both" / "scratch")
    shutil.rmtree(next((tmp_path / "cells").glob("*2")))
    add_one(tmp_path / "data")
    before = (tmp_path / "cells" / "sweep.json").read_text()
    with pytest.raises(UsageError, match="what it reads has changed"):
        sweep()
    assert "what it reads has changed" in cli.error("resume", "both", "-q")
    assert (tmp_path / "cells" / "sweep.json").read_text() == before


def test_the_digest_is_of_the_files_and_the_split_wherever_the_folder_lies(tmp_path):
    folder = write(tmp_path / "data", [6] * 9)
    digest = task(folder).data_digest()
    assert task(folder, shots=3, queries=2).data_digest() == digest
    assert task(folder, split_seed=1).data_digest() != digest
    assert task(folder.rename(tmp_path / "moved")).data_digest() == digest


def test_a_file_in_two_splits_by_a_link_is_refused(tmp_path):
    for split in ("train", "valid"):
        write(tmp_path / "data" / split, [6])
    (tmp_path / "data" / "test").symlink_to("train")
    with pytest.raises(UsageError) as caught:
        task(tmp_path / "data").spec  # noqa: B018
    assert str(caught.value) == (
        "task 'csv': {0}/train/0000.csv (train) and {0}/test/0000.csv (test) are the same file; leave one of them out"
    ).format(tmp_path / "data")


def test_a_network_that_scales_its_inputs_may_take_columns_of_any_scale(tmp_path):
    (tmp_path / "data").mkdir()
    for name in range(3):
        (tmp_path / "data" / f"{name}.csv").write_text("x,y\n" + f"290,{name}\n310,{name}\n" * 3)
    with pytest.raises(UsageError) as caught:
        task(tmp_path / "data", any_scale=False).spec  # noqa: B018
    assert str(caught.value) == (
        "task 'csv': column 'x' is far from 1 in size, its root mean square 300.2; --task.scale true makes it (x - 300) "
        "/ 10 and undoes it in predictions, or --task.any-scale true if the network scales it"
    )
    assert task(tmp_path / "data").spec.output_size == 1


@pytest.mark.parametrize(("column", "value"), [("x", "0"), ("y", "0"), ("x", "400"), ("x", "0.001")])
def test_a_column_of_one_number_that_is_no_size_is_refused_by_name(tmp_path, column, value):
    (tmp_path / "data").mkdir()
    for name in range(3):
        row = f"{value},1\n" if column == "x" else f"1,{value}\n"
        (tmp_path / "data" / f"{name}.csv").write_text("x,y\n" + row * (5 + name))
    with pytest.raises(UsageError) as caught:
        task(tmp_path / "data", any_scale=False).spec  # noqa: B018
    assert str(caught.value) == (
        f"task 'csv': column '{column}' is {value} in every row to train on, from which nothing can be learned; leave it "
        "out, or --task.any-scale true to take it all the same"
    )
    assert task(tmp_path / "data").spec.output_size == 1


ROWS = "x,y\n" + "1,2\n" * 5
TWO = "x,y\n" + "1,2\n3,4\n" * 5
WRONG = {
    "no folder": ({}, {"folder": "{}/nope"}, "folder {}/nope is not there"),
    "a file": ({"a.csv": ROWS}, {"folder": "{}/a.csv"},
               "{}/a.csv is one file: say which of its columns tells whose a row is, as in --task.group patient, or "
               "give the folder that it lies in, whose files are data sets"),
    "two files": ({"a.csv": ROWS, "b.csv": ROWS}, {},
                  "2 files *.csv in {}; it takes 3 at least, to train, to validate and to test"),
    "no training": ({f"{name}.csv": ROWS for name in "abcd"}, {"test": 0.75},
                    "1 file to validate and 3 to test leave none of 4 to train; lower valid or test"),
    "few rows": ({"a.csv": ROWS, "b.csv": "x,y\n1,2\n3,4\n", "c.csv": "x,y\n1,2\n"}, {},
                 "2 of 3 files have fewer than shots + queries = 5 rows; the fewest, 1, are in {}/c.csv; lower "
                 "--task.shots or --task.queries, or leave such files out"),
    "few classes": ({f"{name}.csv": ROWS for name in "abc"}, {"ways": 2},
                    "3 of 3 files have fewer than ways = 2 classes of at least shots + queries = 5 rows; the fewest, "
                    "1, are in {}/a.csv; lower --task.ways, --task.shots or --task.queries, or leave such files out"),
    "no class": ({"a.csv": TWO, "b.csv": TWO, "c.csv": "x,y\n1,2\n"}, {"ways": 2},
                 "1 of 3 files has fewer than ways = 2 classes of at least shots + queries = 5 rows; the fewest, 0,"),
    "folders inside": ({"more/a.csv": ROWS, "a.csv": ROWS, "other/a.txt": ROWS}, {},
                       "1 file *.csv in {}; it takes 3 at least, to train, to validate and to test; there are some in "
                       "{}/more, into which it does not look"),
    "labels of a regression": ({"a.csv": ROWS, "b.csv": ROWS, "c.csv": "x,y\n" + "1,cat\n" * 5}, {},
                               "{}/c.csv, line 2, column 'y': 'cat' is not a number; if it is a class label, say how "
                               "many classes an episode has, as in --task.ways 3"),
    "other columns": ({"a.csv": ROWS, "b.csv": ROWS, "c.csv": "x1,x2,y\n" + "1,2,3\n" * 5}, {},
                      "all files must have the same"),
    "half a split": ({"train/a.csv": ROWS, "test/a.csv": ROWS}, {},
                     "{} has a folder train and test, and none called valid"),
    "beside a split": ({"train/a.csv": ROWS, "valid/a.csv": ROWS, "test/a.csv": ROWS, "b.csv": ROWS}, {},
                       "{}/b.csv lies beside the folders train, valid and test; put it into one"),
    "an empty part": ({"train/a.csv": ROWS, "valid/a.csv": ROWS, "test/a.txt": ROWS}, {},
                      "there is no file *.csv in {}/test"),
    "a cell": ({"a.csv": ROWS, "b.csv": ROWS, "c.csv": ROWS + "1,two\n"}, {},
               "{}/c.csv, line 7, column 'y': 'two' is not a number"),
    "an input": ({"a.csv": ROWS, "b.csv": ROWS, "c.csv": ROWS + "two,1\n"}, {},
                 "{}/c.csv, line 7, column 'x': 'two' is not a number"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "given", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, files, given, line):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    if "folder" in given:
        given = {"folder": given["folder"].format(tmp_path)}
    with pytest.raises(UsageError) as caught:
        task(**{"folder": tmp_path} | given).spec  # noqa: B018
    assert line.replace("{}", str(tmp_path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_a_folder_the_line_says_what_to_give(cli):
    said = "task 'csv': say where your CSV files are, as in --task.folder data"
    assert cli.error("run", "-t", "csv") == said


def test_one_class_is_no_classification(tmp_path):
    with pytest.raises(UsageError, match="ways must be 2 classes at least, or 0 for regression, not 1"):
        mamlzoo.make("task", "csv", folder=str(tmp_path), ways=1)


def test_measured_points_are_not_drawn_as_a_true_function():
    example = CSV(folder=CSV.example().folder, shots=5, queries=15)
    result = mamlzoo.run(example, "mlp", "maml", iterations=0, test_steps=1)
    (legend,) = plots.adaptation([fits.fit(result, steps=[0, 1])]).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "query points", "after 0 steps", "after 1 step", "support points"]  # fmt: skip


def test_files_of_equal_rows_in_different_splits_are_refused_by_name(tmp_path):
    for at in range(8):
        (tmp_path / f"{at}.csv").write_text(ROWS)
    with pytest.raises(UsageError) as caught:
        task(tmp_path, shots=1, queries=1).spec  # noqa: B018
    assert "8 files hold the same rows: " in str(caught.value)
    assert " and 4 more; a test must not see what was trained on, nor count a file twice" in str(caught.value)
    assert f"{tmp_path}/" in str(caught.value)


LABELLED = "x,y\n" + "".join(f"{x}.5,{'ab'[x % 2]}\n" for x in range(12))
DISGUISES = {
    "another order": (LABELLED, "x,y\n" + "".join(reversed(LABELLED.splitlines(keepends=True)[1:]))),
    "another spelling of the numbers": (LABELLED, LABELLED.replace(".5", ".50")),
    "other names of the classes": (LABELLED, LABELLED.replace("a", "cat").replace("b", "dog")),
    "a class that is too small to count": (LABELLED, LABELLED + "7,rare\n"),
}


@pytest.mark.parametrize(("file", "twin"), DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize("split", ["valid", "test"])
def test_equal_files_are_known_in_disguise(tmp_path, file, twin, split):
    other = LABELLED.replace(".5", ".25")
    parts = {"train": [file, other], "valid": [other.replace("1.", "2.")], "test": [other.replace("1.", "3.")]}
    parts[split].append(twin)
    for name, texts in parts.items():
        (tmp_path / name).mkdir()
        for at, text in enumerate(texts):
            (tmp_path / name / f"{at}.csv").write_text(text)
    said = f"2 files hold the same rows: {tmp_path}/train/0.csv (train), {tmp_path}/{split}/1.csv ({split}); "
    with pytest.raises(UsageError, match=re.escape(said)):
        task(tmp_path, ways=2, shots=1, queries=1).spec  # noqa: B018


def test_equal_files_may_be_trained_on(tmp_path):
    for split, texts in {"train": [ROWS, ROWS], "valid": [ROWS + "7,7\n"], "test": [ROWS + "8,8\n"]}.items():
        (tmp_path / split).mkdir()
        for at, text in enumerate(texts):
            (tmp_path / split / f"{at}.csv").write_text(text)
    assert task(tmp_path, shots=1, queries=1).spec.test_episodes == 1
