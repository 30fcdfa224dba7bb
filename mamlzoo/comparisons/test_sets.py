"""On which test tasks a result was tested: only numbers on the same ones are compared. This is decided here alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mamlzoo.comparisons.labels import Config
from mamlzoo.experiments.result import Result


def test_set(config: Config) -> dict[str, Any]:
    """What its test tasks are a function of; a GPU draws other random numbers than a CPU."""
    settings = config["settings"]
    device = settings["device"].partition(":")[0]
    norms = settings.get("norm_statistics", "batch")
    return {
        "task": config["task"],
        "test seed": settings["test_seed"],
        "kind of device": device,
        "norm statistics": norms,
    }


def tested_on(result: Result) -> dict[str, Any]:
    """What results must share for their numbers to be of the same metric on the same test tasks."""
    return test_set(result.config) | {"metric": result.evaluation.metric, "test tasks": result.evaluation.main.shape[1]}


def tested_apart(results: Sequence[Result]) -> list[str]:
    """In what of this some of the results differ, in words; empty if all were tested on the same."""
    first, *others = map(tested_on, results)
    return [name for name in first if any(other[name] != first[name] for other in others)]
