"""The one hook: what a module offers to the zoo.

A plugin module, named by an entry point of the group `mamlzoo`, says

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Sine]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from mamlzoo.interfaces import Plugin

hookspec = pluggy.HookspecMarker("mamlzoo")
hookimpl = pluggy.HookimplMarker("mamlzoo")


class Specification:
    """What plugins may implement."""

    @hookspec
    def mamlzoo_plugins(self) -> Iterable[type[Plugin]]:  # type: ignore[empty-body]
        """The classes that this module offers: final subclasses of Task, Model or MetaAlgorithm."""
