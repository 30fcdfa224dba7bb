"""Published data sets: added from files or fetched from where they are published, whole or not at all."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mamlzoo import Archive, Dataset, MamlzooError, UsageError
from mamlzoo.datasets.adding import add
from mamlzoo.datasets.download import CHUNK, download

CONTENT = {"/one.bin": bytes(range(256)) * 1000, "/two.bin": b"two"}


class Copied(Dataset):
    """A data set that is what its archives hold."""

    name, summary, licence = "copied", "two files", "public domain"

    def __init__(self, address="http://127.0.0.1:9", content=CONTENT):
        self.archives = tuple(
            Archive(f"{address}{path}", len(data), hashlib.sha256(data).hexdigest()) for path, data in content.items()
        )

    def decode(self, archives, into):
        for name, path in archives.items():
            data = path.read_bytes()
            if data not in CONTENT.values():
                raise UsageError(f"{path} is damaged")
            (into / name).write_bytes(data)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMLZOO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MAMLZOO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    for path, data in CONTENT.items():
        (folder / path.strip("/")).write_bytes(data)
    return folder


class Server(ThreadingHTTPServer):
    """Serves CONTENT on loopback.

    Attributes:
        asked: the Range that each request asked for.
        knows_parts: whether it honours that.
        breaks_after: bytes after which it hangs up, once.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked, self.knows_parts, self.breaks_after = dict(CONTENT), [], True, None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if self.path not in server.content:
            self.send_error(404)
            return
        data, first = server.content[self.path], 0
        if self.headers.get("Range") and server.knows_parts:
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        broken, server.breaks_after = server.breaks_after, None
        self.wfile.write(data[first:][:broken])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def held(dataset):
    return {f"/{path.name}": path.read_bytes() for path in dataset.folder.iterdir()}


def test_what_was_not_added_is_asked_for_by_the_commands_that_add_it():
    with pytest.raises(
        UsageError, match="'copied' is not there: `mamlzoo data add copied FOLDER` takes one.bin and two.bin"
    ):
        _ = Copied().folder


def test_archives_are_added_from_a_folder(published):
    dataset = Copied()
    assert add(dataset, published) == dataset.folder
    assert held(dataset) == CONTENT


def test_what_is_there_is_not_added_again(published):
    add(Copied(), published)
    with pytest.raises(UsageError, match="already; remove that folder"):
        add(Copied(), published)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "two.bin").unlink(), "has no two.bin, of which the data set 'copied' is made"),
        (lambda folder: (folder / "two.bin").write_bytes(b"twice"), "two.bin is damaged"),
        (lambda folder: folder.rename(folder.parent / "elsewhere"), "published is not there; give the folder"),
    ],
    ids=["missing", "damaged", "no folder"],
)
def test_nothing_is_left_of_what_cannot_be_added(published, spoil, message, tmp_path):
    spoil(published)
    with pytest.raises(UsageError, match=message):
        add(Copied(), published)
    assert not (tmp_path / "data").exists() or not any((tmp_path / "data").iterdir())


def test_one_archive_may_be_given_as_it_is(published):
    dataset = Copied(content={"/two.bin": CONTENT["/two.bin"]})
    add(dataset, published / "two.bin")
    assert held(dataset) == {"/two.bin": b"two"}


def test_archives_are_fetched_added_and_removed(server, tmp_path):
    dataset = Copied(server.address)
    assert download(dataset) == dataset.folder
    assert held(dataset) == CONTENT
    left = {path.name for path in (tmp_path / "cache" / "downloads" / "copied").iterdir()}
    assert left <= {".lock"}


@pytest.mark.parametrize("knows_parts", [True, False])
def test_a_download_that_broke_goes_on_and_gives_the_whole(server, knows_parts):
    server.knows_parts, server.breaks_after = knows_parts, CHUNK + 10
    with pytest.raises(MamlzooError, match="the same command goes on with what is there"):
        download(Copied(server.address))
    download(Copied(server.address))
    assert held(Copied()) == CONTENT
    assert server.asked[:2] == [None, f"bytes={CHUNK + 10}-"]


@pytest.mark.parametrize(
    "other",
    [b"x" * len(CONTENT["/one.bin"]), b"short", CONTENT["/one.bin"] + b"longer" * CHUNK],
    ids=["other", "shorter", "longer"],
)
def test_what_is_not_as_published_is_thrown_away_and_named_with_what_was_published(server, other, tmp_path):
    server.content["/one.bin"] = other
    with pytest.raises(MamlzooError, match=r"one\.bin gave .* was published with 256,000 and .*thrown away"):
        download(Copied(server.address))
    assert not (tmp_path / "data").exists()
    server.content = dict(CONTENT)
    download(Copied(server.address))
    assert held(Copied()) == CONTENT


@pytest.mark.parametrize("path", ["/one.bin", "/two.bin"])
def test_an_address_that_answers_nothing_is_named_with_the_reason(server, path):
    del server.content[path]
    with pytest.raises(MamlzooError, match=f"{path} could not be fetched: Not Found; .* or fetch .* by hand"):
        download(Copied(server.address))


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(MamlzooError, match="could not be fetched: .*refused"):
        download(Copied())
