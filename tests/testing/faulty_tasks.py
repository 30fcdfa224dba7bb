"""Tasks that break one promise each, by the name of the check that must find it."""

from __future__ import annotations

import math
import random

import torch

from mamlzoo import option
from mamlzoo.contracts.data import Batch, Episode, Spec
from mamlzoo.testing.probes import Clusters, Lines
from mamlzoo.testing.task_checks import SPLITS


class Double(Lines):
    """Targets in float64."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        return Episode(Batch(support.x, support.y.double()), query)


class Twofold(Lines):
    """Two targets where the spec says one."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        return Episode(support, Batch(query.x, query.y.repeat(1, 1, 2)))


class Hole(Lines):
    """A NaN in one validation episode."""

    def sample(self, count, *, split, generator):
        episodes = super().sample(count, split=split, generator=generator)
        if split == "valid":
            episodes.query.y[-1, 0] = torch.nan
        return episodes


class GlobalNoise(Lines):
    """Noise from torch's global generator."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        return Episode(support, Batch(query.x, query.y + 0.1 * torch.randn(query.y.shape)))


class OwnSeed(Lines):
    """A generator of its own, seeded anew each time."""

    def sample(self, count, *, split, generator):
        return super().sample(count, split=split, generator=torch.Generator().manual_seed(len(split) + ord(split[1])))


class Squeezed(Lines):
    """A squeeze() that takes away the axis of episodes where there is one episode."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        return Episode(support, Batch(query.x.squeeze(0), query.y.squeeze(0)))


class Ragged(Lines):
    """A query point more where the first line is steep, which no other check meets."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        steep = abs(support.y[0, 0] - support.y[0, 1]) > 2 * abs(support.x[0, 0] - support.x[0, 1])
        return Episode(support, Batch(*(torch.cat([leaf, leaf[:, :1] / 2], 1) for leaf in query)) if steep else query)


class Pool(Lines):
    """Five lines and ten inputs, the same for training and test."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(5, split=split, generator=torch.Generator().manual_seed(0))
        chosen = torch.randint(5, (count,), generator=generator)
        return Episode(*(Batch(batch.x[chosen], batch.y[chosen]) for batch in (support, query)))


class Leaking(Lines):
    """Validation and test share their files."""

    def sample(self, count, *, split, generator):
        if split == "train":
            return super().sample(count, split=split, generator=generator)
        return Pool().sample(count, split=split, generator=generator)


class Patients(Lines):
    """Forty patients of two hundred rows each, whom the splits share."""

    def sample(self, count, *, split, generator):
        x, y = patients()
        patient = torch.randint(len(x), (count,), generator=generator)
        rows = torch.rand(count, x.shape[1], generator=generator).argsort(1)[:, :10]
        x, y = x[patient[:, None], rows], y[patient[:, None], rows]
        return Episode(Batch(x[:, :5], y[:, :5]), Batch(x[:, 5:], y[:, 5:]))


class Pixels(Lines):
    """Grey pictures of 64 pixels, black and white where light runs out, of which an episode knows some."""

    spec = Spec((2,), 1)

    def sample(self, count, *, split, generator):
        axis = torch.linspace(-1, 1, 8)
        x = torch.cartesian_prod(axis, axis).expand(count, -1, -1)
        direction = torch.randn(count, 2, 1, generator=generator)
        y = (x @ direction).clamp(-0.5, 0.5) * (x.abs().sum(-1, keepdim=True) < 1.9)
        order = torch.rand(count, 64, generator=generator).argsort(1)[..., None]
        x, y = x.gather(1, order.expand(-1, -1, 2)), y.gather(1, order)
        return Episode(Batch(x[:, :10], y[:, :10]), Batch(x[:, 10:], y[:, 10:]))


class NoisyPatients(Patients):
    """The same, with noise on every drawn row."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        noise = 0.01 * torch.randn(support.x.shape, generator=generator)
        return Episode(Batch(support.x + noise, support.y), Batch(query.x + noise, query.y))


def patients():
    """Their rows, x and y [patients, rows, 1]."""
    generator = torch.Generator().manual_seed(0)
    x, slope = torch.rand(40, 200, 1, generator=generator), torch.randn(40, 1, 1, generator=generator)
    return x, slope * x + 0.1 * torch.randn(x.shape, generator=generator)


class Kinds(Clusters):
    """Classes of thirty kinds in the plane, of which each episode has three."""

    def sample(self, count, *, split, generator):
        own = torch.Generator().manual_seed(SPLITS.index(split))
        centres = 2 * torch.randn(30, 2, generator=own)
        kinds = self.order(torch.rand(count, 30, generator=generator).argsort(1)[:, :3])
        points = centres[kinds][:, :, None] + torch.randn(count, 3, 4, 2, generator=generator)
        labels = torch.arange(3)[None, :, None].expand(count, 3, 4)
        support, query = (
            Batch(points[:, :, part].flatten(1, 2), labels[:, :, part].flatten(1, 2))
            for part in (slice(None, 2), slice(2, None))
        )
        return Episode(support, query)

    def order(self, kinds):
        return kinds


class Sorted(Kinds):
    """The kinds of an episode in the order of all kinds."""

    def order(self, kinds):
        return kinds.sort(1).values


class Three(Kinds):
    """The same three kinds in every episode, with the same numbers."""

    def order(self, kinds):
        return torch.arange(3).expand(kinds.shape)


class Gaussian(Lines):
    """A loss that is −log of a Gaussian density of standard deviation 0.3."""

    claims = frozenset({"log-likelihood"})

    def loss(self, prediction, target):
        error = (prediction - target) / 0.3
        return self.square(error).mean() + math.log(0.3) + 0.5 * math.log(2 * math.pi)

    def square(self, error):
        return error.square() / 2


class NoHalf(Gaussian):
    """The square whole, and not its half."""

    def square(self, error):
        return error.square()


class NoHalfUnclaimed(NoHalf):
    """The same, without a claim."""

    claims = frozenset()


class Standardised(Lines):
    """A loss of predictions less their mean."""

    def loss(self, prediction, target):
        error = prediction - target
        return (error - 0.5 * error.mean(0)).square().mean()

    def metrics(self, prediction, target):
        return {"mse": (prediction - target).square().mean()}


class HalfOfSix(Lines):
    """Three of six query points are support points."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        return Episode(
            support, Batch(*(torch.cat([s[:, :3], q[:, :3]], 1) for s, q in zip(support, query, strict=True)))
        )


class Accurate(Clusters):
    """An accuracy, which nobody is told grows."""

    def metrics(self, prediction, target):
        accuracy = (prediction.argmax(-1) == target).float().mean()
        return {"accuracy": accuracy, "loss": self.loss(prediction, target)}


class Copied(Lines):
    """The support points once more, as the query set."""

    def sample(self, count, *, split, generator):
        support, _ = super().sample(count, split=split, generator=generator)
        return Episode(support, Batch(support.x.flip(1), support.y.flip(1)))


class HalfCopied(Lines):
    """Three of five query points are support points."""

    def sample(self, count, *, split, generator):
        support, query = super().sample(count, split=split, generator=generator)
        return Episode(
            support, Batch(*(torch.cat([s[:, :3], q[:, :2]], 1) for s, q in zip(support, query, strict=True)))
        )


class Summed(Lines):
    """A loss that grows with the number of examples."""

    def loss(self, prediction, target):
        return (prediction - target).square().sum()

    def metrics(self, prediction, target):
        return {"mse": (prediction - target).square().mean()}


class Undeclared(Lines):
    """A share of good predictions, which nobody is told grows."""

    def metrics(self, prediction, target):
        return {"mse": self.loss(prediction, target), "within": ((prediction - target).abs() < 0.1).float().mean()}


class Flattering(Lines):
    """An error that is said to grow as learning succeeds."""

    higher_is_better = frozenset({"mse"})


class Unreduced(Lines):
    """A loss an example."""

    def loss(self, prediction, target):
        return (prediction - target).square().mean(-1)

    def metrics(self, prediction, target):
        return {"mse": self.loss(prediction, target).mean()}


class Relative(Lines):
    """An error relative to the prediction, which may be zero."""

    def loss(self, prediction, target):
        return ((prediction - target) / prediction).square().mean()


class Rounded(Lines):
    """A loss that is flat almost everywhere."""

    def loss(self, prediction, target):
        return (prediction.round() - target).square().mean()


class Root(Lines):
    """A root, which has no derivative at zero."""

    def loss(self, prediction, target):
        return (prediction - target).square().mean().sqrt()


class Detached(Lines):
    """A loss that autograd cannot follow."""

    def loss(self, prediction, target):
        return (prediction.detach() - target).square().mean()


class Undefined(Lines):
    """A metric that is a quotient of zeros."""

    def metrics(self, prediction, target):
        return {"mse": self.loss(prediction, target), "r2": 1 - target.sum() / torch.zeros(())}


class NoMetric(Lines):
    """Nothing to report."""

    def metrics(self, prediction, target):
        return {}


class Misspelt(Lines):
    """A metric's name misspelt."""

    higher_is_better = frozenset({"acuracy"})


class Branching(Lines):
    """An `if` on a tensor's value."""

    def metrics(self, prediction, target):
        mse = (prediction - target).square().mean()
        return {"mse": mse if mse < 1 else mse.sqrt()}


class Halving(Lines):
    """A loss that halves its target in place."""

    def loss(self, prediction, target):
        return (prediction - target.copy_(target / 2)).square().mean()

    def metrics(self, prediction, target):
        return {"mse": (prediction - target).square().mean()}


class Tossing(Lines):
    """A loss that tosses a coin, whatever comes of it."""

    def loss(self, prediction, target):
        return (prediction - target).square().mean() if random.random() < 2 else prediction.mean()

    def metrics(self, prediction, target):
        return {"mse": (prediction - target).square().mean()}


class Growing(Lines):
    """An option that changes each time the task is made."""

    label: str = option("x", "what it is called")

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "label", self.label + "!")


class Unreasoned(Lines):
    """An exemption without a reason."""

    exempt_from = {"splits-are-disjoint": ""}


class Unknown(Lines):
    """An exemption from a check that there is not."""

    exempt_from = {"splits-are-disjunct": "they are not meant to be"}


class Needless(Lines):
    """An exemption from a check that it passes."""

    exempt_from = {"splits-are-disjoint": "they are not meant to be"}


FAULTY = [
    ("shapes-and-dtypes-follow-the-spec", Double),
    ("shapes-and-dtypes-follow-the-spec", Twofold),
    ("data-are-finite", Hole),
    ("same-seed-gives-same-data", GlobalNoise),
    ("other-seed-gives-other-data", OwnSeed),
    ("any-count-can-be-drawn", Squeezed),
    ("every-draw-has-one-shape", Ragged),
    ("splits-are-disjoint", Pool),
    ("splits-are-disjoint", Leaking),
    ("splits-are-disjoint", Patients),
    ("class-numbers-mean-nothing", Sorted),
    ("class-numbers-mean-nothing", Three),
    ("loss-is-a-log-likelihood", NoHalf),
    ("examples-of-a-loss-do-not-see-each-other", Standardised),
    ("query-is-not-the-support", HalfOfSix),
    ("growing-metrics-are-declared", Accurate),
    ("query-is-not-the-support", Copied),
    ("query-is-not-the-support", HalfCopied),
    ("loss-is-a-mean-over-examples", Summed),
    ("growing-metrics-are-declared", Undeclared),
    ("growing-metrics-are-declared", Flattering),
    ("loss-is-a-scalar", Unreduced),
    ("loss-is-finite", Relative),
    ("loss-is-differentiable", Rounded),
    ("loss-is-differentiable", Root),
    ("loss-is-differentiable", Detached),
    ("metrics-are-finite-scalars", Undefined),
    ("metrics-are-finite-scalars", NoMetric),
    ("higher-is-better-names-metrics", Misspelt),
    ("loss-and-metrics-change-nothing", Halving),
    ("loss-and-metrics-change-nothing", Tossing),
    ("loss-and-metrics-work-under-vmap", Branching),
    ("config-round-trips-through-json", Growing),
    ("exemptions-have-reasons", Unknown),
    ("splits-are-disjoint", Needless),
]
