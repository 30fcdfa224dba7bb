"""What stands behind the convolutions of a network of images."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

import mamlzoo

Head = Literal["linear", "none"]


class SpatialMean(nn.Module):
    """The mean of each channel over the pixels, of [n, channels, height, width]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def feature_layers(
    model: mamlzoo.Model, shape: tuple[int, int, int], spatial_mean: bool, head: Head, outputs: int
) -> list[nn.Module]:
    """From the channels, height and width that are left to the outputs.

    Args:
        spatial_mean: whether the features are means over the pixels, in place of all of them.
        head: 'linear', or 'none', by which the features are the outputs.

    Raises:
        UsageError: the features are to be the outputs, and these are another number.
    """
    channels, height, width = shape
    features = channels if spatial_mean else channels * height * width
    flat = SpatialMean() if spatial_mean else nn.Flatten()
    if head == "linear":
        return [flat, nn.Linear(features, outputs)]
    if features != outputs:
        raise mamlzoo.UsageError(
            f"model '{model.name}' without a head gives its {features} features, and {outputs} outputs are asked for; "
            f"say --model.head linear, or ask for {features}, as --algorithm.embedding does"
        )
    return [flat]
