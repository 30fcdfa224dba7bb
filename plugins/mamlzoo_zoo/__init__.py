"""The trained θ that come with mamlzoo: packed runs, made by the commands that stand in docs/trained.md."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

import mamlzoo


@mamlzoo.hookimpl
def mamlzoo_trained() -> list[Traversable]:
    found = [file for file in files(__package__).iterdir() if file.name.endswith(".safetensors")]
    return sorted(found, key=lambda file: file.name)
