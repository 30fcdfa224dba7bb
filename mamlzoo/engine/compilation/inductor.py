"""From a traced graph to machine code, by TorchInductor ahead of time; compiled once, kept on disk.

A graph's code, the shapes of its inputs, the versions and the processor make its key. What is in the cache is loaded
in milliseconds, in whatever process; deleting the folder costs nothing but compiling again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shlex
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.program_cache import CannotCompileError, DamagedError, reason_of
from mamlzoo.engine.cpu import processor

Compiled = Callable[..., Sequence[Tensor]]

OPTIONS: dict[str, Any] = {
    # Trust the processor's own flags: trying a program for each costs 8 s before the first compilation.
    "cpp.vec_isa_ok": True,
    "aot_inductor.precompile_headers": False,
    "aot_inductor.enable_line_tables": False,
    "compile_threads": 1,
}


FORMAT = 2
"""Of the programs made around graphs; another one does not take those of before for its own."""
_COMPILERS_FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_WITHIN = "program/data/aotinductor/model"
"""Where torch's own packages have a program."""


def program_path(graph: GraphModule, inputs: Sequence[Tensor], folder: Path) -> Path:
    """The file in a folder that holds, or would hold, this graph compiled."""
    shapes = [(list(t.shape), t.stride(), str(t.dtype), str(t.device)) for t in inputs]
    parts = (
        FORMAT,
        graph.code,
        shapes,
        torch.__version__,
        processor(),
        torch.get_num_threads(),
        sorted(OPTIONS.items()),
        [torch.cuda.get_device_name(t.device) for t in inputs if t.is_cuda][:1],
        torch.get_float32_matmul_precision(),
    )
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return folder / f"{key}{program_cache.SUFFIX}"


def load(path: Path, device: str = "cpu") -> Compiled | None:
    """The program of that file; None if there is none.

    Raises:
        DamagedError: it is not what was written, or has crashed; it is removed and can be made again.
        CannotCompileError: it cannot be loaded.
    """
    return program_cache.loaded(path, _on_gpu if device == "cuda" else _on_cpu)


def _on_cpu(content: bytes, folder: Path) -> Compiled:
    """Unpacked here, since torch's own loader aborts where the disk is full. Once it is loaded, no file is needed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    (library,) = folder.rglob("*.so")
    runner = torch._C._aoti.AOTIModelContainerRunnerCpu(str(library), 1)
    return lambda *inputs: runner.run(list(inputs))


def _on_gpu(content: bytes, folder: Path) -> Compiled:
    """By torch's loader, which alone runs a program without locks, as a CUDA graph needs it."""
    package = folder / "program.pt2"
    package.write_bytes(content)
    if shutil.disk_usage(tempfile.gettempdir()).free < 2 * len(content):
        raise CannotCompileError(f"no space is left in {tempfile.gettempdir()}")
    make: Any = torch._C._aoti.AOTIModelPackageLoader
    try:
        loader = make(str(package), "model", True, 1, -1)
    except TypeError:  # of an earlier torch
        loader = make(str(package), "model")
    return lambda *inputs: loader.boxed_run(list(inputs))


def compile_program(program: nn.Module, inputs: Sequence[Tensor], path: Path) -> Compiled:
    """Compile a module for inputs of just these shapes, keep it at `path`, and load it.

    Raises:
        CannotCompileError: there is no compiler, or it cannot.
    """
    try:
        with program_cache.own_folder(path.parent) as folder, _compiling_in(folder):
            exported = torch.export.export(program, tuple(inputs), strict=False)
            known = torch._inductor.config.get_config_copy()  # other versions have other options
            options = {name: value for name, value in OPTIONS.items() if name in known}
            options |= {"aot_inductor.package": True} | _linking_to_itself(folder, known)
            files: Any = torch._inductor.aot_compile(exported.module(), tuple(inputs), options=options)
            program_cache.write(path, _packed(files), folder)
    except Exception as error:  # whatever it is, another plan does the same work
        raise CannotCompileError(reason_of(error)) from error
    try:
        compiled = load(path, inputs[0].device.type)
    except DamagedError as error:  # another process compiled the same, and was killed as it tried it
        raise CannotCompileError(str(error)) from error
    if compiled is None:
        raise CannotCompileError("what was compiled is not there")
    return compiled


@contextlib.contextmanager
def _compiling_in(folder: Path) -> Iterator[None]:
    """Whatever a compiler leaves stays in this folder, and what it says unheard."""
    before, disabled = os.environ.get(_COMPILERS_FOLDER), logging.root.manager.disable
    os.environ[_COMPILERS_FOLDER] = str(folder)  # already while it is imported: it makes its folder then
    logging.disable(max(disabled, logging.ERROR))
    try:
        from torch._inductor import utils

        # What it remembers of the files that it made is forgotten, since they are gone afterwards.
        fresh_cache = getattr(utils, "fresh_cache", None) or utils.fresh_inductor_cache
        with warnings.catch_warnings(), fresh_cache(dir=str(folder)):
            warnings.simplefilter("ignore")  # of the compiler's own parts, about each other
            yield
    finally:
        logging.disable(disabled)
        if before is None:
            os.environ.pop(_COMPILERS_FOLDER, None)
        else:
            os.environ[_COMPILERS_FOLDER] = before


def _linking_to_itself(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """The compiler, by a script that lets a program use its own copies of the C++ library's templates.

    torch's libraries export some of these, those of std::regex above all, and a library that is linked as usual would
    take them for its own. Made by a compiler of another version they end the process when the program is loaded, as
    was seen with torch 2.11, a GPU and gcc 13.
    """
    compiler = shutil.which(str(known["cpp.cxx"][-1])) if sys.platform == "linux" else None
    if compiler is None:
        return {}
    script = folder / "bin" / Path(compiler).name  # by its name the kind of compiler is known
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(compiler)} "$@" -Wl,-Bsymbolic-functions\n')
    script.chmod(0o700)
    return {"cpp.cxx": (None, str(script))}


def _packed(files: Sequence[object]) -> bytes:
    """What a program needs to be run, of what was made when it was compiled."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in files:
            if isinstance(file, str) and not file.endswith(".cpp"):
                archive.write(file, f"{_WITHIN}/{Path(file).name}")
    return content.getvalue()
