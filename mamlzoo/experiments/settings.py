"""The settings of a run: its seeds, its budget, and how that is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from mamlzoo.contracts import options
from mamlzoo.contracts.numbers_as_text import LARGEST
from mamlzoo.engine import optimizer_options
from mamlzoo.engine.cpu import available_threads, on_threads
from mamlzoo.engine.placement import matrix_products_in
from mamlzoo.engine.plan_choice import Training
from mamlzoo.engine.schedules import DROPS, Schedule
from mamlzoo.errors import UsageError
from mamlzoo.experiments.trained_places import lasting

MOST_SEEDS = 10_000
"""A run has at most so many seeds: each trains a θ of its own beside the others."""
SHARE = 20
"""How often θ is validated in a training that keeps the best, unless said otherwise."""

OF_SCHEDULES = {"final_factor": ("cosine", "linear"), "decay_every": ("step",), "decay_factor": ("step",)}
"""Settings that only some schedules have."""
BY_NAME = {"optimizer": "optimizer_options", "outer_lr": "group_lrs", "network": "network_models"}
"""Settings that hold values by name, by how their options begin, as in `optimizer.weight_decay`."""
VERBATIM = ("outer_lr", "network")
"""Of these the names are an algorithm's own, of groups of θ and of networks, and are spelled as they are."""


@dataclass(frozen=True)
class Settings:
    """The budget and how it is spent; declared as plugins' options are, and shown by the same flags."""

    seeds: tuple[int, ...] = options.option((0,), "seeds, trained side by side", minimum=0, maximum=LARGEST)
    iterations: int = options.option(6000, "meta-steps: updates of θ", minimum=0)
    meta_batch: int = options.option(25, "episodes of a meta-step", minimum=1)
    outer_lr: float = options.option(
        1e-3, "learning rate of the outer loop; of one group of θ, as meta-sgd's rates, by outer-lr.rates", minimum=0
    )
    group_lrs: Mapping[str, float] = options.option(
        options.ByName(), "outer rates of groups of θ that have another, by name", minimum=0
    )
    optimizer: str = options.option("adam", "optimiser of the outer loop, any of torch.optim")
    optimizer_options: Mapping[str, Any] = options.option(options.ByName(), "options of the optimiser, by name")
    network_models: Mapping[str, str] = options.option(
        options.ByName(), "installed models that build single networks of an algorithm, by the network's name"
    )
    schedule: Literal["constant", "cosine", "linear", "step"] = options.option(
        "constant", "how the outer rate falls in the course of training"
    )
    warmup: int = options.option(0, "meta-steps in which the outer rate grows to its full size", minimum=0)
    final_factor: float = options.option(
        0.0, "what is left of the outer rate at the end, by schedule cosine or linear", minimum=0, maximum=1
    )
    decay_every: int | None = options.option(
        None, f"meta-steps between two drops by schedule step; none: in {DROPS} equal parts", minimum=1
    )
    decay_factor: float = options.option(
        0.1, "what each drop by schedule step leaves of the outer rate", minimum=0, maximum=1
    )
    clip_norm: float | None = options.option(
        None, "largest norm of a seed's meta-gradient, a longer one is made as long; none: any", above=0
    )
    clip_per: Literal["meta-step", "task"] = options.option(
        "meta-step", "what clip-norm bounds: the gradient of all tasks, or that of each before they become one"
    )
    ema: float | None = options.option(
        None,
        "validate, test and keep an average of θ, of which each meta-step keeps so much, as 0.999; none: θ itself",
        minimum=0,
    )
    meta_reduction: Literal["mean", "sum"] = options.option("mean", "how a meta-batch's losses become one")
    test_tasks: int = options.option(1000, "test episodes, the same for everything compared", minimum=1)
    test_steps: int = options.option(10, "adaptation steps at test", minimum=0)
    test_seed: int = options.option(0, "which frozen set of test episodes", minimum=0, maximum=LARGEST)
    valid_tasks: int = options.option(200, "validation episodes, to choose by", minimum=1)
    validate_every: int | None = options.option(
        None,
        f"meta-steps between two validations; none: no validation, or {SHARE} in all with select-best or patience",
        minimum=1,
    )
    select_best: bool = options.option(False, "test the θ that was best on the validation episodes, not the last")
    patience: int | None = options.option(
        None,
        "end training when every seed had so many validations without a better one, and test its best; none: never",
        minimum=1,
    )
    init_from: str | None = options.option(
        None, "run directory, packed run or name in `mamlzoo zoo` whose trained θ this run begins with"
    )
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
            raise UsageError("settings: init_from must name a run directory, a packed run or one of `mamlzoo zoo`")
        if self.init_from is not None:
            object.__setattr__(self, "init_from", lasting(self.init_from))
        checked = optimizer_options.checked(self.optimizer, self.optimizer_options)
        object.__setattr__(self, "optimizer_options", options.ByName(checked))
        if self.ema is not None and self.ema >= 1:
            raise UsageError(
                f"settings: ema must be below 1, not {self.ema}: an average that keeps all of itself stays θ⁰"
            )
        self._check_unused()
        if self.precision == "tf32" and not self.device.startswith("cuda"):
            raise UsageError(f"settings: precision tf32 is a GPU's, and the device is {self.device}; bf16 is for any")

    def _check_unused(self) -> None:
        """What is said of another schedule, or of clipping that there is not, would be forgotten without a word."""
        for name, schedules in OF_SCHEDULES.items():
            if self.schedule not in schedules and getattr(self, name) != options.options_of(Settings)[name].default:
                raise UsageError(
                    f"settings: {name} is of schedule {' or '.join(schedules)}, and the schedule is {self.schedule}"
                )
        if self.clip_per == "task" and self.clip_norm is None:
            raise UsageError("settings: clip_per says what clip_norm bounds, and there is no clip_norm")

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
            self.optimizer_options,
            Schedule(self.schedule, self.warmup, self.final_factor, self.decay_every, self.decay_factor),
            self.group_lrs,
            self.clip_norm,
            self.clip_per,
            self.ema,
        )

    @property
    def keeps_best(self) -> bool:
        """Whether the θ that was best on the validation episodes is the one that is tested."""
        return self.select_best or self.patience is not None

    @property
    def validation_interval(self) -> int | None:
        """Meta-steps between two validations; None where there is none."""
        if self.keeps_best and self.validate_every is None:
            return max(1, self.iterations // SHARE)
        return self.validate_every

    @property
    def most_threads(self) -> int:
        """How many CPU threads may compute."""
        return self.threads or available_threads()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Do all there is to do meanwhile, drawing too, on at most `most_threads` threads, and in `precision`."""
        with matrix_products_in(self.precision), on_threads(self.most_threads):
            yield
