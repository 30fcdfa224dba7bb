"""The commands as a person, and as a program, meets them."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mamlzoo_algorithms.fomaml import FOMAML

pytestmark = pytest.mark.usefixtures("no_figures")
QUICK = ["--iterations", "4", "--meta-batch", "2", "--test-tasks", "6"]
SCALAR = ["-t", "scalar", "-m", "neuron", "--algorithm.inner-lr", "0.1"]


def test_list_shows_every_plugin_with_its_summary_and_distribution(cli):
    shown = cli("list").stdout
    for name in ("scalar", "sine", "blobs", "neuron", "mlp", "maml", "fomaml", "reptile", "anil", "meta-sgd"):
        assert re.search(rf"^ {name} +\S.*mamlzoo 0", shown, re.M), name


def test_list_of_one_kind(cli):
    document = cli.json("list", "model")
    assert {entry["name"] for entry in document["models"]} >= {"mlp", "neuron"}
    assert "tasks" not in document
    assert document["failures"] == []


def test_info_explains_maths_options_and_reference(cli):
    shown = cli("info", "maml").stdout
    assert "φ_{t+1} = φ_t − α·∇L_S(φ_t)" in shown
    assert re.search(r"--algorithm\.inner-steps +1 +adaptation steps in training, k \(at least 0\)", shown)
    assert "ICML 2017" in shown
    assert cli.json("info", "maml")["options"][0]["name"] == "inner_lr"


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 60 columns; the lines of what is printed there, without colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    return lambda text: [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()]


def test_a_terminal_wraps_paragraphs_at_words_and_leaves_formulas(cli, narrow):
    lines = narrow(cli("info", "fomaml").stdout)
    assert max(map(len, lines)) <= 60
    paragraphs = inspect.getdoc(FOMAML).split("\n\n")
    for paragraph in paragraphs:
        if not re.search("^ ", paragraph, re.M):
            expected = textwrap.wrap(" ".join(paragraph.split()), 60, break_on_hyphens=False)
            assert "\n".join(expected) in "\n".join(lines)
    assert "  ∇_θ meta-loss = ∇L_Q(φ_k)," in lines


def test_an_error_is_wrapped_at_words_in_a_terminal_alone(cli, narrow, monkeypatch):
    assert narrow(cli("run", "-t", "csv", code=2).stderr) == [
        "Error: task 'csv': say where your CSV files are, as in",
        "--task.folder data",
    ]
    monkeypatch.delenv("FORCE_COLOR")
    assert cli("run", "-t", "csv", code=2).stderr.count("\n") == 1


def test_a_command_to_copy_is_one_line_in_any_terminal(cli, narrow):
    (line,) = narrow(cli("new-plugin", "spiral", "--kind", "task").stderr)
    assert line == "next: pip install ./spiral && mamlzoo check spiral && mamlzoo run -t spiral"


def test_run_prints_the_table_saves_a_directory_and_says_where(cli):
    result = cli("run", *QUICK, "--out", "here")
    steps = re.findall(r"^ (\d+) +[\d.]+ +[\d.]+ *$", result.stdout, re.M)
    assert steps == [str(step) for step in range(11)]
    assert re.fullmatch(
        r"sine × mlp × maml by (vmap|loop): .* in all; --plan \1( --threads \d)? repeats it\nsaved: here\n",
        result.stderr,
    )
    assert Path("here/config.json").exists()


def test_run_without_out_makes_a_new_directory_below_runs(cli):
    cli("run", *QUICK)
    cli("run", *QUICK)
    assert len(list(Path("runs").iterdir())) == 2


def test_json_is_one_document_and_nothing_else_on_stdout(cli):
    document = cli.json("run", *QUICK, "--seeds", "2", "--out", "here")
    assert document["evaluation"]["steps"] == list(range(11))
    assert len(document["evaluation"]["mean"]) == len(document["evaluation"]["ci95"]) == 11
    assert [len(row) for row in document["evaluation"]["per_seed"]] == [11, 11]
    assert document["timing"]["train_seconds"] > 0
    assert document["timing"]["tasks_per_second"] > 0
    assert document["run_dir"] == "here"
    assert document["config"]["settings"]["seeds"] == [0, 1]
    assert json.loads(Path("here/result.json").read_text()) == document


def test_quiet_says_nothing_on_stderr(cli):
    assert cli("run", *QUICK, "--quiet").stderr == ""


def test_seed_list_names_the_seeds(cli):
    assert cli.json("run", *QUICK, "--seed-list", "4,2")["config"]["settings"]["seeds"] == [4, 2]


def test_running_twice_prints_the_same_numbers(cli):
    first, second = (cli.json("run", *QUICK, "--seeds", "2", "--plan", "vmap")["evaluation"] for _ in range(2))
    assert first == second


def test_the_scalar_notebooks_meta_step(cli):
    step = [
        "--optimizer",
        "sgd",
        "--outer-lr",
        "0.5",
        "--meta-reduction",
        "sum",
        "--meta-batch",
        "2",
        "--iterations",
        "1",
    ]
    assert "θ after training: network.weight = -1515.48\n" in cli("run", *SCALAR, *step).stdout
    assert "θ after training: network.weight = 137.6\n" in cli("run", *SCALAR, "-a", "fomaml", *step).stdout


def test_verify_prints_the_whole_chain_rule(cli):
    shown = cli("verify", *SCALAR).stdout
    for value in ("4.48", "3028.48", "0.6", "-8.2", "-2.24", "594.88", "WRONG"):
        assert value in shown
    assert shown.endswith("scalar × neuron × maml: all ways agree\n")


def test_verify_as_json(cli):
    document = cli.json("verify", *SCALAR, "-a", "fomaml")
    assert document["passed"]
    (first,), (second,) = (episode["meta_gradient"] for episode in document["episodes"])
    assert (first["autograd"], second["autograd"]) == (pytest.approx(-2.8), pytest.approx(-270.4))


def test_verify_fails_with_exit_code_1(cli, distribution):
    distribution("halved", '''
        import mamlzoo
        from mamlzoo import adapt

        class Halved(mamlzoo.GradientDescent):
            """MAML that halves its gradients on their way back."""

            name = "halved"

            def meta_loss(self, learner, meta, episode, progress):
                loss = learner.loss(adapt(self, learner, meta, episode.support, 1), episode.query)
                if loss.requires_grad:
                    loss.register_hook(lambda gradient: gradient / 2)
                return loss, {}

        @mamlzoo.hookimpl
        def mamlzoo_plugins():
            return [Halved]
    ''')  # fmt: skip
    assert "they DISAGREE" in cli("verify", "-a", "halved", code=1).stdout


def test_compare_prints_one_table_and_saves_every_run(cli):
    shown = cli("compare", "-a", "maml", "-a", "scratch", *QUICK, "--out", "all").stdout
    assert re.search(r"steps +maml +scratch", shown)
    names = {path.name for path in Path("all").iterdir()}
    assert names == {"maml", "scratch", "comparison.json", "curves.png", ".lock"}


def test_compare_as_json(cli):
    document = cli.json("compare", "-a", "maml", "-a", "scratch", *QUICK, "--baseline", "maml", "--out", "all")
    assert [entry["run_dir"] for entry in document["results"]] == ["all/maml", "all/scratch"]
    assert [(row["label"], row["other"]) for row in document["differences"]["rows"]] == [("scratch", "maml")]
    assert document["run_dir"] == "all"


def test_compare_says_which_differences_are_real(cli):
    shown = cli("compare", "-a", "maml", "-a", "scratch", *QUICK, "--baseline", "maml", "--at-step", "1").stdout
    assert "paired differences in test mse after 1 adaptation step, first − second\n" in shown
    assert re.search(r"^ scratch +maml +-?[\d.]+ +\[-?[\d.]+, -?[\d.]+\] +1 +\w", shown, re.M)
    assert "over test tasks only, as there is one seed: it says nothing of another training run" in shown


def test_help_is_the_same_after_a_command_was_used(cli):
    before = cli("--help").stdout
    cli("list")
    assert cli("--help").stdout == before


def test_help_shows_the_options_of_the_plugins_chosen(cli):
    shown = cli("run", "--help").stdout
    assert "--task.shots" in shown
    assert "--algorithm.inner-steps" in shown
    shown = cli("run", "-t", "blobs", "-a", "protonet", "--help").stdout
    assert "--task.ways" in shown
    assert "--algorithm.embedding" in shown
    assert "--algorithm.inner-steps" not in shown


def test_every_setting_of_a_run_has_a_flag(cli):
    shown = cli("run", "--help").stdout
    for flag in ("seeds", "seed-list", "iterations", "meta-batch", "outer-lr", "optimizer", "meta-reduction", "test-tasks",
                 "test-steps", "device", "plan", "out", "quiet", "json"):  # fmt: skip
        assert f"--{flag}" in shown


ERRORS = {
    "unknown plugin": (["run", "-a", "mamll"], "there is no algorithm 'mamll'; did you mean 'maml' or 'imaml'?"),
    "unknown option": (["run", "--task.shotz", "5"], "task 'sine' has no option 'shotz'; did you mean 'shots'?"),
    "a list given in parts": (
        ["run", "-t", "csv", "--task.inputs", "day", "--task.inputs", "light"],
        "--task.inputs is given 2 times; give it once, several values as a,b",
    ),
    "unknown command": (["rum"], "there is no command 'rum'; did you mean 'run' or 'resume'?"),
    "a stray word": (["run", "extra"], "unexpected argument 'extra': what stands alone is the config.json of a run"),
    "option of another plugin": (
        ["run", "-t", "blobs", "-a", "protonet", "--algorithm.inner-lr", "1"],
        "algorithm 'protonet' has no option 'inner-lr'; there are: embedding",
    ),
    "option of none of several": (
        ["compare", "-a", "maml", "-a", "fomaml", "--algorithm.inner-lrr", "1"],
        "algorithms 'maml' and 'fomaml' have no option 'inner-lrr'; did you mean 'inner-lr'",
    ),
    "no shots": (["run", "--task.shots", "0"], "Invalid value for '--task.shots': must be at least 1, not 0"),
    "no grid": (["run", "--task.test-points", "0"], "Invalid value for '--task.test-points': must be at least 1"),
    "negative rate": (["run", "--algorithm.inner-lr", "-1"], "Invalid value for '--algorithm.inner-lr': must be at least 0"),
    "negative outer rate": (["run", "--outer-lr", "-1"], "Invalid value for '--outer-lr': must be at least 0"),
    "negative steps": (["run", "--test-steps", "-1"], "Invalid value for '--test-steps': must be at least 0, not -1"),
    "no number": (["run", "--model.hidden", "4,x"], "Invalid value for '--model.hidden': 'x' is not a whole number"),
    "model that does not fit": (["run", "-t", "blobs", "-m", "neuron"], "model 'neuron' maps one number to one number"),
    "protonet on regression": (["run", "-a", "protonet"], "algorithm 'protonet' classifies by class means, and the task"),
    "missing device": (["run", "--device", "cuda:9"], "there is no device 'cuda:9' here; there are: cpu"),
    "several for run": (["run", "-a", "maml", "-a", "anil"], "one algorithm only, not maml, anil; `mamlzoo compare` takes"),
    "two ways to say seeds": (["run", "--seeds", "2", "--seed-list", "1"], "--seeds says how many and --seed-list says"),
    "bad seed list": (["run", "--seed-list", "1,b"], "--seed-list: '1,b' is no list of whole numbers such as 0,1,2"),
    "unknown optimizer": (["run", "--optimizer", "adamm"], "torch.optim has no optimizer 'adamm'; did you mean 'adam'"),
    "here": (["run", "--out", "."], f"{Path().resolve().anchor}"),
    "huge seed": (["run", "--seed-list", str(2**64)], "settings: seeds must be at most"),
    "no run": (["plot", "curves", "runs/nowhere"], "runs/nowhere is no run directory: it has no config.json"),
    "unknown baseline": (["compare", "--iterations", "1000000000", "--baseline", "mamll"], "there is no baseline 'mamll'"),
    "no such step": (["compare", "--iterations", "1000000000", "--at-step", "11"], "no difference after 11 adaptation steps"),
    "no picture format": (["plot", "gallery", "-o", "x.bmp"], "x.bmp must end in .png, .svg or .pdf"),
    "no curves": (["plot", "gallery", "-t", "blobs"], "task 'blobs' has inputs of shape [8] and 5 classes; a gallery shows"),
    "no mean of curves": (["plot", "average", "-t", "blobs"], "task 'blobs' is not from one number to one number"),
    "no place for a picture": (["plot", "gallery", "-o", "no/where.png"], "no/where.png cannot be written: No such file"),
    "unknown info": (["info", "sin"], "there is no plugin 'sin'; did you mean 'sine'"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "line"), ERRORS.values(), ids=ERRORS)
def test_bad_input_is_one_clear_line_and_leaves_nothing_behind(cli, arguments, line):
    assert cli.error(*arguments).startswith(line)
    assert list(Path.cwd().iterdir()) == []


def test_a_taken_or_unwritable_directory_is_refused_before_training(cli):
    Path("full").mkdir()
    Path("full/precious").write_text("x")
    line = cli.error("run", "--iterations", "1000000000", "--out", "full")
    assert line.endswith("full exists and is no empty directory; nothing is overwritten, choose another")
    line = cli.error("run", "--iterations", "1000000000", "--out", "full/precious/run")
    assert "cannot be written" in line
    assert [str(path) for path in Path().rglob("*")] == ["full", "full/precious"]


def test_debug_shows_the_traceback(cli):
    with pytest.raises(AssertionError) as caught:
        cli("--debug", "run", "-t", "sin")
    assert type(caught.value.__cause__).__name__ == "UsageError"


def test_a_real_process_has_no_colours_no_bars_and_its_exit_code(tmp_path):
    command = [sys.executable, "-m", "mamlzoo", "run", *QUICK]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "\x1b" not in result.stdout + result.stderr
    assert re.fullmatch(r".* by (vmap|loop): .*\nsaved: runs/.*\n", result.stderr)
    command[3:] = ["rum"]  # which needs no plugin, and so no torch
    failed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert failed.returncode == 2
