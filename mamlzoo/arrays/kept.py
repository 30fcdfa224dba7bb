"""Examples that took long to make, as images to decode, kept in a file of the user's cache from one run to the next."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from mamlzoo import files

SUFFIX = ".bytes"


def kept(key: str, shape: tuple[int, ...], make: Callable[[], Iterable[Tensor]]) -> Tensor:
    """Rows of bytes, made once: they are kept in a file of the user's cache, of which what is drawn is read.

        images = mamlzoo.kept(f"{digest} {size}", (count, 3, size, size), lambda: map(decoded, paths))

    The folder is `MAMLZOO_CACHE`, or mamlzoo's in the user's cache. Where it cannot be written, rows are held in memory
    and made anew by each process. What lies there may be deleted at any time.

    Args:
        key: all that the rows depend on, as digests of files and options; other rows have another.
        shape: of the whole, [rows, ...].
        make: gives the rows one after another, each [...] of uint8.

    Returns:
        uint8, of that shape; a memory map, not to be written to.
    """
    folder, size = files.cache_directory() / "data", math.prod(shape)
    path = folder / f"{hashlib.sha256(f'{key} {shape}'.encode()).hexdigest()}{SUFFIX}"
    try:
        if not path.is_file() or path.stat().st_size != size:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with files.whole(path) as file:
                for row in make():
                    file.write(row.contiguous().numpy().tobytes())
        return torch.from_file(str(path), size=size, dtype=torch.uint8).reshape(shape)
    except OSError:  # a folder that cannot be written, a full disk
        return torch.stack(list(make())).reshape(shape)
