"""A folder of a user's own images."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from torch import Tensor

import mamlzoo
from mamlzoo import ClassEpisodes, Points, Range, Spec, Split, UsageError, option
from mamlzoo_tasks import own_images
from mamlzoo_tasks.image_files import DECODER, Colour, Fit, Shape, read_images
from mamlzoo_tasks.image_folders import ImageFolder, check_different, digests, image_folder


class Images(mamlzoo.ImageTask):
    """Your own images: a folder with a folder for each class, N-way K-shot.

    An episode takes `ways` classes of its split in random order, which numbers them, and of each `shots` images to
    adapt on and `queries` others to judge by. Classes are split into train, valid and test: at random by split-seed, or
    by folders of these names, which then hold the classes' folders. No class is in two splits.

    PNG, JPEG, GIF, BMP, WebP and TIFF of any size are read, as their EXIF orientation turns them; what is transparent
    shows white. Each is made size × size pixels: `fit` crop takes the largest square in its middle, squash all of it.
    An input is [channels, size, size] of numbers from 0 to 1. Images are decoded once and kept in mamlzoo's cache. With
    `rotations`, classes or each draw's images are turned by quarters; with `distort`, each image that is drawn passes
    an affine map of its own.

    `mamlzoo adapt RUN --support FOLDER --query FOLDER` takes as support a folder with a folder for each of `ways`
    classes, of whatever names and with any number of images each; as query an image, a folder of images, or one with a
    folder for each class, whose names then are what is right.

    Loss: cross-entropy. Metrics: accuracy, and the loss.

    Reference: the episodic protocol is Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016.
    """

    name = "images"
    folder: str = option("", "folder with a folder of images for each class; must be given")
    size: int = option(32, "pixels of a side", minimum=1, maximum=1024)
    colour: Colour = option("rgb", "three channels, or one of grey")
    fit: Fit = option("crop", "the largest square in the middle of an image, or all of it squashed into a square")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.folder:
            raise UsageError("task 'images': say where your images are, as in --task.folder pictures")
        object.__setattr__(self, "folder", str(Path(self.folder).expanduser().absolute()))

    @classmethod
    def example(cls) -> Self:
        given: dict[str, Any] = {"folder": str(Path(__file__).parent / "images_example")}
        return cls(**given, ways=2, queries=2, size=8)

    @functools.cached_property
    def spec(self) -> Spec:
        """It follows from options alone: a trained θ is adapted where what it was trained on is no more."""
        ways, shots = self._size("train")
        return Spec(
            input_shape=(self._shape.channels, self.size, self.size),
            output_size=max(ways, self.ways),
            kind="classification",
            support_size=ways * (shots.most if isinstance(shots, Range) else shots),
            query_size=ways * self.queries,
        )

    @property
    def _shape(self) -> Shape:
        return Shape(self.size, self.colour, self.fit)

    @functools.cached_property
    def _found(self) -> ImageFolder:
        return image_folder(Path(self.folder))

    @property
    def split(self) -> Mapping[Split, list[str]] | None:
        return self._found.split

    @functools.cached_property
    def episodes(self) -> ClassEpisodes:
        found, shape = self._found, self._shape
        check_different(found)
        key = f"{DECODER} {shape} {' '.join(digests(found.files))}"

        def decoded() -> Iterator[Tensor]:
            return mamlzoo.reading(read_images(found.files, shape), "decode images", len(found.files))

        return ClassEpisodes(mamlzoo.kept(key, (len(found.files), *self.spec.input_shape), decoded), found.labels)

    def data_digest(self) -> str:
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        """Of which class is in which split, and of what each file holds."""
        digest, found = hashlib.sha256(f"{self._found.split!a}\n".encode()), self._found
        for file, label, content in zip(found.files, found.labels, digests(found.files), strict=True):
            digest.update(f"{label!a} {file.name!a} {content}\n".encode())
        return digest.hexdigest()

    def read(self, path: Path, *, support: Points | None = None) -> Points:
        return own_images.read(path, self.ways, self._shape, support=support)
