"""Recipes that choose by validation, rank their runs, and have a short and a full budget."""

from __future__ import annotations

import json

import pytest

from mamlzoo import PluginError, UsageError, load
from mamlzoo.contracts import recipe_files
from mamlzoo.figures.figure_files import drawn
from mamlzoo.reproductions import reproduction
from mamlzoo.reproductions.reproduction import reproduce

pytestmark = pytest.mark.usefixtures("no_figures")  # of single runs, at which no test looks

TINY = """
name = "tiny"
version = 1
summary = "sine waves, hardly trained"
source = "made up"
minutes = 0.1

[common]
task = "sine"
model = "mlp"
seeds = 2
iterations = 3
test_tasks = 6
test_steps = 2
plan = "loop"
options = { "task.shots" = 3, "task.queries" = 2, "model.hidden" = [4] }

[choice]
iterations = 1
seeds = 1
valid_tasks = 4

[runs.maml]
algorithm = "maml"
choose = { "algorithm.inner_lr" = [1e9, 0.01], outer_lr = [1e-3] }

[runs.scratch]
algorithm = "scratch"

[rankings.which]
title = "which one?"
runs = ["scratch", "maml"]

[full]
minutes = 600
common = { iterations = 5 }
runs.maml = { meta_batch = 2, options = { "algorithm.inner_steps" = 2 } }

[[references]]
run = "maml"
steps = [1]
values = [0.0]
halves = [1e-9]
full = true
source = "made up"

[[claims]]
run = "maml"
better_than = "scratch"
step = 1
full = true
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, no_figures):
    return reproduce(recipe_files.parse(TINY), tmp_path_factory.mktemp("recipes") / "tiny")


def test_where_nothing_is_judged_nothing_is_said_to_have_passed(made):
    assert "made on 20" in str(made)
    assert "passed" not in str(made)


def test_validation_chooses_before_the_run_is_trained(made):
    settings, algorithm = (made.results["maml"].config[part] for part in ("settings", "algorithm"))
    assert made.chosen["maml"] == {"algorithm.inner_lr": 0.01, "outer_lr": 0.001}
    assert (algorithm["options"]["inner_lr"], settings["outer_lr"]) == (0.01, 0.001)
    assert "maml: chosen on validation, outer_lr 0.001 and inner_lr 0.01" in str(made)


def test_what_was_tried_is_a_sweep_beside_the_run(made):
    tried = load(made.results["maml"].run_dir.with_name("maml.choice"))
    assert [cell.values["algorithm.inner_lr"] for cell in tried.cells] == [1e9, 0.01]
    config = load(tried.cells[1].run_dir).config
    assert (config["settings"]["iterations"], config["settings"]["seeds"]) == (1, [0])


def test_what_was_tried_and_trained_is_not_made_again(made):
    times = [path.stat().st_mtime_ns for path in made.results["maml"].run_dir.parent.rglob("result.json")]
    again = reproduce(made.recipe, made.results["maml"].run_dir.parent)
    assert again.chosen == made.chosen
    assert times == [path.stat().st_mtime_ns for path in made.results["maml"].run_dir.parent.rglob("result.json")]


def test_a_ranking_has_the_best_first_and_the_others_behind_it(made):
    first, second = made.rankings["which"].rows
    means = {label: result.evaluation.mean[2] for label, result in made.results.items()}
    assert means[first.label] < means[second.label]
    assert (first.behind, second.behind.other) == (None, first.label)
    assert second.behind.interval.mean == pytest.approx(means[second.label] - means[first.label], rel=1e-4)
    assert f"{first.label}" in str(made.rankings["which"].table())


def test_a_ranking_says_what_each_costs(made):
    rows = {row.label: row for row in made.rankings["which"].rows}
    assert rows["maml"].parameters == 1 * 4 + 4 + 4 * 1 + 1
    assert rows["maml"].flops == rows["scratch"].flops == [800, 800 + 3 * 40, 800 + 2 * 3 * 40]
    assert rows["scratch"].seconds == 0 < rows["maml"].seconds


def test_rankings_and_choices_are_written_down_and_drawn(made):
    directory = made.results["maml"].run_dir.parent
    document = json.loads((directory / "reproduction.json").read_text())
    assert document["chosen"]["maml"]["algorithm.inner_lr"] == 0.01
    assert [row["run"] for row in document["rankings"]["which"]["rows"]] == [
        row.label for row in made.rankings["which"].rows
    ]
    assert drawn(made)["which"]().startswith(b"\x89PNG")


def test_the_full_budgets_verdicts_are_not_the_short_ones(made):
    (judgement,) = made.judgements
    assert (judgement.verdict, made.verdicts, made.passed) == ("outside", [], True)
    full = made.recipe.full
    assert full.is_full
    assert (full.references[0].judged, len(full.claims)) == (True, 1)


def test_the_full_budget_is_the_short_one_but_for_what_it_says():
    recipe = recipe_files.parse(TINY)
    short, full = (dict(zip(("maml", "scratch"), one.runs, strict=True)) for one in (recipe, recipe.full))
    assert [run.settings["iterations"] for run in (short["maml"], full["maml"], full["scratch"])] == [3, 5, 5]
    assert full["maml"].settings["meta_batch"] == 2
    assert full["maml"].options == {**short["maml"].options, "algorithm.inner_steps": 2}
    assert full["maml"].choose == short["maml"].choose
    assert (recipe.minutes, recipe.full.minutes) == (0.1, 600)


def test_the_directory_of_the_other_budget_is_refused(made):
    directory = made.results["maml"].run_dir.parent
    with pytest.raises(UsageError, match="holds the short budget of recipe 'tiny'; choose another one"):
        reproduce(made.recipe.full, directory)
    assert reproduction.command_of(directory).startswith("mamlzoo reproduce tiny --out ")


def test_there_is_no_full_budget_of_a_recipe_that_has_one(cli):
    line = cli.error("reproduce", "notebook-scalar", "--full")
    assert line == "recipe 'notebook-scalar' has one budget, the published one: leave out --full"


ERRORS = {
    "a choice of the task": (TINY.replace("outer_lr = [1e-3]", '"task.shots" = [1, 2]'), "chooses task.shots, which would change what is tested"),
    "a choice of nothing": (TINY.replace("outer_lr = [1e-3]", "outer_lr = []"), "run 'maml' has no value of outer_lr to choose from"),
    "a choice that is one value": (TINY.replace("outer_lr = [1e-3]", "outer_lr = 1e-3"), "runs.maml.choose.outer_lr is 0.001; it must be a list"),
    "a choice for another's θ": (TINY.replace('algorithm = "scratch"', 'algorithm = "maml"\nfrom = "maml"\nchoose = { outer_lr = [1.0] }'), "tests the θ of 'maml', so there is nothing to choose"),
    "a ranking of one": (TINY.replace('["scratch", "maml"]', '["maml"]'), "the ranking 'which one?' has fewer than two runs"),
    "a ranking of no run": (TINY.replace('["scratch", "maml"]', '["maml", "mamll"]'), "there is no run 'mamll'"),
    "a ranking over several test sets": (TINY.partition("[[claims]]")[0].replace('algorithm = "scratch"', 'algorithm = "scratch"\ntest_tasks = 7'), "the runs of the ranking 'which' have not the same test tasks"),
    "a figure of the same name": (TINY + '[figures]\nwhich = ["maml"]', "'which' is a figure and a ranking, whose files would be one"),
    "a full run that is none": (TINY.replace("runs.maml = {", "runs.mamll = {"), "full has a run 'mamll' that the recipe has not"),
    "a full budget of something else": (TINY.replace("minutes = 600", "minutes = 600\nseeds = 3"), "full has no 'seeds'; it has minutes, common and runs"),
    "a full budget without a time": (TINY.replace("minutes = 600", ""), "it lacks 'minutes'"),
    "a mark that is the parser's": (TINY.replace("minutes = 0.1", "minutes = 0.1\nis_full = true"), "recipe has no 'is_full'"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), ERRORS.values(), ids=ERRORS)
def test_a_recipe_that_cannot_be_is_one_clear_line(text, line):
    with pytest.raises(PluginError, match="a recipe cannot be read: ") as caught:
        recipe_files.parse(text)
    assert line in str(caught.value)


def test_a_metric_that_was_not_measured_is_one_line(tmp_path):
    text = TINY.replace('title = "which one?"', 'title = "which one?"\nmetric = "nll"').replace("choose =", "#")
    with pytest.raises(UsageError, match="there is no metric 'nll' of each test task; there are: mse"):
        reproduce(recipe_files.parse(text), tmp_path / "out")


def test_another_metric_than_the_first_can_be_judged_and_claimed(tmp_path):
    text = TINY.replace('task = "sine"', 'task = "blobs"').replace('"task.shots" = 3, ', "").replace("choose =", "#")
    text = text.replace("full = true", 'metric = "loss"').replace("values = [0.0]", "values = [2.0]")
    text = text.replace("halves = [1e-9]", "halves = [5.0]").replace("better_than", "no_better_than")
    found = reproduce(recipe_files.parse(text), tmp_path / "out")
    assert found.judgements[0].what == "maml, loss after 1 step"
    assert found.judgements[0].ours == pytest.approx(found.results["maml"].evaluation.values["loss"][..., 1].mean())
    assert found.verdicts[0].sentence.startswith("after 1 step in loss ")
