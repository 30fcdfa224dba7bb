"""Arrays of examples that stay where they are, a file or a device, of which the rows of an episode are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mamlzoo.contracts.inputs import Input, Inputs, described, named, named_tensors
from mamlzoo.contracts.return_values import is_finite
from mamlzoo.errors import UsageError
from mamlzoo.raw_bytes import raw_bytes

DTYPES = {"float": np.float32, "integer": np.int64, "bool": np.bool_}
"""What numbers become when they are drawn."""
DIGESTED = 2**24
"""About how many numbers are read at once for a digest."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Arrays whose rows are examples.

    Attributes:
        what: what they are called in messages.
        inputs: what a row is made of.
        parts: each array [m, *shape] by its name within the inputs: a tensor, or whatever has a shape and a dtype and
            gives its rows for an array of their increasing numbers, as NumPy's arrays, its memory maps, and HDF5 do.
        scale: what floating numbers are divided by; None: 255 where the array is of uint8, else 1.
    """

    what: str
    inputs: Inputs
    parts: Mapping[str, Any]
    scale: float | None = None

    @classmethod
    def of(cls, what: str, given: Any, inputs: Inputs | None = None, scale: float | None = None) -> Columns:
        """From an array, or a dict or a tuple of them.

        Raises:
            UsageError: they do not fit the inputs or each other, or it is not said what their numbers mean.
        """
        if scale is not None and not scale > 0:
            raise UsageError(f"scale must be above 0, not {scale:g}: {what} are divided by it")
        if isinstance(given, Mapping):
            arrays: Any = {name: as_array(part) for name, part in given.items()}
        else:
            arrays = tuple(map(as_array, given)) if isinstance(given, tuple) else as_array(given)
        wanted = _inputs_of(what, arrays) if inputs is None else inputs
        parts = named_tensors(wanted, arrays)
        if not parts:
            raise UsageError(f"{what} must be {described(wanted)}, as inputs says, not {type(given).__name__}")
        for name, part in named(wanted).items():
            _check_numbers(f"{what}{name}", parts[name])
            shape = list(parts[name].shape)
            if not shape or shape[1:] != list(part.shape):
                raise UsageError(f"{what}{name} of shape {shape} must be {part}, n of them")
        lengths = {f"{what}{name}": len(part) for name, part in parts.items()}
        if len(set(lengths.values())) > 1:
            raise UsageError(
                f"{' and '.join(f'{name} of {length}' for name, length in lengths.items())} must be equally many"
            )
        if not min(lengths.values()):
            raise UsageError(f"there are no {what}")
        return cls(what, wanted, parts, scale)

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def pick(self, rows: Tensor, device: torch.device, mask: Tensor | None = None) -> Any:
        """Of rows [episodes, n] what they hold, each tensor [episodes, n, *shape] on a device.

        Args:
            rows: on the processor.
            mask: of the rows, which are there, on the device; the others are zeros.

        Raises:
            UsageError: a number is not finite.
        """
        found = {}
        for name, part in named(self.inputs).items():
            x = self._picked(name, part, rows).to(device)
            if mask is not None:
                x = x.masked_fill(~mask.reshape(*mask.shape, *[1] * len(part.shape)), 0)
            found[name] = x
        return _nested(self.inputs, found)

    def _picked(self, name: str, part: Input, rows: Tensor) -> Tensor:
        array = self.parts[name]
        if isinstance(array, Tensor):
            x = array.detach()[rows.to(array.device)].to(_torch(part))
        else:
            # Each row once and in order: a file is read from its beginning to its end, and HDF5 takes no other order.
            different, back = np.unique(rows.numpy(), return_inverse=True)
            picked = np.asarray(array[different])[back.reshape(rows.shape)]
            with np.errstate(over="ignore"):  # what no float32 holds is found below
                x = torch.from_numpy(picked.astype(DTYPES[part.kind]))
        if part.kind != "float":
            return x
        if not _is_uint8(array) and not is_finite(x):
            which = int(rows.flatten()[(~x.isfinite()).cpu().reshape(rows.numel(), -1).any(1)].min())
            raise UsageError(f"{self.what}{name} number {which}, counted from 0, holds a number that is not finite")
        scale = self.scale if self.scale is not None else 255.0 if _is_uint8(array) else 1.0
        return x if scale == 1 else x.div_(scale)

    def digest(self, digest: Any) -> None:
        """Tell a digest what the arrays hold, wherever they lie."""
        for name, array in self.parts.items():
            how = f"{named(self.inputs)[name]} {self.scale}"
            digest.update(f"{self.what}{name} {_dtype(array)} {list(array.shape)} {how}\n".encode())
            step = max(1, DIGESTED // max(1, int(np.prod(array.shape[1:]))))
            for first in range(0, len(array), step):
                digest.update(_bytes(array[first : first + step]))


def as_array(given: Any) -> Any:
    """What can be drawn from as it is; of all else, as lists and a table's columns, NumPy's array."""
    drawable = hasattr(given, "shape") and hasattr(given, "dtype")
    by_label = hasattr(given, "iloc")  # a pandas.Series finds rows by their labels, not by their numbers
    return given if drawable and not by_label else np.asarray(given)


def coded(what: str, values: Any, count: int) -> tuple[list[Any], NDArray[np.int64]]:
    """The different values in order, and of each of `count` examples the position of its own.

    Raises:
        UsageError: there is not one value an example.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if list(array.shape) != [count]:
        raise UsageError(f"{what} must be one for each of {count} examples, not of shape {list(array.shape)}")
    try:
        different, codes = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise UsageError(f"{what} must be all numbers or all texts: {error}") from error
    if different.dtype.kind == "f" and np.isnan(different).any():
        raise UsageError(f"{what} must be known of each example, and some are NaN; leave these examples out")
    return different.tolist(), codes.reshape(-1).astype(np.int64)


def _inputs_of(what: str, arrays: Any) -> Inputs:
    if isinstance(arrays, Mapping):
        return {name: _input_of(f"{what}.{name}", part) for name, part in arrays.items()}
    if isinstance(arrays, tuple):
        return tuple(_input_of(f"{what}.{at}", part) for at, part in enumerate(arrays))
    return _input_of(what, arrays)


def _input_of(what: str, array: Any) -> Input:
    """What the numbers mean that a type stands for: floating ones are numbers, and bytes are a picture."""
    shape = tuple(array.shape[1:])
    floating = array.dtype.is_floating_point if isinstance(array, Tensor) else np.dtype(array.dtype).kind == "f"
    if floating or _is_uint8(array):
        return Input(shape)
    raise UsageError(
        f"{what} are of {_dtype(array)}: say by inputs what they are, mamlzoo.Input({shape}) for numbers, "
        f"mamlzoo.Input({shape}, 'integer') or 'bool' for what they are"
    )


def _check_numbers(what: str, array: Any) -> None:
    """Refuse texts and objects.

    Raises:
        UsageError: it holds some.
    """
    if not isinstance(array, Tensor) and np.dtype(array.dtype).kind not in "fiub":
        raise UsageError(f"{what} must be numbers, not of {_dtype(array)}; make them so by np.asarray(…, float)")


def _nested(inputs: Inputs, parts: Mapping[str, Tensor]) -> Any:
    if isinstance(inputs, Input):
        return parts[""]
    if isinstance(inputs, Mapping):
        return {name: parts[f".{name}"] for name in inputs}
    return tuple(parts[f".{at}"] for at in range(len(inputs)))


def _torch(part: Input) -> torch.dtype:
    return {"float": torch.float32, "integer": torch.int64, "bool": torch.bool}[part.kind]


def _dtype(array: Any) -> str:
    return str(array.dtype).removeprefix("torch.")


def _is_uint8(array: Any) -> bool:
    return _dtype(array) == "uint8"


def _bytes(rows: Any) -> bytes:
    return raw_bytes(rows) if isinstance(rows, Tensor) else np.ascontiguousarray(rows).tobytes()
