"""Short messages between the processes of one machine, by sockets of the operating system's.

gloo takes the better part of a millisecond for a message between two processes of one machine, and a meta-step of a
small network takes less. A socket takes 25 to 50 microseconds (docs/scaling.md). It also says at once that a process at
its other end is gone.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import select
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from mamlzoo.engine.cpu import cores

MOST = 2**16
"""Bytes of a message at most. So much a socket takes while nobody reads, so nobody waits for one who waits for him."""
PATIENCE = 1800.0
"""Seconds after which a process that says nothing is taken for lost, as in torch.distributed."""
SPINS = 5e-4
"""Seconds to look again and again for a message, on a core of one's own, before sleeping: to be woken takes a while."""
MEETING = 60.0
"""Seconds that all have to meet."""


class Store(Protocol):
    """What processes that have not met share: torch.distributed's."""

    def set(self, key: str, value: str) -> None:
        """Put a value there."""

    def get(self, key: str) -> bytes:
        """Wait for a value, and take it."""


class Neighbours:
    """The other processes of this machine, all of which are told the same number of messages in the same order.

    Raises:
        OSError: in all of its methods, where one of them is gone.
    """

    def __init__(self, others: dict[int, socket.socket], rank: int) -> None:
        self._others, self._rank = others, rank
        self._spins = SPINS if len(others) < cores() else 0.0

    def gathered(self, own: bytes) -> list[bytes] | None:
        """What each of them says, to all, in the order of ranks; None where that of one of them is too long."""
        numbers = self._exchanged(len(own).to_bytes(8, "big"), [8] * (len(self._others) + 1))
        lengths = [int.from_bytes(number, "big") for number in numbers]
        if max(lengths) > MOST:
            return None
        return [bytes(said) for said in self._exchanged(own, lengths)]

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all of tensors of one shape, in the order of ranks: so it has the same bits for each.

        Args:
            numbers: on the CPU, `MOST` bytes at most.
        """
        own = numbers.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data
        each = self._exchanged(own, [numbers.nbytes] * (len(self._others) + 1))
        parts = (torch.frombuffer(said, dtype=numbers.dtype) for said in each)
        return functools.reduce(operator.add, parts).view(numbers.shape)

    def _exchanged(self, own: bytes | memoryview, lengths: Sequence[int]) -> list[bytearray]:
        """What each of them says, so many bytes of each."""
        for other in self._others.values():
            _send(other, memoryview(own))
        return [
            bytearray(own) if rank == self._rank else self._received(self._others[rank], length)
            for rank, length in enumerate(lengths)
        ]

    def _received(self, other: socket.socket, length: int) -> bytearray:
        found = bytearray(length)
        view, got, until = memoryview(found), 0, time.perf_counter() + self._spins
        while got < length:
            try:
                more = other.recv_into(view[got:])
            except BlockingIOError:
                if time.perf_counter() > until:
                    _wait(select.select([other], [], [], PATIENCE))
                else:
                    os.sched_yield()
                continue
            if not more:
                raise ConnectionResetError("it has ended")
            got += more
        return found


def _send(other: socket.socket, message: memoryview) -> None:
    sent = 0
    while sent < len(message):
        try:
            sent += other.send(message[sent:])
        except BlockingIOError:
            _wait(select.select([], [other], [], PATIENCE))


def _wait(found: tuple[Sequence[object], ...]) -> None:
    if not any(found):
        raise TimeoutError(f"it has said nothing for {PATIENCE:.0f} s")


@contextmanager
def neighbours(store: Store, rank: int, count: int) -> Iterator[Neighbours | None]:
    """Meet the others, all of which are on this machine; None where there are no such sockets.

    Raises:
        OSError: one of them did not come.
    """
    with contextlib.ExitStack() as opened:
        there, listener = _listening(opened)
        store.set(f"socket {rank}", there)
        places = [store.get(f"socket {at}").decode() for at in range(count)]
        if listener is None or not all(places):
            yield None
            return
        others = {}
        for at in range(rank):
            others[at] = opened.enter_context(socket.socket(socket.AF_UNIX))
            others[at].settimeout(MEETING)
            others[at].connect(places[at])
            others[at].sendall(rank.to_bytes(4, "big"))
        listener.settimeout(MEETING)
        for _ in range(rank + 1, count):
            other = opened.enter_context(listener.accept()[0])
            other.settimeout(MEETING)
            others[_rank_of(other)] = other
        for other in others.values():
            other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST)
            other.setblocking(False)
        yield Neighbours(others, rank)


def _rank_of(other: socket.socket) -> int:
    said = other.recv(4)
    if len(said) < 4:
        raise ConnectionResetError("it ended before it said who it is")
    return int.from_bytes(said, "big")


def _listening(opened: contextlib.ExitStack) -> tuple[str, socket.socket | None]:
    """A socket that the others can reach, and where; nowhere, where there are none."""
    if not hasattr(socket, "AF_UNIX"):
        return "", None
    try:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="mamlzoo-", ignore_cleanup_errors=True))
        listener = opened.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(Path(folder) / "socket"))
        listener.listen()
    except OSError:  # no folder, or one whose name is too long for a socket's
        return "", None
    return str(Path(folder) / "socket"), listener
