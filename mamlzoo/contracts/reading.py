"""Reading that takes a while, of files or of whatever data come from: whoever watches is told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Is told what is read and how many there are; what it gives, for as long as it is read, how many are done."""
_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def reading(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, one after another: on the command line a bar shows how many are done if that takes long.

        images = [decoded(file) for file in mamlzoo.reading(files, "read images")]

    Args:
        what: what is done, in words.
        total: how many items there are; None: as many as `len` says.
    """
    watch = _watch.get()
    if watch is None:
        yield from items
        return
    with watch(what, len(items) if total is None else total) as tell:  # type: ignore[arg-type]
        for done, item in enumerate(items):
            tell(done)
            yield item


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """For as long as this lasts, in this thread."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)
