"""Find the plugins, keep the failed ones apart, look the others up by name.

Three steps, each on values: find the entry points, load each on its own, classify what each offers. The built-ins come
this way too. Two environment variables steer it: `MAMLZOO_PLUGINS`, the distributions whose plugins may load besides
mamlzoo's own, separated by commas (`none`: no other); `MAMLZOO_STRICT=1`, the first failure is raised.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, NamedTuple

import pluggy

from mamlzoo import brought, hooks, options, recipes
from mamlzoo.errors import PluginError, UsageError, did_you_mean
from mamlzoo.interfaces import KINDS, Plugin
from mamlzoo.recipes import Recipe

GROUP = "mamlzoo"
OWN = "mamlzoo"


class Origin(NamedTuple):
    """Where a plugin comes from."""

    distribution: str
    version: str
    entry_point: str
    module: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.entry_point} = {self.module})"


class Offer(NamedTuple):
    """A plugin that can be used."""

    cls: type[Plugin]
    origin: Origin


class Failure(NamedTuple):
    """A plugin that cannot: at which stage it failed, and how."""

    origin: Origin
    stage: str
    error: BaseException

    def __str__(self) -> str:
        kind = "" if isinstance(self.error, PluginError) else f"{type(self.error).__name__}: "
        return (
            f"{self.origin.distribution} {self.origin.version}, {self.stage} {self.origin.module}: {kind}{self.error}"
        )


@dataclass(frozen=True)
class Registry:
    """The plugins by kind and name, recipes and loggers by name, and the failures.

    Attributes:
        loggers: by entry point, what calls that module's hooks about runs.
    """

    offers: Mapping[str, dict[str, Offer]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    recipes: dict[str, Recipe] = field(default_factory=dict)
    loggers: dict[str, pluggy.HookRelay] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def get(self, kind: str, name: str) -> type[Plugin]:
        """The class of that kind and name; a name as `file.py:Lines` is looked up in that file (`brought`).

        Raises:
            PluginError: a plugin of that name failed to load.
            UsageError: there is none.
        """
        if name in self.offers[kind]:
            return self.offers[kind][name].cls
        if brought.is_reference(name):
            return brought.find(name, kind)
        self._raise_failure(kind, name)
        elsewhere = [other for other in KINDS if name in self.offers[other]]
        if elsewhere:
            known = ", ".join(sorted(self.offers[kind]))
            raise UsageError(f"'{name}' names no {kind} but another kind, {elsewhere[0]}; {kind}s are: {known}")
        failed = f" ({len(self.failures)} failed to load: see `mamlzoo list`)" if self.failures else ""
        raise UsageError(f"there is no {kind} '{name}'; {did_you_mean(name, self.offers[kind])}{failed}")

    def find(self, name: str) -> list[Offer]:
        """Every plugin of that name, of any kind; or the one that a name as `file.py:Lines` means.

        Raises:
            PluginError, UsageError: as `get`.
        """
        found = [offers[name] for offers in self.offers.values() if name in offers]
        if not found and brought.is_reference(name):
            return [_brought(name)]
        if not found:
            self._raise_failure("plugin", name)
            everything = {known for offers in self.offers.values() for known in offers}
            raise UsageError(f"there is no plugin '{name}'; {did_you_mean(name, everything)}")
        return found

    def recipe(self, name: str) -> Recipe:
        """The recipe of that name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.recipes:
            raise UsageError(f"there is no recipe '{name}'; {did_you_mean(name, self.recipes)}")
        return self.recipes[name]

    def logger(self, name: str) -> pluggy.HookRelay:
        """What calls the hooks of the logger of that name.

        Raises:
            PluginError: it failed to load.
            UsageError: there is none.
        """
        if name not in self.loggers:
            self._raise_failure("logger", name)
            raise UsageError(f"there is no logger '{name}'; {did_you_mean(name, self.loggers)}")
        return self.loggers[name]

    def _raise_failure(self, kind: str, name: str) -> None:
        for failure in self.failures:
            if failure.origin.entry_point == name:
                raise PluginError(f"{kind} '{name}' could not be loaded: {failure}") from failure.error

    def make(self, kind: str, name: str, given: Mapping[str, Any] | None = None) -> Plugin:
        """A plugin with the options given, the others at their defaults."""
        return options.make(self.get(kind, name), given or {}, f"{kind} '{name}'")


@functools.cache
def installed() -> Registry:
    """The registry of what is installed, discovered once a process."""
    return discover(entry_points(group=GROUP), allowed=_allowed(), strict=os.environ.get("MAMLZOO_STRICT") == "1")


def make(kind: str, name: str, **given: Any) -> Plugin:
    """A plugin with the options given, the others at their defaults.

    >>> make("algorithm", "maml", inner_lr=0.1).inner_lr
    0.1

    Raises:
        UsageError: there is no such plugin or option, or a value is out of range.
        PluginError: a plugin of that name failed to load.
    """
    return installed().make(kind, name, given)


def discover(found: Iterable[EntryPoint], *, allowed: set[str] | None = None, strict: bool = False) -> Registry:
    """Load every entry point, each on its own.

    Args:
        allowed: the distributions whose plugins may load besides mamlzoo's own; None allows all.
        strict: raise the first failure instead of keeping it apart.
    """
    registry = Registry()
    unique = {(_origin(entry), entry.value): entry for entry in found}
    # Own plugins first: a third party's can then never take their names.
    for (origin, _), entry in sorted(unique.items(), key=lambda item: (item[0][0].distribution != OWN, item[0])):
        if allowed is not None and _normal(origin.distribution) not in {OWN, *map(_normal, allowed)}:
            continue
        stage = "importing"
        try:
            module = entry.load()
            stage = "registering"
            hooks_of = _hooks(module)
            for cls in _flat(hooks_of.mamlzoo_plugins()):
                _check(cls)
                _add(registry, cls, origin)
            for file in _flat(hooks_of.mamlzoo_recipes()):
                _add_recipe(registry, recipes.parse(file.read_text(encoding="utf-8")))
            if any(getattr(hooks_of, name).get_hookimpls() for name in hooks.LISTENING):
                registry.loggers[origin.entry_point] = hooks_of
        except (Exception, SystemExit) as error:  # whatever a stranger's code raises
            failure = Failure(origin, stage, error)
            if strict:
                raise PluginError(str(failure)) from error
            registry.failures.append(failure)
    return registry


def _allowed() -> set[str] | None:
    named = os.environ.get("MAMLZOO_PLUGINS")
    return None if named is None else {name.strip() for name in named.split(",")} - {"none", ""}


def _normal(distribution: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _origin(entry: EntryPoint) -> Origin:
    distribution = entry.dist
    name, version = (distribution.name, distribution.version) if distribution else ("?", "?")
    return Origin(name, version, entry.name, entry.value)


def _hooks(module: ModuleType) -> pluggy.HookRelay:
    """What calls a module's hooks, and no other's."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hooks.Specification)
    manager.register(module)
    manager.check_pending()
    if not manager.get_hookcallers(module):
        raise PluginError("it has no hook; add a function mamlzoo_plugins marked with @mamlzoo.hookimpl")
    return manager.hook


def _brought(name: str) -> Offer:
    cls = brought.find(name)
    source = brought.source_of(cls)
    assert source is not None
    place = source.reference.rpartition(":")[0]
    return Offer(cls, Origin(place, f"SHA-256 {source.sha256[:12]}…", name, place))


def _flat(answers: Sequence[Iterable[Any]]) -> list[Any]:
    return [item for answer in answers for item in answer]


def _check(cls: Any) -> None:
    what = getattr(cls, "__name__", repr(cls))
    if not (isinstance(cls, type) and issubclass(cls, Plugin) and getattr(cls, "kind", None) in KINDS):
        raise PluginError(f"{what} is no subclass of mamlzoo.Task, mamlzoo.Model or mamlzoo.MetaAlgorithm")
    if inspect.isabstract(cls):
        raise PluginError(f"{what} lacks " + ", ".join(sorted(getattr(cls, "__abstractmethods__", []))))
    if not isinstance(getattr(cls, "name", None), str):
        raise PluginError(f"{what} has no name; add a line such as name = 'sine'")
    if not cls.__doc__ or cls.summary().startswith(f"{what}("):
        raise PluginError(f"{what} has no docstring; its first line is what `mamlzoo list` shows")
    try:
        options.options_of(cls)
    except (TypeError, NameError, ValueError) as error:
        raise PluginError(f"{what} has an unusable option: {error}") from error


def _add_recipe(registry: Registry, recipe: Recipe) -> None:
    if recipe.name in registry.recipes:
        raise PluginError(f"the name of recipe '{recipe.name}' is taken")
    registry.recipes[recipe.name] = recipe


def _add(registry: Registry, cls: type[Plugin], origin: Origin) -> None:
    taken = registry.offers[cls.kind].get(cls.name)
    if taken is not None:
        raise PluginError(f"the name of {cls.kind} '{cls.name}' is taken by {taken.origin.distribution}")
    registry.offers[cls.kind][cls.name] = Offer(cls, origin)
