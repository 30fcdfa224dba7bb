"""The C++ source of a program: statements of a task, of what tasks share, and of the outer optimiser, in loops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from mamlzoo.engine.memory import BUDGET, MIB
from mamlzoo.engine.native.driver import DRIVER
from mamlzoo.engine.native.memory import LINE, Memory, in_lines, planned
from mamlzoo.engine.native.statements.convolutions import CONVOLUTIONS, OfWindows
from mamlzoo.engine.native.statements.functions import DECLARATIONS
from mamlzoo.engine.native.statements.linear_algebra import FUNCTIONS
from mamlzoo.engine.native.statements.loops import Statement
from mamlzoo.engine.native.statements.nests import C_TYPES
from mamlzoo.engine.native.statements.products import PRODUCTS
from mamlzoo.engine.native.statements.transpositions import TRANSPOSITIONS

SPREAD = 1e6
"""Operations of a meta-step from which on several threads are faster than one; measured."""
PARTS = 8
"""Of a seed's tasks at most, each computed by one thread. Sums are of parts, however many threads and seeds there are:
so a seed comes to the same bits alone and beside others."""
SUMS = 64 * MIB
"""Bytes that the sums of a seed's parts may take."""


@dataclass(frozen=True)
class Given:
    """Tensors that a program is given, those of `all` in this order.

    Attributes:
        theta, state: what a meta-step hands to the next.
        progress, rates: of every meta-step, [meta-steps], [meta-steps, groups].
        options: of the algorithm, those that are numbers, [seeds, options].
        constants: [seeds, …].
        episodes: [meta-steps, seeds, tasks, …].
        task_lifted, update_lifted: what the graphs hold.
    """

    theta: Tensor
    state: Sequence[Tensor]
    progress: Tensor
    rates: Tensor
    options: Tensor
    constants: Sequence[Tensor]
    episodes: Sequence[Tensor]
    task_lifted: Sequence[Tensor]
    update_lifted: Sequence[Tensor]

    @property
    def all(self) -> list[Tensor]:
        """What stays the same for a block."""
        lifted = [*self.task_lifted, *self.update_lifted]
        return [self.progress, self.rates, self.options, *self.constants, *self.episodes, *lifted]


@dataclass(frozen=True)
class Source:
    """A program in C++.

    Attributes:
        text: all of it.
        statements: how many it has.
        work: operations of a meta-step, about.
        parts: of a meta-step, which threads share between them.
    """

    text: str
    statements: int
    work: float
    parts: int
    _shared: int
    _own: int

    def threads(self, most: int) -> int:
        """How many are worth it, within the memory that there is for them: one, where waiting for each other would
        cost more than it saves."""
        fit = BUDGET // max(1, self._own)
        return max(1, min(most, self.parts, fit)) if self.work > SPREAD else 1

    def scratch(self, threads: int) -> int:
        """The bytes of memory that so many threads need."""
        return LINE + self._shared + threads * self._own


@dataclass(frozen=True)
class _Pointer:
    """An argument of a function: its declaration, and what the driver passes."""

    declared: str
    passed: str

    @classmethod
    def at(cls, tensor: Tensor, name: str, base: str, offset: str = "0") -> _Pointer:
        """What lies so many numbers behind an untyped address."""
        ctype = C_TYPES[tensor.dtype]
        return cls(f"const {ctype}* {name}", f"(const {ctype}*){base} + {offset}")


def program(given: Given, measured: int, task: Sequence[Statement], update: Sequence[Statement]) -> Source:
    """The program of these statements.

    Args:
        measured: numbers that a task measures.
        task: those of a task; what does not vary with the task is computed once a seed.
        update: those of the outer optimiser.
    """
    seeds, tasks = given.episodes[0].shape[1:3]
    numbers, ctype = given.theta.shape[1], C_TYPES[given.theta.dtype]
    shared, own = ([each for each in task if each.writes.varies is varies] for varies in (False, True))
    held, arena, scratch = Memory("held"), Memory("arena"), Memory("scratch")
    declared = planned(shared, held, reused=False)
    in_arena, in_scratch = planned(own, arena, reused=True), planned(update, scratch, reused=True)

    of_seed, of_task, of_update = _pointers(given, seeds, tasks, numbers)
    out = [_Pointer(f"{ctype}* {name}", name) for name in ("gradient", "measures")]
    of_seed.append(_Pointer("char* held", "held"))
    of_task = [*of_seed, _Pointer("char* arena", "arena"), *out, *of_task]
    calls = {"SHARED": _call("shared", of_seed), "TASK": _call("task", of_task), "UPDATE": _call("update", of_update)}
    sizes = {
        **{"SEEDS": seeds, "TASKS": tasks, "NUMBERS": numbers, "MEASURED": measured, "RATES": given.rates.shape[1]},
        "HELD": in_lines(held.size),
        # A line more, so that two threads do not read and write the same sets of their caches.
        "OWN": in_lines(held.size) + in_lines(arena.size) + LINE,
        **_parts(seeds, tasks, (numbers + measured) * given.theta.itemsize),
    }
    total = in_lines(scratch.size)
    sizes["TOTAL"] = total
    sizes["SUMS"] = total + in_lines(seeds * numbers * given.theta.itemsize)
    sizes["SHARED"] = sizes["SUMS"] + sizes["PARTS"] * sizes["PART"]
    driver = DRIVER
    for name, call in calls.items():
        driver = driver.replace(f"@{name}@", call)
    parts = [
        *templates((*task, *update)),
        _function("shared", of_seed, declared, shared),
        _function("task", of_task, [*declared, *in_arena], own),
        _function("update", of_update, in_scratch, update),
        f"typedef {ctype} number;",
        *(f"constexpr long {name} = {size};" for name, size in sizes.items()),
        driver,
    ]
    work = seeds * tasks * sum(each.work for each in own) + sum(each.work for each in update)
    return Source("\n".join(parts), len(task) + len(update), work, sizes["PARTS"], sizes["SHARED"], sizes["OWN"])


def templates(statements: Iterable[Statement]) -> list[str]:
    """What statements call."""
    windows = [CONVOLUTIONS] if any(isinstance(each, OfWindows) for each in statements) else []
    return [DECLARATIONS, PRODUCTS, TRANSPOSITIONS, *windows, FUNCTIONS]


def _parts(seeds: int, tasks: int, row: int) -> dict[str, int]:
    """Into how many parts a meta-step is cut, as many for each seed, and the bytes of each.

    Args:
        row: bytes of what is summed up for a seed.
    """
    return {"PARTS": seeds * max(1, min(PARTS, tasks, SUMS // row)), "PART": in_lines(row)}


def _pointers(
    given: Given, seeds: int, tasks: int, numbers: int
) -> tuple[list[_Pointer], list[_Pointer], list[_Pointer]]:
    """The arguments of what tasks share, those that a task has beside them, and those of the update."""
    places = {id(tensor): f"c.given[{at}]" for at, tensor in enumerate(given.all)}

    def at(tensor: Tensor, name: str, offset: str = "0") -> _Pointer:
        return _Pointer.at(tensor, name, places[id(tensor)], offset)

    carried = [given.theta, *given.state]
    first = len(given.task_lifted)
    of_seed = [
        _Pointer.at(given.theta, "theta", "c.now[0]", f"seed * {numbers}"),
        at(given.progress, "progress", "c.step"),
        at(given.options, "options", f"seed * {given.options.shape[1]}"),
        *(at(leaf, f"constant{n}", f"seed * {leaf[0].numel()}") for n, leaf in enumerate(given.constants)),
        *(at(leaf, f"lifted{n}") for n, leaf in enumerate(given.task_lifted)),
    ]
    item = f"(c.step * {seeds * tasks} + item)"
    of_task = [at(leaf, f"episode{n}", f"{item} * {leaf[0, 0, 0].numel()}") for n, leaf in enumerate(given.episodes)]
    of_update = [
        *(_Pointer.at(leaf, f"before{n}", f"c.now[{n}]") for n, leaf in enumerate(carried)),
        *(
            _Pointer(f"{C_TYPES[leaf.dtype]}* after{n}", f"({C_TYPES[leaf.dtype]}*)c.next[{n}]")
            for n, leaf in enumerate(carried)
        ),
        _Pointer(f"const {C_TYPES[given.theta.dtype]}* gradient", "sum"),
        at(given.rates, "rates", "c.step * RATES"),
        *(at(leaf, f"lifted{n}") for n, leaf in enumerate(given.update_lifted, first)),
        _Pointer("char* scratch", "c.scratch"),
    ]
    return of_seed, of_task, of_update


def _call(name: str, arguments: Iterable[_Pointer]) -> str:
    return f"{name}({', '.join(argument.passed for argument in arguments)});"


def _function(
    name: str, arguments: Iterable[_Pointer], declarations: Iterable[str], statements: Iterable[Statement]
) -> str:
    head = f"static __attribute__((noinline)) void {name}({', '.join(each.declared for each in arguments)})"
    body = "\n".join([*declarations, *(statement.code() for statement in statements)])
    return f"{head} {{\n{body}\n}}\n"
