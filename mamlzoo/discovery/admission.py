"""What a module and its classes must be to be admitted to the registry."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pluggy

import mamlzoo
from mamlzoo.contracts import options
from mamlzoo.contracts.hooks import CONTRACT, Offering
from mamlzoo.contracts.plugins import CLAIMS, KINDS, Plugin
from mamlzoo.errors import PluginError, UsageError, did_you_mean
from mamlzoo.experiments.logger_hooks import Listening

OFFERING, LISTENING = (
    tuple(name for name in vars(specification) if name.startswith("mamlzoo_"))
    for specification in (Offering, Listening)
)
"""The hooks by which a module offers something, and those by which it hears of runs."""
HOOKS = OFFERING + LISTENING


def check_contract(module: dict[str, Any]) -> None:
    """Refuse a module that was written for a later contract than ours.

    Args:
        module: its globals.

    Raises:
        PluginError: it was, or what it declares is no version of a contract.
    """
    declared = module.get("__mamlzoo_contract__", CONTRACT)
    if type(declared) is not int or declared < 1:
        raise PluginError(
            f"its __mamlzoo_contract__ is {declared!r}, which is no version of the contract",
            remedy=f"write __mamlzoo_contract__ = {CONTRACT}",
        )
    if declared > CONTRACT:
        raise PluginError(
            f"written for contract {declared} of mamlzoo; mamlzoo {mamlzoo.__version__} has contract {CONTRACT}",
            remedy="install a newer mamlzoo: pip install -U mamlzoo",
        )


def named_in(module: Any, attribute: str) -> Any:
    """What an entry point names in a module; the module itself where it names nothing in it.

    Raises:
        PluginError: the module has no such thing.
    """
    found = module
    for name in filter(None, (attribute or "").split(".")):
        if not hasattr(found, name):
            known = [own for own, value in vars(module).items() if _is_own_plugin(value, module)]
            remedy = did_you_mean(attribute, known) if known else "write the name of a plugin's class there"
            raise PluginError(f"{module.__name__} has no '{attribute}', which its entry point names", remedy=remedy)
        found = getattr(found, name)
    return found


def _is_own_plugin(value: Any, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == module.__name__


def hooks_of(module: object) -> pluggy.HookRelay:
    """What calls a module's hooks, and no other's.

    Raises:
        PluginError: it is no module, has no hook, one that does not exist, or one with an argument that is not given.
    """
    if not isinstance(module, ModuleType):
        if isinstance(module, Plugin):
            remedy = f"name its class, {type(module).__name__}"
        else:
            remedy = "name a plugin's class, as package.module:Class, or a module that has hooks"
        what = f"its entry point names an object of type {type(module).__name__}, which is no class and no module"
        raise PluginError(what, remedy=remedy)
    manager = pluggy.PluginManager("mamlzoo")
    manager.add_hookspecs(Offering)
    manager.add_hookspecs(Listening)
    try:
        manager.register(module)
    except pluggy.PluginValidationError as error:
        raise PluginError(
            str(error).rpartition("\n")[2],
            remedy="`python -m pydoc mamlzoo.contracts.hooks` shows the hooks and their arguments, and "
            "`… mamlzoo.experiments.logger_hooks` those of loggers",
        ) from error
    for caller in manager.get_hookcallers(module) or []:
        required = [implementation for implementation in caller.get_hookimpls() if not implementation.optionalhook]
        if required and not caller.has_spec():
            raise PluginError(f"there is no hook '{caller.name}'", remedy=did_you_mean(caller.name, HOOKS))
    if not manager.get_hookcallers(module):
        raise PluginError("it has no hook", remedy=_instead_of_hooks(module))
    return manager.hook


def _instead_of_hooks(module: ModuleType) -> str:
    bare = [name for name in HOOKS if callable(getattr(module, name, None))]
    if bare:
        return f"mark {bare[0]} with @mamlzoo.hookimpl"
    for name, value in vars(module).items():
        if _is_own_plugin(value, module):
            return f"let the entry point name its class, {module.__name__}:{name}"
    return "let the entry point name a plugin's class, as package.module:Class, or give the module a hook"


def answers(relay: pluggy.HookRelay, hook: str) -> list[Any]:
    """All that a module offers by a hook.

    Raises:
        PluginError: the hook returned no list.
    """
    offered: list[Any] = []
    for implementation in getattr(relay, hook).get_hookimpls():
        answer = implementation.function()  # not by the relay, which passes over None
        if isinstance(answer, str | type) or not hasattr(answer, "__iter__"):
            name = getattr(answer, "__name__", repr(answer))
            remedy = f"return [{name}]" if isinstance(answer, type) else "return a list, as [Sine]"
            raise PluginError(f"{hook} returned {name}, which is no list", remedy=remedy)
        offered += answer
    return offered


def check_class(cls: Any, *, documented: bool = True) -> None:
    """Refuse what is no finished, named plugin with usable options.

    Args:
        documented: whether it must have a docstring.

    Raises:
        PluginError: it is not.
    """
    what = getattr(cls, "__name__", repr(cls))
    if not (isinstance(cls, type) and issubclass(cls, Plugin) and getattr(cls, "kind", None) in KINDS):
        raise PluginError(
            f"{what} is no subclass of mamlzoo.Task, mamlzoo.Model or mamlzoo.MetaAlgorithm", remedy=_instead_of(cls)
        )
    if inspect.isabstract(cls):
        if cls.__module__.partition(".")[0] == mamlzoo.__name__:
            raise PluginError(f"{what} is mamlzoo's own, a base of plugins", remedy="offer a subclass of it")
        methods = ", ".join(sorted(cls.__abstractmethods__))
        raise PluginError(f"{what} lacks {methods}", remedy=f"define {methods} in {what}")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"{what} has no name", remedy=f"add a line such as name = '{what.lower()}'")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise PluginError(
            f"{what} is called {name!r}, which a command line or a path cannot take as it stands",
            remedy="use letters, digits, dashes, dots and underscores, a letter or digit first",
        )
    if documented and not cls.summary() and sys.flags.optimize < 2:  # python -OO strips them all
        raise PluginError(f"{what} has no docstring", remedy="write one; its first line is what `mamlzoo list` shows")
    if not isinstance(cls.exempt_from, Mapping):
        raise PluginError(
            f"{what} has exempt_from = {cls.exempt_from!r}, which is no dict",
            remedy='write exempt_from = {"name-of-a-check": "the reason"}',
        )
    claims: Any = getattr(cls, "claims", frozenset())
    known = CLAIMS.get(cls.kind, ())
    if not (isinstance(claims, frozenset | set) and claims <= set(known)):
        raise PluginError(
            f"{what} has claims = {claims!r}, of which the kit knows nothing",
            remedy=f"write claims = frozenset({{…}}) of some of {', '.join(known)}" if known else "take it away",
        )
    try:
        for option in options.options_of(cls).values():
            _check_default(option)
    except (TypeError, NameError, ValueError, UsageError) as error:
        raise PluginError(f"{what} has an unusable option: {error}", remedy=options.DECLARATION) from error


def _instead_of(found: Any) -> str:
    """What to offer where something is no plugin's class."""
    if isinstance(found, Plugin):
        return f"offer the class {type(found).__name__}"
    if not isinstance(found, type):
        return "offer such classes alone"
    if any(name in HOOKS for name in vars(found)):
        return "hooks are functions of a module: let the entry point name that"
    return "derive it from one of these"


def _check_default(option: options.Option) -> None:
    try:
        option.check(option.default)
    except UsageError as error:
        raise UsageError(f"{option.name}: its default {error}") from None
