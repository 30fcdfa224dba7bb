"""Any network of timm."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from torch import nn

from mamlzoo_models.library_network import LibraryNetwork


class TimmNetwork(LibraryNetwork):
    """A network of timm by its name there, as resnet18, resnet10t or convnext_atto.

    It begins as timm draws it, untrained, with as many outputs as the task asks for. Inputs are images
    [n, channels, height, width] of any number of channels. Most of these networks were made for 224 × 224 pixels and
    halve them five times; vision transformers take no other size.

    Batch norms take the statistics of the batch, as everywhere here, which is transductive (docs/normalisation.md).

    The networks come with timm: pip install 'mamlzoo[timm]'.
    """

    name = "timm"
    library = "timm"

    @classmethod
    def example(cls) -> TimmNetwork:
        return cls(network="test_efficientnet_ln")

    @classmethod
    def names(cls, library: ModuleType) -> Sequence[str]:
        found: list[str] = library.list_models()
        return found

    @classmethod
    def made(cls, library: ModuleType, network: str, channels: int, outputs: int) -> nn.Module:
        made: nn.Module = library.create_model(network, pretrained=False, in_chans=channels, num_classes=outputs)
        return made
