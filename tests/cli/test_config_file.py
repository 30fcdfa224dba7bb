"""`--config`, `--save-config` and `mamlzoo run RUN/config.json`: a file says what flags would, and flags win."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

import mamlzoo
from mamlzoo.runs.digests import experiment_digest

pytestmark = pytest.mark.usefixtures("no_figures")
LITTLE = """\
iterations = 2
meta_batch = 2
test-tasks = 3
test-steps = 1
plan = "vmap"
quiet = true
"""
FLAGS = ["--iterations", "2", "--meta-batch", "2", "--test-tasks", "3", "--test-steps", "1", "--plan", "vmap", "-q"]


def write(text: str, name: str = "x.toml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def config(cli, *args):
    return cli.json("run", *args)["config"]


def saved(cli, *args, command="run"):
    """What --save-config writes."""
    cli(command, *args, "--save-config", "saved.toml")
    text = Path("saved.toml").read_text(encoding="utf-8")
    Path("saved.toml").unlink()
    return tomllib.loads(text)


def test_a_file_says_what_flags_would(cli):
    write(f"""{LITTLE}
        outer-lr = 0.01
        seed-list = [3, 5]
        clip-norm = 1
        decay-every = "none"
        select-best = true
        valid-tasks = 2
        [task]
        shots = 5
        [model]
        hidden = [4, 4]
        [algorithm]
        name = "meta-sgd"
        inner-lr = 0.05
        [optimizer]
        name = "sgd"
        momentum = 0.5
    """)
    by_flags = config(
        cli, *FLAGS, "--outer-lr", "0.01", "--seed-list", "3,5", "--clip-norm", "1", "--select-best", "--valid-tasks", "2",
        "--task.shots", "5", "--model.hidden", "4,4", "-a", "meta-sgd", "--algorithm.inner-lr", "0.05",
        "--optimizer", "sgd", "--optimizer.momentum", "0.5",
    )  # fmt: skip
    assert config(cli, "--config", "x.toml") == by_flags


def test_a_dotted_word_needs_no_table(cli):
    write(
        '"algorithm.inner-lr" = 0.05\ntask.shots = 5\n"outer-lr.rates" = 0.2\nouter_lr = 0.1\nalgorithm.name = "meta-sgd"'
    )
    assert saved(cli, "--config", "x.toml") == {
        "model": "mlp",
        "outer-lr": 0.1,
        "outer-lr.rates": 0.2,
        "task": {"name": "sine", "shots": 5},
        "algorithm": {"name": "meta-sgd", "inner-lr": 0.05},
    }


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("iterations = 3", ["--iterations", "4"], {"iterations": 4}),
        ("seeds = 3", ["--seed-list", "7,8"], {"seed-list": [7, 8]}),
        ("seed-list = [7, 8]", ["--seeds", "3"], {"seeds": 3}),
        ('log = ["tensorboard"]', ["--log", "other"], {"log": ["other"]}),
        ('task = "nosuch"', ["-t", "sine"], {"task": "sine"}),
        ("task.shots = 3", ["--task.shots=4"], {"task": {"name": "sine", "shots": 4}}),
        ("[algorithm]\nname = 'maml'\ninner-lr = 0.3", ["-a", "anil"], {"algorithm": {"name": "anil", "inner-lr": 0.3}}),
        ('optimizer = "nosuch"', ["--optimizer", "sgd"], {"optimizer": "sgd"}),
    ],
)  # fmt: skip
def test_flags_win(cli, text, flags, said):
    write(text)
    assert saved(cli, "--config", "x.toml", *flags) == {"task": "sine", "model": "mlp", "algorithm": "maml"} | said


def test_help_lists_the_options_of_what_the_file_chooses(cli):
    write('algorithm = "protonet"\noptimizer = "sgd"')
    shown = cli("run", "--config", "x.toml", "--help").stdout
    assert "Options of algorithm protonet" in shown
    assert "Options of optimizer sgd" in shown
    assert cli("run", "-h", "--config", "x.toml").stdout == shown


def test_flags_choose_of_several_anew(cli):
    write('algorithm = ["maml", "fomaml"]\ntask = ["sine", "linear"]')
    found = saved(cli, "--config", "x.toml", "-a", "scratch", command="compare")
    assert (found["algorithm"], found["task"]) == ("scratch", ["sine", "linear"])


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("run", []),
        ("run", ["--model.hidden", "", "--clip-norm", "none", "--select-best", "-q"]),
        ("run", ["-a", "relation-networks", "-t", "blobs", "-m", "relation=mlp", "--outer-lr", "1e-5"]),
        ("run", ["-a", "meta-sgd", "--outer-lr.rates", "1e16", "-t", "linear", "--task.shots", "1..20", "--checkpoint-every", "5"]),
        ("compare", ["-a", "maml", "-a", "fomaml", "--algorithm.inner-lr", "0.1", "--baseline", "maml"]),
        ("sweep", ["--outer-lr", "log:1e-3:1e-1:3", "--model.hidden", "4;5,5", "--optimizer", "sgd,adam"]),
        ("sweep", ["--optimizer.betas", "0.9,0.99;0.8,0.9", "--select-best", "true,false", "--one-by-one"]),
    ],
)  # fmt: skip
def test_what_is_saved_is_read_as_the_same_flags(cli, command, flags):
    cli(command, *flags, "--save-config", "one.toml")
    cli(command, "--config", "one.toml", "--save-config", "two.toml")
    assert Path("two.toml").read_text() == Path("one.toml").read_text()


def test_a_text_of_any_letters_is_read_again(cli):
    odd = 'a "b" \\ \t ü 😀 \x7f'
    cli("run", "--out", odd, "--save-config", "one.toml")
    assert tomllib.loads(Path("one.toml").read_text(encoding="utf-8"))["out"] == odd


def test_saving_a_config_runs_nothing_and_says_where(cli, tmp_path):
    found = cli("run", *FLAGS[:-1], "--out", "run", "--save-config", "x.toml")
    assert (found.stdout, found.stderr) == ("", "saved: x.toml\n")
    assert [path.name for path in tmp_path.iterdir()] == ["x.toml"]


def test_a_saved_config_leads_to_the_same_experiment_and_leaves_no_trace(cli):
    flags = [*FLAGS, "--algorithm.inner-lr", "0.05", "--seeds", "2"]
    cli("run", *flags, "--save-config", "x.toml")
    by_flags, by_file = config(cli, *flags), config(cli, "--config", "x.toml")
    assert experiment_digest(by_file) == experiment_digest(by_flags)
    assert by_file == by_flags


def test_a_sweep_and_a_comparison_come_from_one_file(cli):
    write(f"{LITTLE}valid-tasks = 2\nouter-lr = [0.1, 0.01]\nout = 'swept'")
    cli("sweep", "--config", "x.toml")
    assert [cell.values for cell in mamlzoo.load("swept").cells] == [{"outer_lr": 0.1}, {"outer_lr": 0.01}]
    write(f"{LITTLE}algorithm = ['maml', 'scratch']\nbaseline = 'scratch'\nout = 'compared'")
    cli("compare", "--config", "x.toml")
    assert json.loads(Path("compared/comparison.json").read_text())["baseline"] == "scratch"


WRONG = {
    "itertions = 3": "'itertions' is no word of `mamlzoo run`; did you mean 'iterations'?",
    "inner-lr = 3": "'inner-lr' is no word of `mamlzoo run`; did you mean 'algorithm.inner-lr'?",
    "[optimzer]\nname = 'sgd'": "'optimzer' is a table that means nothing; did you mean 'optimizer'?",
    "[algorithm.inner]\nlr = 1": "algorithm.inner is a table, and no word has one within another",
    "[algorithm]\niner-lr = 3": "algorithm 'maml' has no option 'iner-lr'; did you mean 'inner-lr' or 'inner-clip'?",
    "[algorithm]\nname = 'protonet'\ninner-lr = 1": "algorithm 'protonet' has no option 'inner-lr'; there are: embedding",
    "[optimizer]\nmomentm = 3": "optimizer 'adam' has no option 'momentm'; there are: amsgrad",
    "task = 'sin'": "there is no task 'sin'; did you mean 'sine'?",
    "task = ['sine', 'linear']": "task must be a name, not ['sine', 'linear']",
    "optimizer = 'sdg'": "torch.optim has no optimizer 'sdg'; did you mean 'sgd'?",
    "iterations = '3'": "iterations must be of type int, not '3'",
    "iterations = 1979-05-27": "iterations must be of type int, not datetime.date(1979, 5, 27)",
    "iterations = -1": "iterations must be at least 0, not -1",
    "outer-lr = nan": "outer-lr must be finite, not nan",
    "seeds = 0": "seeds must be at least 1, not 0",
    "seed-list = [1, 2.5]": "seed-list must be a text, or a list of whole numbers, not [1, 2.5]",
    "out = 3": "out must be a text, not 3",
    "quiet = 1": "quiet must be true or false, not 1",
    "[model]\nhidden = 40": "model.hidden must be several values of type int, not 40",
    "outer-lr = 1\nouter_lr = 2": "outer-lr is said twice",
    "config = 'x.toml'": "'config' is no word of `mamlzoo run`",
}
DAMAGED = {
    b"seeds = 3\nx y\n": "Expected '=' after a key in a key/value pair (at line 2, column 3)",
    b"seeds = 3\nx =": "Invalid value (at line 2, the last)",
    b"seeds = 3\n\xff = 1": "it is no UTF-8 (at line 2)",
    b"task = 'sine'\n[task]\nshots = 5": "Cannot overwrite a value (at line 2, column 6); a word stands once, and as a value",
    b"seeds = " + b"9" * 5000: "a number in it has thousands of digits",
    b"seeds = " + b"[" * 5000: "a number in it has thousands of digits, or a thousand lists are in each other",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_with_its_file_and_nothing_is_written(cli, tmp_path, text):
    write(text)
    assert cli.error("run", "--config", "x.toml").startswith(f"x.toml: {WRONG[text]}")
    assert [path.name for path in tmp_path.iterdir()] == ["x.toml"]


@pytest.mark.parametrize("data", DAMAGED)
def test_a_damaged_file_is_said_with_the_line(cli, data):
    Path("x.toml").write_bytes(data)
    assert cli.error("run", "--config", "x.toml").startswith(f"x.toml cannot be read: {DAMAGED[data]}")


def test_a_file_that_is_none_is_said(cli):
    assert cli.error("run", "--config", "gone.toml") == "gone.toml cannot be read: No such file or directory"
    assert cli.error("run", "--config", "/dev/null") == "/dev/null cannot be read: it is no regular file"
    assert cli.error("run", "--config", "config.json").startswith("config.json is no TOML, which --config reads")


def test_what_a_flag_says_wrong_is_not_laid_to_the_file(cli):
    write("iterations = 3")
    assert cli.error("run", "--config", "x.toml", "-t", "sin") == "there is no task 'sin'; did you mean 'sine'?"
    assert cli.error("run", "--config", "x.toml", "--seeds", "x").startswith("Invalid value for '--seeds'")


def test_a_value_that_no_flag_could_spell_is_refused(cli, distribution):
    distribution("tagged", """
        import mamlzoo
        from mamlzoo_models.mlp import MLP

        class Tagged(MLP):
            '''Tagged.'''
            name = "tagged"
            reference = "none"
            tags: tuple[str, ...] = mamlzoo.option((), "tags")
        """, cls="Tagged")  # fmt: skip
    write("[model]\nname = 'tagged'\ntags = ['a,b']")
    assert cli.error("run", "--config", "x.toml") == "x.toml: model.tags is ('a,b',), which no flag can spell"
    write("[model]\nname = 'tagged'\ntags = ['a', 'b']")
    assert saved(cli, "--config", "x.toml")["model"] == {"name": "tagged", "tags": ["a", "b"]}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("there.toml", "there.toml exists; nothing is overwritten, choose another or remove it"),
        ("no/x.toml", "no/x.toml cannot be written: No such file or directory"),
        ("x.json", "x.json: a config file is TOML, so its name does not end in .json"),
    ],
)
def test_a_place_that_cannot_be_saved_to_is_said(cli, name, why):
    write("here", "there.toml")
    assert cli.error("run", "--save-config", name) == why
    assert Path("there.toml").read_text() == "here"


def test_a_text_that_is_no_unicode_is_saved_in_no_file(cli):
    assert "out is 'a\\udcff', which is no Unicode" in cli.error("run", "--out", "a\udcff", "--save-config", "x.toml")
    assert not Path("x.toml").exists()


def test_what_a_run_would_refuse_is_not_saved(cli):
    assert "choose a classification task" in cli.error("run", "-a", "protonet", "--save-config", "x.toml")
    assert not Path("x.toml").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory, no_figures):
    """A run directory, which tests only read."""
    directory = tmp_path_factory.mktemp("made") / "run"
    mamlzoo.run(
        "sine", "mlp", "maml", options={"algorithm.inner_lr": 0.05}, optimizer="sgd", seeds=2, iterations=2, meta_batch=2,
        test_tasks=3, test_steps=1, plan="vmap",
    ).save(directory)  # fmt: skip
    return directory


@pytest.fixture
def run(cli, made):
    """The config.json of a run."""
    Path("run").mkdir()
    shutil.copy(made / "config.json", "run")
    return Path("run/config.json")


def test_a_run_is_made_again_from_its_config(cli, run):
    before = json.loads(run.read_text())
    cli("run", run, "-q", "--out", "again")
    again = json.loads(Path("again/config.json").read_text())
    assert again | {"git": None} == before | {"git": None}


def test_flags_win_over_the_config_of_a_run(cli, run):
    found = saved(cli, run, "-a", "anil", "--seed-list", "4", "--iterations", "9")
    assert found["algorithm"] == {"name": "anil", "inner-lr": 0.05}
    assert (found["seed-list"], found["iterations"], found["optimizer"]) == ([4], 9, "sgd")
    assert "seeds" not in found


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        ({"format": 99}, 1, "run was written by a newer mamlzoo: its layout is 99, this one knows up to 1"),
        ({"format": "1"}, 1, "run/config.json cannot be read: its format is '1', which is no version of a layout"),
        ({"settings": {"iterations": -1}}, 1, "run/config.json cannot be read: its settings.iterations must be at least 0"),
        ({"settings": {"itertions": 1}}, 2, "run/config.json: settings has no option 'itertions'"),
        ({"task": {"name": "sin"}}, 2, "run/config.json: there is no task 'sin'; did you mean 'sine'?"),
        ({"task": {"registered": False}}, 2, "run/config.json: task 'sine' came from Python"),
        (
            {"task": {"registered": False, "source": {"reference": "/x.py:X", "sha256": "0"}}},
            2,
            "run/config.json: task 'sine' is code that was never run here",
        ),
    ],
)  # fmt: skip
def test_a_config_that_leads_to_no_run_is_said(cli, run, change, code, why):
    document = json.loads(run.read_text())
    for part, values in change.items():
        document[part] = document[part] | values if isinstance(values, dict) else values
    run.write_text(json.dumps(document))
    assert cli.error("run", run, code=code).startswith(why)
    assert not Path("runs").exists()


def test_a_damaged_config_is_said_with_the_line(cli, run):
    run.write_text('{"format": 1,\n"task": }')
    assert "run/config.json cannot be read" in (said := cli.error("run", run, code=1))
    assert "line 2" in said


def test_another_file_than_a_runs_config_is_said(cli, run):
    write("", "my.toml")
    assert cli.error("run", "run").startswith(
        "run is a run directory; `mamlzoo run run/config.json` makes its run again"
    )
    assert cli.error("run", "my.toml").endswith("`mamlzoo run --config my.toml` reads a file of yours")
    assert cli.error("run", "gone.json") == "gone.json cannot be read: No such file or directory"
    assert cli.error("run", run, "--config", "my.toml").endswith("both say what to run; give one of them")


def test_code_of_ones_own_is_run_again_where_it_was_found_unchanged(cli):
    Path("net.py").write_text("from torch import nn\n\ndef Net(spec):\n    return nn.Linear(1, 1)\n")
    cli("run", *FLAGS, "-m", "net.py:Net", "--out", "run")
    assert saved(cli, "run/config.json")["model"].endswith("net.py:Net")
    Path("net.py").write_text("raise SystemExit\n")
    assert "has changed" in cli.error("run", "run/config.json")
