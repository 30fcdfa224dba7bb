"""Run the checks on plugins: one by one, or as tests of pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mamlzoo.contracts import options
from mamlzoo.contracts.plugins import Plugin
from mamlzoo.discovery.entry_points import installed
from mamlzoo.errors import FOREIGN, MamlzooError, PluginError, did_you_mean, in_short
from mamlzoo.testing import (
    algorithm_checks,
    checks,
    class_number_checks,
    classifier_checks,
    embedding_checks,
    judgement_checks,
    likelihood_checks,
    model_checks,
    network_checks,
    padding_checks,
    plugin_checks,
    purity_checks,
    step_checks,
    task_checks,
)
from mamlzoo.testing.checks import Check, FaultError, Outcome, require

PluginLike = str | Plugin | type[Plugin]
MODULES = (
    task_checks,
    judgement_checks,
    class_number_checks,
    model_checks,
    algorithm_checks,
    step_checks,
    padding_checks,
    network_checks,
    purity_checks,
    classifier_checks,
    embedding_checks,
    likelihood_checks,
    plugin_checks,
)
CHECKS: list[Check] = [found for module in MODULES for found in vars(module).values() if isinstance(found, Check)]
"""All checks, in the order in which they are run; the last is of what is said about the others."""


def checks_of(plugin: Plugin) -> list[Check]:
    """The checks of what the plugin promises, in the order in which they are run."""
    return [check for check in CHECKS if check.applies_to(plugin)]


@checks.check()
def exemptions_have_reasons(plugin: Plugin) -> None:
    """What it is exempt from are checks of its kind, each with a reason.

    Correct or remove the entry of exempt_from.
    """
    known = [check.name for check in checks_of(plugin)]
    for name, reason in plugin.exempt_from.items():
        require(name in known, f"exempt_from: there is no check '{name}' of it; {did_you_mean(name, known)}")
        require(isinstance(reason, str) and reason.strip(), f"exempt_from: '{name}' has no reason")


CHECKS.append(exemptions_have_reasons)


def outcomes_of(plugin: Plugin) -> Iterator[Outcome]:
    """Run every check of a plugin."""
    for check in checks_of(plugin):
        yield check.of(plugin)


def examples(like: PluginLike) -> list[Plugin]:
    """What to check: an instance as it stands, the example that a class gives, or of every plugin of a name.

    Raises:
        UsageError: there is no plugin of that name.
        PluginError: it could not be loaded, or gives no example.
    """
    if isinstance(like, Plugin):
        return [like]
    classes = [offer.cls for offer in installed().find(like)] if isinstance(like, str) else [like]
    return [_example(cls) for cls in classes]


def conformance(*plugins: PluginLike) -> Callable[..., None]:
    """A test for pytest that runs every check of the plugins, each under an id of its own.

        test_conforms = mamlzoo.testing.conformance("lines")

    A check that a plugin is exempt from is shown as an expected failure, with the reason.

    Args:
        plugins: names, as `sine` or `file.py:Sine`, classes or instances.

    Raises:
        UsageError, PluginError: as `examples`.
    """
    import pytest

    cases = [
        pytest.param(plugin, check, id=f"{plugin.name}-{check.name}")
        for like in plugins
        for plugin in examples(like)
        for check in checks_of(plugin)
    ]

    @pytest.mark.parametrize(("plugin", "check"), cases)
    def test_conforms(plugin: Plugin, check: Check) -> None:
        outcome = check.of(plugin)
        if outcome.verdict == "exempt":
            pytest.xfail(outcome.finding)
        if outcome.verdict == "passed":
            return
        promise = f"{plugin.kind} '{plugin.name}' promises: {check.promise} {outcome.remedy}".strip()
        if outcome.error is None or isinstance(outcome.error, FaultError):
            pytest.fail(f"{outcome.finding}\n{promise}", pytrace=False)
        outcome.error.add_note(promise)  # its traceback leads to the line that raised it
        raise outcome.error

    return test_conforms


def _example(cls: type[Plugin]) -> Plugin:
    what = f"{cls.kind} '{cls.name}'"
    try:
        with options.frozen(what):
            plugin = cls.example()
    except MamlzooError:
        raise
    except FOREIGN as error:
        raise PluginError(f"{what} gives no example to check: {in_short(error)}") from error
    if not isinstance(plugin, cls):
        raise PluginError(f"{what}: example must return an instance of {cls.__name__}, not {plugin!r}")
    return plugin
