"""What the results of a comparison are called, and which of them a name means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import UsageError, did_you_mean

Config = Mapping[str, Any]
"""What `config_of` gives: names, options, settings and versions."""
LONGEST = 30
"""A label that would be longer is a number instead: it heads a column."""


def labels(configs: Sequence[Config]) -> list[str]:
    """What tells each config from the others, as short as it can be said.

    That is the names of the kinds of plugin in which they differ. Where several have the same names, the value of one
    option or setting that tells those apart: `maml (inner_lr=0.01)`. Where no single one does, or it is too long, a
    number: `maml #2`; `legend` says what it stands for.
    """
    return [name.label for name in _named_apart(configs)]


def legend(configs: Sequence[Config]) -> list[str]:
    """What the labels leave out: for the results of the same names, a line each with all in which those differ.

    What differs because the plugins do is not in it: their names say so already.
    """
    return [f"{name.label}: {name.details}" for name in _named_apart(configs) if name.details]


class _Name(NamedTuple):
    """A label, and what differs beside it; empty where the label says it all."""

    label: str
    details: str


def _named_apart(configs: Sequence[Config]) -> list[_Name]:
    kinds = [kind for kind in KINDS if len({config[kind]["name"] for config in configs}) > 1] or ["algorithm"]
    names = [" × ".join(config[kind]["name"] for kind in kinds) for config in configs]
    found = [_Name(name, "") for name in names]
    for name in dict.fromkeys(names):
        group = [at for at, one in enumerate(names) if one == name]
        if len(group) > 1:
            for at, one in zip(group, _among_namesakes(name, [configs[at] for at in group]), strict=True):
                found[at] = one
    return found


def _among_namesakes(name: str, configs: Sequence[Config]) -> list[_Name]:
    """Names for configs of the same plugins."""
    differing = differences(configs)
    if not differing:
        return [_Name(label, "") for label in _numbered([name] * len(configs))]

    def details(but: str = "") -> list[str]:
        options = [option for option in differing if option != but]
        return [
            ", ".join(f"{_short(option)}={differing[option][at]}" for option in options) for at in range(len(configs))
        ]

    for option, values in differing.items():
        labels = [f"{name} ({_short(option)}={value})" for value in values]
        if len(set(values)) == len(set(details())) and max(map(len, labels)) <= LONGEST:
            return [_Name(*one) for one in zip(_numbered(labels), details(but=option), strict=True)]
    return [_Name(f"{name} #{at}", detail) for at, detail in enumerate(details(), 1)]


def differences(configs: Sequence[Config]) -> dict[str, list[str]]:
    """By name, as in 'task.shots' or 'meta_batch', what each has of all options and settings that differ.

    An option that only some of the plugins have differs only if it does among those; the others have a dash.
    """
    flat = [_flat(config) for config in configs]
    names = dict.fromkeys(name for one in flat for name in one)
    differing = [name for name in names if len({one[name] for one in flat if name in one}) > 1]
    return {name: [one.get(name, "–") for one in flat] for name in differing}


def _flat(config: Config) -> dict[str, str]:
    """Options, where plugins come from, and settings, each as a flag spells it."""
    flat: dict[str, Any] = {}
    for kind in KINDS:
        flat |= {f"{kind}.{name}": value for name, value in config[kind]["options"].items()}
        flat |= {f"{kind} from": source["reference"]} if (source := config[kind].get("source")) else {}
    return {name: _spelled(name, value) for name, value in (flat | config["settings"]).items()}


def _short(option: str) -> str:
    return option.rpartition(".")[2]


def _spelled(option: str, value: Any) -> str:
    """Several values by commas; of the seeds 0, 1, … how many."""
    if isinstance(value, list | tuple):
        counts = option == "seeds" and list(value) == list(range(len(value)))
        return str(len(value)) if counts else ",".join(map(str, value))
    return "none" if value is None else str(value)


def _numbered(labels: Sequence[str]) -> list[str]:
    """The second of equal ones is #2."""
    return [f"{label} #{labels[:at].count(label) + 1}" if label in labels[:at] else label
            for at, label in enumerate(labels)]  # fmt: skip


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
