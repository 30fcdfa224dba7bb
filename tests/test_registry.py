"""Plugins are found through entry points, and a failed one is kept apart."""

from __future__ import annotations

import pytest

from mamlzoo import registry
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


BROKEN = {
    "raises on import": ("import nothing_of_this_name", "importing", "No module named 'nothing_of_this_name'"),
    "syntax error": ("def (:", "importing", "invalid syntax"),
    "exits on import": ("raise SystemExit('needs foo')", "importing", "needs foo"),
    "has no hook": ("x = 1", "registering", "it has no hook"),
    "misspells the hook": (
        "import mamlzoo\n@mamlzoo.hookimpl\ndef mamlzoo_plugin():\n    return []",
        "registering",
        "unknown hook 'mamlzoo_plugin'",
    ),
    "raises in the hook": (
        "import mamlzoo\n@mamlzoo.hookimpl\ndef mamlzoo_plugins():\n    raise RuntimeError('oh')",
        "registering",
        "oh",
    ),
    "registers nonsense": (
        "import mamlzoo\n@mamlzoo.hookimpl\ndef mamlzoo_plugins():\n    return [int]",
        "registering",
        "int is no subclass of mamlzoo.Task",
    ),
    "registers an unfinished class": (
        "import mamlzoo\nclass Half(mamlzoo.Model):\n    'Half.'\n    name = 'half'\n"
        "@mamlzoo.hookimpl\ndef mamlzoo_plugins():\n    return [Half]",
        "registering",
        "Half lacks build",
    ),
    "has no name": (good("x").replace('name = "x"', "pass"), "registering", "X has no name"),
    "has no docstring": (good("x").replace('"""A linear map."""', ""), "registering", "X has no docstring"),
    "declares an unusable option": (
        good("x").replace('name = "x"', 'name = "x"\n        size: list = mamlzoo.option(1, "size")'),
        "registering",
        "X has an unusable option: size has the type",
    ),
    "takes a taken name": (good("mlp"), "registering", "the name of model 'mlp' is taken by mamlzoo"),
}


def test_the_built_ins_are_found_through_their_entry_points():
    found = registry.installed()
    assert set(found.offers["task"]) >= {"scalar", "sine", "blobs"}
    assert set(found.offers["model"]) >= {"neuron", "mlp"}
    assert set(found.offers["algorithm"]) >= {
        "maml", "fomaml", "transfer", "scratch", "reptile", "anil", "meta-sgd", "protonet"
    }  # fmt: skip
    assert found.failures == []


def test_every_built_in_names_its_reference_or_its_derivation():
    for name, offer in registry.installed().offers["algorithm"].items():
        assert "Reference: " in offer.cls.__doc__, name


def test_a_third_partys_plugin_is_found_with_its_distribution(distribution):
    distribution("linear", good("linear"))
    offer = registry.installed().offers["model"]["linear"]
    assert (offer.origin.distribution, offer.origin.version) == ("linear", "1.5")


@pytest.mark.parametrize(("source", "stage", "message"), BROKEN.values(), ids=BROKEN)
def test_a_failed_plugin_is_kept_apart(distribution, source, stage, message):
    before = {kind: set(names) for kind, names in registry.installed().offers.items()}
    distribution("broken", source)
    distribution("linear", good("linear"))
    found = registry.installed()
    (failure,) = found.failures
    assert failure.stage == stage
    assert message in str(failure.error)
    assert str(failure).startswith("broken 1.5, ")
    assert {kind: set(names) - {"linear"} for kind, names in found.offers.items()} == before
    assert "linear" in found.offers["model"]


def test_choosing_a_failed_plugin_raises_its_failure(distribution):
    distribution("broken", "import nothing_of_this_name")
    with pytest.raises(
        PluginError, match=r"task 'broken' could not be loaded: broken 1\.5, importing plugin_of_broken"
    ):
        registry.installed().get("task", "broken")


def test_the_strict_mode_raises_the_first_failure(distribution, monkeypatch):
    monkeypatch.setenv("MAMLZOO_STRICT", "1")
    distribution("broken", "import nothing_of_this_name")
    with pytest.raises(PluginError, match=r"broken 1\.5, importing plugin_of_broken"):
        registry.installed()


@pytest.mark.parametrize(("allowed", "found"), [("none", set()), ("one", {"one"}), ("One, two", {"one", "two"})])
def test_third_party_plugins_can_be_limited_to_named_distributions(distribution, monkeypatch, allowed, found):
    monkeypatch.setenv("MAMLZOO_PLUGINS", allowed)
    distribution("one", good("one"))
    distribution("two", good("two"))
    models = registry.installed().offers["model"]
    assert set(models) & {"one", "two"} == found
    assert "mlp" in models


def test_an_unknown_name_brings_the_nearest_one():
    with pytest.raises(UsageError, match="there is no task 'sin'; did you mean 'sine'"):
        registry.installed().get("task", "sin")


def test_a_name_of_another_kind_is_told_apart():
    with pytest.raises(UsageError, match="'maml' names no task but another kind, algorithm; tasks are: "):
        registry.installed().get("task", "maml")
