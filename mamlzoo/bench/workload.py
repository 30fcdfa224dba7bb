"""What is measured, by whom, and what came out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mamlzoo.experiments.experiment import Experiment

PLANS = ("loop", "vmap", "compile")
PEERS: Mapping[str, tuple[str, ...]] = {
    "plain": ("plain",),
    "higher": ("higher",),
    "torchopt": ("torchopt",),
    "parallel-metalearn": ("parallel-metalearn",),
    "jax": ("jax-loop", "jax-scan"),
}
"""By the name that `--against` takes, the contenders it stands for."""


@dataclass(frozen=True)
class Work:
    """One contender's task: make meta-steps of this combination, for a while.

    Attributes:
        contender: a plan, or one of a peer's.
        names: of task, model and algorithm, by kind.
        options: of these, as in {"task.shots": 5}, and of the outer optimiser, as "optimizer.momentum".
        threads: CPU threads; the process is bound to as many cores.
        seconds: how long each of the repeats lasts.
        settings: of the outer loop, as `mamlzoo.run` takes them.
    """

    contender: str
    names: Mapping[str, str]
    options: Mapping[str, Any]
    meta_batch: int
    seeds: int
    device: str = "cpu"
    threads: int = 1
    seconds: float = 1.0
    repeats: int = 5
    settings: Mapping[str, Any] = field(default_factory=dict)

    def experiment(self) -> Experiment:
        """The combination, with this meta-batch and these seeds.

        Raises:
            UsageError: it cannot work.
        """
        # Not before the worker has bound itself to its cores.
        from mamlzoo.contracts.plugins import KINDS
        from mamlzoo.runs.name_resolution import experiments

        names = ([self.names[kind]] for kind in KINDS)
        (found,) = experiments(
            *names,
            options=self.options,
            seeds=self.seeds,
            meta_batch=self.meta_batch,
            device=self.device,
            **self.settings,
        )
        return found

    def only_adam(self) -> None:
        """Hold the work to what other code does, whose outer loop is plain Adam.

        Raises:
            CannotRunError: another outer loop is asked for.
        """
        from mamlzoo.contracts.plugins import KINDS

        others = [key for key in self.options if key.partition(".")[0] not in KINDS]
        if asked := [*self.settings, *others]:
            raise CannotRunError(f"its outer loop is Adam at 0.001 and nothing more, without {', '.join(asked)}")


@dataclass(frozen=True)
class Row:
    """What a contender reached.

    Attributes:
        plan: the contender.
        tasks_per_second: meta-steps × meta-batch × seeds ÷ wall time, sampling included; the median of the repeats.
        lowest, highest: of the repeats.
        first_step_seconds: from the plugins to the end of the first meta-step, compiling included, imports not.
        peak_memory_mb: MiB, of the device, or on a CPU of the contender's whole process.
    """

    plan: str
    meta_batch: int
    seeds: int
    tasks_per_second: float
    lowest: float
    highest: float
    first_step_seconds: float
    peak_memory_mb: float


class CannotRunError(Exception):
    """Why a contender is left out, in one line."""


def require_plain_steps(algorithm: Any) -> None:
    """Other libraries' code makes steps of gradient descent by all parameters, and no others.

    Raises:
        CannotRunError: the algorithm adapts by something else.
    """
    import torch

    if algorithm.adapts_by() != (torch.optim.SGD, {"lr": algorithm.inner_lr}):
        raise CannotRunError("it makes plain gradient steps by all parameters, and these options ask for others")


class Contender(ABC):
    """Someone who makes meta-steps."""

    @abstractmethod
    def run(self, steps: int) -> int:
        """Make about so many meta-steps, wait for the last, and say how many they were."""
