"""`--executor`: the same numbers by each, its errors, and its ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from other_processes import MAMLZOO, free_port, is_there, said_by

import mamlzoo
from mamlzoo import load, trees
from mamlzoo.errors import UsageError

ALGORITHMS = ["maml", "fomaml", "transfer", "scratch", "reptile", "anil", "meta-sgd", "cavia"]
COMPARE = [
    "compare", "--iterations", "40", "--meta-batch", "2", "--plan", "vmap", "--threads", "1", "--test-tasks", "5",
    "--test-steps", "1", "--checkpoint-every", "10",
]  # fmt: skip
LONG = [*COMPARE, "-a", "maml", "-a", "fomaml", "-a", "anil", "--iterations", "600", "--checkpoint-every", "25"]
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""By which ray, too, listens to this machine alone."""
with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


def bits_in(directory):
    """All test losses and θ of each run of a comparison, by its name."""
    found = {}
    for result in load(directory).results:
        losses = {name: values.tobytes() for name, values in result.evaluation.values.items()}
        found[result.name] = losses, [leaf.numpy().tobytes() for leaf in trees.leaves(result.meta)]
    return found


def processes_below(pid):
    """The command of each process that one has started, directly or not, by its id."""
    listed = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True)
    own = {int(line.split()[0]): line for line in listed.stdout.splitlines()}
    return own | {below: line for child in own for below, line in processes_below(child).items()}


@contextmanager
def begun(folder, *arguments):
    """A command that goes on in the background, once two runs have written checkpoints; and what makes its runs.

    None of that outlives it. (Two agents of ray's own take a minute to find that their cluster was killed.)
    """
    process = subprocess.Popen([*MAMLZOO, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while len(list(folder.glob("*/*/checkpoint.previous.pt"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    makers = [pid for pid, line in processes_below(process.pid).items() if "Relay" in line or "executors" in line]
    try:
        assert makers
        yield process, makers
    finally:
        process.kill()
        process.communicate()
        until = time.monotonic() + 20
        while any(map(is_there, makers)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(is_there, makers))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a long comparison comes to that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole")
    assert said_by(folder, *LONG, "--out", "whole", "-q") == (0, [])
    return bits_in(folder / "whole")


REFUSED = {
    "an unknown one": (["--executor", "cloud"], "Invalid value for '--executor': 'cloud' is not one of 'local', 'processes', 'ray'."),
    "no jobs": (["--executor", "processes", "--jobs", "0"], "Invalid value for '--jobs': must be at least 1, not 0"),
    "several jobs here": (["--jobs", "2"], "jobs are several runs at once: take --executor processes, or --executor ray"),
    "an address without ray": (
        ["--executor", "processes", "--address", "127.0.0.1:6379"],
        "address 127.0.0.1:6379 is a ray cluster's, and the executor is 'processes': take --executor ray",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("flags", "line"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize(
    "command",
    [["compare"], ["sweep", "--meta-batch", "2,3"], ["reproduce", "notebook-scalar"], ["resume", "both"]],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_in_a_line_before_anything_is_written(cli, tmp_path, command, flags, line):
    assert cli.error(*command, *flags) == line
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_python_several_processes_make_what_one_makes(tmp_path):
    asked = {
        "algorithm": ["maml", "transfer"],
        "iterations": 4,
        "test_tasks": 4,
        "test_steps": 1,
        "plan": "vmap",
        "threads": 1,
    }
    apart = mamlzoo.compare(**asked, out=tmp_path / "apart", executor="processes", jobs=2)
    for one, other in zip(apart.results, mamlzoo.compare(**asked).results, strict=True):
        assert one.evaluation.values["mse"].tobytes() == other.evaluation.values["mse"].tobytes()
    with pytest.raises(UsageError, match="executor 'processes' makes runs in directories: say where, by `out`"):
        mamlzoo.compare(**asked, executor="processes")


def test_a_single_run_is_for_no_executor(cli, no_figures):
    cli("run", "--iterations", "2", "--test-tasks", "4", "--plan", "loop", "--out", "one", "-q")
    line = "one holds one run; --executor makes several at a time, and --workers divides one"
    assert cli.error("resume", "one", "--executor", "processes") == line


def test_where_ray_is_not_installed_it_is_said_how_to_get_it(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.error("compare", "--executor", "ray") == (
        "executor 'ray' needs ray, which is not installed: pip install 'mamlzoo[ray]'"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@with_ray
def test_eight_runs_have_the_same_bits_here_by_processes_and_over_ray(tmp_path):
    eight = [*COMPARE, *(word for name in ALGORITHMS for word in ("-a", name))]
    assert said_by(tmp_path, *eight, "--out", "local", "-q") == (0, [])
    assert said_by(tmp_path, *eight, "--out", "processes", "-q", "--executor", "processes", "--jobs", "2") == (0, [])
    assert said_by(tmp_path, *eight, "--out", "ray", "-q", "--executor", "ray", "--jobs", "2") == (0, [])
    local = bits_in(tmp_path / "local")
    assert len(local) == 8
    assert bits_in(tmp_path / "processes") == local
    assert bits_in(tmp_path / "ray") == local


@pytest.mark.slow
@pytest.mark.parametrize(
    ("executor", "number"),
    [
        ("processes", signal.SIGINT),
        ("processes", signal.SIGTERM),
        ("processes", signal.SIGKILL),
        pytest.param("ray", signal.SIGINT, marks=with_ray),
        pytest.param("ray", signal.SIGKILL, marks=with_ray),
    ],
)
def test_what_is_stopped_leaves_no_process_and_goes_on_to_the_same_bits(tmp_path, whole, executor, number):
    spread = ["--executor", executor, "--jobs", "2"]
    with begun(tmp_path, *LONG, "--out", "stopped", *spread) as (process, _):
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert said.splitlines()[-1] == f"stopped; to go on: mamlzoo resume stopped {' '.join(spread)}"
    assert said_by(tmp_path, "resume", "stopped", "-q", "--executor", "processes") == (0, [])
    assert bits_in(tmp_path / "stopped") == whole


@pytest.mark.slow
@with_ray
def test_a_run_whose_ray_worker_is_killed_is_tried_once_more(tmp_path, whole):
    with begun(tmp_path, *LONG, "--out", "both", "--executor", "ray", "--jobs", "2") as (process, makers):
        os.kill(makers[0], signal.SIGKILL)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "ray lost its worker (ActorDiedError); tried once more" in said
    assert bits_in(tmp_path / "both") == whole


@pytest.mark.slow
@with_ray
def test_an_address_that_nobody_answers_at_is_refused_in_a_line(tmp_path):
    port = free_port()
    code, lines = said_by(tmp_path, "compare", "--executor", "ray", "--address", f"127.0.0.1:{port}")
    assert code == 2
    (line,) = lines
    assert line.startswith(f"Error: no ray cluster answers at 127.0.0.1:{port} (ConnectionRefusedError: ")
    assert line.endswith("; `ray start --head` begins one, and says its address")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@with_ray
def test_a_cluster_that_is_there_is_used_by_its_address(tmp_path):
    port = free_port()
    environment = LOOPBACK | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    start = ["start", "--head", "--block", "--port", port, "--num-cpus", "2", "--include-dashboard", "false"]
    cluster = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *start],
        env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as there:
                if there.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
            time.sleep(0.2)
        both = [*COMPARE, "-a", "maml", "-a", "fomaml", "-q"]
        spread = ["--executor", "ray", "--address", f"127.0.0.1:{port}"]
        assert said_by(tmp_path, *both, "--out", "both", *spread, **environment) == (0, [])
        assert said_by(tmp_path, *both, "--out", "whole") == (0, [])
        assert bits_in(tmp_path / "both") == bits_in(tmp_path / "whole")
    finally:
        cluster.terminate()
        cluster.wait(30)
