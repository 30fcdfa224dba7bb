"""Write a plugin package that works as it stands: pyproject, one module, its tests, README, licence."""

from __future__ import annotations

import datetime
import importlib.util
import keyword
import re
import sys
from importlib import resources
from pathlib import Path
from string import Template

from mamlzoo import __version__, files
from mamlzoo.discovery.entry_points import installed
from mamlzoo.errors import UsageError
from mamlzoo.runs import directory as run_directory

FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    "{module}.py": "{kind}.py",
    "tests/test_{module}.py": "tests.py",
}
"""What is written, and from which template."""


def write(name: str, kind: str, directory: Path) -> list[Path]:
    """Write the package `name`, with a plugin of that name, into a new directory; its files.

    Args:
        kind: 'task', 'model' or 'algorithm'.

    Raises:
        UsageError: the name cannot be one, or is taken; or the directory exists and is not empty.
    """
    texts = package(name, kind)
    with run_directory.new_directory(directory) as temporary:
        for path, text in texts.items():
            (temporary / path).parent.mkdir(exist_ok=True)
            files.write_text(temporary / path, text)
    return [directory / path for path in texts]


def package(name: str, kind: str) -> dict[str, str]:
    """The package's files: path -> text.

    Raises:
        UsageError: the name cannot be one, or is taken.
    """
    module = name.replace("-", "_")
    _check(name, module, kind)
    source = _template(f"{kind}.py")
    cls = "".join(part.title() for part in name.split("-"))
    if re.search(rf"\b{cls}\b", source):
        raise UsageError(f"the class of '{name}' would be {cls}, which its module needs; choose another")
    values = {
        "name": name,
        "module": module,
        "cls": cls,
        "kind": kind,
        "article": "An" if kind == "algorithm" else "A",
        "letter": kind[0],
        "summary": _summary(source),
        "versions": _versions(__version__),
        "year": str(datetime.date.today().year),
    }
    return {
        path.format(module=module): Template(_template(template.format(kind=kind))).substitute(values)
        for path, template in FILES.items()
    }


def _template(name: str) -> str:
    return (resources.files("mamlzoo.scaffold") / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def _summary(source: str) -> str:
    """The first line of the plugin's docstring: of the last class in its module."""
    return source[source.rindex("\nclass $cls") :].split('"""')[1].partition("\n")[0]


def _versions(ours: str) -> str:
    """The versions of mamlzoo that the package is for: what this one offers stays that long (docs/compatibility.md)."""
    major, minor = map(int, ours.split(".")[:2])
    return f">={major}.{minor},<" + (f"0.{minor + 2}" if major == 0 else str(major + 1))


def _check(name: str, module: str, kind: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"'{name}' cannot name a package: use lower-case letters, digits and dashes, and begin with a letter, "
            f"as in 'my-{kind}'"
        )
    if keyword.iskeyword(module) or keyword.issoftkeyword(module) or module in ("test", "tests"):
        raise UsageError(f"'{name}' cannot name a package: Python has another use for '{module}'")
    taken = installed().offers[kind].get(name)
    if taken is not None:
        raise UsageError(f"the name of {kind} '{name}' is taken by {taken.origin.distribution}; choose another")
    if module in sys.stdlib_module_names or _is_installed(module):
        raise UsageError(f"there is a module '{module}' already, which the new one would hide; choose another name")


def _is_installed(module: str) -> bool:
    """Whether there is such a module elsewhere than in the working directory, which no other process looks into."""
    found = importlib.util.find_spec(module)
    if found is None:
        return False
    places = [found.origin] if found.origin else list(found.submodule_search_locations or [])
    return not all(Path(place).is_relative_to(Path.cwd()) for place in places)
