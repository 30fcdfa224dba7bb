"""Who is to blame where a run fails, and where that plugin comes from.

A run is three plugins that call each other, often by way of torch, so the innermost line of a traceback says little.
The innermost one that belongs to a plugin says who it was.
"""

from __future__ import annotations

import functools
import inspect
import shlex
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, cast

from mamlzoo.contracts.learner import NETWORK_CALL
from mamlzoo.contracts.plugins import Model, Plugin
from mamlzoo.discovery import memory_blame
from mamlzoo.discovery.entry_points import installed
from mamlzoo.engine.torch_errors import explained
from mamlzoo.errors import FOREIGN, MamlzooError, PluginError
from mamlzoo.experiments.experiment import Experiment


@contextmanager
def blamed(experiment: Experiment, stage: str, hint: Callable[[], str] | None = None) -> Iterator[None]:
    """Name the experiment and the plugin in whatever a plugin raises, and where that comes from.

    Args:
        hint: asked then for what may help.
    """
    try:
        yield
    except FOREIGN as error:
        oversized = memory_blame.too_large(error, experiment)
        if oversized is not None:
            raise oversized from error
        if isinstance(error, MamlzooError):
            locate(error)
            raise
        helps = hint() if hint else ""
        raise accusation(error, experiment.plugins, f"{experiment.name} failed in {stage}", helps) from error


class Suspect(NamedTuple):
    """A plugin, and the last line of its file on the way to the error (None: no line of it)."""

    plugin: Plugin
    line: int | None


def accusation(error: BaseException, plugins: Sequence[Plugin], failed: str, hint: str = "") -> PluginError:
    """What a stranger's exception in a run becomes.

    Args:
        plugins: those of the run, one of which may be to blame.
        failed: what failed, as in "sine × mlp × maml failed in training".
        hint: what may help besides.
    """
    accused = PluginError(f"{failed}: {explained(error)}")
    suspect = find_suspect(error, plugins)
    told = [hint, "`mamlzoo --debug` shows where"]
    if suspect is not None:
        accused.plugin = suspect.plugin
        named = f"{suspect.plugin.kind} '{suspect.plugin.name}' {origin(suspect.plugin, suspect.line)}"
        told = [hint, named, *_check(suspect.plugin), told[-1]]
    accused.origin = "; ".join(filter(None, told))
    return accused


def locate(error: MamlzooError) -> None:
    """Say in an error that names a plugin where that comes from; once is enough."""
    plugin = error.plugin
    if not isinstance(plugin, Plugin) or error.origin:
        return
    cause = error.__cause__
    suspect = find_suspect(cause, [plugin]) if cause is not None else None
    told = [origin(plugin, suspect.line if suspect else None), *_check(plugin)]
    error.origin = "; ".join([*told, "`mamlzoo --debug` shows where"] if cause is not None else told)


def find_suspect(error: BaseException, plugins: Sequence[Plugin]) -> Suspect | None:
    """The plugin whose code, or whose network's, is innermost on the way to the error; None: no plugin's is."""
    files = {id(plugin): _file(plugin) for plugin in plugins}
    found: Suspect | None = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        plugin = _owner(frame, plugins, files)
        if plugin is not None:
            kept = found.line if found is not None and found.plugin is plugin else None
            found = Suspect(plugin, line if file == files[id(plugin)] else kept)
    miscalled = _miscalled(error, plugins)
    return found if miscalled is None or (found is not None and found.plugin is miscalled.plugin) else miscalled


def origin(plugin: Plugin, line: int | None = None) -> str:
    """Where a plugin comes from: `from lines 1.5, /site/lines.py:12`, `from /home/me/net.py:3` or `from Python`."""
    file = _file(plugin)
    where = f"{file}:{line}" if file and line else file
    return "from " + (", ".join(filter(None, [_distribution(plugin), where])) or "Python")


def _owner(frame: FrameType, plugins: Sequence[Plugin], files: dict[int, str | None]) -> Plugin | None:
    """Whose the code of a frame is: a method of the plugin, a network's call, or a line of one plugin's file alone."""
    itself = frame.f_locals.get("self")
    if any(itself is plugin for plugin in plugins):
        return cast(Plugin, itself)
    if frame.f_code is NETWORK_CALL:
        return next((plugin for plugin in plugins if isinstance(plugin, Model)), None)
    owners = [plugin for plugin in plugins if files[id(plugin)] == frame.f_code.co_filename]
    return owners[0] if len(owners) == 1 else None


def _miscalled(error: BaseException, plugins: Sequence[Plugin]) -> Suspect | None:
    """The plugin whose method cannot take its arguments, which Python raises where it is called, in another's code."""
    if not isinstance(error, TypeError):
        return None
    for plugin in plugins:
        for _, method in inspect.getmembers(type(plugin), inspect.isfunction):
            if str(error).startswith(f"{method.__qualname__}() "):
                code = method.__code__
                return Suspect(plugin, code.co_firstlineno if code.co_filename == _file(plugin) else None)
    return None


def _source(plugin: Plugin) -> Any:
    """What a plugin was written as: its class, or the function or the module's class that was given as a model."""
    source: Any = getattr(type(plugin), "__wrapped__", type(plugin))
    while isinstance(source, functools.partial):
        source = source.func
    return source if inspect.isroutine(source) or isinstance(source, type) else type(source)


def _file(plugin: Plugin) -> str | None:
    source = _source(plugin)
    if source.__module__.partition(".")[0] == "torch":  # a network put together of torch's own modules
        return None
    try:
        file = inspect.getsourcefile(source)
    except (TypeError, OSError):  # typed at a prompt, or compiled
        return None
    return None if file is None or file.startswith("<") else file


def _distribution(plugin: Plugin) -> str:
    """Name and version of the distribution that brings the plugin, or nothing."""
    offer = installed().offers[plugin.kind].get(plugin.name)
    return offer.origin.release if offer and offer.cls is type(plugin) else ""


def _check(plugin: Plugin) -> list[str]:
    """The command that tests the plugin, where one can name it."""
    if _distribution(plugin):
        return [f"`mamlzoo check {plugin.name}` tests it"]
    source, file = _source(plugin), _file(plugin)
    if file and Path(file).is_relative_to(Path(__file__).parent.parent):  # a network of the conformance kit
        return []
    if file and source.__qualname__.isidentifier() and source.__module__ != "__main__":
        return [f"`mamlzoo check {shlex.quote(f'{file}:{source.__qualname__}')}` tests it"]
    return []
