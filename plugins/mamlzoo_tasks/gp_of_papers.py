"""The Gaussian processes of papers: the family with the kernels and ranges that each of them has."""

from __future__ import annotations

from mamlzoo import Range
from mamlzoo_tasks.gp_family import GPFamily


class WeaklyPeriodicGP(GPFamily, kernel="weakly-periodic", length_min=0.5, length_max=0.5):
    """The weakly periodic curves of neuralprocesses: k = exp(−d²/2ℓ² − 2·sin²(πd/p)), ℓ = 0.5, p = 0.25.

    x ~ U(−2, 2), noise of variance 0.05, 0 to 30 support points and 50 targets. `exact-gp` is the ceiling, with the
    same kernel and length.

    Loss: mean squared error; the `nll` of who predicts a distribution is minus the log likelihood of a target.

    Reference: Bruinsma et al., "Autoregressive Conditional Neural Processes", ICLR 2023, appendix; the repository
    wesselb/neuralprocesses.
    """

    name = "gp-weakly-periodic"


class CNPGP(GPFamily, shots=Range(3, 9), queries=10, noise=0.02, length_min=0.4, length_max=0.4):
    """The curves of the conditional neural process: RBF of length 0.4 and scale 1, x ~ U(−2, 2).

    The code's noise of standard deviation 0.02 is there to factorise the covariance. There are 3 to 9 support points
    and 10 targets here; the code draws the number of targets too, and takes the support points among them.

    Loss: mean squared error; the `nll` of who predicts a distribution is minus the log likelihood of a target.

    Reference: Garnelo et al., "Conditional Neural Processes", ICML 2018, section 4.1; the repository
    deepmind/neural-processes.
    """

    name = "gp-cnp"


class ANPGP(GPFamily, shots=Range(3, 49), noise=0.02, length_min=0.1, length_max=0.6, scale_min=0.1):
    """The curves of the attentive neural process: RBF of length U(0.1, 0.6) and scale U(0.1, 1), x ~ U(−2, 2).

    Noise of standard deviation 0.02, 3 to 49 support points and 50 targets; the code draws the number of targets too,
    and takes the support points among them.

    Loss: mean squared error; the `nll` of who predicts a distribution is minus the log likelihood of a target.

    Reference: Kim et al., "Attentive Neural Processes", ICLR 2019, section 4.1; the repository
    deepmind/neural-processes.
    """

    name = "gp-anp"


class TNPGP(
    GPFamily,
    shots=Range(3, 46),
    queries=46,
    test_points=46,
    noise=0.02,
    length_min=0.1,
    length_max=0.6,
    scale_min=0.1,
    period_min=0.1,
    period_max=0.5,
):
    """The curves of transformer neural processes: length U(0.1, 0.6), scale U(0.1, 1), period U(0.1, 0.5).

    x ~ U(−2, 2), noise of standard deviation 0.02, 3 to 46 support points. The authors train on `rbf` and test on
    `rbf`, `matern` and `periodic`. There an episode has 3 targets at least and 49 points in all at most; here it has 46
    targets, whose mean likelihood is that of fewer.

    Loss: mean squared error; the `nll` of who predicts a distribution is minus the log likelihood of a target.

    Reference: Nguyen, Grover, "Transformer Neural Processes: Uncertainty-Aware Meta Learning Via Sequence Modeling",
    ICML 2022, section 5.1; the repository tung-nd/TNP-pytorch.
    """

    name = "gp-tnp"
