"""From a Python function to a graph of aten operations that a compiler makes fast code of."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from mamlzoo.engine.compilation.program_cache import CannotCompileError, reason_of

aten = torch.ops.aten
TF32 = 2.0**-10
"""How far the numbers are apart that a GPU multiplies in TF32."""


def traced(function: Callable[..., Any], inputs: Sequence[Tensor]) -> tuple[GraphModule, list[Tensor]]:
    """The function as a graph, and the tensors that it holds, which become the graph's last inputs.

    Raises:
        CannotCompileError: it depends on a tensor's value, or does what a graph cannot hold.
    """
    on_cpu = inputs[0].device.type == "cpu"
    graph, lifted = as_it_is(function, inputs, DEGENERATE if on_cpu else {})
    _make_failures_nan(graph)
    if on_cpu:
        _keep_scalars(graph)
        _keep_joined(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph, lifted


def as_it_is(
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    table: Mapping[Any, Callable[..., Any]],
    *,
    functional: bool = False,
) -> tuple[GraphModule, list[Tensor]]:
    """The same, for no compiler in particular.

    Args:
        table: what operations are made of, by operation.
        functional: whether no operation may change a tensor in place.

    Raises:
        CannotCompileError: it depends on a tensor's value, or does what a graph cannot hold.
    """
    try:
        with torch.no_grad():
            graph = _graph_of(function, inputs, {} if functional else table)
            if functional and any(_changes(node) for node in graph.graph.nodes):
                graph = _graph_of(functionalize(graph), inputs, table)
            elif functional and any(node.target in table for node in graph.graph.nodes):
                graph = _graph_of(graph, inputs, table)
    except Exception as error:  # of a plugin, an optimiser or torch: another plan does the same work
        raise CannotCompileError(reason_of(error)) from error
    lifted = _lift_tensors(graph)
    _forget_the_profiler(graph)
    graph.graph.eliminate_dead_code(_has_effects)
    graph.recompile()
    return graph, lifted


def _graph_of(
    function: Callable[..., Any], inputs: Sequence[Tensor], table: Mapping[Any, Callable[..., Any]]
) -> GraphModule:
    return make_fx(function, dict(table), tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)


def _changes(node: Node) -> bool:
    """Whether an operation changes one of its arguments in place."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _has_effects(node: Node) -> bool:
    """Whether an operation is of use though nobody uses its result; the check of a matrix was not to torch 2.6."""
    return node.is_impure() or node.target is aten._linalg_check_errors.default


def _lift_tensors(graph: GraphModule) -> list[Tensor]:
    """Make inputs of the tensors that the graph holds, such as a list of indices in an algorithm, each of them once."""
    lifted: dict[int, tuple[Tensor, Node]] = {}
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    held = [node for node in graph.graph.nodes if node.op == "get_attr"]
    for node in held:
        tensor = getattr(graph, node.target)
        if id(tensor) not in lifted:
            with graph.graph.inserting_after(last):
                last = graph.graph.placeholder(f"lifted_{len(lifted) + 1}")
            last.meta["val"] = tensor
            lifted[id(tensor)] = tensor, last
        node.replace_all_uses_with(lifted[id(tensor)][1])
        graph.graph.erase_node(node)
    for name in {node.target for node in held}:
        delattr(graph, name)
    return [tensor for tensor, _ in lifted.values()]


def _forget_the_profiler(graph: GraphModule) -> None:
    """torch.optim marks its steps for the profiler."""
    for node in reversed(graph.graph.nodes):
        if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace == "profiler":
            graph.graph.erase_node(node)


def _make_failures_nan(graph: GraphModule) -> None:
    """Where a matrix cannot be factorised, give NaN: this seed has diverged, and the others go on.

    torch computes with whatever is left of the factor, and raises for all where it looks at how that went. A program
    cannot raise.
    """
    order = {node: at for at, node in enumerate(graph.graph.nodes)}
    for check in [node for node in graph.graph.nodes if node.target is aten._linalg_check_errors.default]:
        info = check.args[0]
        graph.graph.erase_node(check)
        while info.target is not operator.getitem:  # [batch …] as the operation gave it, not moved by vmap
            if info.op != "call_function":
                raise CannotCompileError("it checks a matrix that it does not factorise")
            info = info.args[0]
        factorised = info.args[0]
        for result in [node for node in factorised.users if node is not info and _is_real(node)]:
            axes = 1 if result.args[1] == 0 and _solves_for_vectors(factorised) else 2
            with graph.graph.inserting_after(max(info, result, key=order.__getitem__)):
                kept = graph.graph.call_function(aten.where.ScalarSelf, (info, math.nan, result))
            with graph.graph.inserting_before(kept):
                failed = graph.graph.call_function(aten.ne.Scalar, (info, 0))
                for _ in range(axes):
                    failed = graph.graph.call_function(aten.unsqueeze.default, (failed, -1))
            result.replace_all_uses_with(kept)
            kept.args = (failed, math.nan, result)
            kept.meta["val"] = result.meta["val"]


def _is_real(node: Node) -> bool:
    """Whether a node's tensor holds floating-point numbers."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()


def _solves_for_vectors(node: Node) -> bool:
    """Whether the right-hand sides of a system of equations are vectors, [batch …, rows]."""
    if node.target is not aten._linalg_solve_ex.default:
        return False
    left, right = (argument.meta["val"].shape for argument in node.args[:2])  # type: ignore[union-attr]
    return len(right) == 1 or right == left[:-1]


def _keep_scalars(graph: GraphModule) -> None:
    """Compute a number that whole tensors are computed with once, not again for each of their elements.

    Inductor writes what it fuses into one loop, an optimiser's 1 − β^t too. What is read as strided is kept in memory.
    """
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or _dims(node) != 0 or not node.meta["val"].is_floating_point():
            continue
        tensors = [user for user in node.users if _dims(user) > 0 and len(user.all_input_nodes) > 1]
        with graph.graph.inserting_after(node):
            kept = graph.graph.call_function(aten.as_strided.default, (node, [], []))
        for user in tensors:
            user.replace_input_with(node, kept)


def _keep_joined(graph: GraphModule) -> None:
    """Compute a tensor in its own shape before it is flattened and joined to others.

    Fused into the join, a transposed one would be read number by number, with a division to find each.
    """
    for node in list(graph.graph.nodes):
        for part in list(node.args[0]) if node.target is aten.cat.default else []:
            source = part
            while source.target in (aten.view.default, aten._unsafe_view.default):
                source = source.args[0]
            if part.op != "call_function" or source is part or source.op != "call_function":
                continue
            shape = list(part.meta["val"].shape)
            dense: dict[str, Any] = {"memory_format": torch.contiguous_format}
            with graph.graph.inserting_before(node):
                copy = graph.graph.call_function(aten.clone.default, (source,), dense)
                strides = [int(torch.Size(shape[at + 1 :]).numel()) for at in range(len(shape))]
                kept = graph.graph.call_function(aten.as_strided.default, (copy, shape, strides))
            node.replace_input_with(part, kept)


def roughness(*graphs: GraphModule) -> float:
    """How far the roughest of the numbers in graphs are apart, relatively."""
    values = [node.meta.get("val") for graph in graphs for node in graph.graph.nodes]
    kinds = {value.dtype for value in values if isinstance(value, Tensor) and value.is_floating_point()}
    rough = max((torch.finfo(dtype).eps for dtype in kinds), default=torch.finfo(torch.float32).eps)
    on_gpu = any(isinstance(value, Tensor) and value.is_cuda for value in values)
    return max(rough, TF32) if on_gpu and torch.get_float32_matmul_precision() != "highest" else rough


def _dims(node: Node) -> int:
    """How many axes a node's tensor has; −1 if it is none."""
    value = node.meta.get("val")
    return value.ndim if isinstance(value, Tensor) else -1


def _mm(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, :, None] * b[None]).sum(1) if 1 in (*a.shape, *b.shape) else NotImplemented


def _bmm(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, :, :, None] * b[:, None]).sum(2) if 1 in (*a.shape[1:], *b.shape[1:]) else NotImplemented


def _addmm(c: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return c + _mm(a, b) if beta == alpha == 1 and 1 in (*a.shape, *b.shape) else NotImplemented


DEGENERATE: dict[Any, Callable[..., Tensor]] = {
    aten.mm.default: _mm,
    aten.bmm.default: _bmm,
    aten.addmm.default: _addmm,
}
"""Matrix products that are outer products or dot products, as sums: a compiler fuses these with what is around them,
where a call of the matrix library would cost more than its work."""
