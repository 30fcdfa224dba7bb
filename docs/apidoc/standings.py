"""Who came out where: the rankings of `docs/results.md`, as tables of the README and as lines below each algorithm.

What `mamlzoo reproduce` printed stands in the results, and nothing else is a source; so no figure is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mamlzoo.discovery.entry_points import installed

MADE = re.compile(r"^\$ mamlzoo reproduce (?P<recipe>[\w-]+)[^\n]*\n(?P<printed>.*?)^```$", re.M | re.S)
TABLE = re.compile(
    r"^(?P<title>[^\n]*)\n\n run +(?P<metric>\S.*?) +behind the best by .*\n ─+\n(?P<rows>(?: .*\n)+)", re.M
)
MACHINE = re.compile(r"^(?:made|passed|FAILED) on \S+, in .*, with .* on (?P<processor>.+)$", re.M)
SECTION = re.compile(r"^### (?P<name>[\w-]+)\n\n```console\n.*?^```\n", re.M | re.S)
HEADED = "\nResults ([all](results.md)):\n\n"
RESULTS = re.compile(f"{re.escape(HEADED)}(?:- .*\n)+")
SHOWN_IN_README = {"zoo-sine": "sine waves", "zoo-blobs": "Gaussian classes", "zoo-letters": "letters"}
"""The rankings that the README has a column for, and its head."""
BEGIN, END = "<!-- which one: generated from docs/results.md -->", "<!-- which one: the end -->"


class Row(NamedTuple):
    """A run of a ranking, as printed; `behind` and `interval` are empty for the best."""

    label: str
    metric: str
    behind: str
    interval: str
    seconds: str
    parameters: str
    flops: str


class Standing(NamedTuple):
    """A ranking: of which recipe, by which metric, the best first."""

    recipe: str
    title: str
    metric: str
    rows: Sequence[Row]
    processor: str


def standings(results: str) -> list[Standing]:
    """Every ranking that the results show, in their order."""
    return [
        Standing(
            made["recipe"],
            table["title"],
            table["metric"],
            rows_of(table),
            MACHINE.findall(made["printed"])[-1],
        )
        for made in MADE.finditer(results)
        for table in TABLE.finditer(made["printed"])
    ]


def rows_of(table: re.Match[str]) -> list[Row]:
    """The rows of a table that `TABLE` found."""
    return [_row(line) for line in table["rows"].splitlines()]


def _row(line: str) -> Row:
    cells = re.split(r" {2,}", line.strip())
    if cells[2] == "the best":
        cells[2:3] = ["", ""]
    return Row(*cells)


def readme(text: str, results: str) -> str:
    """The README with the table of these rankings between its marks.

    Raises:
        ValueError: it has not both marks, once each.
    """
    found = {standing.recipe: standing for standing in standings(results)}
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{_table([found[recipe] for recipe in SHOWN_IN_README])}\n\n{END}{after}"


def _table(shown: Sequence[Standing]) -> str:
    """A row for each that took part in any, in the order of the first ranking, then of the next; the best in bold."""
    heads = [f"{SHOWN_IN_README[standing.recipe]}, {standing.metric}" for standing in shown]
    lines = [f"| algorithm | {' | '.join(heads)} |", f"|---|{'---:|' * len(shown)}"]
    for label in dict.fromkeys(row.label for standing in shown for row in standing.rows):
        lines.append(f"| `{label}` | {' | '.join(_cell(standing, label) for standing in shown)} |")
    said = [
        f"{_begun(standing.title.partition('? ')[2])}, by `mamlzoo reproduce {standing.recipe}` on {standing.processor}"
        for standing in shown
    ]
    return "\n".join([*lines, "", f"{'. '.join(said)}."])


def _cell(standing: Standing, label: str) -> str:
    metrics = {row.label: row.metric for row in standing.rows}
    text = metrics.get(label, "")
    return f"**{text}**" if label == standing.rows[0].label else text


def _begun(sentence: str) -> str:
    """With a capital letter, the others left as they are."""
    return sentence[0].upper() + sentence[1:]


def algorithms(text: str, results: str) -> str:
    """The page of the algorithms with a line below each section for every ranking that it took part in."""
    found = results_of(standings(results))

    def with_results(section: re.Match[str]) -> str:
        lines = "".join(f"- {line}\n" for line in found.get(section["name"], ()))
        return f"{section[0]}{HEADED}{lines}" if lines else section[0]

    return SECTION.sub(with_results, RESULTS.sub("", text))


def results_of(found: Sequence[Standing]) -> Mapping[str, list[str]]:
    """Each algorithm's results in words, by its name."""
    lines: dict[str, list[str]] = {}
    for standing in found:
        for algorithm, line in _lines(standing):
            lines.setdefault(algorithm, []).append(line)
    return lines


def _lines(standing: Standing) -> Iterator[tuple[str, str]]:
    runs = {run.label: run.algorithm for run in installed().recipe(standing.recipe).runs}
    for place, row in enumerate(standing.rows, 1):
        algorithm = runs[row.label]
        who = "" if row.label == algorithm else f", `{row.label}`"
        yield (
            algorithm,
            f"`mamlzoo reproduce {standing.recipe}`{who}: {standing.metric} {row.metric}, "
            f"place {place} of {len(standing.rows)}",
        )
