"""Matrices that have no inverse, factor or eigenvalues: NaN for each of these, where torch raises for all at once.

A seed whose matrix becomes singular has diverged. Computed beside others, its error would be the end of those too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mamlzoo import trees

P = ParamSpec("P")
T = TypeVar("T")
CHECK = torch.ops.aten._linalg_check_errors.default
"""Raises where an operation before it, as `linalg_cholesky_ex`, says in its last result `info` that it failed."""


def outcomes(function: Callable[P, T]) -> Callable[P, T]:
    """The same function, where a matrix that torch's linear algebra raises for gives NaN, and others their own results.

    It must be pure: what raised is computed again, operation by operation, and from then on always so.
    """
    careful = False

    def computed(*args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal careful
        if not careful:
            try:
                return function(*args, **kwargs)
            except RuntimeError as error:
                if not is_of_linear_algebra(error):
                    raise
                careful = True
        with _NaNForSingular():
            return function(*args, **kwargs)

    return computed


def is_of_linear_algebra(error: BaseException) -> bool:
    """Whether torch found that a matrix cannot be inverted or factorised."""
    # Not all of them are of the type that torch has for these.
    known: type[BaseException] = torch.linalg.LinAlgError  # type: ignore[attr-defined]
    return isinstance(error, known) or bool(re.search(r"\blinalg\b|BatchLinearAlgebra", str(error)))


class _NaNForSingular(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._checkable: tuple[Tensor, ...] = ()
        """The results of the last operation that says in its last one for which matrices it failed."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is CHECK:
            *results, info = self._checkable
            assert info is args[0], "torch checks an operation other than the last"
            return _put_nan(results, info != 0)
        try:
            result = func(*args, **(kwargs or {}))
        except RuntimeError as error:
            if not is_of_linear_algebra(error):
                raise
            return _one_by_one(func, *args, **(kwargs or {}))
        if isinstance(result, tuple) and isinstance(result[-1], Tensor) and result[-1].dtype == torch.int32:
            self._checkable = result
        return result


def _one_by_one(func: Any, matrices: Tensor, *args: Any, **kwargs: Any) -> Any:
    """An operation that raises itself, with the matrices that it raises for replaced, and NaN for them."""
    batch, square = matrices.shape[:-2], matrices.shape[-2:]
    failed = [_raises(func, matrix, args, kwargs) for matrix in matrices.reshape(-1, *square)]
    bad = torch.tensor(failed, device=matrices.device).reshape(batch)
    harmless = torch.eye(*square, dtype=matrices.dtype, device=matrices.device)
    results = func(torch.where(bad[..., None, None], harmless, matrices), *args, **kwargs)
    _put_nan([leaf for leaf in trees.leaves(results) if isinstance(leaf, Tensor)], bad)
    return results


def _raises(func: Any, matrix: Tensor, args: Any, kwargs: Any) -> bool:
    # Of other tensors beside it, as right-hand sides, only the shape matters here.
    others = [arg[(0,) * (arg.ndim - 2)] if isinstance(arg, Tensor) and arg.ndim > 2 else arg for arg in args]
    try:
        func(matrix, *others, **kwargs)
    except RuntimeError as error:
        if not is_of_linear_algebra(error):
            raise
        return True
    return False


def _put_nan(results: list[Tensor], bad: Tensor) -> None:
    """In place, since autograd and vmap hold these very tensors already."""
    for result in results:
        if result.numel() and (result.is_floating_point() or result.is_complex()):
            result.masked_fill_(bad.reshape(*bad.shape, *[1] * (result.ndim - bad.ndim)), torch.nan)
