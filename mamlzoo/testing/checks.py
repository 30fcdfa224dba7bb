"""What a check of the conformance kit is, and what comes of running one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mamlzoo.contracts.plugins import KINDS, Plugin
from mamlzoo.discovery import blame
from mamlzoo.engine.torch_errors import explained
from mamlzoo.errors import FOREIGN, MamlzooError, MissingDataError, in_short

Verdict = Literal["passed", "failed", "exempt"]
Function = Callable[[Any], None]


class FaultError(AssertionError):
    """A plugin breaks a promise; the message says how."""


@dataclass(frozen=True)
class Check:
    """One behaviour that a kind of plugin promises.

    Attributes:
        name: of the behaviour, as in `same-seed-gives-same-data`.
        kinds: the kinds of plugins that promise it.
        promise: the behaviour in a sentence.
        remedy: what to do about a plugin that lacks it.
        function: raises `FaultError`, or anything else, for such a plugin.
        concerns: whether a plugin of these kinds makes the promise.
    """

    name: str
    kinds: tuple[str, ...]
    promise: str
    remedy: str
    function: Function
    concerns: Callable[[Any], bool]

    def applies_to(self, plugin: Plugin) -> bool:
        """Whether the plugin makes this promise at all."""
        return plugin.kind in self.kinds and self.concerns(plugin)

    def of(self, plugin: Plugin) -> Outcome:
        """Run the check on a plugin. Whatever that raises is an outcome, too."""
        error = self._error(plugin)
        if isinstance(error, MissingDataError):
            return Outcome(self, plugin, "exempt", error)
        reason = plugin.exempt_from.get(self.name)
        if reason is None:
            return Outcome(self, plugin, "failed" if error else "passed", error)
        if error:
            return Outcome(self, plugin, "exempt", error)
        needless = FaultError(f"the plugin says that it is exempt ({reason}), and it passes: take the exemption away")
        return Outcome(self, plugin, "failed", needless)

    def _error(self, plugin: Plugin) -> BaseException | None:
        try:
            self.function(plugin)
        except FOREIGN as error:
            return error
        return None


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Attributes:
        verdict: 'exempt' where the plugin fails and says, with a reason, that it rightly does, or where what it is
            made of is not there.
        error: what the check found, or what the plugin raised.
    """

    check: Check
    plugin: Plugin
    verdict: Verdict
    error: BaseException | None = None

    @property
    def finding(self) -> str:
        """The promise that was kept, the reason of an exemption, or what was wrong; one line."""
        if self.verdict == "exempt" and not isinstance(self.error, MissingDataError):
            return self.plugin.exempt_from[self.check.name]
        if self.error is None:
            return self.check.promise
        if isinstance(self.error, FaultError | MamlzooError):
            return " ".join(str(self.error).split())
        return _in_short(self.error)

    @property
    def remedy(self) -> str:
        """What to do about a fault that the check found; nothing where the plugin raised something of its own."""
        found = isinstance(self.error, FaultError) or _is_refused_by_vmap(self.error)
        return self.check.remedy if self.verdict == "failed" and found else ""

    @property
    def place(self) -> str:
        """Where the plugin raised, as in 'from /home/me/lines.py:12'; nothing where the check found a fault."""
        if self.verdict != "failed" or self.error is None or isinstance(self.error, FaultError):
            return ""
        suspect = blame.find_suspect(self.error, [self.plugin])
        return blame.origin(self.plugin, suspect.line if suspect else None)


def check(*kinds: str, concerns: Callable[[Any], bool] = lambda plugin: True) -> Callable[[Function], Check]:
    """Make a check of a function that raises `FaultError`, or anything else, for a plugin that breaks its promise.

    The function's name names the check. Its docstring's first line is the promise, the rest is the remedy.

    Args:
        kinds: 'task', 'model', 'algorithm'; none: all.
        concerns: whether a plugin of these kinds makes the promise.
    """

    def made(function: Function) -> Check:
        promise, _, remedy = (function.__doc__ or "").partition("\n")
        name = function.__name__.replace("_", "-")
        return Check(name, kinds or tuple(KINDS), promise, " ".join(remedy.split()), function, concerns)

    return made


def require(condition: Any, message: str) -> None:
    """Raise a FaultError with the message unless the condition holds."""
    if not condition:
        raise FaultError(message)


def _in_short(error: BaseException) -> str:
    """What an exception means, or that it was raised, with its first sentence; torch's go on for long."""
    if _is_refused_by_vmap(error):
        why = "torch.func.vmap does without a tensor's value, which .item() and `if` ask for"
        return f"raised {type(error).__name__}: {why}"
    said, meant = in_short(error), explained(error)
    return meant if meant != said else "raised " + re.split(r"(?<=[.!?])\s+(?=[A-Z])", said, maxsplit=1)[0]


def _is_refused_by_vmap(error: BaseException | None) -> bool:
    """Whether torch.func.vmap met what hangs on a tensor's value."""
    return isinstance(error, RuntimeError) and bool(
        re.match(r"vmap: It looks like you're .*(\.item\(\)|data-dependent)", str(error), re.S)
    )
