"""Small plugins that predict with uncertainty: by the task's reading of outputs, or by the algorithm's own knowledge."""

from __future__ import annotations

from typing import NamedTuple

import torch
from second_contract import DeepKernel, LatentProcess
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, Categorical, Episode, Gaussian, Learner, MetaParams, Params, Quantiles, Spec, Split, option
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class UncertainSine(mamlzoo.Task):
    """Sine waves, of which a network gives a mean and a variance."""

    name = "uncertain-sine"
    shots: int | mamlzoo.Range = option(10, "support points of an episode", minimum=1)
    spec = Spec((1,), output_size=2, target_size=1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        return Sine(shots=self.shots).sample(count, split=split, generator=generator)

    def distribution(self, outputs: Tensor) -> Gaussian:
        return Gaussian.of(outputs)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.distribution(prediction).nll(target)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": (prediction - target).square().mean()}


class ByLikelihood(mamlzoo.Task):
    """The same, judged by what comes by itself alone."""

    name = "by-likelihood"
    spec = UncertainSine.spec
    sample = UncertainSine.sample
    shots: int | mamlzoo.Range = option(10, "support points of an episode", minimum=1)
    distribution = UncertainSine.distribution
    loss = UncertainSine.loss

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {}


class QuantileSine(mamlzoo.Task):
    """Sine waves, of which a network gives quantiles."""

    name = "quantile-sine"
    spec = Spec((1,), output_size=len(LEVELS), target_size=1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        return Sine().sample(count, split=split, generator=generator)

    def distribution(self, outputs: Tensor) -> Quantiles:
        return Quantiles.of(outputs, LEVELS)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.distribution(prediction).pinball(target).mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mae": (prediction - target).abs().mean()}


class UncertainBlobs(mamlzoo.Task):
    """Blobs whose logits are read as probabilities."""

    name = "uncertain-blobs"
    shots: int | mamlzoo.Range = option(5, "support points of a class", minimum=1)
    spec = Blobs(ways=3).spec

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        return Blobs(ways=3, shots=self.shots).sample(count, split=split, generator=generator)

    def distribution(self, outputs: Tensor) -> Categorical:
        return Categorical(outputs)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(prediction, target)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"accuracy": (prediction.argmax(-1) == target).to(prediction.dtype).mean()}

    higher_is_better = frozenset({"accuracy"})


class UncertainDeepKernel(mamlzoo.MetaAlgorithm):
    """A Gaussian process on learned features, as DKT, with what it knows of its uncertainty.

      mean(x) = k(x, S)·(K + σ²·I)⁻¹·y,   variance(x) = k(x, x) + σ² − k(x, S)·(K + σ²·I)⁻¹·k(S, x).

    Reference: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.25 and 2.26.
    """

    name = "uncertain-deep-kernel"
    honours_masks = True
    claims = frozenset({"complete-at-once"})
    noise: float = option(0.1, "standard deviation of the targets", above=0)

    def _inner(self) -> DeepKernel:
        return DeepKernel(noise=self.noise)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        if spec.kind == "classification":
            raise mamlzoo.UsageError("a Gaussian process of numbers takes no classes")
        return self._inner().networks(spec)

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Known:
        embedded = learner.predict(meta["network"], support.x)
        factor, target = self._inner()._factor(embedded, support)
        return Known(embedded, factor, torch.cholesky_solve(target, factor), support.there)

    def adapt(self, learner: Learner, meta: MetaParams, fast: Known, support: Batch) -> Known:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Known, x: Tensor) -> Gaussian:
        kernel = DeepKernel._kernel(learner.predict(meta["network"], x), fast.embedded).masked_fill(~fast.there, 0)
        explained = torch.linalg.solve_triangular(fast.factor, kernel.T, upper=False).square().sum(0)
        mean = kernel @ fast.weights
        return Gaussian(mean, (1 + self.noise**2 - explained)[:, None].expand(mean.shape))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return self._inner().meta_loss(learner, meta, episode, progress)


class SampledProcess(mamlzoo.MetaAlgorithm):
    """A latent neural process whose prediction is the mixture over a few samples of z, each with the same variance."""

    name = "sampled-process"
    honours_masks = True
    samples: int = option(5, "samples of z for a prediction", minimum=1)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        return LatentProcess().networks(spec)

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        return LatentProcess().start(learner, meta, support)

    def adapt(self, learner: Learner, meta: MetaParams, fast: Tensor, support: Batch) -> Tensor:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Gaussian:
        each = [LatentProcess().predict(learner, meta, fast, x) for _ in range(self.samples)]
        means = torch.stack([one for one in each if isinstance(one, Tensor)])
        return Gaussian(means, torch.full_like(means, 0.1)).mixed()

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = self.start(learner, meta, episode.support)
        return self.predict(learner, meta, fast, episode.query.x).nll(episode.query.y), {}


class Known(NamedTuple):
    """φ of the process: what is known of the support set."""

    embedded: Tensor
    factor: Tensor
    weights: Tensor
    there: Tensor


class FromTheProcess(mamlzoo.Task):
    """Functions of the very process of a deep kernel whose network is the identity: k(a, b) = exp(−(a − b)²/2)."""

    name = "from-the-process"
    noise: float = option(0.1, "standard deviation of the targets", above=0)
    spec = Spec((1,), 1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        x = 6 * torch.rand(count, 25, 1, generator=generator, dtype=torch.float64) - 3
        kernel = (-(x - x.mT).square() / 2).exp() + self.noise**2 * torch.eye(25)
        normal = torch.randn(count, 25, 1, generator=generator, dtype=torch.float64)
        y = torch.linalg.cholesky(kernel) @ normal
        x, y = x.float(), y.float()
        return Episode(Batch(x[:, :5], y[:, :5]), Batch(x[:, 5:], y[:, 5:]))

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}


class AsItIs(torch.nn.Module):
    """Inputs beside zeros, so that distances of features are those of inputs."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.scale, self.outputs = torch.nn.Parameter(torch.ones(())), spec.output_size

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.scale * x, x.new_zeros(len(x), self.outputs - 1)], -1)
