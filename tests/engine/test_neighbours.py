"""Short messages between the processes of one machine, here threads of one."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

import pytest
import torch

from mamlzoo.engine.neighbours import MOST, Neighbours, neighbours


class Store:
    """Values that are waited for, as torch.distributed has them."""

    def __init__(self):
        self._values = {}

    def _queue(self, key):
        return self._values.setdefault(key, Queue())

    def set(self, key, value):
        self._queue(key).put(value)

    def get(self, key):
        value = self._queue(key).get(timeout=30)
        self._queue(key).put(value)
        return value.encode()


def by_each(count, work):
    """What each of so many neighbours comes to, in the order of ranks."""
    store = Store()

    def one(rank):
        with neighbours(store, rank, count) as met:
            return work(met, rank)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_sum_is_that_in_the_order_of_ranks_for_each(count, dtype):
    parts = [torch.randn(3, 7, generator=torch.Generator().manual_seed(rank)).to(dtype) for rank in range(count)]
    expected = parts[0]
    for part in parts[1:]:
        expected = expected + part
    for found in by_each(count, lambda met, rank: [met.total(parts[rank].T.contiguous().T) for _ in range(3)][-1]):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("count", [2, 4])
def test_what_each_says_is_heard_in_the_order_of_ranks(count):
    said = [bytes([rank]) * (rank * 1000) for rank in range(count)]
    assert by_each(count, lambda met, rank: met.gathered(said[rank])) == [said] * count


def test_the_longest_message_gets_through_and_a_longer_one_is_left_to_others():
    def work(met, rank):
        longest = met.gathered(b"x" * MOST)
        return longest, met.gathered(b"x" * (MOST + 1) if rank else b""), met.gathered(b"on")

    for longest, longer, after in by_each(2, work):
        assert longest == [b"x" * MOST] * 2
        assert longer is None
        assert after == [b"on", b"on"]


def test_one_that_has_ended_is_noticed():
    here, there = socket.socketpair()
    here.setblocking(False)
    there.close()
    with here, pytest.raises(ConnectionError):
        Neighbours({1: here}, 0).total(torch.zeros(1))
