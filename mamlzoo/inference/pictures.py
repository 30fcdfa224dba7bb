"""Episodes of images as figures show them: the images of each class, and what is predicted of those to be judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo.contracts.data import Batch, Episode, Spec, without_padding
from mamlzoo.contracts.inputs import Input

CLASSES = 10
"""Up to so many classes are shown, one below the other."""
SHOWN = 6
"""At most so many images of a class are shown of either set."""
CHANNELS = (1, 3)
"""Of grey images, and of coloured ones."""


@dataclass(frozen=True)
class Pictures:
    """Images of an episode by their classes.

    Attributes:
        support, query: of each class up to `SHOWN` images, each [n, channels, height, width].
        predicted: of each class what the images of `query` are predicted to be, [n], −1 where that is not finite; None
            where nothing is predicted.
    """

    title: str
    support: list[NDArray[np.float32]]
    query: list[NDArray[np.float32]]
    predicted: list[NDArray[np.int64]] | None = None


def shows(spec: Spec) -> bool:
    """Whether a task's episodes can be shown so: few classes of grey or coloured images."""
    is_image = isinstance(spec.structure, Input) and len(spec.input_shape) == 3 and spec.input_shape[0] in CHANNELS
    return is_image and spec.kind == "classification" and spec.output_size <= CLASSES


def pictures(title: str, episode: Episode, predicted: NDArray[np.int64] | None = None) -> Pictures:
    """The images of an episode, every leaf of which has a leading axis of 1.

    Args:
        predicted: of each query image that is there, [n].
    """
    support, query = map(without_padding, episode)
    classes = int(torch.cat([support.y[0], query.y[0]]).max()) + 1

    def of_each(batch: Batch, values: Tensor) -> list[NDArray[np.float32]]:
        return [values[batch.y[0] == at][:SHOWN].numpy() for at in range(classes)]

    chosen = None
    if predicted is not None:
        found = torch.from_numpy(predicted)
        chosen = [found[query.y[0] == at][:SHOWN].numpy() for at in range(classes)]
    return Pictures(title, of_each(support, support.x[0]), of_each(query, query.x[0]), chosen)
