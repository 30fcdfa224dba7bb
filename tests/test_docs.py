"""What the documents print is what the commands print, and their Python runs.

`MAMLZOO_UPDATE_DOCS=1 pytest tests/test_docs.py` writes the outputs anew; with `-m slow`, those of the long runs; with
`-m benchmark`, those of measurements.

Numbers are compared to a tolerance, as `printed_numbers` says.
"""

from __future__ import annotations

import io
import math
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import click
import pytest
from click.testing import CliRunner
from printed_numbers import apart

from apidoc import standings
from mamlzoo.cli import COMMANDS, main
from mamlzoo.discovery.entry_points import installed

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
UPDATE = os.environ.get("MAMLZOO_UPDATE_DOCS") == "1"
BLOCK = re.compile(r"^```(?P<kind>[\w ]+?)(?: title=\"(?P<file>[\w.]+)\")?\n(?P<body>.*?)^```$", re.M | re.S)


def pages_with(kind: str) -> list:
    return [pytest.param(page, id=page.name) for page in PAGES if f"```{kind}\n" in page.read_text(encoding="utf-8")]


def run(command: str) -> str:
    words = shlex.split(command)
    if words[0] == "python" and len(words) == 2 and Path(words[1]).is_file():  # of the page: torch is imported here
        with redirect_stdout(io.StringIO()) as printed:
            runpy.run_path(words[1], run_name="__main__")
        return printed.getvalue()
    if words[0] == "python":  # of the repository
        command = [sys.executable, *words[1:]]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    if words[0] in ("printf", "mkdir", "cp", "awk"):  # small files, written where the page's commands run
        return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
    assert words[0] == "mamlzoo", command
    result = CliRunner().invoke(main, words[1:], prog_name="mamlzoo")
    assert result.exit_code in (0, 1, 2), result.output
    printed = "\n".join(line.rstrip() for line in result.output.splitlines()).strip("\n")
    return f"{printed}\n" if printed else ""


def write_files(page: Path) -> None:
    """The files that a page shows whole, here."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["file"]:
            Path(block["file"]).write_text(block["body"], encoding="utf-8")


def same(shown: str, printed: str, tolerance: float) -> bool:
    return apart(shown, printed) <= tolerance


def ranking_apart(shown: str, printed: str) -> float:
    """How far the means of two rankings' runs are apart beyond their intervals, relative to them, in whatever order.

    NaN where other runs are in them, or where other claims hold.
    """
    (means, claims), (others, found) = (_ranked(text) for text in (shown, printed))
    if means.keys() != others.keys() or claims != found:
        return math.nan
    pairs = [(means[run], others[run]) for run in means]
    return max(
        max(0.0, abs(mean - other) - half - its_half) / max(abs(mean), abs(other))
        for (mean, half), (other, its_half) in pairs
    )


def _ranked(text: str) -> tuple[dict[str, list[float]], list[str]]:
    """Each run's mean and half an interval, and the claims without their numbers."""
    rows = [row for table in standings.TABLE.finditer(text) for row in standings.rows_of(table)]
    claims = [line.partition(": its ")[0] for line in text.splitlines() if re.match("pass: |FAIL: ", line)]
    return {row.label: [float(part.replace(",", "")) for part in row.metric.split(" ± ")] for row in rows}, claims


def check(page: Path, kind: str, tolerance: float, apart: Callable[[str, str], float] = apart) -> None:
    text = page.read_text(encoding="utf-8")
    write_files(page)

    def redo(block: re.Match[str]) -> str:
        if block["kind"] != kind:
            return block[0]
        parts = re.split(r"^\$ (.*)\n", block["body"], flags=re.M)[1:]
        redone = ""
        for command, shown in zip(parts[::2], parts[1::2], strict=True):
            printed = run(command)
            if not UPDATE:
                found = apart(shown, printed)
                assert found <= tolerance, f"{found:.2g} apart: {command}\n--- shown\n{shown}\n--- printed\n{printed}"
            redone += f"$ {command}\n{printed if printed.strip() else ''}"
        return f"```{kind}\n{redone}```"

    updated = BLOCK.sub(redo, text)
    if UPDATE:
        page.write_text(updated, encoding="utf-8")


class Section(NamedTuple):
    """A section that shows one command, and the heading of the part that it belongs to."""

    part: str
    heading: str
    command: str


SECTIONS_OF = {
    "task": ("zoo.md", "## Tasks"),
    "model": ("zoo.md", "## Models"),
    "algorithm": ("algorithms.md", "## To compare with"),
}
"""Where the section of a new plugin goes; which family an algorithm belongs to, its author says by moving it."""


def sections() -> Iterator[tuple[Path, Section]]:
    """What the pages of help texts and of option tables must have."""
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        below = command.list_commands(context) if isinstance(command, click.Group) else []
        for spelled in [name, *(f"{name} {inner}" for inner in below)]:
            section = Section("## Each command", f"### {spelled}", f"mamlzoo {spelled} --help")
            yield ROOT / "docs" / "commands.md", section
    for kind, offers in installed().offers.items():
        for name in [name for name, offer in offers.items() if offer.origin.distribution == "mamlzoo"]:
            page, part = SECTIONS_OF[kind]
            yield ROOT / "docs" / page, Section(part, f"### {name}", f"mamlzoo info {name}")


def with_section(text: str, section: Section) -> str:
    """The page with an empty section at the end of its part; `check` fills it."""
    before, heading, rest = text.partition(f"\n{section.part}\n")
    end = re.search(r"^## ", rest, re.M)
    here, after = (rest[: end.start()], "\n" + rest[end.start() :]) if end else (rest, "")
    added = f"\n\n{section.heading}\n\n```console\n$ {section.command}\n```\n"
    return before + heading + here.rstrip("\n") + added + after


def test_every_command_and_every_built_in_plugin_has_its_section():
    missing = []
    for page, section in sections():
        text = page.read_text(encoding="utf-8")
        if f"{section.heading}\n" in text and f"\n$ {section.command}\n" in text:
            continue
        if UPDATE:
            page.write_text(with_section(text, section), encoding="utf-8")
        else:
            missing.append(f"{page.name}: {section.heading}")
    assert not missing, "MAMLZOO_UPDATE_DOCS=1 pytest -n 0 tests/test_docs.py adds them"


@pytest.mark.usefixtures("no_figures")  # of which no page shows any
@pytest.mark.parametrize("page", pages_with("console"))
def test_commands_print_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(page, "console", 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("console slow"))
def test_long_commands_print_what_the_page_shows(page, tmp_path, monkeypatch):
    # Thousands of meta-steps amplify the last bit, in which processors differ.
    monkeypatch.chdir(tmp_path)
    check(page, "console slow", 0.25)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("console ranking"))
def test_long_rankings_hold_what_the_page_shows_whatever_the_order(page, tmp_path, monkeypatch):
    # Runs that are nearly as good change places with the last bits.
    monkeypatch.chdir(tmp_path)
    check(page, "console ranking", 0.25, ranking_apart)


@pytest.mark.benchmark
@pytest.mark.parametrize("page", pages_with("console benchmark"))
def test_measurements_print_tables_like_those_that_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(Path(__file__).parent)  # of which these commands name files
    check(page, "console benchmark", math.inf)


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_pages_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(page)
    blocks = [block for block in BLOCK.finditer(page.read_text(encoding="utf-8")) if block["kind"] == "python"]
    for source in [block["body"] for block in blocks if not block["file"]]:
        module = ModuleType("documentation")
        monkeypatch.setitem(sys.modules, "documentation", module)
        exec(compile(source, str(page), "exec"), vars(module))


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_and_flag_that_a_page_names_exists():
    for page in PAGES:
        for command in re.findall(r"`(?:\$ )?mamlzoo (\w[\w-]*)[^`]*`", page.read_text(encoding="utf-8")):
            assert command in COMMANDS, f"{page.name}: {command}"


def test_ci_runs_the_readmes_install_and_test_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (line,) = re.findall(r"^.*venv/bin/pytest$", readme, re.M)
    for part in line.split(" && "):
        assert part in ci, part


def test_numbers_are_compared_with_a_tolerance_and_words_to_the_letter():
    assert same("mse 1.000 a", "mse  1.004 a", 5e-3)
    assert not same("mse 1.000 a", "mse 1.100 a", 5e-3)
    assert not same("mse 1.000 a", "mse 1.000 b", 5e-3)
    assert not same("mse 1.0", "mse 1.0 2.0", 5e-3)
    assert not same("mse 1.0", "mae 1.0", math.inf)
    assert not same("3 seeds", "4 seeds", 5e-3)
    assert not same("of 50 tasks: 3.000", "of 51 tasks: 3.000", 5e-3)


def test_rankings_are_compared_by_run_whatever_the_order():
    head = (
        "which one?\n\n run   mse   behind the best by   95% interval   train s   parameters   MFLOP to adapt\n ───\n"
    )
    best, other, worse = (
        f" {run}   {mean} ± 0.010   {behind}   1.0   {parameters}   0.1\n"
        for run, mean, behind, parameters in [
            ("maml", "0.100", "the best              ", "1,761"),
            ("anil", "0.101", "0.001   [-0.010, 0.012]", "1,761"),
            ("anil", "0.201", "0.101   [ 0.090, 0.112]", "1,761"),
        ]
    )
    assert ranking_apart(head + best + other, head + other + best) == 0
    assert ranking_apart(head + best + other, head + best + worse) == pytest.approx(0.08 / 0.201)
    assert math.isnan(ranking_apart(head + best + other, head + best))
    assert math.isnan(ranking_apart(f"{head}{best}\npass: a: its mse 1\n", f"{head}{best}\nFAIL: a: its mse 1\n"))


def test_an_interval_is_compared_to_the_precision_of_its_mean():
    assert same("4.185 ± 0.08627", "4.185 ± 0.08909", 5e-3)
    assert not same("4.185 ± 0.08627", "4.215 ± 0.08627", 5e-3)
    assert not same("4.185 ± 0.08627", "4.185 ± 0.1163", 5e-3)
    assert not same("4.185\n0.08627", "4.185\n0.08909", 5e-3)  # by lines
    timing = "prepared in {0} s, trained in {0} s ({0} tasks/s), tested in {0} s; {0} MiB at most"
    assert same(f"a by vmap: 1\n{timing.format(1)}", f"a by loop: 2\n{timing.format(2)}", 0)
