"""Checks of every kind of plugin."""

from __future__ import annotations

import json

from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import Plugin
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
