"""A finished run as one file to hand on: tensors and a JSON document in the safetensors format, which holds no code.

Every tensor has the name of its place, as `checkpoint/meta/network/0.weight`, so that other programs can read θ. The
document is the text of `mamlzoo` in the file's metadata: `format` and `layout`, the versions of this file and of what a
run directory holds; `digest`, of all the rest; and `content`, which names the tensors:

- config: as in config.json.
- checkpoint: as in checkpoint.pt.
- test: `values` by metric, [seeds, test episodes, steps + 1], and `higher_is_better`.
- timing: what the run took.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from mamlzoo import files, trees
from mamlzoo.contracts.plugins import KINDS
from mamlzoo.errors import MamlzooError, UsageError, in_short
from mamlzoo.experiments.result import Result
from mamlzoo.runs import checkpoint_file, file_layouts, tensor_documents
from mamlzoo.runs import directory as run_directory
from mamlzoo.runs.digests import digest, experiment_digest

FORMAT = 1
"""The version of the file."""
KEY = "mamlzoo"
"""The document's name in the file's metadata."""


@dataclass(frozen=True)
class PackedRun:
    """What a file holds.

    Attributes:
        size: of the file, in bytes.
        sha256: of the file, in hexadecimal, as `sha256sum` prints it.
    """

    result: Result
    size: int
    sha256: str


def pack(result: Result, path: Path) -> PackedRun:
    """Write a run into a file that is not there yet.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    data = _data(result)
    packed = _read(data, str(path))  # what cannot be read is not handed on
    with files.named_in_refusal(path):
        if path.exists():
            raise UsageError(f"{path} exists; nothing is overwritten, choose another")
        files.write_bytes(path, data)
    return packed


def read(file: Traversable) -> PackedRun:
    """The run that a file holds. No code of the file's is executed, whatever is in it.

    Raises:
        UsageError: there is no such file.
        MamlzooError: it cannot be read, is no packed run, is damaged, or a newer mamlzoo wrote it.
    """
    try:
        data = files.read(file) if isinstance(file, Path) else file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"there is no file {file}") from None
    except OSError as error:
        raise MamlzooError(f"{file} cannot be read: {error.strerror or error}") from error
    return _read(data, str(file))


def left_out(result: Result) -> list[str]:
    """What the file of a run lacks, a line each; where that is not at hand, only its numbers can be looked at."""
    lines = list[str]()
    for kind in KINDS:
        saved = result.config[kind]
        if saved["registered"]:
            continue
        source = saved.get("source")
        whose = f"the code of {kind} '{saved['name']}', which"
        if source is None:
            lines.append(f"left out: {whose} came from Python")
        else:
            where = f"is at {source['reference']} (SHA-256 {source['sha256'][:12]}…)"
            lines.append(f"left out: {whose} {where}; whoever is to adapt this θ needs that file, and must trust it")
    return lines


def _data(result: Result) -> bytes:
    content = {
        "config": result.config,
        "checkpoint": checkpoint_file.content_of(result.checkpoint, experiment_digest(result.config)),
        "test": {
            "values": {name: torch.from_numpy(values) for name, values in result.evaluation.values.items()},
            "higher_is_better": result.evaluation.higher_is_better,
        },
        "timing": vars(result.timing),
    }
    document, tensors = tensor_documents.parted(content)
    told = {"format": FORMAT, "layout": run_directory.FORMAT, "digest": digest(content), "content": document}
    return save_tensors(tensors, {KEY: json.dumps(told, ensure_ascii=False, allow_nan=False)})


def _read(data: bytes, where: str) -> PackedRun:
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        why = in_short(error).rpartition("deserializing: ")[2]
        raise MamlzooError(f"{where} is damaged, or no packed run: it is no whole safetensors file ({why})") from error
    document = _document(data, where)
    content = _content(document, tensors, where)
    try:
        result = _result(content)
    except Exception as error:  # each part has its own errors for what is not there, or of another type
        raise MamlzooError(f"{where} cannot be read: {file_layouts.told(error)}") from error
    return PackedRun(result, len(data), hashlib.sha256(data).hexdigest())


def _document(data: bytes, where: str) -> Mapping[str, Any]:
    """The document of a file that is safetensors.

    Raises:
        MamlzooError: it has none, or a newer mamlzoo wrote it.
    """
    length = int.from_bytes(data[:8], "little")
    text = json.loads(data[8 : 8 + length]).get("__metadata__", {}).get(KEY)
    if text is None:
        raise MamlzooError(f"{where} is no packed run: it holds tensors, and nothing of mamlzoo's about them")
    try:
        document = files.parsed_json(text)
        versions = [document[name] for name in ("format", "layout")]
    except (ValueError, LookupError, TypeError) as error:
        raise MamlzooError(f"{where} is damaged: {in_short(error)}") from error
    for version, known in zip(versions, (FORMAT, run_directory.FORMAT), strict=True):
        if type(version) is not int or version < 1:
            raise MamlzooError(f"{where} is damaged: its format is {version!r}, which is no version")
        if version > known:
            raise MamlzooError(
                f"{where} was written by a newer mamlzoo: its format is {version}, this one knows up to {known}; "
                "pip install --upgrade mamlzoo"
            )
    return dict(document)


def _content(document: Mapping[str, Any], tensors: Mapping[str, Tensor], where: str) -> Mapping[str, Any]:
    """What the digest is of.

    Raises:
        MamlzooError: it is another than the digest says.
    """
    try:
        content = tensor_documents.joined(document["content"], tensors)
        same = document["digest"] == digest(content)
    except Exception as error:  # a stranger's document may name whatever it likes
        raise MamlzooError(f"{where} is damaged: {in_short(error)}") from error
    if not same:
        raise MamlzooError(f"{where} is damaged: its content does not have its digest")
    if not isinstance(content, dict):
        raise MamlzooError(f"{where} is damaged: its content is no dict")
    return content


def _result(content: Mapping[str, Any]) -> Result:
    """Raises: whatever the parts raise that are not what mamlzoo writes there."""
    config, kept, test = content["config"], content["checkpoint"], content["test"]
    file_layouts.check_config(config)
    if kept["experiment"] != experiment_digest(config):
        raise file_layouts.LayoutError("its checkpoint is of another experiment than its config")
    file_layouts.check_checkpoint(kept)
    checkpoint = checkpoint_file.checkpoint_of(kept)
    if len(trees.leaves(checkpoint.meta)[0]) != len(config["settings"]["seeds"]):
        raise file_layouts.LayoutError("its θ has other seeds than its config")
    values = {name: tensor.numpy() for name, tensor in test["values"].items()}
    return run_directory.assembled(config, checkpoint, content["timing"], values, test["higher_is_better"])
