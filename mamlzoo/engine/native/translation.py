"""From a traced graph of aten operations to statements of C++."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from mamlzoo.engine.native.expressions import Expression
from mamlzoo.engine.native.operations import LOOKS, OPERATIONS
from mamlzoo.engine.native.statements.nests import C_TYPES
from mamlzoo.engine.native.writer import UncoveredError, Value, Writer

CHECK = torch.ops.aten._linalg_check_errors.default
"""Raises where there is no factor; here it is NaN then, which is an outcome."""


def translated(graph: GraphModule, inputs: Sequence[Expression]) -> tuple[Writer, list[Expression]]:
    """What computes a graph, and its outputs.

    Args:
        inputs: what the graph's inputs are.

    Raises:
        UncoveredError: it holds what is not covered.
    """
    writer, uses, given = Writer(), _uses(graph), iter(inputs)
    outputs: Sequence[Any] = ()
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            writer.values[node] = next(given)
        elif node.op == "output":
            (outputs,) = node.args
        elif node.op == "call_function" and node.target is not CHECK:
            writer.values[node] = writer.settled(_value(writer, node), uses[node])
        elif node.op != "call_function":
            raise UncoveredError(f"a graph with {node.op}")
    return writer, [writer.value(node) for node in outputs]


def _value(writer: Writer, node: Node) -> Value:
    if node.target is operator.getitem:
        return writer.values[node.args[0]][node.args[1]]  # type: ignore[index]
    operation = OPERATIONS.get(getattr(node.target, "overloadpacket", None))
    if operation is None:
        raise UncoveredError(f"{node.target} is not covered")
    found = node.meta["val"] if isinstance(node.meta["val"], (tuple, list)) else [node.meta["val"]]
    found = [each for each in found if each is not None]  # what nobody wanted of several
    if any(not isinstance(each, Tensor) or each.dtype not in C_TYPES or each.numel() == 0 for each in found):
        raise UncoveredError(f"{node.target} gives no numbers, or of another kind")
    return operation(writer, node, *node.args, **node.kwargs)


def _uses(graph: GraphModule) -> dict[Node, int]:
    """How many operations compute with each node, through whatever only looks at it."""
    found: dict[Node, int] = {}
    for node in reversed(graph.graph.nodes):
        found[node] = sum(found[user] if _looks(user) else 1 for user in node.users)
    return found


def _looks(node: Node) -> bool:
    return node.target is operator.getitem or getattr(node.target, "overloadpacket", None) in LOOKS
