"""Omniglot: its archives, its splits and Lake's one-shot runs; what is checked of a user's files."""

from __future__ import annotations

import io
import random
import zipfile

import pytest
import torch
from PIL import Image

import mamlzoo_tasks.omniglot_data as data
from mamlzoo import UsageError
from mamlzoo.datasets.adding import add
from mamlzoo_tasks.omniglot import VALIDATED, Omniglot
from mamlzoo_tasks.omniglot_data import DRAWERS, SETS, OmniglotData
from mamlzoo_tasks.omniglot_runs import RUNS, one_shot_runs

FEW = {"images_background": {"Armenian": 2, "Latin": 3}, "images_evaluation": {"Tengwar": 3, "Angelic": 1}}
"""Characters of archives that are made here, by alphabet, in no order."""


def png(seed, side=105, **how):
    """White, with a black square somewhere."""
    image = Image.new("1", (side, side), 1)
    left, top = (random.Random(f"{seed}{at}").randrange(70) for at in "xy")
    image.paste(0, (left, top, left + 30, top + 30))
    file = io.BytesIO()
    image.save(file, "PNG", **how)
    return file.getvalue()


def members(which):
    return {
        f"{which}/{alphabet}/character{at:02}/{1000 + at}_{drawer:02}.png": png(f"{alphabet}{at}{drawer}")
        for alphabet, count in FEW[which].items()
        for at in range(1, count + 1)
        for drawer in range(1, DRAWERS + 1)
    }


def zipped(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    return path


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    """A place for data, and archives of a few characters alone."""
    monkeypatch.setenv("MAMLZOO_DATA", str(tmp_path / "data"))
    for which, alphabets in FEW.items():
        monkeypatch.setitem(SETS, which, sum(alphabets.values()))


@pytest.fixture
def archives(tmp_path):
    for which in FEW:
        zipped(tmp_path / f"{which}.zip", members(which))
    return tmp_path


def test_a_characters_drawings_lie_together_in_the_order_of_sets_alphabets_and_drawers(archives):
    add(OmniglotData(), archives)
    found = data.characters(OmniglotData().folder)
    assert found.names == [
        *("Armenian/character01", "Armenian/character02", "Latin/character01", "Latin/character02", "Latin/character03"),
        *("Angelic/character01", "Tengwar/character01", "Tengwar/character02", "Tengwar/character03"),
    ]  # fmt: skip
    assert found.images.shape == (9 * DRAWERS, 1, 28, 28)
    third = Image.open(io.BytesIO(png("Latin214")))  # drawer 14 of Latin's second
    assert found.images[3 * DRAWERS + 13].numpy().tobytes() == data.small(third)


def test_ink_is_bright_where_it_was_black():
    image = data.small(Image.open(io.BytesIO(png(0))))
    left, top = (random.Random(f"0{at}").randrange(70) for at in "xy")
    pixels = torch.frombuffer(bytearray(image), dtype=torch.uint8).reshape(28, 28)
    assert pixels[int((top + 15) / 105 * 28), int((left + 15) / 105 * 28)] == 255
    assert pixels.float().mean() == pytest.approx(255 * 900 / 105**2, rel=0.02)


def test_the_official_split_tests_on_the_evaluation_set_and_validates_on_five_alphabets(archives):
    add(OmniglotData(), archives)
    split = Omniglot(splits="official").split
    assert split["valid"] == ["Armenian/character01", "Armenian/character02"]
    assert [name.partition("/")[0] for name in split["train"]] == ["Latin"] * 3
    assert [name.partition("/")[0] for name in split["test"]] == ["Angelic"] + ["Tengwar"] * 3


SPOILT = {
    "a path that climbs out": (lambda content: content | {"../escaped.png": b""}, "holds '../escaped.png', which Omniglot's"),
    "another archive's": (lambda content: {f"x/{name}": part for name, part in content.items()}, "holds 'x/images_background/"),
    "too few": (lambda content: dict([*content.items()][:-1]), "holds 99 images of 5 characters, and Omniglot's images_background.zip 100 of 5"),
    "a text": (lambda content: content | {next(iter(content)): b"hello"}, "is no image, or a damaged one"),
    "a cut image": (lambda content: content | {next(iter(content)): png(1)[:60]}, "is no image, or a damaged one"),
    "another size": (lambda content: content | {next(iter(content)): png(1, 30)}, "is 30 × 30 pixels, and Omniglot's are 105 × 105"),
    "a bomb": (lambda content: content | {next(iter(content)): bytes(2**17)}, "has 131,072 bytes, more than any of Omniglot's"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_what_is_wrong_with_an_archive_is_said_in_a_line_and_nothing_is_left(archives, spoil, message):
    zipped(archives / "images_background.zip", spoil(members("images_background")))
    with pytest.raises(UsageError) as failed:
        add(OmniglotData(), archives)
    assert message in str(failed.value)
    assert "\n" not in str(failed.value)
    assert not [*(archives / "data").glob("*")]


@pytest.mark.parametrize("cut", [0, 100, 3000])
def test_an_archive_that_was_cut_is_a_damaged_one(archives, cut):
    path = archives / "images_evaluation.zip"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(
        UsageError, match=r"images_evaluation\.zip is no zip archive, or a damaged one .*; fetch it again"
    ):
        add(OmniglotData(), archives)


def test_an_archive_with_a_flipped_byte_is_a_damaged_one(archives):
    path = archives / "images_evaluation.zip"
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
    content = bytearray(path.read_bytes())
    content[first.header_offset + 30 + len(first.filename) + first.compress_size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UsageError, match="damaged"):
        add(OmniglotData(), archives)


@pytest.mark.parametrize(
    "spoil",
    [lambda folder: (folder / data.IMAGES).write_bytes(b""), lambda folder: (folder / data.CHARACTERS).unlink()],
)
def test_what_was_put_there_and_changed_since_is_refused(archives, spoil):
    spoil(add(OmniglotData(), archives))
    with pytest.raises(
        UsageError, match="does not hold what was put there; remove it, and add the data set 'omniglot' anew"
    ):
        _ = Omniglot(ways=2).spec


# Lake's runs


def runs(classes=RUNS):
    """Runs whose items are drawn as their classes are, in another order."""
    content = {}
    for number in range(1, RUNS + 1):
        run, order = f"run{number:02}", random.Random(number).sample(range(1, classes + 1), classes)
        for at in range(1, classes + 1):
            content[f"{run}/training/class{at:02}.png"] = png(f"{run}{at}")
        for item, at in enumerate(order, 1):
            content[f"{run}/test/item{item:02}.png"] = png(f"{run}{at}")
        lines = [f"{run}/test/item{item:02}.png {run}/training/class{at:02}.png" for item, at in enumerate(order, 1)]
        content[f"{run}/class_labels.txt"] = "\n".join(lines)
    return content


def test_the_20_runs_are_episodes_whose_queries_are_of_their_classes(tmp_path):
    support, query = one_shot_runs(zipped(tmp_path / "all_runs.zip", runs()), inverted=True)
    assert support.x.shape == query.x.shape == (RUNS, RUNS, 1, 28, 28)
    assert torch.equal(support.x, query.x)
    assert support.y[7].tolist() == query.y[7].tolist() == [*range(RUNS)]


def test_test_episodes_are_the_runs_and_each_comes_once(archives):
    path = zipped(archives / "all_runs.zip", runs())
    add(OmniglotData(), archives)
    task = Omniglot(splits="official", runs=str(path), ways=20, shots=1, queries=1)
    drawn = task.sample(RUNS, split="test", generator=torch.Generator())
    assert torch.equal(drawn.support.x, one_shot_runs(path, inverted=True).support.x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": "vinyals"}, "--task.splits official"),
        ({"ways": 5}, "--task.ways 20 --task.shots 1 --task.queries 1"),
    ],
)
def test_runs_are_refused_where_they_would_not_be_lakes(options, message):
    with pytest.raises(UsageError, match=message):
        Omniglot(**{"runs": "all_runs.zip", "splits": "official", "ways": 20, "queries": 1} | options)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: {name: part for name, part in content.items() if "run03" not in name}, "has no run03/class_labels.txt"),
        (lambda content: content | {"run02/class_labels.txt": "nothing"}, "run02/class_labels.txt must name an item and its class of 20"),
    ],
    ids=["a run missing", "labels of nothing"],
)  # fmt: skip
def test_another_archive_than_lakes_is_refused(tmp_path, spoil, message):
    with pytest.raises(UsageError, match=message):
        one_shot_runs(zipped(tmp_path / "all_runs.zip", spoil(runs())), inverted=True)


# All of it


@pytest.fixture
def whole(monkeypatch):
    """Omniglot where a user has added it."""
    monkeypatch.undo()
    if not OmniglotData().place.is_dir():
        pytest.skip("the data set omniglot was not added: mamlzoo data add omniglot FOLDER")
    return data.characters(OmniglotData().folder)


def test_vinyals_split_is_of_the_published_sizes(whole):
    split = Omniglot().split
    assert {part: len(names) for part, names in split.items()} == {"train": 1028, "valid": 172, "test": 423}
    assert split["test"][0] == "Gurmukhi/character42"
    assert {name.partition("/")[0] for name in split["valid"]} == {*VALIDATED}
    assert len({*split["train"], *split["valid"], *split["test"]}) == 1623


def test_the_other_splits_are_of_the_published_sizes(whole):
    sizes = {
        splits: {part: len(names) for part, names in Omniglot(splits=splits).split.items()}
        for splits in ("official", "random")
    }
    assert sizes == {
        "official": {"train": 792, "valid": 172, "test": 659},
        "random": {"train": 1100, "valid": 100, "test": 423},
    }
