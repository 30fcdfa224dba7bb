"""Numbers of a page: each array once, however many programs hold it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import torch
from torch import Tensor

KINDS = {torch.float32: "<f4", torch.float64: "<f8"}
"""How numbers of a dtype are written; of others, which are whole numbers, as 32-bit ones where they fit."""


class Pool:
    """Arrays and programs by number, for a page's JSON.

    Attributes:
        arrays: [kind, base64 of the numbers in row-major order] each; kind is 'f4', 'f8' or 'i4'.
        programs: documents.
    """

    def __init__(self) -> None:
        self.arrays: list[list[str]] = []
        self.programs: list[dict[str, Any]] = []
        self._known: dict[str, int] = {}

    def array(self, values: Tensor) -> int:
        """The number of an array."""
        kind = KINDS.get(values.dtype) or ("<i4" if _is_small(values) else "<f8")
        text = base64.b64encode(values.detach().contiguous().numpy().astype(kind).tobytes()).decode()
        return self._number(self.arrays, [kind[1:], text])

    def program(self, document: dict[str, Any]) -> int:
        """The number of a program."""
        return self._number(self.programs, document)

    def _number(self, among: list[Any], value: Any) -> int:
        key = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        if key not in self._known:
            self._known[key] = len(among)
            among.append(value)
        return self._known[key]


def _is_small(values: Tensor) -> bool:
    if values.is_floating_point():
        return False
    limits = torch.iinfo(torch.int32)
    return values.numel() == 0 or bool((values.long() >= limits.min).all() and (values.long() <= limits.max).all())
