"""Layers whose derivatives torch gets wrong where it batches them, composed of operations that it gets right.

Under `torch.func.vmap` the second derivatives of batch norm, layer norm and instance norm with weights are wrong in
what lies before them, without a word (torch 2.13; -21.6 in place of .576 in a case of three episodes); so are the first
ones of a PReLU whose weights are batched too, and an embedding learns its padding row; cells of recurrent networks have
no rule at all. Each is written here as the formula that defines it, and is taken where a tensor of the call is batched.
Elsewhere torch's own is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch._C._functorch import get_unwrapped, is_batchedtensor, is_functorch_wrapped_tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.overrides import TorchFunctionMode

from mamlzoo.contracts.norm_statistics import MOMENTS, NONE_ASKED, Norms, counted_moments, normalised_by

_AFFECTED: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Of modules that were looked at: whether one of these layers is in it."""


def composed(network: nn.Module, norms: Norms = NONE_ASKED) -> contextlib.AbstractContextManager[Any]:
    """Meanwhile the network's layers can be batched.

    Args:
        norms: what is asked of its batch norms.
    """
    affected = _AFFECTED.get(network)
    if affected is None:
        affected = _AFFECTED[network] = any(map(_is_affected, network.modules()))
    return _Composed(norms) if affected else contextlib.nullcontext()


def is_batched(value: object) -> bool:
    """Whether a tensor is one of several that `vmap` computes at once."""
    while isinstance(value, Tensor) and is_functorch_wrapped_tensor(value):
        if is_batchedtensor(value):
            return True
        value = get_unwrapped(value)
    return False


def _is_affected(module: nn.Module) -> bool:
    known = isinstance(module, _NormBase | nn.LayerNorm | nn.PReLU | nn.RNNCellBase)
    return known or getattr(module, "padding_idx", None) is not None


def _any_is_batched(values: Iterable[object]) -> bool:
    """Also of a cell's state of several tensors; not by `trees`, which would take as long as a small layer."""
    return any(_any_is_batched(value) if isinstance(value, tuple | list) else is_batched(value) for value in values)


class _Composed(TorchFunctionMode):
    def __init__(self, norms: Norms) -> None:
        super().__init__()
        self._norms, self._calls = norms, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is functional.batch_norm and self._norms is not NONE_ASKED:
            self._calls += 1
            return _batch_norm(*args, **given | {"norms": self._norms, "at": self._calls - 1})
        composition = COMPOSITIONS.get(func)
        if composition is not None and _any_is_batched((*args, *given.values())):
            return composition(*args, **given)
        return func(*args, **given)


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    norms: Norms = NONE_ASKED,
    at: int = 0,
) -> Tensor:
    """(x − mean) / √(var + ε) · w + b, over all axes but the channels', [n, channels, …].

    Args:
        norms: what is asked of it.
        at: how many batch norms were called before it.
    """
    if norms.moments is not None:
        mean, variance = (norms.moments[f"{name}.{at}"] for name in MOMENTS)
    elif not training and running_mean is not None and running_var is not None:
        mean, variance = running_mean, running_var
    elif norms is not NONE_ASKED:
        mean, variance = counted_moments(input, input.new_ones(len(input)) if norms.counted is None else norms.counted)
    elif running_mean is not None or running_var is not None or not training:
        return functional.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    else:
        axes = (0, *range(2, input.ndim))
        if all(input.shape[axis] == 1 for axis in axes):
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
        return _scaled(_normalised(input, axes, eps), weight, bias)
    if norms.seen is not None:
        norms.seen.update({f"{name}.{at}": own.flatten() for name, own in zip(MOMENTS, (mean, variance), strict=True)})
    shape = _channels(input)
    return _scaled(normalised_by(input, mean.reshape(shape), variance.reshape(shape), eps), weight, bias)


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The same over the axes behind the channels alone."""
    axes = tuple(range(2, input.ndim))
    if running_mean is not None or not use_input_stats or all(input.shape[axis] == 1 for axis in axes):
        return functional.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
    return _scaled(_normalised(input, axes, eps), weight, bias)


def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """The same over the last axes, with a weight for each of their numbers."""
    result = _normalised(input, tuple(range(-len(normalized_shape), 0)), eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def _prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, else w·x; w is one number, or one a channel."""
    if weight.numel() > 1 and input.ndim > 1:
        weight = weight.reshape(_channels(input))
    return torch.where(input > 0, input, weight * input)


def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of the weight, of which the padding's is a constant."""
    if padding_idx is None or max_norm is not None or scale_grad_by_freq or sparse:
        return functional.embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    is_padding = torch.arange(weight.shape[0], device=weight.device) == padding_idx % weight.shape[0]
    return functional.embedding(input, torch.where(is_padding[:, None], weight.detach(), weight))


def _normalised(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred * (centred.square().mean(axes, keepdim=True) + eps).rsqrt()


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight.reshape(_channels(x))
    return x if bias is None else x + bias.reshape(_channels(x))


def _gates(x: Tensor, h: Tensor, w: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
    """W·x + b and V·h + c of a recurrent cell, w = (W, V, b, c)."""
    of_x, of_h, bias_x, bias_h = (*w, None, None)[:4]
    assert of_x is not None
    assert of_h is not None
    return functional.linear(x, of_x, bias_x), functional.linear(h, of_h, bias_h)


def _gru_cell(input: Tensor, hx: Tensor, *weights: Tensor | None) -> Tensor:
    """(1 − z)·n + z·h, with n = tanh(x's + r·h's) and gates r and z."""
    (r, z, n), (own_r, own_z, own_n) = (part.chunk(3, -1) for part in _gates(input, hx, weights))
    update = torch.sigmoid(z + own_z)
    new = torch.tanh(n + torch.sigmoid(r + own_r) * own_n)
    return (1 - update) * new + update * hx


def _lstm_cell(input: Tensor, hx: Sequence[Tensor], *weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """c′ = f·c + i·g and h′ = o·tanh(c′)."""
    h, c = hx
    i, f, g, o = sum(_gates(input, h, weights)).chunk(4, -1)  # type: ignore[union-attr]
    cell = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def _rnn_tanh_cell(input: Tensor, hx: Tensor, *weights: Tensor | None) -> Tensor:
    x, h = _gates(input, hx, weights)
    return torch.tanh(x + h)


def _rnn_relu_cell(input: Tensor, hx: Tensor, *weights: Tensor | None) -> Tensor:
    x, h = _gates(input, hx, weights)
    return torch.relu(x + h)


def _channels(x: Tensor) -> list[int]:
    """The shape of a number for each channel of [n, channels, …]."""
    return [-1] + [1] * (x.ndim - 2)


COMPOSITIONS: dict[Any, Callable[..., Any]] = {
    functional.batch_norm: _batch_norm,
    functional.instance_norm: _instance_norm,
    functional.layer_norm: _layer_norm,
    functional.embedding: _embedding,
    torch.prelu: _prelu,
    torch.gru_cell: _gru_cell,
    torch.lstm_cell: _lstm_cell,
    torch.rnn_tanh_cell: _rnn_tanh_cell,
    torch.rnn_relu_cell: _rnn_relu_cell,
}
