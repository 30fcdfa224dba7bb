"""The experiments that a recipe's runs are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mamlzoo.contracts.recipes import RecipeRun
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.runs.name_resolution import combined


def experiment_of(run: RecipeRun, directory: Path, chosen: Mapping[str, Any] = MappingProxyType({})) -> Experiment:
    """The experiment of a recipe's run, in a directory that will have the runs before it.

    Args:
        chosen: options and settings that validation chose, by key; of a run that tests another's θ, those of that one.

    Raises:
        UsageError: a plugin is not installed.
    """
    settings = {**run.settings, **{key: value for key, value in chosen.items() if "." not in key}}
    options = {**run.options, **{key: value for key, value in chosen.items() if "." in key}}
    if run.origin is not None:
        settings["init_from"] = str((directory / run.origin).absolute())
    (experiment,) = combined([run.task], [run.model], [run.algorithm], options=options, seeds=run.seeds, **settings)
    return experiment
