"""Find the plugins, keep the failed ones apart, look the others up by name.

Three steps, each on values: find the entry points, load each on its own, classify what each offers. The built-ins come
this way too. Two environment variables steer it: `MAMLZOO_PLUGINS`, the distributions whose plugins may load besides
mamlzoo's own, separated by commas (`none`: no other); `MAMLZOO_STRICT=1`, the first failure is raised.

A class that is refused is a failure of its own: the others of its module are loaded all the same.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import Any, NamedTuple

import pluggy

from mamlzoo.contracts import options, recipes
from mamlzoo.contracts.plugins import KINDS, Plugin
from mamlzoo.contracts.recipes import Recipe
from mamlzoo.discovery import admission, references
from mamlzoo.discovery.failures import UNKNOWN, Failure, Origin, diagnose
from mamlzoo.errors import FOREIGN, PluginError, UsageError, did_you_mean, in_short

GROUP = "mamlzoo"
OWN = "mamlzoo"


class Offer(NamedTuple):
    """A plugin that can be used."""

    cls: type[Plugin]
    origin: Origin


class Logger(NamedTuple):
    """What calls the hooks of a module that listens to runs."""

    hooks: pluggy.HookRelay
    origin: Origin


@dataclass(frozen=True)
class Registry:
    """The plugins by kind and name, recipes and loggers by name, and the failures.

    Attributes:
        loggers: by entry point.
        left_out: what is installed, and not among what `MAMLZOO_PLUGINS` allows.
        unknown: distributions that `MAMLZOO_PLUGINS` names, and that offer nothing here.
    """

    offers: Mapping[str, dict[str, Offer]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    recipes: dict[str, Recipe] = field(default_factory=dict)
    loggers: dict[str, Logger] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    left_out: list[Origin] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def get(self, kind: str, name: str) -> type[Plugin]:
        """The class of that kind and name; a name as `file.py:Lines` is looked up in that file (`brought`).

        Raises:
            PluginError: a plugin of that name failed to load.
            UsageError: there is none.
        """
        if name in self.offers[kind]:
            return self.offers[kind][name].cls
        if references.is_reference(name):
            return self._brought(name, kind)
        self._raise_failure(kind, name)
        elsewhere = [other for other in KINDS if name in self.offers[other]]
        if elsewhere:
            known = ", ".join(sorted(self.offers[kind]))
            raise UsageError(f"'{name}' names no {kind} but another kind, {elsewhere[0]}; {kind}s are: {known}")
        raise UsageError(f"there is no {kind} '{name}'; {self._instead(name, self.offers[kind])}{self._not_here()}")

    def find(self, name: str) -> list[Offer]:
        """Every plugin of that name, of any kind; or the one that a name as `file.py:Lines` means.

        Raises:
            PluginError, UsageError: as `get`.
        """
        found = [offers[name] for offers in self.offers.values() if name in offers]
        if not found and references.is_reference(name):
            return [_offer(name, self._brought(name))]
        if not found:
            self._raise_failure("plugin", name)
            everything = {known for offers in self.offers.values() for known in offers}
            raise UsageError(f"there is no plugin '{name}'; {self._instead(name, everything)}{self._not_here()}")
        return found

    def recipe(self, name: str) -> Recipe:
        """The recipe of that name.

        Raises:
            PluginError: the plugin of that name failed to load.
            UsageError: there is none.
        """
        if name not in self.recipes:
            self._raise_failure("recipe", name)
            raise UsageError(f"there is no recipe '{name}'; {did_you_mean(name, self.recipes)}")
        return self.recipes[name]

    def logger(self, name: str) -> Logger:
        """The logger of that name.

        Raises:
            PluginError: it failed to load.
            UsageError: there is none.
        """
        if name not in self.loggers:
            self._raise_failure("logger", name)
            raise UsageError(f"there is no logger '{name}'; {did_you_mean(name, self.loggers)}")
        return self.loggers[name]

    def _brought(self, text: str, kind: str | None = None, sha256: str | None = None) -> type[Plugin]:
        """The class that a text as `file.py:Lines` means; what every table says of a built-in's name stays true."""
        cls = references.find(text, kind, sha256)
        taken = self.offers[cls.kind].get(cls.name)
        if taken is not None and taken.cls is not cls and taken.origin.distribution == OWN:
            raise UsageError(f"{text}: its name '{cls.name}' is taken by {OWN}; give it another")
        return cls

    def _instead(self, name: str, known: Iterable[str]) -> str:
        """What may have been meant by a name that no plugin has: what the package of that name offers, or one alike."""
        package = [
            (offer.origin.distribution, offered)
            for offers in self.offers.values()
            for offered, offer in offers.items()
            if name == offer.origin.entry_point or _normal(name) == _normal(offer.origin.distribution)
        ]
        if not package:
            return did_you_mean(name, known)
        return f"the package {package[0][0]} offers " + ", ".join(f"'{offered}'" for _, offered in package)

    def _raise_failure(self, kind: str, name: str) -> None:
        for failure in self.failures:
            if name in (failure.offered, failure.origin.entry_point):
                raise PluginError(f"{kind} '{name}' could not be loaded: {failure}") from failure.error

    def _not_here(self) -> str:
        """What else may have the name that was not found."""
        failed = f"{len(self.failures)} failed to load: see `mamlzoo list`" if self.failures else ""
        names = ", ".join(sorted({origin.distribution for origin in self.left_out}))
        left_out = f"MAMLZOO_PLUGINS leaves out {names}" if names else ""
        told = "; ".join(filter(None, [failed, left_out]))
        return f" ({told})" if told else ""

    def make(self, kind: str, name: str, given: Mapping[str, Any] | None = None) -> Plugin:
        """A plugin with the options given, the others at their defaults."""
        return options.make(self.get(kind, name), given or {}, f"{kind} '{name}'")


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


def make_brought(kind: str, reference: str, sha256: str, given: Mapping[str, Any]) -> Plugin:
    """A plugin as `file.py:Lines`, of that code alone: of any other nothing is executed (`code.load`).

    Raises:
        UsageError: there is other code by now; or as `make`.
        PluginError: it failed to load.
    """
    return options.make(installed()._brought(reference, kind, sha256), given, f"{kind} '{reference}'")


def discover(found: Iterable[EntryPoint], *, allowed: set[str] | None = None, strict: bool = False) -> Registry:
    """Load every entry point, each on its own.

    Args:
        allowed: the distributions whose plugins may load besides mamlzoo's own; None allows all.
        strict: raise the first failure instead of keeping it apart.
    """
    registry = Registry()
    unique = {(_origin(entry), entry.value): entry for entry in found}
    admitted = None if allowed is None else {OWN, *map(_normal, allowed)}
    # Own plugins first: a third party's can then never take their names.
    for (origin, _), entry in sorted(unique.items(), key=lambda item: (item[0][0].distribution != OWN, item[0])):
        if admitted is not None and _normal(origin.distribution) not in admitted:
            registry.left_out.append(origin)
            continue
        failures = _load(registry, entry, origin)
        if strict and failures:
            raise PluginError(str(failures[0])) from failures[0].error
        registry.failures.extend(failures)
    here = {_normal(origin.distribution) for origin, _ in unique}
    registry.unknown.extend(sorted(name for name in allowed or () if _normal(name) not in here))
    return registry


def _load(registry: Registry, entry: EntryPoint, origin: Origin) -> list[Failure]:
    """Put what a module offers into the registry; what fails comes back, each thing on its own."""
    failures: list[Failure] = []

    def apart(stage: str, refused: object = None) -> AbstractContextManager[None]:
        return _kept_apart(failures, origin, stage, refused)

    # What a stranger prints is no part of our output, which may be one JSON document.
    with redirect_stdout(sys.stderr), apart("importing"):
        module = _imported(entry)
        with apart("registering"):
            admission.check_contract(vars(sys.modules[entry.module]))
            relay = admission.hooks_of(module)
            with apart("registering"):
                for cls in admission.answers(relay, "mamlzoo_plugins"):
                    with apart("registering", cls):
                        admission.check_class(cls)
                        _add(registry, cls, origin)
            with apart("registering"):
                for file in admission.answers(relay, "mamlzoo_recipes"):
                    with apart("registering", file):
                        _add_recipe(registry, recipes.parse(file.read_text(encoding="utf-8")))
            if any(getattr(relay, name).get_hookimpls() for name in admission.LISTENING):
                registry.loggers[origin.entry_point] = Logger(relay, origin)
    return failures


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
    if entry.pattern.match(entry.value) is None:
        raise PluginError(
            f"its entry point's value {entry.value!r} names no module", remedy=f'write {entry.name} = "package.module"'
        )
    try:
        return entry.load()
    except FOREIGN as error:
        # What needs a newer mamlzoo may well fail for that very reason, and its contract, read so far, says it better.
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") == entry.module:
                admission.check_contract(frame.f_globals)
        raise


def _allowed() -> set[str] | None:
    named = os.environ.get("MAMLZOO_PLUGINS")
    return None if named is None else {name.strip() for name in named.split(",")} - {"none", ""}


def _normal(distribution: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _origin(entry: EntryPoint) -> Origin:
    return Origin(*_release(entry.dist), entry.name, entry.value)


def _release(distribution: Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution."""
    named: list[str | None] = [None, None]
    with suppress(Exception):  # one half removed has no metadata, and each Python says so in its own way
        named = [distribution.name, distribution.version] if distribution else named
    name, version = (part or UNKNOWN for part in named)
    return name, version


def _offer(name: str, cls: type[Plugin]) -> Offer:
    source = references.source_of(cls)
    assert source is not None
    place = source.reference.rpartition(":")[0]
    return Offer(cls, Origin(place, f"SHA-256 {source.sha256[:12]}…", name, place))


def _add_recipe(registry: Registry, recipe: Recipe) -> None:
    if recipe.name in registry.recipes:
        raise PluginError(f"the name of recipe '{recipe.name}' is taken", remedy="give this one another `name`")
    registry.recipes[recipe.name] = recipe


def _add(registry: Registry, cls: type[Plugin], origin: Origin) -> None:
    taken = registry.offers[cls.kind].get(cls.name)
    if taken is not None:
        by = f"{taken.origin.release} ({taken.origin.module})"
        raise PluginError(
            f"the name of {cls.kind} '{cls.name}' is taken by {by}", remedy=f"give {cls.__name__} another `name`"
        )
    registry.offers[cls.kind][cls.name] = Offer(cls, origin)
