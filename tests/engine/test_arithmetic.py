"""How the processor computes while meta-steps are made."""

from __future__ import annotations

import pytest
import torch

from mamlzoo.engine.arithmetic import available_threads, computing


def test_denormal_numbers_count_as_zero_meanwhile_and_as_themselves_after():
    tiny = torch.tensor(1e-40)
    with computing(1):
        assert tiny * 1 == 0
        with computing(1):
            pass
        assert tiny * 1 == 0
    assert tiny * 1 > 0


def test_so_many_threads_compute_meanwhile_whatever_happens():
    with pytest.raises(ZeroDivisionError), computing(2):
        assert torch.get_num_threads() == 2
        raise ZeroDivisionError
    assert torch.get_num_threads() == 1


def test_there_is_a_core_at_least():
    assert available_threads() >= 1
