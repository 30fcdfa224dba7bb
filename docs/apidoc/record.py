"""`docs/public-names.txt`: every public name and signature, and whether the changelog names what changed since.

The record is written anew at a release. Between two releases the source moves away from it, and each step must stand in
the topmost section of the changelog.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

import griffe

from apidoc import signatures
from apidoc.names import GROUPS, Documented, members, public

ONE_LINE = 10_000


class Change(NamedTuple):
    """A public name that is not as it was: its line before and now, empty where there is none."""

    name: str
    before: str
    now: str

    def __str__(self) -> str:
        if not self.before:
            return f"`{self.name}` is new: {self.now}"
        return f"`{self.name}` changed from {self.before} to {self.now}" if self.now else f"`{self.name}` is gone"


def signatures_of(name: str, found: Documented) -> Iterator[tuple[str, str]]:
    """A name and, of a class, its public members, each with its signature in one line."""
    match found:
        case griffe.Function():
            yield name, signatures.function(name, found, ONE_LINE) + _marks(found)
        case griffe.Attribute():
            yield name, signatures.attribute(name, found) + _marks(found)
        case griffe.Class():
            bases = [base for base in signatures.bases(found) if base != "ABC"]
            made = "" if (arguments := _arguments(found)) is None else f"({', '.join(arguments)})"
            yield name, f"{name}{made}" + (f" of {', '.join(bases)}" if bases else "")
            for member, inside in members(found):
                yield from signatures_of(f"{name}.{member}", inside)


def _marks(found: Documented) -> str:
    """What of a member its signature does not show; a method that becomes abstract breaks every plugin."""
    marks: list[str] = [mark for mark in ("classmethod", "staticmethod", "property") if mark in found.labels]
    if any(str(decorator.value).endswith("abstractmethod") for decorator in getattr(found, "decorators", ())):
        marks.insert(0, "abstract")
    return f" ({' '.join(marks)})" if marks else ""


def _arguments(found: griffe.Class) -> list[str] | None:
    """The constructor's arguments; where they are fields, whose lines have types and defaults, by name alone."""
    arguments = signatures.constructor(found)
    if arguments is None or not ("dataclass" in found.labels or signatures.is_named_tuple(found)):
        return arguments
    return [re.split(r"[:= ]", argument)[0] for argument in arguments]


def current() -> dict[str, str]:
    """The signature of every public name as the source has it."""
    return dict(pair for group in GROUPS for name, found in public(group) for pair in signatures_of(name, found))


def text(changelog: str) -> str:
    """The record of today, which says of which release: the one at the top of the changelog."""
    heading = topmost(changelog).partition("\n")[0]
    before = ", before its release" if is_open(changelog) else ""
    version = heading.split()[0]
    lines = [f"# As of mamlzoo {version}{before}. The topmost section of CHANGELOG.md names what changed since."]
    for group in GROUPS:
        lines += ["", f"# {group.title}"]
        lines += [line for name, found in public(group) for _, line in signatures_of(name, found)]
    return "\n".join(lines) + "\n"


def read(record: str) -> dict[str, str]:
    """The signatures that a record holds, by name."""
    lines = [line for line in record.splitlines() if line and not line.startswith("#")]
    return {re.split(r"[^\w.]", line, maxsplit=1)[0]: line for line in lines}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[Change]:
    """What differs; members of a class that is new or gone go with it."""
    names = dict.fromkeys([*before, *now])
    differ = [Change(name, before.get(name, ""), now.get(name, "")) for name in names]
    differ = [change for change in differ if change.before != change.now]
    whole = {change.name for change in differ if not (change.before and change.now)}
    return [change for change in differ if change.name.partition(".")[0] not in whole - {change.name}]


def topmost(changelog: str) -> str:
    """The section of the next release, or of the last one: from its heading's words to the next heading."""
    return re.split(r"^## ", changelog, flags=re.M)[1]


def announced(section: str) -> set[str]:
    """The public names in backticks in a section of the changelog: `mamlzoo.run`, `run(out=…)`, `Spec.kind`, `Fit`.

    A word in lower case alone, as `run`, is a command.
    """
    quoted = re.findall(r"`(mamlzoo\.)?(?:testing\.)?([A-Za-z_][\w.]*)([^`]*)`", section)
    return {
        name for prefix, name, rest in quoted if prefix or rest.startswith("(") or "." in name or not name.islower()
    }


def is_open(changelog: str) -> bool:
    """Whether the topmost section is of a release to come, so that changes can be named there."""
    return "(unreleased)" in topmost(changelog).partition("\n")[0]


def unannounced(before: Mapping[str, str], now: Mapping[str, str], changelog: str) -> list[Change]:
    """What changed without the changelog naming it in the section of the release to come.

    A class whose constructor got or lost fields is named by these fields too.
    """
    named = announced(topmost(changelog)) if is_open(changelog) else set()
    return [change for change in changes(before, now) if change.name not in named and not _are_fields(change, named)]


def _are_fields(change: Change, named: Set[str]) -> bool:
    """Whether what changed of a constructor is fields alone, and each is named."""
    before, now = (set(re.findall(r"\w+", line.partition("(")[2])) for line in (change.before, change.now))
    differ = before ^ now
    return bool(before and now and differ) and all(f"{change.name}.{field}" in named for field in differ)
