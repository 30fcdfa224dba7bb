"""Nested dicts and lists of tensors, numbers and words, as a JSON document and tensors by name; and the way back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

EMPTY = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float64, torch.float32, torch.bfloat16)}
"""The types that tensors of a checkpoint have where nothing is in them."""


def parted(tree: Any) -> tuple[Any, dict[str, Tensor]]:
    """The document, and the tensors that it names, each contiguous; a tensor's name is the path that leads to it.

    >>> parted({"step": 3, "losses": [float("nan")]})
    ({'dict': [['step', 3], ['losses', [{'float': 'nan'}]]]}, {})
    """
    tensors: dict[str, Tensor] = {}
    return _document(tree, "", tensors), tensors


def _document(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor) and not value.numel():  # which the first safetensors cannot read
        return {"empty": [str(value.dtype).removeprefix("torch."), list(value.shape)]}
    if isinstance(value, Tensor):
        name = path if path not in tensors else f"{path}#{len(tensors)}"  # a key may hold a slash
        tensors[name] = value.contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):  # whose keys may be numbers
        return {"dict": [[key, _document(item, _below(path, key), tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_document(item, _below(path, at), tensors) for at, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _below(path: str, key: Any) -> str:
    return f"{path}/{key}" if path else str(key)


def joined(document: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The tree that `parted` gave this document and these tensors of.

    Raises:
        LookupError, TypeError, ValueError: it gave no such document.
    """
    if isinstance(document, list):
        return [joined(item, tensors) for item in document]
    if not isinstance(document, dict):
        return document
    ((kind, content),) = document.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float(content)
    if kind == "empty":
        return _empty(*content)
    if kind == "dict":
        return {key: joined(item, tensors) for key, item in content}
    raise ValueError(f"there is no {kind!r} in such a document")


def _empty(dtype: str, shape: list[int]) -> Tensor:
    if 0 not in shape or dtype not in EMPTY:
        raise ValueError(f"there is no empty tensor of {dtype} and {shape}")
    return torch.zeros(shape, dtype=EMPTY[dtype])
