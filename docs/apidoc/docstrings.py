"""Google-style docstrings as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from textwrap import dedent, indent

import griffe

Kind = griffe.DocstringSectionKind


def sections(found: griffe.Object) -> list[griffe.DocstringSection]:
    """The parts of a docstring; none where there is no docstring."""
    return found.docstring.parsed if found.docstring else []


def blocks(text: str) -> str:
    """Prose with its indented blocks, formulas mostly, and its examples as fenced code."""
    parts = []
    for is_code, lines in groupby(re.split(r"\n\n+", text.strip("\n")), _is_code):
        body = "\n\n".join(lines)
        if is_code:
            kind = "pycon" if body.lstrip().startswith(">>> ") else "text"
            body = f"```{kind}\n{dedent(body)}\n```"
        parts.append(body if is_code else _shapes(body))
    return "\n\n".join(parts)


def _shapes(text: str) -> str:
    """Prose with its shapes, `[n, 1]`, and its dicts as code."""
    spans = re.compile(r"`[^`]*`|\[[^\[\]`]*\]|\{[^{}`]*\}")
    return spans.sub(lambda found: found[0] if found[0].startswith("`") else f"`{found[0]}`", text)


def _is_code(paragraph: str) -> bool:
    return paragraph.startswith(("    ", ">>> "))


def entry(names: str, text: str) -> str:
    """An item of a list: names, and what they mean."""
    said = blocks(text)
    return f"- {names}" + (f": {indent(said, '  ').lstrip()}" if said else "")


def code_names(names: str) -> str:
    """`x, y` as two names."""
    return ", ".join(f"`{name.strip()}`" for name in names.strip("()").split(","))


def markdown(found: griffe.Object) -> str:
    """All of a docstring but its attributes, which stand with the types that the class gives them.

    Raises:
        NotImplementedError: it has a section of a kind that no docstring had before.
    """
    return "\n\n".join(_section(section) for section in sections(found) if section.kind is not Kind.attributes)


def _section(section: griffe.DocstringSection) -> str:
    match section:
        case griffe.DocstringSectionText():
            return blocks(section.value)
        case griffe.DocstringSectionParameters():
            return _titled("Arguments", (entry(code_names(item.name), item.description) for item in section.value))
        case griffe.DocstringSectionRaises():
            items = (entry(code_names(str(item.annotation)), item.description) for item in section.value)
            return _titled("Raises", items)
        case griffe.DocstringSectionReturns() | griffe.DocstringSectionYields():
            items = (entry(f"`{item.name or item.annotation}`", item.description) for item in section.value)
            return _titled(section.kind.value.title(), items)
        case griffe.DocstringSectionExamples():
            return "\n\n".join(blocks(text) for _, text in section.value)
        case _:
            raise NotImplementedError(f"a docstring's section '{section.kind.value}' has no Markdown yet")


def _titled(title: str, items: Iterator[str]) -> str:
    return f"**{title}**\n\n" + "\n".join(items)


def meanings(found: griffe.Class) -> dict[str, str]:
    """What the docstring says of each attribute; two that share an entry, `x, y: …`, have the same text."""
    return {
        name: item.description
        for section in sections(found)
        if isinstance(section, griffe.DocstringSectionAttributes)
        for item in section.value
        for name in re.findall(r"\w+", f"{item.name} {item.annotation}" if item.name.endswith(",") else item.name)
    }
