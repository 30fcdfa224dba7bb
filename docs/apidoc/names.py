"""Which names are public, in the order in which a reader looks for them."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import griffe

ROOT = Path(__file__).parent.parent.parent
Documented = griffe.Function | griffe.Class | griffe.Attribute


class Group(NamedTuple):
    """Names that are looked for together.

    Attributes:
        text: what a reader needs to know before them, as Markdown.
        paths: where each is, below `mamlzoo`: "run", "experiments.metrics.Evaluation".
    """

    title: str
    text: str
    paths: tuple[str, ...]


class Public(NamedTuple):
    """A public name: what it is called, and what it is."""

    name: str
    found: Documented


def exported(module: str) -> tuple[str, ...]:
    """The paths of all that a public module below `mamlzoo` exports, for a group of its own.

    Group("Test plugins", "What a reader needs to know.", exported("testing"))
    """
    return tuple(f"{module}.{name}" for name in importlib.import_module(f"mamlzoo.{module}").__all__)


USE = (
    Group(
        "Run and compare",
        "A task, a model and an algorithm, each a name, a class or an instance, and a budget.",
        (
            "run", "compare", "sweep", "resume", "load", "save", "plot", "report", "explore", "verify", "Experiment",
            "Settings",
        ),
    ),
    Group(
        "Results",
        "What `run`, `compare` and `sweep` return, and what is in it. Arrays are NumPy's.",
        ("Result", "Comparison", "Sweep", "Adapted", "Checkpoint", "Figure"),
    ),
    Group(
        "What a run tells",
        "What `progress` and loggers are called with, as it comes.",
        ("Event", "Notice", "Alert", "Choice", "TrainingRecord", "ValidationRecord", "EvaluationProgress"),
    ),
    Group(
        "A loop of your own",
        "For training that mamlzoo does not run: your data, your optimiser, your loop; tested as a run is.",
        ("bind", "meta_loss", "evaluate", "read_points", "Points"),
    ),
    Group(
        "Your arrays as a task",
        "Examples that are held in NumPy arrays, memory maps or tensors.",
        ("task_of_classes", "task_of_groups", "ClassTask", "ImageTask", "reading", "kept", "told_of"),
    ),
    Group(
        "Published data sets",
        "What a task is made of that a user adds once, by `mamlzoo data`.",
        ("Dataset", "Archive"),
    ),
    Group(
        "Find plugins",
        "What is installed, by name.",
        ("make", "installed", "discovery.registry.Registry", "discovery.registry.Offer", "discovery.failures.Failure",
         "discovery.failures.Origin"),
    ),
    Group(
        "Errors",
        "One clear line each; the command line prints it without a traceback and ends with the exit code.",
        ("MamlzooError", "UsageError", "MissingDataError", "PluginError"),
    ),
    Group(
        "Types met on the way",
        "What the names above take, hold or return, each with the module that it is in.",
        (
            "runs.name_resolution.TaskLike", "runs.name_resolution.ModelLike", "runs.name_resolution.AlgorithmLike",
            "experiments.metrics.Evaluation", "experiments.result.Timing", "tables.Table",
            "comparisons.differences.Differences", "comparisons.verdicts.Difference", "statistics.Interval",
            "sweeps.axes.Axis", "sweeps.cells.Cell", "sweeps.cells.Scores", "sweeps.cells.Estimate",
            "verification.report.Verification", "verification.report.EpisodeReport", "verification.report.Coordinate",
            "experiments.events.Listener", "experiments.result.Numbers",
        ),
    ),
)  # fmt: skip
WRITE = (
    Group(
        "What a plugin is",
        "A plugin is a final subclass of `Task`, `Model` or `MetaAlgorithm`. It becomes a frozen dataclass by itself,\n"
        "and each field declared with `option` is an option of it: a keyword in Python and a flag on the command line.",
        (
            "Task",
            "Model",
            "MetaAlgorithm",
            "Plugin",
            "option",
            "Spec",
            "Input",
            "Batch",
            "Episode",
            "Range",
            "sizes",
            "class_metrics",
            "Split",
            "ClosedForm",
        ),
    ),
    Group(
        "Episodes over arrays",
        "For a task of your own whose data are arrays: its `sample` is one line.",
        ("ClassEpisodes", "GroupEpisodes", "arrays.array_episodes.ArrayEpisodes"),
    ),
    Group(
        "Tables in files",
        "For a task that reads files: named columns of texts, each with its place for a message, from CSV of any\n"
        "separator, Parquet or Arrow.",
        ("read_table", "TextTable", "decimal_mark"),
    ),
    Group(
        "Write an algorithm",
        "Every method of an algorithm is a pure function of one episode; mamlzoo batches it over tasks and seeds.",
        (
            "GradientDescent",
            "CompleteAtOnce",
            "Learner",
            "Noise",
            "adapt",
            "sgd",
            "stop_gradient",
            "tree_map",
            "leaves",
            "named_leaves",
            "Params",
            "MetaParams",
            "contracts.data.Fast",
            "Builder",
            "MetaLoss",
        ),
    ),
    Group(
        "Predictions with uncertainty",
        "A task says by `Task.distribution` how a network's outputs are read as one of these, or an algorithm returns\n"
        "one from `predict`. Scores, coverage and calibration then come by themselves.",
        ("Distribution", "Gaussian", "Categorical", "Quantiles"),
    ),
    Group(
        "Hooks",
        "What a module that an entry point of the group `mamlzoo` names can offer, and what it can hear of runs:\n"
        "functions of these names, marked with `hookimpl`. A function may leave out arguments that it does not use.\n"
        "(An entry point that names a plugin's class needs none.)",
        (
            "hookimpl",
            "CONTRACT",
            *(f"contracts.hooks.Offering.mamlzoo_{hook}" for hook in ("plugins", "recipes", "trained")),
            *(
                f"experiments.logger_hooks.Listening.mamlzoo_{hook}"
                for hook in ("run_started", "run_progressed", "run_ended")
            ),
        ),
    ),
    Group(
        "Test plugins",
        "The conformance kit: what each kind of plugin promises, one check a promise. `mamlzoo check` runs the same.",
        exported("testing"),
    ),
)
PARTS = {"Use": USE, "Write a plugin": WRITE}
"""The reference's two parts: for those who run what there is, and for those who add to it."""
GROUPS = (*USE, *WRITE)


@functools.cache
def source() -> griffe.Module:
    """The package as griffe reads it: from the source files, without running them."""
    logging.getLogger("griffe").setLevel(logging.ERROR)  # it minds one entry for two arguments, `x, y: …`
    loaded = griffe.load("mamlzoo", search_paths=[ROOT], docstring_parser="google")
    assert isinstance(loaded, griffe.Module)
    return loaded


def find(path: str) -> Documented:
    """What stands at a path below `mamlzoo`, where it is defined.

    Raises:
        KeyError: nothing does.
        TypeError: it is neither a function nor a class nor a constant.
    """
    found = source()[path]
    target = found.final_target if isinstance(found, griffe.Alias) else found
    if not isinstance(target, Documented):
        raise TypeError(f"mamlzoo.{path} is a {target.kind.value}, which is no public name")
    return target


def public(group: Group) -> Iterator[Public]:
    """The names of a group."""
    for path in group.paths:
        yield Public(path.rpartition(".")[2], find(path))


def members(cls: griffe.Class) -> Iterator[Public]:
    """The public members that a class defines itself, in the order of the source."""
    for name, member in cls.members.items():
        if not name.startswith("_") and isinstance(member, griffe.Function | griffe.Attribute):
            yield Public(name, member)
