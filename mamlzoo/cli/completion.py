"""What a shell offers behind Tab: names of what is installed, and values of options; for files it has its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from mamlzoo.contracts.options import Option
from mamlzoo.errors import MamlzooError
from mamlzoo.tables import plain

if TYPE_CHECKING:
    from mamlzoo.discovery.registry import Registry

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""What click calls with what is written so far."""


def plugins(*kinds: str) -> Complete:
    """Names of the plugins of these kinds; where none begins so, files, since a plugin may be one's own."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        offers = [offer for kind in kinds for offer in _installed().offers[kind].items()]
        found = {name: offer.cls.summary() for name, offer in sorted(offers) if name.startswith(incomplete)}
        return [item(name, summary) for name, summary in found.items()] or _files(incomplete)

    return complete


def item(name: str, help: str | None) -> CompletionItem:
    """A word and, for shells that show it, what it means: in one line that no terminal obeys, whoever wrote it."""
    return CompletionItem(name, help=" ".join(plain(help or "").split()))


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of recipes."""
    return _beginning(sorted(_installed().recipes), incomplete)


def loggers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of loggers."""
    return _beginning(sorted(_installed().loggers), incomplete)


def optimizers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of outer optimisers."""
    from mamlzoo.engine.outer_optimizer import optimizer_names

    return _beginning(optimizer_names(), incomplete)


def values(option: Option, incomplete: str) -> list[CompletionItem]:
    """The values of an option, where they are few; files, where it takes any text."""
    if option.type is str and not option.choices:
        return _files(incomplete)
    known = option.choices or (("true", "false") if option.type is bool else ())
    return _beginning([*known, *(["none"] if option.optional else [])], incomplete)


def installed_among(chosen: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The names of installed plugins, by kind: code in files is not executed because somebody pressed Tab."""
    offers = _installed().offers
    return {kind: [name for name in names if name in offers[kind]] for kind, names in chosen.items()}


def _installed() -> Registry:
    from mamlzoo.discovery.entry_points import installed
    from mamlzoo.discovery.registry import Registry

    try:
        return installed()
    except MamlzooError:  # by MAMLZOO_STRICT; the next command says it
        return Registry()


def _beginning(known: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def _files(incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]
