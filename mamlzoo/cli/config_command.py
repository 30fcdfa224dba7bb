"""A command whose flags a file may say, and that writes such a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mamlzoo.cli import config_file, config_values, console
from mamlzoo.cli.argument_words import OPTIMIZER, networks_apart, without_dotted
from mamlzoo.cli.config_file import Said
from mamlzoo.cli.flags import CHOSEN, SettingsCommand
from mamlzoo.errors import UsageError

TOLD = "mamlzoo.cli.told"
SEEDS = {"seeds", "seed-list"}
"""Two ways to say one thing: where flags say it one way, a file does not say it the other."""


class ConfigCommand(SettingsCommand):
    """A `SettingsCommand` that takes what its flags do not say from a config file.

    A file becomes the words that flags would have been, ahead of those of the command line, which therefore win.
    """

    def prepare(self, ctx: click.Context, args: list[str]) -> list[str]:
        scouted = self._scouted(networks_apart(args))
        said = self._said(ctx, scouted)
        if said is None:
            return super().prepare(ctx, args)
        given = _given(scouted)
        with said.named():
            names = self._names(said, given)
            if not ctx.resilient_parsing:
                self._check(names)
            self.optimizers([*_as_flags(names), *without_dotted(args)])
        super().prepare(ctx, [*_as_flags(names), *args])
        if ctx.resilient_parsing:  # what the file says may yet be offered
            return args
        words = config_values.words(self.get_params(ctx))
        told = []
        with said.named():
            for word, value in said.values.items():
                if word not in words:
                    raise UsageError(config_values.unknown(word, words, self._chosen(ctx), self.name or ""))
                spelled = [f"--{word}={value}"] if said.as_text else config_values.as_args(word, value, words[word])
                told += [] if word in given else spelled
        return super().prepare(ctx, [*told, *args])

    def _said(self, ctx: click.Context, scouted: click.Context) -> Said | None:
        """What the file that is named says."""
        config, run = scouted.params.get("config"), scouted.params.get("run_config")
        if run is not None and str(run).startswith("-"):  # a flag that there is not, as is said where all are parsed
            return None
        if config is not None and run is not None:
            raise UsageError(f"{run} and --config {config} both say what to run; give one of them")
        if config is not None:
            return config_file.read(config)
        if run is None or ctx.resilient_parsing:  # no code of a run is executed because somebody pressed Tab
            return None
        return config_file.read_run(run)

    def _names(self, said: Said, given: set[str]) -> list[tuple[str, str]]:
        """What of the file chooses which flags there are: names of plugins and of the optimiser, and options' words.

        Raises:
            UsageError: what should be a name is none.
        """
        names: list[tuple[str, str]] = []
        for word, value in said.values.items():
            if word in self.kinds or word == OPTIMIZER:
                found = config_values.names(word, value, self.several if word in self.kinds else self.sweeps)
                found = [",".join(found)] if word == OPTIMIZER else found
                names += [(word, name) for name in found if word not in given]
            elif "." in word:
                names.append((word, ""))
        return names

    def _check(self, names: list[tuple[str, str]]) -> None:
        """Refuse names that nothing has, while it is known that a file says them.

        Raises:
            UsageError: there is no such plugin or optimiser.
            PluginError: it failed to load.
        """
        from mamlzoo.discovery.entry_points import installed
        from mamlzoo.engine.optimizer_options import options_of_optimizer

        for word, name in names:
            if word in self.kinds:
                installed().get(word, name)
            elif word == OPTIMIZER:
                for one in name.split(",") if self.sweeps else [name]:
                    options_of_optimizer(one.strip())

    def _params_to_scout(self) -> list[click.Parameter]:
        """All that need no plugin: what a flag stands for is then never taken for a file."""
        return [*self.params, *self._settings_flags(), click.Option(["-h", "--help"], is_flag=True, expose_value=False)]

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params["save_config"] is not None:
            told = config_values.said(ctx, self.get_params(ctx), ctx.meta[CHOSEN])
            ctx.meta[TOLD] = config_file.written(self.name or "", told)
        ctx.params.pop("config")
        ctx.params.pop("run_config", None)
        return super().invoke(ctx)


def _as_flags(names: list[tuple[str, str]]) -> list[str]:
    return [f"--{word}={name}" for word, name in names]


def _given(scouted: click.Context) -> set[str]:
    """Which words the command line says itself."""
    words = config_values.words(scouted.command.params)
    given = {word for word, param in words.items() if config_values.is_given(scouted, param)}
    return given | SEEDS if given & SEEDS else given


def save(path: Path, *, quiet: bool) -> None:
    """Write what the command that runs was told, as a config file; say where, unless quiet.

    Raises:
        UsageError: as `config_file.save`.
    """
    config_file.save(path, click.get_current_context().meta[TOLD])
    if not quiet:
        console.say_where(path)
