"""What a classifier is judged by."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def class_metrics(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The share of examples whose class has the largest output, and the cross-entropy, in nats.

    As the `metrics` of a task whose loss is the cross-entropy.

    Args:
        prediction: logits [n, classes].
        target: class indices [n].

    Returns:
        "accuracy" in [0, 1], and "loss", scalars.
    """
    correct = prediction.argmax(-1) == target
    return {
        "accuracy": correct.to(prediction.dtype).mean(),
        "loss": functional.cross_entropy(prediction, target),
    }
