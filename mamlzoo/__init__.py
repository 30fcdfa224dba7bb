"""A plugin-based zoo of meta-learning: mix any task, model and meta-algorithm, and trust the numbers.

    result = mamlzoo.run(task="sine", model="mlp", algorithm="maml", seeds=5)
    print(result.table())

Importing this does not import torch; the first use of a name from it does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mamlzoo.errors import MamlzooError as MamlzooError
from mamlzoo.errors import PluginError as PluginError
from mamlzoo.errors import UsageError as UsageError
from mamlzoo.hooks import CONTRACT as CONTRACT
from mamlzoo.hooks import hookimpl as hookimpl
from mamlzoo.options import option as option

if TYPE_CHECKING:
    from mamlzoo.adaptation import GradientDescent as GradientDescent
    from mamlzoo.adaptation import adapt as adapt
    from mamlzoo.adaptation import sgd as sgd
    from mamlzoo.adapted import Adapted as Adapted
    from mamlzoo.checkpoints import Checkpoint as Checkpoint
    from mamlzoo.checkpoints import ValidationRecord as ValidationRecord
    from mamlzoo.combinations import compare as compare
    from mamlzoo.combinations import resume as resume
    from mamlzoo.combinations import run as run
    from mamlzoo.comparison import Comparison as Comparison
    from mamlzoo.discovery.registry import installed as installed
    from mamlzoo.discovery.registry import make as make
    from mamlzoo.engine.binding import bind as bind
    from mamlzoo.engine.plans import meta_loss as meta_loss
    from mamlzoo.engine.training import TrainingRecord as TrainingRecord
    from mamlzoo.experiment import Experiment as Experiment
    from mamlzoo.interfaces import Batch as Batch
    from mamlzoo.interfaces import ClosedForm as ClosedForm
    from mamlzoo.interfaces import Episode as Episode
    from mamlzoo.interfaces import Learner as Learner
    from mamlzoo.interfaces import MetaAlgorithm as MetaAlgorithm
    from mamlzoo.interfaces import MetaParams as MetaParams
    from mamlzoo.interfaces import Model as Model
    from mamlzoo.interfaces import Params as Params
    from mamlzoo.interfaces import Plugin as Plugin
    from mamlzoo.interfaces import Spec as Spec
    from mamlzoo.interfaces import Split as Split
    from mamlzoo.interfaces import Task as Task
    from mamlzoo.points import Points as Points
    from mamlzoo.points import read_points as read_points
    from mamlzoo.result import Result as Result
    from mamlzoo.settings import Settings as Settings
    from mamlzoo.store import load as load
    from mamlzoo.sweeping import sweep as sweep
    from mamlzoo.sweeps import Sweep as Sweep
    from mamlzoo.tested import evaluate as evaluate
    from mamlzoo.trees import leaves as leaves
    from mamlzoo.trees import named_leaves as named_leaves
    from mamlzoo.trees import stop_gradient as stop_gradient
    from mamlzoo.trees import tree_map as tree_map
    from mamlzoo.verification import verify as verify

__version__ = "0.1.0"

_LAZY = {
    "mamlzoo.adaptation": ("GradientDescent", "adapt", "sgd"),
    "mamlzoo.adapted": ("Adapted",),
    "mamlzoo.checkpoints": ("Checkpoint", "ValidationRecord"),
    "mamlzoo.combinations": ("compare", "resume", "run"),
    "mamlzoo.engine.binding": ("bind",),
    "mamlzoo.engine.plans": ("meta_loss",),
    "mamlzoo.engine.training": ("TrainingRecord",),
    "mamlzoo.experiment": ("Experiment",),
    "mamlzoo.interfaces": (
        "Batch", "ClosedForm", "Episode", "Learner", "MetaAlgorithm", "MetaParams", "Model", "Params", "Plugin",
        "Spec", "Split", "Task",
    ),
    "mamlzoo.points": ("Points", "read_points"),
    "mamlzoo.discovery.registry": ("installed", "make"),
    "mamlzoo.comparison": ("Comparison",),
    "mamlzoo.result": ("Result",),
    "mamlzoo.settings": ("Settings",),
    "mamlzoo.store": ("load",),
    "mamlzoo.sweeping": ("sweep",),
    "mamlzoo.sweeps": ("Sweep",),
    "mamlzoo.tested": ("evaluate",),
    "mamlzoo.trees": ("leaves", "named_leaves", "stop_gradient", "tree_map"),
    "mamlzoo.verification": ("verify",),
}  # fmt: skip
_HOME = {name: module for module, names in _LAZY.items() for name in names}

__all__ = ["CONTRACT", "MamlzooError", "PluginError", "UsageError", "hookimpl", "option", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mamlzoo' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
