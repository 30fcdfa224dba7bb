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
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, dataclass_transform, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from mamlzoo.contracts import options
from mamlzoo.contracts.batchable import composed
from mamlzoo.contracts.differentiation import differentiable_twice
from mamlzoo.errors import PluginError, UsageError

Split = Literal["train", "valid", "test"]
"""Which episodes: to train on, to choose by, or to report on."""
Params = dict[str, Tensor]
"""Named tensors of one network: what `nn.Module.named_parameters` gives."""
MetaParams = dict[str, Params]
"""θ, what is meta-trained: named groups of named tensors. Networks are groups; rates may be another."""
Fast = Any
"""φ, what adaptation makes of θ for one episode: any nesting of tensors that the algorithm likes."""


class Batch(NamedTuple):
    """Examples: `x` [n, *input_shape]; `y` [n, output_size], or class indices [n]."""

    x: Tensor
    y: Tensor


class Episode(NamedTuple):
    """One problem: a support set to adapt on, a query set to be judged on."""

    support: Batch
    query: Batch


@dataclass(frozen=True)
class Spec:
    """What a task asks of a network.

    Attributes:
        input_shape: the shape of one example's input.
        output_size: the length of one example's output vector.
        kind: 'regression' (targets [n, output_size], floating) or 'classification' (targets [n], class indices).
        test_episodes: how many different test episodes exist, where that is a small number: they are drawn all at once,
            and an evaluation never counts one twice. None: as many as are asked for.
        valid_episodes: the same of validation episodes.
    """

    input_shape: tuple[int, ...]
    output_size: int
    kind: Literal["regression", "classification"] = "regression"
    test_episodes: int | None = None
    valid_episodes: int | None = None


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

    @classmethod
    def example(cls) -> Self:
        """An instance for the conformance kit; a plugin that cannot be made of defaults alone overrides it."""
        return cls()

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


class Task(Plugin):
    """A distribution over learning problems (the literature's task family)."""

    kind = "task"

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
        """What is reported, by name, each a scalar; the first is the one that tables and figures show."""


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


_NAMES: WeakKeyDictionary[nn.Module, frozenset[str]] = WeakKeyDictionary()
"""The names of a module's parameters and buffers."""

_SINGLE = "Expected more than 1 value per channel"
"""How torch begins to say that a batch norm was given a single example."""


@dataclass(frozen=True)
class Learner:
    """Networks bound to a loss, as pure functions of their parameters.

    Attributes:
        networks: the modules by name, for their structure alone.
        constants: by network, its buffers and frozen parameters.
        criterion: (prediction, target) -> scalar.
        spec: the task's spec.
        recompute: whether `mamlzoo.adapt` keeps no graph of a step and computes it again in the backward pass.
        bf16: whether networks compute in bfloat16 where torch's autocast does; parameters and outputs stay as they are.
    """

    networks: Mapping[str, nn.Module]
    constants: Mapping[str, Params]
    criterion: Callable[[Tensor, Tensor], Tensor]
    spec: Spec
    recompute: bool = False
    bf16: bool = False

    def parameter_names(self, network: str = "network") -> frozenset[str]:
        """What is to be learned of a network, by name: `predict` takes these parameters, all of them and no others."""
        module = self.networks[network]
        names = _NAMES.get(module)
        if names is None:  # to walk through a module takes a tenth of what a call of it does
            names = _NAMES[module] = frozenset(
                name for name, _ in (*module.named_parameters(), *module.named_buffers())
            )
        return names.difference(self.constants[network])

    def predict(self, params: Params, x: Tensor, network: str = "network") -> Tensor:
        """The network's output [n, output_size] for inputs [n, *input_shape].

        Raises:
            ValueError: params have other names than the network's.
            UsageError: a batch norm is given a single example.
        """
        if not isinstance(params, Mapping) or params.keys() != self.parameter_names(network):
            # torch would leave out what it does not know, and fill in what is missing.
            given = ", ".join(map(str, params)) if isinstance(params, Mapping) else type(params).__name__
            wanted = ", ".join(sorted(self.parameter_names(network)))
            raise ValueError(f"learner.predict was given parameters named {given}; the network has {wanted}")
        if self.bf16:
            with torch.autocast(x.device.type, torch.bfloat16):
                return self._output(params, x, network).to(x.dtype)
        return self._output(params, x, network)

    def _output(self, params: Params, x: Tensor, network: str) -> Tensor:
        try:
            with differentiable_twice(), composed(self.networks[network]):
                output = functional_call(self.networks[network], (params, self.constants[network]), (x,))
        except ValueError as error:
            if not str(error).startswith(_SINGLE):
                raise
            raise UsageError(
                f"network '{network}' has a batch norm, which takes the statistics of the examples that it is given, "
                "and a single example has none; give 2 or more at once, or use a layer norm or group norm"
            ) from error
        assert isinstance(output, Tensor)
        return output

    def loss(self, params: Params, batch: Batch, network: str = "network") -> Tensor:
        """The task's loss of the network on a batch, a scalar."""
        return self.criterion(self.predict(params, batch.x, network), batch.y)

    def gradient(self, params: Params, batch: Batch, network: str = "network") -> Params:
        """∂loss/∂params, itself differentiable."""
        gradient: Params = grad(lambda p: self.loss(p, batch, network))(params)
        return gradient


class MetaAlgorithm(Plugin):
    """How to adapt to one episode, and what to minimise so that adapting works.

    Every method is a pure function of ONE episode, without a batch axis: no in-place work, no `.item()`, no branch
    on a tensor's value, no random numbers.

    Attributes:
        trains: whether there is anything to meta-train; if not, the engine makes no meta-steps.
        order: 'exact' if the meta-gradient is the whole derivative of the query loss through the adaptation;
            'first-order' if ∂φ/∂θ is taken as the identity; 'surrogate' if `meta_loss` was built for its gradient.
    """

    kind = "algorithm"
    trains: ClassVar[bool] = True
    order: ClassVar[Literal["exact", "first-order", "surrogate"]] = "exact"

    @abstractmethod
    def networks(self, spec: Spec) -> dict[str, Spec]:
        """The networks it wants built, by name, and their shapes. Most want `{"network": spec}`.

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
    def predict(self, learner: Learner, meta: MetaParams, fast: Fast, x: Tensor) -> Tensor:
        """The adapted learner's output [n, output_size] for inputs [n, *input_shape]."""

    def adapted(self, learner: Learner, meta: MetaParams, fast: Fast) -> dict[str, Params]:
        """The adapted networks' parameters by network: those with which `predict` is the network's own output.

        An algorithm that adapts something else, as class means, has none and leaves this as it is.

        Raises:
            UsageError: there is no adapted network.
        """
        raise UsageError(f"algorithm '{self.name}' does not define `adapted`, so there is no adapted network")

    def remarks(self, meta: MetaParams) -> list[str]:
        """What a reader of a run should know of how it takes the networks, as which part adapts; each a line.

        Args:
            meta: θ of one seed.
        """
        return []

    @abstractmethod
    def meta_loss(
        self, learner: Learner, meta: MetaParams, episode: Episode, progress: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the outer loop minimises, a scalar, and scalars worth logging by name.

        Args:
            progress: how much of meta-training is done, a scalar in [0, 1], for schedules.
        """


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


KINDS: dict[str, type[Plugin]] = {base.kind: base for base in (Task, Model, MetaAlgorithm)}
"""The kinds of plugins and their base classes."""
