"""Small plugins of what the second contract can say: random numbers, padding, inputs of every kind."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Input, Learner, MetaParams, Params, Spec, Split, option


def _regressions_alone(algorithm: mamlzoo.MetaAlgorithm, spec: Spec) -> None:
    if spec.kind != "regression":
        raise mamlzoo.UsageError(f"algorithm '{algorithm.name}' learns regressions; choose a regression task")


class LatentProcess(mamlzoo.MetaAlgorithm):
    """A latent neural process: a set becomes a Gaussian over z, and z with x an output.

    With q(z | S) the encoder's Gaussian of a set, and z = μ + σ·ε for ε ~ N(0, I),

      meta-loss = L_Q(decoder(x, z)) + KL(q(z | S ∪ Q) ‖ q(z | S)) / n,   z ~ q(z | S ∪ Q).

    Reference: Garnelo et al., "Neural Processes", 2018, equation 7, with the task's loss as the likelihood.
    """

    name = "latent-process"
    claims = frozenset({"complete-at-once"})
    honours_masks = True
    latent: int = option(4, "dimensions of z", minimum=1)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        _regressions_alone(self, spec)
        (inputs,) = spec.input_shape
        return {
            "encoder": Spec((inputs + sum(spec.target_shape),), 2 * self.latent),
            "decoder": Spec((inputs + self.latent,), spec.output_size),
        }

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        rows = learner.predict(meta["encoder"], torch.cat(tuple(support), -1), "encoder")
        there = support.there.to(rows.dtype)
        return (rows * there[:, None]).sum(0) / there.sum().clamp(min=1)

    def adapt(self, learner: Learner, meta: MetaParams, fast: Tensor, support: Batch) -> Tensor:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Tensor:
        mean, log_scale = fast.chunk(2)
        z = mean + log_scale.exp() * learner.noise.normal(self.latent)
        return learner.predict(meta["decoder"], torch.cat([x, z.expand(len(x), -1)], -1), "decoder")

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        prior = self.start(learner, meta, episode.support)
        both = episode.support.joined(episode.query)
        posterior = self.start(learner, meta, both)
        loss = learner.loss_of(self.predict(learner, meta, posterior, episode.query.x), episode.query)
        (mean, scale), (own, own_scale) = prior.chunk(2), posterior.chunk(2)
        ratio = (2 * (own_scale - scale)).exp()
        divergence = (ratio + (own - mean).square() * (-2 * scale).exp() - 1 - ratio.log()).sum() / 2
        return loss + divergence / both.there.sum(), {"divergence": divergence}


class Posterior(NamedTuple):
    """φ of the process below: what is known of the support set."""

    embedded: Tensor
    weights: Tensor
    there: Tensor


class DeepKernel(mamlzoo.MetaAlgorithm):
    """A Gaussian process on learned features, as DKT: its mean is what is predicted.

    With k(a, b) = exp(−‖f(a) − f(b)‖²/2) and K the kernel of the support set, which is 0 where there is padding and
    1 on its diagonal,

      mean(x) = k(x, S)·(K + σ²·I)⁻¹·y,   meta-loss = −log N(y_{S∪Q}; 0, K_{S∪Q} + σ²·I) / n.

    Reference: Patacchiola et al., "Bayesian Meta-Learning for the Few-Shot Setting via Deep Kernels", NeurIPS 2020.
    """

    name = "deep-kernel"
    claims = frozenset({"complete-at-once", "log-likelihood"})
    honours_masks = True
    noise: float = option(0.1, "standard deviation of the targets", above=0)

    def networks(self, spec: Spec) -> dict[str, Spec]:
        _regressions_alone(self, spec)
        return {"network": replace(spec, output_size=8)}

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Posterior:
        embedded = learner.predict(meta["network"], support.x)
        factor, target = self._factor(embedded, support)
        return Posterior(embedded, torch.cholesky_solve(target, factor), support.there)

    def _factor(self, embedded: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        there = batch.there
        kernel = self._kernel(embedded, embedded).masked_fill(~(there[:, None] & there), 0)
        noise = torch.where(there, self.noise**2, 1.0)
        return torch.linalg.cholesky(kernel + noise.to(kernel.dtype).diag()), batch.y.masked_fill(~there[:, None], 0)

    @staticmethod
    def _kernel(a: Tensor, b: Tensor) -> Tensor:
        return (-(a[:, None] - b).square().sum(-1) / 2).exp()

    def adapt(self, learner: Learner, meta: MetaParams, fast: Posterior, support: Batch) -> Posterior:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Posterior, x: Tensor) -> Tensor:
        kernel = self._kernel(learner.predict(meta["network"], x), fast.embedded)
        return kernel.masked_fill(~fast.there, 0) @ fast.weights

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        both = episode.support.joined(episode.query)
        factor, target = self._factor(learner.predict(meta["network"], both.x), both)
        whitened = torch.linalg.solve_triangular(factor, target, upper=False)
        n = both.there.sum()
        log_det = 2 * factor.diagonal().log().sum()
        outputs = target.shape[1]
        return (whitened.square().sum() + outputs * (log_det + n * math.log(2 * math.pi))) / (2 * n), {}


class PerStepNorms(mamlzoo.GradientDescent):
    """MAML whose batch norm keeps running statistics of each inner step, by which it predicts after that step.

    With m_t the moments of the norm's inputs on the support set at φ_t, s_t ← 0.9·s_t + 0.1·m_t in training.

    Reference: Antoniou, Edwards, Storkey, "How to train your MAML", ICLR 2019, section 4.
    """

    name = "per-step-norms"
    statistics = frozenset({"moments"})
    steps: int = option(2, "adaptation steps in training", minimum=1)

    def init(self, networks: dict[str, Params]) -> MetaParams:
        # Of a batch norm, the weight has one axis.
        scales = [v for n, v in networks["network"].items() if n.endswith("weight") and v.ndim == 1]
        moments = {}
        for at, scale in enumerate(scales):
            moments[f"mean.{at}"] = scale.new_zeros(self.steps + 1, len(scale))
            moments[f"variance.{at}"] = scale.new_ones(self.steps + 1, len(scale))
        return networks | {"moments": moments}

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> dict[str, object]:
        return {"params": meta["network"], "step": torch.zeros((), dtype=torch.long, device=support.y.device)}

    def adapt(self, learner: Learner, meta: MetaParams, fast: dict, support: Batch) -> dict[str, object]:
        params = mamlzoo.sgd(fast["params"], learner.gradient(fast["params"], support), self.inner_lr)
        return {"params": params, "step": (fast["step"] + 1).clamp(max=self.steps)}

    def predict(self, learner: Learner, meta: MetaParams, fast: dict, x: Tensor) -> Tensor:
        at = fast["step"].reshape(1)
        moments = {name: rows.index_select(0, at)[0] for name, rows in meta["moments"].items()}
        return learner.predict(fast["params"], x, moments=moments)

    def adapted(self, learner: Learner, meta: MetaParams, fast: dict) -> dict[str, Params]:
        raise mamlzoo.UsageError("its batch norms predict by statistics that no network holds")

    def meta_loss(self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor) -> mamlzoo.MetaLoss:
        fast, rows = self.start(learner, meta, episode.support), []
        for step in range(self.steps + 1):
            fast = self.adapt(learner, meta, fast, episode.support) if step else fast
            rows.append(learner.norm_moments(fast["params"], episode.support.x))
        new = {
            name: 0.9 * kept + 0.1 * torch.stack([row[name] for row in rows]) for name, kept in meta["moments"].items()
        }
        return learner.loss(fast["params"], episode.query), {}, {"moments": mamlzoo.stop_gradient(new)}


class Pictures(mamlzoo.Task):
    """Images of 6 × 6 with a bright spot, one place a class: N-way K-shot."""

    name = "pictures"
    higher_is_better = frozenset({"accuracy"})
    ways: int = option(3, "classes of an episode", minimum=2, maximum=9)

    @property
    def spec(self) -> Spec:
        return Spec((1, 6, 6), self.ways, "classification")

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        places = torch.rand(count, 36, generator=generator).argsort(1)[:, : self.ways]
        clean = functional.one_hot(places, 36).float()[:, :, None]
        images = 3 * clean + 0.3 * torch.randn(count, self.ways, 4, 36, generator=generator)
        labels = torch.arange(self.ways)[None, :, None].expand(count, -1, 4)

        def batch(part: slice) -> Batch:
            return Batch(images[:, :, part].flatten(1, 2).unflatten(2, (1, 6, 6)), labels[:, :, part].flatten(1, 2))

        return Episode(batch(slice(None, 2)), batch(slice(2, None)))

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(prediction, target)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        correct = (prediction.argmax(-1) == target).to(prediction.dtype)
        return {"accuracy": correct.mean(), "loss": self.loss(prediction, target)}


def convolving(spec: Spec) -> nn.Module:
    """A convolution and a layer on what it gives."""
    channels, height, width = spec.input_shape
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * height * width, spec.output_size)
    )


class Relation(mamlzoo.MetaAlgorithm):
    """A relation network: a network of its own says how alike an embedded query and a class are.

    With c_k the mean of f_θ over the support examples of class k, logit_k(x) = g_θ(c_k, f_θ(x)).

    Reference: Sung et al., "Learning to Compare: Relation Network for Few-Shot Learning", CVPR 2018.
    """

    name = "relation"
    claims = frozenset({"query-loss", "complete-at-once"})
    honours_masks = True
    embedding: int = option(8, "dimensions of the space that inputs are embedded in", minimum=1)

    def networks(self, spec: Spec) -> dict[str, Spec | mamlzoo.Builder]:
        if spec.kind != "classification":
            raise mamlzoo.UsageError("algorithm 'relation' learns classifications; choose a classification task")
        return {"network": replace(spec, output_size=self.embedding), "relation": self.relation}

    def relation(self) -> nn.Module:
        return nn.Sequential(nn.Linear(2 * self.embedding, 16), nn.ReLU(), nn.Linear(16, 1))

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        embedded = learner.predict(meta["network"], support.x, mask=support.mask)
        member = functional.one_hot(support.y, learner.spec.output_size) * support.there[:, None]
        member = member.to(embedded.dtype)
        return member.T @ embedded.masked_fill(~support.there[:, None], 0) / member.sum(0).clamp(min=1)[:, None]

    def adapt(self, learner: Learner, meta: MetaParams, fast: Tensor, support: Batch) -> Tensor:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Tensor:
        embedded = learner.predict(meta["network"], x)
        pairs = torch.cat([fast.expand(len(embedded), -1, -1), embedded[:, None].expand(-1, len(fast), -1)], -1)
        return learner.predict(meta["relation"], pairs.flatten(0, 1), "relation").reshape(len(embedded), len(fast))

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        prototypes = self.start(learner, meta, episode.support)
        return learner.loss_of(self.predict(learner, meta, prototypes, episode.query.x), episode.query), {}


class Reader(mamlzoo.MetaAlgorithm):
    """A recurrent learner: a GRU of its own reads the support set example by example, and a head predicts from it.

    Reference: Hochreiter, Younger, Conwell, "Learning to Learn Using Gradient Descent", ICANN 2001.
    """

    name = "reader"
    claims = frozenset({"query-loss", "complete-at-once"})
    state: int = option(8, "numbers that are remembered", minimum=1)

    def networks(self, spec: Spec) -> dict[str, Spec | mamlzoo.Builder]:
        _regressions_alone(self, spec)
        (inputs,) = spec.input_shape
        return {
            "head": Spec((inputs + self.state,), spec.output_size),
            "cell": lambda: nn.GRUCell(inputs + sum(spec.target_shape), self.state),
        }

    def init(self, networks: dict[str, Params]) -> MetaParams:
        return networks

    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Tensor:
        state = support.x.new_zeros(1, self.state)
        for example in torch.cat(tuple(support), -1).split(1):
            state = learner.predict(meta["cell"], (example, state), "cell")
        return state

    def adapt(self, learner: Learner, meta: MetaParams, fast: Tensor, support: Batch) -> Tensor:
        return fast

    def predict(self, learner: Learner, meta: MetaParams, fast: Tensor, x: Tensor) -> Tensor:
        return learner.predict(meta["head"], torch.cat([x, fast.expand(len(x), -1)], -1), "head")

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        fast = self.start(learner, meta, episode.support)
        return learner.loss_of(self.predict(learner, meta, fast, episode.query.x), episode.query), {}


class Words(mamlzoo.Task):
    """Of a few words of a vocabulary, the mean of values that are drawn for each episode: y = mean of v[words]."""

    name = "words"
    words: int = option(7, "size of the vocabulary", minimum=2)

    @property
    def spec(self) -> Spec:
        return Spec(inputs=Input((3,), vocabulary=self.words), output_size=1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        values = torch.randn(count, self.words, generator=generator)

        def batch() -> Batch:
            x = torch.randint(self.words, (count, 6, 3), generator=generator)
            return Batch(x, values.gather(1, x.flatten(1)).reshape(x.shape).mean(-1, keepdim=True))

        return Episode(batch(), batch())

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}


class Bag(nn.Module):
    """An embedding, and a layer on the mean of its rows."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.look_up, self.out = nn.Embedding(spec.structure.vocabulary, 5), nn.Linear(5, spec.output_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.look_up(x).mean(1)))


class Pairs(mamlzoo.Task):
    """Of two points of a plane and a sign, how far they are apart along an axis of the episode: y = ±a·(left − right)."""

    name = "pairs"
    spec = Spec(inputs={"left": Input((2,)), "right": Input((2,)), "sign": Input((), "bool")}, output_size=1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        axis = torch.randn(count, 1, 2, generator=generator)

        def batch() -> Batch:
            left, right = torch.randn(2, count, 5, 2, generator=generator)
            sign = torch.rand(count, 5, generator=generator) < 0.5
            apart = (axis * (left - right)).sum(-1)
            return Batch({"left": left, "right": right, "sign": sign}, torch.where(sign, apart, -apart)[..., None])

        return Episode(batch(), batch())

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}


class Siamese(nn.Module):
    """Both points by one layer, whose difference is scaled by the sign."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.enter, self.out = nn.Linear(2, 6), nn.Linear(6, spec.output_size)

    def forward(self, right: Tensor, left: Tensor, sign: Tensor) -> Tensor:
        apart = torch.tanh(self.enter(left)) - torch.tanh(self.enter(right))
        return self.out(apart) * (2 * sign.to(apart.dtype) - 1)[:, None]


def normalised(spec: Spec) -> nn.Module:
    """Two layers with a batch norm between them."""
    return nn.Sequential(
        nn.Linear(spec.input_shape[0], 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, spec.output_size)
    )


def dropping(spec: Spec) -> nn.Module:
    """Two layers with dropout between them."""
    return nn.Sequential(
        nn.Linear(spec.input_shape[0], 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, spec.output_size)
    )
