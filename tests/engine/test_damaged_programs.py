"""Bits of a cached program are flipped: no other numbers without a word, and no crash that comes again.

Three parts. Random bits of the file, as a disk flips them: the digest finds each of them. Bits that are aimed at, with
the digest made to match, as if the compiler had written them: Adam's constants and the code, each in a process of its
own, where the comparison with `vmap` has to find what changes numbers, and the mark beside a program what kills. And
the whole way through, from the command line, where a flipped bit costs one more compilation and a line.
"""

from __future__ import annotations

import os
import pickle
import random
import resource
import shutil
import signal
import struct
from collections import Counter
from pathlib import Path

import pytest
import torch
from test_plan_choice import prepared

from mamlzoo.engine.compilation import program_cache
from mamlzoo.engine.compilation.program_cache import CannotCompileError, DamagedError
from mamlzoo.engine.native.taskwise import TaskwiseSteps
from mamlzoo.engine.native.toolchain import load
from mamlzoo.engine.plan_choice import Alert

pytestmark = pytest.mark.slow
RANDOM, AIMED = 300, 60


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A cache with one program, and what it makes of θ."""
    cache = tmp_path_factory.mktemp("programs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMLZOO_CACHE", str(cache))
        torch.set_num_threads(1)
        steps, choice, _ = prepared("compile")
        assert choice.plan == "compile", choice.why
        (path,) = cache.iterdir()
        yield path, trained(steps)


@pytest.fixture
def program(clean, tmp_path, monkeypatch):
    """A copy of that program in a cache of its own; nothing is compiled again."""

    def no_compiler(traced):
        raise CannotCompileError("nothing is compiled here")

    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(TaskwiseSteps, "compiled", no_compiler)
    return Path(shutil.copy2(clean[0], tmp_path))


def trained(steps):
    """θ after some meta-steps, of which the program makes all but one at once."""
    block = prepared_block()
    steps.advance(block, 0, 20)
    return steps.optimizer.theta.clone()


def prepared_block():
    from mamlzoo.engine.blocks import blocks
    from mamlzoo.engine.episodes import TrainingStream
    from mamlzoo_tasks.sine import Sine

    return next(blocks(TrainingStream(Sine(), (0, 1), 3, torch.device("cpu")), 20, (1e-3,)))[0]


def run():
    """A run by `compile`: by which plan it was, what was said, and θ."""
    steps, choice, said = prepared("compile")
    return choice, [event.text for event in said if isinstance(event, Alert)], trained(steps)


def in_child(function):
    """What a function returns in a process of its own; None if it dies there, as it does after a minute."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os.close(reading)
        with os.fdopen(writing, "wb") as file:
            pickle.dump(function(), file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(answer) if status == 0 else None


def flipped(path, bit):
    whole = bytearray(path.read_bytes())
    whole[bit // 8] ^= 1 << bit % 8
    path.write_bytes(whole)


def test_any_flipped_bit_is_found_before_the_program_is_loaded(program):
    whole, generator = program.read_bytes(), random.Random(0)
    for _ in range(RANDOM):
        flipped(program, generator.randrange(8 * len(whole)))
        with pytest.raises(DamagedError, match="is damaged$"):
            load(program)
        assert not program.exists()
        program.write_bytes(whole)
        program.chmod(0o600)
    assert load(program) is not None


CONSTANTS = [0.001, 0.1, 0.9, 0.999, 1e-8]
"""Adam's: its rate, which is also 1 − β₂, and the others."""


def bytes_of_a_constant(library, value):
    """Where a library has it, however often."""
    patterns = [struct.pack(kind, value) for kind in ("<f", "<d")]
    return [
        at + offset
        for pattern in patterns
        for at in range(0, len(library) - 8, 4)
        if library[at : at + len(pattern)] == pattern
        for offset in range(len(pattern))
    ]


def bytes_of_the_code(library):
    """Where a library has its machine code, from its ELF headers."""
    (table,) = struct.unpack_from("<Q", library, 0x28)
    size, count = struct.unpack_from("<HH", library, 0x3A)
    sections = [struct.unpack_from("<IIQQQQI", library, table + size * at) for at in range(count)]
    executable = [range(section[4], section[4] + section[5]) for section in sections if section[2] & 4]
    return max(executable, key=len)


def test_no_aimed_bit_gives_other_numbers_without_a_word_or_a_crash_that_comes_again(clean, program):
    right, generator, outcomes = clean[1], random.Random(1), Counter()
    library = program_cache.read(program)
    aims = [where for value in CONSTANTS if (where := bytes_of_a_constant(library, value))]
    aims += len(aims) * [bytes_of_the_code(library)]
    for at in range(AIMED):
        changed = bytearray(library)
        changed[generator.choice(aims[at % len(aims)])] ^= 1 << generator.randrange(8)
        for left in program.parent.iterdir():  # a folder too where a process died while it loaded
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        with program_cache.own_folder(program.parent) as folder:
            program_cache.write(program, bytes(changed), folder)
        answer = in_child(run)
        if answer is None:
            outcomes["died"] += 1
            choice, said, theta = in_child(run)
            assert any("ended the process that tried it; it was removed" in text for text in said)
        else:
            choice, said, theta = answer
            outcomes[choice.why.partition(";")[0]] += 1
        if choice.plan == "compile":
            torch.testing.assert_close(theta, right, rtol=1e-3, atol=1e-5)
        else:
            assert choice.why.startswith("'compile' cannot: ")
    print(outcomes)  # noqa: T201
    assert sum(count for why, count in outcomes.items() if "are not those of vmap" in why) > 0


def test_a_full_disk_below_the_cache_costs_the_plan_and_not_the_run(program):
    def on_a_full_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        return run()

    choice, _, _ = in_child(on_a_full_disk)
    assert choice.plan == "vmap"
    assert choice.why.startswith("'compile' cannot: the program cannot be loaded: [Errno 27] File too large")
    assert in_child(run)[0].plan == "compile"


def test_a_flipped_bit_costs_one_compilation_and_a_line(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    flags = ["--model.hidden", "4", "--iterations", "20", "--test-tasks", "5", "--plan", "compile", "--seeds", "1"]
    found = []
    for name in ("whole", "damaged"):
        said = cli("run", *flags, "--out", name).stderr
        (path,) = (tmp_path / "cache").iterdir()
        assert ("is damaged; it was removed" in said) == (name == "damaged")
        found.append((tmp_path / name / "test_losses.npz").read_bytes())
        flipped(path, 100_000)
    assert found[0] == found[1]
    assert list((tmp_path / "temporary").iterdir()) == []
