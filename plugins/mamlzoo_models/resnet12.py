"""The residual network of twelve convolutions that few-shot learning of images is compared by, beside conv4."""

from __future__ import annotations

from torch import Tensor, nn

import mamlzoo
from mamlzoo import Spec, option
from mamlzoo_models.image_heads import Head, feature_layers
from mamlzoo_models.image_norms import ImageNorm, norm_layers, require_area, require_groups
from mamlzoo_models.input_shapes import image_shape

SLOPE = 0.1


class ResNet12(mamlzoo.Model):
    """Four residual blocks of three convolutions each: the larger network of the few-shot image benchmarks.

    Inputs are images [n, channels, height, width]. A block is

      y = three times [3 × 3 convolution → norm], with a leaky ReLU of slope .1 between them,
      the maximum of each 2 × 2 pixels of leakyReLU(y + norm(1 × 1 convolution(x))),

    with as many channels as `widths` says. The features are the mean of each channel over the pixels that are left, or
    without `spatial-mean` all of them; a linear layer behind them gives the outputs. With `head` none the features are
    the outputs. Convolutions have no bias; their weights begin normal, with the variance that keeps gradients'.

    This is MetaOptNet's variant, 64-160-320-640 wide, with 12.4 million parameters; others are 64-128-256-512. Its
    dropout and DropBlock are left out. TADAM's, where the name is from, has another activation. On a CPU choose small
    widths, as 16,32,64,128. `norm` is as in conv4.

    Reference: Oreshkin, Rodríguez López, Lacoste, "TADAM", NeurIPS 2018; Lee, Maji, Ravichandran, Soatto,
    "Meta-Learning with Differentiable Convex Optimization", CVPR 2019, section 4.1.
    """

    name = "resnet12"
    widths: tuple[int, ...] = option((64, 160, 320, 640), "channels of each block", minimum=1)
    norm: ImageNorm = option("batch", "what stands behind each convolution")
    groups: int = option(8, "groups of channels of the norm 'group'", minimum=1)
    spatial_mean: bool = option(True, "take the mean over the pixels that are left, in place of all of them")
    head: Head = option("linear", "whether a linear layer makes the outputs of the features")

    @classmethod
    def example(cls) -> ResNet12:
        return cls(widths=(4, 8))  # type: ignore[call-arg]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise mamlzoo.UsageError("model 'resnet12' has at least one block; give its width, as widths 64")
        for width in self.widths:
            require_groups(self, self.norm, width, self.groups)

    def build(self, spec: Spec) -> nn.Module:
        channels, height, width = image_shape(self, spec)
        layers: list[nn.Module] = []
        for at, own in enumerate(self.widths, 1):
            require_area(self, self.norm, height, width, f"block {at}")
            if min(height, width) < 2:
                raise mamlzoo.UsageError(
                    f"model 'resnet12' halves the images in each of {len(self.widths)} blocks, and before that of "
                    f"block {at} they are {height} × {width}; choose fewer widths, or larger images"
                )
            layers.append(Block(channels, own, self.norm, self.groups))
            channels, height, width = own, height // 2, width // 2
        left = (channels, height, width)
        return nn.Sequential(*layers, *feature_layers(self, left, self.spatial_mean, self.head, spec.output_size))


class Block(nn.Module):
    """Three convolutions and what goes past them."""

    def __init__(self, before: int, after: int, norm: ImageNorm, groups: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (before, after, after):
            layers += [_convolution(channels, after, 3), *norm_layers(norm, after, groups), nn.LeakyReLU(SLOPE)]
        self.inside = nn.Sequential(*layers[:-1])
        self.past = nn.Sequential(_convolution(before, after, 1), *norm_layers(norm, after, groups))
        self.behind = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.behind(self.inside(x) + self.past(x))
        return result


def _convolution(before: int, after: int, size: int) -> nn.Conv2d:
    convolution = nn.Conv2d(before, after, size, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, SLOPE, mode="fan_out", nonlinearity="leaky_relu")
    return convolution
