"""A user's own points for adaptation, from a table as those that were trained on, and the way back into its units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import mamlzoo
from mamlzoo import Points, TextTable, UsageError
from mamlzoo_tasks import csv_columns, csv_data_sets
from mamlzoo_tasks.csv_columns import Columns, Encoding, Missing
from mamlzoo_tasks.csv_facts import DataFacts


def read(
    path: Path,
    wanted: Columns,
    facts: DataFacts,
    missing: Missing,
    encoding: Encoding,
    ways: int,
    support: Points | None = None,
) -> Points:
    """The points in a table, as a network has them.

    Args:
        wanted: the task's columns.
        facts: of the data that were trained on.
        encoding: of a file that is CSV.
        ways: how many classes an episode has; 0: targets are numbers.
        support: the support set that a query belongs to; of a query, targets are read where no row lacks one.

    Raises:
        UsageError: one line that names the file, its line and column, and what would be right.
    """
    table = mamlzoo.read_table(path, encoding)
    if wanted.group and wanted.group in table.header and (several := len(set(table.column(wanted.group)))) > 1:
        raise UsageError(
            f"{path}: column '{wanted.group}' has {several:,} values, each a data set of its own; give the rows of "
            "one, as a network adapts to one"
        )
    columns = wanted._replace(group="").of(table, targets=support is None)
    for kind, found, known in (("inputs", columns.inputs, facts.inputs), ("targets", columns.targets, facts.targets)):
        if found and len(found) != len(known):
            raise UsageError(
                f"{table.where_header}: the {kind} are {', '.join(found)}, and {', '.join(known)} were trained on"
            )
    if support is not None and _lacks(table, columns.targets, wanted.labels):
        columns = columns._replace(targets=())
    table, remarks = _complete(table, columns, missing)
    numeric = () if wanted.labels else columns.targets
    dates = [own for own, name in zip(columns.inputs, facts.dates_of_inputs, strict=True) if name]
    decimal = mamlzoo.decimal_mark([table], [name for name in (*columns.inputs, *numeric) if name not in dates])
    x = csv_data_sets.columns_of(table, columns.inputs, dates, decimal)
    x = csv_data_sets.elapsed(x, columns, dates, None if support is None else _first_days(support, columns, dates))
    points = Points(
        facts.scaled(x, facts.inputs).float().numpy(),
        columns={name: table.column(name) for name in columns.inputs},
        remarks=remarks,
    )
    if not columns.targets:
        return points
    if wanted.labels:
        return _labelled(points, table, columns.targets[0], ways, support)
    y = csv_data_sets.columns_of(table, numeric, (), decimal)
    return replace(points, y=facts.scaled(y, facts.targets).float().numpy())


def in_units(points: Points, facts: DataFacts) -> Points:
    """Points of a network in the units of the table that they are of; a grid's dates are days since the first one."""
    x = facts.in_units(torch.as_tensor(points.x), facts.inputs).float().numpy()
    columns = points.columns
    if columns is None:
        names = [f"{name} (days)" if name in facts.dates else name for name in facts.inputs]
        columns = {name: x[:, at].astype(str).tolist() for at, name in enumerate(names)}
    y = points.y
    if y is not None and y.ndim == 2:
        y = facts.in_units(torch.as_tensor(y), facts.targets).numpy()
    return replace(points, x=x, y=y, columns=columns, targets=facts.targets)


def _lacks(table: TextTable, targets: Sequence[str], labels: bool) -> bool:
    """Whether a row has no target."""
    return bool(csv_columns.gaps(table, targets, targets if labels else ()))


def _complete(table: TextTable, columns: Columns, missing: Missing) -> tuple[TextTable, list[str]]:
    """The rows that lack nothing, and what is to be said of the others."""
    labels = columns.targets if columns.labels else ()
    names = [*columns.inputs, *columns.targets]
    gaps = csv_columns.gaps(table, names, labels)
    if not gaps:
        return table, []
    csv_columns.check_known([table], names, labels)
    csv_columns.check_missing(table, gaps, missing)
    kept = table.only([row for row in range(len(table)) if row not in gaps])
    if not kept.rows:
        raise UsageError(f"{table.path}: every row lacks a value, so there are no points")
    return kept, [f"rows of {table.path} left out for a missing value: {len(gaps):,} of {len(table):,}"]


def _first_days(support: Points, columns: Columns, dates: Sequence[str]) -> Tensor:
    """The support set's inputs, of which the first of each date matters, [n, inputs]."""
    assert support.columns is not None
    own = list(support.columns)
    rows = list(zip(*support.columns.values(), strict=True))
    table = TextTable(Path(), own, rows, range(len(rows)))
    return csv_data_sets.columns_of(table, columns.inputs, dates, ".")


def _labelled(points: Points, table: TextTable, name: str, ways: int, support: Points | None) -> Points:
    """The points with the classes that their labels name: of a support set in order, of a query those of its support.

    Raises:
        UsageError: there are more classes than the network tells apart, or a query has one that the support has not.
    """
    labels = table.column(name)
    if support is None:
        classes = sorted(set(labels))
        if len(classes) > ways:
            raise UsageError(
                f"{table.path}: column '{name}' has {len(classes)} classes, and the network tells {ways} apart; an "
                "episode may have fewer"
            )
    else:
        classes = list(support.classes or ())
        for row, label in enumerate(labels):
            if label not in classes:
                raise table.error(row, name, f"is no class of the support set; there are {', '.join(classes)}")
    numbered = {label: at for at, label in enumerate(classes)}
    y = torch.tensor([numbered[label] for label in labels]).numpy()
    return replace(points, y=y, classes=classes)
