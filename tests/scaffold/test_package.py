"""What `mamlzoo new-plugin` writes works as it stands, and what stands there is never overwritten."""

from __future__ import annotations

import re
import tomllib

import pytest

from mamlzoo.discovery.entry_points import installed
from mamlzoo.scaffold import package as new_plugin
from mamlzoo.testing import conformance, outcomes_of

KINDS = ("task", "model", "algorithm")
PAGES = {
    "task": ("write-a-task", "decays"),
    "model": ("write-a-model", "residual-net"),
    "algorithm": ("write-an-algorithm", "every-step"),
}


@pytest.fixture
def known(distribution):
    """Makes the module of a package that was written known to mamlzoo."""

    def install(name: str, folder) -> None:
        source = (folder / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
        distribution(name.replace("-", "_"), source, cls="MyThing")

    return install


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_has_a_module_an_entry_point_tests_a_readme_and_a_licence(cli, tmp_path, kind):
    cli("new-plugin", "my-thing", "--kind", kind)
    folder = tmp_path / "my-thing"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written == {"pyproject.toml", "README.md", "LICENSE", "my_thing.py", "tests/test_my_thing.py"}
    table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    project = table["project"]
    assert project["dependencies"] == ["mamlzoo>=0.1,<0.3"]
    assert project["entry-points"]["mamlzoo"] == {"my-thing": "my_thing:MyThing"}
    assert table["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == ["my_thing.py"]
    assert not any("$" in path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "kind", [kind if kind == "task" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_its_plugin_is_found_passes_every_check_and_runs(cli, tmp_path, known, kind):
    cli("new-plugin", "my-thing", "--kind", kind)
    known("my-thing", tmp_path / "my-thing")
    plugin = installed().make(kind, "my-thing")
    assert [o.finding for o in outcomes_of(plugin) if o.verdict != "passed"] == []
    printed = cli(
        "run", f"-{kind[0]}", "my-thing", "--iterations", "2", "--test-tasks", "2", "--test-steps", "1"
    ).stdout
    assert "my-thing" in printed


def test_its_tests_are_the_conformance_kit_in_one_line():
    source = new_plugin.package("my-thing", "task")["tests/test_my_thing.py"]
    assert source.endswith("\ntest_conforms = conformance(MyThing)\n")
    assert callable(conformance)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_on_writing_one_begins_with_what_is_written(repository, kind):
    page, name = PAGES[kind]
    first = re.search(r"^```python[^\n]*\n(.*?)^```", (repository / f"docs/{page}.md").read_text("utf-8"), re.M | re.S)
    assert first[1] == new_plugin.package(name, kind)[f"{name.replace('-', '_')}.py"]
    assert len(first[1].splitlines()) < 40


def test_the_second_algorithm_of_its_page_is_that_of_the_example_package(repository):
    page = (repository / "docs/write-an-algorithm.md").read_text(encoding="utf-8")
    shown = re.search(r'^```python title="set_encoder.py"\n(.*?)^```', page, re.M | re.S)[1]
    example = repository / "tests/example_plugin/mamlzoo_example/set_encoder.py"
    assert shown in example.read_text(encoding="utf-8")


def test_a_directory_that_is_not_empty_is_left_alone(cli, tmp_path):
    (tmp_path / "my-task").mkdir()
    (tmp_path / "my-task" / "notes.txt").write_text("mine")
    assert "nothing is overwritten" in cli.error("new-plugin", "my-task", "--kind", "task")
    assert [path.name for path in (tmp_path / "my-task").iterdir()] == ["notes.txt"]


def test_another_directory_can_be_named(cli, tmp_path):
    cli("new-plugin", "my-task", "--kind", "task", "--out", tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "my_task.py").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("My_Task", "use lower-case letters, digits and dashes, and begin with a letter, as in 'my-task'"),
        ("2nd", "begin with a letter"),
        ("../up", "use lower-case letters"),
        ("class", "Python has another use for 'class'"),
        ("tests", "Python has another use for 'tests'"),
        ("json", "there is a module 'json' already"),
        ("numpy", "there is a module 'numpy' already"),
        ("episode", "the class of 'episode' would be Episode, which its module needs"),
        ("sine", "the name of task 'sine' is taken by mamlzoo"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_written(cli, tmp_path, name, reason):
    assert reason in cli.error("new-plugin", name, "--kind", "task")
    assert list(tmp_path.iterdir()) == []
