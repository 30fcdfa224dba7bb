"""A range of whole numbers as an option's value, and sets whose size is drawn from one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mamlzoo.contracts import numbers_as_text
from mamlzoo.errors import UsageError


@dataclass(frozen=True)
class Range:
    """The whole numbers from `least` to `most`, both of them included; written `1..20`."""

    least: int
    most: int

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise UsageError(f"a range begins with its smaller end, as {self.most}..{self.least}, not {self}")

    def __str__(self) -> str:
        return f"{self.least}..{self.most}"

    @classmethod
    def read(cls, text: str) -> Range | None:
        """The range that a text is; None: it is none.

        Raises:
            UsageError: it ends before it begins.
        """
        least, dots, most = text.partition("..")
        ends = [numbers_as_text.whole(end) for end in (least, most)]
        if not dots or None in ends:
            return None
        return cls(*(end for end in ends if end is not None))


def sizes(size: int | Range, shape: tuple[int, ...], generator: torch.Generator) -> tuple[int, Tensor | None]:
    """Of sets with a given size, or one that is drawn evenly from a range: how long all are, and what is in each.

    Args:
        shape: of the sets, as (episodes,).

    Returns:
        The length of the longest, and the mask [*shape, length] of what is no padding; None: there is no padding, and
        nothing was drawn.
    """
    if isinstance(size, int):
        return size, None
    drawn = torch.randint(size.least, size.most + 1, shape, generator=generator, device=generator.device)
    return size.most, torch.arange(size.most, device=drawn.device) < drawn[..., None]
