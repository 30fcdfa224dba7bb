"""What the files of a run directory must hold: types, shapes and ranges, checked before anything uses them.

A directory may have been damaged, or written by somebody else, with sums and digests that fit. What is wrong is a
`LayoutError` that names the place, as `settings.seeds`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo import trees
from mamlzoo.contracts import options
from mamlzoo.contracts.numbers_as_text import LARGEST
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import UsageError, in_short
from mamlzoo.experiments.settings import Settings

LONGEST_NAME = 255
"""Bytes of a file's name, at most, on the file systems that there are."""
SOURCE = ("reference", "sha256")
SETTINGS = (
    "iterations", "meta_batch", "outer_lr", "optimizer", "meta_reduction", "test_tasks", "test_steps", "test_seed",
    "valid_tasks", "device", "plan",
)  # fmt: skip
"""What a config must say of its settings besides seeds: their defaults would be another experiment."""


class LayoutError(ValueError):
    """A file holds something else than mamlzoo writes there."""


def told(error: Exception) -> str:
    """What is wrong with a file, of an error of these checks or of whoever tried to read it."""
    return str(error) if isinstance(error, LayoutError) else in_short(error)


def check_config(config: Mapping[str, Any]) -> None:
    """A config as `config_of` gives it; settings and options that this mamlzoo does not know may be in it."""
    check_experiment(config)
    _check_parts(config, {("machine", "threads"): int, ("machine", "processor"): str, ("versions", "torch"): str})
    for part in ("machine", "versions"):
        for name, value in config[part].items():
            wanted = int if (part, name) in (("machine", "threads"), ("machine", "workers")) else str
            expect(f"{part}.{name}", value, lambda value, wanted=wanted: type(value) is wanted)  # type: ignore[misc]


def check_experiment(config: Mapping[str, Any]) -> None:
    """What of a config makes the experiment: its plugins with their options, and its settings."""
    parts: dict[tuple[str, str], type] = {("settings", "seeds"): list}
    for kind in KINDS:
        parts |= {(kind, "name"): str, (kind, "options"): dict, (kind, "registered"): bool}
    _check_parts(config, parts)
    for kind in KINDS:
        expect(f"{kind}.name", config[kind]["name"], str.isprintable)
    for kind in KINDS:
        source = config[kind].get("source")  # only of a plugin that was brought along
        if source is not None and not _is_source(source):
            raise LayoutError(f"its {kind}.source is no reference with its sha256")
        check_values(f"{kind}.options", config[kind]["options"])
        expect(f"{kind}.later", config[kind].get("later", []), _are_names)
        expect(f"{kind}.facts", config[kind].get("facts", {}), lambda value: isinstance(value, dict))
        for name in ("version", "data"):
            expect(f"{kind}.{name}", config[kind].get(name), lambda value: value is None or isinstance(value, str))
    _check_settings(config["settings"])
    for name in SETTINGS:
        expect(f"settings.{name}", config["settings"].get(name), lambda value: value is not None)


def _check_parts(config: Mapping[str, Any], parts: Mapping[tuple[str, str], type]) -> None:
    for (part, name), wanted in parts.items():
        if not isinstance(config.get(part), dict) or not isinstance(config[part].get(name), wanted):
            raise LayoutError(f"it has no {part}.{name}, or not as a {wanted.__name__}")


def is_name(found: Any) -> bool:
    """Whether it can name a directory beside a document, and leads nowhere else."""
    if not isinstance(found, str) or found in ("", "..") or "\0" in found:
        return False
    return Path(found).name == found and len(found.encode("utf-8", "surrogatepass")) <= LONGEST_NAME


def _are_names(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(name, str) for name in found)


def _is_source(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(name), str) for name in SOURCE)


def _check_settings(found: Mapping[str, Any]) -> None:
    by_name = {name: value for name, value in found.items() if isinstance(value, dict)}
    check_values("settings", {name: value for name, value in found.items() if name not in by_name})
    for name, values in by_name.items():
        check_values(f"settings.{name}", values)
    known = options.options_of(Settings)
    for name, value in found.items():
        if name in known:
            try:
                known[name].check(value)
            except UsageError as error:
                raise LayoutError(f"its settings.{name} {error}") from None
    seeds = found["seeds"]
    if not seeds or len(set(seeds)) != len(seeds):
        raise LayoutError("its settings.seeds must be several that differ, one at least")


def check_values(where: str, found: Mapping[str, Any]) -> None:
    """Each is a number, a text, a truth value or nothing, or a list of such."""
    for name, value in found.items():
        several = value if isinstance(value, list) else [value]
        expect(f"{where}.{name}", several, lambda several: all(map(_is_scalar, several)))


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | str) or (isinstance(value, int) and abs(value) <= LARGEST)


def check_arrays(arrays: Mapping[str, NDArray[Any]], seeds: int) -> None:
    """Test metrics by name, [seeds, test episodes, steps + 1]; after the first, pooled ones [seeds, 1, steps + 1]."""
    shapes = [array.shape for array in arrays.values()]
    shape = next(iter(shapes), ())
    if not shapes or any(other not in (shape, (*shape[:1], 1, *shape[2:])) for other in shapes):
        raise LayoutError("test_losses.npz must hold one metric at least, all of one shape")
    if len(shape) != 3 or 0 in shape or any(array.dtype.kind != "f" for array in arrays.values()):
        raise LayoutError("test_losses.npz must hold numbers [seeds, test episodes, steps + 1]")
    if shape[0] != seeds:
        raise LayoutError("test_losses.npz has other seeds than config")


def check_timing(timing: Any) -> None:
    """Seconds, a rate and an amount of memory."""
    expect("timing", timing, lambda found: all(map(_is_amount, found.values())))


def check_checkpoint(content: Mapping[str, Any]) -> None:
    """The content of a checkpoint, which is all of one number of seeds."""
    meta = content["meta"]
    leaves = _leaves("meta", meta)
    if not leaves or any(leaf.ndim == 0 for leaf in leaves) or len({len(leaf) for leaf in leaves}) != 1:
        raise LayoutError("its θ must be tensors of numbers with one seed axis")
    seeds = len(leaves[0])
    expect("step", content["step"], _is_count)
    expect("diverged", content["diverged"], lambda found: _is_diverged(found, seeds))
    plan = content["plan"]
    expect("plan", plan, lambda found: set(found) == {"plan", "why"} and _all(str, found.values()))
    expect("seconds", content["seconds"], lambda found: all(map(_is_amount, found.values())))
    expect("remarks", content["remarks"], lambda found: isinstance(found, list) and _all(str, found))
    expect("optimizer", content["optimizer"], _is_optimizer_state)
    recent = content["recent"]
    if recent is not None:
        expect("recent", recent, lambda found: isinstance(found, Mapping))
        rows = len(recent["losses"])
        _check_columns("recent", [recent["losses"], *recent["logs"].values()], (rows, seeds))
    history, validation, best = content["history"], content["validation"], content["best"]
    _check_steps("history", history["steps"])
    if history["steps"]:
        columns = [history["losses"], *history["logs"].values()]
        _check_columns("history", columns, (len(history["steps"]), seeds))
    _check_steps("validation", validation["steps"])
    if validation["steps"]:
        _check_columns("validation", [validation["values"]], (len(validation["steps"]), seeds))
    metrics = validation["metrics"]
    expect("validation.metrics", metrics, lambda found: len(found) == len(validation["steps"]) and _all(str, found))
    for name, other in {"average": content.get("average"), "best.meta": best and best["meta"]}.items():
        theirs = None if other is None else [leaf.shape for leaf in _leaves(name, other)]
        expect(name, theirs, lambda found: found in (None, [leaf.shape for leaf in leaves]))
    if best is not None:
        expect("best.values", best["values"], lambda found: len(found) == seeds and _all(float, found))
        expect("best.steps", best["steps"], lambda found: len(found) == seeds and all(map(_is_count, found)))


def _leaves(where: str, tree: Any) -> list[Tensor]:
    expect(where, tree, lambda found: isinstance(found, Mapping) and all(map(_is_numbers, trees.leaves(found))))
    return trees.leaves(tree)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()


def _is_diverged(found: Any, seeds: int) -> bool:
    return all(type(row) is int and 0 <= row < seeds and _is_count(step) for row, step in found.items())


def _is_optimizer_state(found: Any) -> bool:
    return isinstance(found, list) and all(
        type(at) is int and isinstance(slots, Mapping) and _all((Tensor, int, float, type(None)), slots.values())
        for state in found
        for at, slots in state.items()
    )


def _check_steps(where: str, steps: Any) -> None:
    expect(f"{where}.steps", steps, lambda found: isinstance(found, list) and all(map(_is_count, found)))


def _check_columns(where: str, columns: Sequence[Any], shape: tuple[int, int]) -> None:
    expect(where, columns, lambda found: all(_is_numbers(one) and tuple(one.shape) == shape for one in found))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0 and math.isfinite(float(value))


def _all(kinds: type | tuple[type, ...], several: Any) -> bool:
    return all(isinstance(value, kinds) for value in several)


def expect(where: str, value: Any, right: Callable[[Any], bool]) -> None:
    """Refuse a value of which a test does not hold, or that cannot even be put to it.

    Raises:
        LayoutError: so it is.
    """
    try:
        is_right = right(value)
    except (TypeError, AttributeError, ValueError, OverflowError, LookupError):
        is_right = False
    if not is_right:
        raise LayoutError(f"its {where} is not what mamlzoo writes there")
