"""Which of a network's parameters are its head."""

from __future__ import annotations

import mamlzoo
from mamlzoo import Params


def head_of(params: Params, module: str, algorithm: str) -> Params:
    """The parameters of a module by its name; of the layer that holds the last parameter, where the name is empty.

    Raises:
        UsageError: no parameter belongs to such a module.
    """
    *_, last = params
    module = module.rstrip(".") or _layer(last) or last
    head = {name: value for name, value in params.items() if name == module or name.startswith(f"{module}.")}
    if not head:
        raise mamlzoo.UsageError(
            f"algorithm '{algorithm}': no parameter belongs to a module '{module}'; there are: {', '.join(params)}"
        )
    return head


def _layer(parameter: str) -> str:
    """The layer that a parameter belongs to; that of '4.parametrizations.weight.original0' is '4'."""
    if "parametrizations" in parameter.split("."):
        return parameter.partition("parametrizations")[0].rstrip(".")
    return parameter.rpartition(".")[0]
