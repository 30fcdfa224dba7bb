"""Executors by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mamlzoo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from mamlzoo.executors.executor import Executor

LOCAL = "local"
NAMES = (LOCAL, "processes", "ray")


def executor_of(name: str = LOCAL, at_once: int | None = None, address: str | None = None) -> Executor | None:
    """An executor by its name; None for 'local': one run after another, in this process.

    Args:
        at_once: jobs at a time; None: as many as make sense.
        address: of a ray cluster; None: one of this machine's, for as long as it is needed.

    Raises:
        UsageError: there is none of that name, or ray is not installed; or what is given is another one's.
    """
    if name not in NAMES:
        raise UsageError(f"there is no executor '{name}'; {did_you_mean(name, NAMES)}")
    if address is not None and name != "ray":
        raise UsageError(f"address {address} is a ray cluster's, and the executor is '{name}': take --executor ray")
    if name == LOCAL:
        if at_once is not None:
            raise UsageError("jobs are several runs at once: take --executor processes, or --executor ray")
        return None
    if name == "processes":
        from mamlzoo.executors.processes import Processes

        return Processes(at_once)
    from mamlzoo.executors.ray_cluster import RayCluster

    return RayCluster(at_once, address)
