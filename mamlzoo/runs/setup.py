"""Before a run: its networks, the θ that it begins with, and a rehearsal of everything."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import Episode, MetaParams, Split
from mamlzoo.contracts.plugins import Model
from mamlzoo.discovery.blame import blamed
from mamlzoo.discovery.entry_points import installed
from mamlzoo.engine import rehearsal
from mamlzoo.engine.binding import Bound, bind_seeds, built_with
from mamlzoo.engine.cpu import on_threads
from mamlzoo.engine.episodes import TestSet, TrainingStream, draw
from mamlzoo.engine.evaluation import evaluate
from mamlzoo.engine.gradients import EAGER
from mamlzoo.engine.inspection import inspect_algorithm, inspect_judgement, inspect_networks
from mamlzoo.engine.missing_derivatives import located
from mamlzoo.engine.padding_check import check_takes_padding, check_takes_single_examples, inspect_padding
from mamlzoo.engine.placement import device_of
from mamlzoo.engine.purity import repeating
from mamlzoo.errors import FOREIGN, PluginError, UsageError, did_you_mean
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs import init_from

FEW = 4
"""Episodes with padding that are looked at."""
MANY = 128
"""Episodes whose sizes are looked at, where a size may be too small."""


def bind(experiment: Experiment, dtype: torch.dtype = torch.float32) -> Bound:
    """The networks, and the θ⁰ of every seed as the model draws it.

    Raises:
        UsageError: the combination cannot work.
    """
    settings = experiment.settings
    with blamed(experiment, "set-up"):
        return bind_seeds(
            experiment.task,
            experiment.model,
            experiment.algorithm,
            settings.seeds,
            device_of(settings.device),
            dtype,
            recompute=settings.recompute,
            bf16=settings.precision == "bf16",
            norms=settings.norm_statistics,
            models={network: _installed_model(network, name) for network, name in settings.network_models.items()},
        )


def _installed_model(network: str, name: str) -> Model:
    """A model by its name alone: a run directory that names it is a stranger's, and code of files is not for it to run.

    Raises:
        UsageError: none is installed under this name, or it has options that must be given.
    """
    offers = installed().offers["model"]
    if name not in offers:
        raise UsageError(f"network '{network}': there is no installed model '{name}'; {did_you_mean(name, offers)}")
    return cast(Model, installed().make("model", name, {}))


def initial(experiment: Experiment, bound: Bound) -> MetaParams:
    """The θ that training begins with: as the model draws it, or that of the run that `init_from` names.

    Raises:
        UsageError: that run has another θ, or none for a seed.
    """
    settings = experiment.settings
    if settings.init_from is None:
        return bound.meta
    return init_from.theta_of(settings.init_from, settings.seeds, bound.meta)


def rehearse(experiment: Experiment) -> None:
    """Try everything once, on one episode: what cannot work is said before anything is trained.

    Raises:
        UsageError, PluginError: it cannot work.
    """
    with on_threads(experiment.settings.most_threads):
        _rehearse(experiment)


def _rehearse(experiment: Experiment) -> None:
    settings = replace(experiment.settings, seeds=experiment.settings.seeds[:1])
    one_seed = replace(experiment, settings=settings)
    bound = bind(one_seed)
    plan = settings.plan if settings.plan in EAGER else "loop"  # what works at all works in a loop
    if settings.init_from is not None:
        initial(experiment, bind(experiment))
    with blamed(experiment, "its rehearsal"):
        episodes = _episodes(experiment)
        for drawn in (episodes, *_other_splits(experiment)):
            check_takes_padding(experiment.task, experiment.algorithm, drawn)
        first = trees.index(episodes, 0)
        others = built_with(bound, experiment.model, settings.seeds[0] ^ 1)
        with repeating():
            inspect_networks(bound, experiment.model, others, first)
            rehearsal.rehearse(bound, experiment.task, experiment.model, first)
            inspect_judgement(experiment.task, first.query.y)
            inspect_algorithm(bound, others, first)
            if any(batch.mask is not None for batch in first):
                for padded in _few(experiment):
                    inspect_padding(bound, padded)
                check_takes_single_examples(experiment.task, bound, lambda: _drawn(experiment, MANY))

    def hint() -> str:
        """Whether the loop can do what batching could not."""
        try:
            _step(one_seed, bound, episodes, "loop")
        except FOREIGN:
            return ""
        return "by `--plan loop` it works"

    with blamed(experiment, "its rehearsal", hint if plan == "vmap" else None):
        _step(one_seed, bound, episodes, plan)


def _episodes(experiment: Experiment) -> Episode:
    """Two episodes to train on, [2, …], drawn as a run draws all that it needs.

    Raises:
        PluginError: the task draws by other random numbers than it is given, or other sizes than it was asked for.
    """
    task, settings = experiment.task, experiment.settings
    device = device_of(settings.device)
    one, two = (draw(task, 2, 0, "train", 0, device) for _ in range(2))
    if not trees.equal(one, two):
        raise PluginError(
            f"task '{task.name}' gives other episodes for the same generator; all its random numbers must "
            "come from that, or no run can be repeated",
            plugin=task,
        )
    if experiment.algorithm.trains and settings.iterations:
        TrainingStream(task, settings.seeds, settings.meta_batch, device).try_sizes()
    if settings.validation_interval:
        validation = TestSet(task, 1, settings.test_seed, device, split="valid")
        validation.try_sizes()
        validation.episode(0)
    return trees.cast(one, torch.float32, device)


def _other_splits(experiment: Experiment) -> list[Episode]:
    """An episode of each of the other splits that are used."""
    splits: list[Split] = ["valid", "test"] if experiment.settings.validation_interval else ["test"]
    return [draw(experiment.task, 1, 0, split, 0, device_of(experiment.settings.device)) for split in splits]


def _few(experiment: Experiment) -> list[Episode]:
    """Some training episodes, which hold more and less padding."""
    drawn = _drawn(experiment, FEW)
    return [trees.index(drawn, at) for at in range(FEW)]


def _drawn(experiment: Experiment, count: int) -> Episode:
    """Training episodes, [count, …]."""
    device = device_of(experiment.settings.device)
    return trees.cast(draw(experiment.task, count, 0, "train", 0, device), torch.float32, device)


def _step(experiment: Experiment, bound: Bound, episodes: Episode, plan: str) -> None:
    """Make one meta-gradient and one evaluation.

    Args:
        episodes: every leaf begins with [meta-batch].
    """
    settings, first = experiment.settings, trees.index(episodes, 0)
    device = device_of(settings.device)
    if experiment.algorithm.trains and settings.iterations:
        training = settings.training()
        optimizer = training.optimizer_of(bound.meta, bound.algorithm.statistics)
        batch = trees.tree_map(lambda leaf: leaf[None], episodes)  # a seed axis before the meta-batch
        with located(bound, first):
            found = EAGER[plan](bound, "mean", None, training.clip_of_task)(
                optimizer.meta, batch, torch.tensor(0.0, device=device)
            )
        rehearsal.check_meta_gradient(bound, found, first)
    tests = TestSet(experiment.task, 1, settings.test_seed, device)
    tests.try_sizes()
    for _ in evaluate(bound, bound.meta, experiment.task, tests, min(1, settings.test_steps), plan):
        pass
