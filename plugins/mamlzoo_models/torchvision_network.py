"""Any network of torchvision that classifies images."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from torch import Tensor, nn

from mamlzoo_models.library_network import LibraryNetwork


class TorchvisionNetwork(LibraryNetwork):
    """A network of torchvision by its name there, as resnet18, mobilenet_v3_small or shufflenet_v2_x0_5.

    It begins as torchvision draws it, untrained, with as many outputs as the task asks for. Inputs are images
    [n, channels, height, width]; grey ones are given to the network three times, as its three colours. Most of these
    networks were made for 224 × 224 pixels and halve them five times; vision transformers take no other size.

    Batch norms take the statistics of the batch, as everywhere here, which is transductive (docs/normalisation.md).

    The networks come with torchvision: pip install 'mamlzoo[torchvision]'.
    """

    name = "torchvision"
    library = "torchvision"

    @classmethod
    def example(cls) -> TorchvisionNetwork:
        return cls(network="squeezenet1_1")

    @classmethod
    def names(cls, library: ModuleType) -> Sequence[str]:
        found: list[str] = library.models.list_models(module=library.models)
        return found

    @classmethod
    def made(cls, library: ModuleType, network: str, channels: int, outputs: int) -> nn.Module:
        made: nn.Module = library.models.get_model(network, weights=None, num_classes=outputs)
        if channels == 1:
            return nn.Sequential(ThreeTimes(), made)
        return made


class ThreeTimes(nn.Module):
    """A grey image as the three channels of a colour image."""

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, 3, -1, -1)
