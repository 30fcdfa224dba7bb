"""The contracts: what a task, a model and a meta-algorithm are to each other and to the engine.

An experiment is three plugins, Task × Model × MetaAlgorithm. A plugin is a frozen dataclass whose fields are its
options; its docstring's first line is what `mamlzoo list` shows and the whole of it what `mamlzoo info` does.

    class Constant(mamlzoo.Task):
        \"\"\"Guess a constant: y = c, c ~ N(0, 1).\"\"\"

        name = "constant"
        shots: int = mamlzoo.option(5, "support points of an episode", minimum=1)
        spec = mamlzoo.Spec(input_shape=(1,), output_size=1)

        def sample(self, count, *, split, generator):
            c = torch.randn(count, 1, 1, generator=generator)
            x, y = torch.zeros(count, self.shots, 1), c.expand(count, self.shots, 1)
            return mamlzoo.Episode(mamlzoo.Batch(x, y), mamlzoo.Batch(x, y))

        def loss(self, prediction, target):
            return (prediction - target).square().mean()

        def metrics(self, prediction, target):
            return {"mse": self.loss(prediction, target)}

Everything an algorithm does is a pure function of ONE episode. Batching over tasks and seeds, devices and optimising
are the engine's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, dataclass_transform, runtime_checkable

import torch
from torch import Tensor, nn

from mamlzoo.contracts import csv_points, options
from mamlzoo.contracts.data import Batch, Episode, Fast, MetaParams, Params, Spec, Split
from mamlzoo.contracts.datasets import Dataset
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.points import Points
from mamlzoo.errors import PluginError, UsageError


@dataclass_transform(frozen_default=True, kw_only_default=False, field_specifiers=(options.option,))
class Plugin(ABC):
    """Base of the three kinds. A subclass becomes a frozen dataclass by itself; its options are checked when made.

    Attributes:
        kind: 'task', 'model' or 'algorithm'; set by the base.
        name: what it is called on the command line and in tables.
        exempt_from: checks of the conformance kit (`mamlzoo.testing`) that the plugin rightly fails, by name, each with
            the reason, which the kit shows.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    exempt_from: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        written = cls.__doc__
        try:
            dataclass(frozen=True)(cls)
        except (TypeError, ValueError) as error:  # a field without an annotation, or with a mutable default
            raise PluginError(f"{cls.__name__} has an unusable option: {error}", remedy=options.DECLARATION) from error
        cls.__doc__ = written  # where there is none, a dataclass writes its signature there

    def __post_init__(self) -> None:
        """Check every option. A subclass that checks how options go together calls this first."""
        options.validate(self, f"{self.kind} '{self.name}'")

    def data_digest(self) -> str | None:
        """A digest of what the plugin reads besides its options, files; None: nothing.

        It says what this very instance reads, however often it is asked. A run keeps it, and does not go on with other
        data than it began with.
        """
        return None

    def data_facts(self) -> Mapping[str, Any] | None:
        """What it takes to use a trained network once the data are gone, as JSON holds it; None: nothing.

        A run keeps it, as names, units and numbers of columns, so that `mamlzoo adapt` needs no training data.
        """
        return None

    def with_data_facts(self, facts: Mapping[str, Any]) -> Self:
        """The same plugin that knows what `data_facts` once said, so that it need not read its data for it.

        Raises:
            UsageError: a plugin like this never said so: the run directory was damaged.
        """
        return self

    @classmethod
    def example(cls) -> Self:
        """An instance for the conformance kit; a plugin that cannot be made of defaults alone overrides it."""
        return cls()

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


class Task(Plugin):
    """A distribution over learning problems (the literature's task family).

    Attributes:
        claims: what else the conformance kit (`mamlzoo.testing`) is to hold it to: 'log-likelihood', if the loss of an
            example is −log of a density of its target, or of a class's probability.
        dataset: what a user must add before the task can be used, by `mamlzoo data`; None: nothing.
    """

    kind = "task"
    dataset: ClassVar[Dataset | None] = None
    claims: ClassVar[frozenset[str]] = frozenset()

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """What the task asks of a network. A property, or a plain attribute where no option changes it."""

    @property
    def higher_is_better(self) -> frozenset[str]:
        """The metrics that grow as learning succeeds, by name; all others are errors. Mostly a plain attribute."""
        return frozenset()

    @abstractmethod
    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        """Draw `count` episodes at once; every leaf gets a leading axis of that length.

        All randomness comes from `generator`, so the same generator state gives the same episodes.
        """

    @abstractmethod
    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss that learning lowers, a scalar: prediction [n, output_size], target as in a `Batch`."""

    @abstractmethod
    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What is reported, by name, each a scalar; the first is the one that tables and figures show.

        Where there is a distribution, the prediction is its points, as the mean [n, targets]; its own scores, coverage
        and calibration come beside, and a task that wants no others may give none.
        """

    def distribution(self, outputs: Tensor) -> Distribution | None:
        """How a network's outputs [n, output_size] are read as a distribution; None: they are points.

        The loss gets the outputs themselves.
        """
        return None

    def remarks(self) -> list[str]:
        """What a reader of a run should know of its data, as how many rows were left out; each a line."""
        return []

    def read(self, path: Path, *, support: Points | None = None) -> Points:
        """A user's own data, for `mamlzoo adapt`: by default a CSV file with the columns x and y, or x1, x2, …

        Args:
            path: a file, or a folder, as the task wants it.
            support: None: what is read is the support set, which has targets. Else it is the query that belongs to this
                support set, with targets where it has any: class names, and times since a first one, mean there what
                they mean here.

        Raises:
            UsageError: one line that names the file, the place in it, and what would be right.
        """
        return csv_points.read(path, self.name, self.spec, targets=support is None)

    def in_units(self, points: Points) -> Points:
        """Points as the network has them, in the units of the user's own data; by default these are the same.

        Predictions take the place of targets. Of each target it is an increasing affine map; class indices stay.
        """
        return points


Builder = Callable[[], nn.Module]
"""Makes a network of an algorithm's own, freshly initialised."""


class Model(Plugin):
    """Builds a plain `torch.nn.Module` for a shape: no special layers, no rewriting."""

    kind = "model"

    @abstractmethod
    def build(self, spec: Spec) -> nn.Module:
        """A freshly initialised module from [n, *input_shape] to [n, output_size].

        Initial parameters are drawn from torch's global generator, which the engine seeds. Parameters that do not
        require gradients stay as they are.

        Raises:
            UsageError: the model cannot have this shape.
        """


class MetaAlgorithm(Plugin):
    """How to adapt to one episode, and what to minimise so that adapting works.

    Every method is a pure function of ONE episode, without a batch axis: no in-place work, no `.item()`, no branch
    on a tensor's value, no random numbers but those of `learner.noise`.

    Attributes:
        trains: whether there is anything to meta-train; if not, the engine makes no meta-steps.
        order: 'exact' if the meta-gradient is the whole derivative of the query loss through the adaptation;
            'first-order' if ∂φ/∂θ is taken as the identity; 'surrogate' if `meta_loss` was built for its gradient.
        claims: what else the conformance kit (`mamlzoo.testing`) is to hold it to, some of these: 'query-loss', if the
            meta-loss is the task's loss on the query set alone, by `predict`, after `inner_steps` steps of `adapt` from
            `start` on the support set; 'complete-at-once', if adapting changes nothing after `start`;
            'whole-derivative', if a surrogate's gradient is that of its meta-loss with nothing stopped, up to 1%;
            'log-likelihood', if the meta-loss is −log of a density of the query targets given the support set, or of
            all targets, whole or divided by their number.
        statistics: groups of θ that are carried and not optimised, as running means: `meta_loss` gives their next
            values as a third result, of which the meta-batch's mean is taken. They are frozen at test.
        honours_masks: whether sets may hold padding (`Batch.mask`), to which the algorithm gives no say. Whoever takes
            losses by the learner's own methods does so by that.
    """

    kind = "algorithm"
    claims: ClassVar[frozenset[str]] = frozenset()
    statistics: ClassVar[frozenset[str]] = frozenset()
    honours_masks: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    order: ClassVar[Literal["exact", "first-order", "surrogate"]] = "exact"

    @abstractmethod
    def networks(self, spec: Spec) -> Mapping[str, Spec | Builder]:
        """The networks it wants built, by name: of which shape, for the user's model. Most want `{"network": spec}`.

        In place of a shape there may be a function that makes a module, as `lambda: nn.GRUCell(8, 16)`: a network of
        the algorithm's own, built under the same seed and called by `learner.predict` like the others; a tuple for x
        is its arguments. `spec.support_size` and `spec.query_size` say how many examples training episodes have.
        Of an algorithm that wants no network, `{}`, the user's model has no part; `init` gives all of θ.

        Raises:
            UsageError: the algorithm cannot learn such a task.
        """

    @abstractmethod
    def init(self, networks: dict[str, Params]) -> MetaParams:
        """θ⁰ from the networks' initial parameters, by network."""

    @abstractmethod
    def start(self, learner: Learner, meta: MetaParams, support: Batch) -> Fast:
        """φ before the first adaptation step."""

    @abstractmethod
    def adapt(self, learner: Learner, meta: MetaParams, fast: Fast, support: Batch) -> Fast:
        """φ after one more adaptation step."""

    @abstractmethod
    def predict(self, learner: Learner, meta: MetaParams, fast: Fast, x: Tensor) -> Tensor | Distribution:
        """The adapted learner's output [n, output_size] for inputs [n, *input_shape].

        Or a distribution of the targets, where the algorithm knows one, as a Gaussian process does: a task of points
        then judges its mean.
        """

    def adapted(self, learner: Learner, meta: MetaParams, fast: Fast) -> dict[str, Params]:
        """The adapted networks' parameters by network: those with which `predict` is the network's own output.

        An algorithm that adapts something else, as class means, has none and leaves this as it is.

        Raises:
            UsageError: there is no adapted network.
        """
        raise UsageError(f"algorithm '{self.name}' does not define `adapted`, so there is no adapted network")

    def adapts_by(self) -> tuple[type[torch.optim.Optimizer], dict[str, Any]] | None:
        """The torch optimiser whose step on the support loss `adapt` is, and its options; None: none that torch has.

        Only the conformance kit asks: it compares the parameters that `adapted` gives, step by step.
        """
        return None

    def remarks(self, meta: MetaParams) -> list[str]:
        """What a reader of a run should know of how it takes the networks, as which part adapts; each a line.

        Args:
            meta: θ of one seed.
        """
        return []

    @abstractmethod
    def meta_loss(self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor) -> MetaLoss:
        """What the outer loop minimises, a scalar, and scalars worth logging by name; then `statistics`, if there are.

        Args:
            progress: how much of meta-training is done, a scalar in [0, 1], for schedules.
        """


MetaLoss = tuple[Tensor, dict[str, Tensor]] | tuple[Tensor, dict[str, Tensor], MetaParams]
"""What `meta_loss` returns."""
CLAIMS = {
    "task": ("log-likelihood",),
    "algorithm": ("query-loss", "complete-at-once", "whole-derivative", "log-likelihood"),
}
"""What the `claims` of a kind of plugin may hold."""


class ClosedForm(NamedTuple):
    """A meta-gradient worked out by hand for one episode, and the steps on the way to it.

    Attributes:
        title: what the episode is called.
        meta_gradient: of the same structure as θ.
        steps: (quantity, value, remark), in the order of the derivation.
    """

    title: str
    meta_gradient: MetaParams
    steps: list[tuple[str, float, str]]


@runtime_checkable
class HasClosedForm(Protocol):
    """A task that knows some meta-gradients in closed form; `mamlzoo verify` shows them beside autograd's."""

    def closed_form(
        self, algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, episode: Episode
    ) -> ClosedForm | None:
        """The closed form for this algorithm, network, θ and episode, or None where none is known."""


@runtime_checkable
class HasGrid(Protocol):
    """A task that can be asked for its true functions at any number of inputs, so that figures draw them smooth."""

    def on_grid(self, points: int) -> Task:
        """The same task, whose test queries are so many points of the true function, evenly spaced and without noise.

        Its test episodes are the same functions with the same support sets.
        """


@runtime_checkable
class HasEmbedding(Protocol):
    """An algorithm that compares examples, or fits a head to them, in a space that figures show in a plane."""

    def embed(self, learner: Learner, meta: MetaParams, fast: Fast, x: Tensor) -> Tensor:
        """Where inputs [n, *input_shape] are in that space, [n, dimensions]; a pure function, as `predict` is."""


KINDS: dict[str, type[Plugin]] = {base.kind: base for base in (Task, Model, MetaAlgorithm)}
"""The kinds of plugins and their base classes."""
