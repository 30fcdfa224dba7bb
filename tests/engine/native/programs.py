"""Functions of tensors as one C++ library, to be held to what torch computes."""

from __future__ import annotations

import ctypes

import torch

from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.graph import as_it_is
from mamlzoo.engine.native import toolchain
from mamlzoo.engine.native.expressions import Buffer, Expression
from mamlzoo.engine.native.memory import Memory, planned
from mamlzoo.engine.native.operations.decompositions import decompositions
from mamlzoo.engine.native.source import templates
from mamlzoo.engine.native.statements.nests import C_TYPES
from mamlzoo.engine.native.translation import translated


def written(name, function, inputs):
    """(the C++ of a function of dense tensors, its inputs, examples of its outputs, bytes of scratch, its statements)."""
    graph, lifted = as_it_is(
        lambda *tensors: list(outputs_of(function(*tensors))), inputs, decompositions(), functional=True
    )
    everything = [*inputs, *lifted]
    given = [
        Expression.of(Buffer(tensor.numel(), tensor.dtype, f"in{at}"), tensor.shape)
        for at, tensor in enumerate(everything)
    ]
    writer, values = translated(graph, given)
    outputs = outputs_of(function(*inputs))
    for at, (value, like) in enumerate(zip(values, outputs, strict=True)):
        writer.put(value, f"out{at}", like.dtype)
    memory = Memory("scratch")
    declarations = planned(writer.statements, memory, reused=True)
    pointers = [
        f"const {C_TYPES[t.dtype]}* in{at} = (const {C_TYPES[t.dtype]}*)given[{at}];" for at, t in enumerate(everything)
    ]
    pointers += [f"{C_TYPES[t.dtype]}* out{at} = ({C_TYPES[t.dtype]}*)found[{at}];" for at, t in enumerate(outputs)]
    body = "\n".join([*pointers, *declarations, *(each.code() for each in writer.statements)])
    text = f'extern "C" void {name}(void* const* given, void* const* found, char* scratch) {{\n{body}\n}}\n'
    return text, everything, outputs, memory.size, writer.statements


def outputs_of(found):
    return list(found) if isinstance(found, (tuple, list)) else [found]


def addresses(tensors):
    return (ctypes.c_void_p * max(1, len(tensors)))(*(tensor.data_ptr() for tensor in tensors))


def computed(cases, others=None):
    """What a library of these functions gives: for each (function, inputs) its outputs. They are compiled together.

    Inputs are dense.

    Args:
        others: inputs to compute with, of each function, instead of those that it was traced with.
    """
    pieces = [written(f"f{at}", function, inputs) for at, (function, inputs) in enumerate(cases)]
    statements = [each for *_, own in pieces for each in own]
    source = "\n".join([*templates(statements), *(text for text, *_ in pieces)])
    path = toolchain.program_path(source, program_cache.place().folder)
    if (library := toolchain.load(path)) is None:
        toolchain.compiled(source, path)
        library = toolchain.load(path)
    results = []
    for at, (_, given, outputs, size, _) in enumerate(pieces):
        if others is not None:
            given[: len(others[at])] = others[at]
        found = [torch.full(like.shape, 77, dtype=like.dtype) for like in outputs]
        scratch = torch.empty(size + 64, dtype=torch.uint8)
        start = ctypes.c_void_p((scratch.data_ptr() + 63) // 64 * 64)
        getattr(library, f"f{at}")(addresses(given), addresses(found), start)
        results.append(found)
    return results
