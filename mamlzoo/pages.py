"""HTML pages that are whole in themselves: no request to anywhere, and no script but their own.

The same content gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from pathlib import Path
from typing import Any

import mamlzoo
from mamlzoo import files
from mamlzoo.errors import UsageError

FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:\
{allowed}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}</main>
<footer>mamlzoo {version}</footer>
{scripts}</body>
</html>
"""
SCRIPTS = """<script type="application/json" id="document">{document}</script>
<script>{script}</script>
"""


def page(title: str, style: str, body: str, *, script: str = "", document: Any = None) -> str:
    """A page as HTML5, in light and dark, with the version of mamlzoo at its foot.

    Args:
        title: as text.
        style: CSS, which follows what all pages have.
        body: HTML, that ends with a line break.
        script: JavaScript, the only one that a browser lets the page run.
        document: what the script reads from the element `document`, as JSON.
    """
    allowed = scripts = ""
    if script:
        # A browser takes the digest of what stands between the tags, to the last line break.
        allowed = f"; script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        scripts = SCRIPTS.format(document=text, script=script)
    return FRAME.format(
        allowed=allowed,
        title=escape(title),
        style=Path(__file__).with_name("pages.css").read_text(encoding="utf-8") + "\n" + style,
        body=body,
        version=escape(mamlzoo.__version__),
        scripts=scripts,
    )


def write(text: str, path: Path) -> None:
    """Write a page to a path that was checked, whole or not at all; one that is there already is replaced.

    Raises:
        UsageError: it cannot be written.
    """
    with files.named_in_refusal(path), files.whole(path) as file:
        file.write(text.encode("utf-8", "replace"))


def check_path(path: Path) -> None:
    """Refuse a file that is no page by its name, before anything is computed.

    Raises:
        UsageError: its ending is not .html.
    """
    if path.suffix.lower() != ".html":
        raise UsageError(f"{path} must end in .html")
