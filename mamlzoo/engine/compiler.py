"""From a traced graph to machine code, by TorchInductor ahead of time; compiled once, kept on disk.

A graph's code, the shapes of its inputs, the versions and the processor make its key. What is in the cache is loaded
in milliseconds, in whatever process; deleting the folder costs nothing but compiling again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

Compiled = Callable[..., Sequence[Tensor]]

OPTIONS: dict[str, Any] = {
    # Trust the processor's own flags: trying a program for each costs 8 s before the first compilation.
    "cpp.vec_isa_ok": True,
    "aot_inductor.precompile_headers": False,
    "aot_inductor.enable_line_tables": False,
    "compile_threads": 1,
}


FORMAT = 1
"""Of the programs made around graphs; another one does not take those of before for its own."""


class CannotCompileError(Exception):
    """Why a graph could not be traced or compiled, in one line. Never a user's error: another plan goes on."""


def cache_directory() -> Path:
    """Where compiled graphs are kept: `MAMLZOO_CACHE`, or a folder of the user's cache."""
    own = os.environ.get("MAMLZOO_CACHE")
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else shared / "mamlzoo"


def package_path(graph: GraphModule, inputs: Sequence[Tensor]) -> Path:
    """The file that holds, or would hold, this graph compiled."""
    shapes = [(list(t.shape), t.stride(), str(t.dtype), str(t.device)) for t in inputs]
    parts = (
        FORMAT,
        graph.code,
        shapes,
        torch.__version__,
        _processor(),
        torch.get_num_threads(),
        sorted(OPTIONS.items()),
        [torch.cuda.get_device_name(t.device) for t in inputs if t.is_cuda][:1],
        torch.get_float32_matmul_precision(),
    )
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return cache_directory() / f"{key}.pt2"


def _processor() -> tuple[str, ...]:
    """What tells this processor from others: its code is written for just its instructions, and kills others."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return (platform.machine(), platform.processor(), torch.backends.cpu.get_cpu_capability())
    telling = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return (platform.machine(), *sorted({line for line in lines if line.startswith(telling)}))


def load(path: Path) -> Compiled | None:
    """The compiled graph of that file; None if there is none, or it is damaged and so removed."""
    if not path.is_file():
        return None
    try:
        # What torch._inductor.aoti_load_package wraps, without a second of imports and the parsing of each call.
        package = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", True, 1, -1)
    except (AttributeError, TypeError):  # another version of torch
        loaded: Compiled = torch._inductor.aoti_load_package(str(path), run_single_threaded=True)
        return loaded
    except RuntimeError:
        path.unlink(missing_ok=True)
        return None
    return lambda *inputs: package.boxed_run(list(inputs))


def compile_program(program: nn.Module, inputs: Sequence[Tensor], path: Path) -> Compiled:
    """Compile a module for inputs of just these shapes, keep it at `path`, and load it.

    Raises:
        CannotCompileError: there is no compiler, or it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own parts, about each other
            exported = torch.export.export(program, tuple(inputs), strict=False)
            new = Path(folder, "program.pt2")
            known = torch._inductor.config.get_config_copy()  # other versions have other options
            options = {name: value for name, value in OPTIONS.items() if name in known}
            torch._inductor.aoti_compile_and_package(exported, package_path=str(new), inductor_configs=options)
            new.replace(path)
    except Exception as error:  # whatever it is, another plan does the same work
        raise CannotCompileError(reason_of(error)) from error
    compiled = load(path)
    if compiled is None:
        raise CannotCompileError("what was compiled cannot be loaded")
    return compiled


def reason_of(error: BaseException) -> str:
    """An error of the compiler, or of what it was to compile, in one line."""
    text = str(error).strip() or type(error).__name__
    if "compiler" in text.lower() and ("not found" in text.lower() or "no working" in text.lower()):
        return "no C++ compiler was found"
    if "data-dependent" in text:
        return "it asks for a tensor's value"
    return text.splitlines()[0][:200]
