"""Who does a piece of work, by its name. What a contender needs is imported only for it."""

from __future__ import annotations

from mamlzoo.bench.workload import PLANS, CannotRunError, Contender, Work

ADAPTING = ("maml", "fomaml")
"""Algorithms that other libraries' code is written for."""


def contender_for(work: Work) -> Contender:
    """Built for the work.

    Raises:
        CannotRunError: it is not installed, or cannot do this work.
    """
    if work.contender in PLANS:
        from mamlzoo.bench.own_plans import Own

        return Own(work)
    work.only_adam()
    return _in_jax(work) if work.contender.startswith("jax-") else _in_torch(work)


def _in_jax(work: Work) -> Contender:
    is_sine = (work.names["task"], work.names["model"]) == ("sine", "mlp") and work.names["algorithm"] in ADAPTING
    if not is_sine and len(work.experiment().task.spec.input_shape or ()) != 3:
        raise CannotRunError("the JAX code is written for sine × mlp × maml or fomaml, and for images")
    try:
        import jax  # noqa: F401
        import optax  # noqa: F401
    except ImportError as error:
        raise CannotRunError("jax and optax are not installed; `pip install 'mamlzoo[bench]'`") from error
    if is_sine:
        from mamlzoo.bench.jax_peers import JaxMaml

        return JaxMaml(work, scanned=work.contender == "jax-scan")
    from mamlzoo.bench.jax_images import JaxImages

    return JaxImages(work)


def _in_torch(work: Work) -> Contender:
    from mamlzoo.bench.parallel_metalearn import ParallelMetaLearn
    from mamlzoo.bench.torch_peers import Higher, Plain, PlainPrototypes, TorchOpt, TorchPeer

    adapting: dict[str, type[TorchPeer]] = {
        "plain": Plain,
        "higher": Higher,
        "torchopt": TorchOpt,
        "parallel-metalearn": ParallelMetaLearn,
    }
    written = dict.fromkeys(ADAPTING, adapting[work.contender])
    if work.contender == "plain":
        written["protonet"] = PlainPrototypes
    if (algorithm := work.names["algorithm"]) not in written:
        *others, last = written
        raise CannotRunError(f"it is written for {', '.join(others)} and {last}, not {algorithm}")
    return written[algorithm](work)
