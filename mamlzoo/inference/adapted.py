"""A trained θ adapted to data of a user's own: predictions, metrics, and the adapted network as a plain module."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mamlzoo import trees
from mamlzoo.contracts.data import Batch, Fast
from mamlzoo.contracts.differentiation import differentiating
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.inputs import count_of
from mamlzoo.contracts.readings import Reading
from mamlzoo.contracts.return_values import check_adapted
from mamlzoo.discovery.blame import blamed
from mamlzoo.engine.adaptation import Adaptation, mapping_for
from mamlzoo.engine.batch_norm import batch_norms, keep_statistics_of, without_running_statistics
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.judgement import pooled
from mamlzoo.engine.placement import device_of
from mamlzoo.errors import UsageError, did_you_mean
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Numbers, Result
from mamlzoo.inference import meta_parameters
from mamlzoo.inference.own_data import examples_of, inputs_of
from mamlzoo.tables import Table, count, number


@dataclass(frozen=True, repr=False)
class Adapted:
    """θ of one seed, adapted to one data set, or to each of several.

    Attributes:
        experiment: what was run, for this seed alone.
        bound: its networks, and θ after training.
        plan: how data sets are computed: 'loop', one after another, or 'vmap', all at once.
        fast: φ after adaptation; every leaf begins with [1, data sets].
        support: what it was adapted to; every leaf begins with [data sets].
        losses: the task's loss on the support set after 0, 1, … steps: [steps + 1], or [data sets, steps + 1].
    """

    experiment: Experiment
    bound: Bound
    plan: str
    fast: Fast
    support: Batch
    losses: NDArray[np.float32]

    @classmethod
    @differentiating
    def of(cls, result: Result, x: Numbers, y: Numbers, *, steps: int = 10, seed: int | None = None) -> Adapted:
        """A result's θ, adapted to data of your own: one data set, or several at once, each by itself.

        Lists, numpy arrays and tensors will do; all numbers are cast to float32.

        Args:
            x: support inputs [n, *input_shape] or [data sets, n, *input_shape]; a dict or a tuple of them where the
                task's inputs are several tensors.
            y: targets beside them, [n, targets] or [n] where that is 1; of a classification, class indices [n].
            steps: adaptation steps.
            seed: whose θ; None: the first seed's that did not diverge.

        Raises:
            UsageError: x or y has another shape or holds a number that is not possible, the seed was not trained, or a
                part of a loaded result came from Python.
        """
        experiment, bound = meta_parameters.of_seed(result, seed)
        support, several = examples_of(x, y, experiment.task.spec)
        if steps < 0:
            raise UsageError(f"steps must be at least 0, not {steps}")
        plan = "loop"  # a single data set gains nothing from being batched
        if several:
            tests = TestSet(experiment.task, 1, experiment.settings.test_seed, device_of(experiment.settings.device))
            plan = mapping_for(bound, experiment.task, tests, experiment.settings.plan)
        adaptation = Adaptation(bound, experiment.task, plan)
        with blamed(experiment, "adapting"):
            fast = adaptation.start(bound.meta, support)
            losses = [adaptation.loss(bound.meta, fast, support, support=support)]
            for step in range(1, steps + 1):
                fast = adaptation.adapt(bound.meta, fast, support, step)
                losses.append(adaptation.loss(bound.meta, fast, support, support=support))
        by_set = torch.stack(losses, -1)[0].numpy()
        return cls(experiment, bound, plan, fast, support, by_set if several else by_set[0])

    def __repr__(self) -> str:
        sets = "one data set" if self.data_sets is None else f"{self.data_sets} data sets"
        return f"{self.experiment.name}, seed {self.seed}, adapted to {sets} by {count(self.steps, 'step')}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self) -> Table:
        """The loss on the support set after each number of adaptation steps; of several data sets the mean."""
        means = self.losses if self.data_sets is None else self.losses.mean(0)
        column = "support loss" if self.data_sets is None else "mean support loss"
        return Table(repr(self), ["steps", column], [[str(step), number(mean)] for step, mean in enumerate(means)])

    @property
    def seed(self) -> int:
        """Whose θ it was."""
        return self.experiment.settings.seeds[0]

    @property
    def steps(self) -> int:
        """Adaptation steps made."""
        return int(self.losses.shape[-1]) - 1

    @property
    def data_sets(self) -> int | None:
        """How many data sets there are; None if it was a single one, without an axis for them."""
        return len(self.losses) if self.losses.ndim == 2 else None

    def predict(self, x: Numbers) -> NDArray[np.float32]:
        """The outputs, as an array: [n, output_size], or [data sets, n, output_size].

        Of a classification they are what the task's loss takes: one logit a class. Where a distribution is predicted
        they are its points, [n, targets]: the means, or the medians.

        Args:
            x: inputs [n, *input_shape], which several data sets share; or [data sets, n, *input_shape].

        Raises:
            UsageError: x has another shape, or holds a number that is not finite.
        """
        return self._array(self._read(x).points)

    def distribution(self, x: Numbers) -> Distribution | None:
        """What is predicted with its uncertainty, of tensors [n, …], or [data sets, n, …].

        Args, Raises: as for `predict`.

        Returns:
            None where neither the algorithm nor the task knows a distribution.
        """
        found = self._read(x).distribution
        return None if found is None else trees.index(found, (0, 0) if self.data_sets is None else 0)

    def measure(self, x: Numbers, y: Numbers) -> dict[str, NDArray[np.float32]]:
        """The task's metrics by name, each [] or [data sets]; and those of the distribution, where one is predicted.

        Args:
            x, y: as for `Result.adapt`; without an axis of data sets they are shared by all.

        Raises:
            UsageError: x or y has another shape, or holds a number that is not possible.
        """
        given = examples_of(x, y, self.experiment.task.spec)[0]
        query = Batch(self._for_each(given.x), self._for_each(given.y))
        with blamed(self.experiment, "measuring"):
            found = self._adaptation.measure(self.bound.meta, self.fast, query, support=self.support)
        values = found.values | {name: pooled(sums) for name, sums in found.sums.items()}
        return {name: self._array(value) for name, value in values.items()}

    def module(self, network: str = "network", at: int | None = None) -> nn.Module:
        """The adapted network, a module as the run's model builds it; its output is what `predict` gives.

        Where the task reads outputs as a distribution, the output is what it reads: `task.distribution(output)`.

        Its batch norms predict what was measured: by the statistics of the batch at hand in either mode, as a run does
        unless it says otherwise; or, in evaluation mode, in which it comes, by those of the support set or by the
        running ones, which are then its own. A run in bfloat16 predicts by autocast, and the module does not.

        Args:
            network: which of the algorithm's networks.
            at: which data set, where there are several.

        Raises:
            UsageError: there is no such network or data set, or the algorithm adapts no network's parameters.
            PluginError: the algorithm's `adapted` gives something other than the network's parameters.
        """
        built, norms = self._built(network, at), self.bound.learner.norms
        if norms == "batch" or not batch_norms([built]):
            return without_running_statistics(built)
        if norms == "support":
            keep_statistics_of(built, trees.index(self.support, at or 0))
        return built.eval()

    def state_dict(self, network: str = "network", at: int | None = None) -> dict[str, Any]:
        """The adapted network's parameters and buffers, for `load_state_dict` of a module that the run's model builds.

        In evaluation mode that predicts what `predict` gives. Where batch norms take the statistics of the inputs at
        hand, a module that keeps running ones cannot, so there is nothing for it.

        Args:
            network, at: as for `module`.

        Raises:
            UsageError: as for `module`; or a module that is loaded with this would predict by running statistics,
                which a run has not.
        """
        if self.bound.learner.norms == "batch" and (kept := _with_running_statistics(self._built(network, at))):
            raise UsageError(
                f"batch norm '{kept[0]}' predicts by running statistics in evaluation mode, and this run has none; run "
                "with norm statistics 'support', take the module itself, or build it with track_running_stats=False"
            )
        return self.module(network, at).state_dict()

    @property
    def is_transductive(self) -> bool:
        """Whether a prediction depends on which others are asked for with it: the statistics are the batch's own."""
        return self.bound.learner.norms == "batch" and bool(batch_norms(self.bound.learner.networks.values()))

    @property
    def _adaptation(self) -> Adaptation:
        return Adaptation(self.bound, self.experiment.task, self.plan)

    def _read(self, x: Numbers) -> Reading:
        """What is predicted, with axes of [1, data sets] before."""
        inputs, _ = inputs_of(x, self.experiment.task.spec)
        with blamed(self.experiment, "predicting"):
            return self._adaptation.read(self.bound.meta, self.fast, self._for_each(inputs), support=self.support)

    def _for_each(self, values: Any) -> Any:
        """Values that begin with [data sets], or with [1] where all share them, for every data set."""
        sets, given = self.data_sets or 1, count_of(values)
        if given not in (1, sets):
            raise UsageError(f"there are values for {given} data sets, and θ was adapted to {sets}")
        return trees.tree_map(lambda leaf: leaf.expand(sets, *leaf.shape[1:]), values)

    def _built(self, network: str, at: int | None) -> nn.Module:
        """A module as the model builds it, with the adapted parameters, and the constants that the run had."""
        algorithm, model = self.experiment.algorithm, self.experiment.model
        shapes, sets = algorithm.networks(self.bound.learner.spec), self.data_sets or 1
        if network not in shapes:
            raise UsageError(
                f"algorithm '{algorithm.name}' has no network '{network}'; {did_you_mean(network, shapes)}"
            )
        if at is None and sets > 1:
            raise UsageError(f"θ was adapted to {sets} data sets; at=0 … at={sets - 1} says which")
        row = at or 0
        if not 0 <= row < sets:
            raise UsageError(f"θ was adapted to {sets} data sets, numbered from 0; there is no {row}")
        learner, meta = self.bound.first()
        with torch.no_grad(), blamed(self.experiment, "making the adapted network"):
            fast = trees.index(self.fast, (0, row))
            params = check_adapted(algorithm, learner, network, algorithm.adapted(learner, meta, fast))
        with torch.random.fork_rng(devices=[]):
            wanted = shapes[network]
            module = copy.deepcopy(
                wanted() if callable(wanted) else self.bound.models.get(network, model).build(wanted)
            )
        # Not by `load_state_dict`, whose names are those of tied parameters too, and not of every buffer.
        own = dict(module.named_parameters()) | dict(module.named_buffers())
        with torch.no_grad():
            for name, value in (params | learner.constants[network]).items():
                own[name].copy_(value)
        return module

    def _array(self, values: Tensor) -> NDArray[np.float32]:
        """Of [1, data sets, …] the only seed's, and the only data set's where it came without an axis."""
        array: NDArray[np.float32] = values[0].numpy()
        return array[0] if self.data_sets is None else array


def _with_running_statistics(network: nn.Module) -> list[str]:
    """The batch norms that keep running statistics, by their path."""
    norms = dict(network.named_modules())
    return [name for name in batch_norms([network]) if getattr(norms[name], "track_running_stats", False)]
