"""Whether a ray cluster answers, asked by a process of its own, which ray may end, or keep waiting."""

from __future__ import annotations

import sys


def main(address: str) -> None:
    """Ask; exit code 1, and why on stdout, where none answers."""
    import ray

    try:
        ray.init(address=address, log_to_driver=False)
    except Exception as error:
        sys.stdout.write(f"{type(error).__name__}: {str(error).strip()}"[:300])
        sys.exit(1)
