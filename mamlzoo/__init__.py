"""A plugin-based zoo of meta-learning: mix any task, model and meta-algorithm, and trust the numbers.

    result = mamlzoo.run(task="sine", model="mlp", algorithm="maml", seeds=5)
    print(result.table())

Importing this does not import torch; the first use of a name from it does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mamlzoo.errors import MamlzooError, PluginError, UsageError
from mamlzoo.hooks import hookimpl
from mamlzoo.options import option

if TYPE_CHECKING:
    from mamlzoo.adaptation import GradientDescent, sgd, unroll
    from mamlzoo.engine.binding import bind, meta_loss
    from mamlzoo.experiment import Experiment, compare, run
    from mamlzoo.interfaces import (
        Batch,
        ClosedForm,
        Episode,
        Learner,
        MetaAlgorithm,
        MetaParams,
        Model,
        Params,
        Plugin,
        Spec,
        Split,
        Task,
    )
    from mamlzoo.registry import installed
    from mamlzoo.result import Comparison, Result
    from mamlzoo.store import load
    from mamlzoo.trees import leaves, named_leaves, stop_gradient, tree_map
    from mamlzoo.verification import verify

__version__ = "0.1.0"

_LAZY = {
    "mamlzoo.adaptation": ("GradientDescent", "sgd", "unroll"),
    "mamlzoo.engine.binding": ("bind", "meta_loss"),
    "mamlzoo.experiment": ("Experiment", "compare", "run"),
    "mamlzoo.interfaces": (
        "Batch", "ClosedForm", "Episode", "Learner", "MetaAlgorithm", "MetaParams", "Model", "Params", "Plugin",
        "Spec", "Split", "Task",
    ),
    "mamlzoo.registry": ("installed",),
    "mamlzoo.result": ("Comparison", "Result"),
    "mamlzoo.store": ("load",),
    "mamlzoo.trees": ("leaves", "named_leaves", "stop_gradient", "tree_map"),
    "mamlzoo.verification": ("verify",),
}  # fmt: skip
_HOME = {name: module for module, names in _LAZY.items() for name in names}

__all__ = [  # noqa: PLE0604
    "MamlzooError",
    "PluginError",
    "UsageError",
    "hookimpl",
    "option",
    *_HOME,
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mamlzoo' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
