"""Networks of images from another library, by the names that they have there."""

from __future__ import annotations

import copy
import difflib
import importlib
from abc import abstractmethod
from collections.abc import Sequence
from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor, nn

import mamlzoo
from mamlzoo import MissingDataError, Spec, UsageError, option
from mamlzoo_models.input_shapes import image_shape

LONGEST = 200
"""Characters of a library's message that are shown."""


class LibraryNetwork(mamlzoo.Model):
    """Takes images [n, channels, height, width] to as many outputs as are asked for.

    A subclass says which `library` it is, by the name that is imported and installed; the extra of mamlzoo that brings
    it has the model's name.
    """

    library: ClassVar[str]

    network: str = option("resnet18", "the network's name in the library")

    @classmethod
    @abstractmethod
    def names(cls, library: ModuleType) -> Sequence[str]:
        """All networks that there are."""

    @classmethod
    @abstractmethod
    def made(cls, library: ModuleType, network: str, channels: int, outputs: int) -> nn.Module:
        """A fresh network for images of so many channels; what it raises is said as the library's."""

    def build(self, spec: Spec) -> nn.Module:
        shape, library = image_shape(self, spec), self._imported()
        names = self.names(library)
        if self.network not in names:
            near = difflib.get_close_matches(self.network, names, n=3)
            hint = (
                f"did you mean {' or '.join(near)}?"
                if near
                else f"some are {', '.join(names[:: max(1, len(names) // 5)])}"
            )
            raise UsageError(
                f"model '{self.name}': {self.library} has no network '{self.network}' that classifies images; {hint}"
            )
        what = f"{self.library}'s {self.network}"
        try:
            network = self.made(library, self.network, shape[0], spec.output_size)
        except Exception as error:
            raise UsageError(f"model '{self.name}': {what} cannot be made: {_in_a_line(error)}") from error
        self._try(network, shape, spec.output_size, what)
        return network

    def _imported(self) -> ModuleType:
        """The library.

        Raises:
            MissingDataError: it is not installed, or does not fit this torch.
        """
        try:
            return importlib.import_module(self.library)
        except ModuleNotFoundError as error:
            if error.name != self.library:
                raise
            raise MissingDataError(
                f"model '{self.name}': its networks come with {self.library}, which is not installed: "
                f"pip install 'mamlzoo[{self.name}]'"
            ) from None
        except (ImportError, RuntimeError) as error:
            raise MissingDataError(
                f"model '{self.name}': {self.library} is installed and cannot be imported ({_in_a_line(error)}); "
                f"install the one that belongs to torch {torch.__version__}"
            ) from error

    def _try(self, network: nn.Module, shape: tuple[int, int, int], outputs: int, what: str) -> None:
        """Refuse a network that does not take these images: most have a least size, and some have a single one.

        Raises:
            UsageError: it raises, or gives something else than the outputs asked for.
        """
        images = "images of " + " × ".join(map(str, shape))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            try:
                given = copy.deepcopy(network)(torch.zeros(2, *shape))
            except Exception as error:
                raise UsageError(
                    f"model '{self.name}': {what} does not take {images}: {_in_a_line(error)}; choose images of "
                    "another size, as by --task.size, or another network"
                ) from error
        if not isinstance(given, Tensor) or given.shape != (2, outputs):
            raise UsageError(
                f"model '{self.name}': {what} gives something else for {images} than {outputs} outputs each; choose "
                "another network"
            )


def _in_a_line(error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said[:LONGEST].rstrip('.')}" if said else type(error).__name__
