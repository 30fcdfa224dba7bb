"""The images task: what of a file reaches the network, which classes are where, and one clear line for what is wrong."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import struct
import zlib
from pathlib import Path

import pytest
import torch
from conftest import without_figures
from PIL import Image

import mamlzoo
from mamlzoo import UsageError
from mamlzoo_tasks.image_files import Shape, read_images
from mamlzoo_tasks.images import Images

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
CLASSES = 6
"""As few as are enough for two in each split."""


def shade(of_class: int, number: int) -> tuple[int, int, int]:
    """The colour of an image, which says what it is."""
    return 10 * of_class, 10 * number, 200


def pictures(folder: Path, classes: range = range(CLASSES), images: int = 4) -> Path:
    """A folder of images of one colour each."""
    for of_class, number in itertools.product(classes, range(images)):
        inside = folder / f"class-{of_class}"
        inside.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9 + number, 7), shade(of_class, number)).save(inside / f"{number}.png")
    return folder


def task(folder: Path, **given) -> Images:
    return Images(**{"folder": str(folder), "ways": 2, "queries": 2, "size": 4} | given)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seen(path: Path, size: int = 8, colour: str = "rgb", fit: str = "crop") -> torch.Tensor:
    (image,) = read_images([path], Shape(size, colour, fit))
    return image


def classes_of(batch: mamlzoo.Batch) -> torch.Tensor:
    return (batch.x[:, :, 0, 0, 0] * 255 / 10).round().long()


# Episodes


def test_an_episode_holds_the_images_of_its_classes_and_none_twice(tmp_path):
    support, query = task(pictures(tmp_path / "p")).sample(20, split="train", generator=generator())
    assert support.x.shape == (20, 2, 3, 4, 4)
    assert query.x.shape == (20, 4, 3, 4, 4)
    shown = torch.cat([support.x, query.x], 1)[..., 0, 0] * 255  # [episodes, images, channels]
    assert torch.equal(shown[..., None, None] / 255 + torch.zeros(4, 4), torch.cat([support.x, query.x], 1))
    assert all(len({tuple(image) for image in episode}) == 6 for episode in shown.tolist())
    of_class, target = (
        torch.cat(parts, 1) for parts in ((classes_of(support), classes_of(query)), (support.y, query.y))
    )
    for labels, targets in zip(of_class.tolist(), target.tolist(), strict=True):
        assert len(set(zip(labels, targets, strict=True))) == len(set(labels)) == 2


def test_no_class_is_in_two_splits(tmp_path):
    chosen = task(pictures(tmp_path / "p"))
    found = [set(classes_of(chosen.sample(50, split=split, generator=generator()).query).flatten().tolist()) for split in ("train", "valid", "test")]  # fmt: skip
    assert sorted(itertools.chain(*found)) == list(range(CLASSES))


def test_folders_called_train_valid_and_test_are_the_split(tmp_path):
    for at, split in enumerate(("train", "valid", "test")):
        pictures(tmp_path / split, range(2 * at, 2 * at + 2))
    for at, split in enumerate(("train", "valid", "test")):
        drawn = task(tmp_path).sample(9, split=split, generator=generator())
        assert set(classes_of(drawn.query).flatten().tolist()) == {2 * at, 2 * at + 1}


def test_a_class_may_be_called_as_a_split_is(tmp_path):
    pictures(tmp_path / "p")
    (tmp_path / "p" / "class-0").rename(tmp_path / "p" / "train")
    assert "train" in task(tmp_path / "p").episodes.names


def test_what_systems_and_people_leave_beside_images_is_left_alone(tmp_path):
    folder = pictures(tmp_path / "p")
    for name in ("README.txt", "class-0/.DS_Store", "class-1/Thumbs.db", ".hidden"):
        (folder / name).write_text("no image")
    assert len(task(folder).episodes.names) == CLASSES


def test_the_spec_follows_from_options_alone(tmp_path):
    spec = task(tmp_path / "nowhere", size=16, colour="grey", train_ways=3, shots=mamlzoo.Range(1, 4)).spec
    assert (spec.input_shape, spec.output_size, spec.support_size, spec.query_size) == ((1, 16, 16), 3, 12, 6)


@pytest.mark.parametrize("given", [{}, {"train_ways": 2, "ways": 3, "valid": 0}, {"train_shots": mamlzoo.Range(1, 2)}])
def test_the_sizes_that_the_spec_says_are_those_of_training_episodes(tmp_path, given):
    chosen = task(pictures(tmp_path / "p", range(9)), **given)
    support, query = chosen.sample(1, split="train", generator=generator())
    assert (chosen.spec.support_size, chosen.spec.query_size) == (support.y.shape[1], query.y.shape[1])


def test_the_digest_is_of_what_the_files_hold_wherever_they_lie(tmp_path):
    folder = pictures(tmp_path / "p")
    before = task(folder).data_digest()
    folder.rename(tmp_path / "q")
    assert task(tmp_path / "q").data_digest() == before
    Image.new("RGB", (9, 7), RED).save(tmp_path / "q" / "class-0" / "0.png")
    assert task(tmp_path / "q").data_digest() != before


def test_images_are_decoded_once_for_all_tasks_of_the_same_size(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path / "cache"))
    folder = pictures(tmp_path / "p")
    for given in ({}, {"ways": 2, "shots": 2}, {"size": 5}):
        task(folder, **given).sample(1, split="test", generator=generator())
    assert len(list((tmp_path / "cache" / "data").iterdir())) == 2


# Files

STRIPES = Image.new("RGB", (24, 8))
"""Red, green and blue beside each other."""
for _at, _colour in enumerate((RED, GREEN, BLUE)):
    STRIPES.paste(_colour, (8 * _at, 0, 8 * _at + 8, 8))


def test_a_crop_is_the_largest_square_in_the_middle_and_squashed_is_all_of_it(tmp_path):
    STRIPES.save(tmp_path / "wide.png")
    STRIPES.rotate(90, expand=True).save(tmp_path / "high.png")
    for name in ("wide.png", "high.png"):
        assert torch.equal(seen(tmp_path / name), torch.tensor(GREEN, dtype=torch.uint8)[:, None, None].expand(3, 8, 8))
    squashed = seen(tmp_path / "wide.png", 24, fit="squash")
    assert [squashed[:, 12, at].tolist() for at in (2, 12, 22)] == [list(RED), list(GREEN), list(BLUE)]


@pytest.mark.parametrize("size", [1, 3, 8, 50])
def test_every_image_has_the_size_that_is_asked_for(tmp_path, size):
    STRIPES.save(tmp_path / "stripes.png")
    assert seen(tmp_path / "stripes.png", size).shape == (3, size, size)
    assert seen(tmp_path / "stripes.png", size, "grey").shape == (1, size, size)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 95}),
        ("a.gif", {}),
        ("a.bmp", {}),
        ("a.webp", {"lossless": True}),
        ("a.tiff", {}),
        ("A.JPEG", {"quality": 95}),
    ],
)
def test_a_picture_is_the_same_in_every_format(tmp_path, name, how):
    image = Image.linear_gradient("L").convert("RGB")
    image.save(tmp_path / name, **how)
    expected = seen(_saved(tmp_path / "expected.png", image), 32).int()
    assert (seen(tmp_path / name, 32).int() - expected).abs().max() <= 2


def _saved(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def palette(transparency: int | None) -> Image.Image:
    """One colour, the first of a palette."""
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*BLUE, *RED])
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


KINDS = {
    "a colour": (Image.new("RGB", (8, 8), BLUE), "png", BLUE),
    "grey": (Image.new("L", (8, 8), 77), "png", (77, 77, 77)),
    "black and white": (Image.new("1", (8, 8), 1), "png", (255, 255, 255)),
    "a palette": (palette(None), "png", BLUE),
    "a transparent colour of a palette": (palette(0), "png", (255, 255, 255)),
    "half transparent": (Image.new("RGBA", (8, 8), (0, 0, 0, 51)), "png", (204, 204, 204)),
    "grey and transparent": (Image.new("LA", (8, 8), (0, 0)), "png", (255, 255, 255)),
    "16 bits": (Image.new("I;16", (8, 8), 257 * 100), "png", (100, 100, 100)),
    "16 bits of a TIFF": (Image.new("I;16", (8, 8), 65535), "tiff", (255, 255, 255)),
    "CMYK": (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "tiff", RED),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_shows_the_colour_that_it_stands_for(tmp_path, kind):
    image, ending, expected = KINDS[kind]
    image.save(tmp_path / f"image.{ending}")
    assert seen(tmp_path / f"image.{ending}", 1).flatten().tolist() == list(expected)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_an_image_is_turned_as_its_exif_says(tmp_path, ending):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: what is stored on the left is on top
    STRIPES.save(tmp_path / f"turned.{ending}", exif=exif)
    top, bottom = (seen(tmp_path / f"turned.{ending}", 24, fit="squash")[:, row, 12] for row in (2, 22))
    assert (top.argmax(), bottom.argmax()) == (0, 2)


def test_of_an_animation_the_first_image_is_taken(tmp_path):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert seen(tmp_path / "moving.gif", 1).flatten().tolist() == list(RED)


# Errors


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def half(path: Path) -> bytes:
    data = path.read_bytes()
    return data[: len(data) // 2]


def jpeg(folder: Path) -> Path:
    return _saved(folder / "whole.jpg", Image.effect_noise((64, 64), 50).convert("RGB"))


FILES = {
    "a text": (lambda folder: b"hello", "is no image: PNG, JPEG, GIF, BMP, WebP and TIFF are read"),
    "nothing": (lambda folder: b"", "is empty"),
    "a cut PNG": (lambda folder: half(_saved(folder / "whole.png", STRIPES)), "is damaged"),
    "a cut JPEG": (lambda folder: half(jpeg(folder)), "is damaged"),
    "the beginning of a JPEG": (lambda folder: jpeg(folder).read_bytes()[:10], "is damaged"),
    "a PNG with a wrong checksum": (lambda folder: png_of(8, 8).replace(b"\x08\x02", b"\x08\x06"), "is damaged"),
    "a bomb": (lambda folder: png_of(10_000, 10_000), "has more than 89,478,485 pixels"),
    "a larger bomb": (lambda folder: png_of(60_000, 60_000), "has more than 89,478,485 pixels"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_whole_image_is_named(tmp_path, what):
    content, said = FILES[what]
    folder = pictures(tmp_path / "p")
    wrong = folder / "class-3" / "wrong.png"
    wrong.write_bytes(content(tmp_path))
    with pytest.raises(UsageError) as caught:
        task(folder).sample(1, split="train", generator=generator())
    assert f"{wrong} {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("numbers", ["I", "F"])
def test_numbers_that_are_no_shades_are_refused(tmp_path, numbers):
    path = _saved(tmp_path / "image.tiff", Image.new(numbers, (8, 8), 300_000))
    with pytest.raises(UsageError, match="save it with 8 or 16 bits a channel"):
        seen(path)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def flat(folder: Path) -> None:
    empty(folder)
    STRIPES.save(folder / "0.png")


def beside(folder: Path) -> None:
    STRIPES.save(folder / "beside.jpg")


def nested(folder: Path) -> None:
    (folder / "class-0" / "inner").mkdir()


def loop(folder: Path) -> None:
    (folder / "class-0" / "loop.png").symlink_to("loop.png")


def loop_of_folders(folder: Path) -> None:
    (folder / "class-0" / "up").symlink_to("..")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "class-0" / "pipe.png")


def empty_class(folder: Path) -> None:
    (folder / "class-9").mkdir()


def copy_elsewhere(folder: Path) -> None:
    shutil.copy(folder / "class-0" / "0.png", folder / "class-5" / "other.png")


def few_classes(folder: Path) -> None:
    shutil.rmtree(folder / "class-0")


def few_images(folder: Path) -> None:
    (folder / "class-0" / "0.png").unlink()
    (folder / "class-0" / "1.png").unlink()


def only_train(folder: Path) -> None:
    (folder / "classes").mkdir()
    for inner in folder.glob("class-*"):
        inner.rename(folder / "classes" / inner.name)
    (folder / "classes").rename(folder / "train")


def class_in_two_splits(folder: Path) -> None:
    only_train(folder)
    pictures(folder / "valid", range(7, 9))
    pictures(folder / "test", range(5, 7))


FOLDERS = {
    empty: "there is no folder in {folder}; each class is a folder of its images in it, as {folder}/cats/first.png",
    flat: "{folder}/0.png is of no class; each class is a folder of its images in it",
    beside: "{folder}/beside.jpg lies beside the folders of the classes; put it into the one that it is of",
    nested: "{folder}/class-0/inner is a folder among images; the folder of a class holds its images alone",
    loop: "{folder}/class-0/loop.png is a link that leads nowhere",
    loop_of_folders: "{folder}/class-0/up is a folder among images",
    pipe: "{folder}/class-0/pipe.png is no file",
    empty_class: "there is no image in {folder}/class-9",
    copy_elsewhere: "the same image is there 2 times: {folder}/class-0/0.png, {folder}/class-5/other.png; ",
    few_classes: "5 classes do not make three splits of 2 at least, to train, to validate and to test; have 6 or more",
    few_images: "1 of 2 classes has fewer than shots + queries = 3 examples: class 'class-0' (2); lower ",
    only_train: "{folder} has the folder train, with a folder for each class in it, and none called valid and test",
    class_in_two_splits: "class 'class-5' is in {folder}/train and in {folder}/test; a test is on classes that no ",
    shutil.rmtree: "folder {folder} cannot be read: No such file or directory",
}


@pytest.mark.parametrize("change", FOLDERS, ids=lambda change: change.__name__)
def test_a_folder_that_is_laid_out_otherwise_says_what_would_be_right(tmp_path, change):
    folder = pictures(tmp_path / "p")
    change(folder)
    with pytest.raises(UsageError) as caught:
        task(folder).sample(1, split="train", generator=generator())
    assert FOLDERS[change].format(folder=folder) in str(caught.value)
    assert str(caught.value).count("task 'images'") == 1
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="whoever may read everything meets no such file"
)
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    folder = pictures(tmp_path / "p")
    (folder / "class-0" / "0.png").chmod(0)
    with pytest.raises(UsageError, match=r"0\.png cannot be read: Permission denied"):
        task(folder).sample(1, split="train", generator=generator())


def test_without_a_folder_it_says_how_to_give_one():
    with pytest.raises(UsageError, match="--task.folder pictures"):
        Images()


# From the shell

QUICK = ["--iterations", 2, "--meta-batch", 2, "--test-tasks", 5, "--test-steps", 1, "--plan", "vmap"]
ADAPT = ["adapt", "runs/mine", "--steps", 1, "--out", "out", "--support", "new"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run whose images are gone, made once."""
    folder = tmp_path_factory.mktemp("images")
    pictures(folder / "p")
    options = {"task.folder": str(folder / "p"), "task.ways": 2, "task.queries": 2, "task.size": 4}
    with without_figures():
        budget = {"iterations": 2, "meta_batch": 2, "test_tasks": 5, "test_steps": 1, "plan": "vmap"}
        mamlzoo.run("images", "mlp", "protonet", options=options, **budget).save(folder / "runs" / "mine")
    shutil.rmtree(folder / "p")
    return folder / "runs"


@pytest.fixture
def cli(cli, trained):
    """The command line beside the run, and new images of two classes: some to adapt to, others to ask for."""
    Path("runs").symlink_to(trained)
    for name, colour, shots in (("cat", RED, 3), ("dog", BLUE, 1)):
        for part, first, count in (("new", 0, shots), ("query", 50, 2)):
            Path(part, name).mkdir(parents=True)
            for number in range(first, first + count):
                Image.new("RGB", (30, 20), (colour[0], number, colour[2])).save(Path(part, name, f"{number}.jpg"))
    return cli


def lines() -> list[dict[str, str]]:
    with Path("out", "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("no_figures")
def test_a_folder_of_images_is_trained_tested_and_adapted_from_the_shell(cli):
    pictures(Path("p"))
    document = cli.json("run", "-t", "images", "-a", "protonet", "--task.folder", "p", "--task.ways", 2, "--task.queries", 2, *QUICK, "--out", "runs-here")  # fmt: skip
    assert 0 <= document["evaluation"]["mean"][0] <= 1
    cli("adapt", "runs-here", "--support", "new", "--query", "query", "--out", "out")
    assert [line["file"] for line in lines()] == ["cat/50.jpg", "cat/51.jpg", "dog/50.jpg", "dog/51.jpg"]


def test_classes_are_called_as_their_folders_are_in_the_support_set(cli):
    shown = cli(*ADAPT, "--query", "query")
    assert "query accuracy: " in shown.stdout
    assert list(lines()[0]) == ["file", "class", "p cat", "p dog"]
    assert {line["class"] for line in lines()} <= {"cat", "dog"}
    for line in lines():
        assert float(line["p cat"]) + float(line["p dog"]) == pytest.approx(1, abs=1e-5)


def test_a_query_without_folders_has_no_metrics(cli):
    assert "query accuracy" not in cli(*ADAPT, "--query", "query/cat").stdout
    assert [line["file"] for line in lines()] == ["50.jpg", "51.jpg"]


def test_a_query_may_be_one_image(cli):
    cli(*ADAPT, "--query", "query/dog/51.jpg")
    assert [line["file"] for line in lines()] == ["51.jpg"]


def test_a_query_may_show_some_of_the_classes(cli):
    shutil.rmtree("query/cat")
    cli(*ADAPT, "--query", "query")
    assert [line["file"] for line in lines()] == ["dog/50.jpg", "dog/51.jpg"]


def test_new_images_are_shown_to_the_network_as_those_of_training_are(cli):
    (image,) = read_images([Path("new/dog/0.jpg")], Shape(4, "rgb", "crop"))
    points = task(Path("new")).read(Path("new"))
    assert points.y.tolist() == [0, 0, 0, 1]
    torch.testing.assert_close(torch.from_numpy(points.x[3]), image / 255)


def test_the_document_names_images_and_does_not_hold_them(cli):
    document = cli.json(*ADAPT, "--query", "query")
    assert document["query"]["x"] is None
    assert document["query"]["columns"]["file"][0] == "cat/50.jpg"
    assert document["query"]["y"] == ["cat", "cat", "dog", "dog"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--support", "query/cat"], "query/cat/50.jpg is of no class; each class is a folder of its images in it, as "),
        (["--support", "one"], "one has a folder for 1 class, and the run adapts to 2, its ways; give as many"),
        (["--query", "other"], "other/fox: the support set has no class 'fox'; there are: cat, dog"),
        (["--query", "note.txt"], "note.txt is no image: PNG, JPEG, GIF, BMP, WebP and TIFF are read"),
        (["--query", "nowhere"], "folder nowhere cannot be read: No such file or directory"),
        (["--support", "note.txt"], "note.txt is a file, and a folder is wanted, with a folder of images for each class"),
    ],
)  # fmt: skip
def test_what_cannot_be_adapted_to_is_said_in_a_line_and_leaves_nothing(cli, given, line):
    shutil.copytree("new/cat", "one/cat")
    shutil.copytree("new/cat", "other/fox")
    Path("note.txt").write_text("hello")
    assert cli.error(*ADAPT, *given).startswith(line)
    assert not Path("out").exists()
