"""Reading that takes a while tells whoever watches."""

from __future__ import annotations

from contextlib import contextmanager

import click
import pytest
from click.testing import CliRunner

import mamlzoo
from mamlzoo.cli import Commands, progress
from mamlzoo.contracts.reading import watched_by
from mamlzoo.runs.watchers import Watcher


class OnlyReading(Commands):
    """The command line with one command, which reads."""

    def get_command(self, ctx, cmd_name):
        return reads


@click.command("read")
@click.option("--quiet", is_flag=True)
def reads(quiet):
    assert list(mamlzoo.reading("ab", "read letters")) == ["a", "b"]


read_much = OnlyReading(params=[click.Option(["--debug"], is_flag=True)])


def test_without_a_watcher_the_items_are_what_they_are():
    assert list(mamlzoo.reading(iter("abc"), "read letters", total=3)) == ["a", "b", "c"]


def test_a_watcher_is_told_how_many_are_done_before_each_and_when_it_ends():
    told = []

    @contextmanager
    def watch(what, total):
        told.append((what, total))
        yield told.append
        told.append("ended")

    with watched_by(watch):
        assert list(mamlzoo.reading("ab", "read letters")) == ["a", "b"]
    assert told == [("read letters", 2), 0, 1, "ended"]


def test_a_watcher_hears_of_the_end_when_reading_fails():
    told = []

    @contextmanager
    def watch(what, total):
        try:
            yield lambda done: None
        finally:
            told.append("ended")

    def read():
        for _ in mamlzoo.reading("ab", "read letters"):
            raise OSError("torn")

    with watched_by(watch), pytest.raises(OSError, match="torn"):
        read()
    assert told == ["ended"]


def test_a_quiet_command_shows_no_bar_of_what_it_reads(monkeypatch):
    shown = []

    @contextmanager
    def display(quiet=False):
        shown.append(quiet)
        yield Watcher()

    monkeypatch.setattr(progress, "display", display)
    monkeypatch.setattr(progress, "LONG", -1.0)
    for flags in ([], ["--quiet"]):
        CliRunner().invoke(read_much, ["read", *flags], catch_exceptions=False)
    assert shown == [False, True]
