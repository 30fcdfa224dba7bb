"""What a module can offer to the zoo: plugins, recipes, and ears for what runs do.

A plugin module, named by an entry point of the group `mamlzoo`, has at least one of these functions:

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Sine]

A function may leave out arguments that it does not use.

The contract between mamlzoo and plugins, this package, has a version, `mamlzoo.CONTRACT`; it rises when plugins can
count on something new. A module that does says so, above its imports from mamlzoo:

    __mamlzoo_contract__ = 1

An older mamlzoo then refuses it with the line that a newer one is needed, and loads everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from mamlzoo.contracts.plugins import Plugin
    from mamlzoo.experiments.experiment import Experiment
    from mamlzoo.experiments.result import Result
    from mamlzoo.runs.execution import Event

CONTRACT = 1
"""The version of the contract that this mamlzoo keeps."""

hookspec = pluggy.HookspecMarker("mamlzoo")
hookimpl = pluggy.HookimplMarker("mamlzoo")
"""Marks a function of a plugin module as one that mamlzoo calls; a decorator."""


class Specification:
    """What plugin modules may implement."""

    @hookspec
    def mamlzoo_plugins(self) -> Iterable[type[Plugin]]:  # type: ignore[empty-body]
        """The classes that this module offers: final subclasses of Task, Model or MetaAlgorithm."""

    @hookspec
    def mamlzoo_recipes(self) -> Iterable[Traversable]:  # type: ignore[empty-body]
        """The recipes that this module offers: TOML files, as `importlib.resources.files` gives them."""

    @hookspec
    def mamlzoo_run_started(self, experiment: Experiment, directory: Path, step: int) -> None:
        """A run that logs by this module begins, or goes on: it stands at meta-step `step`."""

    @hookspec
    def mamlzoo_run_progressed(self, experiment: Experiment, directory: Path, event: Event) -> None:
        """Something happened: a choice of plan, a record, a checkpoint, a step of the evaluation."""

    @hookspec
    def mamlzoo_run_ended(
        self, experiment: Experiment, directory: Path, result: Result | None, error: BaseException | None
    ) -> None:
        """It is over: with a result, or with what stopped it."""


LISTENING = ("mamlzoo_run_started", "mamlzoo_run_progressed", "mamlzoo_run_ended")
"""The hooks that make a module a logger."""
