"""Code of a user's own: a file that is no part of a package, or an importable module.

A file is executed once a process for each content that it has had, as a module of its own name, so that two files may
be called alike. What it imports from its folder belongs to its code (`sibling_files`), and hides nothing installed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
import symtable
import sys
import traceback
from contextlib import redirect_stdout
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from mamlzoo import files
from mamlzoo.discovery import failures, sibling_files
from mamlzoo.discovery.sibling_files import Family, Part
from mamlzoo.errors import FOREIGN, PluginError, UsageError, did_you_mean, in_short


class Source(NamedTuple):
    """What leads back to a plugin that was brought along.

    Attributes:
        reference: a file's absolute path, or a module's full name; a colon, and the name in it.
        sha256: of that code, in hexadecimal (`Code.sha256`).
    """

    reference: str
    sha256: str


class Code(NamedTuple):
    """A module, and what it was made from.

    Attributes:
        place: what leads to it from anywhere: a file's absolute path, or a module's full name.
        sha256: in hexadecimal. Of a file that was executed, with its siblings (`Family.sha256`); of an importable
            module, of its own file alone, as that was when it was first asked for here. Where other code had imported
            it before and it was edited in between, that is not what runs: Python does not keep what it executed.
    """

    module: ModuleType
    place: str
    sha256: str


def load(place: str, sha256: str | None = None) -> Code:
    """The code at a place: `path/to/file.py`, or `package.module`.

    Args:
        sha256: what it must have (`Code.sha256`), or nothing of it is executed: what is compared is the very bytes that
            are executed, but of a module that Python has imported already, or reads by another loader than its own.

    Raises:
        UsageError: there is no such file or module, or it has another SHA-256.
        PluginError: it raised when it was executed; naming its line.
    """
    if not is_file(place):
        return _imported(place, sha256)
    path = _path(place)
    code = _family(path, place)
    _check_same(place, code.sha256, sha256)
    return Code(_executed(code), str(path), code.sha256)


def digest(place: str) -> str:
    """The SHA-256 of the code at a place, as it is now (`Code.sha256`); nothing of it is executed.

    Raises:
        UsageError: there is no such file or module.
    """
    if is_file(place):
        return _family(_path(place), place).sha256
    return hashlib.sha256(_read(_module_path(place), place)).hexdigest()


def reference_of(text: str) -> str:
    """A reference as it leads back from anywhere, of `file.py:Name` or `package.module:Name`; nothing is executed.

    Raises:
        UsageError: it has no name.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise UsageError(f"'{text}' names no code; write FILE.py:NAME, as it stands in the run's config.json")
    return f"{_path(place) if is_file(place) else place}:{name}"


def source_at(reference: str) -> Source:
    """What leads back to the code that a reference names, as it is now; nothing is executed.

    Args:
        reference: `file.py:Name` or `package.module:Name`.

    Raises:
        UsageError: it has no name, there is no such file or module, or that one has nothing of the name.
    """
    absolute = reference_of(reference)
    place, _, name = reference.rpartition(":")
    path = _path(place) if is_file(place) else _module_path(place)
    known = _names_in(path, _read(path, place))
    if known is not None and name not in known:
        offered = [one for one in known if not one.startswith("_")]
        raise UsageError(f"{place} has no '{name}'; {did_you_mean(name, offered)}")
    return Source(absolute, digest(place))


def is_file(place: str) -> bool:
    """Whether a place is written as a file's path, not as a module's name."""
    return place.endswith(".py") or "/" in place


def _path(place: str) -> Path:
    try:
        return Path(place).expanduser().resolve()
    except RuntimeError as error:  # no such home
        raise UsageError(f"there is no file {place}: {error}") from error


def _names_in(path: Path, source: bytes) -> set[str] | None:
    """The names that a file defines or imports, found by reading; None where only executing it could tell.

    Raises:
        UsageError: it is no Python.
    """
    if path.suffix != ".py":  # as a compiled extension
        return None
    try:
        text = importlib.util.decode_source(source)
        tree, table = ast.parse(text), symtable.symtable(text, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path} cannot be executed: {in_short(error)}") from error
    names = {one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()}
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    starred = any(alias.name == "*" for node in imports for alias in node.names)
    at_run_time = re.search(r"\b(global\b|(globals|exec|setattr|vars)\s*\()", text) is not None
    return None if starred or at_run_time or "__getattr__" in names else names


def _family(path: Path, place: str) -> Family:
    source = _read(path, place)
    try:
        return sibling_files.family(path, source)
    except OSError as error:
        raise UsageError(f"{error.filename}, beside {place}, cannot be read: {error.strerror or error}") from error


def _read(path: Path, place: str) -> bytes:
    try:
        return files.read(path)
    except FileNotFoundError:
        where = place if str(path) == place else f"{place} ({path})"
        raise UsageError(f"there is no file {where}") from None
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror or error}") from error


def _module_path(name: str) -> Path:
    """Where a module lies. Nothing is imported, not even the packages that it is in."""
    spec = _spec(name) if re.fullmatch(r"\w+(\.\w+)*", name) else None
    if spec is None or not spec.has_location or spec.origin is None:
        if spec is not None:
            what = "a folder without an __init__.py" if spec.submodule_search_locations else "a part of Python itself"
            raise UsageError(f"module '{name}' has no file, as it is {what}; name a module or a FILE.py of your own")
        beside = Path(*name.split(".")).with_suffix(".py") if re.fullmatch(r"\w+(\.\w+)*", name) else None
        hint = f"; for the file write {beside}:…" if beside and beside.is_file() else "; a file is written with its .py"
        raise UsageError(f"there is no module '{name}'{hint}")
    return Path(spec.origin)


def _spec(name: str) -> ModuleSpec | None:
    if name in sys.modules:
        spec: ModuleSpec | None = getattr(sys.modules[name], "__spec__", None)
        return spec
    parent = name.rpartition(".")[0]
    above = _spec(parent) if parent else None
    if parent and (above is None or above.submodule_search_locations is None):
        return None
    found: ModuleSpec | None = failures.find_spec(name, above.submodule_search_locations if above else None)
    return found


_modules: dict[str, Code] = {}
"""What was imported in this process, by name."""


def _imported(name: str, expected: str | None) -> Code:
    known = _modules.get(name)
    if known is not None:
        _check_same(name, known.sha256, expected)
        return known
    path = _module_path(name)
    source = _read(path, str(path))
    sha256 = hashlib.sha256(source).hexdigest()
    _check_same(name, sha256, expected)
    spec = _spec(name)
    try:
        if spec is not None and type(spec.loader) is SourceFileLoader:
            module = sibling_files.imported(name, Part(path, source, is_package=path.stem == "__init__"))
        else:  # not by Python's own reader of source, as a compiled extension, which reads its file itself
            module = importlib.import_module(name)
        _modules[name] = Code(module, name, sha256)
    except FOREIGN as error:
        raise _failure(path, error) from error
    return _modules[name]


def _check_same(place: str, sha256: str, expected: str | None) -> None:
    if expected not in (None, sha256):
        raise UsageError(
            f"{place} is not the code that was asked for (SHA-256 {expected}, now {sha256}); if it was edited "
            "meanwhile, make it what it was and begin again in a new process"
        )


def _executed(code: Family) -> ModuleType:
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of our output
            return sibling_files.execute(code)
    except UsageError:
        raise
    except FOREIGN as error:
        raise _failure(code.path, error) from error


def _failure(path: Path, error: BaseException) -> PluginError:
    """What a file raised when it was executed, in one line."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno or 1]
        error = SyntaxError(error.msg)
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    if isinstance(error, PluginError):
        return PluginError(f"{where}: {error.what}", remedy=error.remedy)
    return PluginError(f"{where}: {in_short(error)} (`mamlzoo --debug` shows where)")
