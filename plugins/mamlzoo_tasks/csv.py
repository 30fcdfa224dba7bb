"""A folder of CSV files, each a data set of its own."""

from __future__ import annotations

import functools
import hashlib
import random
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

import torch
from torch import Tensor
from torch.nn import functional

import mamlzoo
from mamlzoo import ClassEpisodes, Episode, GroupEpisodes, Input, Range, Spec, Split, UsageError, option

SPLITS: tuple[Split, ...] = get_args(Split)
NAMED = 4
"""At most so many of several files are named in a message."""
SMALLEST, LARGEST = 0.03, 30.0
"""Root mean squares of a column that gradient steps of common sizes can still cope with."""


class CSV(mamlzoo.Task):
    """Your own data: a folder of CSV files, each file a data set to adapt to.

    The first line of a file names its columns: x and y, or x1, x2, … and y1, y2, … where an input or a target is
    several numbers. All files have the same columns; how many rows, is each file's own affair.

    Files are split into train, valid and test: by folders of these names, or else at random by split-seed. An episode
    takes one file, and of its rows draws support and query without replacement. A training episode draws its file too;
    in valid and test each file is one episode, with rows drawn once by the run's test-seed, so that intervals are over
    files.

    Loss: mean squared error. With `ways` N the task is classification: y is a class label, any text, an episode has N
    classes of its file, in random order, and shots and queries are rows a class. Classes of fewer rows are left out.
    `mamlzoo adapt` takes classes by number, 0 to N − 1, in any order, since training numbers them at random.

    With a range of shots each episode, or each of its classes, draws its own number. With short-files 'use', a file, or
    a class, of fewer rows than shots and queries shares them among support and query in proportion, one row each at
    least. Either gives sets of several sizes, for algorithms that honour masks.

    Columns are used as they are, since `mamlzoo adapt` takes points in the files' own units; a column whose root mean
    square is not between 0.03 and 30 is refused, as gradient steps diverge or stand still on it; so is one of zeros.
    """

    name = "csv"
    folder: str = option("", "folder of CSV files; must be given")
    shots: int | Range = option(
        5, "support rows of an episode or a class, or a range to draw from, as 1..20", minimum=1
    )
    queries: int = option(10, "query rows of an episode, or of a class", minimum=1)
    ways: int = option(0, "classes of an episode; 0: y is a number, regression", minimum=0)
    valid: float = option(0.2, "fraction of the files to validate on, one at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the files to test on, one at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which split of the files", minimum=0)
    short_files: Literal["refuse", "use"] = option(
        "refuse", "files, and classes, of fewer rows than shots + queries: refuse, or use what they have"
    )
    any_scale: bool = option(False, "take columns of any size, as for a network that scales them itself")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.folder:
            raise UsageError("task 'csv': say where your CSV files are, as in --task.folder data")
        if self.ways == 1:
            raise UsageError("task 'csv': ways must be 2 classes at least, or 0 for regression, not 1")
        object.__setattr__(self, "folder", str(Path(self.folder).expanduser().absolute()))

    @classmethod
    def example(cls) -> Self:
        given: dict[str, Any] = {"folder": str(Path(__file__).parent / "csv_example")}
        return cls(**given)

    @functools.cached_property
    def spec(self) -> Spec:
        episodes = self._episodes["train"]
        assert isinstance(episodes.inputs, Input)
        return Spec(
            input_shape=episodes.inputs.shape,
            output_size=episodes.output_size if isinstance(episodes, GroupEpisodes) else self.ways,
            kind="classification" if self.ways else "regression",
            test_episodes=len(self._episodes["test"].names),
            valid_episodes=len(self._episodes["valid"].names),
        )

    @property
    def higher_is_better(self) -> frozenset[str]:
        return frozenset({"accuracy"}) if self.ways else frozenset()

    def sample(self, count: int, *, split: Split, generator: torch.Generator) -> Episode:
        episodes = self._episodes[split]
        how: dict[str, Any] = {
            "shots": self.shots,
            "queries": self.queries,
            "generator": generator,
            "short": self.short_files,
            "in_turn": split != "train",
        }
        if isinstance(episodes, GroupEpisodes):
            return episodes.draw(count, **how)
        return episodes.draw(count, ways=self.ways, **how)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(prediction, target) if self.ways else (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        loss = self.loss(prediction, target)
        if not self.ways:
            return {"mse": loss}
        return {"accuracy": (prediction.argmax(-1) == target).to(prediction.dtype).mean(), "loss": loss}

    def data_digest(self) -> str:
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        """Of which file is where in the split, and of what each holds."""
        digest = hashlib.sha256()
        for split, files in self._split.items():
            for file in files:
                name = file.relative_to(self.folder).as_posix()
                digest.update(f"{split} {name!a} {_sha256(file)}\n".encode())
        return digest.hexdigest()

    @functools.cached_property
    def _episodes(self) -> dict[Split, ClassEpisodes | GroupEpisodes]:
        """The files, read when they are first needed."""
        parts = {split: [self._data_set(file) for file in files] for split, files in self._split.items()}
        several = [data for part in parts.values() for data in part]
        for data in several:
            if data.columns != several[0].columns:
                (x, y), (first_x, first_y) = data.columns, several[0].columns
                raise UsageError(
                    f"task 'csv': {data.file} has {x} columns x and {y} columns y, and {several[0].file} {first_x} and "
                    f"{first_y}; all files must have the same"
                )
        self._check_enough(several)
        if not self.any_scale:
            self._check_size("x", torch.cat([data.x for data in parts["train"]]))
            if not self.ways:
                self._check_size("y", torch.cat([data.y for data in parts["train"]]))
        self._check_different(parts)
        return {split: self._episodes_of(part) for split, part in parts.items()}

    def _episodes_of(self, several: list[_DataSet]) -> ClassEpisodes | GroupEpisodes:
        """Files that are drawn from, their rows one after another."""
        x = torch.cat([data.x for data in several])
        file = torch.arange(len(several)).repeat_interleave(torch.tensor([len(data.x) for data in several]))
        if not self.ways:
            return GroupEpisodes(x, torch.cat([data.y for data in several]), file)
        rows = torch.tensor([count for data in several for count in data.groups])
        return ClassEpisodes(x, torch.arange(len(rows)).repeat_interleave(rows), groups=file)

    @property
    def _needed(self) -> int:
        """How many rows a file or a class must have."""
        if self.short_files == "use":
            return 2
        return (self.shots.most if isinstance(self.shots, Range) else self.shots) + self.queries

    @functools.cached_property
    def _split(self) -> dict[Split, list[Path]]:
        """The files of each split, none of which is another's by a link."""
        split_of: dict[Path, tuple[Split, Path]] = {}
        split = self._files()
        for part, files in split.items():
            for file in files:
                other, first = split_of.setdefault(file.resolve(), (part, file))
                if other != part:
                    raise UsageError(
                        f"task 'csv': {first} ({other}) and {file} ({part}) are the same file; leave one of them out"
                    )
        return split

    def _files(self) -> dict[Split, list[Path]]:
        """The files of each split, in an order that split-seed says."""
        folder = Path(self.folder)
        if not folder.is_dir():
            what = "is no folder; give the one that it lies in" if folder.exists() else "is not there"
            raise UsageError(f"task 'csv': folder {folder} {what}")
        files, by_folder = _csv_files(folder), {split: folder / split for split in SPLITS}
        there = [split for split in SPLITS if by_folder[split].is_dir()]
        if not there:
            return self._divided(files)
        if len(there) < len(SPLITS):
            missing = " and ".join(split for split in SPLITS if split not in there)
            raise UsageError(f"task 'csv': {folder} has a folder {' and '.join(there)}, and none called {missing}")
        if files:
            raise UsageError(f"task 'csv': {files[0]} lies beside the folders train, valid and test; put it into one")
        found = {split: self._shuffled(_csv_files(inside)) for split, inside in by_folder.items()}
        for split, several in found.items():
            if not several:
                raise UsageError(f"task 'csv': there is no file *.csv in {by_folder[split]}")
        return found

    def _divided(self, files: list[Path]) -> dict[Split, list[Path]]:
        if len(files) < len(SPLITS):
            inside = [inner for inner in sorted(Path(self.folder).iterdir()) if inner.is_dir() and _csv_files(inner)]
            hint = f"; there are some in {inside[0]}, into which it does not look" if inside else ""
            raise UsageError(
                f"task 'csv': {_several(len(files), 'file')} *.csv in {self.folder}; it takes 3 at least, to train, to "
                f"validate and to test{hint}"
            )
        valid, test = (max(1, round(share * len(files))) for share in (self.valid, self.test))
        if valid + test >= len(files):
            raise UsageError(
                f"task 'csv': {_several(valid, 'file')} to validate and {test} to test leave none of {len(files)} to "
                "train; lower valid or test"
            )
        files = self._shuffled(files)
        return {"train": files[valid + test :], "valid": files[:valid], "test": files[valid : valid + test]}

    def _shuffled(self, files: list[Path]) -> list[Path]:
        return random.Random(self.split_seed).sample(files, len(files))

    def _data_set(self, file: Path) -> _DataSet:
        """A file's rows, those of a class together."""
        status = file.stat()
        try:
            x, y = _read(file, status.st_mtime_ns, status.st_size, bool(self.ways))
        except UsageError as error:
            if self.ways or not _has_labels(file):
                raise
            raise UsageError(
                f"{error}; if y is a class label, say how many classes an episode has, as in --task.ways 3"
            ) from None
        if isinstance(y, Tensor):
            return _DataSet(file, x, y, [len(x)])
        by_label: dict[str, list[int]] = {}
        for row, label in enumerate(y):
            by_label.setdefault(label, []).append(row)
        groups = [rows for rows in by_label.values() if len(rows) >= self._needed]
        x = x[torch.tensor([row for rows in groups for row in rows], dtype=torch.long)]
        return _DataSet(file, x, x.new_zeros(len(x), 1), [len(rows) for rows in groups])

    def _check_different(self, parts: dict[Split, list[_DataSet]]) -> None:
        """Refuse files of the same rows, but in training: a test on what was trained on, or one that counts twice."""
        alike: dict[str, list[tuple[Split, Path]]] = {}
        for split, several in parts.items():
            for data in several:
                alike.setdefault(data.content(), []).append((split, data.file))
        for files in alike.values():
            splits = [split for split, _ in files]
            if len(files) > 1 and splits != ["train"] * len(files):
                named = ", ".join(f"{file} ({split})" for split, file in files[:NAMED])
                more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
                raise UsageError(
                    f"task 'csv': {len(files)} files hold the same rows: {named}{more}; a test must not see what was "
                    "trained on, nor count a file twice: leave all but one of them out"
                )

    def _check_enough(self, several: list[_DataSet]) -> None:
        """Refuse files of which no episode can be drawn, all at once."""
        needed, what = self._needed, f"shots + queries = {self._needed} rows"
        lower = ["--task.ways"] * bool(self.ways) + ["--task.shots", "--task.queries"]
        if self.short_files == "use":
            what, lower = "2 rows, one to adapt on and one to judge by", lower[:-2]
        counts = [len(data.x) for data in several]
        if self.ways:
            needed, what = self.ways, f"ways = {self.ways} classes of at least {what}"
            counts = [len(data.groups) for data in several]
        short = [(count, data.file) for count, data in zip(counts, several, strict=True) if count < needed]
        if short:
            fewest, file = min(short)
            raise UsageError(
                f"task 'csv': {len(short)} of {_several(len(several), 'file')} {'has' if len(short) == 1 else 'have'} "
                f"fewer than {what}; the fewest, {fewest}, are in {file}; {_instead(lower)}"
                f"{'; --task.short-files use takes what they have' * (self.short_files == 'refuse')}"
            )

    def _check_size(self, name: str, values: Tensor) -> None:
        values = values.double()
        sizes = values.square().mean(0).sqrt()
        wrong = ((sizes < SMALLEST) | (sizes > LARGEST)).nonzero().flatten().tolist()
        if not wrong:
            return
        column, size = values[:, wrong[0]], float(sizes[wrong[0]])
        which = f"column {name}" if values.shape[1] == 1 else f"{name} column number {wrong[0] + 1}"
        if (column == column[0]).all():
            raise UsageError(
                f"task 'csv': {which} is {float(column[0]):.4g} in every row to train on, from which nothing can be "
                "learned; leave it out of the files, or --task.any-scale true to take it all the same"
            )
        mean, sd = float(column.mean()), float(column.std(correction=0))
        raise UsageError(
            f"task 'csv': {which} is far from 1 in size, its root mean square {size:.4g}; put ({name} - {mean:.4g}) / "
            f"{sd:.4g} into the files, or --task.any-scale true if the network scales it"
        )


class _DataSet(NamedTuple):
    """One file: x [rows, inputs], y [rows, targets], and how many rows each of its classes has, one after another."""

    file: Path
    x: Tensor
    y: Tensor
    groups: list[int]

    def content(self) -> str:
        """The same for files of the same rows, in whatever order, and under whatever names their classes have."""
        groups = []
        for rows in torch.cat([self.x, self.y], 1).split(self.groups):
            different, counts = rows.unique(dim=0, return_counts=True)  # in order
            groups.append(hashlib.sha256(different.numpy().tobytes() + counts.numpy().tobytes()).hexdigest())
        return " ".join(sorted(groups))

    @property
    def columns(self) -> tuple[int, int]:
        return self.x.shape[1], self.y.shape[1]


def _instead(lower: list[str]) -> str:
    """What to do about files of too few rows: which flags to lower, or to leave them out."""
    if not lower:
        return "leave such files out"
    flags = " or ".join(filter(None, [", ".join(lower[:-1]), lower[-1]]))
    return f"lower {flags}, or leave such files out"


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"task 'csv': {file} cannot be read: {error.strerror or error}") from error


@functools.cache
def _read(file: Path, modified: int, size: int, labels: bool) -> tuple[Tensor, Tensor | list[str]]:
    """A file's rows, read once for each content that it has had."""
    points = mamlzoo.read_points(file, labels=labels)
    assert points.y is not None
    return torch.from_numpy(points.x), points.y.tolist() if labels else torch.from_numpy(points.y)


def _has_labels(file: Path) -> bool:
    """Whether a file could be read if y were a class label."""
    try:
        mamlzoo.read_points(file, labels=True)
    except UsageError:
        return False
    return True


def _csv_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("[!.]*") if file.suffix.lower() == ".csv" and file.is_file())


def _several(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)
