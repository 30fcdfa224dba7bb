"""Networks that draw random numbers, as dropout does: from the noise of an episode, never from torch's generators.

Where a network draws, torch's own functions that do are taken over while it is called. What draws in another way, and
so cannot be repeated, is noticed by the generators that moved.
"""

from __future__ import annotations

import contextlib
import functools
import math
import types
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mamlzoo import trees
from mamlzoo.contracts.inputs import arguments_of
from mamlzoo.contracts.noise import Noise

_TRIED: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Of networks that were called on a trial: whether they draw."""
DRAWING_LAYERS = (nn.modules.dropout._DropoutNd, nn.RReLU)
RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


def drawing(network: nn.Module, noise: Noise) -> contextlib.AbstractContextManager[Any]:
    """Meanwhile what the network draws comes from the noise.

    Nothing happens for one that a trial showed not to draw; nor without a key, as in a loop of a user's own, whose
    generators are the user's affair.
    """
    return _Drawing(noise) if noise.key is not None and _TRIED.get(network, True) else contextlib.nullcontext()


def draws(network: nn.Module) -> bool:
    """Whether a network draws random numbers: as a trial showed, or as its layers suggest where there was none."""
    known = _TRIED.get(network)
    return any(map(_may_draw, network.modules())) if known is None else known


def called(network: nn.Module, x: Any) -> Any:
    """What a network gives for inputs; where it draws, by the same random numbers each time."""
    arguments, named = arguments_of(network, x)
    with drawing(network, Noise(torch.tensor(0, device=trees.leaves(x)[0].device), still=True)):
        return network(*arguments, **named)


def tried(network: nn.Module, copied: nn.Module, x: Any) -> Any:
    """What a copy of the network gives for inputs, after which it is known whether the network draws."""
    arguments, named = arguments_of(network, x)
    noise = Noise(torch.tensor(0, device=trees.leaves(x)[0].device))
    with _Drawing(noise):
        result = copied(*arguments, **named)
    _TRIED[network] = noise.draws > 0
    return result


def _may_draw(module: nn.Module) -> bool:
    rate = getattr(module, "dropout", 0.0)
    return isinstance(module, DRAWING_LAYERS) or (isinstance(rate, float) and rate > 0)


class _Drawing(TorchFunctionMode):
    def __init__(self, noise: Noise) -> None:
        super().__init__()
        self._noise = noise

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        own = FROM_NOISE.get(func)
        if own is None:
            return func(*args, **given)
        with self:  # what it is composed of may draw
            result = own(self._noise, *args, **given)
        return func(*args, **given) if result is NotImplemented else result


def _masked(noise: Noise, x: Tensor, p: float, shape: Sequence[int]) -> Tensor:
    """x where a number of the mask's shape is kept, scaled by 1 / (1 − p)."""
    if p >= 1:
        return torch.zeros_like(x)
    kept: Tensor = x * (noise.uniform(*shape) >= p).to(x.dtype)
    return kept / (1 - p)


def _given_back(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result, which is written into the input where that was asked for."""
    return input.copy_(result) if inplace else result


def _dropout(noise: Noise, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if not training or p == 0:
        return NotImplemented
    return _given_back(input, _masked(noise, input, p, input.shape), inplace)


def _channel_dropout(without_examples: int) -> Callable[..., Any]:
    """Whole channels of [n, channels, …]; an input of so many axes is [channels, …], as torch has it."""

    def dropped(noise: Noise, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        leading = 1 if input.ndim == without_examples else 2
        shape = [*input.shape[:leading], *[1] * (input.ndim - leading)]
        if not training or p == 0:
            return NotImplemented
        return _given_back(input, _masked(noise, input, p, shape), inplace)

    return dropped


def _alpha_dropout(noise: Noise, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    if not training or p == 0:
        return NotImplemented
    return _given_back(input, _alpha(noise, input, p, input.shape), inplace)


def _feature_alpha_dropout(
    noise: Noise, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:
    shape = [*input.shape[:2], *[1] * (input.ndim - 2)]
    if not training or p == 0:
        return NotImplemented
    return _given_back(input, _alpha(noise, input, p, shape), inplace)


def _alpha(noise: Noise, x: Tensor, p: float, shape: Sequence[int]) -> Tensor:
    """Numbers that are dropped become SELU's least value α′, and a·x + b keeps mean 0 and variance 1.

    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017: a = (q + α′²q(1 − q))^-½
    and b = −a(1 − q)α′, with q = 1 − p.
    """
    least, q = -1.7580993408473766, 1.0 - p
    if q <= 0:
        return torch.full_like(x, least)
    kept = (noise.uniform(*shape) >= p).to(x.dtype)
    a = 1 / math.sqrt(q + least**2 * q * p)
    return a * (x * kept + least * (1 - kept)) - a * p * least


def _rrelu(
    noise: Noise,
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Any:
    """A slope for each negative number, drawn evenly."""
    if not training:
        return NotImplemented
    slope = lower + (upper - lower) * noise.uniform(*input.shape).to(input.dtype)
    return _given_back(input, torch.where(input >= 0, input, slope * input), inplace)


def _attention(
    noise: Noise,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(q kᵀ / √d + mask), of which numbers are dropped, times v."""
    if dropout_p == 0:
        return NotImplemented
    if enable_gqa:
        times = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(times, -3), value.repeat_interleave(times, -3)
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    if attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if is_bool else scores + attn_mask
    return _masked(noise, scores.softmax(-1), dropout_p, scores.shape) @ value


def _multi_head_attention(noise: Noise, *args: Any, **kwargs: Any) -> Any:
    """torch's own, whose inner calls torch does not show: with names of its own for those that draw."""
    own = functional.multi_head_attention_forward
    taken_over = {
        "has_torch_function": lambda _: False,
        "dropout": functools.partial(_or_torch, functools.partial(_dropout, noise), functional.dropout),
        "scaled_dot_product_attention": functools.partial(
            _or_torch, functools.partial(_attention, noise), functional.scaled_dot_product_attention
        ),
    }
    return types.FunctionType(
        own.__code__, own.__globals__ | taken_over, own.__name__, own.__defaults__, own.__closure__
    )(*args, **kwargs)


def _or_torch(own: Callable[..., Any], torchs: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = own(*args, **kwargs)
    return torchs(*args, **kwargs) if result is NotImplemented else result


def _recurrent(kind: Callable[..., Any]) -> Callable[..., Any]:
    """A recurrent network of several layers, one after another, with dropout between them."""

    def layers(noise: Noise, input: Tensor, hx: Any, *rest: Any) -> Any:
        if len(rest) != 7 or not isinstance(rest[1], bool):  # of packed sequences
            return NotImplemented
        params, has_biases, count, rate, train, bidirectional, batch_first = rest
        if not train or rate == 0 or count == 1:
            return NotImplemented
        states = hx if isinstance(hx, tuple | list) else (hx,)
        several, each = len(params) // count, len(states[0]) // count
        finals = []
        for layer in range(count):
            own = [state[layer * each : (layer + 1) * each] for state in states]
            weights = params[layer * several : (layer + 1) * several]
            begin = tuple(own) if len(own) > 1 else own[0]
            input, *final = kind(input, begin, weights, has_biases, 1, 0.0, train, bidirectional, batch_first)
            finals.append(final)
            if layer + 1 < count:
                input = _masked(noise, input, rate, input.shape)
        return (input, *(torch.cat(parts) for parts in zip(*finals, strict=True)))

    return layers


def _shape_of(size: Sequence[Any], kwargs: dict[str, Any]) -> list[int]:
    size = [kwargs.pop("size")] if "size" in kwargs else list(size)
    return list(size[0]) if len(size) == 1 and isinstance(size[0], Sequence) else [int(length) for length in size]


def _fresh(draw: Callable[[Noise], Callable[..., Tensor]]) -> Callable[..., Any]:
    """torch.rand and torch.randn."""

    def drawn(noise: Noise, *size: Any, **kwargs: Any) -> Any:
        if kwargs.get("generator") is not None:
            return NotImplemented
        shape = _shape_of(size, kwargs)
        return _as_asked(draw(noise)(*shape), kwargs)

    return drawn


def _alike(draw: Callable[[Noise], Callable[..., Tensor]]) -> Callable[..., Any]:
    """torch.rand_like and torch.randn_like."""

    def drawn(noise: Noise, input: Tensor, **kwargs: Any) -> Any:
        return _as_asked(draw(noise)(*input.shape), {"dtype": input.dtype} | kwargs)

    return drawn


def _as_asked(drawn: Tensor, kwargs: dict[str, Any]) -> Tensor:
    dtype = kwargs.get("dtype")
    drawn = drawn if dtype is None else drawn.to(dtype)
    return drawn.requires_grad_() if kwargs.get("requires_grad") else drawn


def _normal(noise: Noise, mean: Any, std: Any = 1.0, size: Any = None, **kwargs: Any) -> Any:
    if kwargs.get("generator") is not None or kwargs.get("out") is not None:
        return NotImplemented
    shape = size
    if shape is None:
        shape = torch.broadcast_shapes(*(value.shape for value in (mean, std) if isinstance(value, Tensor)))
    return mean + std * noise.normal(*shape)


def _bernoulli(noise: Noise, input: Tensor, p: float | None = None, **kwargs: Any) -> Any:
    if kwargs.get("generator") is not None or kwargs.get("out") is not None:
        return NotImplemented
    return noise.bernoulli(input if p is None else p, *input.shape).to(input.dtype)


FROM_NOISE: dict[Any, Callable[..., Any]] = {
    functional.dropout: _dropout,
    functional.dropout1d: _channel_dropout(without_examples=2),
    functional.dropout2d: _channel_dropout(without_examples=0),
    functional.dropout3d: _channel_dropout(without_examples=4),
    functional.alpha_dropout: _alpha_dropout,
    functional.feature_alpha_dropout: _feature_alpha_dropout,
    functional.rrelu: _rrelu,
    functional.scaled_dot_product_attention: _attention,
    functional.multi_head_attention_forward: _multi_head_attention,
    torch.rand: _fresh(lambda noise: noise.uniform),
    torch.randn: _fresh(lambda noise: noise.normal),
    torch.rand_like: _alike(lambda noise: noise.uniform),
    torch.randn_like: _alike(lambda noise: noise.normal),
    torch.normal: _normal,
    torch.bernoulli: _bernoulli,
    Tensor.bernoulli: _bernoulli,
} | {kind: _recurrent(kind) for kind in RECURRENT}
"""What draws in torch, and how it draws from noise; NotImplemented where it draws nothing this time."""
