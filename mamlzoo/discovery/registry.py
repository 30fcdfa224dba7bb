"""Plugins, recipes, loggers and trained θ by kind and name, and the failures; a name in a file is looked up there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import pluggy

from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import KINDS, Plugin
from mamlzoo.contracts.recipes import Recipe
from mamlzoo.discovery import file_references
from mamlzoo.discovery.failures import Failure, Origin
from mamlzoo.errors import PluginError, UsageError, did_you_mean

OWN = "mamlzoo"


class Offer(NamedTuple):
    """A plugin that can be used."""

    cls: type[Plugin]
    origin: Origin


class Logger(NamedTuple):
    """What calls the hooks of a module that listens to runs."""

    hooks: pluggy.HookRelay
    origin: Origin


class Trained(NamedTuple):
    """A packed run that a module offers; it is read when it is asked for."""

    file: Traversable
    origin: Origin


@dataclass(frozen=True)
class Registry:
    """The plugins by kind and name, recipes, loggers and trained θ by name, and the failures.

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
    trained: dict[str, Trained] = field(default_factory=dict)

    def get(self, kind: str, name: str) -> type[Plugin]:
        """The class of that kind and name; a name as `file.py:Lines` is looked up in that file (`file_references`).

        Raises:
            PluginError: a plugin of that name failed to load.
            UsageError: there is none.
        """
        if name in self.offers[kind]:
            return self.offers[kind][name].cls
        if file_references.is_reference(name):
            return self.referenced(name, kind)
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
        if not found and file_references.is_reference(name):
            return [_offer(name, self.referenced(name))]
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

    def referenced(self, text: str, kind: str | None = None, sha256: str | None = None) -> type[Plugin]:
        """The class that a text as `file.py:Lines` means; what every table says of a built-in's name stays true.

        Args:
            sha256: of the code that may be executed; None: of any.

        Raises:
            UsageError: there is none, there is other code by now, or its name is a built-in's.
            PluginError: it failed to load.
        """
        cls = file_references.find(text, kind, sha256)
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
            if name == offer.origin.entry_point or normal_name(name) == normal_name(offer.origin.distribution)
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


def normal_name(distribution: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _offer(name: str, cls: type[Plugin]) -> Offer:
    source = file_references.source_of(cls)
    assert source is not None
    place = source.reference.rpartition(":")[0]
    return Offer(cls, Origin(place, f"SHA-256 {source.sha256[:12]}…", name, place))
