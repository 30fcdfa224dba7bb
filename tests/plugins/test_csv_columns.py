"""The csv task on tables as they come: columns by name, one file of groups, dates, gaps, scales, labels."""

from __future__ import annotations

import csv
import json
import math
import random
import statistics
from datetime import date, timedelta
from pathlib import Path

import pytest
import torch
from conftest import without_figures

import mamlzoo
from mamlzoo import UsageError, trees
from mamlzoo_tasks.csv import CSV

SPLITS = ("train", "valid", "test")
NAMED = {"inputs": ("visit", "dose"), "targets": ("response",)}
PATIENTS = NAMED | {"group": "patient", "missing": "drop"}


def patients(path: Path, count: int = 10, gaps: bool = True) -> Path:
    """Patients with a first visit each, whose response falls by 2 a day from a level of their own, less the dose."""
    chance = random.Random(0)
    lines = ["patient;clinic;visit;dose;response"]
    for number in range(count):
        first = date(2020, 1, 1) + timedelta(days=chance.randrange(1000))
        for row in range(8):
            day, dose = 7 * row, chance.randrange(9)
            dosed = "NA" if gaps and row == 3 else f"{dose},5"
            response = 200 + number - 2 * day - dose
            lines.append(f"P{number};north;{first + timedelta(days=day)};{dosed};{response}")
    path.write_text("\n".join(lines) + "\n")
    return path


def task(path: Path, **given) -> CSV:
    return CSV(**{"folder": str(path), "shots": 3, "queries": 4, "any_scale": True} | PATIENTS | given)


def drawn(chosen: CSV, split: str = "train", count: int = 20):
    return chosen.sample(count, split=split, generator=torch.Generator().manual_seed(0))


def test_each_group_of_one_file_is_a_data_set_of_one_split(tmp_path):
    chosen = task(patients(tmp_path / "patients.csv"))
    seen = {}
    for split in SPLITS:
        episodes = drawn(chosen, split, 200)
        x, y = (torch.cat([getattr(batch, part) for batch in episodes], 1) for part in "xy")
        level = y[..., 0] + 2 * x[..., 0] + (x[..., 1] - 0.5) - 200  # which patient a row is of
        assert torch.equal(level, level[:, :1].expand_as(level))
        seen[split] = set(level[:, 0].tolist())
    assert [len(seen[split]) for split in SPLITS] == [6, 2, 2]
    assert set.union(*seen.values()) == set(range(10))


def test_dates_are_days_since_the_first_of_the_data_set(tmp_path):
    chosen = task(patients(tmp_path / "patients.csv"))
    assert set(drawn(chosen).query.x[..., 0].flatten().tolist()) == {7.0 * row for row in range(8) if row != 3}


def test_times_with_zones_are_parts_of_days(tmp_path):
    for name in range(3):
        rows = [f"2020-01-01T0{hour}:30:00+01:00,{hour + name}" for hour in range(7)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["x,y", *rows]) + "\n")
    x = drawn(task(tmp_path, inputs=(), targets=(), group="")).query.x
    assert {round(24 * day) for day in x.flatten().tolist()} == set(range(7))


def test_rows_that_lack_a_value_are_left_out_and_counted(tmp_path):
    chosen = task(patients(tmp_path / "patients.csv"))
    assert chosen.remarks() == ["rows left out for a missing value: 10 of 80"]
    assert task(patients(tmp_path / "patients.csv", gaps=False)).remarks() == []


@pytest.mark.parametrize("text", ["", "na", "N/A", "NaN", "null", "None", "-"])
def test_every_usual_word_for_a_missing_value_is_known(tmp_path, text):
    file = patients(tmp_path / "patients.csv")
    file.write_text(file.read_text().replace(";NA;", f";{text};"))
    assert task(file).remarks() == ["rows left out for a missing value: 10 of 80"]


def test_other_columns_are_left_alone_and_files_may_have_them_in_any_order(tmp_path):
    for name in range(3):
        rows = [("a", "b", "c"), *((str(row), "some text", str(row * name)) for row in range(8))]
        order = random.Random(name).sample(range(3), 3)
        (tmp_path / f"{name}.csv").write_text("".join(",".join(row[at] for at in order) + "\n" for row in rows))
    episodes = drawn(task(tmp_path, inputs=("a",), targets=("c",), group=""))
    ratio = episodes.query.y / episodes.query.x
    assert (ratio[..., 0].nan_to_num().amax(1, keepdim=True) - ratio[..., 0]).abs().nan_to_num().max() == 0


def test_scaled_columns_have_mean_0_and_deviation_1_over_the_training_rows_and_come_back_in_their_units(tmp_path):
    file = patients(tmp_path / "patients.csv", gaps=False)
    plain, scaled = (task(file, scale=scale) for scale in (False, True))
    episodes = [drawn(one, count=200).support for one in (plain, scaled)]
    trained = {
        int(level) for level in (episodes[0].y[:, 0, 0] + 2 * episodes[0].x[:, 0, 0] + episodes[0].x[:, 0, 1] - 200)
    }
    with file.open() as rows:
        responses = [
            float(row["response"]) for row in csv.DictReader(rows, delimiter=";") if int(row["patient"][1:]) in trained
        ]
    mean, sd = statistics.fmean(responses), statistics.pstdev(responses)
    torch.testing.assert_close(episodes[1].y, (episodes[0].y - mean) / sd)
    points = mamlzoo.Points(episodes[1].x.flatten(0, 1).numpy(), episodes[1].y.flatten(0, 1).numpy())
    back = scaled.in_units(points)
    torch.testing.assert_close(torch.tensor(back.x), episodes[0].x.flatten(0, 1), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(torch.tensor(back.y).float(), episodes[0].y.flatten(0, 1))
    assert list(scaled.metrics(*episodes[1].y[:2])) == ["scaled mse"]


def test_the_episodes_of_named_columns_are_those_of_x_and_y(tmp_path):
    for folder, header in (("plain", "x,y"), ("named", "age,size")):
        (tmp_path / folder).mkdir()
        for name in range(5):
            rows = "".join(f"{row + name},{row * name}\n" for row in range(9))
            (tmp_path / folder / f"{name}.csv").write_text(f"{header}\n{rows}")
    plain = task(tmp_path / "plain", inputs=(), targets=(), group="")
    named = task(tmp_path / "named", inputs=("age",), targets=("size",), group="")
    for one, two in zip(drawn(plain), drawn(named), strict=True):
        assert torch.equal(one.x, two.x)
        assert torch.equal(one.y, two.y)


def test_a_group_that_changes_its_split_or_its_rows_changes_the_digest(tmp_path):
    file = patients(tmp_path / "patients.csv")
    digest = task(file).data_digest()
    assert task(file).data_digest() == digest
    assert task(file, split_seed=1).data_digest() != digest
    file.write_text(file.read_text().replace("north", "south", 1))
    assert task(file).data_digest() != digest


FEW = "patient,visit,dose,response\n" + "".join(f"P{at % 4},2020-01-0{at // 4 + 1},{at % 7},{at}\n" for at in range(32))
WRONG = {
    "no such column": ({}, {"inputs": ("visit", "doze")}, ", line 1: there is no column 'doze'; did you mean 'dose'?"),
    "no such group": ({}, {"group": "person"}, ", line 1: there is no column 'person'; there are: dose, patient, response, visit"),
    "no names": ({}, {"inputs": (), "targets": ()},
                 ", line 1: there is no column 'x'; there are patient, visit, dose, response: say which to use, as in "
                 "--task.inputs visit,dose --task.targets response"),
    "a column of which nothing is said": ({"visit": "x", "dose": "z", "response": "y"}, {"inputs": (), "targets": ()},
                 ", line 1: column 'z' is neither x nor y; say which to use, as in --task.inputs x --task.targets y"),
    "twice": ({"response": "dose"}, {"targets": ("visit",), "inputs": ("dose",)},
              ", line 1: column 'dose' stands there 2 times; give each a name of its own"),
    "missing": ({",3,": ",NA,"}, {"missing": "refuse"},
                ", line 5, column 'dose': 'NA' is a missing value; --task.missing drop leaves such rows out"),
    "all missing": ({f",{at},": ",-," for at in range(7)}, {},
                    "{}/patients.csv, column 'dose': every value is missing"),
    "a text among numbers": ({",3,": ",low,"}, {}, ", line 5, column 'dose': 'low' is not a number"),
    "an ambiguous date": ({f"2020-01-0{day}": f"0{day}/01/2020" for day in range(9)}, {},
                          ", line 2, column 'visit': '01/01/2020' is not a number; write dates as ISO does, 2020-04-03 or "
                          "2020-04-03T14:30, in all rows of an input"),
    "no date": ({"2020-01-02": "2020-02-30"}, {}, ", line 6, column 'visit': '2020-02-30' is no date, as others in the "
                "column are; write dates as ISO does, 2020-04-03 or 2020-04-03T14:30"),
    "a zone": ({"2020-01-02": "2020-01-02T10:00Z"}, {},
               ", line 6, column 'visit': '2020-01-02T10:00Z' has a time zone, unlike those above; write all alike"),
    "two groups": ({"P3": "P1", "P2": "P0"}, {},
                   "2 groups in column 'patient' of {}/patients.csv; it takes 3 at least, to train, to validate and to test"),
    "few rows": ({}, {"shots": 7}, "4 of 4 groups have fewer than shots + queries = 11 rows; the fewest, 8, are in group "
                 "'P0' of {}/patients.csv; lower --task.shots or --task.queries, or leave such groups out"),
    "a label": ({}, {"inputs": ("dose",), "targets": ("patient",), "group": "response"},
                "column 'patient': 'P0' is not a number; if it is a class label, say how many classes an episode has"),
    "nothing to learn from": ({f",{at},": ",5," for at in range(7)}, {"scale": True},
                              "column 'dose' is 5 in every row to train on, from which nothing can be learned; leave it out"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "given", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, change, given, line):
    text = FEW
    for old, new in change.items():
        text = text.replace(old, new)
    (tmp_path / "patients.csv").write_text(text)
    with pytest.raises(UsageError) as caught:
        task(tmp_path / "patients.csv", **given).spec  # noqa: B018
    assert line.replace("{}", str(tmp_path)) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"targets": ("dose",)}, "column 'dose' is named twice; it is an input, a target or the group"),
        ({"ways": 2, "targets": ("a", "b")}, "a class label is one column, and targets are a, b"),
        ({"folder": ""}, "say where your CSV files are"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, given, line):
    with pytest.raises(UsageError, match=line):
        task(tmp_path, **given)


def test_a_group_needs_one_file(tmp_path):
    with pytest.raises(UsageError) as caught:
        task(tmp_path).spec  # noqa: B018
    assert str(caught.value) == f"task 'csv': --task.group divides one file, and {tmp_path} is a folder; give the file"


FLAGS = ["--task.inputs", "visit,dose", "--task.targets", "response", "--task.group", "patient", "--task.missing",
         "drop", "--task.scale", "true", "--task.shots", 3, "--task.queries", 4]  # fmt: skip
QUICK = ["--iterations", 20, "--test-steps", 1, "--plan", "vmap", "-q"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run whose data are gone."""
    folder = tmp_path_factory.mktemp("trained")
    options = {f"task.{name}": value for name, value in PATIENTS.items()} | {
        "task.scale": True,
        "task.shots": 3,
        "task.queries": 4,
    }
    with without_figures():
        mamlzoo.run(
            "csv", options=options | {"task.folder": str(patients(folder / "patients.csv"))}, iterations=20,
            test_steps=1, plan="vmap").save(folder / "run")  # fmt: skip
    (folder / "patients.csv").unlink()
    return folder / "run"


def predictions(folder: str) -> list[dict[str, str]]:
    with Path(folder, "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("no_figures")
def test_a_table_of_groups_is_trained_tested_and_adapted_from_the_command_line(cli):
    patients(Path("patients.csv"))
    printed = cli("run", "-t", "csv", "--task.folder", "patients.csv", *FLAGS, *QUICK, "--out", "run").stdout
    assert "test scaled mse after adaptation" in printed
    assert "rows left out for a missing value: 10 of 80" in printed
    Path("new.csv").write_text("visit,dose,response,remark\n2024-01-01,1,199,a\n2024-01-08,NA,2,b\n2024-01-15,3,170,\n")
    shown = cli("adapt", "run", "--support", "new.csv", "--out", "adapted").stdout
    assert "rows of new.csv left out for a missing value: 1 of 3" in shown
    assert "losses and errors are of scaled targets; predictions are in your data's own units" in shown
    assert [(line["visit"], line["dose"]) for line in predictions("adapted")] == [
        ("2024-01-01", "1"),
        ("2024-01-15", "3"),
    ]
    assert all(abs(float(line["prediction"]) - 180) < 120 for line in predictions("adapted"))


def test_points_of_several_groups_are_no_support_set(trained, cli):
    rows = ["1,2024-01-01,1,199", "1,2024-01-08,2,180", "2,2024-01-01,1,150"]
    Path("two.csv").write_text("\n".join(["patient,visit,dose,response", *rows]))
    said = cli.error("adapt", trained, "--support", "two.csv")
    assert said == (
        "two.csv: column 'patient' has 2 values, each a data set of its own; give the rows of one, as a network adapts to one"
    )
    Path("one.csv").write_text("\n".join(["patient,visit,dose,response", *rows[:2]]))
    cli("adapt", trained, "--support", "one.csv", "--out", "adapted")


def test_the_training_data_may_be_gone(trained):
    loaded = mamlzoo.load(trained)
    csv_task = mamlzoo.make("task", "csv", **json.loads((trained / "config.json").read_text())["task"]["options"])
    with pytest.raises(UsageError, match="cannot be read"):
        csv_task.spec  # noqa: B018
    assert loaded.adapt([[0.0, 0.0], [1.0, 1.0]], [0.0, 1.0], steps=1).predict([[0.5, 0.5]]).shape == (1, 1)


def test_dates_of_a_query_count_from_the_first_of_its_support_set(cli, trained):
    Path("new.csv").write_text("visit,dose,response\n2024-01-08,1,180\n2024-01-01,2,199\n")
    Path("next.csv").write_text("dose;visit\n1,0;2024-01-08\n2;2024-01-01\n")
    cli("adapt", trained, "--support", "new.csv", "--out", "one")
    cli("adapt", trained, "--support", "new.csv", "--query", "next.csv", "--out", "two")
    one, two = predictions("one"), predictions("two")
    assert [line["prediction"] for line in one] == [line["prediction"] for line in two]
    assert [line["dose"] for line in two] == ["1,0", "2"]


def test_targets_of_a_query_are_measured_where_no_row_lacks_one(cli, trained):
    Path("new.csv").write_text("visit,dose,response\n2024-01-01,2,199\n2024-01-08,1,180\n")
    for target, measured in (("150", True), ("NA", False)):
        Path("next.csv").write_text(f"visit,dose,response\n2024-01-15,1,170\n2024-01-22,1,{target}\n")
        shown = cli("adapt", trained, "--support", "new.csv", "--query", "next.csv", "--out", f"to {target}").stdout
        assert ("query scaled mse: " in shown) is measured
        assert len(predictions(f"to {target}")) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("visit,doze,response\n2024-01-01,1,2\n", "line 1: there is no column 'dose'; did you mean 'doze'?"),
        ("visit,dose,response\n2024-01-01,,1\n", "column 'dose': every value is missing"),
        ("visit,dose\n2024-01-01,1\n", "line 1: there is no column 'response'; there are: dose, visit"),
        ("visit,dose,response\n01/02/2024,1,2\n", "line 2, column 'visit': '01/02/2024' is no date, as others in the column "
         "are; write dates as ISO does, 2020-04-03 or 2020-04-03T14:30"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_ones_own_points_is_one_line_and_leaves_nothing(cli, trained, text, line):
    Path("new.csv").write_text(text)
    assert cli.error("adapt", trained, "--support", "new.csv", "--out", "adapted") == f"new.csv, {line}"
    assert not Path("adapted").exists()


def test_one_input_is_drawn_and_written_in_its_own_units(cli):
    for name in range(3):
        rows = "".join(f"{1900 + row},{30 + 7 * math.sin(row + name)}\n" for row in range(20))
        Path("data").mkdir(exist_ok=True)
        Path("data", f"{name}.csv").write_text(f"year,heat\n{rows}")
    named = ["--task.inputs", "year", "--task.targets", "heat", "--task.scale", "true"]
    cli("run", "-t", "csv", "--task.folder", "data", *named, *QUICK, "--out", "run")
    Path("new.csv").write_text("year,heat\n1900,31\n1910,29\n")
    shown = cli("adapt", "run", "--support", "new.csv", "--out", "adapted").stdout
    assert "predicted at 200 points from 1900 to 1910; --query asks for others" in shown
    assert [round(float(line["year"])) for line in predictions("adapted")[::199]] == [1900, 1910]
    assert Path("adapted/fit.png").exists()


@pytest.mark.usefixtures("no_figures")
def test_classes_are_taken_and_predicted_by_their_names(cli):
    rows = [
        f"{name},{at % 3 + name / 9},{at / 30},{('cold', 'flu', 'none')[at % 3]}"
        for name in range(4)
        for at in range(30)
    ]
    Path("patients.csv").write_text("\n".join(["patient,heat,age,diagnosis", *rows]) + "\n")
    flags = [
        "--task.group",
        "patient",
        "--task.inputs",
        "heat,age",
        "--task.targets",
        "diagnosis",
        "--task.ways",
        3,
        "--task.queries",
        4,
    ]
    cli("run", "-t", "csv", "--task.folder", "patients.csv", *flags, "-a", "protonet", *QUICK, "--out", "run")
    Path("new.csv").write_text("heat,age,diagnosis\n0,0,none\n1,0,flu\n0.1,0,none\n1.1,0,flu\n")
    Path("next.csv").write_text("heat,age,diagnosis\n0.05,0,none\n1.05,0,flu\n")
    shown = cli("adapt", "run", "--support", "new.csv", "--query", "next.csv", "--out", "adapted").stdout
    assert "query accuracy: " in shown
    found = predictions("adapted")
    assert list(found[0]) == ["heat", "age", "class", "p flu", "p none", "p unnamed 2"]
    assert [line["class"] for line in found] == ["none", "flu"]
    Path("next.csv").write_text("heat,age,diagnosis\n0.05,0,plague\n")
    said = "next.csv, line 2, column 'diagnosis': 'plague' is no class of the support set; there are flu, none"
    assert cli.error("adapt", "run", "--support", "new.csv", "--query", "next.csv") == said
    Path("new.csv").write_text("heat,age,diagnosis\n0,0,a\n1,0,b\n0.1,0,c\n1.1,0,d\n")
    said = "new.csv: column 'diagnosis' has 4 classes, and the network tells 3 apart; an episode may have fewer"
    assert cli.error("adapt", "run", "--support", "new.csv") == said


@pytest.mark.parametrize("change", [{"scales": {"dose": [0, 0]}}, {"inputs": 3}, {"scales": {"dose": "x"}}])
def test_a_run_directory_that_says_nonsense_of_its_data_is_refused(cli, trained, change):
    config = json.loads((trained / "config.json").read_text())
    with pytest.raises(UsageError, match="task 'csv': the run directory is damaged: "):
        CSV(**config["task"]["options"]).with_data_facts(config["task"]["facts"] | change)


@pytest.mark.usefixtures("no_figures")
def test_a_folder_of_parquet_files_is_a_task(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name in range(3):
        columns = {
            "visit": [date(2020, 1, 1 + at) for at in range(8)],
            "response": [float(at + name) for at in range(8)],
        }
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{name}.parquet")
    chosen = task(tmp_path, inputs=("visit",), targets=("response",), group="")
    assert set(drawn(chosen).query.x.flatten().tolist()) == set(range(8))


def test_a_file_in_another_encoding_is_read_as_it_is_said(tmp_path):
    plain = patients(tmp_path / "patients.csv")
    words = plain.read_text().replace("response", "Ärger €")
    (tmp_path / "windows.csv").write_bytes(words.encode("cp1252"))
    found = task(tmp_path / "windows.csv", targets=("Ärger €",), encoding="cp1252")
    assert trees.equal(drawn(found), drawn(task(plain)))
    with pytest.raises(
        UsageError, match=r"windows\.csv, line 1: this is not UTF-8 text; .* or say its encoding, as cp1252"
    ):
        _ = task(tmp_path / "windows.csv", targets=("Ärger €",)).spec


def test_points_to_adapt_to_are_of_that_encoding_too(tmp_path):
    known = task(patients(tmp_path / "patients.csv"), encoding="latin-1")
    own = "visit;größe;dose;response\n2020-01-01;1;2,5;190\n2020-01-02;1;3,5;180\n"
    (tmp_path / "own.csv").write_bytes(own.encode("latin-1"))
    assert known.read(tmp_path / "own.csv").y[:, 0].tolist() == [190, 180]
