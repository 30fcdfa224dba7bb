"""What arguments say as they stand, before it is known which flags a command has."""

from __future__ import annotations

import re
from collections.abc import Sequence

SHORT_FLAGS = {"task": "-t", "model": "-m", "algorithm": "-a"}
OPTIMIZER, GROUP, NETWORK = "optimizer", "outer-lr", "network"
"""How the flags of an optimiser's options begin, those of the rates of groups of θ, and those of networks' models."""
OF_NETWORK = re.compile(r"(-m|--model=)(?P<name>[A-Za-z_]\w*)=(?P<model>.+)")
"""`-m relation=mlp`, in one word."""


def dotted(kind: str, args: Sequence[str]) -> dict[str, None]:
    """What stands behind the dot of every `--kind.NAME`, each once."""
    begins = f"--{kind}."
    return dict.fromkeys(arg.removeprefix(begins).partition("=")[0] for arg in args if arg.startswith(begins))


def last(flag: str, args: Sequence[str]) -> str | None:
    """The value that a flag is given last."""
    found = None
    for at, arg in enumerate(args):
        if arg == flag and at + 1 < len(args):
            found = args[at + 1]
        elif arg.startswith(f"{flag}="):
            found = arg.partition("=")[2]
    return found


def networks_apart(args: Sequence[str]) -> list[str]:
    """The arguments with `--network.relation mlp` in place of `-m relation=mlp`."""
    found: list[str] = []
    rest = iter(args)
    for arg in rest:
        given = OF_NETWORK.fullmatch(arg)
        if arg in ("-m", "--model"):
            value = next(rest, None)
            given = None if value is None else OF_NETWORK.fullmatch(f"-m{value}")
            if given is None:
                found += [arg] if value is None else [arg, value]
                continue
        found += [arg] if given is None else [f"--{NETWORK}.{given['name']}", given["model"]]
    return found


def without_dotted(args: Sequence[str]) -> list[str]:
    """The arguments less every `--kind.option VALUE`, whose value may look like anything."""
    left: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg.startswith(tuple(f"--{kind}." for kind in (*SHORT_FLAGS, OPTIMIZER, GROUP, NETWORK))):
            if "=" not in arg:
                next(rest, None)
        else:
            left.append(arg)
    return left
