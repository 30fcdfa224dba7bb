"""The built-in recipes: experiments of the notebooks and of papers, with the numbers that they must come to."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

import mamlzoo


@mamlzoo.hookimpl
def mamlzoo_recipes() -> list[Traversable]:
    found = [file for file in files(__package__).iterdir() if file.name.endswith(".toml")]
    return sorted(found, key=lambda file: file.name)
