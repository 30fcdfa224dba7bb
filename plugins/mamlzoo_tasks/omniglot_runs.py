"""Lake's 20 one-shot runs, on which people were tested too."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from torch import Tensor

from mamlzoo import Batch, Episode, UsageError
from mamlzoo_tasks.omniglot_data import LARGEST, SIDE, decoded, small, whole_archive

RUNS = 20
"""Runs, and characters in each."""


def one_shot_runs(path: Path, *, inverted: bool) -> Episode:
    """The runs of an archive as episodes: every leaf [20 runs, 20 characters, …], images [1, 28, 28] of 0 to 1.

    In runNN/ lie training/class01.png … class20.png, test/item01.png … item20.png, and class_labels.txt, whose lines
    name an item and the class that it is of. Queries are in the order of their classes.

    Args:
        inverted: ink is 1 on 0, not 0 on 1.

    Raises:
        UsageError: it is not that archive, or a damaged one.
    """
    if not path.is_file():
        raise UsageError(f"task 'omniglot': runs {path} is not there, or no file; it is Lake's archive all_runs.zip")
    with whole_archive(path), zipfile.ZipFile(path) as archive:
        support, query = zip(*(_run(path, archive, f"run{number:02}") for number in range(1, RUNS + 1)), strict=True)
    y = torch.arange(RUNS).expand(RUNS, -1)
    ink = (torch.stack(images) for images in (support, query))
    support_set, query_set = (Batch(x if inverted else 1 - x, y) for x in ink)
    return Episode(support_set, query_set)


def _run(path: Path, archive: zipfile.ZipFile, run: str) -> tuple[Tensor, Tensor]:
    """What one learns from and what one classifies, each [20, 1, 28, 28], in the order of the classes."""
    labels = _read(path, archive, f"{run}/class_labels.txt").decode("utf-8", "replace")
    classes = [f"{run}/training/class{at:02}.png" for at in range(1, RUNS + 1)]
    pairs = [line.split() for line in labels.splitlines() if line.strip()]
    item_of = {pair[1]: pair[0] for pair in pairs if len(pair) == 2}
    if len(pairs) != RUNS or item_of.keys() != {*classes}:
        raise UsageError(f"{path}: {run}/class_labels.txt must name an item and its class of {RUNS}, a line each")
    items = [item_of[name] for name in classes]
    support, query = ([_image(path, archive, name) for name in names] for names in (classes, items))
    return torch.stack(support), torch.stack(query)


def _image(path: Path, archive: zipfile.ZipFile, name: str) -> Tensor:
    pixels = small(decoded(f"{path}: {name}", _read(path, archive, name)))
    return torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(1, SIDE, SIDE) / 255


def _read(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise UsageError(f"{path} has no {name}, as Lake's all_runs.zip has") from None
    if member.file_size > LARGEST:
        raise UsageError(f"{path}: {name} has {member.file_size:,} bytes, more than any of Omniglot's")
    return archive.read(member)
