"""Weights & Biases: a run of its own for each run, with options, scalars, the test's table and figures.

WANDB_MODE says whether it goes to the server or stays in the run directory; where it says nothing, it goes to the
server if there is a key, and else stays, for `wandb sync RUN/wandb/offline-run-*`. A run that goes on goes on there
too: the file wandb-run has its id. The project is the one that WANDB_PROJECT names, or 'mamlzoo'.
"""

from __future__ import annotations

import json
import netrc
import os
import secrets
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import mamlzoo
from mamlzoo_loggers import scalars

if TYPE_CHECKING:
    from wandb import Run, Settings

RUN = "wandb-run"
"""In the run directory: the id of W&B's run."""
SECONDS = 30.0
"""For how long a server may keep silent before a run begins."""


@dataclass
class _Log:
    """A run of W&B's, and the series that it knows the x-axis of."""

    run: Run
    known: set[str] = field(default_factory=set)

    def add(self, found: Iterable[scalars.Scalar], axis: str) -> None:
        """Log scalars; those of one step together."""
        for step, together in groupby(found, lambda scalar: scalar.step):
            line = {scalar.series: scalar.value for scalar in together}
            for series in line.keys() - self.known:
                self.run.define_metric(series, step_metric=axis)
            self.known |= line.keys()
            self.run.log({axis: step} | line)


_logs: dict[Path, _Log] = {}


@mamlzoo.hookimpl
def mamlzoo_run_started(directory: Path, step: int) -> None:
    try:
        import wandb
    except ImportError as error:
        raise mamlzoo.UsageError(
            "logger 'wandb' needs Weights & Biases, which is not installed: pip install 'mamlzoo[wandb]'"
        ) from error
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    try:
        mode = _mode(wandb.setup().settings)
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "mamlzoo",
            name=directory.name,
            id=_id(directory, step),
            resume="allow" if mode == "online" else None,
            dir=str(directory),
            mode=mode,
            config={part: config[part] for part in ("task", "model", "algorithm", "settings")},
            reinit="create_new",  # there may be several at once, as the cells of a sweep
            settings=wandb.Settings(silent=True, console="off", init_timeout=SECONDS),
        )
    except mamlzoo.MamlzooError:
        raise
    except Exception as error:  # it has several kinds
        said = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" …")
        raise mamlzoo.UsageError(
            f"logger 'wandb' cannot log: {said}; with WANDB_MODE=offline it logs into the run directory"
        ) from error
    _logs[directory] = _Log(run)


@mamlzoo.hookimpl
def mamlzoo_run_progressed(experiment: mamlzoo.Experiment, directory: Path, event: object) -> None:
    _logs[directory].add(scalars.of_event(experiment, event), "meta-step")


@mamlzoo.hookimpl
def mamlzoo_run_ended(directory: Path, result: mamlzoo.Result | None) -> None:
    log = _logs.pop(directory)
    try:
        if result is not None:
            import wandb

            log.add(sorted(scalars.of_result(result), key=lambda scalar: scalar.step), "adaptation step")
            columns, rows = scalars.test_table(result)
            pictures = {path.stem: wandb.Image(str(path)) for path in scalars.figures(directory)}
            log.run.log({"test": wandb.Table(columns=columns, data=rows), **pictures})
    finally:
        log.run.finish(exit_code=1 if result is None else 0)


def _mode(settings: Settings) -> Any:
    """Online or not, or one of W&B's other modes, as WANDB_MODE or its settings files say.

    Raises:
        UsageError: WANDB_MODE says online, and there is no key.
    """
    if settings.mode != "online" or _has_key(settings):
        return settings.mode
    if os.environ.get("WANDB_MODE") == "online":
        raise mamlzoo.UsageError(
            f"logger 'wandb' is to be online, by WANDB_MODE, and has no key for {settings.base_url}: `wandb login`, or "
            "WANDB_MODE=offline to log into the run directory"
        )
    return "offline"


def _has_key(settings: Settings) -> bool:
    """Whether somebody is logged in, by the environment, the settings or the file that `wandb login` writes."""
    if settings.api_key or settings.identity_token_file:
        return True
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return netrc.netrc(path).authenticators(urlsplit(settings.base_url).netloc) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _id(directory: Path, step: int) -> str:
    """W&B's name of the run: a new one, or that of the run that goes on."""
    noted = directory / RUN
    if step and noted.is_file():
        return noted.read_text(encoding="utf-8").strip()
    found = secrets.token_hex(4)
    noted.write_text(f"{found}\n", encoding="utf-8")
    return found
