"""A config file: the words of a command's flags and their values, in TOML; and a run's config.json, read as such words.

    iterations = 100               # a word as its flag has it: --iterations 100
    outer-lr = 0.01

    [algorithm]                    # of a plugin's options; `name` is the plugin
    name = "maml"
    inner-lr = 0.05                # --algorithm.inner-lr 0.05

A quoted word as `"algorithm.inner-lr"` needs no table. What several values stand for is an array.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamlzoo import files
from mamlzoo.cli.argument_words import GROUP, NETWORK, OPTIMIZER, SHORT_FLAGS
from mamlzoo.contracts.numbers_as_text import shown
from mamlzoo.errors import UsageError, did_you_mean

NAME = "name"
"""The word of a table that stands for the flag which the table is called after."""
NAMED = (*SHORT_FLAGS, OPTIMIZER)
"""The tables that have it."""
VERBATIM = (GROUP, NETWORK)
"""Tables whose words are an algorithm's own names."""
TABLES = (*NAMED, *VERBATIM)
BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""A word that TOML takes without quotes."""


@dataclass(frozen=True)
class Said:
    """What a file says.

    Attributes:
        values: by word, as `iterations` or `algorithm.inner-lr`.
        as_text: whether the values are texts, as flags have them, and not TOML's.
    """

    path: Path
    values: Mapping[str, Any]
    as_text: bool = False

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the file in what is wrong with it."""
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self.path}: {error}") from error


def read(path: Path) -> Said:
    """What a file in TOML says.

    Raises:
        UsageError: it cannot be read, is no TOML, or has a word twice or in a table that means nothing.
    """
    if path.suffix == ".json":
        raise UsageError(
            f"{path} is no TOML, which --config reads; a run's config.json stands alone: `mamlzoo run FILE`"
        )
    said = Said(path, {})
    try:
        data = files.read(path)
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path} cannot be read: it is no UTF-8 (at line {line})") from error
    except tomllib.TOMLDecodeError as error:
        why = str(error).replace("at end of document", f"at line {len(text.splitlines())}, the last")
        raise UsageError(f"{path} cannot be read: {why}{_instead(why)}") from error
    except (ValueError, RecursionError) as error:
        why = "a number in it has thousands of digits, or a thousand lists are in each other"
        raise UsageError(f"{path} cannot be read: {why}") from error
    values: dict[str, Any] = {}
    with said.named():
        for word, value in _words(document):
            if word in values:
                raise UsageError(f"{word} is said twice")
            values[word] = value
    return Said(path, values)


def _instead(error: str) -> str:
    """What to write where a word has a value and a table both, which TOML does not let be."""
    if not error.startswith(("Cannot overwrite", "Cannot mutate")):
        return ""
    return '; a word stands once, and as a value or a table: [task] with name = "sine" in it, or "outer-lr.rates" = 0.1'


def _words(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if not isinstance(value, dict):
            yield _word(key), value
            continue
        table = key.replace("_", "-")
        if table not in TABLES:
            raise UsageError(f"{shown(key)} is a table that means nothing; {did_you_mean(table, TABLES)}")
        for name, one in value.items():
            word = table if name == NAME and table in NAMED else _word(f"{table}.{name}")
            if isinstance(one, dict):
                raise UsageError(f"{word} is a table, and no word has one within another")
            yield word, one


def _word(key: str) -> str:
    """A word as flags have it: with dashes for underscores, but for an algorithm's own names."""
    kind, dot, name = key.partition(".")
    kind = kind.replace("_", "-")
    return kind + dot + (name if kind in VERBATIM else name.replace("_", "-"))


def read_run(path: Path) -> Said:
    """What flags would say to make the run again whose config.json this is.

    Raises:
        UsageError: it is no such file, or no flags make that run again.
        MamlzooError: it is damaged, or a newer mamlzoo wrote it.
        PluginError: a plugin failed to load.
    """
    from mamlzoo.runs.commands import spelled, words_of
    from mamlzoo.runs.directory import is_run, read_config_file

    if is_run(path):
        raise UsageError(
            f"{path} is a run directory; `mamlzoo run {spelled(path / 'config.json')}` makes its run again, "
            f"`mamlzoo resume {spelled(path)}` goes on with it"
        )
    if path.suffix == "":
        raise UsageError(
            f"unexpected argument '{path}': what stands alone is the config.json of a run to make again; "
            "is it the value of a flag before it that has one already?"
        )
    if path.suffix != ".json":
        raise UsageError(
            f"{path} is no run's config.json; `mamlzoo run --config {spelled(path)}` reads a file of yours"
        )
    if not path.exists():
        raise UsageError(f"{path} cannot be read: No such file or directory")
    config = read_config_file(path)
    said = Said(path, {}, as_text=True)
    with said.named():
        return Said(path, words_of(config), as_text=True)


def save(path: Path, text: str) -> None:
    """Write a config file, which must not be there.

    Raises:
        UsageError: it is there, or cannot be written.
    """
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists; nothing is overwritten, choose another or remove it")
    if path.suffix == ".json":
        raise UsageError(f"{path}: a config file is TOML, so its name does not end in .json")
    with files.named_in_refusal(path):
        files.write_text(path, text)


def written(command: str, said: Mapping[str, Any]) -> str:
    """The TOML that says this.

    Args:
        command: whose words they are.
        said: by word; a value is a number, a truth value, a text, or a list of them.

    Raises:
        UsageError: TOML has no way to write a text.
    """
    with_table = {kind for kind, dot, _ in (word.partition(".") for word in said) if dot and kind != GROUP}
    tables = {kind: dict[str, Any]() for kind in TABLES if kind in with_table}
    top: dict[str, Any] = {}
    for word, value in said.items():
        kind, dot, name = word.partition(".")
        if kind in tables:
            tables[kind][name if dot else NAME] = value
        else:
            top[word] = value
    blocks = [f"# mamlzoo {command} --config FILE\n{_lines(top)}"]
    blocks += [f"[{kind}]\n{_lines(values)}" for kind, values in tables.items()]
    return "\n".join(blocks)


def _lines(values: Mapping[str, Any]) -> str:
    return "".join(f"{_key(word)} = {_toml(word, value)}\n" for word, value in values.items())


def _key(word: str) -> str:
    return word if BARE.fullmatch(word) else _quoted(word, word)


def _toml(word: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(word, one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(word, value) if isinstance(value, str) else repr(value)


def _quoted(word: str, text: str) -> str:
    """As JSON quotes it, which TOML reads but for one letter."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{word} is {shown(text)}, which is no Unicode, and so no TOML can hold it") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
