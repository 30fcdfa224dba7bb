"""What operations are made of that are not written in C here, and those that have a simpler form."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

aten = torch.ops.aten
TAKEN_APART = [
    aten._softmax, aten._softmax_backward_data, aten._log_softmax, aten._log_softmax_backward_data, aten.native_layer_norm,
    aten.native_layer_norm_backward, aten.gelu, aten.gelu_backward, aten.silu, aten.silu_backward, aten.softplus, aten.softplus_backward,
    aten.elu, aten.elu_backward, aten.leaky_relu, aten.leaky_relu_backward, aten.hardtanh, aten.hardtanh_backward,
    aten.std, aten.mse_loss, aten.mse_loss_backward, aten.binary_cross_entropy_with_logits,
    aten.select_backward, aten.slice_backward, aten.diagonal_backward, aten.logsumexp, aten.log_sigmoid_forward, aten.log_sigmoid_backward,
    aten.stack, aten.mv, aten.dot, aten.norm, aten.linalg_vector_norm, aten.native_batch_norm, aten.native_batch_norm_backward,
    aten._native_batch_norm_legit, aten._native_batch_norm_legit_no_training, aten.native_group_norm, aten.native_group_norm_backward,
    aten.smooth_l1_loss, aten.smooth_l1_loss_backward, aten.huber_loss, aten.huber_loss_backward, aten.nll_loss_forward, aten.nll_loss_backward,
    aten.select_scatter, aten.slice_scatter, aten.tril, aten.triu, aten.eye, aten.xlogy, aten.addmv, aten.baddbmm, aten.linspace,
    aten.repeat, aten.rot90, aten.constant_pad_nd, aten.embedding_dense_backward, aten.frac, aten.special_entr, aten.sgn, aten.hypot,
    aten.squeeze, aten.unsafe_split, aten.new_empty, aten.mish, aten.hardsigmoid, aten.hardswish, aten.celu, aten.logit, aten.std_mean, aten.diag_embed,
    aten._unsafe_masked_index, aten._unsafe_masked_index_put_accumulate, aten._unsafe_index, aten._unsafe_index_put, aten.index_add, aten.index_copy, aten.index_fill,
]  # fmt: skip


@functools.cache
def decompositions() -> dict[Any, Callable[..., Any]]:
    """By operation what gives the same."""
    from torch._decomp import get_decompositions

    return dict(get_decompositions(TAKEN_APART))
