"""From a traced graph of aten operations to a program of a page."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from mamlzoo.explorer.lowering import Lowering, Seen, UncoveredError, Value
from mamlzoo.explorer.numbers import Pool
from mamlzoo.explorer.operations import OPERATIONS

aten = torch.ops.aten
LOOKS = (aten._unsafe_view, aten.reshape, aten.lift_fresh_copy, aten.squeeze)
"""What only looks at a tensor, of operations that do not say so themselves."""
CHECK = aten._linalg_check_errors
"""Raises where there is no factor; on a page it is NaN then."""


def lowered(graph: GraphModule, inputs: Sequence[Tensor], lifted: Sequence[Tensor], pool: Pool) -> dict[str, Any]:
    """A graph as a document.

    Args:
        inputs: what it is given, as examples.
        lifted: its last inputs, which it held.

    Raises:
        UncoveredError: no page can compute it.
    """
    lowering = Lowering(pool, inputs)
    given: Any = iter([*lowering.inputs, *lifted])
    outputs: Sequence[Any] = ()
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            lowering.values[node] = next(given)
        elif node.op == "output":
            (outputs,) = node.args
        elif getattr(node.target, "overloadpacket", None) is not CHECK:
            lowering.values[node] = _value(lowering, node)
    return lowering.document([lowering.values[node] for node in outputs])


def _value(lowering: Lowering, node: Node) -> Value:
    args, keywords = lowering.of(node.args), {name: lowering.of(value) for name, value in node.kwargs.items()}
    if node.target is operator.getitem:
        found: Value = args[0][args[1]]
        return found
    if not any(isinstance(each, Seen) for each in _flat([*args, *keywords.values()])):
        known: Value = node.target(*args, **keywords)  # type: ignore[operator]
        return tuple(known) if isinstance(known, list) else known
    packet = getattr(node.target, "overloadpacket", None)
    if (node.target.is_view or packet in LOOKS) and isinstance(args[0], Seen):  # type: ignore[union-attr]
        look = torch.reshape if packet in (aten._unsafe_view, aten.reshape, aten.view) else node.target
        if packet is aten.lift_fresh_copy:
            return args[0]
        return lowering.looked(_strict(look), args, keywords)  # type: ignore[arg-type]
    operation = OPERATIONS.get(packet)
    if operation is None:
        raise UncoveredError(f"{node.target} is not known to the page")
    return operation(lowering, node, *args, **keywords)


def _strict(look: Callable[..., Any]) -> Callable[..., Any]:
    """A reshape that raises where it would copy."""

    def strict(view: Tensor, *args: Any, **keywords: Any) -> Any:
        return view.view(*args, **keywords) if look is torch.reshape else look(view, *args, **keywords)

    return strict


def _flat(values: Any) -> list[Any]:
    return [each for value in values for each in (_flat(value) if isinstance(value, (list, tuple)) else [value])]
