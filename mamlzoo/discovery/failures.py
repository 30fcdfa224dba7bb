"""Plugins that could not be loaded: whose they are, where they failed, what went wrong and what to do."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import mamlzoo
from mamlzoo.errors import MamlzooError, did_you_mean, in_short

UNKNOWN = "?"
"""What stands for the name and the version of a distribution that has lost its metadata."""


class Origin(NamedTuple):
    """Where a plugin comes from.

    Attributes:
        entry_point: its name.
        value: what it names: a module, or a class as `package.module:Class`.
    """

    distribution: str
    version: str
    entry_point: str
    value: str

    @property
    def module(self) -> str:
        """The module that is imported."""
        return self.value.partition(":")[0]

    @property
    def release(self) -> str:
        """As in `lines 1.5`."""
        return "an unnamed distribution" if self.distribution == UNKNOWN else f"{self.distribution} {self.version}"


class Failure(NamedTuple):
    """A module, or one plugin of it, that cannot be used.

    Attributes:
        stage: 'importing' or 'registering'.
        what: what went wrong, in one line.
        remedy: what to do, in one line.
        file, line: where; None where there is no such place.
        offered: the name of the plugin that was refused, where it was one of several in its module.
    """

    origin: Origin
    stage: str
    error: BaseException
    what: str
    remedy: str
    file: str | None = None
    line: int | None = None
    offered: str | None = None

    @property
    def name(self) -> str:
        """What a person would look it up by."""
        return self.offered or self.origin.entry_point

    @property
    def where(self) -> str:
        """As in `/site/lines.py:3`, or nothing."""
        return ":".join(str(part) for part in (self.file, self.line) if part is not None)

    def __str__(self) -> str:
        origin = self.origin
        places = ", ".join(filter(None, [f"entry point {origin.entry_point}", self.where]))
        whose = f"{origin.release}, {self.stage} {origin.value} ({places})"
        return f"{whose}: {self.what}; {self.remedy}"


def diagnose(origin: Origin, stage: str, error: BaseException, refused: object = None) -> Failure:
    """What an exception means to those who installed or wrote the plugin.

    Args:
        refused: the class, or the recipe's file, that was refused; None: the module as a whole.
    """
    what, remedy = _explained(origin, error)
    file, line = place(origin, error, refused)
    named = getattr(refused, "name", None) if isinstance(refused, type) else None
    return Failure(origin, stage, error, what, remedy, file, line, named if isinstance(named, str) else None)


def place(origin: Origin, error: BaseException, refused: object = None) -> tuple[str | None, int | None]:
    """The file and line that the error is about: the innermost of the plugin's own package."""
    if isinstance(refused, Path):
        return str(refused), None
    file, own = _module_file(origin.module)
    if isinstance(refused, type):
        with suppress(OSError, TypeError):
            return inspect.getsourcefile(refused) or file, inspect.getsourcelines(refused)[1]
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if any(Path(frame.f_code.co_filename).is_relative_to(folder) for folder in own)
    ]
    return lines[-1] if lines else (file, None)


def _explained(origin: Origin, error: BaseException) -> tuple[str, str]:
    """What went wrong, and what to do."""
    authors = f"tell the authors of {_named(origin)}"
    if isinstance(error, MamlzooError):
        return error.what, error.remedy or f"correct it, or {authors}"
    absent = _absent_name(error)
    if absent is not None:
        return _absent(origin, absent)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing(origin, error.name)
    said = in_short(error)
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}", f"correct it, or {authors}"
    if isinstance(error, SystemExit):
        return f"it ends the process ({said})", authors
    return said, f"`mamlzoo --debug list` shows how it came to that; correct it, or {authors}"


def _missing(origin: Origin, module: str) -> tuple[str, str]:
    """A module that is not there: the plugin's own, or one that it needs."""
    top = module.partition(".")[0]
    if top == origin.module.partition(".")[0]:
        return f"there is no module '{module}'", (
            f"the wheel of {_named(origin)} may not contain it (see [tool.hatch.build.targets.wheel], or your build "
            "backend's list of files), or it was removed; see to that, and install it again"
        )
    if top in sys.modules:
        return f"it needs the module '{module}', which the {top} installed has not", f"pip install -U {top}"
    what = f"it needs the module '{module}', which is not installed"
    return what, f"pip install {top}, or tell the authors of {_named(origin)}"


def _named(origin: Origin) -> str:
    return "its distribution" if origin.distribution == UNKNOWN else origin.distribution


def _absent(origin: Origin, name: str) -> tuple[str, str]:
    """A name that this mamlzoo does not have."""
    hint = did_you_mean(name, mamlzoo.__all__)
    meant = f"{hint} Or " if hint.startswith("did") else ""
    what = f"mamlzoo {mamlzoo.__version__}, which is installed, has no '{name}'"
    return what, f"{meant}it was written for another mamlzoo: pip install -U mamlzoo {origin.distribution}"


def _absent_name(error: BaseException) -> str | None:
    """The name that mamlzoo was asked for and does not have, if that is what the error is about."""
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == mamlzoo.__name__:
        found = re.match(r"cannot import name '(.+?)'", str(error))  # Python 3.12 has it as `name_from`
        return found[1] if found else error.name
    if isinstance(error, AttributeError) and error.obj is mamlzoo:
        return error.name
    return None


def _module_file(module: str) -> tuple[str | None, list[str]]:
    """A module's file and the places of its topmost package, found without importing anything again."""
    spec: Any = None
    path: Any = None
    own: list[str] = []
    parts = module.split(".")
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        spec = find_spec(name, path)
        if spec is None:
            return None, own
        path = spec.submodule_search_locations
        own = own or list(path or [spec.origin])
    return spec.origin if spec else None, own


def find_spec(name: str, path: Any) -> Any:
    """The spec of a module, which nothing is imported for; of one in a package by the package's search path."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path)
        if spec is not None:
            return spec
    return None
