"""The mistakes that are made in meta-learning, each planted in a small plugin, and what catches it by name.

`found` are the checks that fail (`test_faults.py` holds that no others do), and `remedy` stands in the line that says
what to do. What `mamlzoo verify` finds too has `verified`, a part of its verdict. What nothing catches is listed as such,
and held to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import faulty_algorithms as algorithms
import faulty_models as models
import faulty_tasks as tasks
import pytest

from mamlzoo import verify
from mamlzoo.contracts.plugins import Plugin
from mamlzoo.testing import checks_of, outcomes_of
from mamlzoo.testing.probes import model, plain, task_for

FAULTY = [*algorithms.FAULTY, *models.FAULTY, *tasks.FAULTY]
STOPS = "look for .detach(), stop_gradient and torch.no_grad"
CLAIM = "Adapt on the support set alone, by `adapt`; judge φ and not θ, on the query set alone, by `predict`"


@dataclass(frozen=True)
class Mistake:
    what: str
    plugin: type[Plugin]
    found: tuple[str, ...]
    remedy: str
    verified: str = ""


MISTAKES = [
    Mistake(
        "the inner factor detached at every step",
        algorithms.Forgetful,
        ("meta-gradient-equals-differences",),
        "Look for .detach(), stop_gradient and torch.no_grad",
        STOPS,
    ),
    Mistake(
        "the inner factor detached at the last step",
        algorithms.StoppingLastStep,
        ("meta-gradient-equals-differences",),
        "Look for .detach(), stop_gradient and torch.no_grad",
        STOPS,
    ),
    Mistake(
        "the inner factor detached late in training",
        algorithms.StoppingLast,
        ("meta-gradient-equals-differences",),
        "Look for .detach(), stop_gradient and torch.no_grad",
        STOPS,
    ),
    Mistake("support and query swapped", algorithms.Swapped, ("meta-loss-is-the-query-loss",), CLAIM),
    Mistake(
        "a sum over steps for their mean",
        algorithms.SummedSteps,
        ("steps-of-rate-zero-change-nothing",),
        "Take the mean of losses after each step",
    ),
    Mistake("adapts on support and query", algorithms.OnBoth, ("meta-loss-is-the-query-loss",), CLAIM),
    Mistake("judges θ and not φ", algorithms.Unmoved, ("meta-loss-is-the-query-loss",), CLAIM),
    Mistake("another rule in training than at test", algorithms.OtherRule, ("meta-loss-is-the-query-loss",), CLAIM),
    Mistake(
        "implicit MAML with I − H/λ",
        algorithms.WrongSign,
        ("meta-gradient-equals-differences",),
        "of a surrogate for a wrong sign or factor",
        "look for a wrong sign or factor",
    ),
    Mistake(
        "the log-determinant twice",
        algorithms.TwiceTheVolume,
        ("meta-loss-is-a-log-likelihood",),
        "look for ½ before the log-determinant",
    ),
    Mistake(
        "a prototype divided by the shots",
        algorithms.ByShots,
        ("more-of-a-class-makes-it-likelier",),
        "Divide a sum over a class's points by how many points that class has",
    ),
    Mistake(
        "a prediction that depends on other queries",
        algorithms.Watching,
        ("query-points-do-not-see-each-other",),
        "Take no mean or norm over the query points",
    ),
    Mistake(
        "Adam's correction of bias a step late",
        algorithms.LateCorrection,
        ("adapt-is-the-optimisers-step",),
        "Correct each moment's bias by the number of this step, from 1 on",
    ),
    Mistake(
        "Adam's ε below the root",
        algorithms.EpsilonInside,
        ("adapt-is-the-optimisers-step",),
        "add ε where torch does: behind Adam's root",
    ),
    Mistake(
        "random numbers in the meta-loss",
        algorithms.Drawing,
        ("vmapped-equals-one-by-one", "same-inputs-give-same-outputs"),
        "Draw by learner.noise",
    ),
    Mistake(
        "a hash of numbers as noise in an algorithm",
        algorithms.Hashing,
        ("nearby-episodes-give-nearby-results",),
        "Make no noise of a tensor's own digits",
    ),
    Mistake(
        "a hash of numbers as noise in a network",
        models.Hashed,
        ("nearby-inputs-give-nearby-outputs",),
        "Make no noise of a tensor's own digits",
    ),
    Mistake(
        "test patients in training",
        tasks.Patients,
        ("splits-are-disjoint",),
        "Keep the functions, classes, files or patients of the three splits apart",
    ),
    Mistake(
        "half the query set is support",
        tasks.HalfOfSix,
        ("query-is-not-the-support",),
        "Draw the query set by itself",
    ),
    Mistake("a loss that is a sum", tasks.Summed, ("loss-is-a-mean-over-examples",), "End it with .mean()"),
    Mistake(
        "a Gaussian nll without ½",
        tasks.NoHalf,
        ("loss-is-a-log-likelihood",),
        "Of a Gaussian look for the ½ of the square",
    ),
    Mistake(
        "an accuracy not declared as growing",
        tasks.Accurate,
        ("growing-metrics-are-declared",),
        "Add its name to higher_is_better",
    ),
    Mistake(
        "class numbers fixed across episodes",
        tasks.Three,
        ("class-numbers-mean-nothing",),
        "Draw the classes of an episode in random order",
    ),
    Mistake(
        "class numbers in the order of all classes",
        tasks.Sorted,
        ("class-numbers-mean-nothing",),
        "do not sort them",
    ),
    Mistake(
        "examples that see each other in a network",
        models.built_with(models.Centred),
        ("works-on-a-meta-batch-of-one",),
        "compute each example from itself alone",
    ),
    Mistake(
        "examples that see each other in a loss",
        tasks.Standardised,
        ("examples-of-a-loss-do-not-see-each-other",),
        "take no mean or spread over predictions",
    ),
    Mistake(
        "a running mean in a buffer",
        models.built_with(models.Averaging),
        ("no-statistics-leak",),
        "Keep no running statistics",
    ),
]

NOT_CAUGHT = {
    "the divergence reversed, in a latent neural process: no law says which of two is in the posterior's place": (
        algorithms.Reversed
    ),
    "support and query swapped where nothing is claimed: another method might mean it": algorithms.SwappedUnclaimed,
    "a Gaussian nll without ½ where nothing is claimed: it is a loss like others": tasks.NoHalfUnclaimed,
    "test patients in training, of whose rows each draw is moved by noise: no two are the same": tasks.NoisyPatients,
}
"""Mistakes that neither `check` nor `verify` catches, each with the reason."""


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_planted_mistake_is_caught_by_name_with_what_to_do(mistake):
    plugin = mistake.plugin()
    found = [check.of(plugin) for check in checks_of(plugin) if check.name in mistake.found]
    assert [(outcome.check.name, outcome.verdict) for outcome in found] == [(name, "failed") for name in mistake.found]
    told = [f"{outcome.finding} {outcome.remedy}" for outcome in found]
    assert any(mistake.remedy in line for line in told), told


def test_each_mistake_but_one_is_among_the_faults_that_no_other_check_finds():
    apart = [mistake.plugin for mistake in MISTAKES if (mistake.found[0], mistake.plugin) not in FAULTY]
    assert apart == [algorithms.Drawing]


@pytest.mark.parametrize("mistake", [m for m in MISTAKES if m.verified], ids=lambda mistake: mistake.what)
def test_verify_says_of_a_wrong_derivative_what_to_look_for(mistake):
    algorithm = mistake.plugin()
    verdicts = [
        verify(task_for(algorithm), model(plain), algorithm, episodes=1, trained=trained).verdict
        for trained in (0.0, 1.0)
    ]
    assert any("they DISAGREE" in verdict and mistake.verified in verdict for verdict in verdicts), verdicts


@pytest.mark.parametrize(
    "plugin",
    [
        pytest.param(plugin, id=why, marks=[pytest.mark.slow] if plugin.kind == "algorithm" else [])
        for why, plugin in NOT_CAUGHT.items()
    ],
)
def test_what_is_not_caught_is_known(plugin):
    assert len(NOT_CAUGHT) <= 4
    assert [outcome.finding for outcome in outcomes_of(plugin()) if outcome.verdict == "failed"] == []
