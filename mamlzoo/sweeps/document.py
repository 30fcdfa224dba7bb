"""`sweep.json`, read: axes and cells as they were written, each held against the other before anything uses them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import MamlzooError
from mamlzoo.experiments.settings import BY_NAME
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import file_layouts
from mamlzoo.runs.file_layouts import expect
from mamlzoo.sweeps.axes import Axis
from mamlzoo.sweeps.grid import short_names


class SavedCell(NamedTuple):
    """A cell as it was written.

    Attributes:
        values: by axis.
        config: task, model, algorithm and settings; None of a cell of which there is no experiment.
        run: the name of its run's directory, once it is finished.
        error: why it failed, if it did.
    """

    values: dict[str, Any]
    config: dict[str, Any] | None
    run: str | None
    error: str | None


def read(path: Path) -> tuple[list[Axis], list[SavedCell]]:
    """Axes and cells of a sweep, as its document has them.

    Raises:
        MamlzooError: it cannot be read, or its parts do not fit together.
    """
    document = run_directory.read_document(path)
    try:
        axes: Any = document.get("axes")
        cells: Any = document.get("cells")
        expect("axes", axes, lambda found: isinstance(found, list) and bool(found))
        expect("cells", cells, lambda found: isinstance(found, list) and bool(found))
        swept = dict(_axis(f"axes[{at}]", axis) for at, axis in enumerate(axes))
        _require("axes", len(swept) == len(axes))
        saved = [_cell(f"cells[{at}]", cell, swept) for at, cell in enumerate(cells)]
        for at, (key, values) in enumerate(swept.items()):
            _require(f"axes[{at}].values", set(values) == {cell.values[key] for cell in saved if key in cell.values})
    except (ValueError, AttributeError) as error:
        raise MamlzooError(f"{path} cannot be read: {file_layouts.told(error)}") from error
    short = short_names(swept)
    return [Axis(key, short[key], tuple(values)) for key, values in swept.items()], saved


def _axis(where: str, found: Any) -> tuple[str, dict[Any, None]]:
    """Its key, and its values in their order."""
    expect(where, found, lambda found: isinstance(found, dict))
    key, values = found.get("key"), found.get("values")
    expect(f"{where}.key", key, lambda found: isinstance(found, str) and found.isprintable() and 0 < len(found) < 200)
    expect(f"{where}.values", values, lambda found: isinstance(found, list) and len(found) > 1)
    file_layouts.check_values(f"{where}.values", {str(at): value for at, value in enumerate(values)})
    taken = dict.fromkeys(map(_value, values))
    _require(f"{where}.values", len(taken) == len(values))
    return key, taken


def _cell(where: str, found: Any, axes: Mapping[str, Mapping[Any, None]]) -> SavedCell:
    expect(where, found, lambda found: isinstance(found, dict))
    cell = SavedCell(*(found.get(name) for name in SavedCell._fields))
    expect(f"{where}.values", cell.values, lambda found: isinstance(found, dict) and set(found) <= set(axes))
    file_layouts.check_values(f"{where}.values", cell.values)
    cell = cell._replace(values={key: _value(value) for key, value in cell.values.items()})
    expect(f"{where}.error", cell.error, lambda found: found is None or (isinstance(found, str) and "\n" not in found))
    if cell.config is None:
        _require(f"{where}.error", cell.error is not None)
        _require(f"{where}.run", cell.run is None)
    else:
        expect(f"{where}.config", cell.config, lambda found: isinstance(found, dict))
        file_layouts.check_experiment(cell.config)
        settings = cell.config["settings"]
        _require(
            f"{where}.config.settings.validate_every",
            settings.get("validate_every") or settings.get("select_best") or settings.get("patience"),
        )
        for key, value in cell.values.items():
            _require(f"{where}.values", _is_of(key, value, cell.config))
    if cell.run is not None:
        _require(f"{where}.run", file_layouts.is_name(cell.run) and cell.error is None)
    for key, value in cell.values.items():
        _require(f"{where}.values.{key}", value in axes[key])
    return cell


def _is_of(key: str, value: Any, config: Mapping[str, Any]) -> bool:
    """Whether a config has this value of an axis. Of several plugins of one name the later ones have a number."""
    kind, dot, name = key.partition(".")
    if key in KINDS:
        return bool(str(value).partition(" #")[0] == config[key]["name"])
    if kind in BY_NAME and dot:
        holder = config["settings"].get(BY_NAME[kind], {})
    else:
        holder = config.get(kind, {}).get("options", {}) if dot else config["settings"]
    return bool(value == _value(holder.get(name if dot else key)))


def _require(where: str, holds: object) -> None:
    expect(where, holds, bool)


def _value(found: Any) -> Any:
    """As an option takes it: what JSON has as a list is a tuple."""
    return tuple(found) if isinstance(found, list) else found
