"""One HTML page from several results: tables, figures, configs, and the commands that make the runs again.

The page is whole in itself: figures are inline SVG, and there is no script and no request to anywhere. The same results
give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mamlzoo import pages
from mamlzoo.comparisons import labels
from mamlzoo.comparisons.comparison import Comparison
from mamlzoo.comparisons.test_sets import tested_apart
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import MamlzooError, UsageError, in_short
from mamlzoo.experiments.result import Result
from mamlzoo.figures import plots
from mamlzoo.inference import fits
from mamlzoo.inference.embeddings import embeddings, has_embedding
from mamlzoo.inference.meta_parameters import experiment_of
from mamlzoo.runs.commands import command_of
from mamlzoo.tables import Table, count, listed, plain

FITTED_RUNS = 4
"""Fits are drawn for so many runs, the first ones."""
FITTED_TASKS = 3
"""Of each run, for so many test tasks, the first ones."""


class Entry(NamedTuple):
    """A result as the page shows it: by the same name and in the same look throughout."""

    label: str
    result: Result
    look: plots.Look


def write(comparison: Comparison, path: Path) -> None:
    """Write the page, whole or not at all; a page that is there already is replaced.

    Raises:
        UsageError: another ending than .html, a place that cannot be written, or no results.
    """
    pages.check_path(path)
    pages.write(page(comparison), path)


def page(comparison: Comparison) -> str:
    """The page as HTML5.

    Raises:
        UsageError: the comparison has no results.
    """
    if not comparison.results:
        raise UsageError("a report needs one result at least")
    results = comparison.results
    runs = [Entry(*run) for run in zip(comparison.labels(), results, plots.looks(len(results)), strict=True)]
    names = [_unique(result.config[kind]["name"] for result in results) for kind in KINDS]
    title = " × ".join(", ".join(several) for several in names)
    sections = [
        f"<h1>{escape(title)}</h1>",
        _paragraph(what_was_compared(comparison)),
        _section("Results", [_table(table) for table in tables(comparison)]),
        _section("Learning curves", _curves(runs)),
        _section("Training", _training(runs)),
        _section("Fits of test tasks", _fits(runs)),
        _section("Configs", _configs(comparison)),
        _section("Run again", _again(runs)),
    ]
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    return plain(pages.page(title, style, "\n".join(sections) + "\n"))


def tables(comparison: Comparison) -> list[Table]:
    """The tables of numbers that the page begins with."""
    if len(comparison.results) == 1:
        return [comparison.results[0].table()]
    differences = comparison.differences()
    return [comparison.table(), *([differences.table()] if differences.rows else [])]


def what_was_compared(comparison: Comparison) -> str:
    """How many runs, in what they differ and by what they are judged, in a sentence or two."""
    results = comparison.results
    metrics = listed(_unique(f"test {result.evaluation.metric}" for result in results))
    steps = max(int(result.evaluation.steps[-1]) for result in results)
    judged = f"judged by {metrics} after up to {count(steps, 'adaptation step')}"
    tasks = count(min(result.evaluation.main.shape[1] for result in results), "test task")
    if len(results) == 1:
        return f"One run, {judged} on {tasks}."
    first, *others = [result.config for result in results]
    differ = [part for part in (*KINDS, "settings", "versions") if any(one[part] != first[part] for one in others)]
    runs = f"{len(results)} runs " + (f"that differ in {listed(differ)}" if differ else "of the same config")
    apart = tested_apart(results)
    if not apart:
        return f"{runs}, {judged} on the same {tasks}."
    return (
        f"{runs}, {judged}. Their test tasks are not the same, as they differ in {listed(apart)}: "
        "a number on some does not rank against one on others."
    )


def differences_of_configs(comparison: Comparison) -> Table:
    """A row for each name, option, setting and version in which the configs differ, a column for each run.

    What differs only because another plugin does, as an option that one has and the other has not, is not repeated.
    """
    configs = [result.config for result in comparison.results]
    named = {kind: [config[kind]["name"] for config in configs] for kind in KINDS}
    packages = _unique(name for config in configs for name in config["versions"])
    versions = {f"{name} version": [config["versions"].get(name, "–") for config in configs] for name in packages}
    differing = {
        name: values
        for name, values in (named | labels.differences(configs) | versions).items()
        if len(set(values)) > 1
    }
    rows = [[name, *values] for name, values in differing.items()]
    columns = ["", *comparison.labels()]
    return Table("what differs", columns, rows, left=range(len(columns)))


def _curves(runs: Sequence[Entry]) -> list[str]:
    parts, finite = [], []
    for run in runs:
        if np.isfinite(run.result.evaluation.mean).any():
            finite.append(run)
        else:
            parts.append(_paragraph(f"{run.label}: no mean is finite, so there is no curve."))
    for metric, several in _by_metric(finite).items():
        caption = f"Test {metric} by adaptation steps: the mean, and its 95% interval as a band."
        parts.append(_figure(plots.curves(*_columns(several), legend=False), several, caption))
    return parts


def _training(runs: Sequence[Entry]) -> list[str]:
    parts = []
    for run in runs:
        if not run.result.history:
            parts.append(_paragraph(f"{run.label}: nothing was trained."))
        for seed, step in run.result.diverged.items():
            parts.append(_paragraph(f"{run.label}: seed {seed} diverged at meta-step {step}."))
    for metric, several in _by_metric([run for run in runs if run.result.history]).items():
        caption = f"Meta-loss by meta-steps, of the runs judged by {metric}: a thin line a seed, and the seeds' mean."
        parts.append(_figure(plots.training(*_columns(several), legend=False), several, caption))
    return parts


def _fits(runs: Sequence[Entry]) -> list[str]:
    parts, drawn = list[str](), 0
    for run in runs:
        if drawn == FITTED_RUNS:
            text = f"These are the first {FITTED_RUNS} runs; mamlzoo plot adaptation draws the fits of any."
            return [*parts, _paragraph(text)]
        try:
            parts.append(_fits_of(run))
            drawn += 1
        except MamlzooError as error:
            parts.append(_paragraph(f"{run.label}: {error}."))
        except Exception as error:  # a plugin's code may be another by now
            parts.append(_paragraph(f"{run.label}: {in_short(error)}"))
    return parts


def _fits_of(run: Entry) -> str:
    """What the first seed that did not diverge predicts on a few test tasks, before, early in and after adaptation."""
    result, last = run.result, int(run.result.evaluation.steps[-1])
    seed = next((seed for seed in result.seeds if seed not in result.diverged), None)
    if seed is None:
        raise UsageError("every seed diverged, so there is no fit")
    experiment = experiment_of(result)
    available = experiment.task.spec.test_episodes
    steps, figures = sorted({0, min(1, last), last}), []
    for episode in range(min(FITTED_TASKS, available or FITTED_TASKS)):
        label = f"{run.label}, seed {seed}, test task {episode}: predictions after {listed(steps)} adaptation steps."
        panels = fits.panels(result, steps=steps, episode=episode, seed=seed, title=f"test task {episode}")
        figures += [plots.svg(plots.adaptation([panel], legend=False), label) for panel in panels]
    figures.append(plots.svg(plots.key(panels[0]), f"What is drawn of {run.label}."))
    if has_embedding(experiment.task, experiment.algorithm):
        label = f"{run.label}, seed {seed}, test task 0: where its examples are compared, on two principal components."
        (panel,) = embeddings(result, seed=seed, title="test task 0: embeddings")
        figures.append(plots.svg(plots.adaptation([panel]), label))
    return f'<h3>{escape(run.label)}, seed {seed}</h3>\n<div class="figures">{"".join(figures)}</div>'


def _configs(comparison: Comparison) -> list[str]:
    parts = []
    if len(comparison.results) > 1:
        table = differences_of_configs(comparison)
        parts.append(_table(table) if table.rows else _paragraph("The configs are the same."))
    for label, result in zip(comparison.labels(), comparison.results, strict=True):
        text = json.dumps(result.config, indent=2, ensure_ascii=False)
        parts.append(f"<details><summary>config of {escape(label)}</summary><pre>{escape(text)}</pre></details>")
    return parts


def _again(runs: Sequence[Entry]) -> list[str]:
    law = "The same plan (--plan fixes it) and versions, on the same machine, give the same bits again."
    parts = [_paragraph(law)]
    for run in runs:
        result = run.result
        try:
            command = f"<pre>{escape(command_of(result.config))}</pre>"
        except MamlzooError as error:
            command = _paragraph(f"{error}.")
        versions = ", ".join(f"{name} {version}" for name, version in result.config["versions"].items())
        plan = f"by {result.plan.plan}: {result.plan.why}" if result.history else "nothing was trained"
        parts += [f"<h3>{escape(run.label)}</h3>", command, _paragraph(f"{versions}; {plan}", "note")]
    return parts


def _by_metric(runs: Iterable[Entry]) -> dict[str, list[Entry]]:
    """What may share a figure: tasks of different metrics have losses of different units."""
    groups: dict[str, list[Entry]] = {}
    for run in runs:
        groups.setdefault(run.result.evaluation.metric, []).append(run)
    return groups


def _columns(runs: Sequence[Entry]) -> tuple[list[Result], list[str], list[plots.Look]]:
    return [run.result for run in runs], [run.label for run in runs], [run.look for run in runs]


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _section(title: str, parts: Sequence[str]) -> str:
    return "\n".join(["<section>", f"<h2>{title}</h2>", *parts, "</section>"])


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def _table(table: Table) -> str:
    box = f'<div class="wide" role="region" aria-label="{escape(table.title)}" tabindex="0">{table.html()}</div>'
    return "\n".join([box, *(_paragraph(note, "note") for note in table.notes)])


def _figure(figure: plots.Figure, runs: Sequence[Entry], caption: str) -> str:
    """A figure with its legend as text of the page, where labels of any length have room."""
    entries = [f"<li>{plots.svg(plots.swatch(run.look), '')}{escape(run.label)}</li>" for run in runs]
    legend = f"<ul>{''.join(entries)}</ul>"
    return f"<figure>{plots.svg(figure, caption)}{legend}<figcaption>{escape(caption)}</figcaption></figure>"
