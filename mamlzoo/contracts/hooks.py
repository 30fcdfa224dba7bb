"""What a module can offer: plugins, recipes, trained θ; what it can hear of runs is in `experiments.logger_hooks`.

An entry point of the group `mamlzoo` names a plugin's class, or a module that has one of these functions at least:

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Sine]

A function may leave out arguments that it does not use.

The contract between mamlzoo and plugins, this package, has a version, `mamlzoo.CONTRACT`; it rises when plugins can
count on something new. A module that does says so, above its imports from mamlzoo:

    __mamlzoo_contract__ = 2

An older mamlzoo then refuses it with the line that a newer one is needed, and loads everything else. A module of an
older contract is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable

import pluggy

from mamlzoo.contracts.plugins import Plugin

CONTRACT = 2
"""The version of the contract that this mamlzoo keeps."""

hookspec = pluggy.HookspecMarker("mamlzoo")
hookimpl = pluggy.HookimplMarker("mamlzoo")
"""Marks a function of a plugin module as one that mamlzoo calls; a decorator."""


class Offering:
    """What a module may offer."""

    @hookspec
    def mamlzoo_plugins(self) -> Iterable[type[Plugin]]:  # type: ignore[empty-body]
        """The classes that this module offers: final subclasses of Task, Model or MetaAlgorithm."""

    @hookspec
    def mamlzoo_recipes(self) -> Iterable[Traversable]:  # type: ignore[empty-body]
        """The recipes that this module offers: TOML files, as `importlib.resources.files` gives them."""

    @hookspec
    def mamlzoo_trained(self) -> Iterable[Traversable]:  # type: ignore[empty-body]
        """The trained θ that this module offers: files of `mamlzoo pack`, as `importlib.resources.files` gives them.

        A file's name without its `.safetensors` is that of the θ in `mamlzoo adapt` and `mamlzoo.load`.
        """
