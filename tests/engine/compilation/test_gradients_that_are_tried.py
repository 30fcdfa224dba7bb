"""How far an update may be off is found from a few gradients, and holds for all between them."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mamlzoo.engine.compilation.agreement import BETWEEN, _Gradient
from mamlzoo.engine.outer_optimizer import OuterOptimizer

RATE = 1e-3
SIZES = st.floats(-7, -2).map(lambda power: 10.0**power)
SIGNS = st.sampled_from([-1.0, 1.0])


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIGNS)
def test_adams_update_is_no_farther_off_for_any_gradient_that_rounding_allows(first, now, noise, sign):
    """A number whose gradient was `first`, is `now`, and may be off by `noise`, which may well hold 0."""
    powers = 10 ** torch.linspace(-9, 0, 60)
    allowed = torch.cat([sign * now + noise * powers, sign * now - noise * powers, noise * powers, -noise * powers])
    allowed = allowed.clamp(sign * now - noise, sign * now + noise)
    own, *tried = _Gradient(torch.tensor([[sign * now]]), torch.tensor([[noise]])).tried()
    gradients = torch.cat([own, *tried, allowed[None]], 1)  # each of a number of its own, as Adam treats them
    numbers = gradients.shape[1]
    optimizer = OuterOptimizer("adam", RATE, {"net": {"w": torch.zeros(1, numbers)}})
    optimizer.step({"net": {"w": torch.full((1, numbers), first)}}, [RATE])
    theta, state, rates = optimizer.theta.clone(), optimizer.state(), torch.tensor([RATE]).double()
    updated = optimizer.update(theta, [value.clone() for value in state], gradients, rates)[0][0]
    off = (updated - updated[0]).abs()
    assert off[1 + len(tried) :].max() <= BETWEEN * off[1 : 1 + len(tried)].max() + 1e-6 * RATE
