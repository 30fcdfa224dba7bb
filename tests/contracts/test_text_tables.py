"""Tables of a user's own: every way to separate and to write numbers is noticed, and what may be either is refused."""

from __future__ import annotations

import gzip
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamlzoo import UsageError, decimal_mark, read_table


def table(folder, text, name="a.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return read_table(folder / name)


def read(folder, text):
    found = table(folder, text)
    mark = decimal_mark([found], found.header)
    return [found.numbers(name, mark) for name in found.header]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_what_separates_columns_is_noticed(tmp_path, mark):
    assert read(tmp_path, f"a{mark}b\n1{mark}2\n") == [[1], [2]]


def test_a_header_that_has_several_marks_is_separated_by_the_one_all_lines_agree_on(tmp_path):
    assert table(tmp_path, "age, years;dose\n1,5;2\n2;3\n").header == ["age, years", "dose"]
    with pytest.raises(UsageError) as caught:
        table(tmp_path, "a,b;c\n1,5;2\n")
    said = (
        f"{tmp_path}/a.csv, line 1: columns may be separated by ',' and ';'; put names that hold one of these in quotes"
    )
    assert str(caught.value) == said


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1), st.sampled_from([",", ";", "\t"]), st.sampled_from(".,"))
def test_what_is_written_is_read(tmp_path_factory, values, separator, decimal):
    cells = [f"{value:.6f}".replace(".", decimal) for value in values]
    quote = '"' if separator == decimal else ""
    text = f"a{separator}b\n" + "".join(f"{quote}{cell}{quote}{separator}7\n" for cell in cells)
    found = read(tmp_path_factory.getbasetemp(), text)
    assert found == [[float(f"{value:.6f}") for value in values], [7.0] * len(values)]


def test_commas_between_thousands_are_not_taken_for_decimals(tmp_path):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, 'a,b\n"1,234",2\n')
    said = "'1,234' may be with decimals or in thousands; write numbers with a decimal point"
    assert str(caught.value) == f"{tmp_path}/a.csv, line 2, column 'a': {said}"
    assert read(tmp_path, 'a,b\n"1,234","2,5"\n') == [[1.234], [2.5]]
    assert read(tmp_path, "a;b\n1,234;2\n") == [[1.234], [2]]


def test_decimal_points_in_one_file_and_commas_in_another_are_refused(tmp_path):
    both = [table(tmp_path, "a;b\n1,5;2\n"), table(tmp_path, "a,b\n1.5,2\n", "b.csv")]
    with pytest.raises(UsageError) as caught:
        decimal_mark(both, ["a", "b"])
    assert str(caught.value) == (
        f"{tmp_path}/a.csv, line 2, column 'a': '1,5' has a decimal comma, and {tmp_path}/b.csv, line 2, column 'a': "
        "'1.5' a decimal point; write all numbers alike"
    )


def test_a_compressed_file_is_read_and_a_damaged_one_named(tmp_path):
    packed = gzip.compress(b"a,b\n1,2\n")
    (tmp_path / "a.csv.gz").write_bytes(packed)
    assert read_table(tmp_path / "a.csv.gz").rows == [["1", "2"]]
    for damaged in (b"a,b\n1,2\n", packed[:-4], packed[:12] + b"\xff" * 8 + packed[20:]):
        (tmp_path / "a.csv.gz").write_bytes(damaged)
        with pytest.raises(UsageError, match=r"a\.csv\.gz cannot be read: "):
            read_table(tmp_path / "a.csv.gz")


def test_a_column_that_is_not_there_gets_the_nearest_names_and_one_that_is_there_twice_is_refused(tmp_path):
    found = table(tmp_path, "dose,age,age\n1,2,3\n")
    for names, line in ((["doze"], "there is no column 'doze'; did you mean 'dose'?"),
                        (["age"], "column 'age' stands there 2 times; give each a name of its own")):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            found.check(names)
        assert str(caught.value) == f"{tmp_path}/a.csv, line 1: {line}"
    found.check(["dose"])


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_arrow_files_are_tables_too(tmp_path, ending):
    pyarrow = pytest.importorskip("pyarrow")
    written = pyarrow.table({"day": [date(2020, 1, 2), None], "dose": [1.5, None], "who": ["a", "b"]})
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(written, path)
    else:
        pytest.importorskip("pyarrow.feather").write_feather(written, path)
    found = read_table(path)
    assert (found.header, found.rows) == (["day", "dose", "who"], [["2020-01-02", "1.5", "a"], ["", "", "b"]])
    with pytest.raises(UsageError, match=rf"a\.{ending}, row 2, column 'dose': '' is not a number"):
        found.numbers("dose")
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(UsageError, match=rf"a\.{ending} cannot be read: "):
        read_table(path)


def test_without_pyarrow_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as caught:
        read_table(tmp_path / "a.parquet")
    said = "to read it takes pyarrow; `pip install 'mamlzoo[parquet]'` installs it"
    assert str(caught.value) == f"{tmp_path}/a.parquet: {said}"


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_a_table_is_read_in_the_encoding_that_is_given(tmp_path, encoding):
    (tmp_path / "table.csv").write_bytes("größe,y\né,1\n".encode(encoding))
    assert read_table(tmp_path / "table.csv", encoding).column("größe") == ["é"]


def test_what_is_not_of_that_encoding_is_said_with_its_line(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"x,y\n1,2\n\x81,3\n")  # which cp1252 does not have
    with pytest.raises(UsageError, match=r"table\.csv, line 3: this is not cp1252 text; save it as CSV in UTF-8, or"):
        read_table(tmp_path / "table.csv", "cp1252")
