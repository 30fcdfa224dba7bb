"""The errors a user can meet, each one clear line: what was wrong, where, and what would be right.

The command line prints the line alone; `UsageError` ends it with exit code 2, any other with 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Protocol


class Named(Protocol):
    """What can be blamed: a plugin."""

    @property
    def kind(self) -> str:
        """What it is: a task, a model or an algorithm."""

    @property
    def name(self) -> str:
        """What it is called."""


class MamlzooError(Exception):
    """Base of every error that mamlzoo raises on purpose.

    Attributes:
        exit_code: what the command line ends with.
        headline: what it puts before the line.
        what: what was wrong.
        remedy: what to do about it; empty where `what` says so.
        plugin: which plugin is to blame, where that is known.
        origin: where that plugin comes from; an experiment fills it in.
    """

    exit_code = 1
    headline = "Error: "

    def __init__(self, what: str = "", *, remedy: str = "", plugin: Named | None = None) -> None:
        super().__init__(what)
        self.what, self.remedy, self.plugin = what, remedy, plugin
        self.origin = ""

    def __str__(self) -> str:
        line = f"{self.what}; {self.remedy}" if self.remedy else self.what
        return f"{line} ({self.origin})" if self.origin else line


class UsageError(MamlzooError):
    """What was asked for cannot be: an unknown name, a value out of range, a combination that does not fit."""

    exit_code = 2


class MissingDataError(UsageError):
    """What a plugin is made of is not there: a data set to be added, or a package to be installed."""


class PluginError(MamlzooError):
    """A plugin broke the contract: it failed to load, raised, or returned something of the wrong kind or shape."""


FOREIGN = (Exception, SystemExit)
"""What a stranger's code may raise; anything else, as Ctrl-C, is the user's wish to stop."""
LONGEST = 300
"""Characters of a stranger's message that are shown."""


def in_short(error: BaseException) -> str:
    """A stranger's exception in one short line, whatever its message holds.

    >>> in_short(ValueError("no such file\\nat all"))
    'ValueError: no such file'
    """
    try:
        said = str(error).strip().partition("\n")[0]
    except Exception:  # a message that cannot be made is none
        said = ""
    said = "".join(letter if letter.isprintable() else " " for letter in said)
    if len(said) > LONGEST:
        said = f"{said[:LONGEST]}…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known ones, or else all of them.

    >>> did_you_mean("sin", ["sine", "scalar"])
    "did you mean 'sine'?"
    >>> did_you_mean("x", ["sine", "scalar"])
    'there are: scalar, sine'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"'{match}'" for match in close) + "?"
    return "there are: " + ", ".join(known) if known else "there are none"
