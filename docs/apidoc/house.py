"""The picture of the house in `docs/images/house.svg`: the layers that `lint-imports` keeps, and what is in each."""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

from apidoc.names import ROOT

WIDTH, MARGIN, LINE, GAP, TEXT = 980, 8, 24, 8, 168
"""In the picture's own units: its width, the margin, a line's height, what is between layers, where texts begin."""
STYLE = "text{font:14px system-ui,sans-serif;fill:#1f2933}.name{font-family:ui-monospace,monospace;font-weight:600}"


def layers() -> list[list[str]]:
    """The layers from the top: packages and files that stand side by side."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (rule,) = (rule for rule in rules if rule["type"] == "layers")
    return [layer.split(" | ") for layer in rule["layers"]]


def summary(name: str) -> str:
    """The first line of the docstring of a package or a file."""
    place = ROOT / "mamlzoo" / name
    path = place / "__init__.py" if place.is_dir() else Path(f"{place}.py")
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def picture() -> str:
    """The picture, as SVG."""
    parts, top = [], MARGIN
    for at, layer in enumerate(layers()):
        height = LINE * len(layer) + 8
        fill = "#eef2f7" if at % 2 else "#dde6f0"
        parts.append(
            f'<rect x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{height}" rx="6" fill="{fill}"/>'
        )
        for line, name in enumerate(layer):
            y = top + LINE * line + 21
            shown = name if (ROOT / "mamlzoo" / name).is_dir() else f"{name}.py"
            parts.append(f'<text class="name" x="{MARGIN + 12}" y="{y}">{shown}</text>')
            parts.append(f'<text x="{MARGIN + TEXT}" y="{y}">{escape(summary(name))}</text>')
        top += height + GAP
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    title = "<title>The packages of mamlzoo: each imports what stands below it alone.</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>{title}<style>{STYLE}</style>'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>', *parts, "</svg>\n"])
