"""Recipes: published experiments as files, with the numbers that they must come to.

A recipe is a TOML file that a plugin module names in its hook `mamlzoo_recipes`:

    name = "maml-sine-10shot"
    version = 1
    summary = "MAML on sine waves, K = 10"
    source = "Finn, Abbeel, Levine, ICML 2017, section 5.1"
    minutes = 3
    unknown = ["what the source does not tell"]

    [common]                       # of every run, where it does not say otherwise
    task = "sine"
    model = "mlp"
    seeds = 8
    iterations = 70000             # any setting of a run
    options = { "task.shots" = 10 }

    [runs.maml]
    algorithm = "maml"

    [runs.many-shots]              # another test of the same θ
    from = "maml"
    algorithm = "maml"
    options = { "task.shots" = 20 }

    [[references]]                 # what is published
    run = "maml"
    steps = [1, 10]
    values = [0.329, 0.113]
    source = "…"

    [[gradients]]                  # meta-gradients at θ⁰, one for each episode
    run = "maml"
    values = [4.48, 3028.48]
    source = "…"

    [[claims]]                     # paired, on the same test tasks
    run = "maml"
    better_than = "scratch"        # or no_better_than
    step = 10

`halves` beside `values` are a published interval, value ± half: ours must lie in it. `sd` and `seeds` say how runs of
the source spread; without them a value is one run. See `judgement` for what is compared then. `judged = false` shows a
reference without a verdict: a variant tried, a number only remembered.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import PluginError

COMMON = ("task", "model", "algorithm", "seeds", "options")
FROM = "from"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What runs, recipes, figures and plugins may be called."""
NONE = "none"
"""TOML has no word for nothing; flags have this one."""


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
    """

    label: str
    task: str
    model: str
    algorithm: str
    seeds: int
    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    origin: str | None = None

    def __post_init__(self) -> None:
        _check_name("run", self.label)
        if self.seeds < 1:
            raise ValueError(f"run '{self.label}' has {self.seeds} seeds; it needs at least 1")
        for kind in KINDS:  # and no code beside wherever somebody stands
            _check_name(f"{kind} of run '{self.label}'", getattr(self, kind), "is no name of a plugin")


@dataclass(frozen=True)
class Reference:
    """Published numbers of a run: its test metric after some numbers of adaptation steps.

    Attributes:
        run: a run's label.
        steps: numbers of adaptation steps.
        values: the metric after each.
        source: where they stand.
        halves: published half-widths of an interval around each value.
        sd, seeds: standard deviation over so many runs of the source, for each value.
        tasks: test tasks that the source took its mean over.
        exact: whether nothing is random: ours must be the same number.
        judged: whether the recipe fails where ours is another.
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
    """What one run is said to be beside another, after so many adaptation steps."""

    run: str
    step: int
    better_than: str | None = None
    no_better_than: str | None = None

    def __post_init__(self) -> None:
        if (self.better_than is None) == (self.no_better_than is None):
            raise ValueError(f"a claim about run '{self.run}' must say better_than or no_better_than")

    @property
    def other(self) -> str:
        """The run beside it."""
        return self.better_than or self.no_better_than or ""


@dataclass(frozen=True)
class Recipe:
    """A published experiment: its runs, and what they must come to.

    Attributes:
        version: grows whenever the recipe asks for something else.
        minutes: about how long it takes on two cores.
        unknown: details of the protocol that the source does not tell, and what was taken instead.
        notes: what else a reader of the verdicts must know.
        figures: by name, the labels of runs whose curves are drawn in one figure.
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

    def __post_init__(self) -> None:
        for what, name in [("recipe", self.name), *(("figure", name) for name in self.figures)]:
            _check_name(what, name)
        labels = [run.label for run in self.runs]
        for run in self.runs:
            if run.origin is not None and run.origin not in labels[: labels.index(run.label)]:
                raise ValueError(f"run '{run.label}' is from '{run.origin}', which is no run before it")
        named = [entry.run for part in (self.references, self.gradients, self.thetas, self.claims) for entry in part]
        named += [claim.other for claim in self.claims] + [run for several in self.figures.values() for run in several]
        seeds = {run.label: run.seeds for run in self.runs}
        for reference in self.references:
            if reference.is_sampled and seeds.get(reference.run, 2) + reference.seeds < 3:
                raise ValueError(
                    f"a reference of run '{reference.run}' has one seed, and so has the run: no spread is known"
                )
        for label in named:
            if label not in labels:
                raise ValueError(f"there is no run '{label}'; there are: {', '.join(labels)}")
        tests = {run.label: _tested_on(run) for run in self.runs}
        for claim in self.claims:
            if tests[claim.run] != tests[claim.other]:
                raise ValueError(f"the runs '{claim.run}' and '{claim.other}' of a claim have not the same test tasks")


def _tested_on(run: RecipeRun) -> tuple[Any, ...]:
    """What a run's test tasks depend on."""
    options = {key: value for key, value in run.options.items() if key.startswith("task.")}
    return run.task, options, *(run.settings.get(name) for name in ("test_seed", "test_tasks", "device"))


def _check_name(what: str, name: Any, why: str = "is no name") -> None:
    """What becomes a folder, a file and a word of a command must be no path, no flag and no markup."""
    if not isinstance(name, str) or not re.fullmatch(NAME, name) or name.endswith(".py"):
        raise ValueError(f"{what}: {name!r} {why}; use letters, digits, dashes, dots and underscores")


def parse(text: str) -> Recipe:
    """The recipe that a TOML document holds.

    Raises:
        PluginError: it is no TOML, or lacks something, or has something unknown.
    """
    try:
        document = tomllib.loads(text)
        common = document.pop("common", {})
        runs = [_run(label, common, own) for label, own in document.pop("runs").items()]
        parts = {
            name: [_made(cls, entry) for entry in document.pop(name, [])]
            for name, cls in {"references": Reference, "gradients": Gradients, "thetas": Theta, "claims": Claim}.items()
        }
        recipe: Recipe = _made(Recipe, document | {"runs": runs} | parts)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:  # tomllib's own is a ValueError
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PluginError(f"a recipe cannot be read: {reason}") from error
    return recipe


def _run(label: str, common: Mapping[str, Any], own: Mapping[str, Any]) -> RecipeRun:
    for name, given in (("common", common), (f"runs.{label}", own)):
        _check_type(name, given, Mapping[str, Any])
        _check_type(f"{name}.options", given.get("options", {}), Mapping[str, Any])
    options = {**common.get("options", {}), **own.get("options", {})}
    merged = {**common, **own, "options": {name: None if value == NONE else value for name, value in options.items()}}
    settings = {name: value for name, value in merged.items() if name not in (*COMMON, FROM)}
    origin = merged.get(FROM)
    if origin is not None:
        settings |= {"iterations": 0}
    stated = {name: merged[name] for name in COMMON}
    return cast(RecipeRun, _made(RecipeRun, {"label": label, **stated, "settings": settings, "origin": origin}))


def _made(cls: Any, entry: Mapping[str, Any]) -> Any:
    unknown = set(entry) - {declared.name for declared in fields(cls)}
    if unknown:
        raise ValueError(f"{cls.__name__.lower()} has no '{sorted(unknown)[0]}'")
    hints = get_type_hints(cls)
    for name, value in entry.items():
        _check_type(f"{cls.__name__.lower()}.{name}", value, hints[name])
    return cls(**entry)


def _check_type(place: str, value: Any, hint: Any) -> None:
    if not _is_of(value, hint):
        raise ValueError(f"{place} is {value!r}; it must be {_said(hint)}")


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a value of a TOML document is what a field is declared to be; numbers must be finite."""
    inner = get_args(hint)
    if isinstance(hint, UnionType):
        return any(_is_of(value, one) for one in inner)
    if get_origin(hint) is Sequence:
        return isinstance(value, list) and all(_is_of(one, inner[0]) for one in value)
    if get_origin(hint) is Mapping:
        return isinstance(value, dict) and all(_is_of(one, inner[1]) for one in value.values())
    if hint is Any:
        return True
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint


def _said(hint: Any) -> str:
    """What a field is declared to be, in words."""
    if isinstance(hint, UnionType):
        return " or ".join(_said(one) for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is Sequence:
        return f"a list, each of it {_said(get_args(hint)[0])}"
    if get_origin(hint) is Mapping:
        return "a table"
    return {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}[hint]
