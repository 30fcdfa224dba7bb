"""The sine family: its ranges, its pool, its grid."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mamlzoo.errors import UsageError
from mamlzoo_tasks.sine import Sine


def sample(task, count=200, split="train", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def parameters(batch):
    """Amplitude and phase of each wave of frequency 1, by least squares: y = a·sin x + b·cos x."""
    design = torch.stack([batch.x[..., 0].sin(), batch.x[..., 0].cos()], -1).double()
    a, b = torch.linalg.lstsq(design, batch.y.double()).solution[..., 0].unbind(-1)
    return torch.hypot(a, b), torch.atan2(b, a) % (2 * math.pi)


def test_shapes():
    support, query = sample(Sine(shots=4, queries=6), count=3)
    assert support.x.shape == support.y.shape == (3, 4, 1)
    assert query.x.shape == query.y.shape == (3, 6, 1)


def test_the_test_query_is_an_even_grid():
    query = sample(Sine(test_points=50), split="test").query
    torch.testing.assert_close(query.x[0, :, 0], torch.linspace(-5, 5, 50))
    assert torch.equal(query.x[0], query.x[-1])


def test_support_and_query_lie_on_one_wave():
    support, query = sample(Sine(), split="test")
    for found, expected in zip(parameters(support), parameters(query), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)


@given(low=st.floats(0.1, 2), width=st.floats(0, 3), start=st.floats(0, 3), arc=st.floats(0, 3))
@settings(max_examples=20, deadline=None)
def test_amplitude_and_phase_stay_in_their_ranges(low, width, start, arc):
    task = Sine(amplitude_min=low, amplitude_max=low + width, phase_min=start, phase_max=start + arc)
    amplitude, phase = parameters(sample(task, split="test").query)
    assert low - 1e-3 <= amplitude.min()
    assert amplitude.max() <= low + width + 1e-3
    assert ((phase - start + 0.01) % (2 * math.pi) <= arc + 0.02).all()


def test_the_ranges_are_filled_evenly():
    amplitude, phase = parameters(sample(Sine(), count=20_000, split="test").query)
    assert float(amplitude.mean()) == pytest.approx((0.1 + 5) / 2, abs=0.04)
    assert float(amplitude.std()) == pytest.approx(4.9 / math.sqrt(12), abs=0.03)
    assert float(phase.mean()) == pytest.approx(math.pi, abs=0.06)


def test_a_one_sided_support_set_leaves_the_grid_alone():
    support, query = sample(Sine(support_min=0.0), split="test")
    assert support.x.min() >= 0
    assert query.x.min() == -5


def test_frequencies_may_vary():
    support, _ = sample(Sine(frequency_min=3.0, frequency_max=3.0, shots=50))
    design = torch.stack([(3 * support.x[..., 0]).sin(), (3 * support.x[..., 0]).cos()], -1).double()
    fitted = design @ torch.linalg.lstsq(design, support.y.double()).solution
    torch.testing.assert_close(fitted, support.y.double(), atol=1e-4, rtol=0)


def test_noise_is_on_support_and_training_query_but_not_on_the_test_grid():
    noisy, clean = Sine(noise=0.5, amplitude_max=0.1), Sine(amplitude_max=0.1)
    assert float(sample(noisy).support.y.std()) == pytest.approx(math.hypot(0.5, 0.07), abs=0.03)
    assert float(sample(noisy).query.y.std()) == pytest.approx(math.hypot(0.5, 0.07), abs=0.03)
    assert sample(noisy, split="test").query.y.abs().max() <= 0.1
    assert sample(clean).support.y.abs().max() <= 0.1


def test_a_pool_has_so_many_waves_with_their_supports_kept_and_fresh_queries():
    first, second = sample(Sine(pool=7), seed=0), sample(Sine(pool=7), seed=1)
    supports = {tuple(x.flatten().tolist()) for x in torch.cat([first.support.x, second.support.x])}
    assert len(supports) == 7
    queries = {tuple(x.flatten().tolist()) for x in torch.cat([first.query.x, second.query.x])}
    assert len(queries) == 400


def test_pool_queries_lie_on_their_support_sets_wave():
    support, query = sample(Sine(pool=7, queries=30, shots=30))
    for found, expected in zip(parameters(support), parameters(query), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-2, rtol=1e-2)


def test_test_waves_never_come_from_the_pool():
    amplitudes, _ = parameters(sample(Sine(pool=3), split="test").query)
    assert len({round(float(a), 3) for a in amplitudes}) > 150


def test_an_endless_stream_never_repeats_a_wave():
    support = sample(Sine(), count=2000).support
    assert len({tuple(x.flatten().tolist()) for x in support.x}) == 2000


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"x_min": 6.0}, "x_min must not exceed x_max, 6 > 5"),
        ({"amplitude_max": 0.05}, "amplitude_min must not exceed amplitude_max, 0.1 > 0.05"),
        ({"support_min": 7.0}, "support_min must not exceed support_max, 7 > 5"),
        ({"shots": 0}, "shots must be at least 1, not 0"),
        ({"test_points": 0}, "test_points must be at least 1, not 0"),
        ({"noise": -1.0}, "noise must be at least 0, not -1.0"),
    ],
)
def test_ranges_that_cannot_be_are_refused(given, complaint):
    with pytest.raises(UsageError) as caught:
        Sine(**given)
    assert str(caught.value) == f"task 'sine': {complaint}"


def test_the_loss_is_the_mean_squared_error():
    prediction, target = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    assert float(Sine().loss(prediction, target)) == 2.5
