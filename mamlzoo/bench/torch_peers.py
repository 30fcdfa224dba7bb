"""Other PyTorch code as contenders, on the same task, network and inner loop: MAML, its first-order form, ProtoNet."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from mamlzoo import trees
from mamlzoo.bench.workload import CannotRunError, Contender, Work, require_plain_steps
from mamlzoo.contracts.data import Batch, Episode, Spec
from mamlzoo.engine.placement import device_of


class TorchPeer(Contender):
    """One network and one Adam a seed, as users of these libraries write it."""

    def __init__(self, work: Work) -> None:
        experiment = work.experiment()
        self.task, self.algorithm = experiment.task, experiment.algorithm
        self.tasks, self.device = work.meta_batch, device_of(experiment.settings.device)
        self.generator = torch.Generator(self.device).manual_seed(0)
        (spec,) = self.algorithm.networks(self.task.spec).values()
        assert isinstance(spec, Spec)
        self.networks = [experiment.model.build(spec).to(self.device) for _ in range(work.seeds)]
        lr = experiment.settings.outer_lr
        self.optimizers = [torch.optim.Adam(network.parameters(), lr=lr) for network in self.networks]

    def run(self, steps: int) -> int:
        for _ in range(steps):
            for seed in range(len(self.networks)):
                self.step(seed, self.task.sample(self.tasks, split="train", generator=self.generator))
        next(self.networks[0].parameters()).sum().item()  # waits for the device
        return steps

    @abstractmethod
    def step(self, seed: int, episodes: Episode) -> None:
        """One update of a seed's network, whose gradient is left in `.grad`."""


class _TaskByTask(TorchPeer):
    """Each task's meta-loss on its own."""

    def step(self, seed: int, episodes: Episode) -> None:
        self.optimizers[seed].zero_grad()
        for at in range(self.tasks):
            support, query = trees.index(episodes, at)
            self.backward(self.networks[seed], support, query)
        self.optimizers[seed].step()

    @abstractmethod
    def backward(self, network: torch.nn.Module, support: Batch, query: Batch) -> None:
        """Add the task's share of the meta-gradient to `.grad`."""


class Adapting(TorchPeer):
    """Steps of gradient descent by all parameters."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        require_plain_steps(self.algorithm)
        self.inner_lr: float = self.algorithm.inner_lr  # type: ignore[attr-defined]
        self.inner_steps: int = self.algorithm.inner_steps  # type: ignore[attr-defined]
        self.first_order = self.algorithm.order == "first-order"


class PlainPrototypes(_TaskByTask):
    """Class means, and the logits −|f(x) − c|², in a few lines of PyTorch."""

    def backward(self, network: torch.nn.Module, support: Batch, query: Batch) -> None:
        embedded, labels = network(support.x), support.y
        means = torch.stack([embedded[labels == label].mean(0) for label in range(self.task.spec.output_size)])
        logits = -torch.cdist(network(query.x), means).square()
        (self.task.loss(logits, query.y) / self.tasks).backward()


class Plain(Adapting, _TaskByTask):
    """torch.autograd.grad with create_graph, and functional_call."""

    def backward(self, network: torch.nn.Module, support: Batch, query: Batch) -> None:
        theta = dict(network.named_parameters())
        fast: dict[str, Tensor] = dict(theta)
        for _ in range(self.inner_steps):
            loss = self.task.loss(functional_call(network, fast, (support.x,)), support.y)
            gradients = torch.autograd.grad(loss, list(fast.values()), create_graph=not self.first_order)
            fast = {name: p - self.inner_lr * g for (name, p), g in zip(fast.items(), gradients, strict=True)}
        (self.task.loss(functional_call(network, fast, (query.x,)), query.y) / self.tasks).backward()


class Higher(Adapting, _TaskByTask):
    """facebookresearch/higher."""

    def __init__(self, work: Work) -> None:
        try:
            import higher
        except ImportError as error:
            raise CannotRunError("higher is not installed; `pip install 'mamlzoo[bench]'`") from error
        super().__init__(work)
        self.higher: Any = higher
        self.inner = {id(net): torch.optim.SGD(net.parameters(), lr=self.inner_lr) for net in self.networks}

    def backward(self, network: torch.nn.Module, support: Batch, query: Batch) -> None:
        context = self.higher.innerloop_ctx(
            network,
            self.inner[id(network)],
            copy_initial_weights=False,
            track_higher_grads=not self.first_order,
        )
        with context as (functional, differentiable):
            for _ in range(self.inner_steps):
                differentiable.step(self.task.loss(functional(support.x), support.y))
            loss = self.task.loss(functional(query.x), query.y) / self.tasks
            if not self.first_order:
                loss.backward()
                return
            # Untracked steps lead nowhere: the gradient at the adapted parameters is handed over.
            gradients = torch.autograd.grad(loss, list(functional.parameters()))
            for p, gradient in zip(network.parameters(), gradients, strict=True):
                p.grad = gradient if p.grad is None else p.grad + gradient


class TorchOpt(Adapting, _TaskByTask):
    """metaopt/torchopt: MetaSGD, with the network's state put back after each task."""

    def __init__(self, work: Work) -> None:
        try:
            import torchopt
        except ImportError as error:
            raise CannotRunError("torchopt is not installed; `pip install 'mamlzoo[bench]'`") from error
        super().__init__(work)
        if self.first_order:
            raise CannotRunError("its MetaSGD has no first-order switch")
        self.torchopt: Any = torchopt
        self.inner = {id(net): torchopt.MetaSGD(net, lr=self.inner_lr) for net in self.networks}

    def backward(self, network: torch.nn.Module, support: Batch, query: Batch) -> None:
        inner = self.inner[id(network)]
        start = self.torchopt.extract_state_dict(network, by="reference")
        inner_start = self.torchopt.extract_state_dict(inner, by="reference")
        for _ in range(self.inner_steps):
            inner.step(self.task.loss(network(support.x), support.y))
        (self.task.loss(network(query.x), query.y) / self.tasks).backward()
        self.torchopt.recover_state_dict(network, start)
        self.torchopt.recover_state_dict(inner, inner_start)
