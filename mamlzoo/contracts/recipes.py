"""Recipes: published experiments, with the numbers that they must come to; `recipe_files` reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mamlzoo.contracts.plugins import KINDS

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What runs, recipes, figures and plugins may be called."""


@dataclass(frozen=True)
class RecipeRun:
    """One run of a recipe.

    Attributes:
        label: its name in the recipe.
        task, model, algorithm: names of plugins.
        seeds: how many, 0, 1, ….
        options: of the plugins, by key as "task.shots".
        settings: of the run.
        origin: the run whose θ it tests, without training; None: it trains its own.
        choose: options and settings that validation chooses, by key, each with the values to try; a run that tests
            another's θ has what was chosen for that one.
    """

    label: str
    task: str
    model: str
    algorithm: str
    seeds: int
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    origin: str | None = None
    choose: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name("run", self.label)
        if self.seeds < 1:
            raise ValueError(f"run '{self.label}' has {self.seeds} seeds; it needs at least 1")
        for kind in KINDS:  # and no code beside wherever somebody stands
            _check_name(f"{kind} of run '{self.label}'", getattr(self, kind), "is no name of a plugin")
        for key, values in self.choose.items():
            if key.startswith("task.") or key in KINDS:
                raise ValueError(f"run '{self.label}' chooses {key}, which would change what is tested")
            if not values:
                raise ValueError(f"run '{self.label}' has no value of {key} to choose from")
        if self.choose and self.origin is not None:
            raise ValueError(f"run '{self.label}' tests the θ of '{self.origin}', so there is nothing to choose")


@dataclass(frozen=True)
class Reference:
    """Published numbers of a run: a test metric after some numbers of adaptation steps.

    Attributes:
        run: a run's label.
        steps: numbers of adaptation steps.
        values: the metric after each.
        metric: which; None: the one that tables show.
        source: where they stand.
        halves: published half-widths of an interval around each value.
        sd, seeds: standard deviation over so many runs of the source, for each value.
        tasks: test tasks that the source took its mean over.
        exact: whether nothing is random: ours must be the same number.
        judged: whether the recipe fails where ours is another.
        full: whether it is of the full budget: in the short one it is shown and not judged.
    """

    run: str
    steps: Sequence[int]
    values: Sequence[float]
    source: str
    halves: Sequence[float] | None = None
    sd: Sequence[float] | None = None
    seeds: int = 1
    tasks: int = 1000
    exact: bool = False
    judged: bool = True
    metric: str | None = None
    full: bool = False

    @property
    def is_sampled(self) -> bool:
        """Whether its values are samples: neither exact, nor with an interval of their own."""
        return not self.exact and self.halves is None

    def __post_init__(self) -> None:
        for name in ("values", "halves", "sd"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.steps):
                raise ValueError(f"a reference of run '{self.run}' has {len(self.steps)} steps and {len(given)} {name}")
        if self.sd is not None and self.seeds < 2:
            raise ValueError(f"a reference of run '{self.run}' has an sd and does not say of how many seeds")


@dataclass(frozen=True)
class Gradients:
    """Meta-gradients of a run at θ⁰, which has one number: one for each of the first test episodes."""

    run: str
    values: Sequence[float]
    source: str


@dataclass(frozen=True)
class Theta:
    """θ of a run after training, where it has one number."""

    run: str
    value: float
    source: str


@dataclass(frozen=True)
class Claim:
    """What one run is said to be beside another, after so many adaptation steps.

    Attributes:
        metric: by which; None: the one that tables show.
        full: whether it is said of the full budget alone.
    """

    run: str
    step: int
    better_than: str | None = None
    no_better_than: str | None = None
    metric: str | None = None
    full: bool = False

    def __post_init__(self) -> None:
        if (self.better_than is None) == (self.no_better_than is None):
            raise ValueError(f"a claim about run '{self.run}' must say better_than or no_better_than")

    @property
    def other(self) -> str:
        """The run beside it."""
        return self.better_than or self.no_better_than or ""


@dataclass(frozen=True)
class Ranking:
    """Several runs on the same test tasks in one table, the best first, with what each costs.

    Attributes:
        title: what the table answers.
        runs: their labels.
        metric: by which; None: the one that tables show.
    """

    title: str
    runs: Sequence[str]
    metric: str | None = None

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ValueError(f"the ranking '{self.title}' has fewer than two runs")


@dataclass(frozen=True)
class Recipe:
    """A published experiment: its runs, and what they must come to.

    Attributes:
        version: grows whenever the recipe asks for something else.
        minutes: about how long it takes on two cores.
        unknown: details of the protocol that the source does not tell, and what was taken instead.
        notes: what else a reader of the verdicts must know.
        figures: by name, the labels of runs whose curves are drawn in one figure.
        rankings: by name, runs in one table, and a figure of their errors against what adapting costs.
        choice: settings of the runs that try values, where they differ from the run that they choose for.
        full: the same with the published budget, where that is much longer; None: this one is the published.
        is_full: whether it is that one.
    """

    name: str
    version: int
    summary: str
    source: str
    minutes: float
    runs: Sequence[RecipeRun]
    references: Sequence[Reference] = ()
    gradients: Sequence[Gradients] = ()
    thetas: Sequence[Theta] = ()
    claims: Sequence[Claim] = ()
    unknown: Sequence[str] = ()
    notes: Sequence[str] = ()
    figures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    choice: Mapping[str, Any] = field(default_factory=dict)
    full: Recipe | None = None
    is_full: bool = False

    def __post_init__(self) -> None:
        names = [("recipe", self.name), *(("figure", name) for name in self.figures)]
        for what, name in [*names, *(("ranking", name) for name in self.rankings)]:
            _check_name(what, name)
        if twice := sorted(self.figures.keys() & self.rankings.keys()):
            raise ValueError(f"'{twice[0]}' is a figure and a ranking, whose files would be one")
        labels = [run.label for run in self.runs]
        for run in self.runs:
            if run.origin is not None and run.origin not in labels[: labels.index(run.label)]:
                raise ValueError(f"run '{run.label}' is from '{run.origin}', which is no run before it")
        named = [entry.run for part in (self.references, self.gradients, self.thetas, self.claims) for entry in part]
        named += [claim.other for claim in self.claims]
        several = [*self.figures.values(), *(ranking.runs for ranking in self.rankings.values())]
        named += [run for labels in several for run in labels]
        seeds = {run.label: run.seeds for run in self.runs}
        for reference in self.references:
            if reference.is_sampled and seeds.get(reference.run, 2) + reference.seeds < 3:
                raise ValueError(
                    f"a reference of run '{reference.run}' has one seed, and so has the run: no spread is known"
                )
        for label in named:
            if label not in labels:
                raise ValueError(f"there is no run '{label}'; there are: {', '.join(labels)}")
        self._check_test_tasks()

    def _check_test_tasks(self) -> None:
        """What is paired must have been tested on the same."""
        tests = {run.label: _tested_on(run) for run in self.runs}
        for claim in self.claims:
            if tests[claim.run] != tests[claim.other]:
                raise ValueError(f"the runs '{claim.run}' and '{claim.other}' of a claim have not the same test tasks")
        for name, ranking in self.rankings.items():
            if any(tests[run] != tests[ranking.runs[0]] for run in ranking.runs):
                raise ValueError(f"the runs of the ranking '{name}' have not the same test tasks")


def _tested_on(run: RecipeRun) -> tuple[Any, ...]:
    """What a run's test tasks depend on."""
    options = {key: value for key, value in run.options.items() if key.startswith("task.")}
    return run.task, options, *(run.settings.get(name) for name in ("test_seed", "test_tasks", "device"))


def _check_name(what: str, name: Any, why: str = "is no name") -> None:
    """What becomes a folder, a file and a word of a command must be no path, no flag and no markup."""
    if not isinstance(name, str) or not re.fullmatch(NAME, name) or name.endswith(".py"):
        raise ValueError(f"{what}: {name!r} {why}; use letters, digits, dashes, dots and underscores")
