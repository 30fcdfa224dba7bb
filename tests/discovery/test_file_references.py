"""Plugins brought along as `file.py:Name` and `package.module:Name`."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import inspect
import json
import os
import pickle
import shlex
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import mamlzoo
from mamlzoo import MamlzooError, PluginError, UsageError
from mamlzoo.discovery import file_references, serialisation, source_code
from mamlzoo.discovery.entry_points import installed
from mamlzoo_tasks.sine import Sine

pytestmark = pytest.mark.usefixtures("no_figures")
QUICK = {"iterations": 1, "meta_batch": 2, "test_tasks": 2, "test_steps": 1, "plan": "loop"}
FLAGS = [word for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", str(value))] + ["-q"]

NETS = """
    from torch import nn

    from mamlzoo import Model, option


    def make(spec):
        \"\"\"As wide as the task says.\"\"\"
        return nn.Linear(spec.input_shape[0], spec.output_size)


    def nothing():
        return nn.Linear(1, 1)


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(1, 1)

        def forward(self, x):
            return self.out(x)


    class Wide(Model):
        \"\"\"One hidden layer.\"\"\"

        name = "wide"
        width: int = option(3, "size of the hidden layer", minimum=1)

        def build(self, spec):
            return nn.Sequential(nn.Linear(1, self.width), nn.Tanh(), nn.Linear(self.width, 1))


    ready = Net()


    def number(spec):
        return 3


    def several(inputs, outputs):
        return nn.Linear(inputs, outputs)


    size = 5
"""
TASKS = """
    from __future__ import annotations

    from mamlzoo_tasks.sine import Sine
    from mamlzoo import option


    class Waves(Sine):
        \"\"\"Waves of one height.\"\"\"

        name = "waves"
        height: float = option(1.0, "of a wave", above=0)


    class Unfinished(Sine):
        \"\"\"Its option has an annotation that there is not.\"\"\"

        name = "unfinished"
        height: Nothing = option(1.0, "of a wave")


    class Quoted(Sine):
        \"\"\"Its name has a space.\"\"\"

        name = "my waves"


    waves = Waves(height=2.0)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where commands run, with files of a user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    write("nets.py", NETS)
    write("tasks.py", TASKS)
    return tmp_path


def write(name: str, source: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(textwrap.dedent(source).lstrip(), encoding="utf-8")


def theta(result) -> set[str]:
    return set(result.meta["network"])


@pytest.mark.parametrize("name", ["make", "nothing", "Net", "ready"])
def test_a_network_in_a_file_is_a_model(folder, name):
    result = mamlzoo.run("sine", f"nets.py:{name}", **QUICK)
    assert len(theta(result)) == 2
    assert result.config["model"]["name"] == name


def test_a_plugin_in_a_file_has_its_options(folder, cli):
    result = mamlzoo.run("tasks.py:Waves", "nets.py:Wide", options={"task.height": 2, "model.width": 7}, **QUICK)
    assert result.config["task"]["options"]["height"] == 2
    assert result.meta["network"]["0.weight"].shape == (1, 7, 1)
    cli("run", "-m", "nets.py:Wide", "--model.width", 4, *FLAGS, "--out", "run")
    assert mamlzoo.load("run").meta["network"]["0.weight"].shape == (1, 4, 1)
    assert mamlzoo.make("task", "tasks.py:Waves", height=3.0).height == 3


def test_a_name_may_stand_in_a_module(folder):
    assert installed().get("task", "mamlzoo_tasks.sine:Sine") is Sine
    assert mamlzoo.make("model", "torch.nn:Flatten").name == "Flatten"


@pytest.mark.parametrize("text", ["./nets.py:Net", "sub/../nets.py:Net", "{}/nets.py:Net", "~/nets.py:Net"])
def test_a_file_is_the_same_however_its_path_is_written(folder, monkeypatch, text):
    (folder / "sub").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    assert file_references.find(text.format(folder)) is file_references.find("nets.py:Net")


def test_the_name_may_be_left_out_where_there_is_one_alone(folder):
    write("one.py", "from torch import nn\n\n\ndef _helper(): ...\n\n\ndef net():\n    return nn.Linear(1, 1)\n")
    assert mamlzoo.make("model", "one.py").name == "net"
    assert mamlzoo.make("model", "nets.py").name == "wide"  # the only plugin among networks


def test_a_file_is_executed_once_and_again_when_it_has_changed(folder):
    write(
        "count.py", "import sys\nfrom torch import nn\nsys.counted = getattr(sys, 'counted', 0) + 1\nnet = nn.Linear\n"
    )
    try:
        for _ in range(3):
            with pytest.raises(UsageError, match="must be given in_features, out_features"):
                file_references.find("count.py:net")
        assert sys.counted == 1
        write("count.py", "import sys\nfrom torch import nn\nsys.counted += 1\nnet = nn.Flatten()\n")
        assert file_references.find("count.py:net").kind == "model"
        assert sys.counted == 2
    finally:
        del sys.counted


def test_files_of_one_name_do_not_meet(folder):
    write(
        "a/net.py",
        "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(1, 1)\n",
    )
    write(
        "b/net.py",
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self):\n        super().__init__(nn.Linear(1, 1))\n",
    )
    both = mamlzoo.compare(model=["a/net.py:Net", "b/net.py:Net"], algorithm="maml", **QUICK)
    assert [theta(result) for result in both.results] == [{"weight", "bias"}, {"0.weight", "0.bias"}]


def test_what_is_brought_along_can_be_pickled_copied_and_its_source_read(folder):
    waves = mamlzoo.make("task", "tasks.py:Waves", height=4.0)
    assert pickle.loads(pickle.dumps(waves)) == copy.deepcopy(waves) == waves
    assert 'name = "waves"' in inspect.getsource(type(waves))


def test_a_file_may_import_what_lies_beside_it(folder):
    write("sub/beside_it.py", "from torch import nn\nlayer = nn.Linear(1, 1)\n")
    write("sub/net.py", "import beside_it\n\n\ndef net():\n    from beside_it import layer\n    return layer\n")
    net = mamlzoo.make("model", "sub/net.py:net")
    assert net.build(Sine.spec) is type(net).__wrapped__.__globals__["beside_it"].layer


def test_nothing_that_is_installed_is_hidden_and_what_would_be_is_refused(folder):
    write("sub/json.py", "")
    write("sub/net.py", "from torch import nn\n\n\ndef net():\n    return nn.Linear(1, 1)\n")
    file_references.find("sub/net.py:net")
    assert json.__file__ != str(folder / "sub" / "json.py")
    write("sub/net.py", "import json\n")
    with pytest.raises(UsageError) as caught:
        file_references.find("sub/net.py:net")
    here = folder / "sub"
    assert str(caught.value) == (
        f"{here / 'net.py'} imports 'json', and {here / 'json.py'} is hidden by {json.__file__}; give it another name"
    )


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("model", "nest.py:Net", "there is no file nest.py ({}/nest.py)"),
        ("model", "nets:Net", "there is no module 'nets'; for the file write nets.py:…"),
        ("model", "no.where:Net", "there is no module 'no.where'; a file is written with its .py"),
        ("model", ":Net", "':Net' names no file; write path/to/file.py:Net or package.module:Name"),
        ("model", "nets.py:Nett", "nets.py has no 'Nett'; did you mean 'Net'?"),
        ("algorithm", "nets.py:Nett", "nets.py has no 'Nett'; it offers no algorithm at all"),
        ("task", "tasks.py:", "tasks.py offers several: Quoted, Unfinished, Waves; say which, as tasks.py:Quoted"),
        ("algorithm", "nets.py", "nets.py offers no algorithm; it must be a subclass of mamlzoo.MetaAlgorithm"),
        ("model", "tasks.py:Waves", "tasks.py:Waves is no model but another kind, task"),
        ("task", "nets.py:Net", "nets.py:Net is no task but class Net; it must be a subclass of mamlzoo.Task"),
        ("model", "nets.py:size", "nets.py:size is no model but of type int; it must be a subclass of mamlzoo.Model, "
         "a torch.nn.Module, its class, or a function that makes one"),
        ("model", "nets.py:several", "model 'several' must be given inputs, outputs; what makes a network takes a Spec "
         "alone, or nothing: give the others defaults"),
        ("model", "nets.py:number", "model 'number' built an int; it must be a torch.nn.Module (from {0}/nets.py; "
         "`mamlzoo check {0}/nets.py:number` tests it)"),
        ("task", "tasks.py:waves", "tasks.py:waves is an instance; name its class, as tasks.py:Waves, and give options "
         "as flags"),
        ("task", "tasks.py:Quoted", "tasks.py:Quoted: Quoted is called 'my waves', which a command line or a path cannot "
         "take as it stands; use letters, digits, dashes, dots and underscores, a letter or digit first"),
        ("task", "tasks.py:Unfinished", "tasks.py:Unfinished: Unfinished has an unusable option: name 'Nothing' is not "
         "defined; an option is declared as shots: int = mamlzoo.option(10, 'support points of an episode')"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(folder, kind, text, line):
    with pytest.raises(MamlzooError) as caught:
        mamlzoo.run(**{kind: text}, **QUICK)
    assert str(caught.value) == line.format(folder)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n\ny = x / 0\n", "line 3: ZeroDivisionError: division by zero"),
        ("def f(:\n", "line 1: SyntaxError: invalid syntax"),
        ("import nowhere_at_all\n", "line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("import sys\nsys.exit('bye')\n", "line 2: SystemExit: bye"),
    ],
)
def test_a_file_that_raises_is_named_with_its_line(folder, cli, source, said):
    write("bad.py", source)
    with pytest.raises(PluginError) as caught:
        file_references.find("bad.py:Net")
    assert str(caught.value) == f"{folder / 'bad.py'}, {said} (`mamlzoo --debug` shows where)"
    assert cli.error("run", "-m", "bad.py:Net", code=1) == str(caught.value)
    assert not [name for name in sys.modules if name.startswith("bad_")]


UNDOCUMENTED = """
import mamlzoo
from torch import nn
from mamlzoo_tasks.sine import Sine

class Gru(nn.GRU):
    pass

class Quad(Sine):
    name = "quad"

whole = nn.Sequential(nn.Linear(1, 1))
"""


@pytest.mark.parametrize("name", ["Gru", "Quad", "whole"])
def test_info_of_what_has_no_docstring_of_its_own_says_so(folder, cli, name):
    write("bare.py", UNDOCUMENTED)
    assert cli("info", f"bare.py:{name}").stdout.splitlines()[2] == "no docstring"
    assert cli.json("info", f"bare.py:{name}")["description"] is None


def test_an_option_without_its_type_is_told_how_it_is_declared(folder):
    write("bad.py", "import mamlzoo\n\n\nclass Net(mamlzoo.Model):\n    width = mamlzoo.option(3, 'of it')\n")
    with pytest.raises(PluginError) as caught:
        file_references.find("bad.py:Net")
    assert str(caught.value) == (
        f"{folder / 'bad.py'}, line 4: Net has an unusable option: 'width' is a field but has no type annotation; "
        "an option is declared as shots: int = mamlzoo.option(10, 'support points of an episode')"
    )


def test_an_option_that_init_sets_is_told_how_it_is_declared(folder, cli):
    write(
        "own.py",
        """
        from mamlzoo_tasks.sine import Sine


        class Own(Sine):
            name = "own"

            def __init__(self):
                self.shots = 5
        """,
    )
    for command in (["run", "-t", "own.py:Own", *FLAGS], ["check", "own.py:Own"]):
        assert cli.error(*command, code=1) == (
            "task 'own': cannot assign to field 'shots', as a plugin is frozen; an option is declared as "
            "shots: int = mamlzoo.option(10, 'support points of an episode'), not set in __init__"
        )


def test_the_name_of_a_built_in_cannot_be_taken(folder, cli):
    write("mine.py", "from mamlzoo_tasks.sine import Sine\n\n\nclass Mine(Sine):\n    pass\n")
    for command in (["run", "-t", "mine.py"], ["info", "mine.py:Mine"], ["check", "mine.py:Mine"]):
        assert cli.error(*command) == f"{command[-1]}: its name 'sine' is taken by mamlzoo; give it another"


def test_a_file_in_a_clone_of_mamlzoo_uses_the_mamlzoo_that_runs(folder):
    (folder / "mamlzoo").mkdir()
    (folder / "mamlzoo" / "__init__.py").write_text("raise RuntimeError('another mamlzoo')")
    write("own.py", "import mamlzoo\nfrom mamlzoo_tasks.sine import Sine\n\n\nclass Own(Sine):\n    name = 'own'\n")
    assert issubclass(file_references.find("own.py:Own"), mamlzoo.Task)


def test_info_explains_a_file(folder, cli):
    assert "One hidden layer." in cli("info", "nets.py:Wide").stdout
    document = cli.json("info", "nets.py:make")
    assert (document["kind"], document["description"]) == ("model", "As wide as the task says.")
    assert document["distribution"] == str(folder / "nets.py")


@pytest.fixture
def run(folder, cli) -> Path:
    """A run of brought plugins that has ended."""
    cli("run", "-t", "tasks.py:Waves", "-m", "nets.py:make", "--task.height", "2.0", *FLAGS, "--out", "run")
    return folder / "run"


def unfinished(run: Path) -> None:
    (run / "SHA256SUMS").unlink()
    (run / "result.json").unlink()


def test_a_runs_config_leads_back_to_its_files_from_anywhere(run, folder, cli, monkeypatch):
    before = mamlzoo.load(run).evaluation.mean.tolist()
    unfinished(run)
    monkeypatch.chdir(folder.parent)
    cli("resume", run, "-q")
    assert mamlzoo.load(run).evaluation.mean.tolist() == before


def test_a_runs_command_names_its_files(run, folder):
    from mamlzoo.runs.commands import command_of

    words = shlex.split(command_of(mamlzoo.load(run).config))
    assert words[2:8] == ["-t", f"{folder}/tasks.py:Waves", "-m", f"{folder}/nets.py:make", "-a", "maml"]
    assert words[8:10] == ["--task.height", "2.0"]


def test_a_run_whose_file_has_changed_can_be_looked_at_but_does_not_go_on(run, folder, cli):
    write("nets.py", NETS + "    # other\n")
    assert "waves × make × maml" in str(mamlzoo.load(run).table())
    cli("plot", "curves", run)
    with pytest.raises(
        UsageError, match="model 'make' cannot be made again: it came from .*nets.py:make, which has chan"
    ):
        mamlzoo.load(run).adapt([[1]], [1])
    unfinished(run)
    refused = cli.error("resume", run, "-q")
    assert "has changed since" in refused
    assert refused.endswith("make it what it was, or begin a new run with `mamlzoo run`")
    with pytest.raises(
        UsageError,
        match=r"the model given is not 'make' with the code that the run began with \(SHA-256 \w{12}…, now \w{12}…",
    ):
        mamlzoo.resume(run, model="nets.py:make")
    write("nets.py", NETS)
    cli("resume", run, "-q")


def test_a_run_whose_file_is_gone_says_so_and_takes_it_from_elsewhere(run, folder, cli):
    unfinished(run)
    (folder / "nets.py").rename(folder / "moved.py")
    assert cli.error("resume", run, "-q") == (
        f"model 'make' cannot be made again: it came from {folder}/nets.py:make, and there is no file "
        f"{folder}/nets.py; put it back, name its new place to `mamlzoo resume` by -t, -m or -a, or begin a new run"
    )
    assert mamlzoo.resume(run, model="moved.py:make").name == "waves × make × maml"


def test_resume_takes_a_moved_file_with_the_options_of_the_run_but_no_other_code(run, folder, cli):
    before = mamlzoo.load(run).evaluation.mean.tolist()
    unfinished(run)
    (folder / "tasks.py").rename(folder / "moved.py")
    write("other.py", TASKS + "    # other\n")
    assert "is not 'waves' with the code that the run began with" in cli.error(
        "resume", run, "-q", "-t", "other.py:Waves"
    )
    cli("resume", run, "-q", "-t", "moved.py:Waves")
    assert mamlzoo.load(run).evaluation.mean.tolist() == before


def test_a_finished_class_of_mamlzoos_own_is_a_plugin():
    assert installed().get("task", "mamlzoo.testing.probes:Lines").name == "lines"


def test_a_base_of_plugins_is_none():
    with pytest.raises(PluginError, match="Task is mamlzoo's own, a base of plugins; offer a subclass of it"):
        installed().get("task", "mamlzoo.contracts.plugins:Task")


def test_a_comparison_cannot_be_resumed_with_one_plugin_for_all_its_runs(folder, cli):
    mamlzoo.compare(algorithm=["maml", "scratch"], out="several", **QUICK)
    assert cli.error("resume", "several", "-a", "maml") == (
        "several is a comparison's directory; a task, a model or an algorithm is given for one run, as those below it; "
        "where a file has moved, `mamlzoo trust FILE.py:NAME` says where it is"
    )


@pytest.mark.slow
def test_an_edited_file_is_another_cell_of_a_sweep(folder, cli):
    words = ["sweep", "-m", "nets.py:make", "--meta-batch", "1,2", *FLAGS[:2], *FLAGS[4:], "--out", "cells"]
    cli(*words)
    write("nets.py", NETS + "    # other\n")
    cli(*words)
    assert len(list((folder / "cells").glob("*/config.json"))) == 4


def test_verify_takes_files(folder, cli):
    assert "all ways agree" in cli("verify", "-m", "nets.py:make", "--coordinates", 2, "--episodes", 1, "-q").stdout


SCALED = """
    from mamlzoo_tasks.sine import Sine
    from {near} import SCALE


    class Scaled(Sine):
        \"\"\"Sines of another height.\"\"\"

        name = "scaled"

        def loss(self, prediction, target):
            return SCALE * super().loss(prediction, target)

        def late(self):
            import far.inside

            return far.inside.SCALE
"""


def family(folder: str, near: str, scale: float) -> str:
    """A file that imports one beside it, which imports a package beside it."""
    write(f"{folder}/task.py", SCALED.format(near=near))
    write(f"{folder}/{near}.py", "from far import SCALE\n")
    write(f"{folder}/far/__init__.py", "from .inside import SCALE\n")
    write(f"{folder}/far/inside.py", f"SCALE = {scale}\n")
    return f"{folder}/task.py:Scaled"


def scale(task: mamlzoo.Task) -> float:
    return task.loss(torch.ones(1), torch.zeros(1)).item()


def test_files_never_share_what_lies_beside_them_at_any_depth(folder):
    one, two = (mamlzoo.make("task", family(f"at-{near}", near, of)) for near, of in {"near": 1.0, "nigh": 9.0}.items())
    assert [scale(one), scale(two), one.late(), two.late()] == [1, 9, 1, 9]


@pytest.mark.parametrize("edited", ["near.py", "far/__init__.py", "far/inside.py"])
def test_what_lies_beside_a_file_belongs_to_its_code(folder, edited):
    text = family("sub", "near", 2.0)
    before = mamlzoo.make("task", text)
    source = file_references.source_of(type(before))
    file_references.unchanged(source, [source.reference])
    path = folder / "sub" / edited
    path.write_text(path.read_text() + "SCALE = 5.0\n")
    with pytest.raises(UsageError, match="has changed since, or what it imports from its folder has"):
        file_references.unchanged(source, [source.reference])
    assert (scale(mamlzoo.make("task", text)), scale(before)) == (5, 2)
    assert before.late() == 2  # what was read is executed, also later
    assert pickle.loads(pickle.dumps(before)) == before


def test_an_imported_class_leads_back_to_the_module_that_defines_it(folder, monkeypatch):
    write("library/lib_waves.py", TASKS)
    monkeypatch.syspath_prepend(folder / "library")
    for file in ("one.py", "two.py"):
        write(file, f"from lib_waves import Waves  # {file}\n")
    found = [file_references.find(f"{file}:Waves") for file in ("one.py", "two.py")]
    source = file_references.source_of(found[1])
    assert found[0] is found[1]
    assert source.reference == "lib_waves:Waves"
    assert source.sha256 == hashlib.sha256((folder / "library" / "lib_waves.py").read_bytes()).hexdigest()
    write("one.py", "")
    file_references.unchanged(source, [source.reference])


def test_a_file_without_neighbours_has_its_own_sha256(folder):
    source = file_references.source_of(file_references.find("nets.py:Net"))
    assert source.sha256 == hashlib.sha256((folder / "nets.py").read_bytes()).hexdigest()


def test_what_would_be_hidden_is_refused_at_any_depth(folder):
    text = family("sub", "near", 1.0)
    write("sub/far/inside.py", "def later():\n    import json\nSCALE = 1.0\n")
    write("sub/json.py", "")
    with pytest.raises(UsageError) as caught:
        file_references.find(text)
    sub = folder / "sub"
    assert str(caught.value).startswith(f"{sub}/far/inside.py imports 'json', and {sub}/json.py is hidden by ")


def test_neighbours_may_import_each_other_and_the_file(folder):
    write("sub/net-1.py", "from near import make as net\n")
    write("sub/near.py", "import near_too as too\n\n\ndef make():\n    return too.layer()\n")
    write("sub/near_too.py", "import near\nfrom torch import nn\n\n\ndef layer():\n    return near, nn.Linear(1, 1)\n")
    near, _ = mamlzoo.make("model", "sub/net-1.py:net").build(Sine.spec)
    assert near.too.near is near


def test_a_neighbour_that_raises_leaves_nothing_behind(folder):
    write("sub/net.py", "import near\n")
    write("sub/near.py", "import near_too\nraise RuntimeError('no')\n")
    write("sub/near_too.py", "")
    before = set(sys.modules)
    with pytest.raises(PluginError, match=r"net.py, line 1: RuntimeError: no"):
        file_references.find("sub/net.py:net")
    assert set(sys.modules) == before


def test_a_file_that_asks_for_itself_is_told_so(folder):
    write("own.py", "import mamlzoo\nfrom torch import nn\nnet = nn.Linear(1, 1)\nmamlzoo.run('sine', 'own.py:net')\n")
    with pytest.raises(UsageError) as caught:
        file_references.find("own.py:net")
    assert str(caught.value) == (
        f"{folder}/own.py asks for itself while it is executed; put that under `if __name__ == '__main__':`"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_path_need_not_be_utf_8(folder):
    odd = os.fsdecode(b"odd\xff")
    write(f"{odd}/net.py", "from near import net\n")
    write(f"{odd}/near.py", "from torch import nn\nnet = nn.Linear(1, 1)\n")
    mamlzoo.run("sine", f"{odd}/net.py:net", out="run", **QUICK)
    saved = mamlzoo.load("run").config["model"]
    assert serialisation.text_of(saved) == f"{folder}/{odd}/net.py:net"
    assert serialisation.make("model", saved).name == "net"


@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit], ids=lambda stop: stop.__name__
)
def test_what_is_no_failure_of_a_file_ends_the_process_as_it_would_anywhere(folder, stop):
    write(
        "stops.py",
        f"import asyncio\nraise {stop.__module__}.{stop.__name__}\n".replace("builtins.", "").replace(
            "asyncio.exceptions", "asyncio"
        ),
    )
    with pytest.raises(stop):
        file_references.find("stops.py:Net")
    assert not [name for name in sys.modules if name.startswith("stops_")]


def test_a_folder_whose_name_has_line_ends_stands_for_no_other_files(folder):
    empty = hashlib.sha256(b"").hexdigest()
    for name in ("one/far/__init__.py", "one/far/a.py", "one/zoo/__init__.py"):
        write(name, "")
    for name in ("two/far/__init__.py", f"two/far/a.py {empty}\nzoo/__init__.py"):
        write(name, "")
    write("one/net.py", "import far, zoo\n")
    write("two/net.py", "import far, zoo\n")
    assert source_code.digest("one/net.py") != source_code.digest("two/net.py")
