"""The sine waves of papers and of the notebook: the family with the ranges that each of them has."""

from __future__ import annotations

import math

from mamlzoo import Range
from mamlzoo_tasks.sine_family import SineFamily


class MAMLSine(SineFamily, phase_min=-math.pi, phase_max=0.0):
    """The sine waves of the MAML paper: y = A·sin(x − φ), A ~ U(0.1, 5), φ ~ U(0, π).

    The sign of the phase is that of the authors' code, and so the option's range is that of −φ. x ~ U(−5, 5), with 10
    support points and as many queries; the paper has 5 too (`shots` and `queries`). The code tests on as many random
    points as it adapts on, here on a grid of 50.

    Loss: mean squared error.

    Reference: Finn, Abbeel, Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML 2017,
    section 5.1; the repository cbfinn/maml.
    """

    name = "sine-maml"


class CAVIASine(SineFamily, test_points=100, phase_min=-math.pi, phase_max=0.0):
    """The sine waves of the CAVIA paper: y = A·sin(x − φ), A ~ U(0.1, 5), φ ~ U(0, π), tested on 100 even points.

    The option's range of the phase is that of −φ. x ~ U(−5, 5), with 10 support and 10 query points.

    Loss: mean squared error.

    Reference: Zintgraf, Shiarlis, Kurin, Hofmann, Whiteson, "Fast Context Adaptation via Meta-Learning", ICML 2019,
    section 5.1; the repository lmzintgraf/cavia.
    """

    name = "sine-cavia"


class MetaSGDSine(SineFamily, shots=5, test_points=100, phase_max=math.pi, frequency_min=0.8, frequency_max=1.2):
    """The sine waves of the Meta-SGD paper: y = A·sin(ω·x + φ), A ~ U(0.1, 5), ω ~ U(0.8, 1.2), φ ~ U(0, π).

    x ~ U(−5, 5), with 5 support and 10 query points, tested on 100 even points; the paper tests with 10 and 20 support
    points too. The ranges of ω and φ were read in the repository yoonholee/MT-net, which uses this family.

    Loss: mean squared error.

    Reference: Li, Zhou, Chen, Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", 2017, section 4.1.
    """

    name = "sine-meta-sgd"


class DKTSine(SineFamily, shots=5, queries=5, test_points=200, noise=0.1, phase_max=math.pi):
    """The noisy sine waves of deep kernel transfer: y = A·sin(x + φ) + ε, A ~ U(0.1, 5), φ ~ U(0, π), ε ~ N(0, 0.1²).

    x ~ U(−5, 5); training takes 10 points at a time, here 5 of the support and 5 of the query set. The authors test on
    195 noisy points, here it is 200 even ones of the wave itself, whose error is less by the noise, 0.01. Out of range
    they draw x from U(−5, 10): `x-max` 10.

    Loss: mean squared error.

    Reference: Patacchiola, Turner, Crowley, O'Boyle, Storkey, "Bayesian Meta-Learning for the Few-Shot Setting via Deep
    Kernels", NeurIPS 2020, section 5.1; the repository BayesWatch/deep-kernel-transfer.
    """

    name = "sine-dkt"


class ALPaCASine(SineFamily, shots=Range(1, 10), queries=20, noise=math.sqrt(0.02), phase_max=3.14):
    """The noisy sine waves of ALPaCA: y = A·sin(x + φ) + ε, A ~ U(0.1, 5), φ ~ U(0, 3.14), ε of variance 0.02.

    x ~ U(−5, 5), with 1 to 10 support and 20 query points; the authors' code begins with no support point. A test is
    judged on 50 points of the wave itself.

    Loss: mean squared error.

    Reference: Harrison, Sharma, Pavone, "Meta-Learning Priors for Efficient Online Bayesian Regression", WAFR 2018,
    section 6; the repository StanfordASL/ALPaCA.
    """

    name = "sine-alpaca"


class NotebookSine(SineFamily, pool=10_000):
    """The sine waves of the notebook: y = A·sin(x + φ), A ~ U(0.1, 5), φ ~ U(0, 2π), of which 10,000 are trained on.

    x ~ U(−5, 5); the 10 support points of each training wave are drawn once and kept, the 10 query points are fresh.
    Tests are on other waves, on 50 even points.

    Loss: mean squared error.
    """

    name = "sine-notebook"
