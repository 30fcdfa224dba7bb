"""What tasks have in common that are judged by their mean squared error."""

from __future__ import annotations

from torch import Tensor

import mamlzoo


class RegressionTask(mamlzoo.Task):
    """A regression whose loss is the mean squared error, which is also what is reported."""

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square().mean()

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"mse": self.loss(prediction, target)}
