"""Points in a CSV file: every honest way to write them, and one clear line for what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mamlzoo
from mamlzoo import Spec, UsageError
from mamlzoo.contracts.csv_points import read_points
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine


class Images(Sine):
    """Inputs of two axes and targets of two numbers."""

    name = "images"
    spec = Spec(input_shape=(2, 2), output_size=2)


SINE, BLOBS = Sine(), Blobs(ways=3, dimensions=2)
NOTHING = mamlzoo.Points(np.empty((0, 1)))


def points(folder: Path, data: str | bytes, task: mamlzoo.Task = SINE, *, targets: bool = True):
    path = folder / "points.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return task.read(path, support=None if targets else NOTHING)


FORMS = {
    "plain": "x,y\n1,-0.5\n2,3\n",
    "no last line end": "x,y\n1,-0.5\n2,3",
    "lines end as on Windows": "x,y\r\n1,-0.5\r\n2,3\r\n",
    "byte order mark": b"\xef\xbb\xbfx,y\n1,-0.5\n2,3\n",
    "blank lines": "\nx,y\n1,-0.5\n\n2,3\n\n   \n",
    "spaces": " x , y\n 1,\t-0.5 \n2  ,3\n",
    "quotes": '"x","y"\n"1","-0.5"\n2, "3"\n',
    "another order": "y,x\n-0.5,1\n3,2\n",
    "counted from 1": "x1,y1\n1,-0.5\n2,3\n",
    "counted from 0": "x0,y0\n1,-0.5\n2,3\n",
    "semicolons": "x;y\n1;-0.5\n2;3\n",
    "tabs": "x\ty\n1\t-0.5\n2\t3\n",
    "decimal commas": "x;y\n1,0;-0,5\n2;3\n",
    "rows without any text": "x,y\n1,-0.5\n2,3\n,\n,\n",
    "exponents": "x,y\n1e0,-5E-1\n.2e1,+3\n",
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_every_way_to_write_a_file_is_read_alike(tmp_path, data):
    found = points(tmp_path, data)
    np.testing.assert_array_equal(found.x, np.array([[1], [2]], np.float32))
    np.testing.assert_array_equal(found.y, np.array([[-0.5], [3]], np.float32))


@pytest.mark.parametrize("first", [0, 1])
def test_several_numbers_fill_an_input_in_row_order(tmp_path, first):
    names = [f"{name}{first + at}" for name, count in (("x", 4), ("y", 2)) for at in range(count)]
    found = points(tmp_path, f"{','.join(names)}\n1,2,3,4,5,6\n", Images())
    assert found.x.tolist() == [[[1, 2], [3, 4]]]
    assert found.y.tolist() == [[5, 6]]


def test_classes_are_whole_numbers_however_they_are_written(tmp_path):
    found = points(tmp_path, "x1,x2,y\n0,1,2\n0,1,0.0\n", BLOBS)
    assert found.y.dtype == np.int64
    assert found.y.tolist() == [2, 0]


def test_a_query_has_targets_where_the_file_has_them(tmp_path):
    assert points(tmp_path, "x\n1\n", targets=False).y is None
    assert points(tmp_path, "x,y\n1,2\n", targets=False).y.tolist() == [[2]]


@given(st.lists(st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 2), min_size=1))
def test_what_is_written_is_read(tmp_path_factory, pairs):
    lines = "".join(f"{x!r},{y!r}\n" for x, y in pairs)
    found = points(tmp_path_factory.getbasetemp(), f"x,y\n{lines}")
    np.testing.assert_array_equal(np.concatenate([found.x, found.y], 1), np.array(pairs, np.float32))


SINE_TAKES, BLOBS_TAKE = "task 'sine' takes the columns x, y", "task 'blobs' takes the columns x1, x2, y"
ERRORS = {
    "empty": (b"", SINE, f" is empty; {SINE_TAKES}"),
    "blank": (b"\n \n", SINE, f" is empty; {SINE_TAKES}"),
    "no header": ("1,2\n3,4\n", SINE, f", line 1: there is no header; the first line names the columns, and {SINE_TAKES}"),
    "no points": ("x,y\n", SINE, " has a header and no points below it"),
    "missing input": ("y\n1\n", SINE, f", line 1: there is no column 'x'; {SINE_TAKES}"),
    "missing target": ("x\n1\n", SINE, f", line 1: there is no column 'y'; {SINE_TAKES}"),
    "one of several missing": ("x1,y\n1,0\n", BLOBS, f", line 1: there is no column 'x2'; {BLOBS_TAKE}"),
    "one of several missing from 0": ("x0,y\n1,0\n", BLOBS, f", line 1: there is no column 'x1'; {BLOBS_TAKE}"),
    "extra": ("x,y,z\n1,2,3\n", SINE, f", line 1: column 'z' is unknown; {SINE_TAKES}"),
    "nameless": ("x,y,\n1,2,\n", SINE, f", line 1: column '' is unknown; {SINE_TAKES}"),
    "twice": ("x,y,x\n1,2,3\n", SINE, f", line 1: column 'x' stands there 2 times; {SINE_TAKES}"),
    "another task's": ("x,y\n1,2\n", BLOBS, f", line 1: there is no column 'x1'; {BLOBS_TAKE}"),
    "many columns": ("x,y\n1,2\n", Blobs(ways=3, dimensions=8),
                     ", line 1: there is no column 'x1'; task 'blobs' takes the columns x1, x2, …, x8, y"),
    "text": ("x,y\n1,2\n3,four\n", SINE, ", line 3, column 'y': 'four' is not a number"),
    "nothing": ("x,y\n1,\n", SINE, ", line 2, column 'y': '' is not a number"),
    "text of two lines": ('x,y\n1,"a\nb"\n', SINE, ", line 3, column 'y': 'a\\nb' is not a number"),
    "long text": (f"x,y\n1,{'a' * 99}\n", SINE, f", line 2, column 'y': '{'a' * 40}…' is not a number"),
    "NaN": ("x,y\nnan,1\n", SINE, ", line 2, column 'x': 'nan' is not a finite number in float32"),
    "infinite": ("x,y\n1,-inf\n", SINE, ", line 2, column 'y': '-inf' is not a finite number in float32"),
    "beyond float32": ("x,y\n1e39,1\n", SINE, ", line 2, column 'x': '1e39' is not a finite number in float32"),
    "short line": ("x,y\n1,2\n\n3\n", SINE, ", line 4: 1 column, and the header has 2"),
    "decimal comma": ("x,y\n1,5,2\n", SINE, ", line 2: 3 columns, and the header has 2"),
    "class by name": ("x1,x2,y\n0,0,cat\n", BLOBS, ", line 2, column 'y': 'cat' is not a class index from 0 to 2; number "
                      "the classes, in any order if the task draws it anew for each episode"),
    "class too large": ("x1,x2,y\n0,0,3\n", BLOBS, ", line 2, column 'y': '3' is not a class index from 0 to 2"),
    "class below 0": ("x1,x2,y\n0,0,-1\n", BLOBS, ", line 2, column 'y': '-1' is not a class index from 0 to 2"),
    "half a class": ("x1,x2,y\n0,0,1.5\n", BLOBS, ", line 2, column 'y': '1.5' is not a class index from 0 to 2"),
    "Latin 1": ("x,y\n1,2\n3,µ\n".encode("latin-1"), SINE, ", line 3: this is not UTF-8 text; save it as CSV in UTF-8"),
    "UTF-16": ("x,y\n".encode("utf-16"), SINE, ", line 1: this is not UTF-8 text; save it as CSV in UTF-8"),
    "open quote": ('x,y\n1,"2\n', SINE, ", line 2: this is not CSV: unexpected end of data"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "task", "line"), ERRORS.values(), ids=ERRORS)
def test_what_is_wrong_is_said_with_its_file_line_and_column(tmp_path, data, task, line):
    with pytest.raises(UsageError) as caught:
        points(tmp_path, data, task)
    assert str(caught.value) == f"{tmp_path / 'points.csv'}{line}"


def test_a_query_that_has_some_targets_must_have_all(tmp_path):
    with pytest.raises(UsageError) as caught:
        points(tmp_path, "x1,x2,x3,x4,y1\n1,2,3,4,5\n", Images(), targets=False)
    takes = "task 'images' takes the columns x1, x2, x3, x4, y1, y2"
    assert str(caught.value) == f"{tmp_path / 'points.csv'}, line 1: there is no column 'y2'; {takes}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.csv", "cannot be read: No such file or directory"),
        ("", "is a folder, and a CSV file is wanted, whose first line names the columns"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, reason):
    with pytest.raises(UsageError) as caught:
        SINE.read(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name} {reason}"


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_a_file_says_itself_how_many_columns_it_has(tmp_path, data):
    path = tmp_path / "points.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    found = read_points(path)
    np.testing.assert_array_equal(found.x, np.array([[1], [2]], np.float32))
    np.testing.assert_array_equal(found.y, np.array([[-0.5], [3]], np.float32))


def test_columns_are_taken_in_the_order_of_their_numbers(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("y1,x2,y0,x1,x3\n1,2,3,4,5\n")
    found = read_points(path)
    assert (found.x.tolist(), found.y.tolist()) == ([[4, 2, 5]], [[3, 1]])


def test_labels_are_any_text(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("x,y\n1,cat\n2,7\n")
    assert read_points(path, labels=True).y.tolist() == ["cat", "7"]


TAKES = "the columns are x, or x1, x2, …, and y, or y1, y2, …"


@pytest.mark.parametrize(
    ("data", "labels", "line"),
    [
        ("", False, f" is empty; {TAKES}"),
        ("t,y\n1,2\n", False, f", line 1: there is no column 'x'; {TAKES}"),
        ("x1,x3,y\n1,2,3\n", False, f", line 1: there is no column 'x2'; {TAKES}"),
        ("x,y,t\n1,2,3\n", False, f", line 1: column 't' is unknown; {TAKES}"),
        ("x,y\n1,2\n3,four\n", False, ", line 3, column 'y': 'four' is not a number"),
        ("x,y\n1,a\n3,\n", True, ", line 3, column 'y': '' is no class label"),
    ],
)
def test_what_is_wrong_with_such_a_file_is_said_with_its_place(tmp_path, data, labels, line):
    path = tmp_path / "points.csv"
    path.write_text(data)
    with pytest.raises(UsageError) as caught:
        read_points(path, labels=labels)
    assert str(caught.value) == f"{path}{line}"
