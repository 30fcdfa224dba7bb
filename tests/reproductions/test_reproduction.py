"""Recipes: what their files may say, and how ours are judged beside theirs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from mamlzoo import MamlzooError, PluginError, UsageError
from mamlzoo.contracts import recipe_files
from mamlzoo.contracts.recipes import Reference
from mamlzoo.discovery.entry_points import installed
from mamlzoo.errors import MissingDataError
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.reproductions import judgement
from mamlzoo.reproductions.judgement import judge
from mamlzoo.reproductions.reproduction import experiment_of, reproduce
from mamlzoo.runs.setup import rehearse

pytestmark = pytest.mark.usefixtures("no_figures")  # of single runs, at which no test looks

SMALL = """
name = "small"
version = 1
summary = "two data sets"
source = "by hand"
minutes = 0.1
unknown = ["nothing of it"]

[common]
task = "scalar"
model = "neuron"
seeds = 1
iterations = 1
optimizer = "sgd"
outer_lr = 0.5
meta_reduction = "sum"
meta_batch = 2
test_steps = 1
options = { "algorithm.inner_lr" = 0.1 }

[runs.maml]
algorithm = "maml"

[runs.slower]
from = "maml"
algorithm = "maml"
options = { "algorithm.inner_lr" = 0.01 }

[[thetas]]
run = "maml"
value = -1515.48
source = "by hand"
"""


def test_a_run_has_what_is_common_unless_it_says_otherwise():
    maml, slower = recipe_files.parse(SMALL).runs
    assert (maml.task, maml.model, maml.algorithm, maml.seeds) == ("scalar", "neuron", "maml", 1)
    assert maml.settings["outer_lr"] == 0.5
    assert maml.options == {"algorithm.inner_lr": 0.1}
    assert slower.options == {"algorithm.inner_lr": 0.01}
    assert (slower.origin, slower.settings["iterations"]) == ("maml", 0)


ERRORS = {
    "no TOML": ("name = ", "Invalid value"),
    "no runs": ('name = "x"', "it lacks 'runs'"),
    "no name": (SMALL.replace('name = "small"', ""), "missing 1 required positional argument: 'name'"),
    "something unknown": (SMALL + 'half = 3\n', "theta has no 'half'"),
    "no task": (SMALL.replace('task = "scalar"', ""), "it lacks 'task'"),
    "a reference to no run": (SMALL.replace('run = "maml"', 'run = "mamll"'), "there is no run 'mamll'; there are: maml, slower"),
    "a run from a later one": (SMALL.replace('from = "maml"', 'from = "slower"'), "run 'slower' is from 'slower', which is no run before"),
    "as many values as steps": (SMALL + '[[references]]\nrun = "maml"\nsteps = [1, 2]\nvalues = [1.0]\nsource = ""', "has 2 steps and 1 values"),
    "sd of how many": (SMALL + '[[references]]\nrun = "maml"\nsteps = [1]\nvalues = [1.0]\nsd = [1.0]\nsource = ""', "does not say of how many"),
    "a claim about other test tasks": (
        SMALL + '[runs.other]\nalgorithm = "maml"\noptions = { "task.shots" = 3 }\n[[claims]]\nrun = "maml"\nbetter_than = "other"\nstep = 1',
        "the runs 'maml' and 'other' of a claim have not the same test tasks",
    ),
    "a number that is a text": (SMALL.replace("-1515.48", '"-1515.48"'), "theta.value is '-1515.48'; it must be a finite number"),
    "a number that is none": (SMALL.replace("-1515.48", "nan"), "theta.value is nan; it must be a finite number"),
    "a number of which there are halves": (SMALL.replace("version = 1", "version = 1.5"), "recipe.version is 1.5; it must be a whole number"),
    "a flag for a number": (SMALL.replace("seeds = 1", "seeds = true"), "run.seeds is True; it must be a whole number"),
    "a number without end": (SMALL.replace("minutes = 0.1", "minutes = 1" + "0" * 400), "int too large to convert to float"),
    "no seed": (SMALL.replace("seeds = 1", "seeds = 0"), "run 'maml' has 0 seeds; it needs at least 1"),
    "one text for several": (SMALL.replace('["nothing of it"]', '"nothing of it"'), "recipe.unknown is 'nothing of it'; it must be a list, each of it a text"),
    "steps between steps": (SMALL + '[[references]]\nrun = "maml"\nsteps = [0.5]\nvalues = [1.0]\nsource = ""', "reference.steps is [0.5]; it must be a list, each of it a whole number"),
    "options in a row": (SMALL.replace('{ "algorithm.inner_lr" = 0.01 }', "[0.01]"), "runs.slower.options is [0.01]; it must be a table"),
    "a claim of nothing": (SMALL + '[[claims]]\nrun = "maml"\nstep = 1', "must say better_than or no_better_than"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), ERRORS.values(), ids=ERRORS)
def test_a_recipe_that_cannot_be_is_one_clear_line(text, line):
    with pytest.raises(PluginError, match="a recipe cannot be read: ") as caught:
        recipe_files.parse(text)
    assert line in str(caught.value)


LATE = {
    "a setting of another type": ('[runs.late]\nalgorithm = "maml"\nouter_lr = "fast"', "outer_lr"),
    "an unknown option": ('[runs.late]\nalgorithm = "maml"\noptions = { "algorithm.rate" = 1 }', "rate"),
    "an unknown plugin": ('[runs.late]\nalgorithm = "mamll"', "there is no algorithm 'mamll'"),
    "steps that are not taken": (
        '[[references]]\nrun = "maml"\nsteps = [0, 3]\nvalues = [1, 2]\nsource = ""\nexact = true',
        "recipe 'small' says what run 'maml' comes to after 3 steps; it is tested after 0 to 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), LATE.values(), ids=LATE)
def test_what_cannot_work_is_said_before_the_first_run_is_trained(text, line, tmp_path):
    with pytest.raises(MamlzooError, match=re.escape(line)):
        reproduce(recipe_files.parse(SMALL + text), tmp_path / "out")
    assert not (tmp_path / "out").exists()


BUILT_IN = pytest.mark.parametrize("recipe", installed().recipes.values(), ids=lambda recipe: recipe.name)


def rehearse_where_the_data_are(run, directory):
    try:
        rehearse(experiment_of(run, directory))
    except MissingDataError as missing:
        pytest.skip(str(missing))


def test_the_notebooks_and_the_papers_of_sine_waves_have_recipes():
    names = {"notebook-scalar", "notebook-sine", "maml-sine-5shot", "maml-sine-10shot", "metasgd-paper-sine",
             "cavia-paper-sine"}  # fmt: skip
    assert names <= set(installed().recipes)


@BUILT_IN
def test_a_built_in_recipe_names_what_there_is(recipe, tmp_path):
    rehearse_where_the_data_are(next(run for run in recipe.runs if run.origin is None), tmp_path)


@pytest.mark.slow
@BUILT_IN
def test_every_run_of_a_built_in_recipe_can_work(recipe, tmp_path):
    for run in recipe.runs:
        if run.origin is None:
            rehearse_where_the_data_are(run, tmp_path)


def test_a_recipe_whose_data_are_not_there_says_what_adds_them_and_writes_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("MAMLZOO_DATA", str(tmp_path / "none"))
    line = cli.error("reproduce", "omniglot", "--out", tmp_path / "out")
    assert line.startswith("the data set 'omniglot' is not there: `mamlzoo data add omniglot FOLDER` takes")
    assert not (tmp_path / "out").exists()


def evaluation(values, steps=1):
    """Seeds × tasks after the last step; far more before."""
    values = np.asarray(values, dtype=np.float32)
    return Evaluation({"mse": np.stack([np.full_like(values, 100)] * steps + [values], -1)}, range(len(values)))


def reference(**given):
    return Reference(**({"run": "maml", "steps": [1], "values": [1.0], "source": ""} | given))


def test_a_published_interval_is_taken_as_it_stands():
    ours = evaluation([[1.1, 1.3]])
    assert judge(reference(halves=[0.25]), 0, ours, 0, 9).passed
    assert not judge(reference(halves=[0.15]), 0, ours, 0, 9).passed


def test_one_seed_of_theirs_lies_in_the_prediction_interval_of_ours():
    # Five seed means with sd 1 and no spread over tasks: t(4) = 2.776 at 95%, times √(1 + 1/5).
    values = np.repeat(np.array([-1.0, -1.0, 0.0, 1.0, 1.0])[:, None], 10, 1)
    found = judge(reference(values=[0.0]), 0, evaluation(values), 0, 1)
    assert found.allowed == pytest.approx(2.776 * math.sqrt(1 + 1 / 5), rel=1e-3)
    assert found.ours == 0


def test_several_seeds_of_theirs_are_pooled_with_ours():
    # s² = 1 of 5 and 4 of 3: s_p² = (4·1 + 2·4)/6 = 2, and t(6) = 2.447.
    values = np.repeat(np.array([-1.0, -1.0, 0.0, 1.0, 1.0])[:, None], 10, 1)
    found = judge(reference(sd=[2.0], seeds=3), 0, evaluation(values), 0, 1)
    assert found.allowed == pytest.approx(2.447 * math.sqrt(2 * (1 / 5 + 1 / 3)), rel=1e-3)


def test_the_draw_of_test_tasks_counts_on_both_sides():
    # Two seeds almost alike, tasks of variance 4 · 10/9: only the draws of 10 and of 40 tasks are left; t(1) = 12.706.
    values = np.tile([3.0, -1.0], (2, 5)) + np.array([[0.0], [1e-6]])
    found = judge(reference(tasks=40), 0, evaluation(values), 0, 1)
    assert found.allowed == pytest.approx(12.706 * math.sqrt(4 * 10 / 9 * (1 / 10 + 1 / 40)), rel=1e-3)


def test_one_seed_beside_one_is_no_verdict_and_does_not_pass():
    found = judge(reference(), 0, evaluation(np.random.default_rng(0).normal(size=(1, 30))), 0, 1)
    assert (found.verdict, found.passed) == ("no verdict", False)


def test_seeds_that_are_alike_beside_one_run_leave_the_draw_of_test_tasks():
    # Ten tasks of variance 4 · 10/9, and theirs of 40: t(9) = 2.262.
    found = judge(reference(tasks=40), 0, evaluation(np.tile([3.0, -1.0], (4, 5))), 0, 1)
    assert found.allowed == pytest.approx(2.262 * math.sqrt(4 * 10 / 9 * (1 / 10 + 1 / 40)), rel=1e-3)


def test_seeds_that_are_alike_are_one():
    values = np.tile([3.0, -1.0], (4, 5))
    alike, one = (judge(reference(sd=[1.0], seeds=3), 0, evaluation(values[:count]), 0, 1) for count in (4, 1))
    assert alike.allowed == one.allowed


def test_the_more_is_compared_the_more_is_allowed():
    values = np.repeat(np.array([-1.0, 0.0, 1.0])[:, None], 10, 1)
    one, many = (judge(reference(), 0, evaluation(values), 0, comparisons).allowed for comparisons in (1, 10))
    assert one == pytest.approx(4.303 * math.sqrt(4 / 3), rel=1e-3)
    assert many == pytest.approx(14.089 * math.sqrt(4 / 3), rel=1e-3)  # t(2) at 99.5%


def test_all_of_a_recipe_hold_together_95_times_in_100():
    """Both sides drawn anew, as the docstring has it: seed effects, and test tasks of one's own."""
    draw, held, trials = np.random.default_rng(0), 0, 400
    for _ in range(trials):
        theirs = draw.normal(0, 1, 3)
        values = draw.normal(0, 1, (5, 1)) + draw.normal(0, 1, (1, 50))
        shown = reference(
            values=[theirs.mean() + draw.normal(0, 1, 50).mean()], sd=[theirs.std(ddof=1)], seeds=3, tasks=50
        )
        held += judge(shown, 0, evaluation(values), 0, 1).passed
    assert 0.925 < held / trials < 0.99


def test_a_diverged_seed_is_no_pass():
    found = judge(reference(halves=[1e9]), 0, evaluation([[1.0, 1.0]]), 1, 1)
    assert math.isnan(found.ours)
    assert found.verdict == "FAIL"


def adapted(*after):
    """Seeds × tasks whose error was 1 before adaptation."""
    after = np.asarray(after, dtype=np.float32)
    return Evaluation({"mse": np.stack([np.ones_like(after), after], -1)}, range(len(after)))


def test_a_fit_that_ran_to_infinity_is_no_pass_in_a_published_interval():
    assert judge(reference(halves=[1e9]), 0, adapted([1.0, np.inf], [1.0, 1.0]), 0, 1).verdict == "FAIL"
    assert judge(reference(halves=[1e9], judged=False), 0, adapted([1.0, np.inf]), 0, 1).verdict == "outside"


@pytest.mark.parametrize("away", [np.inf, np.nan, 101.0])
def test_a_finite_value_is_compared_with_the_seeds_on_which_nothing_ran_away(away):
    calm = ([1.0, 0.8], [0.9, 0.6], [1.1, 0.7])
    with_one, without = adapted(*calm, [1.0, away]), adapted(*calm)
    assert judgement.runaways(with_one) == [3]
    assert judgement.runaways(without) == []
    assert judge(reference(), 0, with_one, 0, 1) == judge(reference(), 0, without, 0, 1)


def test_an_accuracy_that_grows_from_nothing_has_not_run_away():
    grown = Evaluation({"accuracy": np.array([[[0.0, 0.9], [0.0, 1.0]]], dtype=np.float32)}, [0], higher_is_better=True)
    assert judgement.runaways(grown) == []


def test_with_no_calm_seed_left_nothing_passes():
    assert judge(reference(), 0, adapted([1.0, np.inf], [np.inf, 1.0]), 0, 1).verdict == "FAIL"


def test_a_recipe_is_made_and_judged(tmp_path):
    found = reproduce(recipe_files.parse(SMALL), tmp_path / "small")
    (theta,) = found.judgements
    assert theta.ours == pytest.approx(-1515.48)
    assert found.passed
    assert "passed on 20" in str(found)
    assert "not known: nothing of it" in str(found)
    document = json.loads((tmp_path / "small" / "reproduction.json").read_text())
    assert document["passed"]
    assert document["runs"]["maml"] == str(tmp_path / "small" / "maml")


def test_another_number_is_a_failure(tmp_path):
    found = reproduce(recipe_files.parse(SMALL.replace("-1515.48", "-295.32")), tmp_path / "small")
    assert not found.passed
    assert "FAILED on 20" in str(found)


def test_what_is_finished_is_not_made_again(tmp_path):
    recipe = recipe_files.parse(SMALL)
    reproduce(recipe, tmp_path / "small")
    before = (tmp_path / "small" / "maml" / "result.json").stat().st_mtime_ns
    assert reproduce(recipe, tmp_path / "small").passed
    assert (tmp_path / "small" / "maml" / "result.json").stat().st_mtime_ns == before


def test_the_directory_of_another_recipe_is_refused(tmp_path):
    reproduce(recipe_files.parse(SMALL), tmp_path / "small")
    with pytest.raises(UsageError, match="small holds recipe 'small', version 1; choose another one"):
        reproduce(recipe_files.parse(SMALL.replace("version = 1", "version = 2")), tmp_path / "small")


def test_reproduce_lists_runs_and_ends_with_pass_or_fail(cli, distribution):
    distribution("shop", _shop())
    shown = cli("reproduce").stdout
    assert "small" in shown
    assert "notebook-scalar" in shown
    assert (
        "maml, θ after training   -1515.48   -1515.48   exactly   pass"
        in cli("reproduce", "small", "--out", "a").stdout
    )
    assert "FAIL" in cli("reproduce", "bad", "--out", "b", code=1).stdout
    assert cli.json("reproduce", "small", "--out", "a")["passed"]
    assert Path("a/maml/result.json").exists()
    assert Path("a/both.png").exists()


FIGURE = "[figures]\nboth = ['maml', 'slower']\n"


def _shop() -> str:
    bad = SMALL.replace("-1515.48", "1.0").replace('"small"', '"bad"')
    return f"""
import pathlib

import mamlzoo

HERE = pathlib.Path(__file__).parent
(HERE / "good.toml").write_text({SMALL + FIGURE!r})
(HERE / "bad.toml").write_text({bad!r})


@mamlzoo.hookimpl
def mamlzoo_recipes():
    return [HERE / "good.toml", HERE / "bad.toml"]
"""


def test_a_recipe_that_does_not_exist_is_one_line(cli):
    line = cli.error("reproduce", "notebook-sin")
    assert line.startswith("there is no recipe 'notebook-sin'; did you mean 'notebook-sine'")


def test_a_recipe_that_cannot_be_read_is_a_failed_plugin(cli, distribution):
    distribution("shop", '''
        import pathlib
        import mamlzoo

        @mamlzoo.hookimpl
        def mamlzoo_recipes():
            path = pathlib.Path(__file__).with_suffix(".toml")
            path.write_text("name = 'x'")
            return [path]
    ''')  # fmt: skip
    (failure,) = cli.json("list")["failures"]
    assert failure["error"] == "PluginError: a recipe cannot be read: it lacks 'runs'"


def test_exactly_is_as_exact_as_float32_can_be():
    assert judgement.exact("", -1515.48, -1515.4799, "").passed
    assert not judgement.exact("", -1515.48, -1515.6, "").passed


def test_resume_says_which_command_goes_on_with_a_recipe(cli, distribution):
    distribution("shop", _shop())
    cli("reproduce", "small", "--out=-a b", "--quiet")
    line = "-a b is a recipe's directory; `mamlzoo reproduce small --out './-a b'` goes on with it"
    assert cli.error("resume", "--", "-a b") == line
