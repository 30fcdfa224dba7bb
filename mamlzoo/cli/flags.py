"""Flags from declared options: a run's settings, and `--task.X`, `--model.X`, `--algorithm.X` of the plugins chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mamlzoo.contracts import numbers_as_text
from mamlzoo.contracts.options import Option
from mamlzoo.errors import UsageError
from mamlzoo.sweeps import axes

if TYPE_CHECKING:
    from mamlzoo.contracts.plugins import Plugin


SHORT_FLAGS = {"task": "-t", "model": "-m", "algorithm": "-a"}
CHOSEN = "mamlzoo.cli.chosen"


class DeclaredType(click.ParamType[Any]):
    """A flag's value, parsed and checked as its option is declared; or its values, where there may be several."""

    def __init__(self, option: Option, several: bool = False) -> None:
        self.option, self.several = option, several
        self.name = option.metavar
        if several:
            self.name += "[;...]" if option.many else "[,...]"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            if self.several:
                return axes.values(self.option, value)
            return self.option.check(self.option.parse(value) if isinstance(value, str) else value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


def numeric(type: type = int, minimum: float | None = None, maximum: float | None = None) -> DeclaredType:
    """The type of a flag that holds a number, read and refused as an option is."""
    return DeclaredType(Option("number", "", None, type, minimum=minimum, maximum=maximum))


def whole_numbers(flag: str, text: str, minimum: int | None = None, *, such_as: str) -> list[int]:
    """The whole numbers that a flag's text lists.

    Raises:
        UsageError: it is no such list.
    """
    found = numbers_as_text.wholes(text)
    if found is None or (minimum is not None and min(found) < minimum):
        bound = f" from {minimum} up," if minimum else ""
        raise UsageError(f"{flag}: {numbers_as_text.shown(text)} is no list of whole numbers{bound} such as {such_as}")
    return found


class Flag(click.Option):
    """A click option made from a declared one; without a value it stays out of the way."""

    def __init__(self, option: Option, prefix: str = "", default: str | None = None, *, several: bool = False) -> None:
        shown = option.text(option.default) or "empty" if default is None else default
        # A setting that is off may be named alone; a plugin's needs its value, since `choose` cannot know its type.
        alone: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if option.type is bool and not prefix else {}
        super().__init__(
            [f"--{prefix}{option.flag}", f"{prefix.replace('.', '_')}{option.name}"],
            **alone,
            type=DeclaredType(option, several),
            help=f"{option.help[0].upper()}{option.help[1:]}.  [default: {shown}]",
        )
        self.key = f"{prefix}{option.name}"


def take_given(ctx: click.Context, flags: Sequence[Flag]) -> dict[str, Any]:
    """Take the flags' values out of the parameters; those that were given on the command line, by key."""
    given = {}
    for flag in flags:
        name = flag.name or ""
        value = ctx.params.pop(name)
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            given[flag.key] = value
    return given


class PluginCommand(click.Command):
    """A command with the flags of the plugins that its own arguments choose.

    Each of `kinds` (`-t`, `-m`, `-a`) may be given once, or many times where `several` is set. The callback gets
    `chosen`, the names by kind, and `options`, the plugin options given, by key as in "task.shots"; where `sweeps` is
    set, each a tuple of values.
    """

    kinds: Sequence[str] = tuple(SHORT_FLAGS)
    several = False
    sweeps = False
    defaults: Mapping[str, Sequence[str]] = {"task": ["sine"], "model": ["mlp"], "algorithm": ["maml"]}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[CHOSEN] = self.choose(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        kinds = [self._kind_flag(kind) for kind in self.kinds]
        own = super().get_params(ctx)
        return [*kinds, *own[:-1], *self._plugin_flags(ctx), own[-1]]

    def invoke(self, ctx: click.Context) -> Any:
        given = take_given(ctx, self._plugin_flags(ctx))
        for kind in self.kinds:
            del ctx.params[kind]
        ctx.params |= {"chosen": ctx.meta[CHOSEN], "options": given}
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        plugins: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                key = getattr(parameter, "key", "")
                kind = key.partition(".")[0] if "." in key else None
                (own if kind is None else plugins.setdefault(kind, [])).append(record)
        with formatter.section("Options"):
            formatter.write_dl(own)
        for kind, records in plugins.items():
            with formatter.section(f"Options of {kind} {', '.join(ctx.meta[CHOSEN][kind])}"):
                formatter.write_dl(records)

    def get_help(self, ctx: click.Context) -> str:
        from mamlzoo.tables import plain

        return plain(super().get_help(ctx))  # plugins say what their options mean

    def _kind_flag(self, kind: str) -> click.Option:
        return click.Option(
            [SHORT_FLAGS[kind], f"--{kind}", kind],
            metavar="NAME",
            multiple=self.several,
            help=f"The {kind}{', or several' * self.several}; FILE.py:NAME for your own.  "
            f"[default: {', '.join(self.defaults[kind])}]",
        )

    def choose(self, args: list[str]) -> dict[str, list[str]]:
        """What `-t`, `-m` and `-a` say, before the flags that depend on it are known."""
        kinds = [click.Option([SHORT_FLAGS[kind], f"--{kind}", kind], multiple=True) for kind in self.kinds]
        own = [param for param in self.params if isinstance(param, click.Option)]
        scout = click.Command("scout", params=[*kinds, *own], add_help_option=False)
        context = click.Context(scout, resilient_parsing=True, ignore_unknown_options=True, allow_extra_args=True)
        scout.parse_args(context, _without_dotted(args))
        chosen = {}
        for kind in self.kinds:
            given = list(dict.fromkeys(context.params[kind] or ()))
            if len(given) > 1 and not self.several:
                raise UsageError(f"one {kind} only, not {', '.join(given)}; `mamlzoo compare` takes several")
            chosen[kind] = given or list(self.defaults[kind])
        return chosen

    def _plugin_flags(self, ctx: click.Context) -> list[Flag]:
        from mamlzoo.contracts.options import options_of
        from mamlzoo.discovery.entry_points import installed

        flags: list[Flag] = []
        for kind, names in ctx.meta[CHOSEN].items():
            declared: dict[str, list[Option]] = {}
            for name in names:
                cls: type[Plugin] = installed().get(kind, name)
                for option in options_of(cls).values():
                    declared.setdefault(option.name, []).append(option)
            for same in declared.values():
                differ = len({option.default for option in same}) > 1
                default = "each its own" if differ else None
                flags.append(Flag(same[0], f"{kind}.", default, several=self.sweeps))
        return flags


def _without_dotted(args: Sequence[str]) -> list[str]:
    """The arguments less every `--kind.option VALUE`, whose value may look like anything."""
    left: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg.startswith(tuple(f"--{kind}." for kind in SHORT_FLAGS)):
            if "=" not in arg:
                next(rest, None)
        else:
            left.append(arg)
    return left


class SettingsCommand(PluginCommand):
    """A `PluginCommand` that also has the flags of a run's settings; the callback gets them as `settings`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        kinds = len(self.kinds)
        return [*params[:kinds], *self._settings_flags(), *params[kinds:]]

    def invoke(self, ctx: click.Context) -> Any:
        ctx.params["settings"] = take_given(ctx, self._settings_flags())
        return super().invoke(ctx)

    def _settings_flags(self) -> list[Flag]:
        from mamlzoo.contracts.options import options_of
        from mamlzoo.experiments.settings import Settings

        # Seeds have two flags of their own: how many, or which.
        return [
            Flag(option, several=self.sweeps and option.name not in axes.FIXED)
            for option in options_of(Settings).values()
            if option.name != "seeds"
        ]
