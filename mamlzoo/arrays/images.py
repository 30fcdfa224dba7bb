"""What is done to images, channels before rows before columns, when they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

QUARTERS = 4
"""Quarter turns that there are."""


def quarter_turned(images: Tensor, quarters: Tensor) -> Tensor:
    """Each image turned against the clock by so many quarters.

    Args:
        images: [n, channels, side, side].
        quarters: [n] of 0 … 3.
    """
    turned = torch.stack([images.rot90(quarter, (-2, -1)) for quarter in range(QUARTERS)])
    return turned[quarters, torch.arange(len(images), device=images.device)]


@dataclass(frozen=True)
class RandomAffine:
    """An affine map for each image, drawn anew: turned, sheared, stretched, and shifted at last.

    About the centre, which is the origin, a point p of the image goes to

      A·p + b,   A = R(t)·[[1, k], [0, 1]]·diag(s₁, s₂),

    with t, k, log s₁, log s₂ and b uniform within ± what is said here. What comes from outside of the image is 0.

    Attributes:
        turn: degrees, t.
        shear: k, columns a row.
        stretch: log s.
        shift: b, as a fraction of the image's side.
    """

    turn: float = 0.0
    shear: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images [n, channels, height, width], mapped by bilinear interpolation."""
        matrix, shift = self.drawn(len(images), generator)
        # torch asks where a pixel q of the new image comes from, p = A⁻¹·(q − b), in a square from −1 to 1. Its own
        # affine_grid multiplies image by image, which takes eight times as long as this one product.
        back = torch.linalg.inv(matrix)
        theta = torch.cat([back, -back @ shift[..., None]], -1)
        y, x = torch.meshgrid(*(_centres(length, theta) for length in images.shape[-2:]), indexing="ij")
        grid = theta.flatten(0, 1) @ torch.stack([x, y, torch.ones_like(x)]).flatten(1)
        grid = grid.reshape(len(images), 2, *images.shape[-2:]).movedim(1, -1).to(images.dtype)
        return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)

    def drawn(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A [count, 2, 2] and b [count, 2] in the coordinates of a square from −1 to 1, columns first."""
        uniform = 2 * torch.rand(count, 6, generator=generator, device=generator.device) - 1
        turn, shear = math.radians(self.turn) * uniform[:, 0], self.shear * uniform[:, 1]
        stretch, shift = (self.stretch * uniform[:, 2:4]).exp(), 2 * self.shift * uniform[:, 4:]
        cos, sin = turn.cos(), turn.sin()
        rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
        sheared = torch.eye(2, device=uniform.device).repeat(count, 1, 1)
        sheared[:, 0, 1] = shear
        return rotation @ sheared * stretch[:, None, :], shift


def _centres(length: int, like: Tensor) -> Tensor:
    """Of pixels along a side that goes from −1 to 1, [length]."""
    return (2 * torch.arange(length, device=like.device, dtype=like.dtype) + 1) / length - 1
