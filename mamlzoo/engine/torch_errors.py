"""What torch's errors mean to those who wrote a network: what it is in their code, and what does work."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import FrozenInstanceError

from mamlzoo.errors import in_short

LACKING = re.compile(r"derivative for (?:aten::|')_?(\w+?)(?:_backward)*'? is not implemented\.?(, in .*)?")
"""How torch says that an operation cannot be differentiated again; behind it, the module that calls it."""
INSTEAD = {
    "cdist": "for squared distances write (x[:, None] - y[None]).square().sum(-1)",
    "cdist_forward": "for squared distances write (x[:, None] - y[None]).square().sum(-1)",
    "embedding_bag": "take nn.Embedding and .mean(-2)",
    "embedding_bag_dense": "take nn.Embedding and .mean(-2)",
    "hardsigmoid": "write (x / 6 + 0.5).clamp(0, 1)",
    "cudnn_rnn": "call it with torch.backends.cudnn.flags(enabled=False)",
}
"""By operation, what computes the same and can be differentiated twice."""
MEANINGS = (
    (
        r"in-place operation .* that would mutate a captured Tensor",
        "it writes into a tensor that it was given or that it holds, which cannot be differentiated; write x = x / 3, "
        "not x /= 3 nor x.div_(3), take layers without inplace=True, and before x[:, 0] = 0 write x = x.clone()",
    ),
    (
        r"supports? the deepcopy protocol",
        "a module holds a tensor that is computed from its parameters, as torch.nn.utils.weight_norm and "
        "torch.nn.utils.prune leave it there; use torch.nn.utils.parametrizations.weight_norm, or make pruning "
        "permanent by torch.nn.utils.prune.remove",
    ),
    (
        r"'indices' to have one of the following scalar types: Long, Int",
        "an embedding looks up whole numbers, and a task's inputs are floating-point numbers; look up x.long()",
    ),
    (
        r"saved tensor hooks|torch.utils.checkpoint is incompatible",
        "torch.utils.checkpoint does not work in adaptation; call the layer without it, and let `--recompute` "
        "(recompute=True) compute inner steps again in the backward pass",
    ),
    (
        r"must override the setup_context staticmethod",
        "an autograd.Function needs a setup_context and generate_vmap_rule = True to be used in adaptation; "
        "torch.utils.checkpoint with use_reentrant=True is one: call the layer without it, and let `--recompute` "
        "(recompute=True) compute inner steps again",
    ),
    (
        r"Cannot access data pointer of Tensor that doesn't have storage",
        "an operation that reads memory by itself, as nn.utils.rnn.pack_padded_sequence does, cannot be differentiated "
        "in adaptation; give the layer the padded sequences, and mask what lies behind their ends",
    ),
)
"""(torch's words, ours) for what no plan can do."""


def explained(error: BaseException) -> str:
    """An exception in one line: ours where torch's words are known, else its own.

    >>> explained(RuntimeError("torch.func.{grad, vjp} don't yet support saved tensor hooks"))[:57]
    'torch.utils.checkpoint does not work in adaptation; call '
    """
    if isinstance(error, FrozenInstanceError) and _is_of_a_plugin(error):
        names = re.findall(r"'(\w+)'", str(error))
        return (
            f"it sets self.{names[-1] if names else '…'}, and a plugin holds no state: what is learned goes into θ, by "
            "init, what adapts into φ, by start and adapt, and what is for one call into a variable"
        )
    if isinstance(error, RuntimeError):
        for words, meaning in MEANINGS:
            if re.search(words, str(error)):
                return meaning
        found = LACKING.search(str(error))
        if found:
            instead = f"{INSTEAD[found[1]]}, or " if found[1] in INSTEAD else ""
            algorithm = "choose an algorithm that differentiates once, as a first-order one"
            place = f" ({found[2].removeprefix(', ')})" if found[2] else ""
            return f"{found[1]}{place} has no second derivative; {instead}{algorithm}"
    return in_short(error)


def _is_of_a_plugin(error: FrozenInstanceError) -> bool:
    """Whether what was to be changed is a plugin, not another frozen dataclass, as a Spec."""
    frames = list(traceback.walk_tb(error.__traceback__))
    owner = frames[-1][0].f_locals.get("self") if frames else None  # of the __setattr__ that raised
    return isinstance(getattr(type(owner), "exempt_from", None), Mapping)


def lacks_derivative(error: BaseException) -> str | None:
    """The operation that torch cannot differentiate again, as in 'cdist'; None if that is not what was raised.

    >>> lacks_derivative(NotImplementedError("the derivative for '_cdist_backward' is not implemented."))
    'cdist'
    """
    found = LACKING.search(str(error)) if isinstance(error, RuntimeError) else None
    return found[1] if found else None
