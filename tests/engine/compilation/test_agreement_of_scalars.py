"""θ may hold single numbers, as a noise that is learned: their gradients are compared too."""

from __future__ import annotations

import torch

from mamlzoo.engine.compilation.agreement import MARGIN, _noisy


def test_a_single_number_of_theta_is_off_by_its_own_difference():
    # Two seeds, of which each has a number and a vector: what either is off stays with it.
    gradient = {"group": {"number": torch.tensor([2.0, 3.0]), "vector": torch.tensor([[1.0, 1.0], [1.0, 1.0]])}}
    other = {"group": {"number": torch.tensor([2.5, 3.0]), "vector": torch.tensor([[1.0, 1.0], [1.0, 1.25]])}}
    found = _noisy(gradient, [other], 0.0)
    torch.testing.assert_close(found.noise, MARGIN * torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.25, 0.25]]))
