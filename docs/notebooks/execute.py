"""Execute the notebooks of this folder, each from a fresh kernel, and keep what comes out.

python docs/notebooks/execute.py             all of them
python docs/notebooks/execute.py NAME.ipynb  one

What changes by itself, execution counts, times and ids, is not kept, so that a change of a notebook reads as one.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent
SECONDS = 300
"""For how long a cell may run; all of them take less than a minute together."""
PICTURE = "image/png"
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def notebooks() -> list[Path]:
    """Those that lie here."""
    return sorted(HERE.glob("*.ipynb"))


def executed(path: Path) -> NotebookNode:
    """The notebook as it is after a fresh kernel has gone through it, in an empty folder.

    Raises:
        CellExecutionError: a cell raised; it says which, and with what.
    """
    notebook = plain(nbformat.read(path, as_version=4))
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=where).execute()
    return plain(notebook)


def plain(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what changes by itself, in the format that has no ids of cells."""
    notebook.metadata, notebook.nbformat, notebook.nbformat_minor = nbformat.from_dict(KERNEL), 4, 4
    for cell in notebook.cells:
        cell.pop("id", None)
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.execution_count = None
        for output in cell.get("outputs", []):
            if "execution_count" in output:
                output.execution_count = None
            if "metadata" in output:
                output.metadata = NotebookNode()
    return notebook


def shown(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """What each output shows: its kind, and its text. Of a picture only that there is one; HTML says it again."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                yield output.name, output.text
            elif output.output_type == "error":
                yield "error", f"{output.ename}: {output.evalue}"
            elif PICTURE in output.data:
                yield PICTURE, ""
            else:
                yield "text/plain", output.data["text/plain"]


def written(notebook: NotebookNode) -> str:
    """The file's text."""
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def main(names: list[str]) -> int:
    """Execute them and write them anew; the exit code."""
    for path in [HERE / name for name in names] or notebooks():
        path.write_text(written(executed(path)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
