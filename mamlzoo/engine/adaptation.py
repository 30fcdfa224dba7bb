"""The algorithm's adaptation over seeds and episodes, without a graph of θ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts import inputs
from mamlzoo.contracts.data import Batch, Episode, Fast, MetaParams, Params
from mamlzoo.contracts.distributions import Distribution
from mamlzoo.contracts.learner import Learner
from mamlzoo.contracts.plugins import HasEmbedding, MetaAlgorithm, Task
from mamlzoo.contracts.readings import Reading, reading_of
from mamlzoo.contracts.return_values import check_embedding
from mamlzoo.engine.binding import Bound
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.judgement import Judgement, judge
from mamlzoo.engine.mapping import MAPS
from mamlzoo.engine.masked_metrics import judge_padded
from mamlzoo.engine.memory import BUDGET, MIB, allocated_by
from mamlzoo.engine.singular_matrices import outcomes
from mamlzoo.errors import MamlzooError

JUDGED = -1
"""Where predictions draw: after each step the same random numbers."""
NEAR = 128 * MIB
"""What the tensors of a call may take on a CPU, as if none were freed: beyond, they come from far memory; measured."""
ROUGHLY = 0.01
"""How far predictions of several episodes at once may be from those of one after another, relative to the largest."""


def mapping_for(bound: Bound, task: Task, tests: TestSet, plan: str) -> str:
    """'loop' where that was asked for, or where test episodes cannot be batched; else 'vmap'."""
    if plan in MAPS:
        return plan
    few = trees.index(next(tests.blocks()), slice(2))
    try:
        Adaptation(bound, task, "vmap").rehearse(bound.meta, few)
        two = bound.of_rows(slice(2))
        batched, looped = (
            predictions(two, two.meta, few.support, few.query.x, 1, how, few.key) for how in ("vmap", "loop")
        )
    except MamlzooError:
        raise
    except Exception:  # whatever it is, the loop raises it again if it is not about batching
        return "loop"
    # Some of torch's rules of batching are wrong, and by more than any rounding.
    pairs = zip(trees.leaves(batched), trees.leaves(looped), strict=True)
    wrong = any(bool(((one - two).abs() > ROUGHLY * two.abs().max()).any()) for one, two in pairs)
    return "loop" if wrong else "vmap"


def predictions(
    bound: Bound, meta: MetaParams, support: Batch, x: Any, steps: int, plan: str = "vmap", key: Tensor | None = None
) -> Any:
    """What every seed predicts at `x` after 0, 1, … `steps` steps: [steps + 1, seeds, episodes, n, output_size].

    Where the algorithm predicts distributions, it is one whose every leaf begins with [steps + 1, seeds, episodes, n].

    Args:
        support: every leaf begins with [episodes].
        x: inputs [episodes, n, *input_shape].
        key: of each episode, [episodes].
    """
    adaptation = Adaptation(bound, None, plan)
    fast = adaptation.start(meta, support, key)
    rows = [adaptation.predict(meta, fast, x, key, support)]
    for step in range(1, steps + 1):
        fast = adaptation.adapt(meta, fast, support, step, key)
        rows.append(adaptation.predict(meta, fast, x, key, support))
    return trees.stack(rows)


def readings(
    bound: Bound, task: Task, meta: MetaParams, support: Batch, x: Any, steps: int, plan: str, key: Tensor | None
) -> list[Reading]:
    """The same as the task reads it, for each number of steps."""
    adaptation = Adaptation(bound, task, plan)
    fast = adaptation.start(meta, support, key)
    rows = [adaptation.read(meta, fast, x, key, support)]
    for step in range(1, steps + 1):
        fast = adaptation.adapt(meta, fast, support, step, key)
        rows.append(adaptation.read(meta, fast, x, key, support))
    return rows


class Adaptation:
    """The algorithm's own functions, mapped over seeds and episodes; no graph of θ is built.

    Of θ every leaf begins with [seeds], of φ with [seeds, episodes], of batches and keys with [episodes]. What is drawn
    is a function of the episode's key and the step; predictions draw the same after each step. Episodes of a user's own
    have the keys 0, 1, …
    """

    def __init__(self, bound: Bound, task: Task | None, plan: str) -> None:
        self._bound, self._task = bound, task
        self._map = MAPS[plan]
        like = trees.leaves(bound.meta)[0]
        self._numbers = {name: values.to(like) for name, values in bound.numbers.items()}

    def start(self, meta: MetaParams, support: Batch, key: Tensor | None = None) -> Fast:
        """φ before the first adaptation step."""

        def start(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, _: None, support: Batch) -> Fast:
            return algorithm.start(learner, meta, support)

        return self._over(start, meta, None, support, 0, key, support)

    def adapt(self, meta: MetaParams, fast: Fast, support: Batch, step: int, key: Tensor | None = None) -> Fast:
        """φ after adaptation step number `step`, the first of which is 1."""

        def adapt(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, support: Batch) -> Fast:
            return algorithm.adapt(learner, meta, fast, support)

        return self._over(adapt, meta, fast, support, step, key, support)

    def predict(
        self,
        meta: MetaParams,
        fast: Fast,
        x: Any,
        key: Tensor | None = None,
        support: Batch | None = None,
    ) -> Tensor | Distribution:
        """Outputs for inputs [episodes, n, *input_shape]: [seeds, episodes, n, output_size].

        Of a distribution every leaf begins with [seeds, episodes, n].
        """

        def predict(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, x: Any) -> Any:
            return algorithm.predict(learner, meta, fast, x)

        prediction: Tensor | Distribution = self._over(predict, meta, fast, x, JUDGED, key, support)
        return prediction

    def read(
        self, meta: MetaParams, fast: Fast, x: Any, key: Tensor | None = None, support: Batch | None = None
    ) -> Reading:
        """The same as the task reads it."""
        assert self._task is not None
        task = self._task

        def read(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, x: Any) -> dict[str, Any]:
            points, distribution = reading_of(task, algorithm.predict(learner, meta, fast, x))
            return {"points": points} | ({} if distribution is None else {"distribution": distribution})

        found: dict[str, Any] = self._over(read, meta, fast, x, JUDGED, key, support)
        return Reading(found["points"], found.get("distribution"))

    def embed(
        self, meta: MetaParams, fast: Fast, x: Any, key: Tensor | None = None, support: Batch | None = None
    ) -> Tensor:
        """Where inputs are in the space of an algorithm that `HasEmbedding`: [seeds, episodes, n, dimensions].

        Raises:
            PluginError: the algorithm gave something else.
        """

        def embed(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, x: Any) -> Tensor:
            assert isinstance(algorithm, HasEmbedding)
            return check_embedding(algorithm, algorithm.embed(learner, meta, fast, x), inputs.count_of(x))

        found: Tensor = self._over(embed, meta, fast, x, JUDGED, key, support)
        return found

    def loss(
        self,
        meta: MetaParams,
        fast: Fast,
        batch: Batch,
        key: Tensor | None = None,
        support: Batch | None = None,
    ) -> Tensor:
        """The task's loss on a batch, [seeds, episodes]."""

        def loss(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, batch: Batch) -> Tensor:
            return learner.loss_of(algorithm.predict(learner, meta, fast, batch.x), batch)

        found: Tensor = self._over(loss, meta, fast, batch, JUDGED, key, support)
        return found

    def measure(
        self,
        meta: MetaParams,
        fast: Fast,
        query: Batch,
        key: Tensor | None = None,
        support: Batch | None = None,
    ) -> Judgement:
        """Metrics on a batch by name, each [seeds, episodes]; and sums [seeds, episodes, …]."""
        assert self._task is not None
        task = self._task

        def judged(algorithm: MetaAlgorithm, learner: Learner, meta: MetaParams, fast: Fast, query: Batch) -> Judgement:
            return judge(task, algorithm.predict(learner, meta, fast, query.x), query.y)

        if query.mask is not None:
            prediction = self.predict(meta, fast, query.x, key, support)
            return judge_padded(task, prediction, query.y, query.mask, self._map)
        found: Judgement = self._over(judged, meta, fast, query, JUDGED, key, support)
        return found

    def rehearse(self, meta: MetaParams, episodes: Episode) -> None:
        """All that an evaluation does, once."""
        fast = self.start(meta, episodes.support, episodes.key)
        fast = self.adapt(meta, fast, episodes.support, 1, episodes.key)
        self.measure(meta, fast, episodes.query, episodes.key, episodes.support)

    def fitting_chunk(self, meta: MetaParams, episodes: Episode) -> int:
        """How many episodes of each seed are computed at once, unless it is said: what the memory is there for."""
        one = trees.index(episodes, slice(1))
        most = NEAR if one.support.y.device.type == "cpu" else BUDGET
        return max(1, most // max(1, allocated_by(lambda: self.rehearse(meta, one))))

    def _over(
        self,
        function: Callable[..., Any],
        meta: MetaParams,
        fast: Fast,
        data: Any,
        place: int,
        key: Tensor | None,
        support: Batch | None,
    ) -> Any:
        """Map function(algorithm, learner, θ, φ, data) over seeds and episodes.

        θ, constants, numbers and φ are of seeds; φ, data, keys and support are of episodes.

        The support set is what batch norms may take their statistics of.
        """
        if self._bound.learner.norms != "support":
            support = None
        is_support = support is not None and data is support
        if is_support:
            support = None
        first = trees.leaves(data)[0]
        own = torch.arange(len(first), device=first.device) if key is None else key

        def one(
            constants: dict[str, Params],
            numbers: dict[str, Tensor],
            meta: MetaParams,
            fast: Fast,
            data: Any,
            key: Tensor,
            support: Batch | None,
        ) -> Any:
            own = data if is_support else support  # the very same, so that its statistics are taken in one call
            learner = self._bound.learner_for(constants, meta, key, own).branch(place)
            return function(self._bound.with_numbers(numbers).algorithm, learner, meta, fast, data)

        fast_axis, support_axis = (None if tree is None else 0 for tree in (fast, support))
        episodes = self._map(one, in_dims=(None, None, None, fast_axis, 0, 0, support_axis))
        seeds = self._map(episodes, in_dims=(0, 0, 0, fast_axis, None, None, None))
        with torch.no_grad():
            return outcomes(seeds)(self._bound.constants, self._numbers, meta, fast, data, own, support)
