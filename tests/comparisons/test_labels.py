"""What results are called: short, and with one legend of what the names leave out."""

from __future__ import annotations

import pytest
from test_differences import found, noisy

from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.comparisons.labels import LONGEST, labels, legend


def config(algorithm="maml", *, task="sine", seeds=(0, 1), source=None, **options):
    parts = {"task": task, "model": "mlp", "algorithm": algorithm}
    made = {kind: {"name": name, "options": options if kind == "algorithm" else {}} for kind, name in parts.items()}
    if source is not None:
        made["algorithm"]["source"] = {"reference": source}
    return made | {"settings": {"seeds": list(seeds), "meta_batch": 4}, "versions": {}}


FAST, SLOW = {"inner_lr": 0.1, "inner_steps": 5}, {"inner_lr": 0.01, "inner_steps": 5}
CASES = {
    "other algorithms": (
        [config(**FAST), config("protonet"), config("anil", head=3)],
        ["maml", "protonet", "anil"],
        [],
    ),
    "other tasks too": (
        [config(task="sine"), config("anil", task="waves")],
        ["sine × maml", "waves × anil"],
        [],
    ),
    "one option": ([config(**FAST), config(**SLOW)], ["maml (inner_lr=0.1)", "maml (inner_lr=0.01)"], []),
    "one option of two namesakes and a third": (
        [config(**FAST), config(**SLOW), config("anil", **SLOW), config("protonet")],
        ["maml (inner_lr=0.1)", "maml (inner_lr=0.01)", "anil", "protonet"],
        [],
    ),
    "two options, one of which will do": (
        [config(inner_lr=0.1, inner_steps=1), config(inner_lr=0.01, inner_steps=5)],
        ["maml (inner_lr=0.1)", "maml (inner_lr=0.01)"],
        ["maml (inner_lr=0.1): inner_steps=1", "maml (inner_lr=0.01): inner_steps=5"],
    ),
    "two options, none of which will do": (
        [config(inner_lr=0.1, inner_steps=1), config(**FAST), config(**SLOW)],
        ["maml #1", "maml #2", "maml #3"],
        [
            "maml #1: inner_lr=0.1, inner_steps=1",
            "maml #2: inner_lr=0.1, inner_steps=5",
            "maml #3: inner_lr=0.01, inner_steps=5",
        ],
    ),
    "seeds, by how many": ([config(seeds=range(3)), config(seeds=range(5))], ["maml (seeds=3)", "maml (seeds=5)"], []),
    "seeds, by which": ([config(seeds=[1]), config(seeds=[2, 5])], ["maml (seeds=1)", "maml (seeds=2,5)"], []),
    "a value too long for the head of a column": (
        [config(seeds=range(1, 30)), config(seeds=[0])],
        ["maml #1", "maml #2"],
        [f"maml #1: seeds={','.join(map(str, range(1, 30)))}", "maml #2: seeds=1"],
    ),
    "files of the same name": (
        [config(source="a.py:M"), config(source="b.py:M")],
        ["maml (algorithm from=a.py:M)", "maml (algorithm from=b.py:M)"],
        [],
    ),
    "the very same": ([config(), config(), config("anil")], ["maml", "maml #2", "anil"], []),
}


@pytest.mark.parametrize(("configs", "names", "said"), CASES.values(), ids=CASES)
def test_results_are_called_by_what_they_differ_in(configs, names, said):
    assert labels(configs) == names
    assert legend(configs) == said


@pytest.mark.parametrize("configs", [case[0] for case in CASES.values()], ids=CASES)
def test_names_differ_and_fit_the_head_of_a_column(configs):
    called = labels(configs)
    assert len(set(called)) == len(called)
    assert max(map(len, called)) <= LONGEST


def test_a_note_that_is_of_several_results_is_said_once_and_the_legend_once():
    results = [found("maml", noisy(0, 2), diverged=[1], inner_lr=rate, inner_steps=steps)
               for rate in (0.1, 0.2) for steps in (1, 2)]  # fmt: skip
    notes = Comparison(results).table().notes
    assert [note for note in notes if "diverged" in note] == [
        "maml #1, maml #2, maml #3, maml #4: seed 1 diverged at meta-step 7: the meta-loss or θ was not finite; "
        "left out of the mean"
    ]
    assert [note for note in notes if "inner_steps" in note] == legend([result.config for result in results])


def test_seeds_that_diverged_share_a_note():
    (note,) = [note for note in found("maml", noisy(0), diverged=[1, 3]).caveats() if "diverged" in note]
    assert note.startswith("seeds 1, 3 diverged at meta-steps 7, 7: ")
