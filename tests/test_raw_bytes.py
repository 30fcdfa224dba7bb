"""Bytes of tensors, which digests of runs and of data are made of."""

from __future__ import annotations

import pytest
import torch

from mamlzoo.raw_bytes import raw_bytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_bytes_are_those_of_a_contiguous_copy_whatever_the_strides(dtype):
    numbers = torch.arange(12).reshape(3, 4).to(dtype)
    size = numbers.element_size()
    assert raw_bytes(numbers.T) == raw_bytes(numbers.T.contiguous())
    assert raw_bytes(numbers[1:2, 2:3]) == raw_bytes(numbers)[6 * size : 7 * size]


@pytest.mark.parametrize("strides", [(1, 1), (7, 7), (1, 5)])
def test_one_number_of_strange_strides_is_that_number(strides):
    # As what is left of a matrix of several experiments, of a parameter of one number.
    one = torch.arange(3.0).as_strided((1, 1), strides, 2)
    assert raw_bytes(one) == raw_bytes(torch.tensor(2.0))


def test_no_numbers_are_no_bytes():
    assert raw_bytes(torch.zeros(0, 3)) == b""
