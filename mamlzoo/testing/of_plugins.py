"""Checks of every kind of plugin."""

from __future__ import annotations

import json

from mamlzoo import options
from mamlzoo.errors import did_you_mean
from mamlzoo.interfaces import Plugin
from mamlzoo.testing.checks import check, require


@check()
def config_round_trips_through_json(plugin: Plugin) -> None:
    """Its options, written as JSON and read again, make an equal plugin.

    Let __post_init__ check options and leave their values as they are.
    """
    values = options.values(plugin)
    read = options.make(type(plugin), json.loads(json.dumps(values, allow_nan=False)), plugin.name)
    for name, value in values.items():
        found = options.values(read)[name]
        require(found == value, f"option {name} = {value!r} comes back as {found!r}")


@check()
def exemptions_have_reasons(plugin: Plugin) -> None:
    """What it is exempt from are checks of its kind, each with a reason.

    Correct or remove the entry of exempt_from.
    """
    from mamlzoo.testing.kit import checks_of  # which knows them all, this one too

    known = [check.name for check in checks_of(plugin)]
    for name, reason in plugin.exempt_from.items():
        require(name in known, f"exempt_from: there is no check '{name}' of it; {did_you_mean(name, known)}")
        require(isinstance(reason, str) and reason.strip(), f"exempt_from: '{name}' has no reason")
