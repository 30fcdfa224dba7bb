"""Distributions, against torch.distributions and against sums that are written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import distributions as reference

from mamlzoo import Categorical, Distribution, Gaussian, Quantiles, UsageError, named_leaves, tree_map

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


GAUSSIAN = Gaussian(drawn(7, 2), drawn(7, 2).exp())
CATEGORICAL = Categorical(drawn(7, 3))


def test_the_gaussian_density_has_its_half_and_its_log_2_pi():
    target = drawn(7, 2) + 1
    wanted = reference.Normal(GAUSSIAN.mean, GAUSSIAN.variance.sqrt()).log_prob(target).sum(-1)
    torch.testing.assert_close(GAUSSIAN.log_prob(target), wanted)
    torch.testing.assert_close(GAUSSIAN.nll(target), -wanted.mean())
    torch.testing.assert_close(GAUSSIAN.scores(target)["nll"], -wanted)
    standard = Gaussian(torch.zeros(1, 1), torch.ones(1, 1))
    assert float(standard.nll(torch.zeros(1, 1))) == pytest.approx(math.log(2 * math.pi) / 2)


def test_outputs_are_means_and_then_what_variances_follow_from():
    outputs = torch.tensor([[1.0, 2.0, 0.0, -200.0]])
    found = Gaussian.of(outputs)
    assert found.mean.tolist() == [[1, 2]]
    torch.testing.assert_close(found.variance, torch.tensor([[math.log(2), 0]]) + 1e-6)
    torch.testing.assert_close(found.sd, found.variance.sqrt())
    assert found.nll(torch.zeros(1, 2)).isfinite()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_an_interval_holds_as_much_as_it_says(level):
    low, high = GAUSSIAN.interval(level)
    own = reference.Normal(GAUSSIAN.mean, GAUSSIAN.variance.sqrt())
    torch.testing.assert_close(own.cdf(high) - own.cdf(low), torch.full_like(low, level))
    torch.testing.assert_close((low + high) / 2, GAUSSIAN.mean)


def test_a_mixture_has_the_mean_and_variance_of_its_samples():
    members = Gaussian(torch.tensor([[[-1.0]], [[2.0]], [[2.0]]]), torch.tensor([[[0.5]], [[1.0]], [[2.0]]]))
    which = torch.arange(3).repeat(200_000)
    noise = torch.randn(len(which), generator=torch.Generator().manual_seed(0))
    samples = members.mean[which, 0, 0] + noise * members.variance[which, 0, 0].sqrt()
    mixed = members.mixed()
    assert float(mixed.mean) == pytest.approx(float(samples.mean()), abs=0.01)
    assert float(mixed.variance) == pytest.approx(float(samples.var()), abs=0.02)


def test_the_categorical_is_torchs():
    target = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    wanted = reference.Categorical(logits=CATEGORICAL.logits)
    torch.testing.assert_close(CATEGORICAL.log_prob(target), wanted.log_prob(target))
    torch.testing.assert_close(CATEGORICAL.probabilities, wanted.probs)
    torch.testing.assert_close(CATEGORICAL.nll(target), torch.nn.functional.cross_entropy(CATEGORICAL.logits, target))


def test_members_of_an_ensemble_are_mixed_by_their_probabilities():
    members = Categorical(drawn(4, 7, 3))
    torch.testing.assert_close(members.mixed().probabilities, members.logits.softmax(-1).mean(0))


def test_the_pinball_loss_is_least_at_the_samples_quantiles():
    samples = np.sort(drawn(999).numpy())
    target = torch.tensor(samples)[:, None]
    at = torch.tensor(np.quantile(samples, LEVELS))
    values = at.expand(999, 1, len(LEVELS))
    loss = Quantiles(values, LEVELS).pinball(target).mean()
    by_hand = np.mean([[max(t * (y - q), (t - 1) * (y - q)) for t, q in zip(LEVELS, at.tolist(), strict=True)] for y in samples])  # fmt: skip
    assert float(loss) == pytest.approx(by_hand)
    for moved in (0.05 * (-1) ** torch.arange(5), 0.1, -0.1):
        assert Quantiles(values + moved, LEVELS).pinball(target).mean() > loss


def test_quantiles_are_read_target_by_target_and_interpolated():
    found = Quantiles.of(torch.arange(10.0)[None], LEVELS)
    assert found.values.tolist() == [[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]]
    assert found.points.tolist() == [[2, 7]]
    assert [end.tolist() for end in found.interval(0.9)] == [[[0, 5]], [[4, 9]]]
    torch.testing.assert_close(found.quantile(0.15), torch.tensor([[0.5, 5.5]]))
    with pytest.raises(UsageError, match=r"quantiles from 0\.05 to 0\.95 do not tell that of 0\.99"):
        found.quantile(0.99)


def test_quantiles_in_the_wrong_order_are_sorted():
    found = Quantiles(torch.tensor([[[3.0, 1.0, 2.0]]]), (0.25, 0.5, 0.75))
    assert [end.item() for end in (*found.interval(0.5), found.points)] == [1, 3, 2]


@pytest.mark.parametrize("levels", [(), (0.5, 0.25), (0.0, 0.5), (0.6, 0.9), (0.1, 0.2)])
def test_levels_without_a_median_are_refused(levels):
    with pytest.raises(UsageError, match="levels of quantiles must increase"):
        Quantiles(torch.zeros(1, 1, len(levels)), levels)


@pytest.mark.parametrize(
    "found", [GAUSSIAN, CATEGORICAL, Quantiles(drawn(7, 2, 5), LEVELS)], ids=lambda d: type(d).__name__
)
def test_a_distribution_is_a_tree_whose_tensors_begin_with_the_examples(found):
    assert all(len(leaf) == 7 for _, leaf in named_leaves(found))
    part = tree_map(lambda leaf: leaf[:3], found)
    assert type(part) is type(found)
    torch.testing.assert_close(part.points, found.points[:3])
    batched = torch.vmap(lambda one: tree_map(lambda leaf: 2 * leaf, one))(found)
    torch.testing.assert_close(batched.points, (tree_map(lambda leaf: 2 * leaf, found)).points)


def test_a_distribution_of_ones_own_is_a_frozen_dataclass():
    class Laplace(Distribution):
        """Laplace's first law of errors."""

        centre: torch.Tensor
        scale: torch.Tensor

        @property
        def points(self):
            return self.centre

        def scores(self, target):
            return {"nll": ((target - self.centre).abs() / self.scale + (2 * self.scale).log()).sum(-1)}

    found, target = Laplace(drawn(7, 1), drawn(7, 1).exp()), drawn(7, 1) - 1
    wanted = -reference.Laplace(found.centre, found.scale).log_prob(target)[:, 0]
    torch.testing.assert_close(found.scores(target)["nll"], wanted)
    assert [name for name, _ in named_leaves(found)] == ["centre", "scale"]
    with pytest.raises(UsageError, match="a Laplace has no quantiles"):
        found.interval(0.9)
