"""`--optimizer.NAME`, `--outer-lr.GROUP` and the other flags of the outer loop."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from mamlzoo.cli import main

LITTLE = ["--iterations", "3", "--meta-batch", "2", "--test-tasks", "3", "--test-steps", "1", "--plan", "vmap", "-q"]
pytestmark = pytest.mark.usefixtures("no_figures")


def invoke(*args):
    return CliRunner().invoke(main, list(args))


def test_flags_reach_the_settings(tmp_path):
    flags = ["--optimizer", "sgd", "--optimizer.momentum", "0.9", "--optimizer.weight-decay=1e-4", "-a", "meta-sgd",
             "--outer-lr.rates", "0.1", "--schedule", "cosine", "--warmup", "2", "--final-factor", "0.1", "--clip-norm", "10",
             "--clip-per", "task", "--ema", "0.9", "--patience", "3", "--validate-every", "1", "--valid-tasks", "2"]  # fmt: skip
    found = invoke("run", *LITTLE, *flags, "--out", str(tmp_path / "run"), "--json")
    assert found.exit_code == 0, found.output
    settings = json.loads(found.stdout)["config"]["settings"]
    assert settings["optimizer_options"] == {"momentum": 0.9, "weight_decay": 1e-4}
    assert settings["group_lrs"] == {"rates": 0.1}
    assert (settings["schedule"], settings["warmup"], settings["final_factor"]) == ("cosine", 2, 0.1)
    assert (settings["clip_norm"], settings["clip_per"], settings["ema"], settings["patience"]) == (
        10.0,
        "task",
        0.9,
        3,
    )


def test_help_lists_the_options_of_the_optimiser_that_is_chosen():
    usual, other = (invoke("run", *given, "--help").output for given in ([], ["--optimizer", "SGD"]))
    assert "Options of optimizer adam:" in usual
    assert "--optimizer.betas FLOAT,..." in usual
    assert "--optimizer.lr" not in usual
    assert "Options of optimizer SGD:" in other
    assert "--optimizer.nesterov BOOL" in other
    assert "--optimizer.betas" not in other


def test_a_sweep_takes_several_and_lists_the_options_of_all():
    found = invoke("sweep", "--optimizer", "sgd,adam", "--help").output
    assert "Options of optimizer sgd, adam:" in found
    assert "--optimizer.momentum FLOAT[,...]" in found
    assert "--optimizer.betas FLOAT,...[;...]" in found


def test_a_comparison_gives_them_to_all(tmp_path):
    flags = [
        "-a",
        "maml",
        "-a",
        "fomaml",
        "--optimizer.weight-decay",
        "0.1",
        "--warmup",
        "2",
        "--outer-lr.network",
        "0.1",
    ]
    found = invoke("compare", *LITTLE, *flags, "--out", str(tmp_path / "both"), "--json")
    assert found.exit_code == 0, found.output
    for config in sorted((tmp_path / "both").glob("*/config.json")):
        settings = json.loads(config.read_text())["settings"]
        assert (settings["optimizer_options"], settings["group_lrs"]) == ({"weight_decay": 0.1}, {"network": 0.1})


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--optimizer.lr", "1"], "optimizer 'adam' is not given lr: the rate is the setting outer_lr, --outer-lr"),
        (["--optimizer.fused", "true"], "optimizer 'adam' is not given fused: how torch computes"),
        (["--optimizer.momentum", "1"], "optimizer 'adam' has no option 'momentum'; there are: amsgrad, betas"),
        (["--optimizer.weight-deca", "1"], "optimizer 'adam' has no option 'weight_deca'; did you mean 'weight_decay'"),
        (["--optimizer.eps", "x"], "Invalid value for '--optimizer.eps': 'x' is not a number"),
        (["--optimizer.eps", "-1"], "optimizer 'adam' refuses eps = -1.0: Invalid epsilon value: -1.0"),
        (["--optimizer", "adamm", "--optimizer.eps", "1"], "torch.optim has no optimizer 'adamm'; did you mean 'adam'"),
        (["--optimizer", "lbfgs", "--optimizer.eps", "1"], "optimizer 'lbfgs' cannot be the outer optimiser"),
        (["--outer-lr.rates", "0.1"], "θ has no group 'rates' that could have an outer rate; there are: network"),
        (["--outer-lr.rates", "x"], "Invalid value for '--outer-lr.rates': 'x' is not a number"),
        (["--outer-lr.rates", "-1"], "Invalid value for '--outer-lr.rates': must be at least 0, not -1.0"),
        (["--clip-norm", "0"], "Invalid value for '--clip-norm': must be above 0, not 0.0"),
        (["--schedule", "sine"], "Invalid value for '--schedule': 'sine' is not one of them"),
        (["--ema", "1"], "settings: ema must be below 1, not 1.0"),
    ],
)
def test_what_cannot_be_is_one_line(flags, said, tmp_path):
    found = invoke("run", *LITTLE, *flags, "--out", str(tmp_path / "run"))
    assert found.exit_code == 2, found.output
    (line,) = found.stderr.splitlines()
    assert line.startswith(f"Error: {said}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("group", ["", " ", "[/x]", "ünï", "a.b", "\x1b[31m", "x" * 500, "network"])
def test_whatever_a_group_is_called_the_answer_is_one_line(group, tmp_path):
    found = invoke("run", *LITTLE, f"--outer-lr.{group}=nan", "--out", str(tmp_path / "run"))
    assert found.exit_code == 2, found.output
    (line,) = found.stderr.splitlines()
    assert line.startswith("Error: ")
    if group != "network":
        found = invoke("run", *LITTLE, f"--outer-lr.{group}=0.1", "--out", str(tmp_path / "run"))
        (line,) = found.stderr.splitlines()
        assert line.startswith("Error: θ has no group ")


@pytest.mark.parametrize("network", ["", " ", "[/x]", "ünï", "a.b", "\x1b[31m", "x" * 500])
def test_whatever_a_network_is_called_the_answer_is_one_line(network, tmp_path):
    found = invoke("run", *LITTLE, f"--network.{network}=mlp", "--out", str(tmp_path / "run"))
    assert found.exit_code == 2, found.output
    (line,) = found.stderr.splitlines()
    assert line.startswith("Error: algorithm 'maml' has no network ")
    assert list(tmp_path.iterdir()) == []
