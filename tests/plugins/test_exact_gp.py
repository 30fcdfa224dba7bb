"""The exact Gaussian process: its posterior by hand, and the ceilings that it is."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Range, Spec
from mamlzoo.errors import UsageError
from mamlzoo_algorithms.exact_gp import ExactGP
from mamlzoo_tasks.gp import GP

NOISE = math.sqrt(0.05)
RATIO = {
    "rbf": lambda d, length, p: math.exp(-d * d / (2 * length**2)),
    "matern": lambda d, length, p: (
        (1 + math.sqrt(5) * d / length + 5 * d * d / (3 * length**2)) * math.exp(-math.sqrt(5) * d / length)
    ),
    "periodic": lambda d, length, p: math.exp(-2 * (math.sin(math.pi * d / p) / length) ** 2),
    "weakly-periodic": lambda d, length, p: math.exp(-d * d / (2 * length**2) - 2 * math.sin(math.pi * d / p) ** 2),
}
"""The correlation of two values of a curve, by their distance, the length and the period."""
PROTOCOLS = {
    "neuralprocesses": {"noise": NOISE, "shots": Range(0, 30)},
    "tnp": {
        "noise": 0.02, "shots": Range(3, 46), "test_points": 46, "tell": True, "length_min": 0.1, "length_max": 0.6,
        "scale_min": 0.1, "period_min": 0.1, "period_max": 0.5,
    },
}  # fmt: skip
OF_WEAKLY_PERIODIC = {"length_min": 0.5, "length_max": 0.5}
CEILINGS = [
    ("tnp", "rbf", 1.512, 0.022, 1.809, 0.016),
    ("tnp", "matern", 1.130, 0.022, 1.395, 0.018),
    ("tnp", "periodic", 1.182, 0.024, 1.494, 0.019),
    ("neuralprocesses", "rbf", -0.676, 0.013, -0.253, 0.005),
    ("neuralprocesses", "matern", -0.763, 0.011, -0.360, 0.005),
    ("neuralprocesses", "weakly-periodic", -1.009, 0.009, -0.626, 0.005),
]
"""Log likelihood per target of the true process by an independent implementation, ± 95%: marginals, then joint."""


def bound(algorithm, spec=None):
    learner, meta = mamlzoo.bind(algorithm, {}, nn.functional.mse_loss, spec or Spec((1,), 1))
    return learner, mamlzoo.stop_gradient(meta)


def posterior(algorithm, support, x):
    learner, meta = bound(algorithm, Spec((x.shape[-1],), support.y.shape[-1]))
    return algorithm.predict(learner, meta, algorithm.start(learner, meta, support), x)


def points(*pairs):
    return Batch(*(torch.tensor([[pair[at]] for pair in pairs], dtype=torch.float64) for at in range(2)))


@pytest.mark.parametrize("kernel", RATIO)
def test_of_one_support_point_the_posterior_is_that_of_two_correlated_numbers(kernel):
    # With c = s²·ratio and v = s² + σ²: mean c/v·y, variance v − c²/v.
    known = {"length": 0.6, "scale": 1.5, "period": 0.9, "noise": 0.3}
    found = posterior(ExactGP(kernel=kernel, **known), points((0.2, 1.7)), torch.tensor([[0.5]], dtype=torch.float64))
    c, v = 1.5**2 * RATIO[kernel](0.3, 0.6, 0.9), 1.5**2 + 0.3**2
    assert float(found.mean) == pytest.approx(c / v * 1.7)
    assert float(found.variance) == pytest.approx(v - c * c / v)


def test_of_no_support_point_it_is_the_prior():
    empty = Batch(torch.zeros(0, 1), torch.zeros(0, 1))
    found = posterior(ExactGP(scale=2.0, noise=0.5), empty, torch.tensor([[0.0], [1.0]]))
    assert found.mean.tolist() == [[0.0], [0.0]]
    assert found.variance.tolist() == [[4.25], [4.25]]


@pytest.mark.parametrize("kernel", RATIO)
def test_one_target_after_the_other_has_the_likelihood_of_all_together(kernel):
    # log p(y₁ … y_n) = Σ log p(y_j | y₁ … y_{j−1}), and the former is of one normal distribution.
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(12, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    algorithm = ExactGP(kernel=kernel, length=0.7, period=0.8, noise=0.2)
    steps = [
        float(posterior(algorithm, Batch(x[:at], y[:at]), x[at : at + 1]).log_prob(y[at : at + 1])) for at in range(12)
    ]
    rows = [[RATIO[kernel](abs(float(a - b)), 0.7, 0.8) for b in x] for a in x]
    covariance = torch.tensor(rows, dtype=torch.float64) + 0.04 * torch.eye(12)
    together = torch.distributions.MultivariateNormal(torch.zeros(12).double(), covariance).log_prob(y[:, 0])
    assert sum(steps) == pytest.approx(float(together))


def test_padding_is_as_if_it_were_not_there():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(8, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    there = torch.tensor([True, False, True, True, False, False, True, False])
    query = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    padded, plain = (posterior(ExactGP(), batch, query) for batch in (Batch(x, y, there), Batch(x[there], y[there])))
    torch.testing.assert_close(padded.mean, plain.mean)
    torch.testing.assert_close(padded.variance, plain.variance)


def test_told_by_the_inputs_it_is_what_the_options_would_make_it():
    known = {"length": 0.4, "scale": 0.8, "period": 0.3}
    support, query = points((0.1, 0.5), (0.9, -1.0), (-0.7, 0.2)), torch.tensor([[0.3], [2.0]], dtype=torch.float64)
    told = torch.tensor([math.log(value) for value in known.values()], dtype=torch.float64)
    beside = [torch.cat([x, told.expand(len(x), 3)], 1) for x in (support.x, query)]
    chosen = posterior(ExactGP(kernel="periodic", **known), support, query)
    found = posterior(ExactGP(kernel="periodic", told=True), Batch(beside[0], support.y), beside[1])
    torch.testing.assert_close(found.mean, chosen.mean)
    torch.testing.assert_close(found.variance, chosen.variance)


def test_several_targets_and_inputs_are_processes_of_one_kernel():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(6, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    both = posterior(ExactGP(length=1.0), Batch(x, y), x[:3] + 0.1)
    for at in range(2):
        alone = posterior(ExactGP(length=1.0), Batch(x, y[:, at : at + 1]), x[:3] + 0.1)
        torch.testing.assert_close(both.mean[:, at : at + 1], alone.mean)
        torch.testing.assert_close(both.variance[:, at : at + 1], alone.variance)


@pytest.mark.parametrize(
    ("options", "spec", "complaint"),
    [
        ({}, Spec((2,), 3, "classification"), "predicts numbers, and the task is a classification"),
        ({}, Spec((1, 8, 8), 1), "takes inputs that are vectors of numbers"),
        ({"kernel": "periodic"}, Spec((2,), 1), "has the periodic kernel on one input, and the task has 2"),
        ({"told": True}, Spec((1,), 1), "is told its kernel by three inputs behind x, and the task has 1 in all"),
    ],
)
def test_what_it_cannot_know_is_refused(options, spec, complaint):
    with pytest.raises(UsageError, match=complaint):
        ExactGP(**options).networks(spec)


def likelihoods(protocol, kernel, tasks, seed=0):
    """Of each test task the log likelihood per target: by marginals, and joint by the chain rule; some of its targets."""
    options = PROTOCOLS[protocol] | (OF_WEAKLY_PERIODIC if kernel == "weakly-periodic" else {})
    generator = torch.Generator().manual_seed(seed)
    task = GP(kernel=kernel, **options)
    support, query = task.sample(tasks, split="test", generator=generator)
    length = options.get("length_max", 0.25)
    algorithm = ExactGP(kernel=kernel, noise=task.noise, length=length, told=task.tell)
    learner, meta = bound(algorithm, task.spec)
    n = query.y.shape[1]
    several = torch.full((tasks,), n)
    if protocol == "tnp":  # 3 … 49 targets beside so many support points that all are 52 at most
        most = 49 - support.mask.sum(1)
        several = 3 + ((most - 2).clamp(min=1) * torch.rand(tasks, generator=generator)).long()

    def of_one(x, y, mask, query_x, query_y, several):
        at = torch.arange(n)
        asked = at < several
        predicted = algorithm.predict(learner, meta, algorithm.start(learner, meta, Batch(x, y, mask)), query_x)
        marginal = (predicted.log_prob(query_y) * asked).sum() / several
        every_x, every_y = torch.cat([x, query_x]), torch.cat([y, query_y])

        def after(one):
            known = torch.cat([mask, at < one])
            fast = algorithm.start(learner, meta, Batch(every_x, every_y, known))
            at_one = one[None]
            return algorithm.predict(learner, meta, fast, query_x[at_one]).log_prob(query_y[at_one])[0]

        joint = (torch.vmap(after)(at) * asked).sum() / several
        return marginal, joint

    return torch.vmap(of_one, chunk_size=50)(*(support.x, support.y, support.mask, query.x, query.y), several)


def require(found, ceiling, half):
    """Within what two means of such intervals are apart by chance; all the comparisons here hold together 95 times in 100."""
    comparisons = 2 * (len(CEILINGS) + 1)
    sd = math.hypot(half / 1.96, float(found.std()) / math.sqrt(len(found)))
    assert float(found.mean()) == pytest.approx(ceiling, abs=NormalDist().inv_cdf(1 - 0.025 / comparisons) * sd)


def test_it_reaches_the_ceiling_of_the_plainest_protocol():
    marginal, joint = likelihoods("neuralprocesses", "rbf", 60)
    require(marginal, -0.676, 0.013)
    require(joint, -0.253, 0.005)


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "kernel", "marginal", "half", "joint", "joint_half"), CEILINGS)
def test_it_reaches_every_ceiling(protocol, kernel, marginal, half, joint, joint_half):
    found = likelihoods(protocol, kernel, 600)
    require(found[0], marginal, half)
    require(found[1], joint, joint_half)


def test_a_run_reports_the_likelihood():
    result = mamlzoo.run(GP(), "mlp", ExactGP(), test_tasks=100, test_steps=0)
    assert set(result.evaluation.values) >= {"mse", "nll", "coverage 90%"}
    assert float(result.evaluation.values["coverage 90%"].mean()) == pytest.approx(0.9, abs=0.03)
