"""θ of a loop of one's own, tested as a run's θ is: on the frozen test set of a task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch

from mamlzoo import trees
from mamlzoo.contracts import options
from mamlzoo.contracts.data import MetaParams, Spec
from mamlzoo.contracts.differentiation import differentiating
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import MetaAlgorithm, Model, Task
from mamlzoo.contracts.return_values import check_networks, is_finite
from mamlzoo.discovery.blame import blamed
from mamlzoo.engine import evaluation
from mamlzoo.engine.adaptation import mapping_for
from mamlzoo.engine.binding import Bound, check_fit, sized, split_parameters
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.held_tensors import reals_of
from mamlzoo.engine.padding_check import check_takes_padding
from mamlzoo.errors import UsageError
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.metrics import Evaluation
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs.execution import finished
from mamlzoo.runs.name_resolution import TaskLike, plugin
from mamlzoo.tables import some

NAMED = 4
"""So many leaves of a θ are named."""


@differentiating
def evaluate(
    algorithm: MetaAlgorithm,
    learner: Learner,
    meta: MetaParams,
    task: TaskLike,
    *,
    test_tasks: int = 1000,
    test_steps: int = 10,
    test_seed: int = 0,
    plan: str = "auto",
) -> Evaluation:
    """Test a θ of your own loop on the frozen test set of a task: the very episodes that `run` tests on.

    Adaptation minimises the learner's own loss; the query set is judged by the task's metrics.

    Args:
        algorithm, learner, meta: as for `bind`, which gives the last two. Several θ, one a seed, may be stacked along a
            leading axis, as in `Result.meta`; the learner's constants are the same for all.
        task: a name, a class or an instance, as for `run`.
        test_tasks, test_steps, test_seed: as for `run`.
        plan: 'vmap', 'loop', or 'auto' for 'loop' only where the network cannot be batched.

    Raises:
        UsageError: the network does not fit the task, or θ is not of this learner and this algorithm.
        PluginError: a plugin raised.

    >>> import mamlzoo
    >>> maml, neuron = mamlzoo.make("algorithm", "maml", inner_lr=0.1), torch.nn.Linear(1, 1, bias=False)
    >>> learner, theta = mamlzoo.bind(maml, neuron, lambda prediction, target: ((prediction - target) ** 2).sum())
    >>> with torch.no_grad():
    ...     _ = neuron.weight.fill_(1)
    >>> evaluate(maml, learner, theta, "scalar", test_steps=1).mean.round(1).tolist()
    [5.0, 572.2]
    """
    resolved = cast(Task, plugin("task", task))
    theta = _with_seed_axis(trees.stop_gradient(meta), algorithm.init(split_parameters(learner.networks)[0]))
    first = trees.leaves(theta)[0]
    given: dict[str, Any] = {"test_tasks": test_tasks, "test_steps": test_steps, "test_seed": test_seed, "plan": plan}
    settings = options.make(Settings, given | {"device": str(first.device)}, "evaluate")
    spec = sized(resolved, first.device)
    experiment = Experiment(resolved, _check_networks(algorithm, learner, spec), algorithm, settings)
    constants = trees.tree_map(lambda leaf: leaf.expand(len(first), *leaf.shape), dict(learner.constants))
    bound = Bound(algorithm, replace(learner, spec=spec), theta, constants)
    episodes = TestSet(resolved, settings.test_tasks, settings.test_seed, first.device, first.dtype)
    with settings.in_force(), blamed(experiment, "testing"):
        check_takes_padding(resolved, algorithm, episodes.episode(0))
        how = mapping_for(bound, resolved, episodes, settings.plan)
        values = finished(
            evaluation.evaluate(
                bound, theta, resolved, episodes, settings.test_steps, how, settings.chunk, settings.most_threads
            )
        )
    rows = [row for row in range(len(first)) if all(is_finite(leaf[row]) for leaf in trees.leaves(theta))]
    return Evaluation(values, rows, next(iter(values)) in resolved.higher_is_better)


def _check_networks(algorithm: MetaAlgorithm, learner: Learner, spec: Spec) -> Model:
    """What the learner's networks are called, once they are known to fit the task."""
    shapes = check_networks(algorithm, algorithm.networks(spec))
    if set(shapes) != set(learner.networks):
        raise UsageError(f"algorithm '{algorithm.name}' wants networks named {', '.join(shapes)}")
    models = []
    for name, network in learner.networks.items():
        models.append(cast(Model, plugin("model", network)))
        held = next(reals_of(network), torch.zeros(()))  # says where the network is
        if isinstance(shape := shapes[name], Spec):
            check_fit(models[-1], network, shape, held.dtype, held.device)
    return models[0]


def _with_seed_axis(meta: MetaParams, like: MetaParams) -> MetaParams:
    """θ with a leading seed axis, whether it has one already or not.

    Raises:
        UsageError: it is no θ of this structure and these shapes.
    """
    found, wanted = dict(trees.named_leaves(meta)), dict(trees.named_leaves(like))
    if not wanted:
        raise UsageError("the network has no parameter that requires a gradient, so there is no θ to test")
    if found.keys() != wanted.keys():
        raise UsageError(
            f"θ holds {some(found, NAMED)}, and this learner's holds {some(wanted, NAMED)}; give the one of `bind`"
        )
    if all(leaf.shape == wanted[name].shape for name, leaf in found.items()):
        return trees.tree_map(lambda leaf: leaf[None], meta)
    seeds = {len(leaf) if leaf.ndim else 0 for leaf in found.values()}
    for name, leaf in found.items():
        if len(seeds) > 1 or leaf.shape[1:] != wanted[name].shape or not len(leaf):
            raise UsageError(
                f"θ's {name} is {list(leaf.shape)}, and this learner's is {list(wanted[name].shape)}, or that below a "
                "leading seed axis"
            )
    return meta
