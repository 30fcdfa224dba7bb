"""Recipes as files: published experiments, with the numbers that they must come to.

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

    [rankings.which-one]           # in one table the best first, with what each costs
    title = "which one on sine waves?"
    runs = ["maml", "scratch"]

`halves` beside `values` are a published interval, value ± half: ours must lie in it. `sd` and `seeds` say how runs of
the source spread; without them a value is one run. See `judgement` for what is compared then. `judged = false` shows a
reference without a verdict: a variant tried, a number only remembered. References, claims and rankings may say by which
`metric`.

What validation is to choose, a run says in `choose = { "algorithm.inner_lr" = [0.01, 0.1], outer_lr = [1e-3, 3e-3] }`:
every combination is trained and the best on the validation tasks is taken, under the settings of the table `[choice]`
where these differ, as with fewer meta-steps.

Where the published budget is much longer than half an hour, a table `[full]` has it: `minutes`, and in `[full.common]`
and `[full.runs.LABEL]` what differs from the short one. References and claims with `full = true` are judged there
alone.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from mamlzoo.contracts.recipes import Claim, Gradients, Ranking, Recipe, RecipeRun, Reference, Theta
from mamlzoo.errors import PluginError

COMMON = ("task", "model", "algorithm", "seeds", "options", "choose")
FROM = "from"
NONE = "none"
"""TOML has no word for nothing; flags have this one."""


def parse(text: str) -> Recipe:
    """The recipe that a TOML document holds.

    Raises:
        PluginError: it is no TOML, or lacks something, or has something unknown.
    """
    try:
        document = tomllib.loads(text)
        full = document.pop("full", None)
        short: Recipe = _recipe(document)
        if full is None:
            return short
        return replace(_short(short), full=replace(_recipe(_merged(document, full)), is_full=True))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:  # tomllib's own is a ValueError
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PluginError(f"a recipe cannot be read: {reason}") from error


def _recipe(document: Mapping[str, Any]) -> Recipe:
    rest = dict(document)
    common, own = rest.pop("common", {}), rest.pop("runs")
    runs = [_run(label, common, stated) for label, stated in own.items()]
    several = {"references": Reference, "gradients": Gradients, "thetas": Theta, "claims": Claim}
    parts = {name: [_made(cls, entry) for entry in rest.pop(name, [])] for name, cls in several.items()}
    rankings = {name: _made(Ranking, entry) for name, entry in rest.pop("rankings", {}).items()}
    choice = rest.pop("choice", {})
    _check_type("choice", choice, Mapping[str, Any])
    made = {"runs": runs, "rankings": rankings, "choice": choice, **parts}
    if unknown := {"full", "is_full"} & rest.keys():
        raise ValueError(f"recipe has no '{unknown.pop()}'")
    return cast(Recipe, _made(Recipe, rest | made))


def _merged(document: Mapping[str, Any], full: Mapping[str, Any]) -> dict[str, Any]:
    """The document of the full budget."""
    _check_type("full", full, Mapping[str, Any])
    rest = {"common": {}, "runs": {}, **full}
    if unknown := sorted(rest.keys() - {"minutes", "common", "runs"}):
        raise ValueError(f"full has no '{unknown[0]}'; it has minutes, common and runs")
    for label in rest["runs"]:
        if label not in document["runs"]:
            raise ValueError(f"full has a run '{label}' that the recipe has not")
    runs = {label: _over(own, rest["runs"].get(label, {})) for label, own in document["runs"].items()}
    common = _over(document.get("common", {}), rest["common"])
    return {**document, "minutes": rest["minutes"], "common": common, "runs": runs}


def _over(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The one with what the other says otherwise."""
    return {**one, **other, "options": {**one.get("options", {}), **other.get("options", {})}}


def _short(recipe: Recipe) -> Recipe:
    """Without the verdicts that are the full budget's."""
    references = [replace(one, judged=one.judged and not one.full) for one in recipe.references]
    return replace(recipe, references=references, claims=[claim for claim in recipe.claims if not claim.full])


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
    choose = merged.get("choose", {})
    _check_type(f"runs.{label}.choose", choose, Mapping[str, Any])
    for key, values in choose.items():
        _check_type(f"runs.{label}.choose.{key}", values, Sequence[Any])
    stated = {"choose": choose, **{name: merged[name] for name in COMMON if name != "choose"}}
    return cast(RecipeRun, _made(RecipeRun, {"label": label, **stated, "settings": settings, "origin": origin}))


def _made(cls: Any, entry: Mapping[str, Any]) -> Any:
    unknown = set(entry) - {declared.name for declared in fields(cls)}
    if unknown:
        raise ValueError(f"{cls.__name__.lower()} has no '{sorted(unknown)[0]}'")
    hints = _hints(cls)
    for name, value in entry.items():
        _check_type(f"{cls.__name__.lower()}.{name}", value, hints[name])
    return cls(**entry)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    """What the fields of a class are declared to be: evaluated once, and not for each of hundreds of entries."""
    return get_type_hints(cls)


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
        (of,) = get_args(hint)
        return "a list" if of is Any else f"a list, each of it {_said(of)}"
    if get_origin(hint) is Mapping:
        return "a table"
    return {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}[hint]
