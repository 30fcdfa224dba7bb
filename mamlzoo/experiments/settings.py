"""The settings of a run: its seeds, its budget, and how that is spent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mamlzoo.contracts import options
from mamlzoo.contracts.numbers_as_text import LARGEST
from mamlzoo.engine.cpu import available_threads
from mamlzoo.engine.outer_optimizer import optimizer_class
from mamlzoo.engine.plan_choice import Training
from mamlzoo.errors import UsageError

MOST_SEEDS = 10_000
"""A run has at most so many seeds: each trains a θ of its own beside the others."""
SHARE = 20
"""How often θ is validated in a training that keeps the best, unless said otherwise."""


@dataclass(frozen=True)
class Settings:
    """The budget and how it is spent; declared as plugins' options are, and shown by the same flags."""

    seeds: tuple[int, ...] = options.option((0,), "seeds, trained side by side", minimum=0, maximum=LARGEST)
    iterations: int = options.option(6000, "meta-steps: updates of θ", minimum=0)
    meta_batch: int = options.option(25, "episodes of a meta-step", minimum=1)
    outer_lr: float = options.option(1e-3, "learning rate of the outer loop", minimum=0)
    optimizer: str = options.option("adam", "optimiser of the outer loop, any of torch.optim")
    meta_reduction: Literal["mean", "sum"] = options.option("mean", "how a meta-batch's losses become one")
    test_tasks: int = options.option(1000, "test episodes, the same for everything compared", minimum=1)
    test_steps: int = options.option(10, "adaptation steps at test", minimum=0)
    test_seed: int = options.option(0, "which frozen set of test episodes", minimum=0, maximum=LARGEST)
    valid_tasks: int = options.option(200, "validation episodes, to choose by", minimum=1)
    validate_every: int | None = options.option(
        None, f"meta-steps between two validations; none: no validation, or {SHARE} in all with select-best", minimum=1
    )
    select_best: bool = options.option(False, "test the θ that was best on the validation episodes, not the last")
    init_from: str | None = options.option(None, "run directory whose trained θ this run begins with")
    device: str = options.option("cpu", "where to compute, as torch names it: cpu, cuda, cuda:1")
    plan: Literal["auto", "compile", "vmap", "loop"] = options.option(
        "auto",
        "how: many meta-steps in one compiled call, all tasks in one batched call, one after another, or the fastest",
    )
    chunk: int | None = options.option(
        None, "episodes of a seed computed at once; none: what fits in a memory budget of 1 GiB", minimum=1
    )
    threads: int | None = options.option(
        None, "CPU threads, used where several are faster than one; none: one for each core", minimum=1, maximum=1024
    )
    norm_statistics: Literal["batch", "support", "running"] = options.option(
        "batch", "what batch norms normalise by: the inputs at hand, the support set, or what the network came with"
    )
    recompute: bool = options.option(False, "compute inner steps again in the backward pass: less memory, more time")
    precision: Literal["float32", "tf32", "bf16"] = options.option(
        "float32", "of matrix products: float32, TF32 on a GPU that has it, or bfloat16 by autocast"
    )

    def __post_init__(self) -> None:
        options.validate(self, "settings")
        if not self.seeds:
            raise UsageError("settings: seeds must name at least one")
        if len(self.seeds) > MOST_SEEDS:
            raise UsageError(f"settings: seeds must be at most {MOST_SEEDS:,}")
        if len(set(self.seeds)) != len(self.seeds):
            raise UsageError(f"settings: seeds must differ, not {', '.join(map(str, self.seeds))}")
        if self.init_from == "":
            raise UsageError("settings: init_from must name a run directory")
        if self.init_from is not None:
            object.__setattr__(self, "init_from", str(Path(self.init_from).absolute()))
        optimizer_class(self.optimizer)
        if self.precision == "tf32" and not self.device.startswith("cuda"):
            raise UsageError(f"settings: precision tf32 is a GPU's, and the device is {self.device}; bf16 is for any")

    def training(self) -> Training:
        """What of them the engine trains by."""
        return Training(
            self.iterations,
            self.meta_reduction,
            self.optimizer,
            self.outer_lr,
            self.plan,
            self.chunk,
            self.most_threads,
        )

    @property
    def validation_interval(self) -> int | None:
        """Meta-steps between two validations; None where there is none."""
        if self.select_best and self.validate_every is None:
            return max(1, self.iterations // SHARE)
        return self.validate_every

    @property
    def most_threads(self) -> int:
        """How many CPU threads may compute."""
        return self.threads or available_threads()
