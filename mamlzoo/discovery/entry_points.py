"""What is installed: find the entry points, load each on its own, keep the failed ones apart.

Three steps, each on values: find the entry points, load each on its own, classify what each offers. The built-ins come
this way too. Two environment variables steer it: `MAMLZOO_PLUGINS`, the distributions whose plugins may load besides
mamlzoo's own, separated by commas (`none`: no other); `MAMLZOO_STRICT=1`, the first failure is raised.

An entry point names a plugin's class, `package.module:Class`, or a module that has hooks, which may offer several. A
class that is refused is a failure of its own: the others of its module are loaded all the same.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from importlib.resources.abc import Traversable
from typing import Any

import pluggy

from mamlzoo.contracts import options, recipe_files
from mamlzoo.contracts.plugins import Plugin
from mamlzoo.contracts.recipes import Recipe
from mamlzoo.discovery import admission
from mamlzoo.discovery.failures import UNKNOWN, Failure, Origin, diagnose
from mamlzoo.discovery.registry import OWN, Logger, Offer, Registry, Trained, normal_name
from mamlzoo.errors import FOREIGN, PluginError, in_short
from mamlzoo.experiments.trained_places import NAME, SUFFIX

GROUP = "mamlzoo"


@functools.cache
def installed() -> Registry:
    """The registry of what is installed, discovered once a process."""
    found, unreadable = _entry_points()
    strict = os.environ.get("MAMLZOO_STRICT") == "1"
    registry = discover(found, allowed=_allowed(), strict=strict)
    registry.failures.extend(unreadable)
    return registry


def _entry_points() -> tuple[list[EntryPoint], list[Failure]]:
    """Those of our group; and the distributions of which one cannot say, since their files are damaged."""
    try:
        return list(entry_points(group=GROUP)), []
    except Exception:  # of whichever distribution; so each is read by itself
        found, failures = list[EntryPoint](), list[Failure]()
        for distribution in distributions():
            try:
                found += distribution.entry_points.select(group=GROUP)
            except Exception as error:
                name, version = _release(distribution)
                damaged = PluginError(
                    f"its entry_points.txt cannot be read: {in_short(error)}",
                    remedy=f"install {name} again: pip install --force-reinstall --no-deps {name}",
                )
                failures.append(diagnose(Origin(name, version, "entry_points.txt", UNKNOWN), "importing", damaged))
        return found, failures


def make(kind: str, name: str, **given: Any) -> Plugin:
    """A plugin with the options given, the others at their defaults.

    >>> make("algorithm", "maml", inner_lr=0.1).inner_lr
    0.1

    Raises:
        UsageError: there is no such plugin or option, or a value is out of range.
        PluginError: a plugin of that name failed to load.
    """
    return installed().make(kind, name, given)


def make_referenced(kind: str, reference: str, sha256: str, given: Mapping[str, Any]) -> Plugin:
    """A plugin as `file.py:Lines`, of that code alone: of any other nothing is executed (`source_code.load`).

    Raises:
        UsageError: there is other code by now; or as `make`.
        PluginError: it failed to load.
    """
    return options.make(installed().referenced(reference, kind, sha256), given, f"{kind} '{reference}'")


def discover(found: Iterable[EntryPoint], *, allowed: set[str] | None = None, strict: bool = False) -> Registry:
    """Load every entry point, each on its own.

    Args:
        allowed: the distributions whose plugins may load besides mamlzoo's own; None allows all.
        strict: raise the first failure instead of keeping it apart.
    """
    registry = Registry()
    unique = {(origin, entry.value): entry for origin, entry in _origins(list(found))}
    admitted = None if allowed is None else {OWN, *map(normal_name, allowed)}
    # Own plugins first: a third party's can then never take their names.
    for (origin, _), entry in sorted(unique.items(), key=lambda item: (item[0][0].distribution != OWN, item[0])):
        if admitted is not None and normal_name(origin.distribution) not in admitted:
            registry.left_out.append(origin)
            continue
        failures = _load(registry, entry, origin)
        if strict and failures:
            raise PluginError(str(failures[0])) from failures[0].error
        registry.failures.extend(failures)
    here = {normal_name(origin.distribution) for origin, _ in unique}
    registry.unknown.extend(sorted(name for name in allowed or () if normal_name(name) not in here))
    return registry


def _load(registry: Registry, entry: EntryPoint, origin: Origin) -> list[Failure]:
    """Put what a module offers into the registry; what fails comes back, each thing on its own."""
    failures: list[Failure] = []

    def apart(stage: str, refused: object = None) -> AbstractContextManager[None]:
        return _kept_apart(failures, origin, stage, refused)

    def offer(cls: Any) -> None:
        with apart("registering", cls):
            home = sys.modules.get(getattr(cls, "__module__", None) or "")
            admission.check_contract(getattr(home, "__dict__", {}))
            admission.check_class(cls)
            _add(registry, cls, origin)

    # What a stranger prints is no part of our output, which may be one JSON document.
    with redirect_stdout(sys.stderr), apart("importing"):
        module = _imported(entry)
        with apart("registering"):
            admission.check_contract(getattr(module, "__dict__", {}))
            named = admission.named_in(module, entry.attr)
            if isinstance(named, type):
                offer(named)
            else:
                _ask(registry, admission.hooks_of(named), origin, apart, offer)
    return failures


def _ask(
    registry: Registry,
    relay: pluggy.HookRelay,
    origin: Origin,
    apart: Callable[..., AbstractContextManager[None]],
    offer: Callable[[Any], None],
) -> None:
    """Put what a module's hooks give into the registry."""
    with apart("registering"):
        for cls in admission.answers(relay, "mamlzoo_plugins"):
            offer(cls)
    with apart("registering"):
        for file in admission.answers(relay, "mamlzoo_recipes"):
            with apart("registering", file):
                _add_recipe(registry, recipe_files.parse(file.read_text(encoding="utf-8")))
    with apart("registering"):
        for file in admission.answers(relay, "mamlzoo_trained"):
            with apart("registering", file):
                _add_trained(registry, file, origin)
    if any(getattr(relay, name).get_hookimpls() for name in admission.LISTENING):
        registry.loggers[origin.entry_point] = Logger(relay, origin)


@contextmanager
def _kept_apart(failures: list[Failure], origin: Origin, stage: str, refused: object) -> Iterator[None]:
    """Make a failure of whatever a stranger's code raises, be it SystemExit; Ctrl-C is no failure."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        failures.append(diagnose(origin, stage, error, refused))


def _imported(entry: EntryPoint) -> Any:
    if entry.pattern.match(entry.value) is None or "" in (entry.attr or "none").split("."):
        raise PluginError(
            f"its entry point's value {entry.value!r} names no class and no module",
            remedy=f'write {entry.name} = "package.module:Class"',
        )
    try:
        return importlib.import_module(entry.module)
    except FOREIGN as error:
        # What needs a newer mamlzoo may well fail for that very reason, and its contract, read so far, says it better.
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") == entry.module:
                admission.check_contract(frame.f_globals)
        raise


def _allowed() -> set[str] | None:
    named = os.environ.get("MAMLZOO_PLUGINS")
    return None if named is None else {name.strip() for name in named.split(",")} - {"none", ""}


def _origins(found: list[EntryPoint]) -> Iterator[tuple[Origin, EntryPoint]]:
    """Each with where it comes from; a distribution's metadata, which are a file, are read once for all of its own."""
    releases: dict[int, tuple[str, str]] = {}
    for entry in found:
        if id(entry.dist) not in releases:
            releases[id(entry.dist)] = _release(entry.dist)
        yield Origin(*releases[id(entry.dist)], entry.name, entry.value), entry


def _release(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution."""
    named: list[str | None] = [None, None]
    with suppress(Exception):  # one half removed has no metadata, and each Python says so in its own way
        named = [distribution.name, distribution.version] if distribution else named
    name, version = (part or UNKNOWN for part in named)
    return name, version


def _add_recipe(registry: Registry, recipe: Recipe) -> None:
    if recipe.name in registry.recipes:
        raise PluginError(f"the name of recipe '{recipe.name}' is taken", remedy="give this one another `name`")
    registry.recipes[recipe.name] = recipe


def _add_trained(registry: Registry, file: Traversable, origin: Origin) -> None:
    name = file.name.removesuffix(SUFFIX)
    if not file.name.endswith(SUFFIX) or NAME.fullmatch(name) is None:
        raise PluginError(
            f"a packed run is called {file.name!r}, which makes no name of a trained θ",
            remedy=f"use letters, digits, dashes, dots and underscores, a letter or digit first, and {SUFFIX} last",
        )
    taken = registry.trained.get(name)
    if taken is not None:
        raise PluginError(
            f"the name of trained θ '{name}' is taken by {taken.origin.release}", remedy="call it otherwise"
        )
    registry.trained[name] = Trained(file, origin)


def _add(registry: Registry, cls: type[Plugin], origin: Origin) -> None:
    taken = registry.offers[cls.kind].get(cls.name)
    if taken is not None and taken.cls is cls:
        raise PluginError(
            f"{cls.kind} '{cls.name}' is offered twice, by the entry points {taken.origin.entry_point} and "
            f"{origin.entry_point}",
            remedy="remove one of them",
        )
    if taken is not None:
        by = f"{taken.origin.release} ({taken.origin.value})"
        raise PluginError(
            f"the name of {cls.kind} '{cls.name}' is taken by {by}", remedy=f"give {cls.__name__} another `name`"
        )
    registry.offers[cls.kind][cls.name] = Offer(cls, origin)
