"""An experiment as a config, which JSON holds, and the way back."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, cast

import torch

import mamlzoo
from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import KINDS, MetaAlgorithm, Model, Plugin, Task
from mamlzoo.discovery import serialisation
from mamlzoo.discovery.blame import blamed
from mamlzoo.engine.placement import device_of
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.settings import Settings
from mamlzoo.runs import provenance


def config_of(experiment: Experiment) -> dict[str, Any]:
    """Names, options, settings, versions, machine and revision: what it takes to run this again."""
    with blamed(experiment, "reading its data"):
        plugins = {
            plugin.kind: {
                "name": plugin.name,
                "options": options.values(plugin),
                **_later(plugin),
                **serialisation.of(plugin),
                **serialisation.data_of(plugin),
            }
            for plugin in experiment.plugins
        }
    versions = {"mamlzoo": mamlzoo.__version__, "torch": torch.__version__, "python": platform.python_version()}
    settings = experiment.settings
    return plugins | {
        "settings": options.values(settings),
        "versions": versions,
        "machine": provenance.machine(device_of(settings.device), settings.most_threads),
        "git": provenance.git_revision(),
    }


def _later(plugin: Plugin) -> dict[str, list[str]]:
    names = options.later_at_default(plugin)
    return {"later": names} if names else {}


def experiment_from(config: Mapping[str, Any], given: Mapping[str, Plugin] | None = None) -> Experiment:
    """The experiment that has this config.

    Args:
        given: by kind, a plugin that came from Python; it takes the place of the one that the config names.

    Raises:
        UsageError: a plugin or an option of it is not installed, came from Python and is not given, or came from a
            file that is gone or has changed.
    """
    given = given or {}
    task, model, algorithm = (given.get(kind) or serialisation.make(kind, config[kind]) for kind in KINDS)
    settings = options.make(Settings, config["settings"], "settings")
    return Experiment(cast(Task, task), cast(Model, model), cast(MetaAlgorithm, algorithm), settings)


def check_data(experiment: Experiment, config: Mapping[str, Any]) -> None:
    """What the plugins of a run with this config read must be there still, unchanged.

    Raises:
        UsageError: it has changed, or is gone.
    """
    with blamed(experiment, "reading its data"):
        for plugin in experiment.plugins:
            serialisation.check_data(config[plugin.kind], plugin)
