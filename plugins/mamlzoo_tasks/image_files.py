"""Image files as squares of bytes: whatever Pillow reads, of any size and kind."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, cast

import PIL
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mamlzoo import UsageError

Colour = Literal["grey", "rgb"]
Fit = Literal["crop", "squash"]
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""What is read. Of the others that Pillow knows some start programs, and some are no pictures."""
TAKEN = "PNG, JPEG, GIF, BMP, WebP and TIFF are read"
BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
"""How files of these formats begin, however damaged they are later."""
LARGEST = 89_478_485
"""Pixels beyond which Pillow, too, takes a file for one that was made to fill the memory."""
DECODER = f"Pillow {PIL.__version__}"
"""What decodes: another version may round otherwise."""
MOST_THREADS = 8
DRAFT = 2
"""A JPEG is decoded at no more than so many times the size that is wanted, if that is quicker."""


class Shape(NamedTuple):
    """What images are made.

    Attributes:
        size: pixels of a side.
        colour: 'grey', one channel of luma, or 'rgb', three.
        fit: 'crop' takes the largest square in the middle, 'squash' all of the image.
    """

    size: int
    colour: Colour
    fit: Fit

    @property
    def channels(self) -> int:
        """How many there are."""
        return 1 if self.colour == "grey" else 3


def read_images(paths: Sequence[Path], shape: Shape) -> Iterator[Tensor]:
    """The image in each file, [channels, size, size] of uint8, in order; several are decoded at a time.

    Of several images in one file, as in an animation, it is the first. It is turned as its EXIF orientation says. What
    is transparent shows white; of 16 bits a channel the upper ones count, and of CMYK, palettes and black and white
    what they stand for. Size is changed by Pillow's bilinear filter, which averages where it makes smaller.

    Raises:
        UsageError: a file cannot be read, is damaged, is no image, or has too many pixels.
    """
    # Filters of warnings are the process's, so they are set here and not by each thread.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield from threads.map(functools.partial(_read, shape=shape), paths)


def _read(path: Path, shape: Shape) -> Tensor:
    with _named(path), path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
        if image.width * image.height > LARGEST:
            raise Image.DecompressionBombError
        image.draft(None, (DRAFT * shape.size, DRAFT * shape.size))
        ImageOps.exif_transpose(image, in_place=True)
        flat = _flat(path, image, "L" if shape.colour == "grey" else "RGB")
    side = min(flat.size)
    left, top = (flat.width - side) / 2, (flat.height - side) / 2
    box = (left, top, left + side, top + side) if shape.fit == "crop" else None
    square = flat.resize((shape.size, shape.size), Image.Resampling.BILINEAR, box)
    pixels = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8)
    return pixels.reshape(shape.size, shape.size, shape.channels).movedim(-1, 0).contiguous()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say in one line what is wrong with a file.

    Raises:
        UsageError: something is.
    """
    try:
        yield
    except UsageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UsageError(
            f"{path} has more than {LARGEST:,} pixels, as files have that are made to fill the memory; make it smaller "
            "or leave it out"
        ) from None
    except UnidentifiedImageError:
        raise UsageError(f"{path} {_unidentified(path)}") from None
    except MemoryError:
        raise UsageError(f"{path} does not fit into memory; make it smaller") from None
    except Exception as error:  # what a damaged file makes a decoder raise is any of them
        if isinstance(error, OSError) and error.errno is not None:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UsageError(f"{path} is damaged ({said}); mend it or leave it out") from error


def _unidentified(path: Path) -> str:
    """What is wrong with a file in which Pillow finds no image."""
    with path.open("rb") as file:
        beginning = file.read(4)
    if not beginning:
        return "is empty; leave it out"
    if beginning.startswith(BEGINNINGS):
        return "is damaged: it begins as an image does, and is none; mend it or leave it out"
    return f"is no image: {TAKEN}; move it elsewhere, or convert it"


def _flat(path: Path, image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    """In grey or in colour, without transparency.

    Raises:
        UsageError: its numbers are no shades.
    """
    if image.mode.startswith("I"):  # 16 bits, which some versions hold in 32
        shades = image.convert("I")
        least, most = cast(tuple[float, float], shades.getextrema())  # of one channel
        if least < 0 or most > 0xFFFF:
            raise UsageError(f"{path} holds numbers of 32 bits; save it with 8 or 16 bits a channel")
        return shades.point(lambda shade: shade * (1 / 257) + 0.5).convert("L").convert(mode)
    if image.mode == "F":
        raise UsageError(f"{path} holds fractions; save it with 8 or 16 bits a channel")
    if not image.has_transparency_data:
        return image.convert(mode)
    over = image.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert(mode)
