"""What operations are made of that are not written in C++ here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

TAKEN_APART = (
    "_log_softmax", "_log_softmax_backward_data", "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training", "_safe_softmax", "_softmax", "_softmax_backward_data", "_unsafe_index",
    "_unsafe_index_put", "_unsafe_masked_index", "_unsafe_masked_index_put_accumulate", "addmv", "baddbmm",
    "binary_cross_entropy_with_logits", "celu", "diag_embed", "diagonal_backward", "dot",
    "elu", "elu_backward", "embedding_dense_backward", "eye", "frac", "gelu", "gelu_backward", "hardsigmoid",
    "hardswish", "hardtanh", "hardtanh_backward", "huber_loss", "huber_loss_backward", "hypot", "index_add",
    "index_copy", "index_fill", "leaky_relu", "leaky_relu_backward", "linalg_vector_norm", "linspace",
    "log_sigmoid_backward", "log_sigmoid_forward", "logit", "logsumexp", "mish", "mse_loss", "mse_loss_backward",
    "mv", "native_batch_norm", "native_batch_norm_backward", "native_group_norm", "native_group_norm_backward",
    "native_layer_norm", "native_layer_norm_backward", "new_empty", "nll_loss_backward", "nll_loss_forward",
    "norm", "repeat", "rot90", "select_backward", "select_scatter", "sgn", "silu", "silu_backward",
    "slice_backward", "slice_scatter", "smooth_l1_loss", "smooth_l1_loss_backward", "softplus",
    "softplus_backward", "special_entr", "squeeze", "stack", "std", "std_mean", "tril", "triu", "unsafe_split",
    "xlogy",
)  # fmt: skip
"""Of aten's operations those that torch itself can compose of others."""


@functools.cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """By operation what gives the same."""
    from torch._decomp import get_decompositions

    return dict(get_decompositions([getattr(torch.ops.aten, name) for name in TAKEN_APART]))
