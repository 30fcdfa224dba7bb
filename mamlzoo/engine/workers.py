"""The processes that make one run together, and what they tell each other.

All of them do the same at the same time, each for its own seeds or its own tasks, and agree where they must: on the
plan, on how long to go on before the next word, on what was measured. Numbers go by torch.distributed: gloo for those
on CPUs, NCCL for those on GPUs; short ones between processes of one machine by what is faster (`neighbours`).
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from mamlzoo.engine import torchrun
from mamlzoo.engine.neighbours import MOST, Neighbours, neighbours
from mamlzoo.errors import MamlzooError, in_short

T = TypeVar("T")
MOMENT = 0.2
"""Seconds in which a thread that has nothing else to do lets go of a tensor, however busy the machine."""


class LostWorkerError(MamlzooError):
    """Another process of the run is gone."""


class Workers:
    """A single process, which has nobody to talk to; `Group` are several.

    Attributes:
        rank: which of them this one is; 0 is the one that reads, writes and speaks.
        count: how many there are.
    """

    rank, count = 0, 1

    def told(self, value: T) -> T:
        """What rank 0 gives, to all."""
        return value

    def gathered(self, value: T) -> list[T]:
        """What each gives, to all, in the order of ranks."""
        return [value]

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all of tensors of one shape; the same bits for each."""
        return numbers


ALONE = Workers()


class Group(Workers):
    """Several processes, on one machine or on several.

    Raises:
        LostWorkerError: in all of its methods, where another process is gone.
    """

    def __init__(self, near: Neighbours | None) -> None:
        """The processes of torch's default group, which is there.

        Args:
            near: the same, where all are on this machine: what is short goes by them.
        """
        self.rank, self.count, self._near = dist.get_rank(), dist.get_world_size(), near
        self._words = dist.new_group(backend="gloo")  # words never go by way of a GPU

    def part(self) -> None:
        """Leave the others; nothing can be said any more.

        torch joins gloo's threads while it holds Python's lock, and a thread that is about to let go of the last tensor
        waits for that lock: both would wait for ever. So they get a moment in which nobody holds it.
        """
        time.sleep(MOMENT)
        del self._words
        dist.destroy_process_group()

    def told(self, value: T) -> T:
        own = value if self.rank == 0 else None
        with _heard("another worker of this run is gone"):
            if (said := self._said_nearby(own)) is not None:
                return cast(T, said[0])
            words = [own]  # a gathering would have each send as much as the first one says
            dist.broadcast_object_list(words, src=0, group=self._words)
            return cast(T, words[0])

    def gathered(self, value: T) -> list[T]:
        with _heard("another worker of this run is gone"):
            if (said := self._said_nearby(value)) is not None:
                return said
            words: list[Any] = [None] * self.count
            dist.all_gather_object(words, value, group=self._words)
            return words

    def _said_nearby(self, value: T) -> list[T] | None:
        """What each gives, where all are on this machine and nobody says much."""
        said = None if self._near is None else self._near.gathered(pickle.dumps(value))
        return None if said is None else [pickle.loads(each) for each in said]

    def total(self, numbers: Tensor) -> Tensor:
        with _heard("another worker of this run is gone"):
            if self._near is not None and numbers.device.type == "cpu" and numbers.nbytes <= MOST:
                return self._near.total(numbers)
            summed = numbers.contiguous().clone()
            dist.all_reduce(summed)
            return summed


@contextmanager
def _heard(what: str) -> Iterator[None]:
    """Say what it means that another worker does not answer, and how torch says it."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:  # gloo's and NCCL's have no class of their own
        raise LostWorkerError(f"{what} ({in_short(error)})") from error


@contextmanager
def group(store: str = "env://", count: int = -1, rank: int = -1) -> Iterator[Group]:
    """Meet the other processes, and part from them.

    Args:
        store: where they meet, as torch.distributed names it.
        count, rank: -1: as the environment has them.
    """
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    with _heard("this worker could not meet the others of its run"):
        there, rank, count = next(dist.rendezvous(store, rank, count))  # type: ignore[attr-defined]
        # torchrun starts a run again with the store of before, in which the addresses of the dead still stand.
        fresh = dist.PrefixStore(f"attempt {torchrun.attempt()}", there)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=fresh, world_size=count, rank=rank)
    with contextlib.ExitStack() as opened:
        with contextlib.ExitStack() as unmet, _heard("this worker could not meet the others of its run"):
            unmet.callback(dist.destroy_process_group)
            near = opened.enter_context(neighbours(fresh, rank, count)) if torchrun.count_here() == count else None
            workers = Group(near)
            unmet.pop_all()
        opened.callback(workers.part)
        yield workers
