"""Who may import whom, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = sorted((ROOT / "mamlzoo").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
HOMES = {
    "click": ["cli"],
    "rich": ["cli"],
    "matplotlib": ["figures", "sweep_plots.py"],
    "pluggy": ["hooks.py", "discovery"],
}


class _WithoutTypeChecking(ast.NodeTransformer):
    """What is imported for annotations alone is not imported."""

    def visit_If(self, node: ast.If) -> ast.If | None:
        return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node


def imported(path: Path, *, for_types: bool = True) -> set[str]:
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree if for_types else _WithoutTypeChecking().visit(tree)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_names_no_plugin(path):
    assert not {name for name in roots(path) if name.startswith("mamlzoo_")}


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_are_imported_in_their_own_places_alone(path):
    inside = path.relative_to(ROOT / "mamlzoo").parts[0]
    for library, homes in HOMES.items():
        assert library not in roots(path) or inside in homes


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_torch_the_standard_library_and_public_names_only(path):
    assert roots(path) <= {"torch", "mamlzoo", *sys.stdlib_module_names}
    import mamlzoo

    own = {name.partition(".")[2] for name in imported(path) if name.startswith("mamlzoo.")}
    assert own <= set(mamlzoo.__all__)


@pytest.mark.parametrize("path", sorted((ROOT / "mamlzoo" / "engine").glob("*.py")), ids=lambda path: path.name)
def test_the_engine_knows_the_interfaces_only(path):
    allowed = {"interfaces", "errors", "explanations", "trees", "tables", "engine"}
    used = {name.split(".")[1] for name in imported(path) if name.startswith("mamlzoo.")}
    assert used <= allowed


def test_the_layers_below_do_not_import_the_layers_above():
    order = [
        "errors",
        "explanations",
        "tables",
        "options",
        "trees",
        "differentiation",
        "interfaces",
        "adaptation",
        "hooks",
        "watching",
        "recipes",
        "discovery.failures",
        "discovery.neighbours",
        "discovery.code",
        "discovery.trust",
        "discovery.given",
        "discovery.admission",
        "discovery.brought",
        "discovery.registry",
        "discovery.origins",
        "blame",
        "settings",
        "layouts",
        "checkpoints",
        "running",
        "experiment",
        "store",
        "recording",
        "comparing",
        "combinations",
        "tested",
        "verification",
        "reproduction",
        "testing.checks",
        "testing.of_tasks",
        "testing.of_models",
        "testing.of_algorithms",
        "testing.of_purity",
        "testing.of_classifiers",
        "testing.kit",
        "new_plugin",
        "cli",
    ]
    for position, module in enumerate(order[:-1]):
        used = imported(ROOT / "mamlzoo" / f"{module.replace('.', '/')}.py", for_types=False)
        above = {f"mamlzoo.{later}" for later in order[position + 1 :]}
        assert not used & above, module


@pytest.mark.parametrize("arguments", [["-c", "import mamlzoo"], ["-m", "mamlzoo", "--help"]], ids=" ".join)
def test_importing_and_help_do_not_import_torch(arguments):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    modules = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time")}
    assert "mamlzoo" in modules
    assert not {"torch", "numpy", "matplotlib", "rich"} & modules


def test_nothing_outside_the_command_line_prints():
    for path in CORE + PLUGINS:
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}, path


def test_every_public_name_can_be_reached():
    import mamlzoo

    for name in mamlzoo.__all__:
        assert getattr(mamlzoo, name) is not None
    assert set(mamlzoo.__all__) <= set(dir(mamlzoo))


def test_an_unknown_name_is_an_attribute_error():
    import mamlzoo

    with pytest.raises(AttributeError, match="nope"):
        mamlzoo.nope  # noqa: B018
