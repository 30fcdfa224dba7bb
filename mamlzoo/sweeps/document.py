"""`sweep.json`, read: axes and cells as they were written, each held against the other before anything uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import MamlzooError
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
        names = [_axis(f"axes[{at}]", axis) for at, axis in enumerate(axes)]
        saved = [_cell(f"cells[{at}]", cell, dict(names)) for at, cell in enumerate(cells)]
        for at, (key, values) in enumerate(names):
            swept = [cell.values[key] for cell in saved if key in cell.values]
            expect(f"axes[{at}].values", values, lambda found, swept=swept: all(value in swept for value in found))  # type: ignore[misc]
    except (ValueError, AttributeError) as error:
        raise MamlzooError(f"{path} cannot be read: {file_layouts.told(error)}") from error
    short = short_names(key for key, _ in names)
    return [Axis(key, short[key], tuple(values)) for key, values in names], saved


def _axis(where: str, found: Any) -> tuple[str, Sequence[Any]]:
    expect(where, found, lambda found: isinstance(found, dict))
    key, values = found.get("key"), found.get("values")
    expect(f"{where}.key", key, lambda found: isinstance(found, str) and found.isprintable() and 0 < len(found) < 200)
    expect(f"{where}.values", values, lambda found: isinstance(found, list) and len(found) > 1)
    file_layouts.check_values(f"{where}.values", {str(at): value for at, value in enumerate(values)})
    taken = [_value(value) for value in values]
    expect(f"{where}.values", taken, lambda found: len(set(found)) == len(found))
    return key, taken


def _cell(where: str, found: Any, axes: Mapping[str, Sequence[Any]]) -> SavedCell:
    expect(where, found, lambda found: isinstance(found, dict))
    cell = SavedCell(*(found.get(name) for name in SavedCell._fields))
    expect(f"{where}.values", cell.values, lambda found: isinstance(found, dict) and set(found) <= set(axes))
    file_layouts.check_values(f"{where}.values", cell.values)
    cell = cell._replace(values={key: _value(value) for key, value in cell.values.items()})
    expect(f"{where}.error", cell.error, lambda found: found is None or (isinstance(found, str) and "\n" not in found))
    if cell.config is None:
        expect(f"{where}.error", cell.error, lambda found: found is not None)
        expect(f"{where}.run", cell.run, lambda found: found is None)
    else:
        expect(f"{where}.config", cell.config, lambda found: isinstance(found, dict))
        file_layouts.check_experiment(cell.config)
        settings = cell.config["settings"]
        expect(f"{where}.config.settings.validate_every", settings.get("validate_every"), lambda found: bool(found))
        own = {key: _of_config(key, cell.config) for key in cell.values}
        expect(f"{where}.values", cell.values, lambda found: all(_is_same(key, found[key], own[key]) for key in found))
    if cell.run is not None:
        expect(f"{where}.run", cell.run, lambda found: file_layouts.is_name(found) and cell.error is None)
    for key, value in cell.values.items():
        expect(f"{where}.values.{key}", value, lambda found, key=key: found in axes[key])  # type: ignore[misc]
    return cell


def _of_config(key: str, config: Mapping[str, Any]) -> Any:
    """What a config says of an axis."""
    kind, dot, name = key.partition(".")
    if dot:
        return _value(config.get(kind, {}).get("options", {}).get(name))
    return config[key]["name"] if key in KINDS else _value(config["settings"].get(key))


def _is_same(key: str, value: Any, own: Any) -> bool:
    """Of several plugins of one name the later ones have a number, as `net #2`."""
    return bool(value == own or (key in KINDS and str(value).partition(" #")[0] == own))


def _value(found: Any) -> Any:
    """As an option takes it: what JSON has as a list is a tuple."""
    return tuple(found) if isinstance(found, list) else found
