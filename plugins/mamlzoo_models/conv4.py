"""The network of four convolutions that few-shot learning of images is compared by."""

from __future__ import annotations

from typing import Literal

from torch import nn

import mamlzoo
from mamlzoo import Spec, option
from mamlzoo_models.image_heads import Head, feature_layers
from mamlzoo_models.image_norms import ImageNorm, norm_layers, require_area, require_groups
from mamlzoo_models.input_shapes import image_shape


class Conv4(mamlzoo.Model):
    """Four blocks of convolution, norm, ReLU and halving: the network of the few-shot image benchmarks.

    Inputs are images [n, channels, height, width]. A block is

      a 3 × 3 convolution that keeps the size → norm → ReLU → the maximum of each 2 × 2 pixels,

    or, with `downsample` stride, a convolution of stride 2 in place of the maxima. The features are what is left,
    flattened, or with `spatial-mean` the mean of each filter; a linear layer behind them gives the outputs. With `head`
    none the features are the outputs, as metric methods have it, which then ask for as many.

    Norms, over which numbers they take mean and variance:

      batch      of a channel, all examples and pixels
      layer      of an example, all channels and pixels
      group      of an example, the pixels of a group of channels
      instance   of an example, the pixels of a channel

    Each has a scale and a shift for every channel.

    The networks of the papers, for images of 28 × 28 and 64 filters:

      MAML, Reptile       --model.downsample stride --model.spatial-mean true
      ProtoNet            --model.head none --algorithm.embedding 64
      MAML++              as it is

    MAML's code differs in that batch norms have a shift alone, convolutions of stride 2 see an image one pixel further
    down and right and start by Glorot's rule, the last layer starts normal with σ 1, and biases with 0. Here all
    parameters start as PyTorch's do.

    Reference: Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016, section 4.1.1; Finn, Abbeel,
    Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML 2017, section 5.2.
    """

    name = "conv4"
    filters: int = option(64, "channels of every convolution", minimum=1)
    blocks: int = option(4, "blocks, each of which halves height and width", minimum=1)
    downsample: Literal["pool", "stride"] = option(
        "pool", "what halves the images: maxima, or convolutions of stride 2"
    )
    norm: ImageNorm = option("batch", "what stands between a convolution and its ReLU")
    groups: int = option(8, "groups of channels of the norm 'group'", minimum=1)
    spatial_mean: bool = option(False, "take the mean over the pixels that are left, in place of all of them")
    head: Head = option("linear", "whether a linear layer makes the outputs of the features")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_groups(self, self.norm, self.filters, self.groups)

    def build(self, spec: Spec) -> nn.Module:
        channels, height, width = image_shape(self, spec)
        layers: list[nn.Module] = []
        for block in range(1, self.blocks + 1):
            layers.append(nn.Conv2d(channels, self.filters, 3, stride=self._stride, padding=1))
            if self.downsample == "stride":
                height, width = -(-height // 2), -(-width // 2)
            require_area(self, self.norm, height, width, f"block {block}")
            layers += [*norm_layers(self.norm, self.filters, self.groups), nn.ReLU()]
            if self.downsample == "pool":
                height, width = self._pooled(height, width, block)
                layers.append(nn.MaxPool2d(2))
            channels = self.filters
        left = (channels, height, width)
        return nn.Sequential(*layers, *feature_layers(self, left, self.spatial_mean, self.head, spec.output_size))

    @property
    def _stride(self) -> int:
        return 2 if self.downsample == "stride" else 1

    def _pooled(self, height: int, width: int, block: int) -> tuple[int, int]:
        if min(height, width) < 2:
            fewer = f"--model.blocks {block - 1} or " if block > 1 else ""
            raise mamlzoo.UsageError(
                f"model 'conv4' halves the images in each of {self.blocks} blocks, and before that of block {block} "
                f"they are {height} × {width}; choose {fewer}--model.downsample stride"
            )
        return height // 2, width // 2
