"""What tells one experiment from another, and a whole file from a damaged one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.experiments.settings import Settings
from mamlzoo.raw_bytes import raw_bytes

LATER = frozenset(
    ["group_lrs", "optimizer_options", "schedule", "warmup", "final_factor", "decay_every", "decay_factor", "clip_norm",
     "clip_per", "ema", "patience", "norm_statistics", "network_models"]
)  # fmt: skip
"""Settings that the first run directories do not have."""


def digest(content: Any) -> str:
    """SHA-256 over nested dicts, lists and tuples of tensors, numbers, words and None."""
    state = hashlib.sha256()
    for part in _parts(content):
        state.update(part)
    return state.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        # Nothing that is kept requires a gradient; one flipped bit says so of a tensor whose numbers are whole.
        yield f"{value.dtype}{list(value.shape)}{' with gradient' if value.requires_grad else ''}".encode()
        yield raw_bytes(value)
    elif isinstance(value, Mapping):
        yield f"dict {len(value)}".encode()
        for key, item in value.items():
            yield f"{key!r}:".encode()
            yield from _parts(item)
    elif isinstance(value, list | tuple):
        yield f"list {len(value)}".encode()
        for item in value:
            yield from _parts(item)
    else:
        yield repr(value).encode()


def experiment_digest(config: Mapping[str, Any]) -> str:
    """The digest of the part of a config that defines the numbers: plugins, options and settings.

    What plugins read, and know of it, is no part of it: other data under the same options are refused (`check_data`).
    Neither are settings and options that came later, at their defaults: runs of before are those experiments still.
    """
    known = options.options_of(Settings)
    defining: dict[str, Any] = {
        "settings": {
            name: value
            for name, value in config["settings"].items()
            if name not in LATER or value != known[name].default
        }
    }
    for kind in KINDS:
        elsewhere = ("data", "facts", "later", "options")
        defining[kind] = {key: value for key, value in config[kind].items() if key not in elsewhere}
        later = config[kind].get("later", ())
        given = config[kind].get("options", {})
        defining[kind]["options"] = {name: value for name, value in given.items() if name not in later}
    return digest(json.loads(json.dumps(defining, sort_keys=True)))
