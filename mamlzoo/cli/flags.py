"""Flags from declared options: a run's settings, and `--task.X`, `--model.X`, `--algorithm.X` of the plugins chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mamlzoo.cli import completion
from mamlzoo.cli.argument_words import (
    GROUP,
    NETWORK,
    OPTIMIZER,
    SHORT_FLAGS,
    dotted,
    last,
    networks_apart,
    without_dotted,
)
from mamlzoo.contracts import numbers_as_text
from mamlzoo.contracts.options import Option
from mamlzoo.errors import MamlzooError, UsageError, did_you_mean
from mamlzoo.sweeps import axes
from mamlzoo.tables import listed

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from mamlzoo.contracts.plugins import Plugin


CHOSEN = "mamlzoo.cli.chosen"
OPTIMIZERS, GROUPS, NETWORKS = "mamlzoo.cli.optimizers", "mamlzoo.cli.groups", "mamlzoo.cli.networks"
MODEL = Option("model", "the model that builds this network", "mlp", str)
DEFAULT_OPTIMIZER = "adam"


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

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return completion.values(self.option, incomplete)


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
            shell_complete=completion.optimizers if f"{prefix}{option.name}" == OPTIMIZER else None,
            type=DeclaredType(option, several),
            help=f"{option.help[0].upper()}{option.help[1:]}.  [default: {shown}]",
        )
        self.key = f"{prefix}{option.name}"


class NamedFlag(Flag):
    """What is said of a part of an algorithm, whatever that is called; not shown: parts are known once it is bound."""

    def __init__(self, prefix: str, part: str, option: Option, *, several: bool) -> None:
        begins = prefix.replace("-", "_")
        super().__init__(option, f"{begins}.", several=several)
        self.name = f"{prefix} {part}"
        self.opts, self.key, self.hidden = [f"--{prefix}.{part}"], f"{begins}.{part}", True


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
    also: Mapping[str, str] = {}
    defaults: Mapping[str, Sequence[str]] = {"task": ["sine"], "model": ["mlp"], "algorithm": ["maml"]}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        said = networks_apart(args)
        try:
            args = self.prepare(ctx, args)
        except MamlzooError:
            if not ctx.resilient_parsing:
                raise
            ctx.meta[CHOSEN] = dict(self.defaults)
        if ctx.resilient_parsing:  # a shell asks what may come next, after words that need not be right
            ctx.meta[CHOSEN] = completion.installed_among(ctx.meta[CHOSEN])
        try:
            if not ctx.resilient_parsing:
                self._refuse_repeated(ctx, said)
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            kind, _, unknown = error.option_name.removeprefix("--").partition(".")
            if not unknown or kind not in self.kinds:
                raise
            prefix = f"--{kind}."
            known = [flag.opts[0].removeprefix(prefix) for flag in self._plugin_flags(ctx) if prefix in flag.opts[0]]
            raise UsageError(no_option(kind, ctx.meta[CHOSEN][kind], unknown, known)) from error

    def _refuse_repeated(self, ctx: click.Context, args: Sequence[str]) -> None:
        """Refuse a flag of several values that is given twice: its values would be those of the last one alone.

        Of a flag with a single value the last one counts, as everywhere in a shell.

        Raises:
            UsageError: there is one.
        """
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        for param, times in Counter(order).items():
            type = param.type
            if times > 1 and isinstance(type, DeclaredType) and (type.several or type.option.many):
                flag = max(param.opts, key=len)
                mark = ";" if type.several and type.option.many else ","
                raise UsageError(f"{flag} is given {times} times; give it once, several values as a{mark}b")

    def prepare(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find out on what plugins the flags depend; the arguments, as they are to be parsed."""
        ctx.meta[CHOSEN] = self.choose(args)
        return args

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
            if record is not None and isinstance(parameter, click.Option):  # of an argument the text above says it
                key = getattr(parameter, "key", "")
                kind = key.partition(".")[0] if "." in key else None
                (own if kind is None else plugins.setdefault(kind, [])).append(record)
        with formatter.section("Options"):
            formatter.write_dl(own)
        for kind, records in plugins.items():
            with formatter.section(f"Options of {kind} {', '.join(self._chosen(ctx)[kind])}"):
                formatter.write_dl(records)

    def _chosen(self, ctx: click.Context) -> Mapping[str, Sequence[str]]:
        """Names by what their options begin with."""
        chosen: Mapping[str, Sequence[str]] = ctx.meta[CHOSEN]
        return chosen

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [completion.item(found.value, found.help) for found in super().shell_complete(ctx, incomplete)]

    def get_help(self, ctx: click.Context) -> str:
        from mamlzoo.tables import plain

        return plain(super().get_help(ctx))  # plugins say what their options mean

    def _kind_flag(self, kind: str) -> click.Option:
        return click.Option(
            [SHORT_FLAGS[kind], f"--{kind}", kind],
            metavar="NAME",
            multiple=self.several,
            shell_complete=completion.plugins(kind),
            help=f"The {kind}{', or several' * self.several}; FILE.py:NAME for your own{self.also.get(kind, '')}.  "
            f"[default: {', '.join(self.defaults[kind])}]",
        )

    def choose(self, args: list[str]) -> dict[str, list[str]]:
        """What `-t`, `-m` and `-a` say, before the flags that depend on it are known."""
        context = self._scouted(args)
        chosen = {}
        for kind in self.kinds:
            given = list(dict.fromkeys(context.params[kind] or ()))
            if len(given) > 1 and not self.several:
                raise UsageError(f"one {kind} only, not {', '.join(given)}; `mamlzoo compare` takes several")
            chosen[kind] = given or list(self.defaults[kind])
        return chosen

    def _scouted(self, args: list[str]) -> click.Context:
        """The arguments, parsed as far as no plugin needs to be known."""
        kinds = [click.Option([SHORT_FLAGS[kind], f"--{kind}", kind], multiple=True) for kind in self.kinds]
        scout = click.Command("scout", params=[*kinds, *self._params_to_scout()], add_help_option=False)
        context = click.Context(scout, resilient_parsing=True, ignore_unknown_options=True, allow_extra_args=True)
        scout.parse_args(context, without_dotted(args))
        return context

    def _params_to_scout(self) -> list[click.Parameter]:
        return [param for param in self.params if isinstance(param, click.Option)]

    def _plugin_flags(self, ctx: click.Context) -> list[Flag]:
        from mamlzoo.contracts.options import options_of
        from mamlzoo.discovery.entry_points import installed

        flags: list[Flag] = []
        for kind, names in ctx.meta[CHOSEN].items():
            classes: list[type[Plugin]] = [installed().get(kind, name) for name in names]
            flags += self._flags_of(kind, [options_of(cls) for cls in classes])
        return flags

    def _flags_of(self, kind: str, several: Sequence[Mapping[str, Option]]) -> list[Flag]:
        """One flag for each option that any of several has."""
        declared: dict[str, list[Option]] = {}
        for options in several:
            for option in options.values():
                declared.setdefault(option.name, []).append(option)
        flags = []
        for same in declared.values():
            differ = len({option.default for option in same}) > 1
            flags.append(Flag(same[0], f"{kind}.", "each its own" if differ else None, several=self.sweeps))
        return flags


def no_option(kind: str, names: Sequence[str], option: str, known: Sequence[str]) -> str:
    """What to say of an option that none of the plugins chosen has.

    >>> no_option("algorithm", ["maml", "anil"], "rate", [])
    "algorithms 'maml' and 'anil' have no option 'rate'; they have no options"
    """
    quoted = listed([f"'{name}'" for name in names])
    who, it_has = (f"{kind} {quoted} has", "it has") if len(names) == 1 else (f"{kind}s {quoted} have", "they have")
    return f"{who} no option '{option}'; {did_you_mean(option, known) if known else f'{it_has} no options'}"


class SettingsCommand(PluginCommand):
    """A `PluginCommand` that also has the flags of a run's settings; the callback gets them as `settings`.

    Of `only` these settings, where that is said.

    It has those of the optimiser that `--optimizer` chooses, too, as `--optimizer.weight-decay`; for each group of θ
    that is named one as `--outer-lr.rates`, and for each network one as `--network.relation`, which `-m relation=mlp`
    is short for. Their values are among the `options`.
    """

    also = {"model": "; NETWORK=NAME for one of the algorithm's networks"}
    only: Container[str] | None = None

    def prepare(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = networks_apart(args)
        ctx.meta[OPTIMIZERS], ctx.meta[GROUPS] = self.optimizers(args), list(dotted(GROUP, args))
        ctx.meta[NETWORKS] = list(dotted(NETWORK, args))
        return super().prepare(ctx, args)

    def optimizers(self, args: Sequence[str]) -> list[str]:
        """What `--optimizer` says, of which options are given, before the flags that depend on it are known.

        Raises:
            UsageError: none of them has an option that is given.
        """
        from mamlzoo.engine.optimizer_options import options_of_optimizer, unknown

        text = last(f"--{OPTIMIZER}", without_dotted(args)) or DEFAULT_OPTIMIZER
        names = [name.strip() for name in text.split(",")] if self.sweeps else [text]
        known, refused = list[str](), list[UsageError]()
        for name in names:
            try:
                options_of_optimizer(name)
                known.append(name)
            except UsageError as error:  # said where the settings are made
                refused.append(error)
        for key in dotted(OPTIMIZER, args):
            if not known:
                raise refused[0]
            if not any(key.replace("-", "_") in options_of_optimizer(name) for name in known):
                raise UsageError(unknown(known[0], key))
        return known

    def _plugin_flags(self, ctx: click.Context) -> list[Flag]:
        from mamlzoo.contracts.options import options_of
        from mamlzoo.engine.optimizer_options import options_of_optimizer
        from mamlzoo.experiments.settings import Settings

        names = ctx.meta.get(OPTIMIZERS, [DEFAULT_OPTIMIZER])
        rate = options_of(Settings)["outer_lr"]
        return [
            *super()._plugin_flags(ctx),
            *self._flags_of(OPTIMIZER, [options_of_optimizer(name) for name in names]),
            *(NamedFlag(GROUP, group, rate, several=self.sweeps) for group in ctx.meta.get(GROUPS, [])),
            *(NamedFlag(NETWORK, name, MODEL, several=self.sweeps) for name in ctx.meta.get(NETWORKS, [])),
        ]

    def _chosen(self, ctx: click.Context) -> Mapping[str, Sequence[str]]:
        return {**super()._chosen(ctx), OPTIMIZER: ctx.meta.get(OPTIMIZERS, [DEFAULT_OPTIMIZER])}

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
            if option.name != "seeds" and not option.named  # whose values have a flag each
            if self.only is None or option.name in self.only
        ]
