"""The commands that make a run again, and that go on with one; and how a shell spells a path."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mamlzoo.contracts import options
from mamlzoo.contracts.options import Option
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.discovery import serialisation
from mamlzoo.engine.optimizer_options import options_of_optimizer
from mamlzoo.errors import UsageError
from mamlzoo.experiments.settings import BY_NAME, Settings


def command_of(config: Mapping[str, Any]) -> str:
    """`mamlzoo run …`, quoted for a POSIX shell, with the options that differ from their defaults.

    Raises:
        UsageError, PluginError: as `words_of`.
    """
    given = [(f"-{word[0]}" if word in KINDS else f"--{word}", text) for word, text in words_of(config).items()]
    return shlex.join(["mamlzoo", "run", *(part for pair in given for part in pair)])


def words_of(config: Mapping[str, Any]) -> dict[str, str]:
    """What the flags of `mamlzoo run` say to make this run again, by their words, as `algorithm.inner-lr`.

    All plugins are named, at the place where their code is; of the options, those that differ from their defaults.

    Raises:
        UsageError: a plugin came from Python, is not installed, or came from a file that is gone or has changed; or no
            flag can spell a value.
        PluginError: a plugin failed to load.
    """
    names, said = dict[str, str](), dict[str, str]()
    for kind in KINDS:
        saved = config[kind]
        if serialisation.text_of(saved) is None:
            name = saved["name"]
            raise UsageError(f"{kind} '{name}' came from Python: no command makes this run again, only that code does")
        plugin = serialisation.make(kind, saved)
        source = serialisation.source_of(plugin)
        names[kind] = source.reference if source else saved["name"]
        said |= {f"{kind}.{option.flag}": _spelled(option, value) for option, value in _changed(plugin)}
    settings = options.make(Settings, config["settings"], "settings")
    for option, value in _changed(settings):
        if option.name == "seeds":
            said |= _seeds(value)
        elif option.named:
            said |= _by_name(option, value, settings.optimizer)
        else:
            said[option.flag] = _spelled(option, value)
    return names | said


def _changed(declaring: Any) -> Iterator[tuple[Option, Any]]:
    """The options of a plugin or of settings that are not at their defaults, with their values."""
    for name, option in options.options_of(type(declaring)).items():
        value = getattr(declaring, name)
        if repr(value) != repr(option.default):  # -0.0 equals 0.0, and its config has another digest
            yield option, value


def _spelled(option: Option, value: Any) -> str:
    text = option.text(value)
    if option.parse(text) != value:  # the word 'none', or a comma within one of several
        raise UsageError(f"no command makes this run again: no flag can spell {option.name} = {value!r}")
    return text


def _by_name(option: Option, given: Mapping[str, Any], optimizer: str) -> dict[str, str]:
    """Values by name have a flag each, as `--optimizer.weight-decay`."""
    (kind,) = (kind for kind, setting in BY_NAME.items() if setting == option.name)
    known = options_of_optimizer(optimizer) if kind == "optimizer" else {}
    said = dict[str, str]()
    for name, value in given.items():
        one = known.get(name) or Option(name, option.help, None, option.type)
        said[f"{kind.replace('_', '-')}.{one.flag if known else name}"] = _spelled(one, value)
    return said


def _seeds(seeds: tuple[int, ...]) -> dict[str, str]:
    """Seeds have two flags of their own: how many, or which."""
    if seeds == tuple(range(len(seeds))):
        return {"seeds": str(len(seeds))}
    return {"seed-list": ",".join(map(str, seeds))}


def resume_command(directory: Path) -> str:
    """The command that goes on with what is recorded in a directory."""
    return f"mamlzoo resume {spelled(directory)}"


def spelled(directory: Path) -> str:
    """A directory as an argument, quoted for a POSIX shell and not to be taken for a flag."""
    name = str(directory)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)
