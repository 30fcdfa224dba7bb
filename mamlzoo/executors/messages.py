"""What is said between whoever wants runs made and the process that makes them: pickles, each behind its length.

Nothing here imports torch: a process that only passes messages on has no use for it.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from mamlzoo.errors import MamlzooError

if TYPE_CHECKING:
    from mamlzoo.discovery.packed_code import PackedCode
    from mamlzoo.experiments.events import Event
    from mamlzoo.runs.directory import Draw
    from mamlzoo.runs.recording_policy import Interval

LENGTH = 8
"""Bytes that say how long a message is."""


class OrderedRun(NamedTuple):
    """A run that is to be gone on with.

    Attributes:
        directory: where it is recorded, as whoever wants it calls it.
        places: by kind, the reference of a plugin that is code of a user's own.
        files: what is in its directory, by path, where that is out of reach; None: it is to be written where it is.
    """

    directory: str
    places: Mapping[str, str]
    files: Mapping[str, bytes] | None


class Order(NamedTuple):
    """What one process is to make.

    Attributes:
        runs: trained side by side where there are several.
        code: by reference, where the user's files may be out of reach.
        every, loggers, draw: as in a `RecordingPolicy`.
    """

    runs: Sequence[OrderedRun]
    code: Mapping[str, PackedCode]
    every: Interval
    loggers: Sequence[str]
    draw: Draw


class Heard(NamedTuple):
    """An event of a run, by its number in the order; a checkpoint comes without its tensors."""

    run: int
    event: Event


class Said(NamedTuple):
    """A line for a person."""

    text: str


class Written(NamedTuple):
    """Files of a run's directory that are new, by path."""

    run: int
    files: Mapping[str, bytes]


class Done(NamedTuple):
    """All runs are finished."""


class Stopped(NamedTuple):
    """They were stopped where they can be gone on with."""


class Failed(NamedTuple):
    """One of them failed."""

    kind: type[MamlzooError]
    text: str


class Gone(NamedTuple):
    """The process has ended, which is the last that is heard of it; and how."""

    how: str


Message = Heard | Said | Written | Done | Stopped | Failed | Gone


def packed(message: Any) -> bytes:
    """A message as bytes."""
    return pickle.dumps(message)


def unpacked(data: bytes) -> Any:
    """The message that `packed` made these of. Never for what strangers may have written: a pickle is a program."""
    return pickle.loads(data)


def send(into: IO[bytes], data: bytes) -> None:
    """Write one message.

    Raises:
        OSError: nobody reads any more.
    """
    into.write(len(data).to_bytes(LENGTH, "big") + data)
    into.flush()


def received(source: IO[bytes]) -> Iterator[bytes]:
    """Messages until there are no more; half of one, of a process that was killed, is none."""
    while len(length := source.read(LENGTH)) == LENGTH:
        data = source.read(int.from_bytes(length, "big"))
        if len(data) < int.from_bytes(length, "big"):
            return
        yield data
