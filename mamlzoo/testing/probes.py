"""Small tasks and networks on which algorithms are tried."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mamlzoo.contracts.data import Batch, Episode, MetaParams, Spec, Split
from mamlzoo.contracts.inner_loop import GradientDescent, adapt
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import MetaAlgorithm, Model, Task
from mamlzoo.discovery.torch_modules import model_of
from mamlzoo.engine.binding import sized
from mamlzoo.errors import UsageError
from mamlzoo.testing.checks import FaultError

HIDDEN = 6


class Lines(Task):
    """Straight lines: y = a·x + b, with a and b ~ N(0, 1)."""

    name = "lines"
    spec = Spec((1,), 1)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        slope, height = torch.randn(2, count, 1, 1, generator=generator)
        x = 2 * torch.rand(2, count, 5, 1, generator=generator) - 1
        support, query = (Batch(points, slope * points + height) for points in x)
        return Episode(support, query)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}


class Planes(Task):
    """Three planes over two inputs: y = A·x + b, with A [3, 2] and b [3] ~ N(0, 1)."""

    name = "planes"
    spec = Spec((2,), 3)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        slopes = torch.randn(count, 2, 3, generator=generator)
        heights = torch.randn(count, 1, 3, generator=generator)
        x = 2 * torch.rand(2, count, 6, 2, generator=generator) - 1
        support, query = (Batch(points, points @ slopes + heights) for points in x)
        return Episode(support, query)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}


class Clusters(Task):
    """Three classes of points in the plane, around centres ~ N(0, 4·I); two points a class to learn from."""

    name = "clusters"
    spec = Spec((2,), 3, "classification")

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        centres = 2 * torch.randn(count, 3, 1, 2, generator=generator)
        points = centres + torch.randn(count, 3, 4, 2, generator=generator)
        labels = torch.arange(3)[None, :, None].expand(count, 3, 4)
        support, query = (
            Batch(points[:, :, part].flatten(1, 2), labels[:, :, part].flatten(1, 2))
            for part in (slice(None, 2), slice(2, None))
        )
        return Episode(support, query)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(prediction, target)

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"loss": self.loss(prediction, target)}


class OneStep(GradientDescent):
    """MAML of one adaptation step, whose meta-gradient holds a network's second derivatives."""

    name = "one-step"

    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return learner.loss(adapt(self, learner, meta, episode.support, 1), episode.query), {}


def tasks_for(algorithm: MetaAlgorithm) -> list[Task]:
    """A regression and a classification, each unless the algorithm refuses it.

    Raises:
        FaultError: it refuses both.
    """
    refusals, taken = [], list[Task]()
    for task in (Lines(), Clusters()):
        try:
            algorithm.networks(sized(task, torch.device("cpu")))
        except UsageError as error:
            refusals.append(f"{task.spec.kind}: {error}")
        else:
            taken.append(task)
    if not taken:
        raise FaultError(f"it refuses every task: {'; '.join(refusals)}")
    return taken


def task_for(algorithm: MetaAlgorithm) -> Task:
    """The first of them."""
    return tasks_for(algorithm)[0]


def model(network: Callable[[Spec], nn.Module]) -> Model:
    """One of the networks below as a model, which says whose it is."""
    return model_of(network, f"{network.__name__}, a network of the kit")()


def of_vectors(make: Callable[[Spec], nn.Module]) -> Callable[[Spec], nn.Module]:
    """A network for vectors as one for inputs of any shape, for algorithms that ask for another than the task's."""

    @functools.wraps(make)
    def made(spec: Spec) -> nn.Module:
        if len(spec.input_shape) == 1:
            return make(spec)
        if len(spec.input_shape) == 2:
            return nn.Sequential(Tokens(spec.input_shape[-1]), make(replace(spec, input_shape=(HIDDEN,))))
        if len(spec.input_shape) == 3:
            return nn.Sequential(Patches(spec.input_shape[0]), make(replace(spec, input_shape=(HIDDEN,))))
        return nn.Sequential(Rows(), make(replace(spec, input_shape=(math.prod(spec.input_shape),))))

    return made


class Tokens(nn.Module):
    """Sequences [n, length, features], of any length, as vectors: the mean of what each token gives."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.enter = nn.Linear(features, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.enter(x)).mean(-2)


class Patches(nn.Module):
    """Images [n, channels, height, width], of any size, as vectors: the mean of what each patch gives."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, HIDDEN, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.enter(x)).mean((-2, -1))


class Rows(nn.Module):
    """Each example as a vector."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)


@of_vectors
def plain(spec: Spec) -> nn.Module:
    """A smooth network of two layers."""
    return nn.Sequential(nn.Linear(spec.input_shape[0], HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, spec.output_size))


@of_vectors
def rectified(spec: Spec) -> nn.Module:
    """One of ReLUs, of which the first is silent for all inputs of a common size."""
    network = nn.Sequential(nn.Linear(spec.input_shape[0], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, spec.output_size))
    with torch.no_grad():
        network.get_parameter("0.bias")[0] = -1000.0
    return network


@of_vectors
def frozen(spec: Spec) -> nn.Module:
    """One whose first weight is frozen."""
    network = plain(spec)
    network.get_parameter("0.weight").requires_grad_(False)
    return network


@of_vectors
def unused(spec: Spec) -> nn.Module:
    """One with a layer that no output depends on."""
    network = plain(spec)
    network[0].register_module("spare", nn.Linear(2, 2))  # type: ignore[index]
    return network


@of_vectors
def normalised(spec: Spec) -> nn.Module:
    """One with a batch norm."""
    return nn.Sequential(
        nn.Linear(spec.input_shape[0], HIDDEN), nn.BatchNorm1d(HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, spec.output_size)
    )


@of_vectors
class Shared(nn.Module):
    """One layer, used twice."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.enter, self.twice, self.leave = (
            nn.Linear(spec.input_shape[0], HIDDEN),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Linear(HIDDEN, spec.output_size),
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.twice(torch.tanh(self.enter(x))))
        output: Tensor = self.leave(torch.tanh(self.twice(hidden)))
        return output


@of_vectors
class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(spec.input_shape[0], HIDDEN), nn.Linear(HIDDEN, spec.output_size)
        self.first, self.second = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(torch.tanh(self.enter(x))))
        output: Tensor = self.leave(torch.tanh(self.second(hidden)))
        return output


@of_vectors
class Recurrent(nn.Module):
    """A GRU over the input's numbers, three times over, which vmap cannot batch."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.gru, self.leave = nn.GRU(1, HIDDEN, batch_first=True), nn.Linear(HIDDEN, spec.output_size)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.leave(self.gru(x.repeat(1, 3)[..., None])[0][:, -1])
        return output
