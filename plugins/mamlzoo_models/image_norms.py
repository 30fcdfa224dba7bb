"""Norms of the channels of images."""

from __future__ import annotations

from typing import Literal

from torch import nn

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
    return [nn.GroupNorm(1 if norm == "layer" else groups, channels)]


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
