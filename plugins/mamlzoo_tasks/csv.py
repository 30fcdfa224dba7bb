"""Your own data: tables in files, each file a data set of its own, or each group of rows of one file."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.nn import functional

import mamlzoo
from mamlzoo import ClassEpisodes, Episode, GroupEpisodes, Points, Range, Spec, Split, UsageError, option, told_of
from mamlzoo_tasks import csv_own_points
from mamlzoo_tasks.csv_checks import check_different, check_enough, check_size, check_varied
from mamlzoo_tasks.csv_columns import Columns
from mamlzoo_tasks.csv_data_sets import DataSet
from mamlzoo_tasks.csv_facts import DataFacts, scales_of
from mamlzoo_tasks.csv_splits import Division
from mamlzoo_tasks.csv_tables import SplitTables


class CSV(mamlzoo.Task):
    """Your own data: a folder of CSV files, each file a data set to adapt to, or one file with a column of groups.

    The first line of a file names its columns. `inputs` and `targets` say which to use, and all others are left alone;
    without them there are x and y, or x1, x2, … and y1, y2, …, and no others. With `group` the folder is one file, and
    rows that agree in this column are a data set: a patient, a sensor, a trial. All files have the same columns; how
    many rows, is each data set's own affair. Commas, semicolons and tabs between columns, and decimal commas, are
    noticed. Files may also be .csv.gz, and with mamlzoo[parquet] .parquet, .feather or .arrow.

    An input whose cells are ISO dates or times, 2020-04-03 or 2020-04-03T14:30, is the days since the first one of that
    column in the data set: its own time course. Of what `adapt` reads they are days since the first of the support set.
    A cell is missing that is empty, NA, N/A, NaN, null, none or -, in any letters; of a class label, none and - are
    names.

    Data sets are split into train, valid and test: by folders of these names, or else at random by split-seed. An
    episode takes one, and of its rows draws support and query without replacement. A training episode draws its data
    set too; in valid and test each is one episode, with rows drawn once by the run's test-seed, so that intervals are
    over data sets.

    Loss: mean squared error. With `ways` N the task is classification: the target is a class label, any text, an
    episode has N classes of its data set, in random order, and shots and queries are rows a class. Classes of fewer
    rows are left out. `mamlzoo adapt` takes labels too, N at most, and predicts by their names.

    With a range of shots each episode, or each of its classes, draws its own number. With short-files 'use', a data
    set, or a class, of fewer rows than shots and queries shares them among support and query in proportion, one row
    each at least. Either gives sets of several sizes, for algorithms that honour masks.

    With `scale`, a column v becomes (v - m) / s, by the mean m and the standard deviation s of its training rows. What
    is predicted for points of yours is in their own units again; a scaled mse of 1 is about what answering m gives. A
    run keeps m and s, so that `adapt` needs no training data. Without it columns are used as they are; one whose root
    mean square is not between 0.03 and 30 is refused, as gradient steps diverge or stand still on it, and so is one of
    zeros.
    """

    name = "csv"
    folder: str = option("", "folder of CSV files, or one file whose groups are data sets; must be given")
    shots: int | Range = option(
        5, "support rows of an episode or a class, or a range to draw from, as 1..20", minimum=1
    )
    queries: int = option(10, "query rows of an episode, or of a class", minimum=1)
    ways: int = option(0, "classes of an episode; 0: the target is a number, regression", minimum=0)
    valid: float = option(0.2, "fraction of the data sets to validate on, one at least", minimum=0, maximum=1)
    test: float = option(0.2, "fraction of the data sets to test on, one at least", minimum=0, maximum=1)
    split_seed: int = option(0, "which split of the data sets", minimum=0)
    short_files: Literal["refuse", "use"] = option(
        "refuse", "data sets, and classes, of fewer rows than shots + queries: refuse, or use what they have"
    )
    any_scale: bool = option(False, "take columns of any size, as for a network that scales them itself")
    inputs: tuple[str, ...] = option(
        (), "columns that are inputs, as age,dose; none given: x, or x1, x2, …", later=True
    )
    targets: tuple[str, ...] = option((), "columns to predict; none given: y, or y1, y2, …", later=True)
    group: str = option("", "column of one file that says which data set a row belongs to", later=True)
    missing: Literal["refuse", "drop"] = option("refuse", "rows that lack a value: refuse, or drop them", later=True)
    scale: bool = option(False, "scale each column by mean and deviation of its training rows", later=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.folder:
            raise UsageError("task 'csv': say where your CSV files are, as in --task.folder data")
        if self.ways == 1:
            raise UsageError("task 'csv': ways must be 2 classes at least, or 0 for regression, not 1")
        if self.ways and len(self.targets) > 1:
            raise UsageError(f"task 'csv': a class label is one column, and targets are {', '.join(self.targets)}")
        used = [*self.inputs, *self.targets, *filter(None, [self.group])]
        for name in used:
            if used.count(name) > 1:
                raise UsageError(f"task 'csv': column '{name}' is named twice; it is an input, a target or the group")
        object.__setattr__(self, "folder", str(Path(self.folder).expanduser().absolute()))

    @classmethod
    def example(cls) -> Self:
        given: dict[str, Any] = {"folder": str(Path(__file__).parent / "csv_example")}
        return cls(**given)

    @functools.cached_property
    def spec(self) -> Spec:
        most = self.shots.most if isinstance(self.shots, Range) else self.shots
        return Spec(
            input_shape=(len(self._facts.inputs),),
            output_size=self.ways or len(self._facts.targets),
            kind="classification" if self.ways else "regression",
            test_episodes=self._facts.test,
            valid_episodes=self._facts.valid,
            support_size=most * max(1, self.ways),
            query_size=self.queries * max(1, self.ways),
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
            return {"scaled mse" if self.scale else "mse": loss}
        return {"accuracy": (prediction.argmax(-1) == target).to(prediction.dtype).mean(), "loss": loss}

    def remarks(self) -> list[str]:
        with told_of(self.name):
            found = self._tables.found
        return [f"rows left out for a missing value: {found.dropped:,} of {found.rows:,}"] if found.dropped else []

    def data_digest(self) -> str:
        return self._digest

    def data_facts(self) -> Mapping[str, Any]:
        return self._facts._asdict()

    def with_data_facts(self, facts: Mapping[str, Any]) -> Self:
        known = dataclasses.replace(self)
        with told_of(self.name):
            known.__dict__["_facts"] = DataFacts.of(facts)  # in place of what the property would read
        return known

    def read(self, path: Path, *, support: Points | None = None) -> Points:
        return csv_own_points.read(path, self._columns, self._facts, self.missing, self.ways, support)

    def in_units(self, points: Points) -> Points:
        return csv_own_points.in_units(points, self._facts)

    @property
    def _columns(self) -> Columns:
        return Columns(self.inputs, self.targets, bool(self.ways), self.group)

    @property
    def _needed(self) -> int:
        """How many rows a data set or a class must have."""
        if self.short_files == "use":
            return 2
        return (self.shots.most if isinstance(self.shots, Range) else self.shots) + self.queries

    @functools.cached_property
    def _tables(self) -> SplitTables:
        division = Division(self.valid, self.test, self.split_seed)
        return SplitTables(Path(self.folder), self._columns, self.missing, division)

    @functools.cached_property
    def _digest(self) -> str:
        with told_of(self.name):
            return self._tables.digest()

    @functools.cached_property
    def _facts(self) -> DataFacts:
        """Of the data; or what a run directory says of them."""
        with told_of(self.name):
            tables = self._tables
            parts, columns = tables.parts, tables.found.columns
            several = [data for part in parts.values() for data in part]
            check_enough(several, tables.what, ways=self.ways, needed=self._needed, short=self.short_files)
            scales = dict[str, tuple[float, float]]()
            for names, values in self._training_columns():
                if self.scale:
                    check_varied(names, values, "")
                    scales |= scales_of(values, names)
                elif not self.any_scale:
                    check_size(names, values)
            check_different(parts, tables.what, self._needed)
        return DataFacts(
            columns.inputs, columns.targets, tables.found.dates, scales, len(parts["valid"]), len(parts["test"])
        )

    def _training_columns(self) -> list[tuple[Sequence[str], Tensor]]:
        """The names of inputs, and of targets where they are numbers, with their rows to train on."""
        columns, train = self._tables.found.columns, self._tables.parts["train"]
        found: list[tuple[Sequence[str], Tensor]] = [(columns.inputs, torch.cat([data.x for data in train]))]
        return found if self.ways else [*found, (columns.targets, torch.cat([data.y for data in train]))]

    @functools.cached_property
    def _episodes(self) -> dict[Split, ClassEpisodes | GroupEpisodes]:
        facts = self._facts
        with told_of(self.name):
            return {split: self._episodes_of(part, facts) for split, part in self._tables.parts.items()}

    def _episodes_of(self, several: list[DataSet], facts: DataFacts) -> ClassEpisodes | GroupEpisodes:
        """Data sets that are drawn from, their rows one after another, those of a class together."""
        classes = [data.classes(self._needed) for data in several]
        rows = [torch.tensor([row for rows in found for row in rows], dtype=torch.long) for found in classes]
        x = torch.cat([data.x[chosen] for data, chosen in zip(several, rows, strict=True)])
        x = facts.scaled(x, facts.inputs).float()
        file = torch.arange(len(several)).repeat_interleave(torch.tensor(list(map(len, rows))))
        if not self.ways:
            y = torch.cat([data.y for data in several])
            return GroupEpisodes(x, facts.scaled(y, facts.targets).float(), file)
        lengths = torch.tensor([len(rows) for found in classes for rows in found])
        return ClassEpisodes(x, torch.arange(len(lengths)).repeat_interleave(lengths), groups=file)
