"""Make a published experiment again, and put ours beside theirs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from mamlzoo import files
from mamlzoo.comparisons import differences
from mamlzoo.comparisons.verdicts import NO_VERDICT
from mamlzoo.contracts.differentiation import differentiating
from mamlzoo.contracts.recipes import Claim, Recipe, RecipeRun
from mamlzoo.errors import PluginError, UsageError
from mamlzoo.executors.executor import Executor
from mamlzoo.experiments.experiment import Experiment
from mamlzoo.experiments.result import Result
from mamlzoo.files import json_document
from mamlzoo.reproductions import choosing, judgement, ranking, spreading
from mamlzoo.reproductions.judgement import Judgement
from mamlzoo.reproductions.ranking import RankedRuns
from mamlzoo.reproductions.recipe_runs import experiment_of
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import recording
from mamlzoo.runs.commands import spelled
from mamlzoo.runs.recording_policy import DEFAULT, RecordingPolicy
from mamlzoo.runs.setup import rehearse
from mamlzoo.runs.watchers import Part
from mamlzoo.tables import Table, count, duration, number
from mamlzoo.verification import central_differences

NAME = "reproduction.json"


@dataclass(frozen=True)
class Verdict:
    """A claim about two runs beside what their paired difference says."""

    claim: Claim
    sentence: str
    passed: bool


@dataclass(frozen=True, repr=False)
class Reproduction:
    """A recipe that was made.

    Attributes:
        results: by a run's label.
        judgements, verdicts: ours beside theirs, numbers and claims.
        chosen: by a run's label, what validation chose for it, by key.
        rankings: by name, runs in one table, the best first.
        seconds: that training and testing took, all sittings together; without what was tried to choose.
        when: the day it was finished.
    """

    recipe: Recipe
    results: Mapping[str, Result]
    judgements: Sequence[Judgement]
    verdicts: Sequence[Verdict]
    chosen: Mapping[str, Mapping[str, Any]]
    rankings: Mapping[str, RankedRuns]
    seconds: float
    when: str

    def __repr__(self) -> str:
        return str(self.table())

    @property
    def passed(self) -> bool:
        """Whether everything judged is as published."""
        return all(found.passed for found in self.judgements if found.judged) and all(
            found.passed for found in self.verdicts
        )

    def table(self) -> Table:
        """Ours beside theirs."""
        rows = [[found.what, *_numbers(found), found.verdict, found.source] for found in self.judgements]
        return Table(
            f"{_named(self.recipe)}: {self.recipe.summary}",
            ["what", "ours", "theirs", "allowed", "", "source of theirs"],
            rows,
            self._notes(),
            left=(0, 4, 5),
        )

    def _notes(self) -> list[str]:
        notes = [f"{'pass' if found.passed else 'FAIL'}: {found.sentence}" for found in self.verdicts]
        own = [run.label for run in self.recipe.runs if run.choose]
        notes += [f"{label}: chosen on validation, {choosing.spelled(self.chosen[label])}" for label in own]
        for label, result in self.results.items():
            notes += [f"{label}: {note}" for note in result.caveats() if not note.startswith("θ after training")]
        for label in dict.fromkeys(reference.run for reference in self.recipe.references if reference.is_sampled):
            notes += _runaways(label, self.results[label])
        notes += [f"not known: {detail}" for detail in self.recipe.unknown] + list(self.recipe.notes)
        if self.recipe.full is not None:
            notes.append(f"this is the short budget; --full has the published one, about {_taking(self.recipe.full)}")
        config = next(iter(self.results.values())).config
        versions, processor = config["versions"], config["machine"]["processor"]
        judged = self.verdicts or any(found.judged for found in self.judgements)
        outcome = ("passed" if self.passed else "FAILED") if judged else "made"
        notes.append(
            f"{outcome} on {self.when}, in {duration(self.seconds)}, with mamlzoo "
            f"{versions['mamlzoo']} and torch {versions['torch']} on {processor}"
        )
        return notes

    def document(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        document: dict[str, Any] = json_document(
            {
                "recipe": self.recipe.name,
                "version": self.recipe.version,
                "full": self.recipe.is_full,
                "passed": self.passed,
                "judgements": [
                    {**vars(found), "verdict": found.verdict} for found in self.judgements
                ],
                "claims": [
                    {"run": found.claim.run, "other": found.claim.other, "step": found.claim.step,
                     "metric": found.claim.metric, "passed": found.passed, "sentence": found.sentence}
                    for found in self.verdicts
                ],
                "chosen": {label: dict(of) for label, of in self.chosen.items()},
                "rankings": {name: found.document() for name, found in self.rankings.items()},
                "unknown": list(self.recipe.unknown),
                "seconds": self.seconds,
                "date": self.when,
                "runs": {label: str(result.run_dir) for label, result in self.results.items()},
            }
        )  # fmt: skip
        return document


@differentiating
def reproduce(
    recipe: Recipe, directory: Path, policy: RecordingPolicy = DEFAULT, executor: Executor | None = None
) -> Reproduction:
    """Make all runs of a recipe in a directory, going on where it was stopped, and judge them.

    Args:
        executor: makes several runs at a time; None: one after another, here.

    Raises:
        UsageError: the directory holds something else.
        PluginError: the recipe says something of steps after which its run is not tested.
        StoppedError, MamlzooError: as `recording.record`; the same call goes on.
    """
    experiments = {run.label: experiment_of(run, directory, _first(run)) for run in recipe.runs}
    rehearse_all(recipe, experiments)
    _claim_directory(recipe, directory)
    with files.locked(directory):
        results: dict[str, Result] = {}
        chosen: dict[str, dict[str, Any]] = {}
        failed = spreading.failed(recipe, directory, policy, executor) if executor is not None else {}
        for at, run in enumerate(recipe.runs):
            label = run.label
            if directory / label in failed:
                raise failed[directory / label]
            own = run.origin is None
            chosen[label] = choosing.choose(recipe, run, directory, policy) if own else chosen[str(run.origin)]
            experiments[label] = experiment_of(run, directory, chosen[label])
            if run.origin is not None:  # which is there by now
                rehearse(experiments[label])
            if not run_directory.is_finished(directory / label):
                policy.begins(Part("run", at + 1, len(recipe.runs), label, list(experiments.values())[at:]))
            results[label] = recording.record_or_resume(experiments[label], directory / label, policy)
        found = Reproduction(
            recipe,
            results,
            _judgements(recipe, results, experiments),
            [_verdict(claim, results, experiments) for claim in recipe.claims],
            chosen,
            {name: ranking.ranked(one, results, experiments) for name, one in recipe.rankings.items()},
            sum(result.timing.seconds for result in results.values()),
            date.today().isoformat(),
        )
        run_directory.write_figures(found, directory, policy.draw)
        files.write_json(directory / NAME, {"format": run_directory.FORMAT} | found.document())
    return found


def is_reproduction(directory: Path) -> bool:
    """Whether a recipe was begun there."""
    return (directory / NAME).is_file()


def command_of(directory: Path) -> str:
    """The command that goes on with the recipe that was begun in a directory.

    Raises:
        MamlzooError: what was begun cannot be read.
    """
    begun = run_directory.read_document(directory / NAME)
    return command(str(begun.get("recipe")), directory, full=bool(begun.get("full")))


def command(recipe: str, directory: Path, *, full: bool = False) -> str:
    """The command that makes a recipe in a directory, or goes on with it."""
    return f"mamlzoo reproduce {shlex.quote(recipe)}{' --full' * full} --out {spelled(directory)}"


def _first(run: RecipeRun) -> dict[str, Any]:
    """The first of the values that validation is to choose from, so that the run can be tried before."""
    return {key: values[0] for key, values in run.choose.items()}


def rehearse_all(recipe: Recipe, experiments: Mapping[str, Experiment]) -> None:
    """What cannot work is said before the first run is trained, and not after it.

    Raises:
        PluginError: the recipe says something of steps after which its run is not tested.
        MamlzooError: as `rehearse`, of a run that begins with its own θ.
    """
    said = [(reference.run, step) for reference in recipe.references for step in reference.steps]
    said += [(label, claim.step) for claim in recipe.claims for label in (claim.run, claim.other)]
    for label, step in said:
        last = experiments[label].settings.test_steps
        if not 0 <= step <= last:
            raise PluginError(
                f"recipe '{recipe.name}' says what run '{label}' comes to after {count(step, 'step')}; it is tested "
                f"after 0 to {last}"
            )
    for run in recipe.runs:
        if run.origin is None:
            rehearse(experiments[run.label])


def _claim_directory(recipe: Recipe, directory: Path) -> None:
    """Take a new directory, or one in which this recipe was begun."""
    if not is_reproduction(directory):
        with run_directory.new_directory(directory, kept=False) as temporary:
            identity = {"recipe": recipe.name, "version": recipe.version, "full": recipe.is_full}
            files.write_json(temporary / NAME, {"format": run_directory.FORMAT} | identity)
        return
    there = run_directory.read_document(directory / NAME)
    name, version, full = there.get("recipe"), there.get("version"), there.get("full", False)
    if (name, version) != (recipe.name, recipe.version):
        raise UsageError(f"{directory} holds recipe '{name}', version {version}; choose another one")
    if full != recipe.is_full:
        budgets = ("short", "full")
        raise UsageError(f"{directory} holds the {budgets[bool(full)]} budget of recipe '{name}'; choose another one")


def _judgements(
    recipe: Recipe, results: Mapping[str, Result], experiments: Mapping[str, Experiment]
) -> list[Judgement]:
    judged = [reference for reference in recipe.references if reference.is_sampled and reference.judged]
    comparisons = sum(len(reference.steps) for reference in judged)
    found = []
    for gradients in recipe.gradients:
        ours = _gradients(next(run for run in recipe.runs if run.label == gradients.run), len(gradients.values))
        for episode, (mine, theirs) in enumerate(zip(ours, gradients.values, strict=True)):
            what = f"{gradients.run}, meta-gradient at θ⁰, episode {episode}"
            found.append(judgement.exact(what, mine, theirs, gradients.source))
    for theta in recipe.thetas:
        (leaf,) = (results[theta.run].theta() or {}).values()
        found.append(judgement.exact(f"{theta.run}, θ after training", _only(leaf), theta.value, theta.source))
    for reference in recipe.references:
        result = ranking.shown_by(results[reference.run], experiments[reference.run], reference.metric)
        for at in range(len(reference.steps)):
            found.append(judgement.judge(reference, at, result.evaluation, len(result.diverged), comparisons))
    return found


def _gradients(run: RecipeRun, episodes: int) -> list[float]:
    found = central_differences.verify(run.task, run.model, run.algorithm, options=run.options, episodes=episodes)
    return [report.coordinates[0].autograd for report in found.episodes]


def _verdict(claim: Claim, results: Mapping[str, Result], experiments: Mapping[str, Experiment]) -> Verdict:
    first, second = (
        (label, ranking.shown_by(results[label], experiments[label], claim.metric))
        for label in (claim.run, claim.other)
    )
    difference = differences.difference(first, second, claim.step)
    is_better = difference.verdict == f"{claim.run} is better"
    passed = is_better if claim.better_than is not None else not is_better and difference.verdict != NO_VERDICT
    by = "" if claim.metric is None else f" in {claim.metric}"
    return Verdict(claim, f"after {count(claim.step, 'step')}{by} {difference.sentence()}", passed)


def _named(recipe: Recipe) -> str:
    return f"{recipe.name}, version {recipe.version}{', full budget' * recipe.is_full}"


def _taking(recipe: Recipe) -> str:
    return duration(60 * recipe.minutes)


def _runaways(label: str, result: Result) -> list[str]:
    away = [result.seeds[row] for row in judgement.runaways(result.evaluation)]
    if not away:
        return []
    counted = count(len(result.evaluation.rows), "seed")
    where = f"on some test task of {len(away)} of {counted} ({', '.join(map(str, away))})"
    return [f"{label}: adaptation ran away {where}; theirs are finite and compared with the other seeds"]


def _numbers(found: Judgement) -> tuple[str, str, str]:
    """Ours, theirs, and how far they may be apart."""
    if found.allowed <= judgement.EXACTLY * abs(found.theirs):
        return number(found.ours, 6), number(found.theirs, 6), "exactly"
    half = "" if math.isnan(found.half) else f" ± {number(found.half, 2)}"
    return number(found.ours) + half, number(found.theirs), f"± {number(found.allowed, 2)}"


def _only(leaf: Any) -> float:
    while isinstance(leaf, list):
        (leaf,) = leaf
    return float(leaf)
