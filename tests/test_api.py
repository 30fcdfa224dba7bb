"""The library: strings, classes or instances in each place, any module as the model, numbers as arrays."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from conftest import Recurrent, without_figures
from torch import nn

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs import execution
from mamlzoo.runs.config import config_of, experiment_from
from mamlzoo_algorithms.maml import MAML
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.sine import Sine

QUICK = {"iterations": 4, "meta_batch": 2, "test_tasks": 6, "test_steps": 2}
BY_ONE_PLAN = {**QUICK, "plan": "vmap"}
"""Plans differ in the last bits, and which is the fastest hangs on what else the machine does."""


def numbers(result):
    return result.evaluation.values["mse"]


def test_strings_classes_and_instances_are_the_same():
    by_name = mamlzoo.run("sine", "mlp", "maml", options={"task.shots": 5}, **BY_ONE_PLAN)
    by_class = mamlzoo.run(Sine, MLP, MAML, options={"task.shots": 5}, **BY_ONE_PLAN)
    by_instance = mamlzoo.run(Sine(shots=5), MLP(), MAML(), **BY_ONE_PLAN)
    assert np.array_equal(numbers(by_name), numbers(by_class))
    assert np.array_equal(numbers(by_name), numbers(by_instance))


def test_options_also_change_instances():
    changed = mamlzoo.run(Sine(shots=5), options={"task.shots": 3}, **QUICK)
    assert changed.config["task"]["options"]["shots"] == 3


def network(spec=None):
    return nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))


class Network(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def test_a_function_of_a_spec_or_of_nothing_is_a_model():
    built_in = numbers(mamlzoo.run(**BY_ONE_PLAN))
    for model in (network, lambda spec: network(spec), lambda *, spec: network(spec)):
        assert np.array_equal(numbers(mamlzoo.run(model=model, **BY_ONE_PLAN)), built_in)


def test_a_module_class_is_a_model_that_each_seed_initialises_anew():
    result = mamlzoo.run(model=Network, seeds=2, **QUICK)
    assert result.config["model"]["name"] == "Network"
    assert not np.array_equal(numbers(result)[0, :, 0], numbers(result)[1, :, 0])


def test_a_module_is_a_model_that_all_seeds_start_from():
    result = mamlzoo.run(model=Network(), seeds=2, **{**QUICK, "iterations": 0})
    np.testing.assert_allclose(numbers(result)[0], numbers(result)[1], rtol=1e-5)


@pytest.mark.parametrize("module", [
    lambda: nn.Sequential(nn.Linear(1, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1)),
    lambda: nn.Sequential(nn.Linear(1, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 1)),
])  # fmt: skip
def test_normalised_networks_train(module):
    assert np.isfinite(numbers(mamlzoo.run(model=module, **QUICK))).all()


def test_running_twice_gives_the_same_bits():
    first, second = (mamlzoo.run(seeds=2, **BY_ONE_PLAN) for _ in range(2))
    assert np.array_equal(numbers(first), numbers(second))
    assert first.evaluation.mean.tolist() == second.evaluation.mean.tolist()


@pytest.mark.parametrize("plan", ["vmap", "loop"])
def test_seeds_run_together_or_alone_find_the_same(plan):
    together = mamlzoo.run(seeds=[3, 5], plan=plan, **QUICK)
    for row, seed in enumerate([3, 5]):
        alone = mamlzoo.run(seeds=[seed], plan=plan, **QUICK)
        np.testing.assert_allclose(numbers(together)[row], numbers(alone)[0], rtol=1e-4)


def test_a_result_has_its_numbers_as_arrays():
    result = mamlzoo.run(seeds=3, **QUICK)
    evaluation = result.evaluation
    assert evaluation.metric == "mse"
    assert evaluation.steps.tolist() == [0, 1, 2]
    assert evaluation.values["mse"].shape == (3, 6, 3)
    np.testing.assert_allclose(evaluation.per_seed, evaluation.values["mse"].mean(1), rtol=1e-6)
    np.testing.assert_allclose(evaluation.mean, evaluation.per_seed.mean(0))
    # t with 2 degrees of freedom is 4.303.
    expected = 4.3027 * evaluation.per_seed.std(0, ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(evaluation.ci95, expected, rtol=1e-4)
    assert evaluation.over == "seeds"


def test_with_one_seed_the_interval_is_over_test_tasks_and_the_table_says_so():
    result = mamlzoo.run(**QUICK)
    values = numbers(result)[0].astype(np.float64)
    np.testing.assert_allclose(result.evaluation.ci95, 2.5706 * values.std(0, ddof=1) / math.sqrt(6), rtol=1e-4)
    assert "95% t interval over test tasks" in str(result.table())


def test_the_progress_listener_hears_of_training_and_testing():
    heard = []
    mamlzoo.run(progress=lambda experiment, event: heard.append((experiment.name, type(event).__name__)), **QUICK)
    (name,) = {name for name, _ in heard}
    kinds = [kind for _, kind in heard if kind != "Checkpoint"]
    assert name == "sine × mlp × maml"
    assert kinds == ["Choice"] + ["TrainingRecord"] * 4 + ["EvaluationProgress"] * 3


def test_tables_show_themselves_in_notebooks_and_terminals():
    table = mamlzoo.run(**QUICK).table()
    assert table._repr_html_().startswith("<table>")
    assert str(table).splitlines()[0] == "sine × mlp × maml: test mse after adaptation"


def test_what_is_adapted_shows_its_losses_as_a_table():
    adapted = mamlzoo.run(**QUICK).adapt([[[0], [1]], [[0], [2]]], [[0, 1], [0, -1]], steps=2)
    assert [float(mean) for _, mean in adapted.table().rows] == pytest.approx(list(adapted.losses.mean(0)), rel=1e-3)
    assert adapted._repr_html_().startswith("<table>")


def test_what_verify_finds_shows_itself_in_notebooks():
    found = mamlzoo.verify("scalar", "neuron", "maml")._repr_html_()
    assert found.count("<table>") == 4
    assert found.endswith("<p>scalar × neuron × maml: all ways agree</p>")


def test_figures_show_themselves_in_notebooks():
    result = mamlzoo.run(**QUICK)
    for kind in ("curves", "training", "adaptation"):
        if kind == "adaptation":
            result = mamlzoo.run(**{**QUICK, "test_steps": 10})
        assert result.plot(kind)._repr_png_().startswith(b"\x89PNG")


def test_comparing_uses_the_same_test_tasks_for_all():
    comparison = mamlzoo.compare("sine", "mlp", ["maml", "scratch"], **{**BY_ONE_PLAN, "iterations": 0})
    maml, scratch = comparison.results
    assert np.array_equal(numbers(maml), numbers(scratch))
    assert comparison.labels() == ["maml", "scratch"]


def test_a_comparison_crosses_tasks_models_and_algorithms():
    comparison = mamlzoo.compare(["scalar", "sine"], "mlp", ["maml", "fomaml"], **QUICK)
    assert comparison.labels() == ["scalar × maml", "scalar × fomaml", "sine × maml", "sine × fomaml"]


def test_runs_of_one_name_are_told_apart_by_what_differs(tmp_path):
    several = [MAML(), MAML(inner_steps=3), MAML()]
    comparison = mamlzoo.compare(algorithm=several, **QUICK)
    assert comparison.labels() == ["maml (inner_steps=1)", "maml (inner_steps=3)", "maml (inner_steps=1) #2"]
    with without_figures():
        comparison.save(tmp_path / "all")
    directories = {path.name for path in (tmp_path / "all").iterdir() if path.is_dir()}
    assert directories == {"maml-inner_steps=1", "maml-inner_steps=3", "maml-inner_steps=1-2"}


def test_an_option_of_one_algorithm_goes_to_that_one_alone():
    comparison = mamlzoo.compare(algorithm=["maml", "transfer"], options={"algorithm.inner_steps": 2}, **QUICK)
    assert comparison.results[0].config["algorithm"]["options"]["inner_steps"] == 2
    assert "inner_steps" not in comparison.results[1].config["algorithm"]["options"]


def test_a_config_makes_the_same_experiment_again():
    result = mamlzoo.run("sine", "mlp", "anil", options={"model.hidden": (7, 3), "algorithm.head": "4."}, **BY_ONE_PLAN)
    again = experiment_from(result.config)
    assert config_of(again) == result.config
    assert np.array_equal(numbers(execution.run(again)), numbers(result))


def test_a_diverged_seed_is_reported_and_left_out_of_the_mean():
    # f(x) = θx on D1 and D2 with a far too large outer rate overflows float32 in a few steps.
    options = {"algorithm.inner_lr": 0.1}
    result = mamlzoo.run("scalar", "neuron", "maml", options=options, seeds=2, optimizer="sgd", outer_lr=10.0,
                         iterations=50, meta_batch=2)  # fmt: skip
    assert set(result.diverged) == {0, 1}
    assert np.isnan(result.evaluation.mean).all()
    assert result.document()["evaluation"]["mean"] == [None] * 11
    assert "seeds 0, 1 diverged at meta-steps " in str(result.table())


def test_adaptation_that_runs_to_infinity_is_called_diverged():
    options = {"algorithm.inner_lr": 1e6}
    result = mamlzoo.run(options=options, **{**QUICK, "iterations": 0, "test_steps": 20})
    assert "diverged" in str(result.table())
    assert "a smaller inner rate may help" in str(result.table())


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"task": "sin"}, "there is no task 'sin'; did you mean 'sine'?"),
        ({"options": {"task.shot": 5}}, "task 'sine' has no option 'shot'; did you mean 'shots'?"),
        ({"options": {"shots": 5}}, "option 'shots' must begin with 'task.', 'model.', 'algorithm.', 'optimizer.',"),
        ({"options": {"task.shots": 0}}, "task 'sine': shots must be at least 1, not 0"),
        ({"iteration": 5}, "a run has no option 'iteration'; did you mean 'iterations'?"),
        ({"meta_batch": 0}, "settings: meta_batch must be at least 1, not 0"),
        ({"outer_lr": -1.0}, "settings: outer_lr must be at least 0, not -1.0"),
        ({"seeds": 0}, "settings: seeds must be at least 1, not 0"),
        ({"seeds": [1, 1]}, "settings: seeds must differ, not 1, 1"),
        ({"seeds": []}, "settings: seeds must name at least one"),
        ({"device": "cuda:7"}, "there is no device 'cuda:7' here; there are: cpu"),
        ({"plan": "lop"}, "settings: plan 'lop' is not one of them; did you mean 'loop'?"),
        ({"model": 3}, "a model must be a name, a mamlzoo.Model, a torch.nn.Module or a function, not 3"),
        ({"task": nn.Linear(1, 1)}, "a task must be a name, a mamlzoo.Task or its class, not Linear"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given, complaint):
    with pytest.raises(UsageError) as caught:
        mamlzoo.run(**given)
    assert str(caught.value).startswith(complaint)


def test_defaults_are_those_of_the_settings():
    assert mamlzoo.run(**QUICK).config["settings"]["optimizer"] == Settings().optimizer


class Broken(MAML):
    """Raises in its meta-loss."""

    name = "broken"

    def meta_loss(self, learner, meta, episode, progress):
        raise ValueError("no such thing")


def test_a_plugin_that_raises_is_named():
    with pytest.raises(
        mamlzoo.PluginError, match="sine × mlp × broken failed in its rehearsal: ValueError: no such thing"
    ):
        mamlzoo.run(algorithm=Broken, **QUICK)


def test_theta_is_shown_where_it_is_small():
    assert mamlzoo.run("scalar", "neuron", "maml", **QUICK).theta() is not None
    assert mamlzoo.run(**QUICK).theta() is None


def test_meta_parameters_have_a_leading_seed_axis():
    meta = mamlzoo.run(seeds=3, **QUICK).meta
    assert meta["network"]["2.weight"].shape == torch.Size([3, 40, 40])


def test_what_cannot_work_is_refused_before_anything_is_trained():
    heard = []
    with pytest.raises(UsageError, match="algorithm 'anil': no parameter belongs to a module 'neck'"):
        mamlzoo.compare(
            algorithm=["maml", "anil"], options={"algorithm.head": "neck"}, progress=lambda *event: heard.append(event)
        )
    assert heard == []


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has had Muon since 2.9")
def test_an_optimizer_that_cannot_train_a_network_is_refused_before_anything_is_trained():
    heard = []
    with pytest.raises(UsageError, match="optimizer 'muon' cannot train this model"):
        mamlzoo.run(optimizer="muon", progress=lambda *event: heard.append(event))
    assert heard == []


def test_seeds_that_are_all_alike_have_no_interval_between_them():
    result = mamlzoo.run("scalar", "neuron", "maml", seeds=3, iterations=0)
    assert result.evaluation.over == "test tasks"
    assert "all seeds found the very same numbers" in str(result.table())


def test_batch_norm_is_called_transductive():
    module = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    assert "transductive: batch norm sees" in str(mamlzoo.run(model=module, **QUICK).table())


def test_trained_statistics_that_a_network_came_with_are_said_to_be_left_out():
    module = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    assert "running statistics" not in str(mamlzoo.run(model=module, **QUICK).table())
    module(torch.randn(9, 1))
    said = "the running statistics that norm '1' came with are not used: a norm uses those of the inputs at hand"
    assert said in str(mamlzoo.run(model=module, **QUICK).table())


class Wide(nn.Sequential):
    def __init__(self, width=5):
        super().__init__(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))


@pytest.mark.parametrize("model", [Wide, functools.partial(Wide, width=7), lambda width=9: Wide(width)])
def test_a_function_with_defaults_is_called_with_nothing(model):
    assert np.isfinite(numbers(mamlzoo.run(model=model, **QUICK))).all()


class OwnData(Sine):
    """A task around data that it is given."""

    name = "own-data"

    def __init__(self, data):
        super().__init__()
        object.__setattr__(self, "data", data)


def test_an_instance_with_an_initialiser_of_its_own_is_taken_as_it_is():
    assert np.isfinite(numbers(mamlzoo.run(OwnData([1, 2]), **QUICK))).all()


def test_numpys_whole_numbers_will_do():
    result = mamlzoo.run(seeds=np.int64(2), **{**QUICK, "iterations": np.int64(3)})
    assert result.config["settings"]["iterations"] == 3
    assert result.seeds == [0, 1]


def test_a_recurrent_network_runs_one_task_at_a_time_and_vmap_says_so():
    with pytest.raises(mamlzoo.PluginError, match="by `--plan loop` it works"):
        mamlzoo.run(model=Recurrent, plan="vmap", **QUICK)
    for plan in ("auto", "loop", "compile"):
        result = mamlzoo.run(model=Recurrent, plan=plan, **QUICK)
        assert result.plan.plan == "loop"
        assert np.isfinite(numbers(result)).all()


def test_a_plot_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="there is no plot 'bogus'; there are: curves, training, adaptation"):
        mamlzoo.run(**QUICK).plot("bogus")
    with pytest.raises(UsageError, match="nothing was trained, so there is no meta-loss to draw"):
        mamlzoo.run(algorithm="scratch", **QUICK).plot("training")


def test_a_comparison_says_once_what_its_results_share():
    shared = mamlzoo.compare(algorithm=["maml", "scratch"], **QUICK).table().notes
    assert shared == ["mean over 6 test tasks and 1 seed; 95% t interval over test tasks"]
    several = mamlzoo.Comparison([mamlzoo.run(**QUICK), mamlzoo.run(seeds=2, **QUICK)]).table().notes
    assert [note.partition(": ")[2] for note in several] == [
        "mean over 6 test tasks and 1 seed; 95% t interval over test tasks",
        "mean over 6 test tasks and 2 seeds; 95% t interval over seeds",
    ]


def test_results_of_different_lengths_stand_in_one_table():
    short, long = (mamlzoo.run(**{**QUICK, "test_steps": steps}) for steps in (1, 3))
    rows = mamlzoo.Comparison([short, long]).table().rows
    assert [bool(row[1]) for row in rows] == [True, True, False, False]


class Careless(Sine):
    """A task that takes its random numbers from elsewhere."""

    name = "careless"

    def sample(self, count, *, split, generator):
        return super().sample(count, split=split, generator=torch.Generator().manual_seed(torch.seed() % 1000))


def test_a_task_that_ignores_its_generator_is_refused():
    with pytest.raises(mamlzoo.PluginError, match="task 'careless' gives other episodes for the same generator"):
        mamlzoo.run(Careless, **QUICK)


class Lonely(MAML):
    """Returns a loss without logs."""

    name = "lonely"

    def meta_loss(self, learner, meta, episode, progress):
        return super().meta_loss(learner, meta, episode, progress)[0]


def test_a_meta_loss_without_logs_is_refused():
    with pytest.raises(mamlzoo.PluginError, match=r"algorithm 'lonely': meta_loss must return \(loss, logs\)"):
        mamlzoo.run(algorithm=Lonely, **QUICK)


def test_a_misspelt_argument_is_named():
    with pytest.raises(UsageError, match="a run has no option 'algorithms'"):
        mamlzoo.compare(algorithms=["maml"])


def test_seeds_that_share_their_start_are_remarked():
    assert "all seeds start from the same θ⁰" in repr(mamlzoo.run(model=Network(), seeds=2, **QUICK))


def test_make_takes_options_as_keywords():
    assert mamlzoo.make("algorithm", "maml", inner_lr=0.5) == MAML(inner_lr=0.5)
