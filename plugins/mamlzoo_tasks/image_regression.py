"""Images as functions: what a pixel is from where it is."""

from __future__ import annotations

import dataclasses
import functools
from typing import Literal

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Batch, ClassEpisodes, Episode, Range, Spec, Split, UsageError, option
from mamlzoo_tasks.letter_pictures import SIDE
from mamlzoo_tasks.letters import Letters
from mamlzoo_tasks.omniglot import Omniglot
from mamlzoo_tasks.regression import RegressionTask

PIXELS = SIDE**2


class ImageRegression(RegressionTask):
    """Complete an image from some of its pixels: y = f(x), the ink in 0 … 1 at x in [−1, 1]².

    An episode is one image of 28 × 28 pixels, and an image is a function on the plane: x₁ goes from its left edge, −1,
    to its right edge, 1, and x₂ from its bottom to its top. The support set are `shots` pixels at random, the training
    query set `queries` others, or the whole image; a test is always judged on the whole image, the given pixels among
    it, as the papers do.

    Images are those of task `letters`, which need no download: Latin letters are trained on, Greek ones validate, and
    Cyrillic, Armenian and Georgian ones test. Or those of `omniglot` by Vinyals' split, once `mamlzoo data` has added
    them. Class and style of an episode's image are uniform; `distort` puts it through a random affine map.

    Loss: mean squared error over pixels. Algorithms that predict a distribution are reported by its `nll` too.

    Reference: Garnelo et al., "Conditional Neural Processes", ICML 2018, section 4.2; with gradient steps Zintgraf et
    al., "Fast Context Adaptation via Meta-Learning", ICML 2019, section 5.1.2. There x lies in [0, 1]², and images are
    digits and faces.
    """

    name = "image-regression"
    shots: int | Range = option(Range(10, 200), "pixels that are given, or a range to draw from", minimum=1)
    queries: int = option(100, "query pixels of a training episode, others than those given; 0: all pixels", minimum=0)
    images: Literal["letters", "omniglot"] = option("letters", "the task whose images they are")
    distort: Literal["none", "train", "all"] = option("none", "the images that affine maps distort")

    spec = Spec(input_shape=(2,), output_size=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        most = self.shots if isinstance(self.shots, int) else self.shots.most
        if most + self.queries > PIXELS:
            raise UsageError(
                f"task 'image-regression': shots up to {most} and {self.queries} queries are more than the {PIXELS} "
                "pixels of an image; lower one of them"
            )

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        device = generator.device
        image = self._parts[split].draw(count, ways=1, shots=1, queries=1, generator=generator).support.x
        x, y = places(device).expand(count, -1, -1), image.reshape(count, PIXELS, 1)
        shots, mask = mamlzoo.sizes(self.shots, (count,), generator)
        order = torch.rand(count, PIXELS, generator=generator, device=device).argsort(1)[..., None]

        def at(pixels: Tensor, there: Tensor | None = None) -> Batch:
            return Batch(x.gather(1, pixels.expand(-1, -1, 2)), y.gather(1, pixels), there)

        support = at(order[:, :shots], mask)
        if split == "train" and self.queries:
            return Episode(support, at(order[:, shots : shots + self.queries]))
        return Episode(support, Batch(x, y))

    def data_digest(self) -> str | None:
        return self._source.data_digest()

    @functools.cached_property
    def _source(self) -> Letters | Omniglot:
        source = Letters if self.images == "letters" else Omniglot
        return dataclasses.replace(source.example(), distort=self.distort)

    @functools.cached_property
    def _parts(self) -> dict[Split, ClassEpisodes]:
        source = self._source
        assert source.split is not None
        return {split: source.prepared(source.episodes.only(names), split) for split, names in source.split.items()}


def places(device: torch.device) -> Tensor:
    """Where the pixels of an image are, row by row from its top: [784, 2]."""
    along = torch.linspace(-1, 1, SIDE, device=device)
    up, right = torch.meshgrid(-along, along, indexing="ij")
    return torch.stack([right, up], -1).reshape(PIXELS, 2)
