"""Run directories of strangers: the code that they name is not executed, unless a person trusts it by name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

import mamlzoo
from mamlzoo import UsageError, files
from mamlzoo.comparisons import directory as comparison_directory
from mamlzoo.contracts import recipe_files
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.discovery import source_code, trust
from mamlzoo.errors import PluginError
from mamlzoo.runs import checkpoint_file
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.config import experiment_from
from mamlzoo.runs.digests import experiment_digest

pytestmark = pytest.mark.usefixtures("no_figures")
QUICK = {"iterations": 1, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "plan": "loop"}
NET = """
from torch import nn

def Net(): return nn.Linear(1, 1)
"""
EVIL = (
    """
from pathlib import Path
Path({marker!r}).write_text("executed")
"""
    + NET
)


@pytest.fixture(scope="module")
def run(tmp_path_factory, no_figures) -> Path:
    """A finished run of built-in plugins."""
    directory = tmp_path_factory.mktemp("trust") / "run"
    mamlzoo.run(**QUICK, out=directory)
    return directory


@pytest.fixture
def marker(tmp_path, monkeypatch) -> Path:
    """What a stranger's code leaves behind wherever it is executed; the folder that it lies in can be imported from."""
    place, folder = tmp_path / "marker", tmp_path / "handed"
    evil = EVIL.format(marker=str(place))
    for name, source in {
        "evil.py": evil,
        "evil_module.py": evil,
        "evil_package/__init__.py": evil,
        "evil_package/inner.py": NET,
        "near.py": evil,
        "imports_near.py": "import near\n" + NET,
        "good.py": NET + f"def other():\n    open({str(place)!r}, 'w')\n",
        "elsewhere/good.py": evil,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    (folder / "link.py").symlink_to(folder / "evil.py")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.chdir(folder)
    (folder / "support.csv").write_text("x,y\n1,1\n2,2\n")
    trust.add([source_code.Source(f"{folder}/good.py:Net", source_code.digest("good.py"))])
    return place


def crafted(run: Path, directory: Path, change) -> Path:
    """A copy of a run whose config was changed, with sums and digests that fit."""
    shutil.copytree(run, directory)
    config = run_directory.read_config(run)
    checkpoint = checkpoint_file.load(run / checkpoint_file.NAME, experiment_digest(config))
    change(config)
    run_directory.write_config(directory, config)
    run_directory.write_checkpoint(directory, checkpoint, config)
    files.write_sums(directory, run_directory.SUMMED)
    return directory


def unfinished(run: Path) -> Path:
    other = shutil.copytree(run, run.with_name("unfinished"))
    run_directory.reopen(other)
    return other


REFERENCES = {
    "an absolute path": "{folder}/evil.py:Net",
    "a relative path": "evil.py:Net",
    "a path below the home": "~/evil.py:Net",
    "a link": "{folder}/link.py:Net",
    "a file alone": "evil.py",
    "a module": "evil_module:Net",
    "a module in a package that executes": "evil_package.inner:Net",
    "a file whose neighbour executes": "{folder}/imports_near.py:Net",
    "Python's own console": "code:interact",
    "Python's own shell": "subprocess:getoutput",
}


def as_registered(reference, sha256):
    return {"name": reference, "registered": True, "version": None}


def as_source(reference, sha256):
    return {"name": "Net", "registered": False, "version": None, "source": {"reference": reference, "sha256": sha256}}


def with_another_digest(reference, sha256):
    return as_source(reference, "0" * 64)


def with_a_digest_that_is_trusted(reference, sha256):
    return as_source(reference, source_code.digest("good.py"))


FORMS = [as_registered, as_source, with_another_digest, with_a_digest_that_is_trusted]
CRAFTED = [(form, reference) for form in FORMS for reference in REFERENCES]


@pytest.mark.parametrize(
    ("form", "reference"), CRAFTED, ids=[f"{form.__name__}, {reference}" for form, reference in CRAFTED]
)
def test_code_that_a_handed_over_directory_names_is_not_executed(form, reference, run, marker, tmp_path, cli):
    os.chdir(tmp_path / "handed")
    text = REFERENCES[reference].format(folder=tmp_path / "handed")
    place = text.rpartition(":")[0] or text
    kind = list(KINDS)[len(text) % 3]
    saved = form(text, source_code.digest(place))
    run = crafted(run, tmp_path / "run", lambda config: config[kind].update(saved, options={}))
    refused = cli.error("adapt", run, "--support", "support.csv")
    if form is not with_a_digest_that_is_trusted:  # there the code of that digest is taken, from where it was trusted
        assert refused.startswith(f"{kind} '{saved['name']}' ") or refused.startswith(f"there is no {kind} '{text}'")
    cli.error("resume", unfinished(run), "-q", code=1 if "θ" in refused else 2)
    cli.error("plot", "adaptation", run)
    cli.error("plot", "embedding", run)
    with pytest.raises(UsageError):
        mamlzoo.load(run).adapt([[1.0]], [1.0])
    assert run.joinpath("result.json").exists()
    assert not marker.exists()


@pytest.mark.parametrize(
    ("form", "reference"), [(as_registered, "an absolute path"), (as_source, "a module in a package that executes")]
)
def test_what_is_shown_of_a_handed_over_directory_needs_none_of_its_code(form, reference, run, marker, tmp_path, cli):
    os.chdir(tmp_path / "handed")
    text = REFERENCES[reference].format(folder=tmp_path / "handed")
    saved = form(text, source_code.digest(text.rpartition(":")[0]))
    run = crafted(run, tmp_path / "run", lambda config: config["model"].update(saved, options={}))
    cli("resume", run, "-q")
    cli("plot", "curves", run)
    cli("report", run)
    assert len(mamlzoo.Comparison([mamlzoo.load(run), mamlzoo.load(run)]).table().rows) == 2
    assert not marker.exists()
    assert ("never run here" if form is as_source else "there is no model") in Path("report.html").read_text()


def test_a_name_that_was_not_trusted_in_a_file_that_was_is_refused(run, marker, tmp_path):
    saved = as_source(f"{tmp_path}/handed/good.py:other", source_code.digest("good.py"))
    run = crafted(run, tmp_path / "run", lambda config: config["model"].update(saved, options={}))
    with pytest.raises(UsageError, match="model 'Net' is code that was never run here"):
        mamlzoo.load(run).adapt([[1.0]], [1.0])
    assert not marker.exists()


def test_a_source_beside_the_name_of_an_installed_plugin_is_not_executed(run, marker, tmp_path):
    saved = as_source(f"{tmp_path}/handed/evil.py:Net", source_code.digest("evil.py"))
    run = crafted(
        run, tmp_path / "run", lambda config: config["model"].update(saved, name="mlp", registered=True)
    )  # fmt: skip
    mamlzoo.load(run).adapt([[1.0]], [1.0])
    assert not marker.exists()


def test_a_run_that_begins_with_the_theta_of_a_handed_over_one_executes_nothing(run, marker, tmp_path):
    saved = as_source(f"{tmp_path}/handed/evil.py:Net", source_code.digest("evil.py"))
    run = crafted(run, tmp_path / "run", lambda config: config["model"].update(saved, options={}))
    mamlzoo.run(**QUICK, init_from=str(run))
    assert not marker.exists()


def test_the_plan_of_a_handed_over_comparison_executes_nothing(run, marker, tmp_path, cli):
    directory = tmp_path / "both"
    directory.mkdir()
    config = run_directory.read_config(run)
    config["model"].update(
        as_source(f"{tmp_path}/handed/evil.py:Net", source_code.digest(f"{tmp_path}/handed/evil.py"))
    )
    comparison_directory._write_members(directory, [config], None, None)
    assert "model 'Net' is code that was never run here" in cli.error("resume", directory, "-q")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["evil.py:Net", "evil_module:Net"])
def test_a_recipe_names_plugins_and_no_code(name, marker):
    with pytest.raises(PluginError, match="is no name of a plugin"):
        recipe_files.parse(
            'name = "r"\nversion = 1\nsummary = "s"\nsource = "s"\nminutes = 1\n'
            f'[runs.a]\ntask = "sine"\nmodel = "{name}"\nalgorithm = "maml"\nseeds = 1\n'
        )
    assert not marker.exists()


@pytest.fixture
def handed(run, marker, tmp_path) -> Path:
    """A directory that names a harmless file, as another person's run of it would be."""
    folder = tmp_path / "handed"
    (folder / "net.py").write_text(NET)
    return made_with(tmp_path, "net.py:Net")


def made_with(tmp_path: Path, model: str) -> Path:
    """A run made here with some code, once the list no longer knows it and in a process that did not execute it."""
    from mamlzoo.discovery import file_references

    mamlzoo.run(model=model, **QUICK, out=tmp_path / "made")
    trust.path().unlink()
    file_references._known.clear()
    return tmp_path / "made"


def test_the_line_says_which_code_and_how_it_is_trusted_and_then_it_runs(handed, tmp_path, cli):
    os.chdir(tmp_path / "handed")
    sha256, place = source_code.digest("net.py"), f"{tmp_path}/handed/net.py:Net"
    assert cli.error("adapt", handed, "--support", "support.csv") == (
        f"model 'Net' is code that was never run here, {place} with SHA-256 {sha256}, and none of it was executed; "
        f"read it, and if you trust it: `mamlzoo trust {place}`"
    )
    assert f"trusted: {place}, SHA-256 {sha256}" in cli("trust", "net.py:Net").stdout
    cli("adapt", handed, "--support", "support.csv")


@pytest.mark.parametrize("command", ["compare", "sweep"])
def test_code_of_runs_that_were_not_begun_is_trusted_as_well(command, tmp_path, cli, monkeypatch):
    for name in ("A", "B"):
        (tmp_path / f"{name}.py").write_text(
            f"from torch import nn\n\nclass {name}(nn.Linear):\n    def __init__(self):\n        super().__init__(1, 1)\n"
        )
    os.chdir(tmp_path)
    monkeypatch.setattr("mamlzoo.runs.recording.record", lambda *args: 1 / 0)
    with pytest.raises(AssertionError):
        cli(command, "-m", "A.py:A", "-m", "B.py:B", "--iterations", "1", "--test-tasks", "2", "--out", "all")
    listed = trust.path().read_text()
    assert all(f"  {tmp_path}/{name}.py:{name}\n" in listed for name in ("A", "B"))


@pytest.mark.parametrize("place", ["net.py", "good", "evil_package.inner"])
def test_a_name_that_the_code_lacks_is_refused_and_nothing_is_trusted_nor_executed(
    place, handed, marker, tmp_path, cli
):
    os.chdir(tmp_path / "handed")
    assert cli.error("trust", f"{place}:Net", f"{place}:Nets") == f"{place} has no 'Nets'; did you mean 'Net'?"
    assert not trust.path().exists()
    assert not marker.exists()


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    from torch.nn import Linear as Net\nexcept ImportError:\n    Net = None\n",
        "for Net in (1, 2):\n    pass\n",
        "class Net:\n    pass\n",
        "from net import *\n",
        "def __getattr__(name):\n    return 3\n",
        "# -*- coding: latin-1 -*-\nNet = 'é'\n",
    ],
)
def test_a_name_that_the_code_may_have_can_be_trusted(source, handed, tmp_path, cli):
    (tmp_path / "handed" / "other.py").write_text(source, encoding="latin-1")
    os.chdir(tmp_path / "handed")
    assert "trusted: " in cli("trust", "other.py:Net").stdout


def test_a_file_that_is_no_python_is_not_trusted(handed, tmp_path, cli):
    (tmp_path / "handed" / "other.py").write_text("class Net(:")
    os.chdir(tmp_path / "handed")
    assert "other.py cannot be executed: SyntaxError: " in cli.error("trust", "other.py:Net")


def test_code_that_was_trusted_and_has_changed_is_refused(handed, tmp_path, cli):
    os.chdir(tmp_path / "handed")
    cli("trust", "net.py:Net")
    Path("net.py").write_text(Path("evil.py").read_text())
    assert "which has changed since" in cli.error("adapt", handed, "--support", "support.csv")
    assert not (tmp_path / "marker").exists()


def test_code_that_lies_elsewhere_than_the_directory_says_is_found_where_it_was_trusted(handed, tmp_path, cli):
    os.chdir(tmp_path / "handed")
    Path("net.py").rename("moved.py")
    cli("trust", "moved.py:Net")
    cli("adapt", handed, "--support", "support.csv")


def test_naming_it_to_resume_trusts_it_for_later(handed, tmp_path, cli):
    os.chdir(tmp_path / "handed")
    run_directory.reopen(handed)
    assert "never run here" in cli.error("resume", handed, "-q")
    cli("resume", handed, "-m", "net.py:Net", "-q")
    cli("adapt", handed, "--support", "support.csv")


def test_a_run_made_here_goes_on_without_a_word_in_another_process(run, marker, tmp_path, cli):
    from mamlzoo.discovery import file_references

    os.chdir(tmp_path / "handed")
    Path("net.py").write_text(NET)
    mamlzoo.run(model="net.py:Net", **QUICK).save(tmp_path / "made")
    file_references._known.clear()
    cli("adapt", tmp_path / "made", "--support", "support.csv")


def test_saving_a_result_that_was_loaded_trusts_nothing(handed, tmp_path):
    mamlzoo.load(handed).save(tmp_path / "again")
    with pytest.raises(UsageError, match="never run here"):
        experiment_from(json.loads((tmp_path / "again" / "config.json").read_text()))


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("what", ["trusted", ""])
def test_a_list_that_others_can_write_is_not_used(what, handed, tmp_path, cli):
    os.chdir(tmp_path / "handed")
    cli("trust", "net.py:Net")
    assert stat.S_IMODE(trust.path().stat().st_mode) == 0o600
    place = trust.path().parent / what
    place.chmod(0o777)
    refused = cli.error("adapt", handed, "--support", "support.csv")
    assert refused.startswith(f"{place} can be written by others, so nothing in it is trusted; chmod go-w")
    assert "can be written by others" in cli.error("trust", "net.py:Net")


def test_a_run_is_made_where_the_list_cannot_be_written(marker, tmp_path, monkeypatch, cli):
    os.chdir(tmp_path / "handed")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
    flags = [word for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    said = cli("run", "-m", "good.py:Net", *flags, "--out", "made").stderr
    assert "/dev/null/mamlzoo/trusted cannot be written: Not a directory" in said
    assert run_directory.is_finished(Path("made"))


@pytest.mark.parametrize("place", ["good.py", "evil_module"])
def test_what_is_executed_is_what_was_compared(place, marker, tmp_path, monkeypatch):
    """A file or a module that is edited between the look for it and its execution is not executed."""
    from mamlzoo.discovery import file_references, serialisation

    path, saved = tmp_path / "handed" / f"{place.removesuffix('.py')}.py", f"{place}:Net"
    path.write_text(NET)
    reference = source_code.reference_of(saved)
    source = source_code.Source(reference, source_code.digest(place))
    trust.add([source])
    evil, looked_at = (tmp_path / "handed" / "evil.py").read_text(), file_references.unchanged

    def then_edited(*arguments):
        found = looked_at(*arguments)
        path.write_text(evil)
        return found

    monkeypatch.setattr(file_references, "unchanged", then_edited)
    with pytest.raises(UsageError, match=f"is not the code that was asked for .SHA-256 {source.sha256}, now "):
        serialisation.make("model", as_source(reference, source.sha256) | {"options": {}})
    assert not marker.exists()


def test_a_module_that_is_edited_after_its_digest_was_made_runs_as_it_was_then(marker, tmp_path, monkeypatch):
    path = tmp_path / "handed" / "raced_module.py"
    path.write_text(NET)
    compared = source_code._check_same

    def then_edited(*arguments):
        compared(*arguments)
        path.write_text((tmp_path / "handed" / "evil.py").read_text())

    monkeypatch.setattr(source_code, "_check_same", then_edited)
    loaded = source_code.load("raced_module")
    assert not marker.exists()
    assert loaded.module is sys.modules["raced_module"]
    assert loaded.sha256 == hashlib.sha256(NET.encode()).hexdigest()


def test_a_module_that_was_imported_before_it_was_edited_is_not_taken_for_what_it_is_now(marker, tmp_path):
    from mamlzoo.discovery import file_references, serialisation

    path = tmp_path / "handed" / "edited_module.py"
    path.write_text(NET)
    file_references.find("edited_module:Net")
    path.write_text(NET + "# edited\n")
    source = source_code.Source("edited_module:Net", source_code.digest("edited_module"))
    trust.add([source])
    with pytest.raises(UsageError, match="in a new process"):
        serialisation.make("model", as_source(*source) | {"options": {}})


def test_trusted_code_is_executed_where_it_was_trusted_not_where_the_directory_says(marker, tmp_path):
    from mamlzoo.discovery import file_references, serialisation

    for folder in ("mine", "theirs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(NET)
    mine, theirs = tmp_path / "mine/net.py", tmp_path / "theirs/net.py"
    sha256 = source_code.digest(str(mine))
    trust.add([source_code.Source(f"{mine}:Net", sha256)])
    saved = as_source(f"{theirs}:Net", sha256) | {"options": {}}
    assert file_references.source_of(type(serialisation.make("model", saved))).reference == f"{mine}:Net"
    mine.unlink()
    with pytest.raises(UsageError, match=f"it came from {mine}:Net, and there is no file {mine}"):
        serialisation.make("model", saved)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"], ids=ascii)
def test_a_path_with_a_line_end_puts_its_own_entry_into_the_list_and_no_other(end, marker, tmp_path):
    other = source_code.Source(f"{tmp_path}/handed/evil.py:Net", source_code.digest("evil.py"))
    source = source_code.Source(f"{tmp_path}/a{end}{other.sha256}  {other.reference}", "1" * 64)
    trust.add([source])
    lines = trust.path().read_text().splitlines()
    assert len(lines) == 2
    assert trust.places(source) == [source.reference]
    assert trust.places(other) == []
    trust.add([source])
    assert trust.path().read_text().splitlines() == lines


def test_a_file_in_a_folder_whose_name_has_a_line_end_can_be_trusted(marker, tmp_path):
    from mamlzoo.discovery import serialisation

    folder = tmp_path / f"a\n{'0' * 64}  b"
    folder.mkdir()
    (folder / "net.py").write_text(NET)
    source = source_code.Source(f"{folder}/net.py:Net", source_code.digest(f"{folder}/net.py"))
    trust.add([source])
    assert serialisation.make("model", as_source(*source) | {"options": {}}).name == "Net"


@pytest.mark.parametrize("line", ["\\\\x", "\\é", "\\", ""])
def test_a_line_of_the_list_that_means_nothing_is_none(line, marker):
    before = trust._listed()
    with trust.path().open("a") as file:
        file.write(f"{'1' * 64}  {line}\n")
    assert trust._listed() == before


def test_going_on_with_a_comparison_executes_no_code_of_its_finished_runs(run, marker, tmp_path, cli):
    """Trusted code too: nothing is asked of a run that has its result."""
    place = f"{tmp_path}/handed/evil.py"
    saved = as_source(f"{place}:Net", source_code.digest(place))
    trust.add([source_code.Source(**saved["source"])])
    directory = tmp_path / "both"
    directory.mkdir()
    finished, unfinished = run_directory.read_config(run), run_directory.read_config(run)
    finished["model"].update(saved, options={})
    comparison_directory._write_members(directory, [finished, unfinished], None, None)
    first, second = comparison_directory._members(directory)["runs"]
    crafted(run, directory / first, lambda config: config["model"].update(saved, options={}))
    cli("resume", directory, "-q")
    assert run_directory.is_finished(directory / second)
    assert not marker.exists()
