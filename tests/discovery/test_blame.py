"""A plugin that breaks its contract while it runs is refused before training, by name, with its file and what to do."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, PluginError, Spec, UsageError
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 4, "test_steps": 1}
NAN = float("nan")


def variant(base, **overridden):
    """A plugin that differs from a built-in in what is given, and is called 'odd'."""
    return type("Odd", (base,), {"__doc__": "Odd.", "__module__": __name__, "name": "odd", **overridden})


def refused(plugin, **settings):
    with pytest.raises(PluginError) as caught:
        mamlzoo.run(**{plugin.kind: plugin}, **{**QUICK, **settings})
    return str(caught.value)


def changed(part, base=Sine, /, **leaves):
    """A task's `sample` with other leaves in one part of an episode."""

    def sample(self, count, *, split, generator):
        episode = base.sample(self, count, split=split, generator=generator)
        batch = getattr(episode, part)
        return replace(
            episode, **{part: replace(batch, **{k: change(getattr(batch, k)) for k, change in leaves.items()})}
        )

    return sample


def poisoned(leaf):
    return torch.where(torch.arange(leaf.shape[1])[:, None] == 3, NAN, leaf)


def scaled(factor):
    """`MAML.adapt` with φ multiplied by something."""
    return lambda self, *args: {name: leaf * factor for name, leaf in MAML.adapt(self, *args).items()}


TASKS = {
    "numbers that are not finite": (
        {"sample": changed("support", y=poisoned)},
        "was asked for 2 episodes and returned support.y with 2 numbers that are not finite, first in episode 0",
    ),
    "a list for a tensor": ({"sample": changed("query", x=torch.Tensor.tolist)}, "returned query.x as a list"),
    "inputs that are whole numbers": (
        {"sample": changed("query", x=torch.Tensor.long)},
        "returned query.x as torch.int64; inputs must be floating-point numbers: end it with .float(); for whole numbers",
    ),
    "inputs that are complex": ({"sample": changed("support", x=lambda x: x * 1j)}, "support.x as torch.complex64; inputs must"),
    "targets that are true or false": (
        {"sample": changed("support", y=lambda y: y > 0)},
        "returned support.y as torch.bool; targets must be real numbers: end it with .float()",
    ),
    "a spec that is none": ({"spec": (1, 1)}, "its spec must be a mamlzoo.Spec, not a tuple"),
    "an input that is no tuple": ({"spec": Spec(1, 1)}, "input_shape must be a tuple of whole numbers, as (1,), not 1"),
    "an output that is no number": ({"spec": Spec((1,), (1,))}, "output_size must be a whole number, not (1,)"),
    "a loss that is a number": ({"loss": lambda self, p, t: 1.0}, "loss is a float, it must be a scalar tensor"),
    "a loss of a vector": ({"loss": lambda self, p, t: (p - t)[:, 0]}, "loss has shape [10], it must be a scalar"),
    "a loss that is NaN": ({"loss": lambda self, p, t: (p - t).sum() * NAN}, "loss is nan for a finite prediction"),
    "a loss whose gradient is NaN": (
        {"loss": lambda self, p, t: (0 * (p - t)).square().sum().sqrt()},
        "the gradient of its loss is NaN for a finite prediction",
    ),
    "no metric": ({"metrics": lambda self, p, t: {}}, "gives no metric"),
    "metrics that are no dict": ({"metrics": lambda self, p, t: (p - t).mean()}, "metrics must return scalar tensors by name"),
    "a metric that is a number": ({"metrics": lambda self, p, t: {"mse": 1.0}}, "metric 'mse' is a float"),
    "a metric that is infinite": (
        {"metrics": lambda self, p, t: {"mse": 1 / (0 * p).sum()}},
        "metric 'mse' is inf for a finite prediction and finite targets",
    ),
}  # fmt: skip


class Poisoned(nn.Module):
    """A network that multiplies its output, or its parameter's gradient, by NaN."""

    def __init__(self, output=1.0, gradient=False, weight=0.5):
        super().__init__()
        self.output, self.gradient, self.weight = output, gradient, nn.Parameter(torch.tensor(weight))

    def forward(self, x):
        through = (0 * self.weight).square().sqrt() if self.gradient else self.weight
        return (x * through) * self.output


MODELS = {
    "no module": ({"build": lambda self, spec: 3}, "built an int; it must be a torch.nn.Module"),
    "an output that is NaN": (
        {"build": lambda self, spec: Poisoned(output=NAN)},
        "its network's output is not finite for finite inputs and parameters",
    ),
    "a gradient that is NaN": (
        {"build": lambda self, spec: Poisoned(gradient=True)},
        "the gradient of its network's output is NaN for finite inputs and parameters",
    ),
    "parameters that are NaN": (
        {"build": lambda self, spec: Poisoned(weight=NAN)},
        "its network's initial parameters are not finite",
    ),
}

ALGORITHMS = {
    "networks that are no dict": ({"networks": lambda self, spec: [spec]}, "networks must return Specs by name"),
    "no θ": ({"init": lambda self, networks: None}, "init must return a dict of dicts of tensors"),
    "a φ of no tensors": ({"start": lambda self, *args: {"w": [1.0]}}, "start returned a dict, which holds a float at 'w.0'"),
    "no φ": ({"adapt": lambda self, *args: None}, "adapt returned None; φ must be tensors"),
    "remarks that are a text": ({"remarks": lambda self, meta: "all of it"}, "remarks must return a list of texts, not a str"),
    "a φ that begins with NaN": (
        {"start": lambda self, *args: {name: leaf * NAN for name, leaf in MAML.start(self, *args).items()}},
        "start returned a φ that holds NaN",
    ),
    "a φ that adaptation makes NaN": ({"adapt": scaled(NAN)}, "the first adaptation step made φ NaN, from finite numbers"),
    "a prediction of another shape": (
        {"predict": lambda self, *args: MAML.predict(self, *args)[0]},
        "predict returned shape [1] for 10 inputs; it must be [10, 1]",
    ),
    "a prediction that is no tensor": ({"predict": lambda self, *args: [1.0]}, "predict returned a list"),
    "a prediction that is NaN": (
        {"predict": lambda self, *args: MAML.predict(self, *args) * NAN},
        "predict returned NaN before the first adaptation step",
    ),
    "a meta-loss that is a number": ({"meta_loss": lambda self, *args: (1.0, {})}, "meta-loss is a float"),
    "a meta-loss that is NaN": (
        {"meta_loss": lambda self, *args: (MAML.meta_loss(self, *args)[0] * NAN, {})},
        "its meta-loss is NaN at θ⁰, though nothing runs away",
    ),
    "a meta-gradient that is NaN": (
        {"meta_loss": lambda self, *args: ((0 * MAML.meta_loss(self, *args)[0]).square().sqrt(), {})},
        "its meta-gradient is NaN at θ⁰, though nothing runs away",
    ),
}  # fmt: skip

WRONG = [
    pytest.param(base, *case, id=f"{base.kind}: {name}")
    for base, cases in ((Sine, TASKS), (MLP, MODELS), (MAML, ALGORITHMS))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("base", "overridden", "what"), WRONG)
def test_what_a_plugin_gives_back_against_its_contract_names_it_and_its_file(base, overridden, what):
    said = refused(variant(base, **overridden))
    assert said.startswith(f"{base.kind} 'odd'")
    assert what in said
    assert f"(from {__file__}" in said
    assert f"`mamlzoo check {__file__}:Odd` tests it" in said


def raising(*args, **kwargs):
    raise ZeroDivisionError("oh")


def raising_module(spec=None):
    """A network that gives the right shape once, for the inputs with which its shape is looked at, and raises then."""

    class Moody(nn.Linear):
        def forward(self, x):
            return super().forward(x) if len(x) == 2 else raising()

    return Moody(1, 1)


RAISING = [
    *((Sine, method) for method in ("sample", "loss", "metrics", "spec")),
    (MLP, "build"),
    *((MAML, method) for method in ("networks", "init", "start", "adapt", "predict", "meta_loss")),
]


@pytest.mark.parametrize(("base", "method"), RAISING, ids=[f"{base.kind}.{method}" for base, method in RAISING])
def test_a_method_that_raises_names_the_plugin_and_the_line(base, method):
    said = refused(variant(base, **{method: property(raising) if method == "spec" else raising}))
    line = raising.__code__.co_firstlineno + 1
    assert "ZeroDivisionError: oh" in said
    assert f"{base.kind} 'odd'" in said
    assert f"from {__file__}:{line}; " in said
    assert said.endswith("`mamlzoo --debug` shows where)")


@pytest.mark.parametrize(
    "model", [raising_module, functools.partial(raising_module, spec=None)], ids=["function", "partial"]
)
def test_a_network_that_raises_names_the_function_that_made_it(model):
    with pytest.raises(PluginError, match="ZeroDivisionError: oh") as caught:
        mamlzoo.run(model=model, **QUICK)
    line = raising.__code__.co_firstlineno + 1
    assert f"from {__file__}:{line}; `mamlzoo check {__file__}:raising_module` tests it" in str(caught.value)


@pytest.mark.parametrize(
    ("base", "method", "without_self"),
    [(Sine, "loss", lambda prediction, target: prediction), (MAML, "adapt", lambda learner, meta, fast, support: fast)],
)
def test_a_method_with_other_arguments_names_its_plugin_and_line_though_another_calls_it(base, method, without_self):
    said = refused(variant(base, **{method: without_self}))
    assert "TypeError: <lambda>() takes " in said
    line = without_self.__code__.co_firstlineno
    assert f"({base.kind} 'odd' from {__file__}:{line}; `mamlzoo check {__file__}:Odd` tests it" in said


def test_the_innermost_plugin_is_to_blame_though_torch_raised():
    said = refused(variant(Sine, loss=lambda self, p, t: torch.ones(2) @ torch.ones(3)))
    assert "sine" not in said
    assert re.search(r"odd × mlp × maml failed in its rehearsal: RuntimeError: .*\(task 'odd' from ", said)


def misnaming(self, learner, meta, fast, x):
    return learner.predict({"params": fast, "velocity": fast}, x)


def lacking(self, learner, meta, fast, x):
    return learner.predict({name: leaf for name, leaf in fast.items() if name != "0.bias"}, x)


@pytest.mark.parametrize(
    ("predict", "given"), [(misnaming, "params, velocity"), (lacking, "0.weight, 2.weight, 2.bias, 4.weight, 4.bias")]
)
def test_parameters_of_other_names_than_the_networks_are_the_algorithms_mistake(predict, given):
    said = refused(variant(MAML, predict=predict))
    assert f"ValueError: learner.predict was given parameters named {given}; the network has 0.bias, 0.weight, " in said
    assert f"(algorithm 'odd' from {__file__}:{predict.__code__.co_firstlineno + 1}; " in said


def test_a_network_that_does_not_fit_stays_a_usage_error_and_says_where_it_raised():
    odd = variant(MLP, build=lambda self, spec: nn.Linear(7, 1))
    with pytest.raises(UsageError, match="model 'odd' does not fit: .*its network raised RuntimeError: ") as caught:
        mamlzoo.run(model=odd, **QUICK)
    assert f"(from {__file__}" in str(caught.value)


def test_a_network_of_torchs_own_modules_comes_from_python():
    with pytest.raises(UsageError, match=r"cannot be multiplied .* \(from Python; `mamlzoo --debug` shows where\)"):
        mamlzoo.run(model=nn.Sequential(nn.Linear(1, 3), nn.Linear(4, 1)), **QUICK)


def test_a_plugin_that_ends_the_process_is_refused():
    def exits(self, *args):
        raise SystemExit(3)

    assert "failed in its rehearsal: SystemExit: 3 (algorithm 'odd' from " in refused(variant(MAML, adapt=exits))


def test_ctrl_c_in_a_plugin_is_no_fault_of_it():
    def interrupted(self, *args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mamlzoo.run(algorithm=variant(MAML, adapt=interrupted), **QUICK)


def test_numbers_that_stop_being_finite_in_mid_training_are_refused_where_they_are_drawn():
    def sample(self, count, *, split, generator):
        episode = Sine.sample(self, count, split=split, generator=generator)
        late = count > 2 and split == "train"  # a trial draws two
        return replace(episode, query=replace(episode.query, x=episode.query.x / (0.0 if late else 1.0)))

    assert "task 'odd' was asked for" in refused(variant(Sine, sample=sample), meta_batch=3)


@pytest.mark.parametrize("steps", [1, 20])
def test_a_rate_that_is_far_too_large_is_an_outcome_and_no_fault(steps):
    result = mamlzoo.run(options={"algorithm.inner_lr": 1e12, "algorithm.inner_steps": steps}, **QUICK)
    assert "diverged" in str(result.table())


def test_large_finite_numbers_are_finite():
    large = changed("support", y=lambda leaf: torch.full_like(leaf, 3e38))  # their sum is not
    task = variant(Sine, sample=large)()
    drawn = mamlzoo.engine.episodes.draw(task, 2, 0, "train", 0, torch.device("cpu"))
    assert np.isfinite(drawn.support.y.numpy()).all()


SHOP = '''
    import mamlzoo
    from {module} import {base}

    class Shaky({base}):
        """Shaky."""

        name = "shaky"

        def {method}(self, *args, **kwargs):
            return 1 / 0

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Shaky]
'''


@pytest.mark.parametrize(("base", "method"), [(Sine, "sample"), (MLP, "build"), (MAML, "adapt")])
def test_an_installed_plugin_is_named_with_its_distribution_version_and_line(distribution, cli, base, method):
    distribution("shop", SHOP.format(module=base.__module__, base=base.__name__, method=method))
    said = cli.error("run", f"--{base.kind}", "shaky", code=1)
    assert f"{base.kind} 'shaky' " in said
    assert "ZeroDivisionError: division by zero" in said
    assert re.search(
        r"from shop 1\.5, .*plugin_of_shop\.py:11; `mamlzoo check shaky` tests it; `mamlzoo --debug`", said
    )


def test_of_plugins_in_one_file_the_one_whose_network_raised_is_named():
    with pytest.raises(PluginError, match=r"model 'raising_module' from ") as caught:
        mamlzoo.run(variant(Sine), raising_module, variant(MAML), **QUICK)
    assert "'odd'" not in str(caught.value)


def test_a_comparison_with_one_broken_algorithm_is_refused_before_anything_is_trained():
    heard = []
    with pytest.raises(PluginError, match="algorithm 'odd': adapt returned None"):
        mamlzoo.compare(
            algorithm=["maml", variant(MAML, adapt=lambda self, *args: None)],
            progress=lambda *event: heard.append(event),
            **QUICK,
        )
    assert heard == []


def test_algorithms_that_adapt_no_network_are_rehearsed_too():
    odd = variant(
        ProtoNet, start=lambda self, *args: mamlzoo.tree_map(lambda leaf: leaf * NAN, ProtoNet.start(self, *args))
    )
    with pytest.raises(PluginError, match="algorithm 'odd': start returned a φ that holds NaN"):
        mamlzoo.run("blobs", "mlp", odd, **QUICK)


def test_an_episode_of_lists_of_nothing_is_no_episode():
    odd = variant(Sine, sample=lambda self, count, **_: Episode(Batch(None, None), Batch(None, None)))
    assert "returned support.x as None; it must be a tensor" in refused(odd)


class Sequenced(nn.Module):
    """A recurrent network, which vmap cannot batch."""

    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(1, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, x):
        return self.out(self.gru(x[:, None])[0][:, 0])


def test_the_loop_is_recommended_where_it_was_tried_and_works_and_nowhere_else():
    with pytest.raises(PluginError, match="by `--plan loop` it works; model 'Sequenced'"):
        mamlzoo.run(model=Sequenced, plan="vmap", **QUICK)
    assert "--plan loop" not in refused(variant(Sine, loss=raising), plan="vmap")
    assert "--plan loop" not in refused(variant(MAML, meta_loss=raising), plan="vmap")


def test_an_option_of_a_plugin_given_as_a_setting_is_named_with_its_plugin(tmp_path):
    for function in (
        mamlzoo.run,
        mamlzoo.compare,
        functools.partial(mamlzoo.sweep, {"meta_batch": [1, 2]}, out=tmp_path),
    ):
        with pytest.raises(UsageError) as caught:
            function(algorithm="maml", inner_lr=0.1)
        said = str(caught.value)
        assert said.endswith("a run has no option 'inner_lr', algorithm 'maml' has: options={'algorithm.inner_lr': …}")
    with pytest.raises(UsageError, match="a run has no option 'out_lr'; did you mean 'outer_lr'"):
        mamlzoo.run(out_lr=0.1)
