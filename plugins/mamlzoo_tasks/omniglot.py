"""Omniglot, the field's first image benchmark."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import random
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import ClassEpisodes, Episode, Points, Spec, Split, UsageError, option
from mamlzoo_tasks import own_images
from mamlzoo_tasks.image_files import Shape
from mamlzoo_tasks.omniglot_data import DRAWERS, SETS, Characters, OmniglotData, characters
from mamlzoo_tasks.omniglot_runs import RUNS, one_shot_runs

VINYALS_FIRST = 1200
"""So many characters train and validate in Vinyals' split, the others test."""
VALIDATED = ("Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)")
"""The alphabets that validate."""
SEEN = Shape(size=28, colour="grey", fit="crop")
"""What an image of one's own character is made."""
RANDOM_TRAINED, RANDOM_VALIDATED = 1100, 100
"""Characters of a random split; the others test."""


class Omniglot(mamlzoo.ImageTask):
    """Handwritten characters of 50 alphabets, each drawn by 20 people: N-way K-shot.

    1,623 characters at 28 × 28, which `mamlzoo data` adds; an input is [1, 28, 28] of 0 to 1, ink 1 on 0, or ink 0 on 1
    with `inverted` false. `splits` says which are to train, to validate and to test on:

      vinyals    1,028 / 172 / 423. Of all characters in the order of their alphabets, those of the background set
                 before those of the evaluation set, the last 423 test. Five alphabets validate: Armenian, Bengali,
                 Early Aramaic, Hebrew, Georgian.
      official   792 / 172 / 659. The evaluation set tests; the same five alphabets validate.
      random     1,100 / 100 / 423 at random by split-seed, as in MAML's code.

    Papers differ in quarter turns, too: they make classes of their own in all splits for Vinyals and prototypical
    networks (`rotations` classes), in training alone for Reptile (train-classes), and are drawn for each class of an
    episode in MAML's code (random).

    `mamlzoo adapt RUN --support FOLDER --query FOLDER` takes images of your own characters: a folder with a folder for
    each of `ways` classes, as task images does, and as query an image or a folder of them, too. Dark ink on light is
    turned; draw them as large and as thick as the data set's. Or a CSV file with x1 to x784 and y.

    With `runs` tests are Lake's 20 one-shot runs, from his archive all_runs.zip. Each has 20 characters of one alphabet
    of the evaluation set, one drawing to learn from and another to classify; people make 4.5% errors.

    Loss: cross-entropy. Metrics: accuracy, and the loss.

    Reference: Lake, Salakhutdinov, Tenenbaum, "Human-level concept learning through probabilistic program induction",
    Science 350(6266), 2015; Vinyals' split as in the code of Snell, Swersky, Zemel, "Prototypical Networks for Few-shot
    Learning", NeurIPS 2017.
    """

    name = "omniglot"
    dataset: ClassVar[OmniglotData] = OmniglotData()
    splits: Literal["vinyals", "official", "random"] = option("vinyals", "which characters are in which split")
    inverted: bool = option(True, "ink is 1 on 0; else as published, 0 on 1")
    runs: str = option("", "Lake's archive of 20 one-shot runs to test on, all_runs.zip; none: test episodes are drawn")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.runs:
            return
        if self.splits != "official":
            raise UsageError("task 'omniglot': the runs' characters are of the evaluation set; --task.splits official")
        if (self.ways, self.shots, self.queries) != (RUNS, 1, 1):
            raise UsageError("task 'omniglot': runs are 20-way 1-shot: --task.ways 20 --task.shots 1 --task.queries 1")
        object.__setattr__(self, "runs", str(Path(self.runs).expanduser().absolute()))

    @functools.cached_property
    def episodes(self) -> ClassEpisodes:
        return ClassEpisodes(self._characters.images, [name for name in self._characters.names for _ in range(DRAWERS)])

    @functools.cached_property
    def split(self) -> dict[Split, list[str]]:
        names = self._characters.names
        if self.splits == "random":
            shuffled = random.Random(self.split_seed).sample(names, len(names))
            trained, validated = (shuffled[:count] for count in (RANDOM_TRAINED, RANDOM_TRAINED + RANDOM_VALIDATED))
            return {"train": trained, "valid": validated[RANDOM_TRAINED:], "test": shuffled[len(validated) :]}
        first = VINYALS_FIRST if self.splits == "vinyals" else SETS["images_background"]
        validates = [name for name in names if name.partition("/")[0] in VALIDATED]
        trains = [name for name in names[:first] if name not in {*validates}]
        return {"train": trains, "valid": validates, "test": names[first:]}

    @functools.cached_property
    def spec(self) -> Spec:
        return dataclasses.replace(super().spec, test_episodes=RUNS if self.runs else None)

    def prepared(self, episodes: ClassEpisodes, split: Split) -> ClassEpisodes:
        found = super().prepared(episodes, split)
        return found if self.inverted else found.transformed(lambda images, generator: 1 - images)

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        if not self.runs or split != "test":
            return super().sample(count, split=split, generator=generator)
        return mamlzoo.tree_map(lambda leaf: leaf[torch.arange(count) % RUNS].to(generator.device), self._runs)

    def data_digest(self) -> str:
        return f"{super().data_digest()} {_sha256(Path(self.runs))}" if self.runs else super().data_digest()

    def read(self, path: Path, *, support: Points | None = None) -> Points:
        if not own_images.are_at(path):
            return super().read(path, support=support)
        return own_images.read(path, self.ways, SEEN, support=support, look=self._look)

    def _look(self, image: Tensor) -> Tensor:
        ink = own_images.as_ink(image)
        return ink if self.inverted else 1 - ink

    @functools.cached_property
    def _characters(self) -> Characters:
        return characters(self.dataset.folder)

    @functools.cached_property
    def _runs(self) -> Episode:
        return one_shot_runs(Path(self.runs), inverted=self.inverted)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
