"""Code of a user's own as bytes."""

from __future__ import annotations

import pytest

from mamlzoo import UsageError
from mamlzoo.discovery import packed_code, source_code
from mamlzoo.discovery.packed_code import PackedCode
from mamlzoo.discovery.source_code import source_at


def own_file(folder):
    (folder / "parts").mkdir(parents=True)
    (folder / "net.py").write_text("import parts.inner\nimport beside\nclass Net: ...\n", encoding="utf-8")
    (folder / "beside.py").write_text("WIDTH = 5\n", encoding="utf-8")
    (folder / "parts" / "inner.py").write_text("", encoding="utf-8")
    return f"{folder / 'net.py'}:Net"


def test_what_is_unpacked_elsewhere_is_the_same_code_with_its_siblings(tmp_path):
    source = source_at(own_file(tmp_path / "own"))
    code = packed_code.packed(source)
    assert sorted(code.contents) == ["beside.py", "net.py", "parts/__init__.py", "parts/inner.py"]
    assert source_at(packed_code.unpacked(code, tmp_path / "other")).sha256 == source.sha256
    assert packed_code.is_at(source)
    (tmp_path / "own" / "beside.py").unlink()
    assert not packed_code.is_at(source)


def test_a_module_is_to_be_installed_wherever_it_runs():
    assert packed_code.packed(source_at("json.decoder:JSONDecoder")) is None


def test_a_file_that_has_changed_since_is_refused(tmp_path):
    source = source_at(own_file(tmp_path / "own"))
    (tmp_path / "own" / "beside.py").write_text("WIDTH = 6\n", encoding="utf-8")
    with pytest.raises(UsageError, match="net.py has changed since it was executed here"):
        packed_code.packed(source)


@pytest.mark.parametrize("name", ["../out.py", "/out.py"])
def test_a_path_out_of_its_folder_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="it leads out of its folder"):
        packed_code.unpacked(PackedCode("net.py", "Net", {name: b""}), tmp_path / "folder")
    assert not (tmp_path / "out.py").exists()


def test_packing_executes_nothing(tmp_path):
    (tmp_path / "net.py").write_text("raise RuntimeError\nNet = 1\n", encoding="utf-8")
    assert packed_code.packed(source_at(f"{tmp_path / 'net.py'}:Net")) is not None
    assert source_code.is_file(str(tmp_path / "net.py"))
