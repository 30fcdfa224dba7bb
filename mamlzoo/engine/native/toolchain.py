"""The C++ compiler of this machine: from a program's source to a library that is loaded, and kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.program_cache import CannotCompileError
from mamlzoo.engine.cpu import processor

FORMAT = 1
"""Of what lies around a program's statements."""
FLAGS = (
    *("-O3", "-shared", "-fPIC", "-fwrapv", "-w"),
    # Sums in whatever order, as every plan has its own; but NaN and infinity stay what they are.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
)
LANEWISE = ("-DLANEWISE_FUNCTIONS", "-lmvec")
"""Functions such as tanh of several numbers at a time, which glibc has on this kind of machine."""
LIBRARY = "program.so"
FOR_THIS_PROCESSOR = {"x86_64": ("-march=native", "-mprefer-vector-width=512"), "AMD64": ("-march=native",)}
"""By kind of machine; elsewhere -mcpu=native."""


def program_path(source: str, folder: Path) -> Path:
    """The file in a folder that holds, or would hold, this source compiled."""
    parts = (FORMAT, source, _flags(), processor(), os.environ.get("CXX"))
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return folder / f"{key}{program_cache.SUFFIX}"


def _flags() -> tuple[str, ...]:
    return (*FLAGS, *FOR_THIS_PROCESSOR.get(platform.machine(), ("-mcpu=native",)))


def compiler() -> str:
    """The C++ compiler: `CXX`, else what is found.

    Raises:
        CannotCompileError: there is none.
    """
    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++")):
        if (found := shutil.which(name)) is not None:
            return found
    raise CannotCompileError("no C++ compiler was found")


def compiled(source: str, path: Path) -> None:
    """Compile a source and keep it at `path`.

    Raises:
        CannotCompileError: there is no compiler, or it cannot.
    """
    command = compiler()
    try:
        with program_cache.own_folder(path.parent) as folder:
            (folder / "program.cpp").write_text(source)
            said = _run(command, LANEWISE, folder) if platform.machine() == "x86_64" else "it is of another kind"
            if said is not None:  # another C library, or another compiler
                said = _run(command, (), folder)
            if said is not None:
                raise CannotCompileError(f"{Path(command).name}: {said}")
            program_cache.write(path, (folder / LIBRARY).read_bytes(), folder)
    except OSError as error:
        raise CannotCompileError(program_cache.reason_of(error)) from error


def _run(command: str, more: Sequence[str], folder: Path) -> str | None:
    """Compile what is in a folder; what the compiler has against it, in one line."""
    made = subprocess.run(
        [command, *_flags(), "-o", LIBRARY, "program.cpp", *more, "-lm", "-lpthread"],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    if not made.returncode:
        return None
    errors = [line for line in made.stderr.splitlines() if "error" in line]
    return errors[0][:200] if errors else f"exit code {made.returncode}"


def load(path: Path) -> ctypes.CDLL | None:
    """The library that is kept there; None if there is none.

    Raises:
        DamagedError: it is not what was written, or has crashed; it is removed and can be made again.
        CannotCompileError: it cannot be loaded.
    """
    return program_cache.loaded(path, _opened)


def _opened(content: bytes, folder: Path) -> ctypes.CDLL:
    """Once it is loaded, no file is needed."""
    library = folder / LIBRARY
    library.write_bytes(content)
    return ctypes.CDLL(str(library))
