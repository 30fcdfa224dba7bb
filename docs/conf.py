"""The site: `sphinx-build -W --keep-going -b html docs site`. The pages are those that GitHub shows."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from sphinx.application import Sphinx

from mamlzoo import __version__

project = "mamlzoo"
author = "The mamlzoo developers"
copyright = "the mamlzoo developers"
version = release = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
myst_heading_anchors = 5  # the anchors that GitHub gives headings
smartquotes = False  # a quoted word is often one to type
highlight_language = "none"  # blocks without a language are formulas and trees of files

html_theme = "furo"
html_title = f"mamlzoo {__version__}"
html_show_sphinx = False
html_copy_source = False

SHOWN = {"README.md": "index.md", "CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md"}
"""The pages that lie above this folder, and those that include them here."""
FILE = re.compile(r'^```python title="(?P<name>[\w.]+)"$', re.M)
"""The first line of a block that is a whole file; GitHub does not show its name, this site does."""
LINK = re.compile(r"(?<=\]\()(?P<target>[^)#:]+)(?=[)#])")


def rewritten(text: str, from_root: bool) -> str:
    """A page as the site must have it: names above files, and links that lead somewhere.

    Pages above this folder are found where they are included.

    Args:
        from_root: whether the page lies above this folder, so that its links lead from there.
    """

    def target(link: re.Match[str]) -> str:
        path = link["target"]
        if from_root:
            path = str(PurePosixPath(path).relative_to("docs")) if path.startswith("docs/") else f"../{path}"
        return SHOWN.get(path.removeprefix("../"), path) if path.startswith("../") else path

    return FILE.sub(r"```{code-block} python\n:caption: \g<name>\n", LINK.sub(target, text))


def from_notebook(text: str) -> str:
    """A notebook as a page: its text, its code, and what came out as it is stored."""
    parts = []
    for cell in json.loads(text)["cells"]:
        written = "".join(cell["source"])
        language = "text" if written.startswith("!") else "python"  # a command of a shell's
        parts.append(written if cell["cell_type"] == "markdown" else f"```{language}\n{written}\n```")
        parts += map(_output, cell.get("outputs", []))
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    shown = output.get("data", {})
    if "image/png" in shown:
        return f"![figure](data:image/png;base64,{''.join(shown['image/png'].split())})"
    text = "".join(output["text"] if "text" in output else shown["text/plain"])
    return f"```text\n{text.rstrip()}\n```"


def _page_read(app: Sphinx, page: str, source: list[str]) -> None:
    if app.env.doc2path(page).suffix == ".ipynb":
        source[0] = from_notebook(source[0])
    source[0] = rewritten(source[0], from_root=False)


def _included(app: Sphinx, path: PurePosixPath, page: str, source: list[str]) -> None:
    source[0] = rewritten(source[0], from_root=True)


def _explorer_written(app: Sphinx, error: Exception | None) -> None:
    """The page that `explore.md` holds in a frame, of what comes with mamlzoo."""
    if error is None and app.builder.format == "html":
        import mamlzoo

        names = ("maml-sine", "transfer-sine", "alpaca-sine")
        mamlzoo.explore([mamlzoo.load(name) for name in names], Path(app.outdir) / "explore-sine.html")


def setup(app: Sphinx) -> None:
    """Rewrite links as pages are read, and write the page that one of them holds."""
    app.connect("build-finished", _explorer_written)
    app.connect("source-read", _page_read)
    app.connect("include-read", _included)
