"""Where buffers lie: what is not needed any more makes room for what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mamlzoo.engine.native.expressions import Buffer
from mamlzoo.engine.native.statements.loops import Statement
from mamlzoo.engine.native.statements.nests import C_TYPES

LINE = 64
"""Bytes of a line of the cache: every buffer begins with one."""


@dataclass
class Memory:
    """Bytes of scratch memory, and the C text of their address."""

    name: str
    size: int = 0

    def put(self, buffer: Buffer, at: int, number: int) -> str:
        """The declaration of a buffer that lies there."""
        buffer.place = f"{self.name}{number}"
        self.size = max(self.size, at + _size(buffer))
        ctype = C_TYPES[buffer.dtype]
        return f"{ctype}* const {buffer.place} = ({ctype}*)({self.name} + {at});"


def in_lines(size: int) -> int:
    """So many bytes, in whole lines of the cache."""
    return -(-size // LINE) * LINE


def _size(buffer: Buffer) -> int:
    return in_lines(buffer.numel * buffer.dtype.itemsize)


def planned(statements: Sequence[Statement], memory: Memory, *, reused: bool) -> list[str]:
    """Give a place to every buffer that these statements write and that has none; the declarations.

    Args:
        reused: whether the place of a buffer that nobody reads any more may be taken by another.
    """
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for at, statement in enumerate(statements):
        first.setdefault(statement.writes, at)
        for buffer in (*statement.reads, statement.writes):
            last[buffer] = at
    there: list[tuple[int, Buffer]] = []  # by where they begin
    declarations: list[str] = []
    for buffer, at in first.items():
        if buffer.place is not None:
            continue
        if reused and buffer.numel == 1:  # which no pointer reaches: loops that read it need not look again
            buffer.place = f"{memory.name}{len(declarations)}"
            declarations.append(f"{C_TYPES[buffer.dtype]} {buffer.place}[1];")
            continue
        there = [(start, other) for start, other in there if not reused or last[other] >= at]
        begin = 0
        for start, other in there:
            if start - begin >= _size(buffer):
                break
            begin = start + _size(other)
        there = sorted([*there, (begin, buffer)], key=lambda held: held[0])
        declarations.append(memory.put(buffer, begin, len(declarations)))
    return declarations
