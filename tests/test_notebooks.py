"""The notebooks of the documents run as they stand, from a fresh kernel, and show what is stored in them.

Words are compared to the letter, numbers as everywhere in the documents (`printed_numbers`), to 5 in 100 of the largest
in their line, since the notebooks train; times and pictures are not compared, only that there is a picture.
`python docs/notebooks/execute.py` writes them anew.
"""

from __future__ import annotations

import pytest
from printed_numbers import apart

execute = pytest.importorskip("notebooks.execute", reason="needs nbformat, nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="needs ipykernel")
nbformat = execute.nbformat
TOLERANCE = 0.05
NOTEBOOKS = [pytest.param(path, id=path.name) for path in execute.notebooks()]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the messages to the kernel
PROGRESS = """import mamlzoo
result = mamlzoo.run(iterations=600, meta_batch=25, test_tasks=20, test_steps=1, plan="vmap", progress=True)"""


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_shows_what_is_stored_in_it(path):
    stored, fresh = nbformat.read(path, as_version=4), execute.executed(path)
    pairs = list(zip(execute.shown(stored), execute.shown(fresh), strict=True))
    assert pairs
    for (kind, text), (its_kind, its_text) in pairs:
        assert kind == its_kind
        assert apart(text, its_text) <= TOLERANCE, f"--- stored\n{text}\n--- shown\n{its_text}"


RESULTS = {
    "a result": "mamlzoo.run(**budget)",
    "a comparison": "mamlzoo.compare(algorithm=['maml', 'fomaml'], **budget)",
    "a sweep": "mamlzoo.sweep(axes={'algorithm.inner_lr': [0.01, 0.1]}, out='sweep', **budget)",
}
BUDGET = """import mamlzoo

budget = {"iterations": 4, "meta_batch": 4, "test_tasks": 20, "test_steps": 1, "plan": "vmap"}
"""


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_what_is_stored_has_nothing_that_changes_by_itself(path):
    text = path.read_text(encoding="utf-8")
    assert execute.written(execute.plain(nbformat.reads(text, as_version=4))) == text


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_what_is_stored_was_executed(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@pytest.mark.slow
def test_in_a_real_kernel_progress_is_a_bar_that_goes_and_a_line_that_stays():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PROGRESS)])
    seen = []
    client = execute.NotebookClient(notebook, timeout=100, kernel_name="python3")
    hear = client.process_message
    client.process_message = lambda message, *rest: (seen.append(message), hear(message, *rest))[1]
    client.execute()
    drawn = [
        message["content"]["data"]["text/html"] for message in seen if message["msg_type"] == "update_display_data"
    ]
    assert any("━" in html for html in drawn)
    assert drawn[-1] == ""
    (text,) = [output.text for output in notebook.cells[0].outputs if output.output_type == "stream"]
    assert text.startswith("sine × mlp × maml by vmap")


@pytest.mark.slow
def test_in_a_real_kernel_what_comes_of_runs_shows_its_table_and_its_figure_by_itself(tmp_path):
    cells = [nbformat.v4.new_code_cell(BUDGET), *map(nbformat.v4.new_code_cell, RESULTS.values())]
    notebook = nbformat.v4.new_notebook(cells=cells)
    where = {"metadata": {"path": str(tmp_path)}}
    execute.NotebookClient(notebook, timeout=100, kernel_name="python3", resources=where).execute()
    for name, cell in zip(RESULTS, notebook.cells[1:], strict=True):
        table, figure = [output.data for output in cell.outputs if output.output_type == "display_data"]
        assert table["text/html"].startswith("<table>"), name
        assert figure["image/png"], name
