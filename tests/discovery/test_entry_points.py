"""Plugins are found through entry points, and a failed one is kept apart."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

import mamlzoo
from mamlzoo.discovery.entry_points import installed
from mamlzoo.errors import PluginError, UsageError

GOOD = '''
    import torch, mamlzoo

    class {cls}(mamlzoo.Model):
        """A linear map."""

        name = "{name}"

        def build(self, spec):
            return torch.nn.Linear(spec.input_shape[0], spec.output_size)

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [{cls}]
'''


def good(name: str) -> str:
    return GOOD.format(name=name, cls=name.title())


HOOK = "@mamlzoo.hookimpl\ndef mamlzoo_plugins():\n    "
LINE = 4  # of the class in GOOD, whose first line is empty

# What is wrong with it, the line, what is said, what to do; the last two as regular expressions.
BROKEN = {
    "raises on import": ("x = {}\nx['a']", 2, "KeyError: 'a'", "`mamlzoo --debug list` shows .*authors of broken"),
    "lacks a dependency": (
        "import nothing.of_this",
        1,
        "it needs the module 'nothing', which is not installed",
        "pip install nothing, or tell the authors of broken",
    ),
    "needs another release of a dependency": (
        "import torch.nothing",
        1,
        "it needs the module 'torch.nothing', which the torch installed has not",
        "pip install -U torch",
    ),
    "has a syntax error": ("import mamlzoo\ndef (:", 2, "SyntaxError: invalid syntax", "correct it, or tell the authors"),
    "exits on import": ("raise SystemExit('needs foo')", 1, "it ends the process .*needs foo", "tell the authors of broken"),
    "raises what is no Exception": ("class Odd(BaseException): pass\nraise Odd('x')", 2, "Odd: x", "tell the authors"),
    "is not there": (None, None, "there is no module 'plugin_of_broken'", "wheel of broken may not contain it .*, or it was removed"),
    "wants a name that mamlzoo has not": (
        "from mamlzoo import Tsk",
        1,
        "mamlzoo 0.1.0, which is installed, has no 'Tsk'",
        "did you mean 'Task'.* written for another mamlzoo: pip install -U mamlzoo broken",
    ),
    "wants an attribute that mamlzoo has not": (
        "import mamlzoo\nmamlzoo.Tsk",
        2,
        "mamlzoo 0.1.0, which is installed, has no 'Tsk'",
        "did you mean 'Task'.* pip install -U mamlzoo broken",
    ),
    "wants a module that mamlzoo has not": (
        "import mamlzoo.future",
        1,
        "mamlzoo 0.1.0, which is installed, has no 'mamlzoo.future'",
        "pip install -U mamlzoo broken",
    ),
    "needs a newer mamlzoo": (
        "__mamlzoo_contract__ = 3\n" + dedent(good("x")),
        None,
        "written for contract 3 of mamlzoo; mamlzoo 0.1.0 has contract 2",
        "install a newer mamlzoo: pip install -U mamlzoo",
    ),
    "needs a newer mamlzoo even to be imported": (
        "__mamlzoo_contract__ = 3\nfrom mamlzoo import Future",
        None,
        "written for contract 3 of mamlzoo; mamlzoo 0.1.0 has contract 2",
        "install a newer mamlzoo: pip install -U mamlzoo",
    ),
    "has a contract that is none": (
        "__mamlzoo_contract__ = '1'\n" + dedent(good("x")), None, "its __mamlzoo_contract__ is '1'", "write __mamlzoo_contract__ = 2"
    ),
    "has no hook": ("x = 1", None, "it has no hook", "name a plugin's class, as package.module:Class, or give the module a hook"),
    "has a class and no hook": (
        dedent(good("x")).partition("@")[0], None, "it has no hook", "let the entry point name its class, plugin_of_broken:X"
    ),
    "has an unmarked hook": (
        "def mamlzoo_plugins():\n    return []", None, "it has no hook", "mark mamlzoo_plugins with @mamlzoo.hookimpl"
    ),
    "misspells the hook": (
        "import mamlzoo\n@mamlzoo.hookimpl\ndef mamlzoo_plugin():\n    return []",
        None,
        "there is no hook 'mamlzoo_plugin'",
        "did you mean 'mamlzoo_plugins'",
    ),
    "asks a hook for what it is not given": (
        "import mamlzoo\n@mamlzoo.hookimpl\ndef mamlzoo_run_ended(experiment, score):\n    pass",
        None,
        "score",
        "`python -m pydoc mamlzoo.contracts.hooks` shows the hooks",
    ),
    "raises in the hook": ("import mamlzoo\n" + HOOK + "raise RuntimeError('oh')", 4, "RuntimeError: oh", "--debug list"),
    "forgets to return": ("import mamlzoo\n" + HOOK + "pass", None, "mamlzoo_plugins returned None", "return a list"),
    "returns a class": ("import mamlzoo\n" + HOOK + "return int", None, "mamlzoo_plugins returned int", r"return \[int\]"),
    "registers nonsense": (
        "import mamlzoo\n" + HOOK + "return [3]", None, "3 is no subclass of mamlzoo.Task", "offer such classes alone"
    ),
    "claims what nobody knows": (
        good("x").replace('name = "x"', 'name = "x"; claims = frozenset({"best"})'),
        LINE,
        r"X has claims = frozenset\(\{'best'\}\), of which the kit knows nothing",
        "take it away",
    ),
    "claims what no task can": (
        "\nimport mamlzoo\nfrom mamlzoo.testing.probes import Lines\nclass X(Lines):\n"
        '    """Lines."""\n    name = "x"; claims = frozenset({"query-loss"})\n' + HOOK + "return [X]",
        4,
        r"X has claims = frozenset\(\{'query-loss'\}\), of which the kit knows nothing",
        "of some of log-likelihood",
    ),
    "registers an unfinished class": (
        good("x").replace("def build", "def bild"), LINE, "X lacks build", "define build in X"
    ),
    "has no name": (good("x").replace('name = "x"', "pass"), LINE, "X has no name", "add a line such as name = 'x'"),
    "has a name of two words": (
        good("x").replace('"x"', '"my net"'), LINE, "X is called 'my net'", "use letters, digits, dashes"
    ),
    "has a name like a flag": (good("x").replace('"x"', '"-x"'), LINE, "X is called '-x'", "a letter or digit first"),
    "has no docstring": (good("x").replace('"""A linear map."""', ""), LINE, "X has no docstring", "write one"),
    "declares an unusable option": (
        good("x").replace('name = "x"', 'name = "x"\n        size: list = mamlzoo.option(1, "size")'),
        LINE,
        "X has an unusable option: size has the type",
        r"declared as shots: int = mamlzoo.option\(",
    ),
    "declares an option without its type": (
        good("x").replace('name = "x"', 'name = "x"\n        size = mamlzoo.option(1, "size")'),
        LINE,
        "X has an unusable option: 'size' is a field but has no type annotation",
        r"declared as shots: int = mamlzoo.option\(",
    ),
    "declares a default out of range": (
        good("x").replace('name = "x"', 'name = "x"\n        size: int = mamlzoo.option(0, "size", minimum=1)'),
        LINE,
        "X has an unusable option: size: its default must be at least 1, not 0",
        "mamlzoo.option",
    ),
    "takes a taken name": (
        good("mlp"),
        LINE,
        r"the name of model 'mlp' is taken by mamlzoo 0\.1\.0 \(mamlzoo_models\.mlp:MLP\)",
        "give Mlp another `name`",
    ),
}  # fmt: skip


def test_the_built_ins_are_found_through_their_entry_points():
    found = installed()
    assert set(found.offers["task"]) >= {"scalar", "sine", "blobs"}
    assert set(found.offers["model"]) >= {"neuron", "mlp"}
    assert set(found.offers["algorithm"]) >= {
        "maml", "fomaml", "transfer", "scratch", "reptile", "anil", "meta-sgd", "protonet"
    }  # fmt: skip
    assert found.failures == []


def test_every_built_in_names_its_reference_or_its_derivation():
    for name, offer in installed().offers["algorithm"].items():
        assert "Reference: " in offer.cls.__doc__, name


def test_a_third_partys_plugin_is_found_with_its_distribution(distribution):
    distribution("straight", good("straight"))
    offer = installed().offers["model"]["straight"]
    assert (offer.origin.distribution, offer.origin.version) == ("straight", "1.5")


@pytest.mark.parametrize(("source", "line", "what", "remedy"), BROKEN.values(), ids=BROKEN)
def test_a_failed_plugin_is_kept_apart_with_what_where_and_what_to_do(distribution, source, line, what, remedy):
    before = {kind: set(names) for kind, names in installed().offers.items()}
    distribution("broken", source, entry_point="entry")
    distribution("straight", good("straight"))
    found = installed()
    (failure,) = found.failures
    assert re.search(what, failure.what)
    assert re.search(remedy, failure.remedy)
    assert failure.line == line
    where = "" if source is None else rf", .*plugin_of_broken\.py{'' if line is None else f':{line}'}"
    assert re.match(rf"broken 1\.5, \w+ing plugin_of_broken \(entry point entry{where}\): ", str(failure))
    assert str(failure).endswith(f": {failure.what}; {failure.remedy}")
    assert {kind: set(names) - {"straight"} for kind, names in found.offers.items()} == before
    assert "straight" in found.offers["model"]


def test_an_entry_point_may_name_a_class(distribution):
    distribution("straight", dedent(good("straight")).partition("@")[0], cls="Straight")
    found = installed()
    assert found.failures == []
    assert found.offers["model"]["straight"].origin.value == "plugin_of_straight:Straight"


NAMED = {
    "is not there": (
        "Straigt",
        "plugin_of_straight has no 'Straigt', which its entry point names",
        "did you mean 'Straight'",
    ),
    "is not within it": ("Straight.Inner", "plugin_of_straight has no 'Straight.Inner'", "Straight"),
    "is no plugin": ("mamlzoo.Spec", "Spec is no subclass of mamlzoo.Task", "derive it from one of these"),
    "has hooks": ("Ears", "Ears is no subclass of mamlzoo.Task", "hooks are functions of a module"),
    "is a base": ("mamlzoo.Model", "Model is mamlzoo's own", "offer a subclass of it"),
    "has an empty part": ("Straight.", "names no class and no module", "package.module:Class"),
    "is not there, of a later contract": ("Straigt", "written for contract 9", "install a newer mamlzoo"),
    "is an instance": ("made", "names an object of type Straight, which is no class", "name its class, Straight"),
    "is a function": (
        "Straight.build",
        "names an object of type function",
        "as package.module:Class, or a module that has hooks",
    ),
    "was written for a later contract": ("Straight", "written for contract 9", "install a newer mamlzoo"),
}


@pytest.mark.parametrize(("cls", "what", "remedy"), NAMED.values(), ids=NAMED)
def test_what_an_entry_point_names_wrongly_is_said(distribution, cls, what, remedy):
    contract = "__mamlzoo_contract__ = 9\n" if "contract" in what else ""
    more = "made = Straight()\nclass Ears:\n    def mamlzoo_run_ended(self): pass\n"
    distribution("straight", contract + dedent(good("straight")).partition("@")[0] + more, cls=cls)
    (failure,) = installed().failures
    assert what in failure.what
    assert remedy in failure.remedy


def test_a_class_offered_twice_is_said(distribution, tmp_path):
    distribution("straight", good("straight"))
    info = tmp_path / "site" / "straight-1.5.dist-info" / "entry_points.txt"
    info.write_text(f"{info.read_text()}again = plugin_of_straight:Straight\n")
    installed.cache_clear()
    (failure,) = installed().failures
    assert failure.what == "model 'straight' is offered twice, by the entry points again and straight"
    assert failure.remedy == "remove one of them"
    assert "straight" in installed().offers["model"]


def test_a_class_of_another_module_is_held_to_the_contract_of_that(distribution, tmp_path):
    (tmp_path / "site" / "plugin_of_later.py").write_text("__mamlzoo_contract__ = 9\n" + dedent(good("later")))
    distribution("straight", "from plugin_of_later import Later\n", cls="Later")
    (failure,) = installed().failures
    assert "written for contract 9" in failure.what


def test_a_fault_in_a_packages_own_module_is_found_there(distribution, tmp_path):
    package = tmp_path / "site" / "plugin_of_deep"
    package.mkdir()
    (package / "__init__.py").write_text("from plugin_of_deep import inner")
    (package / "inner.py").write_text("import json\n\njson.loads('{')")
    distribution("deep", None)
    (failure,) = installed().failures
    assert (failure.file, failure.line) == (str(package / "inner.py"), 3)


def test_a_module_that_a_package_has_lost_is_not_called_a_dependency(distribution, tmp_path):
    package = tmp_path / "site" / "plugin_of_deep"
    package.mkdir()
    (package / "__init__.py").write_text("import plugin_of_deep.inner")
    distribution("deep", None)
    (failure,) = installed().failures
    assert failure.what == "there is no module 'plugin_of_deep.inner'"


def test_a_distribution_without_metadata_harms_no_other(distribution, tmp_path):
    distribution("bare", "x = 1")
    (tmp_path / "site" / "bare-1.5.dist-info" / "METADATA").unlink()
    (failure,) = installed().failures
    assert str(failure).startswith("an unnamed distribution, registering plugin_of_bare (entry point bare, ")


def test_ctrl_c_is_no_failure_of_a_plugin(distribution):
    distribution("broken", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        installed()


@pytest.mark.parametrize("contract", range(1, mamlzoo.CONTRACT + 1))
def test_a_contract_that_this_mamlzoo_keeps_is_no_hindrance(distribution, contract):
    distribution("straight", f"__mamlzoo_contract__ = {contract}\n" + dedent(good("straight")))
    assert installed().failures == []


OF_THE_FIRST_CONTRACT = '''
    __mamlzoo_contract__ = 1
    import torch, mamlzoo
    from mamlzoo import Batch, Episode, Spec, option

    class Slopes(mamlzoo.Task):
        """Lines through 0."""
        name = "slopes"
        shots: int = option(3, "points of a set", minimum=1)
        spec = Spec((1,), 1)
        def sample(self, count, *, split, generator):
            slope, x = (torch.randn(count, *shape, generator=generator) for shape in ((1, 1), (2 * self.shots, 1)))
            support, query = (Batch(part, slope * part) for part in x.chunk(2, 1))
            return Episode(support=support, query=query)
        def loss(self, prediction, target):
            return (prediction - target).square().mean()
        def metrics(self, prediction, target):
            return {"mse": self.loss(prediction, target)}

    class Plain(mamlzoo.Model):
        """Two layers."""
        name = "plain-net"
        def build(self, spec):
            (inputs,) = spec.input_shape
            return torch.nn.Sequential(torch.nn.Linear(inputs, 8), torch.nn.Tanh(), torch.nn.Linear(8, spec.output_size))

    class Descent(mamlzoo.MetaAlgorithm):
        """One gradient step, all of it by hand."""
        name = "descent"
        def networks(self, spec):
            return {"network": spec}
        def init(self, networks):
            return networks
        def start(self, learner, meta, support):
            return meta["network"]
        def adapt(self, learner, meta, fast, support):
            x, y = support
            slope = torch.func.grad(lambda params: learner.criterion(learner.predict(params, x), y))(fast)
            return mamlzoo.sgd(fast, slope, 0.1)
        def predict(self, learner, meta, fast, x):
            return learner.predict(fast, x)
        def meta_loss(self, learner, meta, episode, progress):
            support, query = episode
            both = mamlzoo.tree_map(lambda *rows: torch.cat(rows), support, query)
            fast = self.adapt(learner, meta, meta["network"], support)
            return learner.loss(fast, query), {"both": learner.loss(fast, both)}

    @mamlzoo.hookimpl
    def mamlzoo_plugins():
        return [Slopes, Plain, Descent]
'''


def test_plugins_of_the_first_contract_are_trained_and_tested(distribution):
    distribution("first", dedent(OF_THE_FIRST_CONTRACT))
    result = mamlzoo.run("slopes", "plain-net", "descent", iterations=20, test_tasks=10, test_steps=1)
    assert str(result.table()).startswith("slopes × plain-net × descent: test mse after adaptation")


def test_of_an_algorithm_of_the_first_contract_no_padding_is_asked(distribution):
    distribution("first", dedent(OF_THE_FIRST_CONTRACT))
    with pytest.raises(UsageError, match="algorithm 'descent' takes sets of one size, and the support sets"):
        mamlzoo.run("sine", "plain-net", "descent", options={"task.shots": "1..5"}, iterations=1)


def test_one_class_that_is_refused_leaves_the_others_of_its_module(distribution):
    more = "\n\nclass Half(mamlzoo.Model):\n    'Half.'\n    name = 'half'\n"
    distribution("several", dedent(good("fine")).replace("[Fine]", "[int, Half, Fine]") + more)
    found = installed()
    assert "fine" in found.offers["model"]
    assert [failure.name for failure in found.failures] == ["several", "half"]
    with pytest.raises(PluginError, match="model 'half' could not be loaded: several 1.5, .*: Half lacks build"):
        found.get("model", "half")


def test_choosing_a_failed_plugin_raises_its_failure(distribution):
    distribution("broken", "import nothing_of_this_name")
    with pytest.raises(
        PluginError, match=r"task 'broken' could not be loaded: broken 1\.5, importing plugin_of_broken"
    ) as caught:
        installed().get("task", "broken")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_the_strict_mode_raises_the_first_failure(distribution, monkeypatch):
    monkeypatch.setenv("MAMLZOO_STRICT", "1")
    distribution("broken", "import nothing_of_this_name")
    with pytest.raises(PluginError, match=r"broken 1\.5, importing plugin_of_broken"):
        installed()


@pytest.mark.parametrize(("allowed", "found"), [("none", set()), ("one", {"one"}), ("One, two", {"one", "two"})])
def test_third_party_plugins_can_be_limited_to_named_distributions(distribution, monkeypatch, allowed, found):
    monkeypatch.setenv("MAMLZOO_PLUGINS", allowed)
    distribution("one", good("one"))
    distribution("two", good("two"))
    models = installed().offers["model"]
    assert set(models) & {"one", "two"} == found
    assert "mlp" in models


def test_an_unknown_name_brings_the_nearest_one():
    with pytest.raises(UsageError, match="there is no task 'sin'; did you mean 'sine'"):
        installed().get("task", "sin")


@pytest.mark.parametrize("name", ["Two-Waves", "entry"])
def test_the_name_of_a_package_or_of_an_entry_point_brings_what_it_offers(distribution, name):
    distribution("two_waves", good("ripples"), entry_point="entry")
    for looked_up in (lambda: installed().get("model", name), lambda: installed().find(name)):
        with pytest.raises(UsageError, match=f"there is no .* '{name}'; the package two_waves offers 'ripples'"):
            looked_up()


def test_a_name_of_another_kind_is_told_apart():
    with pytest.raises(UsageError, match="'maml' names no task but another kind, algorithm; tasks are: "):
        installed().get("task", "maml")


def test_what_the_environment_leaves_out_or_misspells_is_remembered(distribution, monkeypatch):
    monkeypatch.setenv("MAMLZOO_PLUGINS", "One, tow")
    distribution("one", good("one"))
    distribution("two", good("two"))
    found = installed()
    assert [origin.release for origin in found.left_out] == ["two 1.5"]
    assert found.unknown == ["tow"]
    with pytest.raises(UsageError, match=r"there is no model 'two'; .* \(MAMLZOO_PLUGINS leaves out two\)"):
        found.get("model", "two")


@pytest.mark.parametrize(
    "damage", [b"[mamlzoo]\nbroken line\n", b"[mamlzoo]\nodd = \xff\xfe\n"], ids=["no value", "no UTF-8"]
)
def test_a_damaged_list_of_entry_points_is_a_failure_of_its_distribution_alone(distribution, tmp_path, damage):
    distribution("straight", good("straight"))
    distribution("damaged", good("other"))
    (tmp_path / "site" / "damaged-1.5.dist-info" / "entry_points.txt").write_bytes(damage)
    found = installed()
    (failure,) = found.failures
    assert str(failure).startswith("damaged 1.5, ")
    assert "its entry_points.txt cannot be read" in failure.what
    assert {"straight", "mlp"} <= set(found.offers["model"])


def test_an_entry_point_whose_value_is_no_module_is_told_what_it_must_be(distribution, tmp_path):
    distribution("odd", good("odd"))
    (tmp_path / "site" / "odd-1.5.dist-info" / "entry_points.txt").write_text("[mamlzoo]\nodd = not a module !!\n")
    (failure,) = installed().failures
    assert failure.what == "its entry point's value 'not a module !!' names no class and no module"


def test_an_exception_without_a_message_that_can_be_made_is_a_failure_like_any_other(distribution):
    distribution("odd", "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E")
    (failure,) = installed().failures
    assert failure.what == "E"


def test_what_a_plugin_prints_when_it_is_loaded_is_no_part_of_our_output(distribution, cli):
    distribution("loud", "print('NOISE')\n" + dedent(good("loud")))
    assert "loud" in [model["name"] for model in cli.json("list", "model")["models"]]
