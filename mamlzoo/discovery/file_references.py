"""Plugins brought along without a package: `path/to/file.py:Name` or `package.module:Name` wherever a name may stand.

Such a text names a Task, a Model or a MetaAlgorithm; for a model also a `torch.nn.Module`, its class, or a function
that makes one, from a Spec or from nothing. The name may be left out where a file offers one of the kind alone.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from torch import nn

from mamlzoo.contracts.plugins import KINDS, Model, Plugin
from mamlzoo.discovery import admission, sibling_files, source_code
from mamlzoo.discovery.source_code import Code, Source
from mamlzoo.discovery.torch_modules import model_of
from mamlzoo.errors import PluginError, UsageError, did_you_mean

_known: dict[Source, type[Plugin]] = {}
"""What was found in this process: the same text and content mean the same class."""


def is_reference(text: str) -> bool:
    """Whether a text is such a one, not the name of an installed plugin."""
    return ":" in text or text.endswith(".py")


def find(text: str, kind: str | None = None, sha256: str | None = None) -> type[Plugin]:
    """The class that a text names.

    Args:
        kind: which it must be; None: any.
        sha256: which its code must have, or nothing of it is executed (`source_code.load`); None: any.

    Raises:
        UsageError: there is no such file, module or name, or it is of another kind or has another SHA-256.
        PluginError: the file raised, or the class is not complete.
    """
    place, _, name = text.rpartition(":") if ":" in text else (text, "", "")
    if not place:
        raise UsageError(f"'{text}' names no file; write path/to/file.py:{name or 'Name'} or package.module:Name")
    loaded = source_code.load(place, sha256)
    try:
        admission.check_contract(vars(loaded.module))
    except PluginError as error:
        raise PluginError(f"{place}: {error.what}", remedy=error.remedy) from error
    name = name or _only(loaded, place, kind)
    source = Source(f"{loaded.place}:{name}", loaded.sha256)
    cls = _known.get(source)
    if cls is None or kind not in (None, cls.kind):
        cls = _plugin(loaded, place, name, kind)
        _known[_home(cls) or source] = cls
    return cls


def source_of(cls: type[Plugin]) -> Source | None:
    """What leads back to a class; None if it was not brought along by a text."""
    return next((source for source, known in _known.items() if known is cls), None)


def places(source: Source) -> list[str]:
    """The reference, if it is that of code that this process has executed already."""
    return [source.reference] if source in _known else []


def unchanged(source: Source, known: Sequence[str]) -> str:
    """The first reference at which the code still is what it was; nothing of it is executed.

    Args:
        known: where to look, at least one. That of the source itself is not looked at unless it stands there: who wrote
            a run directory chose it.

    Raises:
        UsageError: the file is gone or has changed.
    """
    for reference in known:
        with suppress(UsageError):
            if source_code.digest(reference.rpartition(":")[0]) == source.sha256:
                return reference
    reference = source.reference if source.reference in known else known[0]
    try:
        now = source_code.digest(reference.rpartition(":")[0])
    except UsageError as error:
        raise UsageError(
            f"it came from {reference}, and {error}; put it back, name its new place to `mamlzoo resume` by "
            "-t, -m or -a, or begin a new run"
        ) from None
    raise UsageError(
        f"it came from {reference}, which has changed since, or what it imports from its folder has "
        f"(SHA-256 {source.sha256[:12]}…, now {now[:12]}…)"
        "; make it what it was, or begin a new run with `mamlzoo run`"
    )


def _home(cls: type[Plugin]) -> Source | None:
    """Of a class that was only imported into what named it: the importable module that defines it, whose code it is."""
    module = sys.modules.get(cls.__module__)
    if module is None or sibling_files.is_executed(cls.__module__) or vars(module).get(cls.__name__) is not cls:
        return None
    try:
        loaded = source_code.load(cls.__module__)
    except UsageError:  # made by hand, as a notebook's
        return None
    return Source(f"{loaded.place}:{cls.__name__}", loaded.sha256)


def _only(loaded: Code, place: str, kind: str | None) -> str:
    """The name that may be left out."""
    for several in _offered(loaded, kind):
        if len(several) == 1:
            return next(iter(several))
        if several:
            raise UsageError(
                f"{place} offers several: {', '.join(sorted(several))}; say which, as {place}:{min(several)}"
            )
    raise UsageError(f"{place} offers no {kind or 'plugin'}; {_wanted(kind)}")


def _offered(loaded: Code, kind: str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a file defines of a kind, by name: plugins; and for models, what makes a network."""
    own = {
        name: value
        for name, value in vars(loaded.module).items()
        if getattr(value, "__module__", None) == loaded.module.__name__ and not name.startswith(("_", "mamlzoo_"))
    }
    base = KINDS[kind] if kind else Plugin
    plugins = {name: value for name, value in own.items() if _is_class(value, base) and not inspect.isabstract(value)}
    networks = {name: value for name, value in own.items() if _is_class(value, nn.Module) or inspect.isfunction(value)}
    return plugins, networks if kind in (None, Model.kind) else {}


def _plugin(loaded: Code, place: str, name: str, kind: str | None) -> type[Plugin]:
    text = f"{place}:{name}"
    if not hasattr(loaded.module, name):
        offered = {known for several in _offered(loaded, kind) for known in several}
        hint = did_you_mean(name, offered) if offered else f"it offers no {kind or 'plugin'} at all"
        raise UsageError(f"{place} has no '{name}'; {hint}")
    found = getattr(loaded.module, name)
    if _is_class(found, Plugin) and found.kind in KINDS:
        if kind not in (None, found.kind):
            raise UsageError(f"{text} is no {kind} but another kind, {found.kind}")
        return _checked(found, text)
    if isinstance(found, Plugin):
        raise UsageError(
            f"{text} is an instance; name its class, as {place}:{type(found).__name__}, and give options as flags"
        )
    is_network = isinstance(found, nn.Module) or _is_class(found, nn.Module)
    if kind in (None, Model.kind) and (is_network or (callable(found) and not isinstance(found, type))):
        return model_of(found, name)
    what = f"class {name}" if isinstance(found, type) else f"of type {type(found).__name__}"
    raise UsageError(f"{text} is no {kind or 'plugin'} but {what}; {_wanted(kind)}")


def _checked(cls: type[Plugin], text: str) -> type[Plugin]:
    try:
        admission.check_class(cls, documented=False)
    except PluginError as error:
        raise PluginError(f"{text}: {error.what}", remedy=error.remedy) from error
    return cls


def _wanted(kind: str | None) -> str:
    base = f"mamlzoo.{KINDS[kind].__name__}" if kind else "mamlzoo.Task, mamlzoo.Model or mamlzoo.MetaAlgorithm"
    network = ", a torch.nn.Module, its class, or a function that makes one" if kind in (None, Model.kind) else ""
    return f"it must be a subclass of {base}{network}"


def _is_class(value: Any, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base)
