"""The plan of a run that several workers make together: one chooses, and all do the same."""

from __future__ import annotations

from dataclasses import replace

from mamlzoo.engine.binding import Bound
from mamlzoo.engine.carried_statistics import columns
from mamlzoo.engine.divided_steps import Addition, KeptGradients, StepsOfSeeds, StepsOfTasks, keeping_gradients
from mamlzoo.engine.division import Division
from mamlzoo.engine.episodes import TrainingStream
from mamlzoo.engine.plan_choice import Alert, Choice, Preparing, Training, prepare
from mamlzoo.engine.steps import Steps
from mamlzoo.errors import UsageError


def prepare_divided(
    bound: Bound, stream: TrainingStream, training: Training, division: Division
) -> Preparing[tuple[Steps, Choice]]:
    """Choose a plan and make it ready, each worker for what is its own; `prepare` where there is one process.

    The first worker chooses while the others wait, so that its clock is not theirs. Where one of them cannot have this
    plan, all take what it could have.

    Args:
        bound, stream: of this worker's own seeds or tasks.
    """
    workers = division.workers
    if workers.count == 1:
        return (yield from prepare(bound, stream, training))
    chosen = (yield from prepare(bound, stream, training)) if workers.rank == 0 else None
    choice = workers.told(chosen and chosen[1])
    assert choice is not None
    if chosen is None:
        chosen = yield from _prepare_as(choice, bound, stream, training)
    plans = workers.gathered(chosen[1])
    others = [other for other in plans if other.plan != choice.plan]
    if others:
        yield Alert(f"a worker could not compute by {choice.plan} ({others[0].why}); all compute by {others[0].plan}")
        choice = others[0]
        chosen = yield from prepare(bound, stream, replace(training, plan=choice.plan))
    steps = chosen[0]
    if division.of == "seeds":
        return StepsOfSeeds(steps, division), choice
    add = Addition(bound, training.reduction, division)
    adding = steps.adding(add)
    if not all(workers.gathered(adding is not None)):
        kept, _ = yield from prepare(bound, stream, replace(keeping_gradients(training), plan=choice.plan))
        adding = KeptGradients(steps.optimizer, kept, columns(bound.meta, bound.algorithm.statistics), add)
    assert adding is not None
    return StepsOfTasks(steps.optimizer, adding, division), choice


def _prepare_as(
    choice: Choice, bound: Bound, stream: TrainingStream, training: Training
) -> Preparing[tuple[Steps, Choice]]:
    """The plan that the first worker chose, or the loop where that is wrong here, and nobody asked for it."""
    try:
        return (yield from prepare(bound, stream, replace(training, plan=choice.plan)))
    except UsageError as error:
        if training.plan != "auto":
            raise
        steps, _ = yield from prepare(bound, stream, replace(training, plan="loop"))
        return steps, Choice("loop", error.what)
