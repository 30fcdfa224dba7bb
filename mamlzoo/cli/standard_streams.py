"""stdout and stderr as a command sees them, wherever they lead: closed, to a full disk, to nobody."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """While this lasts, what cannot be said on stderr is left unsaid, and stdout says that it was stdout that failed.

    A run of hours does not end because its remarks find no room; its result must reach whoever reads it, or fail.
    """
    _occupy()
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter shows a question mark
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    out = _Stream(sys.stdout, "stdout") if sys.stdout is not None else None
    err = _Stream(sys.stderr, None) if sys.stderr is not None else None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


def _occupy() -> None:
    """Open what was closed before we began, on nothing: the next file opened would take its number, and its output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


class _Stream:
    """A stream whose failure to write is named, or, without a name, passed over."""

    def __init__(self, stream: Any, name: str | None) -> None:
        self._stream, self._name = stream, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._failing():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._name is None:
                return
            if error.errno != errno.EPIPE:  # whoever read has read enough
                error.filename = self._name
            raise
