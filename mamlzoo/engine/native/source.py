"""The C++ source of a program: statements of a task, of what tasks share, and of the outer optimiser, in loops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mamlzoo.engine.native.driver import DRIVER
from mamlzoo.engine.native.expressions import Buffer
from mamlzoo.engine.native.statements.linear_algebra import FUNCTIONS
from mamlzoo.engine.native.statements.loops import C_TYPES, Statement
from mamlzoo.engine.native.statements.products import PRELUDE

LINE = 64
"""Bytes of a line of the cache: every buffer begins with one."""


@dataclass
class Memory:
    """Bytes of scratch memory, and which buffers lie where."""

    name: str
    size: int = 0

    def put(self, buffer: Buffer, at: int, number: int) -> str:
        """The declaration of a buffer that lies there."""
        buffer.place = f"{self.name}{number}"
        self.size = max(self.size, at + size_of(buffer))
        ctype = C_TYPES[buffer.dtype]
        return f"{ctype}* const {buffer.place} = ({ctype}*)({self.name} + {at});"


def size_of(buffer: Buffer) -> int:
    """Its bytes, in whole lines of the cache."""
    return -(-buffer.numel * buffer.dtype.itemsize // LINE) * LINE


def planned(statements: Sequence[Statement], memory: Memory, *, reused: bool) -> list[str]:
    """Give every buffer that these statements write a place; the declarations.

    Args:
        reused: whether the place of a buffer that nobody reads any more may be taken by another.
    """
    last: dict[Buffer, int] = {}
    first: dict[Buffer, int] = {}
    for at, statement in enumerate(statements):
        for buffer in (*statement.reads, statement.writes):
            last[buffer] = at
        first.setdefault(statement.writes, at)
    there: list[tuple[int, int, Buffer]] = []  # (begin, end, whose)
    declarations = []
    for buffer, at in first.items():
        if buffer.place is not None:
            continue
        there = [held for held in there if not reused or last[held[2]] >= at]
        begin = 0
        for start, end, _ in sorted(there, key=lambda held: held[0]):
            if start - begin >= size_of(buffer):
                break
            begin = max(begin, end)
        there.append((begin, begin + size_of(buffer), buffer))
        declarations.append(memory.put(buffer, begin, len(declarations)))
    return declarations


def function(name: str, arguments: str, declarations: Iterable[str], statements: Iterable[Statement]) -> str:
    """A C++ function of statements."""
    body = "\n".join([*declarations, *(statement.code() for statement in statements)])
    return f"static __attribute__((noinline)) void {name}({arguments}) {{\n{body}\n}}\n"


@dataclass(frozen=True)
class Sizes:
    """Of a meta-step.

    Attributes:
        seeds, tasks: how many, and how many of each seed.
        numbers: in a seed's θ.
        measured: the meta-loss and the algorithm's own scalars.
        rates: of the outer loop.
    """

    seeds: int
    tasks: int
    numbers: int
    measured: int
    rates: int


@dataclass(frozen=True)
class Source:
    """A program in C++.

    Attributes:
        text: all of it.
        statements: how many it has.
        work: operations of a meta-step, about.
    """

    text: str
    statements: int
    work: float
    shared: int
    own: int
    sizes: Sizes

    def threads(self, most: int) -> int:
        """How many are worth it: one, where waiting for each other would cost more than it saves."""
        return max(1, min(most, self.sizes.seeds * self.sizes.tasks)) if self.work > SPREAD else 1

    def scratch(self, threads: int) -> int:
        """The bytes of memory that so many threads need."""
        return LINE + self.shared + threads * self.own


SPREAD = 1e6
"""Operations of a meta-step from which on several threads are faster than one; measured."""


def program(
    sizes: Sizes,
    kind: torch.dtype,
    task: Sequence[Statement],
    update: Sequence[Statement],
    carried: Sequence[Tensor],
    progress: Tensor,
    constants: Sequence[Tensor],
    episodes: Sequence[Tensor],
    lifted: Sequence[Tensor],
) -> Source:
    """The program of these statements.

    Args:
        kind: of θ.
        task: those of a task; what does not vary with the task is computed once a seed.
        update: those of the outer optimiser.
        carried: θ and the state.
        progress, constants, episodes, lifted: what is given, in this order with the rates after progress.
    """
    shared = [statement for statement in task if not statement.writes.varies]
    own = [statement for statement in task if statement.writes.varies]
    held, arena, scratch = Memory("held"), Memory("arena"), Memory("scratch")
    held_text, arena_text = planned(shared, held, reused=False), planned(own, arena, reused=True)
    scratch_text = planned(update, scratch, reused=True)
    ctype = C_TYPES[kind]
    # A line beyond whole pages: threads, and what one of them reads and writes, then do not fall into the same sets.
    of_gradient = whole(sizes.seeds * sizes.numbers * kind.itemsize)
    of_measures = whole(sizes.seeds * sizes.measured * kind.itemsize)
    per_thread = whole(held.size) + whole(arena.size) + of_gradient + of_measures + LINE

    fixed = [
        ("progress", progress, 1),
        *((f"constant{at}", leaf, leaf[0].numel()) for at, leaf in enumerate(constants)),
    ]
    data = [(f"episode{at}", leaf, leaf[0, 0, 0].numel()) for at, leaf in enumerate(episodes)]
    kept = [(f"lifted{at}", leaf, 0) for at, leaf in enumerate(lifted)]
    everything = [name for name, *_ in (fixed[0], ("rates",), *fixed[1:], *data, *kept)]

    def pointers(named: Sequence[tuple[str, Tensor, int]]) -> str:
        return "".join(f", const {C_TYPES[leaf.dtype]}* {name}" for name, leaf, _ in named)

    def given(name: str, leaf: Tensor, offset: str) -> str:
        return f", (const {C_TYPES[leaf.dtype]}*)c.given[{everything.index(name)}] + {offset}"

    arguments = f"const {ctype}* theta{pointers(fixed)}{pointers(kept)}, char* held"
    passed = f"(const {ctype}*)c.now[0] + seed * {sizes.numbers}" + "".join(
        given(name, leaf, "c.step" if name == "progress" else f"seed * {size}") for name, leaf, size in fixed
    )
    passed += "".join(given(name, leaf, "0") for name, leaf, _ in kept) + ", held"
    of_task = "".join(
        given(name, leaf, f"(c.step * {sizes.seeds * sizes.tasks} + item) * {size}") for name, leaf, size in data
    )
    before = ", ".join(f"const {C_TYPES[leaf.dtype]}* before{at}" for at, leaf in enumerate(carried))
    after = ", ".join(f"{C_TYPES[leaf.dtype]}* after{at}" for at, leaf in enumerate(carried))
    ends = ", ".join(f"(const {C_TYPES[leaf.dtype]}*)c.now[{at}]" for at, leaf in enumerate(carried))
    ends += ", " + ", ".join(f"({C_TYPES[leaf.dtype]}*)c.next[{at}]" for at, leaf in enumerate(carried))
    parts = [
        PRELUDE,
        FUNCTIONS,
        function("shared", arguments, held_text, shared),
        function(
            "task",
            f"{arguments}, char* arena, {ctype}* gradient, {ctype}* measures{pointers(data)}",
            [*held_text, *arena_text],
            own,
        ),
        function(
            "update",
            f"{before}, {after}, const {ctype}* gradient, const double* rates{pointers(kept)}, char* scratch",
            scratch_text,
            update,
        ),
        f"typedef {ctype} number;\n"
        f"constexpr long SEEDS = {sizes.seeds}, TASKS = {sizes.tasks}, NUMBERS = {sizes.numbers}, MEASURED = {sizes.measured}, RATES = {sizes.rates};\n"
        f"constexpr long HELD = {whole(held.size)}, ARENA = {whole(arena.size)}, GRADIENT = {of_gradient}, OWN = {per_thread}, SHARED = {whole(scratch.size)};\n",
        DRIVER.replace("@SHARED_CALL@", f"shared({passed});")
        .replace(
            "@TASK_CALL@", f"task({passed}, arena, gradient + seed * NUMBERS, measures + seed * MEASURED{of_task});"
        )
        .replace(
            "@UPDATE_CALL@",
            f"update({ends}, sum, (const double*)c.given[1] + c.step * RATES{''.join(given(name, leaf, '0') for name, leaf, _ in kept)}, c.scratch);",
        ),
    ]
    counted = sizes.seeds * sizes.tasks * sum(statement.work for statement in own) + sum(each.work for each in update)
    return Source("\n".join(parts), len(task) + len(update), counted, whole(scratch.size), per_thread, sizes)


def whole(size: int) -> int:
    """So many bytes, in whole lines of the cache."""
    return -(-size // LINE) * LINE
