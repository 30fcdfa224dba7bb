"""The sine family, the field's first regression benchmark."""

from __future__ import annotations

from mamlzoo_tasks.sine_family import SineFamily


class Sine(SineFamily):
    """Regress a sine wave from a few of its points: y = A·sin(ω·x + φ).

    An episode is one wave. Amplitude A, phase φ and frequency ω are uniform in their ranges; ω is 1 unless its
    range is opened. Support inputs are uniform in [support-min, support-max], query inputs in [x-min, x-max]. In the
    valid and test splits the query set is a grid of `test-points` evenly spaced inputs without noise, so that its loss
    measures the fit of the whole wave.

    With `pool` 0 every training episode is a new wave. With a pool of P, P waves and their support sets are drawn once
    and for all and training draws from them with replacement; queries are fresh each time. Valid and test waves never
    come from the pool.

    Loss: mean squared error. The ranges that papers use differ: phase U(0, π) in Finn et al., U(0, 2π) in the
    notebook and here by default. Where a paper has sin(x − φ), the phase here is −φ. Papers' own ranges are tasks of
    their own: `sine-maml`, `sine-cavia`, `sine-meta-sgd`, `sine-dkt`, `sine-alpaca`, and `sine-notebook`.

    Reference: Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML 2017, section 5.1.
    """

    name = "sine"
