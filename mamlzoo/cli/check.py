"""`mamlzoo check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mamlzoo.cli import completion, console
from mamlzoo.cli.argument_words import SHORT_FLAGS
from mamlzoo.errors import MamlzooError, UsageError
from mamlzoo.tables import Table

if TYPE_CHECKING:
    from mamlzoo.contracts.plugins import Plugin
    from mamlzoo.testing import Outcome


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=completion.plugins(*SHORT_FLAGS))
@click.option("--all", "everything", is_flag=True, help="Every plugin that is installed.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the tables.")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], everything: bool, quiet: bool, as_json: bool) -> None:
    """Check that plugins keep what their kind promises.

    Runs the conformance kit, mamlzoo.testing, on the plugins NAME: that the same seed gives the same data, that the
    meta-gradient is the derivative of the meta-loss, that nothing leaks between episodes, and so on. Exit code 1 if a
    promise is broken. What a plugin says that it is exempt from is shown with its reason.
    """
    from mamlzoo.cli.progress import display
    from mamlzoo.discovery.entry_points import installed
    from mamlzoo.testing import checks_of, examples

    if bool(names) == everything:
        raise UsageError("say which plugins to check, or --all")
    registry = installed()
    if everything:
        names = tuple(dict.fromkeys(name for offers in registry.offers.values() for name in sorted(offers)))
    plugins: list[Plugin] = []
    failures = [str(failure) for failure in registry.failures] if everything else []
    for name in names:
        try:
            plugins += examples(name)
        except MamlzooError as error:
            if not everything:
                raise
            failures.append(str(error))
    found: list[list[Outcome]] = []
    with display(quiet) as watcher:
        total = sum(len(checks_of(plugin)) for plugin in plugins)
        for plugin in plugins:
            found.append([])
            for check in checks_of(plugin):
                watcher.counts(f"check {plugin.kind} {plugin.name}: {check.name}", sum(map(len, found)), total)
                found[-1].append(check.of(plugin))
    if as_json:
        console.print_json({"plugins": list(map(_document, plugins, found)), "failures": failures})
    elif everything:
        _print_summary(plugins, found, failures)
    else:
        for outcomes in found:
            _print_outcomes(outcomes)
    broken = any(outcome.verdict == "failed" for outcomes in found for outcome in outcomes)
    ctx.exit(1 if broken or failures else 0)


def _print_outcomes(outcomes: list[Outcome]) -> None:
    """Every check of one plugin, what to do about faults, and where the plugin raised."""
    plugin = outcomes[0].plugin
    rows = [(o.check.name, _shown(o.verdict), o.finding) for o in outcomes]
    title = f"{plugin.kind} {plugin.name}: {_count(outcomes)}"
    console.print_table(Table(title, ("check", "", "what was found"), rows, _notes(outcomes), left=(0, 1, 2)))
    console.out().print()


def _notes(outcomes: list[Outcome]) -> list[str]:
    """A line for each fault; what makes several checks fail has one cause, and none of their remedies."""
    together: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.verdict == "failed":
            together.setdefault((outcome.finding, outcome.place), []).append(outcome)
    return [
        f"{several[0].check.name}: {_why(several[0]) if place else several[0].remedy}"
        if len(several) == 1
        else f"{len(several)} checks: {finding}{_in_brackets(place)}"
        for (finding, place), several in together.items()
    ]


def _print_summary(plugins: list[Plugin], found: list[list[Outcome]], failures: list[str]) -> None:
    """A line a plugin; then what failed, what is exempt, and what could not be checked."""
    rows = [
        (plugin.kind, plugin.name, *(str(n) if (n := _number(outcomes, verdict)) else "" for verdict in VERDICTS))
        for plugin, outcomes in zip(plugins, found, strict=True)
    ]
    console.print_table(Table("conformance", ("kind", "name", *VERDICTS), rows, left=(0, 1)))
    told = [
        (f"{o.plugin.kind} {o.plugin.name}", o.check.name, _shown(o.verdict), _why(o))
        for outcomes in found
        for o in outcomes
        if o.verdict != "passed"
    ]
    if told:
        console.out().print()
        columns = ("plugin", "check", "", "why, and what to do")
        console.print_table(Table("not passed", columns, told, left=(0, 1, 2, 3)))
    for failure in failures:
        console.out().print(f"could not be checked: {failure}")


VERDICTS = ("passed", "exempt", "failed")


def _number(outcomes: list[Outcome], verdict: str) -> int:
    return sum(outcome.verdict == verdict for outcome in outcomes)


def _count(outcomes: list[Outcome]) -> str:
    """As in '14 passed, 1 exempt'."""
    counts = {verdict: _number(outcomes, verdict) for verdict in VERDICTS}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def _shown(verdict: str) -> str:
    return verdict.upper() if verdict == "failed" else verdict


def _why(outcome: Outcome) -> str:
    """What was found, where the plugin raised it, and what to do about a fault."""
    return ". ".join(filter(None, [outcome.finding + _in_brackets(outcome.place), outcome.remedy]))


def _in_brackets(place: str) -> str:
    return f" ({place})" if place else ""


def _document(plugin: Plugin, outcomes: list[Outcome]) -> dict[str, Any]:
    """As JSON holds it."""
    checks = [
        {
            "check": outcome.check.name,
            "verdict": outcome.verdict,
            "promise": outcome.check.promise,
            "found": outcome.finding,
            "remedy": outcome.remedy,
            "place": outcome.place,
        }
        for outcome in outcomes
    ]
    return {"kind": plugin.kind, "name": plugin.name, "checks": checks}
