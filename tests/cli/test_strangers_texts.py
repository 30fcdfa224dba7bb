"""What strangers call things is shown as it stands: no markup is read, and no terminal obeys it."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest

import mamlzoo
from mamlzoo.cli import console
from mamlzoo.contracts import recipe_files
from mamlzoo.errors import PluginError
from mamlzoo.figures import figure_files, plots
from mamlzoo.reports import page as report
from mamlzoo.sweeps.axes import Axis
from mamlzoo.sweeps.cells import Cell
from mamlzoo.sweeps.sweep import Sweep
from mamlzoo.tables import Table

NAUGHTY = "\x1b[31m[/b]$\\frac$[bold]\x9b2J\u202e$^"
SHOWN = r"\x1b[31m[/b]$\frac$[bold]\x9b2J\u202e$^"
PLUGIN = (
    f"""
    import mamlzoo
    from mamlzoo_tasks.sine import Sine
    from mamlzoo import option

    class Waves(Sine):
        '''First line {NAUGHTY}.

        More {NAUGHTY}.
        '''
        name = "waves"
        height: float = option(1.0, "height {NAUGHTY}")

    class Broken(Sine):
        '''Broken.'''
        name = {NAUGHTY!r}

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Waves, Broken]

    @mamlzoo.hookimpl
    def mamlzoo_run_started(experiment):
        pass
""".replace("\\", "\\\\")
    .replace("\x1b", "\\x1b")
    .replace("\x9b", "\\x9b")
    .replace("\u202e", "\\u202e")
)


@pytest.fixture(scope="module")
def result():
    return mamlzoo.run(iterations=1, meta_batch=2, test_tasks=2, test_steps=1, plan="loop")


def harmless(text: str) -> bool:
    return not set(text) & set("\x1b\x9b\u202e\r")


def test_list_info_and_help_show_a_plugins_texts_as_they_stand(distribution, cli):
    distribution("waves", PLUGIN, entry_point="[rec]")
    for arguments in (["list"], ["info", "waves"], ["run", "-t", "waves", "--help"], ["check", "waves", "--help"]):
        said = cli(*arguments)
        assert harmless(said.output)
        assert "[/b]" in said.output or arguments[0] == "check"
    assert "loggers: [rec]" in cli("list").output
    assert harmless(cli("info", "waves", "--json").output)
    assert json.loads(cli("info", "waves", "--json").output)["summary"] == f"First line {NAUGHTY}."


def test_tables_and_bars_show_names_as_they_stand():
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        console.print_table(Table(NAUGHTY, [NAUGHTY], [[NAUGHTY]], [NAUGHTY]))
        console.out().print(NAUGHTY)
        console.say_where(Path(NAUGHTY))
    assert out.getvalue().count(SHOWN) == 5
    assert err.getvalue() == f"saved: {SHOWN}\n"


def test_a_coloured_terminal_gets_our_codes_alone(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = io.StringIO()
    with redirect_stdout(out):
        console.print_table(Table(NAUGHTY, ["a"], [[NAUGHTY]], []))
    assert "\x1b[1m" in out.getvalue()
    assert "\x1b[31m" not in out.getvalue()
    assert "\x9b" not in out.getvalue()


def test_figures_and_pages_show_names_as_they_stand(result):
    naughty = of_strangers(result)
    kinds = figure_files.kinds_of(naughty)
    for kind in kinds.keys() - {"embedding"}:
        shows_names_as_they_stand(kinds[kind]())
    page = report.page(mamlzoo.Comparison([naughty]))
    assert harmless(page)
    assert "<script>" not in page


def test_an_embedding_shows_names_as_they_stand():
    result = mamlzoo.run(
        "blobs", algorithm="protonet", iterations=1, meta_batch=2, test_tasks=2, test_steps=0, plan="loop"
    )
    shows_names_as_they_stand(figure_files.kinds_of(of_strangers(result))["embedding"]())


def of_strangers(result):
    """The result of plugins and a metric of naughty names."""
    config = json.loads(json.dumps(result.config))
    for kind in ("task", "model", "algorithm"):
        config[kind]["name"] = f"{NAUGHTY}<script>"
    evaluation = result.evaluation
    values = {NAUGHTY: evaluation.values[evaluation.metric]}
    return replace(result, config=config, evaluation=replace(evaluation, values=values))


def shows_names_as_they_stand(figure):
    assert "frac" in plots.svg(figure, NAUGHTY)
    figure.savefig(io.BytesIO(), format="png")


def test_a_sweeps_csv_file_holds_no_formula():
    axis = Axis("task.path", "path", ("=HYPERLINK(1)", "-1", "@x"))
    cells = [Cell({"task.path": value}, None, error="+1 is wrong") for value in axis.values]
    _, *rows = csv.reader(io.StringIO(Sweep([axis], cells).csv()))
    assert [row[0] for row in rows] == ["'=HYPERLINK(1)", "-1", "'@x"]
    assert {row[-1] for row in rows} == {"'+1 is wrong"}


RECIPE = 'name = "{name}"\nversion = 1\nsummary = "s"\nsource = "s"\nminutes = 1\n[figures]\n"{figure}" = []\n[runs."{label}"]\n'
RECIPE += 'task = "sine"\nmodel = "mlp"\nalgorithm = "maml"\nseeds = 1\n'
GOOD = {"name": "r", "figure": "f", "label": "a"}


@pytest.mark.parametrize("part", GOOD)
@pytest.mark.parametrize("name", ["../escaped", "/escaped", "..", "", "-x", "[/rec]", "a/b", "a b", "x\\u001b[31m"])
def test_names_of_a_recipe_are_no_paths_flags_or_markup(part, name):
    recipe_files.parse(RECIPE.format(**GOOD))
    with pytest.raises(PluginError, match="is no name; use letters, digits, dashes, dots and underscores"):
        recipe_files.parse(RECIPE.format(**GOOD | {part: name}))
