"""parallel-metalearn as a contender: a library that batches the tasks of a meta-batch by torch.vmap, in eager mode."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mamlzoo.bench.torch_peers import Adapting
from mamlzoo.bench.workload import CannotRunError, Work
from mamlzoo.contracts.data import Episode


class ParallelMetaLearn(Adapting):
    """Razani's parallel-metalearn: its MAML, which batches tasks by torch.vmap."""

    def __init__(self, work: Work) -> None:
        try:
            from metalearn.algorithms import MAML
            from metalearn.inner_optimizers import InnerSGD
        except ImportError as error:
            raise CannotRunError("parallel-metalearn is not installed; `pip install 'mamlzoo[bench]'`") from error
        super().__init__(work)
        if any(list(network.buffers()) for network in self.networks):
            raise CannotRunError("a network with buffers has to be rewritten for it")
        self.learners: list[Any] = []
        for network, optimizer in zip(self.networks, self.optimizers, strict=True):
            model = _AsItTakes(network)
            inner = InnerSGD(
                model.get_fast_weights(),
                first_order=self.first_order,
                inner_lr=self.inner_lr,
                max_inner_steps=self.inner_steps,
                learn_lr=False,
            )
            self.learners.append(
                MAML(
                    model=model,
                    optimizer=optimizer,
                    inner_optimizer=inner,
                    support_loss_fn=_LossAsItTakes(self.task.loss),
                    inner_steps=self.inner_steps,
                    chunk_size=self.tasks,
                    device=self.device,
                )
            )

    def step(self, seed: int, episodes: Episode) -> None:
        support, query = episodes
        self.learners[seed].step(iter([(support.x, support.y, query.x, query.y)]), training=True)


class _AsItTakes(torch.nn.Module):
    """A network whose outputs are called as parallel-metalearn's losses expect."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, **_: object) -> dict[str, Any]:
        """Outputs, and no buffers."""
        return {"logits": self.network(x), "buffers": {}}

    def get_fast_weights(self) -> OrderedDict[str, Tensor]:
        """What adapts: all parameters."""
        return OrderedDict(self.named_parameters())


class _LossAsItTakes(torch.nn.Module):
    """A task's loss, which parallel-metalearn wants with a metric beside it."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, out_dict: dict[str, Tensor], targets: Tensor, **_: object) -> tuple[Tensor, Tensor]:
        """The loss twice."""
        loss = self.loss(out_dict["logits"], targets)
        return loss, loss.detach()
