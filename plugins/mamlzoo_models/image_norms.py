"""Norms of the channels of images."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

import mamlzoo

ImageNorm = Literal["batch", "layer", "group", "instance", "none"]
"""Over which numbers of a batch [n, channels, height, width] a norm takes mean and variance."""


def norm_layers(norm: ImageNorm, channels: int, groups: int) -> list[nn.Module]:
    """The norm as the one layer that it is, or nothing; each channel has a scale and a shift that are learned.

    Args:
        groups: that the channels are divided into by 'group'.
    """
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "instance":
        return [nn.InstanceNorm2d(channels, affine=True)]
    if norm == "none":
        return []
    return [GroupNorm(1 if norm == "layer" else groups, channels)]


class GroupNorm(nn.GroupNorm):
    """torch's group norm of [n, channels, …], written out: its own derivatives reinterpret memory.

    So a meta-step with it is compiled in seconds and not in minutes.
    """

    def forward(self, input: Tensor) -> Tensor:
        grouped = input.reshape(len(input), self.num_groups, -1)
        centred = grouped - grouped.mean(-1, keepdim=True)
        normalised = centred * (centred.square().mean(-1, keepdim=True) + self.eps).rsqrt()
        of_channels = (-1,) + (1,) * (input.ndim - 2)
        return normalised.reshape(input.shape) * self.weight.reshape(of_channels) + self.bias.reshape(of_channels)


def require_groups(model: mamlzoo.Model, norm: ImageNorm, channels: int, groups: int) -> None:
    """Refuse groups that do not divide the channels.

    Raises:
        UsageError: they do not.
    """
    if norm == "group" and channels % groups:
        raise mamlzoo.UsageError(
            f"model '{model.name}': {groups} groups do not divide {channels} channels; choose groups that do"
        )


def require_area(model: mamlzoo.Model, norm: ImageNorm, height: int, width: int, where: str) -> None:
    """Refuse an instance norm of single pixels, which would make 0 of each.

    Args:
        where: as in 'block 4'.

    Raises:
        UsageError: it is one.
    """
    if norm == "instance" and height * width == 1:
        raise mamlzoo.UsageError(
            f"model '{model.name}': an instance norm of one pixel is always 0, and in {where} there is one left; "
            "choose another norm, or larger images"
        )
