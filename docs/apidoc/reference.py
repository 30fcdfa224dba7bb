"""`docs/reference.md`: one section a public name."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import griffe

from apidoc import docstrings, signatures
from apidoc.names import PARTS, Documented, Group, members, public
from mamlzoo.contracts import options

HEAD = """\
# Reference

Every public name, its signature and what it promises, in two parts: [to use](#use) what there is, and to
[write a plugin](#write-a-plugin). It is made from the source by `python docs/generate.py`. What is not here is not
public and may change at any time; [what a version promises](compatibility.md) says the rest.

Shapes stand in brackets: `[n, *input_shape]`. θ are the meta-parameters, φ the fast parameters of one episode; the
[theory](theory.md) has the notation. Names without a module are imported from `mamlzoo`.
"""


def page() -> str:
    """The whole page, as Markdown."""
    return linked("\n\n".join([HEAD.rstrip(), *_sections()]) + "\n")


def _sections() -> Iterator[str]:
    for title, groups in PARTS.items():
        yield f"## {title}"
        yield ", ".join(f"[{group.title}](#{slug(group.title)})" for group in groups) + "."
        for group in groups:
            yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    yield f"### {group.title}"
    yield group.text
    for path, (name, found) in zip(group.paths, public(group), strict=True):
        yield f"#### {name}"
        if "." in path and found.parent is not None and found.parent.is_module:
            yield f"In `mamlzoo.{path.rpartition('.')[0]}`."
        yield from _described(name, found)


def _described(name: str, found: Documented) -> Iterator[str]:
    if isinstance(found, griffe.Class):
        yield from _class(name, found)
        return
    if isinstance(found, griffe.Function):
        yield _code(signatures.function(name, found))
    elif isinstance(found, griffe.Attribute):
        yield _code(signatures.attribute(name, found))
    yield from filter(None, [docstrings.markdown(found)])


def _class(name: str, found: griffe.Class) -> Iterator[str]:
    arguments = signatures.constructor(found)
    bases = [base for base in signatures.bases(found) if base not in ("ABC", "NamedTuple", "Protocol")]
    declared = f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    yield _code(declared if arguments is None else signatures.call(name, arguments))
    yield from filter(None, [docstrings.markdown(found)])
    attributes = "\n".join(_attributes(found))
    if attributes:
        yield f"**Attributes**\n\n{attributes}"
    silent = []
    for member, method in members(found):
        if not isinstance(method, griffe.Function):
            continue
        if method.docstring is None:
            silent.append(f"`{member}`")
            continue
        yield f"##### {name}.{member}"
        yield _code(("@classmethod\n" if "classmethod" in method.labels else "") + signatures.function(member, method))
        yield docstrings.markdown(method)
    if silent:
        yield f"It gives {', '.join(silent)} as its base asks."


def _attributes(found: griffe.Class) -> Iterator[str]:
    """Fields and properties; those that share a meaning share an entry."""
    meant = docstrings.meanings(found) | _options(found)
    shown = [
        (_typed(name, attribute), _docstring(attribute) or meant.get(name, ""))
        for name, attribute in members(found)
        if isinstance(attribute, griffe.Attribute)
    ]
    for text, alike in groupby(shown, lambda one: one[1]):
        typed = [names for names, _ in alike]
        if text:
            yield docstrings.entry(", ".join(typed), text)
        else:
            yield from (docstrings.entry(names, "") for names in typed)


def _typed(name: str, attribute: griffe.Attribute) -> str:
    value = None if "property" in attribute.labels else signatures.default(attribute.value)
    type_ = "" if attribute.annotation is None else f"`{signatures.spelled(attribute.annotation)}`"
    details = ", ".join(filter(None, [type_, f"default `{value}`" if value is not None else ""]))
    return f"`{name}`" + (f" ({details})" if details else "")


def _docstring(attribute: griffe.Attribute) -> str:
    return attribute.docstring.value if attribute.docstring else ""


def _options(found: griffe.Class) -> dict[str, str]:
    """What each option of a class means, with its bounds: from the class, since the source may have expressions."""
    fields = [member for _, member in members(found) if isinstance(member, griffe.Attribute)]
    if not any(signatures.is_option(field.value) for field in fields):
        return {}
    cls = getattr(importlib.import_module(found.module.path), found.name)
    return {
        option.name: f"{option.help} ({bounds})" if bounds else option.help for option, bounds in options.describe(cls)
    }


def _code(text: str) -> str:
    return f"```py\n{text}\n```"


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def linked(text: str) -> str:
    """The page with every class named in it, and every `mamlzoo.name`, leading to its section."""
    parts = re.split(r"(^```[\s\S]*?^```$|^#.*$)", text, flags=re.M)
    anchors: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for heading in [part.lstrip("# ") for part in parts if part.startswith("#")]:
        anchor = slug(heading)
        anchors.setdefault(heading, f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1

    def link(found: re.Match[str]) -> str:
        name = found["name"]
        wanted = name in anchors and (found["module"] or name[0].isupper())
        return f"[{found[0]}](#{anchors[name]})" if wanted else found[0]

    spans = re.compile(r"`(?P<module>mamlzoo\.)?(?P<name>\w+(?:\.\w+)?)`")
    return "".join(part if part.startswith(("```", "#")) else spans.sub(link, part) for part in parts)
