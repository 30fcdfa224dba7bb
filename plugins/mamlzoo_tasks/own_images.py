"""A user's own images as points: a folder for each class to adapt to, and images to classify."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Points, UsageError
from mamlzoo_tasks.image_files import Shape, read_images
from mamlzoo_tasks.image_folders import classes_in, holds_folders, images_in, is_named_image

WHITE = 255
"""The byte that is 1."""
Look = Callable[[Tensor], Tensor]
"""From an image of 0 to 1, [channels, size, size], to what a network sees of it."""


def are_at(path: Path) -> bool:
    """Whether somebody who names this path means images, and no table."""
    return path.is_dir() or is_named_image(path)


def read(
    path: Path, ways: int, shape: Shape, *, support: Points | None = None, look: Look = lambda image: image
) -> Points:
    """The points in a folder, or the one in an image.

    Args:
        path: a folder with a folder for each class; as query an image or a folder of images, too.
        ways: how many classes a support set must have.
        shape: what images are made.
        support: None: it is the support set. Else the query that belongs to it.
        look: what a network sees of an image of 0 to 1.

    Raises:
        UsageError: the path holds something else, another number of classes, or a class that the support set has not.
    """
    if support is not None and path.is_file():
        return _points(path.parent, [path], shape, look)
    if support is not None and not holds_folders(path):
        return _points(path, images_in(path), shape, look)
    found = classes_in(path)
    classes = list(found) if support is None else support.classes
    if classes is None:
        raise UsageError(f"{path} has folders of classes, and the support set's classes have no names; give images")
    if support is None and len(found) != ways:
        given = f"a folder for {len(found)} class{'es' * (len(found) != 1)}"
        raise UsageError(f"{path} has {given}, and the run adapts to {ways}, its ways; give as many")
    for name in found:
        if name not in classes:
            raise UsageError(f"{path / name}: the support set has no class '{name}'; there are: {', '.join(classes)}")
    files = [file for several in found.values() for file in several]
    y = torch.tensor([classes.index(name) for name, several in found.items() for _ in several])
    return replace(_points(path, files, shape, look), y=y.numpy(), classes=classes)


def as_ink(image: Tensor) -> Tensor:
    """A picture in grey as ink 1 on 0; one whose edge is light is of dark ink and turned."""
    edge = torch.cat([image[..., 0, :], image[..., -1, :], image[..., :, 0], image[..., :, -1]], -1)
    return 1 - image if edge.median() > 0.5 else image


def _points(folder: Path, files: Sequence[Path], shape: Shape, look: Look) -> Points:
    images = mamlzoo.reading(read_images(files, shape), "read images", len(files))
    x = torch.stack([look(image.float() / WHITE) for image in images])
    return Points(x.numpy(), columns={"file": [file.relative_to(folder).as_posix() for file in files]})
