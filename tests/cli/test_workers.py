"""`--workers` and torchrun: one run on several processes, its faults and its ends."""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from other_processes import MAMLZOO, free_port, is_there, said_by

from mamlzoo.runs import directory as run_directory

RUN = [
    "run", "--seeds", "4", "--iterations", "60", "--meta-batch", "2", "--plan", "vmap", "--threads", "1", "--test-tasks", "5",
    "--test-steps", "1", "--checkpoint-every", "10", "-q",
]  # fmt: skip
LONG = [*RUN, "--iterations", "2000", "--checkpoint-every", "50"]
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0", "OMP_NUM_THREADS": "1"}
PAGE = Path(__file__).parents[2] / "docs" / "several-processes.md"
CLUSTER = PAGE.with_name("on-a-cluster.md")


def values_in(directory):
    return run_directory.load(directory).evaluation.values["mse"].tobytes()


@contextmanager
def begun(folder, *arguments):
    """A command that goes on in the background, once it has written a checkpoint."""
    process = subprocess.Popen([*MAMLZOO, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (folder / "divided" / "checkpoint.previous.pt").exists() and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children_of(process):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    """What the long run comes to by one process."""
    folder = tmp_path_factory.mktemp("alone")
    assert said_by(folder, *LONG, "--out", "alone") == (0, [])
    return values_in(folder / "alone")


def test_a_run_by_workers_is_the_run(tmp_path):
    assert said_by(tmp_path, *RUN, "--out", "alone") == (0, [])
    assert said_by(tmp_path, *RUN, "--out", "divided", "--workers", "2") == (0, [])
    assert values_in(tmp_path / "divided") == values_in(tmp_path / "alone")
    assert said_by(tmp_path, "resume", "divided", "--workers", "2", "-q") == (0, [])


def test_more_workers_than_there_is_to_do_are_refused(tmp_path):
    code, lines = said_by(tmp_path, *RUN, "--seeds", "1", "--out", "divided", "--workers", "3")
    assert code == 2
    assert lines == [
        "Error: 3 workers have too little to do: each needs a seed, of which there are 1, or an episode of every "
        "meta-step, of which there are 2; choose fewer workers"
    ]
    assert not (tmp_path / "divided").exists()


def test_workers_divide_no_comparison(tmp_path):
    compared = ["compare", *RUN[1:], "-a", "maml", "-a", "fomaml", "--iterations", "2", "--out", "both"]
    assert said_by(tmp_path, *compared)[0] == 0
    code, lines = said_by(tmp_path, "resume", "both", "--workers", "2")
    assert (code, lines) == (2, ["Error: both holds several runs; --workers divides one"])


def test_a_worker_with_other_options_is_refused_by_name(tmp_path):
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    workers = [
        subprocess.Popen(
            [*MAMLZOO, *RUN, "--out", "divided", "--algorithm.inner-lr", rate],
            cwd=tmp_path, env=os.environ | LOOPBACK | place | {"RANK": str(rank)}, stderr=subprocess.PIPE, text=True,
        )
        for rank, rate in enumerate(["0.01", "0.02"])
    ]  # fmt: skip
    said = [worker.communicate(timeout=120)[1] for worker in workers]
    assert said[0].startswith("Error: worker 1 of 2 (on ")
    assert "was given another experiment than worker 0" in said[0]
    assert said[1] == ""
    assert not (tmp_path / "divided").exists()


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(10))
def test_a_run_whose_worker_is_killed_ends_in_a_line_and_goes_on_to_the_same_bits(tmp_path, moment, never_killed):
    with begun(tmp_path, *LONG, "--out", "divided", "--workers", "2") as process:
        time.sleep(random.Random(moment).uniform(0, 1.5))
        (worker,) = children_of(process)
        os.kill(worker, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == (
        f"Error: worker 1 of 2 (rank 1, process {worker}) was ended by SIGKILL; `mamlzoo resume divided` goes on from "
        "the last checkpoint\n"
    )
    assert said_by(tmp_path, "resume", "divided", "--workers", "2", "-q") == (0, [])
    assert values_in(tmp_path / "divided") == never_killed


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_the_first(tmp_path, number):
    with begun(tmp_path, *LONG, "--out", "divided", "--workers", "2") as process:
        (worker,) = children_of(process)
        process.send_signal(number)
        process.communicate(timeout=60)
    until = time.monotonic() + 10
    while is_there(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(worker)
    assert said_by(tmp_path, "resume", "divided", "-q") == (0, [])


def torchrun(folder, *arguments):
    """torchrun with two workers of a command, in the background, and without a word to the network."""
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1", *arguments]
    return subprocess.Popen(
        [sys.executable, *launch], cwd=folder, env=os.environ | LOOPBACK, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_torchrun_goes_on_with_a_run_that_lost_a_worker(tmp_path, never_killed):
    process = torchrun(tmp_path, "--max-restarts", "1", "-m", "mamlzoo", *LONG, "--out", "divided")
    until = time.monotonic() + 60
    while not (tmp_path / "divided" / "checkpoint.previous.pt").exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(1)
    os.kill(max(children_of(process)), signal.SIGKILL)
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    assert values_in(tmp_path / "divided") == never_killed
    shown = torchrun(tmp_path, "-m", "mamlzoo", "resume", "divided", "-q")
    _, said = shown.communicate(timeout=120)
    assert shown.returncode == 0, said


@pytest.mark.slow
def test_the_pages_commands_make_a_run_on_two_nodes(tmp_path):
    written = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("torchrun --nnodes 2")]
    port = free_port()
    commands = [shlex.split(line.replace("29500", port)) for line in written]
    assert len(commands) == 2
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *command, *RUN[1:]],
            cwd=tmp_path, env=os.environ | LOOPBACK, stderr=subprocess.PIPE, text=True,
        )
        for _, *command in commands
    ]  # fmt: skip
    for node in nodes:
        _, said = node.communicate(timeout=120)
        assert node.returncode == 0, said
    assert said_by(tmp_path, *RUN, "--out", "alone") == (0, [])
    assert values_in(tmp_path / "runs" / "ten") == values_in(tmp_path / "alone")


STUBS = {
    "scontrol": """printf '127.0.0.1\\n127.0.0.1\\n'""",
    "srun": """"$@" & "$@" & wait""",
    "torchrun": """exec {python} -m torch.distributed.run "$@\"""",
}
"""A Slurm of two nodes that are this machine."""


@pytest.mark.slow
def test_the_pages_batch_script_begins_a_run_and_goes_on_with_it(tmp_path):
    (script,) = re.findall(r'^```bash title="ten.sbatch"\n(.*?)^```$', CLUSTER.read_text(encoding="utf-8"), re.M | re.S)
    short = " ".join(RUN[1:])
    script = script.replace("29400", free_port()).replace("--out runs/ten", f"--out runs/ten {short}")
    for name, body in STUBS.items():
        (tmp_path / name).write_text("#!/bin/bash\n" + body.replace("{python}", sys.executable) + "\n")
        (tmp_path / name).chmod(0o755)
    slurm = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_NODELIST": "here[1-2]", "SLURM_JOB_ID": "7",
        "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "1",
    }  # fmt: skip
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-euc", script], cwd=tmp_path, env=os.environ | LOOPBACK | slurm, capture_output=True, text=True, timeout=180
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "runs" / "ten" / "result.json").exists()
    assert said_by(tmp_path, *RUN, "--out", "alone") == (0, [])
    assert values_in(tmp_path / "runs" / "ten") == values_in(tmp_path / "alone")


@pytest.mark.slow
def test_torchrun_divides_no_comparison(tmp_path):
    process = torchrun(tmp_path, "-m", "mamlzoo", "compare", "-a", "maml", "-a", "fomaml", "--out", "both", "-q")
    _, said = process.communicate(timeout=120)
    assert "Error: torchrun has started 2 workers, among which only `run` and `resume` divide their work" in said
    assert not (tmp_path / "both").exists()
