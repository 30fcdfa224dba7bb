"""A file of a user's own with what it imports from its folder: found by reading, and executed apart from all others.

Modules and packages beside a file, those that they import in turn, and so on, are part of its code. Each such set is
executed under names of its own, to which its imports are rewritten, from the content that was read; so two files never
share a neighbour, and one that is edited later changes nothing that runs. Imports within functions are seen too. Out of
reach is what no import statement names: `importlib.import_module` does not find a neighbour, and data files that the
code opens are not looked at.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

import mamlzoo
from mamlzoo import files
from mamlzoo.errors import UsageError


class Part(NamedTuple):
    """A file as it was read; of a package the `__init__.py`, which need not exist."""

    path: Path
    source: bytes
    is_package: bool


class Family(NamedTuple):
    """A file and its siblings.

    Attributes:
        path: of the file.
        parts: by the name that imports give each; the first is the file itself.
    """

    path: Path
    parts: Mapping[str, Part]

    @property
    def sha256(self) -> str:
        """Of the file; where it has siblings, of the sorted names and SHA-256s of all."""
        digests = {str(part.path): hashlib.sha256(part.source).hexdigest() for part in self.parts.values()}
        own = digests.pop(str(self.path))
        if not digests:
            return own
        names = {path: Path(path).relative_to(self.path.parent).as_posix() for path in digests}
        lines = sorted(f"{files.in_one_line(names[path])} {digest}" for path, digest in digests.items())
        return hashlib.sha256("\n".join([own, *lines]).encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def suffix(self) -> str:
        """What the names of its modules end in."""
        return "_" + hashlib.sha256(os.fsencode(self.path) + b"\0" + self.sha256.encode()).hexdigest()[:12]


def family(path: Path, source: bytes) -> Family:
    """A file with all its siblings as they are now; nothing is executed."""
    name = path.stem if path.stem.isidentifier() else path.stem.replace(".", "-")  # nothing imports that one
    found = {name: Part(path, source, is_package=False)}
    waiting = [source]
    while waiting:
        for name in sorted(set(_imports(waiting.pop()))):
            if name not in found:
                new = _beside(path.parent, name)
                found |= new
                waiting += [part.source for part in new.values()]
    return Family(path, found)


def execute(code: Family) -> ModuleType:
    """The file's module, executed once for each content of its family.

    Raises:
        UsageError: a neighbour is hidden by something of the same name, or the file asks for itself.
    """
    own = {name: re.sub(r"\W", "__", name) + code.suffix for name in code.parts if "." not in name}
    root = next(iter(own.values()))
    if root in _executing:
        raise UsageError(
            f"{code.path} asks for itself while it is executed; put that under `if __name__ == '__main__':`"
        )
    if root in sys.modules:
        return sys.modules[root]
    _check_hidden(code)
    for name, part in code.parts.items():
        top, dot, rest = name.partition(".")
        _FINDER.loaders[own[top] + dot + rest] = _Loader(own[top] + dot + rest, part, own)
    _meet()
    _executing.add(root)
    try:
        return importlib.import_module(root)
    except BaseException:
        for module in [name for name in sys.modules if name.partition(".")[0] in own.values()]:
            del sys.modules[module]
        raise
    finally:
        _executing.remove(root)


def imported(name: str, part: Part) -> ModuleType:
    """An importable module, executed from what was read unless Python has imported it before."""
    if name in sys.modules:
        return sys.modules[name]
    _meet()
    _FINDER.loaders[name] = _Loader(name, part, {})
    try:
        return importlib.import_module(name)
    finally:
        del _FINDER.loaders[name]


def is_executed(module: str) -> bool:
    """Whether a module's name is one that `execute` gave."""
    return module in _FINDER.loaders


_executing: set[str] = set()


class _Loader(SourceFileLoader):
    """Executes what was read, not what the file holds a moment later, or what a cache beside it holds."""

    def __init__(self, fullname: str, part: Part, own: Mapping[str, str]) -> None:
        super().__init__(fullname, str(part.path))
        self.part, self._own = part, own

    def get_code(self, fullname: str) -> CodeType:
        tree = _Renamed(self._own).visit(ast.parse(self.part.source, self.path))
        code: CodeType = compile(ast.fix_missing_locations(tree), self.path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self.loaders: dict[str, _Loader] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        loader = self.loaders.get(fullname)
        if loader is None:
            return None
        inside = [str(loader.part.path.parent)] if loader.part.is_package else None
        return importlib.util.spec_from_file_location(
            fullname, loader.path, loader=loader, submodule_search_locations=inside
        )


_FINDER = _Finder()


def _meet() -> None:
    """Have Python ask the finder first."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


class _Renamed(ast.NodeTransformer):
    """Imports of siblings by the names that they have for this file alone."""

    def __init__(self, own: Mapping[str, str]) -> None:
        self._own = own

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        return [ast.copy_location(ast.Import([alias]), node) for old in node.names for alias in self._aliases(old)]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.level == 0 and node.module:
            node.module = self._name(node.module)
        return node

    def _aliases(self, alias: ast.alias) -> list[ast.alias]:
        top, _, inner = alias.name.partition(".")
        if top not in self._own:
            return [alias]
        aliases = [ast.alias(self._name(alias.name), alias.asname or top)]
        if inner and not alias.asname:  # `import a.b` imports a.b, and binds a
            aliases.append(ast.alias(self._own[top], top))
        return aliases

    def _name(self, name: str) -> str:
        top, dot, inner = name.partition(".")
        return self._own.get(top, top) + dot + inner


def _beside(folder: Path, name: str) -> dict[str, Part]:
    """The module or the package of a name in a folder, a package with all its files; nothing if there is neither."""
    package, file = folder / name, folder / f"{name}.py"
    if name == mamlzoo.__name__ or folder.name in ("site-packages", "dist-packages"):
        return {}  # that which runs is meant, also in a clone of it; a second one would have other classes
    if not (package / "__init__.py").is_file():
        if file.is_file():
            return {name: Part(file, file.read_bytes(), is_package=False)}
        if not package.is_dir() or _installed(name) is not None:  # such a folder comes after all that is installed
            return {}
    found: dict[str, Part] = {}
    for file in sorted(path for path in package.rglob("*.py") if path.is_file()):
        *above, stem = file.relative_to(folder).with_suffix("").parts
        for depth in range(1, len(above) + 1):
            inside = folder.joinpath(*above[:depth], "__init__.py")
            found.setdefault(".".join(above[:depth]), Part(inside, b"", is_package=True))
        init = stem == "__init__"
        found[".".join(above if init else [*above, stem])] = Part(file, file.read_bytes(), is_package=init)
    return found


def _check_hidden(code: Family) -> None:
    """An import of a neighbour's name must not mean anything else to Python."""
    importlib.invalidate_caches()
    for part in code.parts.values():
        for name in sorted(set(_imports(part.source)) & set(code.parts)):
            origin, beside = _installed(name), code.parts[name].path
            if origin is not None and Path(origin).resolve() != beside.resolve():
                hides = f"{name} of Python itself" if origin in ("built-in", "frozen") else origin
                raise UsageError(
                    f"{part.path} imports '{name}', and {beside} is hidden by {hides}; give it another name"
                )


def _installed(name: str) -> str | None:
    """Where Python itself would find a module; None: nowhere."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # it was never imported as a module
        return None
    return spec.origin if spec else None


def _imports(source: bytes) -> Iterator[str]:
    """The first parts of what is imported."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # said when it is executed
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
