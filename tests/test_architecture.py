"""What importing costs, that the public names are there, and that plugins need torch alone.

Who may import whom is `lint-imports`'s to say, by the rules in pyproject.toml.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import mamlzoo

OF_THEIR_OWN = {
    "image_files": {"PIL"},
    "omniglot_data": {"PIL"},
    "letter_pictures": {"matplotlib"},
    "tensorboard": {"tensorboard"},
    "mlflow": {"mlflow"},
    "wandb": {"wandb"},
}
"""Libraries that a file of the plugins may import besides."""
PLUGINS = sorted((Path(__file__).parent.parent / "plugins").rglob("*.py"))


@pytest.mark.parametrize("arguments", [["-c", "import mamlzoo"], ["-m", "mamlzoo", "--help"]], ids=" ".join)
def test_importing_and_help_do_not_import_torch(arguments):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    modules = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time")}
    assert "mamlzoo" in modules
    assert not {"torch", "numpy", "matplotlib", "rich"} & modules


def test_every_public_name_can_be_reached():
    for name in mamlzoo.__all__:
        assert getattr(mamlzoo, name) is not None
    assert set(mamlzoo.__all__) <= set(dir(mamlzoo))


def test_no_public_name_is_that_of_a_package_or_a_file():  # which would take its place once it is imported
    assert [name for name in mamlzoo.__all__ if importlib.util.find_spec(f"mamlzoo.{name}")] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nope"):
        mamlzoo.nope  # noqa: B018


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_built_in_plugins_import_torch_mamlzoo_the_standard_library_and_their_own_package_alone(path):
    found = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in found if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {
        "torch",
        "mamlzoo",
        path.parent.name,
        *OF_THEIR_OWN.get(path.stem, ()),
        *sys.stdlib_module_names,
    }
