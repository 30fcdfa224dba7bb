"""What the results of a comparison are called, and which of them a name means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mamlzoo.errors import UsageError, did_you_mean
from mamlzoo.interfaces import KINDS

Config = Mapping[str, Any]
"""What `Experiment.config` gives: names, options, settings and versions."""


def labels(configs: Sequence[Config]) -> list[str]:
    """What tells each config from the others: names, then options and settings, then a number."""
    kinds = [kind for kind in KINDS if len({config[kind]["name"] for config in configs}) > 1] or ["algorithm"]
    found = [" × ".join(config[kind]["name"] for kind in kinds) for config in configs]
    if len(set(found)) < len(found):
        flat = [
            {name: value for kind in KINDS for name, value in config[kind]["options"].items()} | config["settings"]
            for config in configs
        ]
        names = [name for name in flat[0] if any(one.get(name) != flat[0][name] for one in flat)]
        details = [", ".join(f"{name}={one[name]}" for name in names if name in one) for one in flat]
        found = [f"{label} ({detail})" * bool(detail) or label for label, detail in zip(found, details, strict=True)]
    return [f"{label} #{found[:at].count(label) + 1}" if label in found[:at] else label
            for at, label in enumerate(found)]  # fmt: skip


def baselines(configs: Sequence[Config], test_sets: Sequence[Config], name: str) -> list[int | None]:
    """Which config each is to be compared with; None for a baseline itself and for one that has none.

    A label means that config alone. The name of an algorithm or model means, for each other config, the one of that
    name on the same test set; of several, the one whose other part is the same.

    Args:
        test_sets: of each config, in which only equal ones are compared.

    Raises:
        UsageError: the name means none of them, several for one, or leaves none to be compared.
    """
    called = labels(configs)
    kind, named = _named(configs, called, name)
    if len(named) == len(configs) > 1:
        raise UsageError(f"baseline '{name}' is every result; choose one of them: {', '.join(called)}")
    chosen: list[int | None] = []
    for at, config in enumerate(configs):
        fitting = [other for other in named if at not in named and test_sets[other] == test_sets[at]]
        if len(fitting) > 1:
            rest = {"algorithm", "model"} - {kind}
            alike = [other for other in fitting if all(configs[other][part] == config[part] for part in rest)]
            fitting = alike or fitting
        if len(fitting) > 1:
            several = " or ".join(f"'{called[other]}'" for other in fitting)
            raise UsageError(f"baseline '{name}' may be {several}; choose one of them")
        chosen.append(fitting[0] if fitting else None)
    if not any(other is not None for other in chosen):
        raise UsageError(f"nothing can be compared with baseline '{name}': no other result has its test tasks")
    return chosen


def _named(configs: Sequence[Config], called: Sequence[str], name: str) -> tuple[str, list[int]]:
    """What kind of name it is, and the configs that it means."""
    if name in called:
        return "label", [called.index(name)]
    for kind in ("algorithm", "model"):
        found = [at for at, config in enumerate(configs) if config[kind]["name"] == name]
        if found:
            return kind, found
    known = {config[kind]["name"] for config in configs for kind in ("algorithm", "model")}
    raise UsageError(f"there is no baseline '{name}' among the results; {did_you_mean(name, known | set(called))}")
