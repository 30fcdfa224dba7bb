"""Bind an algorithm to networks and a loss: for the engine, and for a user's own loop on a user's own data."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from mamlzoo import trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Batch, Episode, MetaParams, Params, Spec
from mamlzoo.contracts.drawing import tried
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.noise import Noise
from mamlzoo.contracts.norm_statistics import NormStatistics
from mamlzoo.contracts.numeric_options import with_numbers
from mamlzoo.contracts.plugins import Builder, MetaAlgorithm, Model, Plugin, Task
from mamlzoo.contracts.resting import at_rest
from mamlzoo.contracts.return_values import broken, check_init, check_module, check_networks, check_spec
from mamlzoo.engine import purity
from mamlzoo.engine.batch_norm import batch_norms, pure, with_trained_statistics
from mamlzoo.engine.episodes import draw
from mamlzoo.engine.generators import Generators
from mamlzoo.engine.held_tensors import copy_of, reals_of
from mamlzoo.engine.torch_errors import explained
from mamlzoo.errors import FOREIGN, MamlzooError, UsageError, did_you_mean

Reduction = Literal["mean", "sum"]


def _dtype_of(meta: MetaParams) -> torch.dtype:
    """Of θ's first tensor; to walk through all of them takes as long as a layer does, in every task."""
    return next(leaf.dtype for group in meta.values() for leaf in group.values())


@dataclass(frozen=True)
class Bound:
    """An algorithm ready to be trained for several seeds.

    Attributes:
        learner: its `constants` are those of the first seed, and its random numbers the same in every call, for
            trials; `learner_for` puts those of a seed and an episode in their place.
        meta: θ; every tensor has a leading seed axis.
        constants: by network, buffers and frozen parameters, with a leading seed axis.
        left_out: norms that came with trained statistics, which have no part in a run.
        models: what builds single networks, by their names, in place of the model of all.
        numbers: of options of the algorithm that differ from seed to seed, by name, [seeds] each, in place of its own
            where it computes a meta-loss or adapts.
    """

    algorithm: MetaAlgorithm
    learner: Learner
    meta: MetaParams
    constants: dict[str, Params]
    left_out: tuple[str, ...] = ()
    models: Mapping[str, Model] = field(default_factory=dict)
    numbers: Mapping[str, Tensor] = field(default_factory=dict)

    def with_numbers(self, numbers: Mapping[str, float | Tensor]) -> Bound:
        """With the options of a seed that are its own, a number each."""
        return replace(self, algorithm=with_numbers(self.algorithm, numbers)) if numbers else self

    def of_rows(self, rows: slice) -> Bound:
        """Some of the seeds alone."""
        meta, constants = trees.index((self.meta, self.constants), rows)
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        return replace(self, meta=meta, constants=constants, numbers=numbers)

    def learner_for(
        self,
        constants: dict[str, Params],
        meta: MetaParams,
        key: Tensor | None,
        support: Batch | None = None,
        *,
        training: bool = False,
    ) -> Learner:
        """The learner of one seed and one episode, before anything is drawn.

        Args:
            constants, meta: of the seed, without a seed axis.
            key: of the episode, from which its random numbers follow; None: nothing may be drawn.
            support: of the episode, whose statistics batch norms may take.
            training: whether networks are as in `train()`.
        """
        noise = Noise(key, _dtype_of(meta))
        support = support if self.learner.norms == "support" else None
        return replace(self.learner, constants=constants, training=training, noise=noise, support=support)

    def first(self, episode: Episode | None = None, *, training: bool = False) -> tuple[Learner, MetaParams]:
        """The learner and θ of the first seed, for one episode."""
        meta, constants = trees.index((self.meta, self.constants), 0)
        key, support = (None, None) if episode is None else (episode.key, episode.support)
        return self.learner_for(constants, meta, key, support, training=training), meta


def bind_seeds(
    task: Task,
    model: Model,
    algorithm: MetaAlgorithm,
    seeds: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    *,
    recompute: bool = False,
    bf16: bool = False,
    norms: NormStatistics = "batch",
    models: Mapping[str, Model] = MappingProxyType({}),
) -> Bound:
    """Build the networks and θ⁰ of every seed.

    A seed's θ⁰ is what `torch.manual_seed(seed)` and `model.build` give, so it can be made again by hand.

    Args:
        recompute, bf16, norms: of the learner.
        models: of single networks, by name, in place of `model`.

    Raises:
        UsageError: the combination cannot work.
        PluginError: a plugin raised, or gave something of the wrong type.
    """
    spec = sized(task, device)
    shapes = check_networks(algorithm, algorithm.networks(spec))
    check_models(algorithm, shapes, models)

    def whose(name: str) -> Plugin:
        """Who builds a network."""
        return models.get(name, model) if isinstance(shapes[name], Spec) else algorithm

    metas, constants, networks, left = [], [], dict[str, nn.Module](), dict[str, None]()
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            built = {name: _build(algorithm, models.get(name, model), shape) for name, shape in shapes.items()}
            left |= dict.fromkeys(at for network in built.values() for at in with_trained_statistics(network))
            if norms == "running":
                check_trained(model, built.values(), left)
            networks = {name: _pure(whose(name), network, norms) for name, network in built.items()}
            params, fixed = split_parameters(networks)
            metas.append(check_init(algorithm, algorithm.init(trees.stop_gradient(params))))
        constants.append(fixed)
    for name, network in networks.items():
        network.to(dtype=dtype)
        if isinstance(shape := shapes[name], Spec):
            check_fit(models.get(name, model), network, shape, dtype)
        network.to(device)
    meta = trees.tree_map(torch.clone, trees.cast(trees.stack(metas), dtype, device))
    if not trees.leaves(meta):
        if not networks:
            raise broken(algorithm, ": it wants no network, and its init gives no tensor; put its constants into θ")
        raise UsageError(f"model '{model.name}' {purity.nothing_to_learn(networks.values())}", plugin=model)
    stacked = trees.cast(trees.stack(constants), dtype, device)
    still = Noise(torch.tensor(0, device=device), dtype, still=True)
    constants_of_one = trees.index(stacked, 0)
    learner = Learner(networks, constants_of_one, task.loss, spec, recompute, bf16, noise=still, norms=norms)
    return Bound(algorithm, learner, meta, stacked, () if norms == "running" else tuple(left), models)


def built_with(bound: Bound, model: Model, seed: int) -> dict[str, nn.Module]:
    """The networks as another seed gives them, of the dtype and on the device of those that are bound.

    Raises:
        PluginError: the model raised, or built something that is no module.
    """
    shapes, networks = bound.algorithm.networks(bound.learner.spec), {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, own in bound.learner.networks.items():
            network = networks[name] = pure(
                _build(bound.algorithm, bound.models.get(name, model), shapes[name]), bound.learner.norms
            )
            for like in itertools.islice(reals_of(own), 1):
                network.to(like.device, like.dtype)
    return networks


def reduce_losses(losses: Tensor, reduction: Reduction) -> Tensor:
    """Mean or sum over the last axis, the meta-batch."""
    return losses.sum(-1) if reduction == "sum" else losses.mean(-1)


def split_parameters(networks: Mapping[str, nn.Module]) -> tuple[dict[str, Params], dict[str, Params]]:
    """By network: the parameters to learn, and the constants (buffers and frozen parameters)."""
    params: dict[str, Params] = {}
    constants: dict[str, Params] = {}
    for name, network in networks.items():
        named = dict(network.named_parameters())
        params[name] = {key: value for key, value in named.items() if value.requires_grad}
        frozen = {key: value.detach() for key, value in named.items() if not value.requires_grad}
        constants[name] = frozen | dict(network.named_buffers())
    return params, constants


def check_models(algorithm: MetaAlgorithm, shapes: Mapping[str, object], models: Mapping[str, Model]) -> None:
    """Hold models of single networks to be of those that a model can build.

    Raises:
        UsageError: the algorithm has no such network, or builds it itself.
    """
    for name in models:
        if name not in shapes:
            hint = did_you_mean(name, shapes)
            raise UsageError(f"algorithm '{algorithm.name}' has no network '{name}' to choose a model for; {hint}")
        if not isinstance(shapes[name], Spec):
            raise UsageError(f"algorithm '{algorithm.name}' builds its network '{name}' itself; leave out its model")


def sized(task: Task, device: torch.device) -> Spec:
    """The task's spec, with how many examples the sets of a training episode have, where it does not say so itself."""
    spec = check_spec(task)
    if spec.support_size is not None and spec.query_size is not None:
        return spec
    one = draw(task, 2, 0, "train", 0, device)
    return replace(spec, support_size=one.support.y.shape[1], query_size=one.query.y.shape[1])


def _build(algorithm: MetaAlgorithm, model: Model, wanted: Spec | Builder) -> nn.Module:
    own = algorithm if callable(wanted) else model
    try:
        network = wanted() if callable(wanted) else model.build(wanted)
    except MamlzooError:
        raise
    except FOREIGN as error:
        raise broken(own, f"failed to build: {explained(error)}") from error
    return check_module(own, network)


def check_trained(model: Model, networks: Iterable[nn.Module], trained: Iterable[str]) -> None:
    """Hold networks to have running statistics that are not those of new ones, where they have batch norms.

    Raises:
        UsageError: they have not.
    """
    if not list(trained) and (norms := batch_norms(networks)):
        raise UsageError(
            f"norm statistics 'running' are those that a network came with, and those of model '{model.name}' ('"
            f"{norms[0]}') are new; choose batch or support",
            plugin=model,
        )


def _pure(plugin: Plugin, network: nn.Module, norms: NormStatistics) -> nn.Module:
    try:
        return pure(network, norms)
    except UsageError as error:  # of a module that cannot be copied
        raise broken(plugin, f": its network {error}") from error


def check_fit(
    model: Model, network: nn.Module, spec: Spec, dtype: torch.dtype, device: torch.device | None = None
) -> None:
    """Call a model's network once, as in training and as in evaluation mode.

    Raises:
        UsageError: it does not take such inputs, does not give such outputs, or draws random numbers that cannot be
            repeated.
    """
    examples = 2
    x = inputs.examples(spec.structure, examples, dtype, device)
    want = [examples, spec.output_size]
    needs = f"the task needs inputs {inputs.described(spec.structure)} and outputs [n, {spec.output_size}]"
    generators = Generators.now()
    for mode in dict.fromkeys([network, at_rest(network)]):
        try:
            with torch.no_grad():
                output = tried(mode, copy_of(mode), x)  # a first call must leave nothing behind
        except FOREIGN as error:
            raise UsageError(
                f"model '{model.name}' does not fit: {needs}; its network raised {explained(error)}", plugin=model
            ) from error
        if drawn := generators.drawn_from():
            raise UsageError(
                f"model '{model.name}': its network draws random numbers when it is called, from "
                f"{' and '.join(drawn)} generator, which cannot be repeated; what draws from the episode's own random "
                "numbers is nn.Dropout and its kind, torch.rand, randn, their _like, torch.normal and torch.bernoulli"
            )
        if not isinstance(output, Tensor) or list(output.shape) != want:
            got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise UsageError(
                f"model '{model.name}' does not fit: {needs}; for n = {examples} it returned {got}, not {want}"
            )
