"""A run as one file: whole again from it, refused in one line where it is damaged or newer, and never executed."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import mamlzoo
from mamlzoo import MamlzooError, UsageError, trees
from mamlzoo.discovery import source_code, trust
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs import packed_run, tensor_documents
from mamlzoo.runs.digests import digest, experiment_digest

pytestmark = pytest.mark.usefixtures("no_figures")
QUICK = {"iterations": 2, "meta_batch": 2, "test_tasks": 3, "test_steps": 1, "plan": "loop"}
NET = """
from pathlib import Path
from torch import nn

Path(__file__).with_name("executed").touch()

def Net(): return nn.Linear(1, 1)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, no_figures) -> Path:
    """A finished run that has all that a checkpoint can have: validations, the best of them, an average of θ."""
    directory = tmp_path_factory.mktemp("packed") / "run"
    mamlzoo.run(**QUICK, seeds=[3, 5], validate_every=1, select_best=True, ema=0.5, out=directory)
    return directory


@pytest.fixture
def packed(run, tmp_path) -> Path:
    file = tmp_path / "run.safetensors"
    packed_run.pack(run_directory.load(run), file)
    return file


def without_place(result: mamlzoo.Result) -> dict:
    return result.document() | {"run_dir": None}


def rewritten(file: Path, change) -> Path:
    """The file with another document, and a digest that fits where there is something that a digest is of."""
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        document = json.loads(opened.metadata()["mamlzoo"])
    change(document)
    other = file.with_name("other.safetensors")
    document["digest"] = digest(tensor_documents.joined(document["content"], tensors))
    save_file(tensors, other, {"mamlzoo": json.dumps(document)})
    return other


def at(document, *keys):
    """A place in a document's content."""
    part = document["content"]
    for key in keys:
        (pair,) = [pair for pair in part["dict"] if pair[0] == key]
        part = pair[1]
    return part


def with_model(document, tensors, saved) -> None:
    """Another model in the config, and a checkpoint of that experiment."""
    pairs = at(document, "config")["dict"]
    model = at(document, "config", "model")["dict"]
    model[:] = tensor_documents.parted(saved)[0]["dict"]
    config = tensor_documents.joined({"dict": pairs}, tensors)
    at(document, "checkpoint")["dict"][0][1] = experiment_digest(config)


@pytest.fixture
def of_own_code(packed, tmp_path, monkeypatch) -> Path:
    """A packed run of a network in a file, which was made elsewhere."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "net.py").write_text(f"{NET}# of {tmp_path}\n")
    source = source_code.source_at(f"{folder}/net.py:Net")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "here"))
    saved = {"name": "Net", "options": {}, "registered": False, "version": None, "source": source._asdict()}
    return rewritten(packed, lambda document: with_model(document, load_file(packed), saved))


def test_a_packed_run_is_the_run(run, packed):
    found, expected = mamlzoo.load(packed), mamlzoo.load(run)
    assert without_place(found) == without_place(expected)
    assert trees.equal(found.meta, expected.meta)
    assert found.evaluation.main.tobytes() == expected.evaluation.main.tobytes()


def test_what_is_unpacked_goes_on_as_the_run_would(run, packed, tmp_path):
    run_directory.save(mamlzoo.load(packed), tmp_path / "again")
    loaded = [run_directory.load(place) for place in (run, tmp_path / "again")]
    assert without_place(loaded[0]) == without_place(loaded[1])
    contents = [torch.load(place / "checkpoint.pt", weights_only=True) for place in (run, tmp_path / "again")]
    assert contents[0]["digest"] == contents[1]["digest"]


def test_packing_again_gives_the_same_bytes(run, packed, tmp_path):
    packed_run.pack(run_directory.load(run), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == packed.read_bytes()


def test_other_programs_find_theta_by_its_names(run, packed):
    found = load_file(packed)
    for name, leaf in trees.named_leaves(mamlzoo.load(run).meta):
        matching = [value for key, value in found.items() if key == f"checkpoint/best/meta/{name.replace('.', '/', 1)}"]
        assert len(matching) == 1
        torch.testing.assert_close(matching[0], leaf)


def test_a_run_begins_with_it(packed):
    begun = mamlzoo.run(**QUICK | {"iterations": 0}, seeds=[3, 5], init_from=str(packed))
    assert trees.equal(begun.meta, mamlzoo.load(packed).meta)


def test_a_flipped_bit_anywhere_is_told_or_makes_no_difference(packed):
    whole, draw = packed.read_bytes(), random.Random(0)
    expected = without_place(mamlzoo.load(packed))
    header = int.from_bytes(whole[:8], "little")
    told = list[str]()
    places = [*range(8), *draw.sample(range(8, header), 60), *draw.sample(range(header, len(whole)), 60)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(7)
        packed.write_bytes(damaged)
        try:
            found = without_place(mamlzoo.load(packed))
        except MamlzooError as error:
            told.append(str(error))
        else:
            assert found == expected
    assert len(told) > len(places) / 2
    assert all(line.startswith(str(packed)) and "\n" not in line for line in told)


@pytest.mark.parametrize("length", [0, 7, 8, 300, -1])
def test_a_cut_file_is_told(packed, length):
    packed.write_bytes(packed.read_bytes()[:length])
    with pytest.raises(MamlzooError, match="is damaged, or no packed run: it is no whole safetensors file"):
        mamlzoo.load(packed)


def test_another_number_of_theta_is_told(packed):
    whole = packed.read_bytes()
    packed.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(MamlzooError, match="is damaged: its content does not have its digest"):
        mamlzoo.load(packed)


def test_tensors_of_somebody_else_are_no_packed_run(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(MamlzooError, match="is no packed run: it holds tensors, and nothing of mamlzoo's about them"):
        mamlzoo.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize("version", ["format", "layout"])
def test_a_newer_file_is_told(packed, version):
    other = rewritten(packed, lambda document: document.update({version: 2}))
    with pytest.raises(MamlzooError, match="was written by a newer mamlzoo: its format is 2, this one knows up to 1"):
        mamlzoo.load(other)


@pytest.mark.parametrize("version", [0, "1", None, True])
def test_what_is_no_version_is_told(packed, version):
    other = rewritten(packed, lambda document: document.update(format=version))
    with pytest.raises(MamlzooError, match="which is no version"):
        mamlzoo.load(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: at(document)["dict"].pop(),
        lambda document: at(document)["dict"].pop(1),
        lambda document: at(document, "config", "settings")["dict"].clear(),
        lambda document: at(document, "config", "settings", "seeds").pop(),
        lambda document: at(document, "checkpoint", "meta")["dict"].clear(),
        lambda document: at(document, "test", "values")["dict"].clear(),
        lambda document: at(document, "timing")["dict"][0].__setitem__(1, "soon"),
        lambda document: document.update(content=[]),
        lambda document: document.update(content=1),
    ],
)
def test_content_of_another_kind_is_told_whatever_its_digest(packed, change):
    with pytest.raises(MamlzooError, match=r"other\.safetensors (cannot be read|is damaged)"):
        mamlzoo.load(rewritten(packed, change))


def test_a_pickle_is_no_packed_run_and_is_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Evil()))
    torch.save(Evil(), tmp_path / "evil.pt")
    for name in ("evil.safetensors", "evil.pt"):
        with pytest.raises(MamlzooError, match="no packed run"):
            mamlzoo.load(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_numbers_of_a_run_of_own_code_are_read_and_none_of_it_is_executed(of_own_code, tmp_path):
    assert mamlzoo.load(of_own_code).evaluation.mean.shape == (2,)
    run_directory.save(mamlzoo.load(of_own_code), tmp_path / "unpacked")
    assert not (tmp_path / "own" / "executed").exists()


def test_own_code_is_asked_for_by_name_and_not_executed(of_own_code, tmp_path):
    with pytest.raises(UsageError, match=r"is code that was never run here, .*net\.py:Net with SHA-256"):
        mamlzoo.load(of_own_code).adapt([[1.0]], [[1.0]])
    assert not (tmp_path / "own" / "executed").exists()


def test_own_code_that_is_trusted_is_executed(of_own_code, tmp_path):
    trust.add([source_code.source_at(f"{tmp_path}/own/net.py:Net")])
    with pytest.raises(UsageError, match="has another θ than its model"):
        mamlzoo.load(of_own_code).adapt([[1.0]], [[1.0]])
    assert (tmp_path / "own" / "executed").exists()


def test_code_that_a_config_calls_an_installed_plugin_is_not_executed(packed, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    saved = {"name": f"{tmp_path}/net.py:Net", "options": {}, "registered": True, "version": None}
    other = rewritten(packed, lambda document: with_model(document, load_file(packed), saved))
    with pytest.raises(UsageError, match="there is no model .* among the installed plugins"):
        mamlzoo.load(other).adapt([[1.0]], [[1.0]])
    assert not (tmp_path / "executed").exists()


def test_what_a_file_lacks_is_told(of_own_code, run, tmp_path):
    (line,) = packed_run.left_out(mamlzoo.load(of_own_code))
    assert line.startswith(f"left out: the code of model 'Net', which is at {tmp_path}/own/net.py:Net (SHA-256 ")
    (line,) = packed_run.left_out(mamlzoo.run(model=lambda: torch.nn.Linear(1, 1), **QUICK))
    assert line.endswith("which came from Python")
    assert packed_run.left_out(mamlzoo.load(run)) == []


def test_a_run_of_another_version_of_a_plugin_that_lacks_a_later_option_adapts(packed):
    saved = {"name": "mlp", "options": {"hidden": [40, 40]}, "registered": True, "version": "mamlzoo 0.0.1"}
    other = mamlzoo.load(rewritten(packed, lambda document: with_model(document, load_file(packed), saved)))
    expected = mamlzoo.load(packed).adapt([[1.0]], [[1.0]], steps=1)
    assert other.adapt([[1.0]], [[1.0]], steps=1).losses.tolist() == expected.losses.tolist()


def test_nothing_is_overwritten(run, packed):
    with pytest.raises(UsageError, match="exists; nothing is overwritten"):
        packed_run.pack(run_directory.load(run), packed)


def test_a_pipe_in_a_files_place_is_not_waited_for(run, tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(MamlzooError, match="is no regular file"):
        mamlzoo.load(tmp_path / "pipe.safetensors")


def test_a_directory_is_a_directory_whatever_its_name(run, tmp_path):
    shutil.copytree(run, tmp_path / "run.safetensors")
    assert mamlzoo.load(tmp_path / "run.safetensors").run_dir == tmp_path / "run.safetensors"
