"""`-m relation=mlp`: another model for one of an algorithm's networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.runs.commands import command_of

pytestmark = pytest.mark.usefixtures("no_figures")

MODULE = '''"""An algorithm of two networks."""

from dataclasses import replace

import mamlzoo


class Two(mamlzoo.GradientDescent):
    """MAML whose outputs are scaled by a second network."""

    name = "two"

    def networks(self, spec):
        return {"network": spec, "scale": replace(spec), "own": self.own}

    def own(self):
        from torch import nn

        return nn.Linear(1, 1)

    def start(self, learner, meta, support):
        return meta["network"]

    def meta_loss(self, learner, meta, episode, progress):
        fast = self.adapt(learner, meta, self.start(learner, meta, episode.support), episode.support)
        outputs = learner.predict(fast, episode.query.x) * learner.predict(meta["scale"], episode.query.x, "scale")
        return learner.loss_of(outputs, episode.query), {}
'''
QUICK = ["--iterations", "2", "--test-tasks", "4", "--plan", "vmap"]


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("two.py").write_text(MODULE)
    return "two.py:Two"


def parameters(result, network):
    return sum(leaf[0].numel() for leaf in result.meta[network].values())


@pytest.mark.parametrize(
    "flags",
    [
        ["-m", "scale=neuron"],
        pytest.param(["--model=scale=neuron"], marks=pytest.mark.slow),
        pytest.param(["--network.scale", "neuron"], marks=pytest.mark.slow),
    ],
)
def test_a_network_gets_the_model_that_is_named_for_it(cli, two, flags):
    cli("run", "-t", "scalar", "-m", "mlp", *flags, "-a", two, *QUICK, "--out", "run")
    result = mamlzoo.load("run")
    assert parameters(result, "scale") == 1
    assert parameters(result, "network") > 100
    assert result.config["settings"]["network_models"] == {"scale": "neuron"}
    assert "--network.scale neuron" in command_of(result.config)


def test_what_is_chosen_is_part_of_the_run_and_gone_on_with(cli, two):
    cli("run", "-t", "scalar", "-m", "scale=neuron", "-a", two, *QUICK, "--out", "run")
    assert json.loads(Path("run/config.json").read_text())["settings"]["network_models"] == {"scale": "neuron"}
    assert mamlzoo.resume("run").meta["scale"].keys() == {"weight"}


WRONG = {
    "another network": ({"relation": "mlp"}, "algorithm 'two' has no network 'relation' to choose a model for; "),
    "one of its own": ({"own": "mlp"}, "algorithm 'two' builds its network 'own' itself; leave out its model"),
    "another model": ({"scale": "mpl"}, "network 'scale': there is no installed model 'mpl'; did you mean 'mlp'"),
    "code of a file": ({"scale": "two.py:Net"}, "network 'scale': there is no installed model 'two.py:Net'"),
}


@pytest.mark.parametrize(("chosen", "complaint"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_chosen_is_said_before_training(two, chosen, complaint):
    with pytest.raises(UsageError, match=complaint):
        mamlzoo.run("scalar", "mlp", two, iterations=1, network_models=chosen)


def test_a_model_is_taken_in_python_as_an_option_too(two):
    result = mamlzoo.run(
        "scalar", nn.Linear(1, 1), two, iterations=1, test_tasks=2, options={"network.scale": "neuron"}
    )
    assert parameters(result, "scale") == 1
