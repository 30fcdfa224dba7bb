"""Code of a user's own: a file that is no part of a package, or an importable module.

A file is executed once a process for each content that it has had, as a module of its own name, so that two files may
be called alike. Its folder comes last on `sys.path`: it may import what lies beside it, and hides nothing installed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

from mamlzoo.errors import PluginError, UsageError


class Code(NamedTuple):
    """A module, and what it was made from.

    Attributes:
        place: what leads to it from anywhere: a file's absolute path, or a module's full name.
        sha256: of the file that was executed, in hexadecimal.
    """

    module: ModuleType
    place: str
    sha256: str


def load(place: str) -> Code:
    """The code at a place: `path/to/file.py`, or `package.module`.

    Raises:
        UsageError: there is no such file or module.
        PluginError: it raised when it was executed; naming its line.
    """
    if not is_file(place):
        return _imported(place)
    path = _path(place)
    source = _read(path, place)
    return Code(_executed(path, source), str(path), hashlib.sha256(source).hexdigest())


def digest(place: str) -> str:
    """The SHA-256 of the file at a place, as it is now, in hexadecimal; nothing of it is executed.

    Raises:
        UsageError: there is no such file or module.
    """
    path = _path(place) if is_file(place) else _module_path(place)
    return hashlib.sha256(_read(path, place)).hexdigest()


def is_file(place: str) -> bool:
    """Whether a place is written as a file's path, not as a module's name."""
    return place.endswith(".py") or "/" in place


def _path(place: str) -> Path:
    try:
        return Path(place).expanduser().resolve()
    except RuntimeError as error:  # no such home
        raise UsageError(f"there is no file {place}: {error}") from error


def _read(path: Path, place: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no file {place}" + f" ({path})" * (str(path) != place)) from None
    except OSError as error:
        raise UsageError(f"{place} cannot be read: {error.strerror or error}") from error


def _module_path(name: str) -> Path:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.has_location or spec.origin is None:
        beside = Path(*name.split(".")).with_suffix(".py") if re.fullmatch(r"\w+(\.\w+)*", name) else None
        hint = f"; for the file write {beside}:…" if beside and beside.is_file() else "; a file is written with its .py"
        raise UsageError(f"there is no module '{name}'{hint}")
    return Path(spec.origin)


@functools.cache
def _imported(name: str) -> Code:
    path = _module_path(name)
    sha256 = hashlib.sha256(_read(path, str(path))).hexdigest()
    try:
        return Code(importlib.import_module(name), name, sha256)
    except (Exception, SystemExit) as error:
        raise _failure(path, error) from error


@functools.cache
def _executed(path: Path, source: bytes) -> ModuleType:
    unique = hashlib.sha256(str(path).encode() + b"\0" + source).hexdigest()[:12]
    name = re.sub(r"\W", "_", path.stem) + f"_{unique}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Annotations and pickles are looked up there; not under the bare name, which may be another file's too.
    sys.modules[name] = module
    try:
        tree = ast.parse(source, str(path))
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        _check_neighbours(path, tree)
        # Not by the loader: it would execute what the file holds a moment later, or what a cache beside it holds.
        exec(_compiled(tree, path), vars(module))
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, (UsageError, KeyboardInterrupt)):
            raise
        raise _failure(path, error) from error
    return module


def _compiled(tree: ast.Module, path: Path) -> CodeType:
    code: CodeType = compile(tree, str(path), "exec", dont_inherit=True)
    return code


def _check_neighbours(path: Path, tree: ast.Module) -> None:
    """An import of what lies beside the file must find that, not something else of the same name."""
    importlib.invalidate_caches()
    for name in sorted(set(_imports(tree))):
        beside = [path.parent / f"{name}.py", path.parent / name / "__init__.py"]
        if not any(file.is_file() for file in beside):
            continue
        try:
            found = importlib.util.find_spec(name)
        except ValueError:  # it was never imported as a module
            continue
        origin = found.origin if found else None
        if origin is not None and Path(origin).resolve() not in [file.resolve() for file in beside]:
            hidden = next(file for file in beside if file.is_file())
            hides = f"{name} of Python itself" if origin in ("built-in", "frozen") else origin
            raise UsageError(f"{path} imports '{name}', and {hidden} is hidden by {hides}; give it another name")


def _imports(tree: ast.Module) -> Iterator[str]:
    """The first parts of what is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _failure(path: Path, error: BaseException) -> PluginError:
    """What a file raised when it was executed, in one line."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines, reason = [error.lineno or 1], error.msg
    else:
        reason = str(error).partition("\n")[0]
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    if isinstance(error, PluginError):
        return PluginError(f"{where}: {error.what}", remedy=error.remedy)
    return PluginError(f"{where}: {type(error).__name__}: {reason} (`mamlzoo --debug` shows where)")
