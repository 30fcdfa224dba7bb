"""Random numbers as values: a pure function of a key and of the place where they are drawn.

torch's generators hold a state, so what they give hangs on who drew before. Here a draw is computed from whole numbers
alone, by operations that are batched, traced and compiled like any others: the same in every plan, for several seeds at
once or one, by any number of processes, and on a run that goes on.

The generator is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): with
γ the golden ratio times 2⁶⁴, and all arithmetic modulo 2⁶⁴,

    number i of a draw = mix(base + (i + 1)·γ),   base of draw number p = mix(key + (p + 1)·γ).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mamlzoo.errors import UsageError

GAMMA = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MISSING = (
    "random numbers are asked for where there are none: pass key= to mamlzoo.meta_loss, a whole number that is another "
    "in each meta-step"
)


class Noise:
    """The random numbers of one episode. Each call is the next draw; two of the same key give the same draws.

    Numbers are constants: no derivative flows through them, so a sample is made by `mean + std * noise.normal(…)`.

    Attributes:
        key: a whole number [] of torch.int64; None where nothing may be drawn.
        draws: how many were made.
    """

    def __init__(
        self,
        key: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        path: tuple[int, ...] = (),
        *,
        still: bool = False,
    ) -> None:
        """Begin.

        Args:
            dtype: of the numbers that are drawn.
            path: the branches that lead here from the key.
            still: whether every draw is the first one: so that what is tried several times is a pure function.
        """
        self.key, self.dtype, self.draws = key, dtype, 0
        self._path, self._still = path, still

    def uniform(self, *shape: int) -> Tensor:
        """Evenly from [0, 1)."""
        digits = 53 if self.dtype == torch.float64 else 24
        return _shifted(self._words(shape), 64 - digits).to(self.dtype) * 2.0**-digits

    def normal(self, *shape: int) -> Tensor:
        """From N(0, 1), by Box and Muller: √(−2 ln u)·cos 2πv, with u and v from the two halves of 64 digits."""
        words = self._words(shape)
        u = (_shifted(words, 32).to(self.dtype) + 0.5) * 2.0**-32
        v = (words & 0xFFFFFFFF).to(self.dtype) * 2.0**-32
        return (-2.0 * u.log()).sqrt() * (2.0 * math.pi * v).cos()

    def bernoulli(self, probability: float | Tensor, *shape: int) -> Tensor:
        """1 with this probability, else 0."""
        return (self.uniform(*shape) < probability).to(self.dtype)

    def permutation(self, n: int) -> Tensor:
        """0 … n − 1 in a random order, [n] of torch.int64."""
        return self._words((n,)).argsort()

    def branch(self, number: int | None = None) -> Noise:
        """Other random numbers, by a number of your own, or as the next draw.

        What draws in a branch moves nothing outside it: so steps of an inner loop have each their own.
        """
        if number is not None and number < -1:
            raise UsageError(f"a branch has a number from 0 up, not {number}")
        at = self._next() if number is None else -2 - number
        return Noise(self.key, self.dtype, (*self._path, at), still=self._still)

    def anew(self, key: Tensor | None = None) -> Noise:
        """The same place of another key, before anything was drawn there."""
        return Noise(key, self.dtype, self._path, still=self._still)

    @functools.cached_property
    def own_key(self) -> Tensor:
        """The key at the end of the path; computed where something is drawn, so that it costs nothing elsewhere.

        Raises:
            UsageError: there is none.
        """
        if self.key is None:
            raise UsageError(MISSING)
        return functools.reduce(folded, self._path, self.key)

    def _next(self) -> int:
        self.draws += 1
        return 0 if self._still else self.draws - 1

    def _words(self, shape: Sequence[int]) -> Tensor:
        """64 random digits for each number, as torch.int64."""
        base = folded(self.own_key, self._next())
        return _mixed(base + _multiples(math.prod(shape)).to(base.device).reshape(tuple(shape)))


def folded(key: Tensor, number: int) -> Tensor:
    """Keys that are unrelated to these, one for each whole number."""
    return _mixed(key + _signed((number + 1) * GAMMA))


def keys(seed: int, count: int, device: torch.device | None = None) -> Tensor:
    """Unrelated keys [count] for a seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-(2**62), 2**62, (count,), generator=generator).to(device)


def _multiples(count: int) -> Tensor:
    """γ, 2·γ, … as numbers that are there: a compiler would take their formula for that of an address."""
    with np.errstate(over="ignore"):
        return torch.from_numpy((np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GAMMA)).view(np.int64))


def _mixed(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * _signed(FIRST)
    z = (z ^ _shifted(z, 27)) * _signed(SECOND)
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, digits: int) -> Tensor:
    """To the right, with zeros coming in: torch's own shift repeats the sign."""
    return (z >> digits) & ((1 << (64 - digits)) - 1)


def _signed(number: int) -> int:
    """The whole number of 64 digits that torch.int64 holds."""
    number %= 2**64
    return number - 2**64 if number >= 2**63 else number
