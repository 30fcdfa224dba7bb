"""Where the plugins of a run came from, as its config says it, and the way back."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mamlzoo.contracts.options import options_of
from mamlzoo.contracts.plugins import Plugin
from mamlzoo.discovery import file_references, trust
from mamlzoo.discovery.entry_points import installed, make_referenced
from mamlzoo.discovery.source_code import Source
from mamlzoo.errors import UsageError

Saved = Mapping[str, Any]
"""What a config says of a plugin: its name, its options, and what `of` and `data_of` give."""


def of(plugin: Plugin) -> dict[str, Any]:
    """Whether the plugin's name leads back to its very class, and to which version of it; else the source that does."""
    offer = installed().offers[plugin.kind].get(plugin.name)
    if offer is not None and offer.cls is type(plugin):
        return {"registered": True, "version": f"{offer.origin.distribution} {offer.origin.version}"}
    source = file_references.source_of(type(plugin))
    return {"registered": False, "version": None} | ({"source": source._asdict()} if source else {})


def data_of(plugin: Plugin) -> dict[str, Any]:
    """What the plugin reads besides its options, as a digest, and what it knows of it; nothing where there is none."""
    found = {"data": plugin.data_digest(), "facts": plugin.data_facts()}
    return {name: value for name, value in found.items() if value is not None}


def check_data(saved: Saved, plugin: Plugin) -> None:
    """What the plugin of a config read must be what this one reads; configs without a digest of it say nothing.

    Raises:
        UsageError: it has changed, or is gone.
    """
    if "data" in saved and saved["data"] != plugin.data_digest():
        declared = options_of(type(plugin))
        texts = [
            f"{name} {value}"
            for name, value in saved["options"].items()
            if value and name in declared and declared[name].type is str and not declared[name].choices
        ]
        where = f" ({', '.join(texts)})" if texts else ""
        raise UsageError(
            f"{plugin.kind} '{plugin.name}': what it reads has changed since the run began"
            f"{where}; make it what it was, or begin a new run"
        )


def text_of(saved: Saved) -> str | None:
    """What `-t`, `-m` and `-a` take for the plugin; None if it came from Python, so that nothing leads back to it."""
    if saved["registered"]:
        return str(saved["name"])
    source = _source(saved)
    return source.reference if source else None


def make(kind: str, saved: Saved, vouched: Sequence[str] = ()) -> Plugin:
    """The plugin that a config names, which knows of its data what the config does.

    Code of a user's own is executed only if it is trusted (`trust`), and has the SHA-256 that the config says.

    Args:
        vouched: references at which its code may be, too: whoever calls has run it.

    Raises:
        UsageError: it is not installed, came from Python, came from a file that is gone or has changed, or is code that
            was never run here.
    """
    plugin = _made(kind, saved, vouched)
    return plugin.with_data_facts(saved["facts"]) if "facts" in saved else plugin


def _made(kind: str, saved: Saved, vouched: Sequence[str]) -> Plugin:
    name, source = saved["name"], _source(saved)
    what = f"{kind} '{name}'"
    if saved["registered"]:
        if name not in installed().offers[kind] and file_references.is_reference(name):  # which `make` would look up
            raise UsageError(f"there is no {what} among the installed plugins")
        return installed().make(kind, name, saved["options"])
    if source is None:
        raise UsageError(
            f"{what} came from Python and its code is not in the run directory; use it in the process that ran it"
        )
    known = [*vouched] or [*trust.places(source), *file_references.places(source)]
    if not known:
        raise UsageError(
            f"{what} is code that was never run here, {source.reference} with SHA-256 {source.sha256}, and none of it "
            f"was executed; read it, and if you trust it: `mamlzoo trust {shlex.quote(source.reference)}`"
        )
    try:
        reference = file_references.unchanged(source, known)
    except UsageError as error:
        raise UsageError(f"{what} cannot be made again: {error}") from None
    return make_referenced(kind, reference, source.sha256, saved["options"])


def remember(plugins: Iterable[Plugin]) -> None:
    """Trust the code of plugins that are run here, for the run directories that name it.

    Raises:
        UsageError: the list of what is trusted cannot be written.
    """
    trust.add(source for plugin in plugins if (source := source_of(plugin)))


def leads_back(plugin: Plugin) -> bool:
    """Whether another process can make the plugin: by its name, or by the place of its code."""
    return bool(of(plugin)["registered"]) or source_of(plugin) is not None


def source_of(plugin: Plugin) -> Source | None:
    """What leads back to the code of a plugin that is none of the installed ones."""
    return None if of(plugin)["registered"] else file_references.source_of(type(plugin))


def check_same(kind: str, saved: Saved, plugin: Plugin) -> None:
    """A plugin must have the code of the one that a config names; of a class from Python that is not known.

    Raises:
        UsageError: it came from a file of another content.
    """
    before, now = _source(saved), file_references.source_of(type(plugin))
    if before is not None and now is not None and before.sha256 != now.sha256:
        raise UsageError(
            f"the {kind} given is not '{saved['name']}' with the code that the run began with (SHA-256 "
            f"{before.sha256[:12]}…, now {now.sha256[:12]}…)"
        )


def _source(saved: Saved) -> Source | None:
    source = saved.get("source")
    return Source(source["reference"], source["sha256"]) if source else None
