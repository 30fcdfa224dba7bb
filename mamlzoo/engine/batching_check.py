"""Whether batching is to be believed: torch computes several tasks at once by rules, and some of these are wrong.

A layer whose rule is wrong gives another meta-gradient than one task after another does, without a word. So before a
plan batches tasks, the meta-gradient of a few is computed both ways.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from mamlzoo import trees
from mamlzoo.contracts.data import Episode
from mamlzoo.engine.binding import Bound, Reduction
from mamlzoo.engine.gradients import EAGER
from mamlzoo.errors import MamlzooError
from mamlzoo.tables import number

SEEDS, TASKS = 2, 3
"""So many are looked at: some of the wrong rules show only where these numbers differ, some only where they are few."""
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-2}
"""How far the two may be apart, relative to the largest number: rounding in float64 stays below the first where
second derivatives amplify it by 10⁹, and a network that cannot compute in float64 is held to the other."""


def in_words(off: float) -> str:
    """What is wrong with batching, by how far its meta-gradient is off."""
    return f"torch computes several tasks at once with a meta-gradient that is {number(100 * off, 3)}% off"


def off_by(bound: Bound, episodes: Episode, reduction: Reduction, progress: float = 0.0) -> float:
    """How far vmap's meta-gradient is from the loop's, relative to its largest number; 0 where that is rounding.

    Args:
        episodes: every leaf begins with [seeds, meta-batch].
        progress: how much of meta-training is done, in [0, 1].
    """
    few = trees.index(episodes, (slice(0, SEEDS), slice(0, TASKS)))
    own = bound.of_rows(slice(0, SEEDS))
    for dtype, tolerance in TOLERANCES.items():
        device = few.support.y.device
        meta, constants = trees.cast((own.meta, own.constants), dtype, device)
        exact = replace(own, meta=meta, constants=constants, learner=replace(bound.learner, bf16=False))
        theta = trees.tree_map(lambda leaf: leaf.detach().clone().requires_grad_(leaf.is_floating_point()), meta)
        now, given = torch.tensor(progress, dtype=dtype, device=device), trees.cast(few, dtype, device)
        try:
            batched, looped = (
                trees.leaves(EAGER[plan](exact, reduction, None)(theta, given, now).gradient)
                for plan in ("vmap", "loop")
            )
        except MamlzooError:
            raise
        except (
            Exception
        ):  # of a network with float32 tensors of its own; or that cannot be batched, which is said elsewhere
            continue
        largest = max(float(leaf.abs().max()) for leaf in looped if leaf.numel())
        apart = max(float((one - two).abs().max()) for one, two in zip(batched, looped, strict=True) if one.numel())
        found = apart / largest if largest else apart
        return found if found > tolerance else 0.0  # NaN, where adaptation runs away, says nothing
    return 0.0
