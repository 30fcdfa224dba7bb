"""What is going on, as bars: of a run, of several, of anything that can be counted; in a terminal or a notebook."""

from __future__ import annotations

import contextlib
import html
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from mamlzoo.cli import console
from mamlzoo.cli.progress_lines import Line, as_clock
from mamlzoo.cli.progress_of_several import Several
from mamlzoo.cli.time_left import Countdown, Run, Work, most_alike
from mamlzoo.contracts.reading import watched_by
from mamlzoo.engine.evaluation import EvaluationProgress
from mamlzoo.engine.plan_choice import Alert, Choice, Notice
from mamlzoo.engine.training import TrainingRecord
from mamlzoo.experiments.checkpoint import Checkpoint, ValidationRecord
from mamlzoo.runs.watchers import Part, Watcher
from mamlzoo.tables import count, number, rate

if TYPE_CHECKING:
    from mamlzoo.experiments.events import Event
    from mamlzoo.experiments.experiment import Experiment

KNOWN = 10
"""So many runs that have ended say how long the next ones take."""
ASKED = 50
"""Of more runs to come than this, so many stand for all."""
ECHO = 2
"""Columns that stay free at a line's end: there a terminal shows the ^C that was typed, and would begin a new line."""
NOTEBOOK = 100
"""Columns of a line in a notebook."""
LONG = 1.0
"""Seconds after which reading gets a bar."""


class Display(Watcher):
    """Knows what is going on, and says it in lines.

    Whoever draws asks for the lines from a thread of its own. It waits for nothing that the runs' thread holds, which
    may in turn wait for the screen in order to say something.

    Attributes:
        say: shows a line that stays.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.say, self._clock = say, clock
        self._lock = threading.RLock()
        self._began = self._heard = self._since = self._prepares = clock()
        self._part: Part | None = None
        self._run: Run | None = None
        self._known: list[Run] = []
        self._works: dict[int, tuple[Experiment, Work]] = {}
        self._lines: list[Line] = []
        self._doing, self._name, self._info = "", "", list[str]()
        self._counted: tuple[int, int | None] | None = None
        self._countdown = Countdown()
        self._shares = {"run": 0.0, "all": 0.0}
        self._several: Several | None = None

    def spreads(self, parts: Sequence[Part]) -> None:
        with self._lock:
            self._ended()
            self._several = Several(parts, self._clock) if parts else None

    def ends(self, part: Part) -> None:
        with self._lock:
            if self._several is not None:
                self._several.ends(part)

    def says(self, text: str) -> None:
        self.say(text)

    def begins(self, part: Part) -> None:
        with self._lock:
            if self._several is not None:
                self._several.begins(part)
                return
            self._ended()
            self._part, (first, *_) = part, part.left
            others = f" and {count(part.at_once - 1, f'other {part.noun}')}" if part.at_once > 1 else ""
            self._name = f"{part.noun} {part.number}: {part.name}{others}"
            if first is not None:
                self._start(first, part.at_once)

    def counts(self, what: str, done: int, total: int | None) -> None:
        with self._lock:
            self._doing, self._counted = what, (done, total)

    @contextmanager
    def reads(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Shows how much is read, in place of what else is going on."""
        before = self._doing, self._counted, self._began
        self._began = self._clock()
        try:
            yield lambda done: self.counts(what, done, total)
        finally:
            with self._lock:
                self._doing, self._counted, self._began = before

    def __call__(self, experiment: Experiment, event: Event) -> None:
        if self._several is not None:
            self._hear_of_several(self._several, experiment, event)
            return
        with self._lock:
            now = self._clock()
            if isinstance(event, Notice):
                self._do(event.text)
            elif not isinstance(event, Alert):
                run = self._run or self._start(experiment)
                self._follow(run, experiment, event, now - self._heard)
            self._heard = now
        if isinstance(event, Alert):
            self.say(event.text)
        elif isinstance(event, Choice) and (self._part is None or self._part.noun != "cell"):
            self.say(f"{experiment.name} by {event.plan}: {event.why}")  # of many cells that would be too much

    def _hear_of_several(self, several: Several, experiment: Experiment, event: Event) -> None:
        with self._lock:
            text = several.hears(experiment, event)
        if text is not None:
            self.say(text)

    def lines(self) -> list[Line]:
        """What to show now; what was shown before, while the runs' thread is telling something."""
        if self._lock.acquire(timeout=0.05):
            try:
                self._lines = self._now()
            finally:
                self._lock.release()
        return self._lines

    def _now(self) -> list[Line]:
        now = self._clock()
        if self._several is not None:
            return self._several.lines()
        if self._counted is not None:
            return [self._count(*self._counted, now)]
        if not self._doing:
            return []
        run, own, left = self._run, Line(self._doing, None, as_clock(now - self._since)), None
        several = self._part is not None and self._part.of > 1
        found = None if run is None else run.seconds(most_alike(run.work, self._known))
        if run is not None and found is not None:
            left = max(0.0, found[0] - (now - self._heard))
            share = self._risen("run", 1 - left / max(found[1], 1e-9))
            shown = "" if several else f"{as_clock(self._countdown(left, now))} left"
            if run.is_prepared:
                own = Line(self._doing, share, shown, self._info)
        if self._part is None or not several:
            return [own]
        return [self._all(self._part, left, now), own]

    def _start(self, experiment: Experiment, at_once: int = 1) -> Run:
        self._run, self._info = Run(Work.of(experiment, at_once) if at_once > 1 else self._work(experiment)), []
        self._shares["run"] = 0.0
        self._heard = self._prepares = self._clock()
        if self._part is None:
            self._name = experiment.name
        self._do(f"prepare {self._name}")
        return self._run

    def _ended(self) -> None:
        if self._run is not None and (self._run.training.each or self._run.evaluating.each):
            self._known = [*self._known, self._run][-KNOWN:]
        self._run, self._doing = None, ""

    def _follow(self, run: Run, experiment: Experiment, event: Event, seconds: float) -> None:
        """An event of a run, so many seconds after the one before."""
        if isinstance(event, Choice):
            run.preparing, run.is_prepared = self._clock() - self._prepares, True
            self._do(f"train {self._name}")
        elif isinstance(event, TrainingRecord):
            self._advance(run, event.step, seconds)
            self._info = [f"loss {number(float(event.losses.mean()))}"]
            if run.training.each:
                self._info.append(rate(run.work.episodes / run.training.each, "task"))
            if event.diverged:
                self._info.append(f"{len(event.diverged)} of {count(len(event.losses), 'seed')} diverged")
        elif isinstance(event, Checkpoint):
            if run.is_prepared:
                self._advance(run, event.training.step, seconds)
            run.step, run.is_trained = event.training.step, experiment.is_trained(event)
            run.is_prepared = run.is_prepared or run.is_trained
            run.validations = len(event.validation)
            if event.validation:
                run.validated_at = event.validation[-1].step
        elif isinstance(event, EvaluationProgress):
            validates = not run.is_trained or run.validations_left > 0
            units = event.done / event.total * (run.work.validated if validates else run.work.tested)
            run.evaluating.add(units - run.evaluated, seconds)
            run.evaluated = units
            self._do(f"{'validate' if validates else 'test'} {self._name}")
            self._info = self._info if validates else []
        elif isinstance(event, ValidationRecord):
            run.validations, run.validated_at, run.evaluated = run.validations + 1, event.step, 0.0

    def _advance(self, run: Run, step: int, seconds: float) -> None:
        if step > run.step:
            run.training.add(step - run.step, seconds)
            run.step = step
            self._do(f"train {self._name}")

    def _do(self, what: str) -> None:
        if what != self._doing:
            self._doing, self._since = what, self._clock()

    def _work(self, experiment: Experiment) -> Work:
        if id(experiment) not in self._works:
            self._works[id(experiment)] = experiment, Work.of(experiment)  # kept, so that no other has its id
        return self._works[id(experiment)][1]

    def _all(self, part: Part, left: float | None, now: float) -> Line:
        """The line of several runs together."""
        text = f"{count(part.of, part.noun)}, {part.of - len(part.left)} done"
        later = self._later(part.left[part.at_once :])
        if left is None or later is None:
            return Line(text, self._risen("all", 0.0), "")
        passed = now - self._began
        share = self._risen("all", passed / max(passed + left + later, 1e-9))
        return Line(text, share, f"{as_clock(self._countdown(left + later, now))} left")

    def _later(self, experiments: Sequence[Experiment | None]) -> float | None:
        """Seconds that the runs to come will take."""
        if not experiments:
            return 0.0
        measured = [*self._known]
        if self._run is not None and self._run.training.each is not None:
            measured.append(self._run)
        asked = [one for one in experiments[:: max(1, len(experiments) // ASKED)] if one is not None]
        works = list(map(self._work, asked))
        found = [Run(work).seconds(most_alike(work, measured)) for work in works]
        known = [one[0] for one in found if one is not None]
        return sum(known) / len(known) * len(experiments) if known else None

    def _risen(self, which: str, share: float) -> float:
        """A share that was shown does not fall."""
        self._shares[which] = max(self._shares[which], min(1.0, max(0.0, share)))
        return self._shares[which]

    def _count(self, done: int, total: int | None, now: float) -> Line:
        passed = now - self._began
        if not total:
            return Line(self._doing, None, as_clock(passed))
        left = f"{as_clock(self._countdown(passed / done * (total - done), now))} left" if done else as_clock(passed)
        return Line(self._doing, done / total, left)


@contextmanager
def display(quiet: bool = False) -> Iterator[Watcher]:
    """Bars on stderr where that is a terminal, or in a notebook; lines that stay also elsewhere. Nothing if quiet."""
    err = console.err()
    if quiet:
        with watched_by(_unseen):
            yield Watcher()
    elif err.is_jupyter:
        with _in_notebook() as shown, watched_by(shown.reads):
            yield shown
    else:
        shown = Display(lambda text: err.print(text, markup=False))
        if not err.is_terminal:
            yield shown
            return
        with (
            watched_by(shown.reads),
            Live(
                _Screen(shown),
                console=err,
                refresh_per_second=8,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),  # what goes to a file goes there
            ),
        ):
            yield shown


@contextmanager
def alone(what: str, total: int, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar for what is read while no others are shown, once it takes long. Nothing if quiet."""
    began, told = time.monotonic(), list[Watcher]()
    with contextlib.ExitStack() as shown:

        def tell(done: int) -> None:
            if not told and time.monotonic() - began > LONG:
                told.append(shown.enter_context(display(quiet)))
            for watcher in told:
                watcher.counts(what, done, total)

        yield tell


@contextmanager
def _unseen(what: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


class _Screen:
    """The lines of a display, drawn anew whenever rich asks."""

    def __init__(self, shown: Display) -> None:
        self._shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._shown.lines():
            drawn = line.drawn(options.max_width - ECHO, ascii_only=options.ascii_only)
            text = Text(drawn, no_wrap=True, overflow="ellipsis")
            text.highlight_regex("━+", "bar.complete")
            text.highlight_regex("─+", "bar.back")
            yield text


@contextmanager
def _in_notebook() -> Iterator[Display]:
    """Lines as the notebook's output, bars in a piece of it that changes and is empty in the end."""
    from IPython.display import HTML, display  # type: ignore[import-not-found,unused-ignore]

    shown, over = Display(click.echo), threading.Event()
    piece: Any = display(HTML(""), display_id=True)

    def draw() -> None:
        before = ""
        while not over.wait(0.5):
            lines = "\n".join(line.drawn(NOTEBOOK) for line in shown.lines())
            if lines != before:
                piece.update(HTML(f"<pre>{html.escape(lines)}</pre>"))
            before = lines

    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    try:
        yield shown
    finally:
        over.set()
        drawing.join()
        piece.update(HTML(""))
