"""Paired differences: which of several results really differ, in numbers, verdicts and sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import UsageError
from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.comparisons.verdicts import Difference
from mamlzoo.engine.plan_choice import Choice
from mamlzoo.engine.training import TrainingState
from mamlzoo.experiments.checkpoint import Checkpoint
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.experiments.result import Result, Timing

QUICK = {"iterations": 4, "meta_batch": 2, "test_tasks": 6, "test_steps": 2}
HARD = np.random.default_rng(1).normal(10, 3, size=(1, 40))
"""How hard each of 40 test tasks is, whoever learns it."""


def found(
    algorithm,
    values,
    *,
    model="mlp",
    task="sine",
    metric="mse",
    higher=False,
    seeds=None,
    diverged=(),
    test_seed=0,
    device="cpu",
    norm_statistics="batch",
    **options,
):
    """A result with the values given: [seeds, test tasks] after one step, and 0 before."""
    values = np.asarray(values, dtype=np.float32)
    seeds = list(range(len(values))) if seeds is None else seeds
    parts = {"task": task, "model": model, "algorithm": algorithm}
    config = {
        kind: {"name": name, "options": options if kind == "algorithm" else {}, "registered": True}
        for kind, name in parts.items()
    }
    settings = {"seeds": seeds, "test_steps": 1, "test_seed": test_seed, "device": device} | {
        "norm_statistics": norm_statistics
    }
    rows = [row for row, seed in enumerate(seeds) if seed not in diverged]
    return Result(
        config=config | {"settings": settings, "versions": {}},
        evaluation=Evaluation({metric: np.stack([np.zeros_like(values), values], -1)}, rows, higher),
        checkpoint=Checkpoint(
            Choice("none", ""), TrainingState(0, {}, diverged={seeds.index(seed): 7 for seed in diverged})
        ),
        timing=Timing(0, 0, 0, 0, 0),
    )


def noisy(mean, seeds=5, generator=0):
    """The hardness of each task, noise of one hundredth of it, and a mean of one's own."""
    return HARD + mean + 0.03 * np.random.default_rng(generator).normal(size=(seeds, 40))


def rows(*results, **asked) -> list[Difference]:
    return list(Comparison(results).differences(**asked).rows)


def the_only(*results, **asked) -> Difference:
    (row,) = rows(*results, **asked)
    return row


def notes(*results, **asked) -> str:
    return "\n".join(Comparison(results).differences(**asked).notes())


def pairs(*results, **asked) -> list[tuple[str, str]]:
    return [(row.label, row.other) for row in rows(*results, **asked)]


def test_the_difference_is_the_firsts_mean_less_the_seconds():
    one, two = noisy(0), noisy(0.5, generator=1)
    row = the_only(found("maml", one), found("fomaml", two))
    assert (row.label, row.other) == ("maml", "fomaml")
    assert row.interval.mean == pytest.approx((one - two).mean(), rel=1e-4)
    assert row.interval.low < row.interval.mean < row.interval.high


def test_what_is_hard_for_both_cancels():
    # Over tasks alone the means differ by 0.1 ± 1.3.
    row = the_only(found("maml", noisy(0, 3)), found("fomaml", noisy(0.1, 3, 1)))
    assert row.verdict == "maml is better"
    assert row.interval.high - row.interval.low < 0.06


def test_a_difference_that_may_be_0_tells_nothing_apart_and_how_many_seeds_would():
    row = the_only(found("maml", noisy(0, 2)), found("fomaml", noisy(0.02, 2, 1)))
    assert (row.verdict, row.winner) == ("cannot be told apart", None)
    assert 2 < row.seeds_needed < 10
    said = row.sentence()
    assert said.startswith("maml and fomaml cannot be told apart with 2 seeds: maml's mse is lower by ")
    assert said.endswith(f"]; about {row.seeds_needed} would do")
    assert "better" not in said


@pytest.mark.parametrize(
    ("higher", "verdict", "sentence"),
    [
        (False, "maml is better", "maml is better than scratch: its mse is lower by 1.0"),
        (True, "maml is worse", "maml is worse than scratch: its mse is lower by 1.0"),
    ],
)
def test_a_verdict_knows_which_way_is_better(higher, verdict, sentence):
    results = [found("scratch", noisy(1), higher=higher), found("maml", noisy(0, generator=1), higher=higher)]
    row = the_only(*results, baseline="scratch")
    assert row.verdict == verdict
    assert row.sentence().startswith(sentence)


def test_amounts_are_told_without_a_sign_and_their_interval_turned_with_them():
    row = the_only(found("maml", noisy(0)), found("scratch", noisy(1, generator=1)))
    low, high = (float(end) for end in row.sentence().partition("[")[2].rstrip("]").split(", "))
    assert (low, high) == (pytest.approx(-row.interval.high, rel=0.01), pytest.approx(-row.interval.low, rel=0.01))


def test_without_a_baseline_every_two_are_compared_in_the_order_of_their_ranking():
    results = [found("scratch", noisy(2)), found("maml", noisy(0)), found("fomaml", noisy(1))]
    assert pairs(*results) == [("maml", "fomaml"), ("maml", "scratch"), ("fomaml", "scratch")]


def test_the_best_is_the_highest_where_that_is_better():
    results = [found(name, noisy(mean), higher=True) for name, mean in (("scratch", 0), ("maml", 2), ("fomaml", 1))]
    assert pairs(*results) == [("maml", "fomaml"), ("maml", "scratch"), ("fomaml", "scratch")]


def test_with_a_baseline_each_is_compared_with_it_alone():
    results = [found("scratch", noisy(2)), found("maml", noisy(0)), found("fomaml", noisy(1))]
    assert pairs(*results, baseline="maml") == [("scratch", "maml"), ("fomaml", "maml")]


GRID = [found(algorithm, noisy(mean), model=model, task=task)
        for task in ("sine", "waves") for model in ("mlp", "wide") for mean, algorithm in enumerate(("maml", "scratch"))]  # fmt: skip


def test_an_algorithms_name_means_the_one_on_the_same_task_and_model():
    assert pairs(*GRID, baseline="maml")[:4] == [
        (f"{task} × {model} × scratch", f"{task} × {model} × maml")
        for task in ("sine", "waves")
        for model in ("mlp", "wide")
    ]


def test_a_models_name_means_the_one_on_the_same_task_and_with_the_same_algorithm():
    against = [(first.replace("wide", "mlp"), second) for first, second in pairs(*GRID, baseline="mlp")[:4]]
    assert all(first == second for first, second in against)


def test_a_label_means_that_result_alone_and_the_others_are_told():
    compared = Comparison(GRID).differences(baseline="sine × mlp × maml")
    assert {row.other for row in compared.rows[:3]} == {"sine × mlp × maml"}
    assert "no baseline for waves × mlp × maml, waves × mlp × scratch, " in "\n".join(compared.notes())


MAML = found("maml", noisy(0))
TWICE = [found("maml", noisy(0), k=1), found("maml", noisy(0), k=2), found("scratch", noisy(1))]


@pytest.mark.parametrize(
    ("results", "baseline", "complaint"),
    [
        ([MAML, found("fomaml", noisy(1))], "mamll", "there is no baseline 'mamll' among the results; did you mean 'maml'"),
        ([MAML, found("fomaml", noisy(1))], "mlp", "baseline 'mlp' is every result; choose one of them: maml, fomaml"),
        (TWICE, "maml", "baseline 'maml' may be 'maml (k=1)' or 'maml (k=2)'; choose one of them"),
        ([MAML], "maml", "nothing can be compared with baseline 'maml': no other result has its test tasks"),
        ([MAML, found("maml", noisy(0), task="waves")], "sine", "nothing can be compared with baseline 'sine'"),
    ],
    ids=["unknown", "all", "several", "alone", "elsewhere"],
)  # fmt: skip
def test_a_baseline_that_is_none_is_refused(results, baseline, complaint):
    with pytest.raises(UsageError) as caught:
        Comparison(results).differences(baseline)
    assert str(caught.value).startswith(complaint)


def test_the_step_may_be_chosen_and_must_be_one_that_all_have():
    results = [MAML, found("fomaml", noisy(1))]
    assert the_only(*results, step=0).interval == (0, 0, 0)
    with pytest.raises(UsageError, match="no difference after 2 adaptation steps: all results have 0 to 1"):
        Comparison(results).differences(step=2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"task": "waves"}, "task"),
        ({"test_seed": 1}, "test seed"),
        ({"metric": "mae"}, "metric"),
        ({"device": "cuda:1"}, "kind of device"),
        ({"norm_statistics": "support"}, "norm statistics"),
    ],
)
def test_results_of_other_test_tasks_are_not_paired_and_that_is_said(change, what):
    results = [MAML, found("scratch", noisy(1)), found("fomaml", noisy(0), **change)]
    assert len(rows(*results)) == 1
    assert f"paired only within a test set, and these differ in {what}: " in notes(*results)


def test_results_that_all_differ_in_their_test_tasks_have_no_rows():
    assert rows(MAML, found("maml", noisy(0), task="waves")) == []


def test_fewer_test_tasks_are_another_test_set():
    results = [MAML, found("scratch", noisy(1)), found("fomaml", noisy(0)[:, :30])]
    assert len(rows(*results)) == 1
    assert "these differ in test tasks: maml, scratch; fomaml" in notes(*results)


def test_a_diverged_seed_does_not_count_and_is_named():
    one, two = noisy(0), noisy(1, generator=1)
    one[2] = np.nan
    results = found("maml", one, diverged=[2]), found("scratch", two, diverged=[0])
    row = the_only(*results)
    assert row.seeds == [1, 3, 4]
    assert row.interval.mean == pytest.approx((one - two)[[1, 3, 4]].mean(), rel=1e-4)
    assert row.diverged == {0: ["scratch"], 2: ["maml"]}
    assert row.sentence().endswith(
        "; this rests on seeds 1, 3, 4 alone, as seed 0 diverged in scratch, seed 2 diverged in maml"
    )
    assert Comparison(results).differences().table().rows[0][4] == "3 of 5"


def test_with_no_seed_left_there_is_no_verdict():
    row = the_only(found("maml", noisy(0, 2), diverged=[0, 1]), found("scratch", noisy(0, 2)))
    assert row.verdict == "no verdict"
    assert row.sentence().endswith("there is no seed left, as seeds 0, 1 diverged in maml")


def test_a_result_of_which_nothing_is_left_is_last_in_the_ranking():
    results = [found("maml", noisy(0), diverged=range(5)), found("scratch", noisy(2)), found("fomaml", noisy(1))]
    assert pairs(*results) == [("fomaml", "scratch"), ("fomaml", "maml"), ("scratch", "maml")]


def test_seeds_are_paired_by_name_and_not_by_place():
    values = noisy(0, 3) + 10 * np.arange(3)[:, None]
    row = the_only(found("maml", values, seeds=[5, 6, 7]), found("fomaml", values[[2, 0]] + 1, seeds=[7, 5]))
    assert row.seeds == [5, 7]
    assert row.interval.mean == pytest.approx(-1, abs=1e-5)
    assert "seeds 5, 7 alone, as only one of the two has seed 6" in row.sentence()


def test_where_adaptation_ran_to_infinity_there_is_no_verdict():
    values = noisy(0)
    values[0, 3], values[1, 3], values[2, 8] = np.inf, np.inf, np.nan
    row = the_only(found("maml", values), found("scratch", noisy(1)))
    assert row.verdict == "no verdict"
    assert "adaptation ran to infinity on 2 of 40 test tasks, so their difference is not finite" in row.sentence()


def test_results_that_are_alike_to_the_last_bit_are_said_to_be():
    row = the_only(found("maml", noisy(0)), found("fomaml", noisy(0)))
    assert row.interval == (0, 0, 0)
    assert row.verdict == "cannot be told apart"
    assert row.sentence() == "maml and fomaml found the very same numbers"


def test_what_an_interval_is_taken_over_is_said():
    several = notes(MAML, found("fomaml", noisy(1)))
    assert "paired on the same 40 test tasks and 5 seeds; 95% t interval over seeds and test tasks" in several
    one = notes(found("maml", noisy(0, 1)), found("fomaml", noisy(1, 1)))
    assert "over test tasks only, as there is one seed: it says nothing of another training run" in one
    single = notes(found("maml", noisy(0)[:, :1]), found("fomaml", noisy(1, generator=1)[:, :1]))
    assert "over seeds only, as there is one test task: it says nothing of another task" in single


def test_one_seed_has_no_verdict_and_what_it_found_is_said_of_that_seed_alone():
    row = the_only(found("maml", noisy(0, 1), seeds=[7]), found("fomaml", noisy(9, 1, 1), seeds=[7]))
    assert row.interval.high < 0
    assert (row.verdict, row.winner) == ("no verdict", None)
    said = row.sentence()
    assert said.startswith(
        "no verdict on maml and fomaml: one seed says nothing of another training run; it takes several "
        "(in seed 7, maml's mse is lower by "
    )
    assert "better" not in said


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.floats(-3, 3), st.integers(0, 99))
def test_there_is_never_a_verdict_from_one_seed_or_from_few_tasks(seeds, tasks, mean, generator):
    one, two = noisy(mean, seeds, generator)[:, :tasks], noisy(0, seeds, generator + 100)[:, :tasks]
    row = the_only(found("maml", one), found("fomaml", two))
    assert (row.verdict == "no verdict") == (seeds == 1 or tasks < 5)


def test_seeds_that_are_all_alike_count_as_one():
    alike = [np.repeat(noisy(mean, 1, generator), 5, axis=0) for generator, mean in enumerate((0, 1))]
    once = the_only(found("maml", alike[0][:1]), found("fomaml", alike[1][:1]))
    five = the_only(found("maml", alike[0]), found("fomaml", alike[1]))
    assert five.interval == once.interval
    assert "over test tasks only, as the seeds found the very same differences" in five.basis()
    assert (once.verdict, five.verdict) == ("no verdict", "maml is better")  # five show that seeds make no difference


@pytest.mark.parametrize(("tasks", "verdict"), [(2, "no verdict"), (4, "no verdict"), (5, "maml is better")])
def test_a_few_test_tasks_have_an_interval_and_no_verdict(tasks, verdict):
    results = found("maml", noisy(0)[:, :tasks]), found("fomaml", noisy(9, generator=1)[:, :tasks])
    row = the_only(*results)
    assert row.interval.high < 0
    assert row.verdict == verdict
    few = f"no verdict on maml and fomaml: {tasks} test tasks say little of others; it takes 5 at least"
    assert (few in notes(*results)) == (verdict == "no verdict")
    assert f"paired on the same {tasks} test tasks and 5 seeds" in notes(*results)


def test_a_few_test_tasks_are_said_to_be_few_beside_their_mean():
    said = "; fewer than 5 test tasks say little of others"
    assert [found("maml", noisy(0)[:, :tasks]).basis().endswith(said) for tasks in (2, 4, 5)] == [True, True, False]


def test_one_seed_on_one_task_has_no_interval():
    row = the_only(found("maml", [[1.0]]), found("fomaml", [[2.0]]))
    assert (row.interval.mean, row.verdict) == (-1, "no verdict")


def test_several_intervals_hold_together_as_often_as_one_does_alone():
    results = [MAML, found("fomaml", noisy(1, generator=1)), found("scratch", noisy(2, generator=2))]
    alone, together = the_only(*results[:2]).interval, rows(*results)[0].interval
    assert together.mean == alone.mean
    # Student's t of 4 degrees: 2.776 at 95%, and 3.961 at 1 − 0.05/3.
    assert (together.high - together.mean) / (alone.high - alone.mean) == pytest.approx(3.961 / 2.776, rel=1e-3)
    assert rows(*results)[0].basis().endswith("; 98.33% t interval over seeds and test tasks")
    assert the_only(*results[:2]).basis().endswith("; 95% t interval over seeds and test tasks")
    assert "so all 3 intervals hold together at 95%" in notes(*results)


def test_more_seeds_of_the_same_kind_never_lose_a_verdict():
    # Each further set of seeds is the first one again: the same mean and spread, and more of it.
    one, two = noisy(0, 3), noisy(0.015, 3, 1)
    seen = [
        the_only(found("maml", np.tile(one, (n, 1))), found("fomaml", np.tile(two, (n, 1)))) for n in (1, 2, 4, 8, 16)
    ]
    assert [row.verdict for row in seen] == sorted((row.verdict for row in seen), key="maml is better".__eq__)
    assert {row.verdict for row in seen} == {"cannot be told apart", "maml is better"}
    widths = [row.interval.high - row.interval.low for row in seen]
    assert widths == sorted(widths, reverse=True)


def test_many_rows_are_told_in_few_sentences():
    results = [found("maml", noisy(0)), found("anil", noisy(0, generator=1)), found("scratch", noisy(2)),
               found("transfer", noisy(1))]  # fmt: skip
    said = Comparison(results).differences().notes()
    assert {"maml is better than transfer and scratch", "anil is better than transfer and scratch",
            "transfer is better than scratch"} <= set(said)  # fmt: skip
    assert [note for note in said if note.startswith("with 5 seeds these cannot be told apart: ")] != []
    assert len(said) == 6


def test_where_no_pair_has_a_verdict_the_reason_is_said_once():
    said = Comparison([found(name, noisy(mean, 1)) for mean, name in enumerate("abcd")]).differences().notes()
    assert said[0] == "no verdict on any two: one seed says nothing of another training run; it takes several"


def test_the_ranking_of_equals_has_a_false_verdict_in_5_of_100_comparisons_at_most():
    # Three equals, whose seeds differ and whose tasks are not equally hard for each: most are told apart wrongly where
    # seeds alone differ.
    generator, false = np.random.default_rng(0), 0
    for _ in range(150):
        results = []
        for name in "abc":
            of_seeds, of_tasks = generator.normal(size=(4, 1)), 0.2 * generator.normal(size=(1, 20))
            results.append(found(name, of_seeds + of_tasks))
        false += any(row.winner for row in rows(*results))
    assert false <= 0.05 * 150 + 1.645 * np.sqrt(150 * 0.05 * 0.95)


def test_the_document_is_json_with_null_where_there_is_no_number():
    compared = Comparison([MAML, found("fomaml", noisy(1), diverged=range(5))]).differences()
    (row,) = json.loads(json.dumps(compared.document(), allow_nan=False))["rows"]
    assert (row["label"], row["other"], row["difference"], row["verdict"]) == ("maml", "fomaml", None, "no verdict")
    assert row["diverged"]["4"] == ["fomaml"]
    assert row["over"] == ""


def test_a_comparison_asks_its_own_question_where_no_other_is_asked():
    results = [found("scratch", noisy(2)), found("maml", noisy(0)), found("fomaml", noisy(1))]
    comparison = Comparison(results, baseline="scratch", step=0)
    assert (comparison.differences().baseline, comparison.differences().step) == ("scratch", 0)
    other = comparison.differences("maml")
    assert (other.baseline, other.step) == ("maml", 0)


@pytest.mark.usefixtures("no_figures")
def test_real_results_are_compared_the_same_after_loading(tmp_path):
    names = ["scratch", "protonet"]
    comparison = mamlzoo.compare("blobs", algorithm=names, **{**QUICK, "iterations": 0}).save(tmp_path / "all")
    loaded = Comparison([mamlzoo.load(tmp_path / "all" / name) for name in names])
    assert loaded.document()["differences"] == comparison.document()["differences"]
    assert all(result.evaluation.higher_is_better for result in loaded.results)
    saved = json.loads((tmp_path / "all" / "comparison.json").read_text())
    assert saved["differences"] == comparison.differences().document()


def test_a_metric_is_an_error_unless_its_task_says_otherwise():
    assert not mamlzoo.run(**QUICK).evaluation.higher_is_better
