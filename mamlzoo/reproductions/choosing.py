"""What validation chooses for a run of a recipe: a sweep of its own, before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mamlzoo.contracts.recipes import Recipe, RecipeRun
from mamlzoo.executors.executor import Executor
from mamlzoo.runs.recording_policy import RecordingPolicy
from mamlzoo.sweeps import directory as sweep_directory
from mamlzoo.sweeps.axes import text
from mamlzoo.sweeps.grid import grid_of

SUFFIX = ".choice"
"""What the directory of a run's trials is called, behind the run's own name."""
SEEDS = "seeds"


def choose(
    recipe: Recipe, run: RecipeRun, directory: Path, policy: RecordingPolicy, executor: Executor | None = None
) -> dict[str, Any]:
    """The values of a run's options and settings that are best on the validation tasks, by key.

    Where one value alone is given, it is taken. The trials are kept beside the run, and those that are finished are not
    made again.

    Args:
        executor: makes several trials at a time; None: one after another, here.

    Raises:
        UsageError: no trial has a finite validation metric, or none can work.
        StoppedError, MamlzooError: as a sweep.
    """
    chosen = {key: values[0] for key, values in run.choose.items() if len(values) == 1}
    several = {key: values for key, values in run.choose.items() if len(values) > 1}
    if not several:
        return chosen
    settings = {**run.settings, **recipe.choice, **{key: value for key, value in chosen.items() if "." not in key}}
    options = {**run.options, **{key: value for key, value in chosen.items() if "." in key}}
    for key in several:  # given as an axis
        settings.pop(key, None)
        options.pop(key, None)
    seeds = settings.pop(SEEDS, run.seeds)
    parts = {"task": [run.task], "model": [run.model], "algorithm": [run.algorithm]}
    grid = grid_of(several, parts, options, seeds, settings)
    found = sweep_directory.record(grid, directory / f"{run.label}{SUFFIX}", policy, executor=executor)
    return chosen | dict(found.best().values)


def spelled(chosen: Mapping[str, Any]) -> str:
    """As in `inner_lr 0.01 and outer_lr 0.003`."""
    return " and ".join(f"{key.rpartition('.')[2]} {text(value)}" for key, value in chosen.items())
