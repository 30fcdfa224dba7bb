"""Commands in processes of their own, and what became of processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

MAMLZOO = [sys.executable, "-m", "mamlzoo"]


def said_by(folder, *arguments, **environment):
    """The exit code of a command, and its lines of errors."""
    done = subprocess.run(
        [*MAMLZOO, *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stderr.splitlines()


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])
