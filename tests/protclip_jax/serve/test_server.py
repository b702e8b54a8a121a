"""The HTTP server on a real socket: clients that are large or too many, and addresses that
cannot be used."""

import contextlib
import errno
import json
import logging
import socket
import subprocess
import sys
import threading
import time

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.serve import __main__ as serve
from protclip_jax.serve import descriptors, server
from protclip_jax.serve.app import create_app
from protclip_jax.serve.descriptors import Room
from protclip_jax.serve.limits import Limits
from protclip_jax.serve.log_filter import OnceAMinute
from tests.support.paths import ROOT
from tests.support.serving_process import Server

LIMITS = Limits(waiting=2, batch_tokens=1, seconds=20)


class Held:
    """An engine whose model waits until it is let go."""

    def __init__(self, engine):
        self._engine, self.go, self.begun = engine, threading.Event(), threading.Event()
        self.go.set()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def embed(self, queries):
        self.begun.set()
        self.go.wait(20)
        return self._engine.embed(queries)


@pytest.fixture(scope="module")
def held(engine):
    return Held(engine)


@pytest.fixture(scope="module")
def address(held):
    with running(held) as address:
        yield address


@contextlib.contextmanager
def running(engine):
    """Serves the engine on a free port; the address."""
    bound = server.listening_socket("127.0.0.1", 0)
    served = server.configured(create_app(engine, limits=LIMITS, hosts=("127.0.0.1",)), LIMITS)
    address = bound.getsockname()
    thread = threading.Thread(target=served.run, kwargs={"sockets": [bound]})
    thread.start()
    yield address
    served.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@contextlib.contextmanager
def connected(address, sent: bytes):
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(sent)
        yield client


def everything(client) -> bytes:
    """All that the server sends until it closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            received += part
    return received


HEAD = b"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def test_a_body_without_end_is_refused_before_it_is_kept(address):
    with (
        connected(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n") as client,
        contextlib.suppress(OSError),
    ):
        for _ in range(40):
            client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        assert b" 413 " in client.recv(1000)


def test_a_body_that_is_said_to_be_large_is_refused_at_once(address):
    with connected(address, HEAD + b"Content-Length: 9999999999\r\n\r\n") as client:
        assert b" 413 " in client.recv(1000)


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00", b"GET /\r\n\r\n" * 3, b"G" * 100_000])
def test_what_is_no_http_ends_the_connection(address, sent):
    with connected(address, sent) as client:
        assert b" 200 " not in everything(client)


@pytest.mark.parametrize("path", [b"/", b"/app.js", b"/api/about", b"/nowhere"])
@pytest.mark.parametrize("host", [b"127.0.0.1", b"evil.example"])
def test_every_answer_comes_with_a_strict_policy(address, path, host):
    with connected(
        address, b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    ) as client:
        head = everything(client).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert f"content-security-policy: {server.CONTENT_SECURITY_POLICY}" in head
    assert {"x-content-type-options: nosniff", "cache-control: no-store"} <= set(head)
    assert "unsafe" not in server.CONTENT_SECURITY_POLICY


def test_a_visitor_who_holds_connections_open_leaves_the_rest_a_prompt_refusal(held, monkeypatch):
    monkeypatch.setattr(server.descriptors, "room_for_connections", lambda: Room(3, 5, 5))
    with running(held) as address, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connected(address, b""))
        with connected(address, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as client:
            assert b" 503 " in client.recv(1000)


def test_connections_above_the_room_are_closed_and_idle_ones_end(held, monkeypatch):
    monkeypatch.setattr(server.descriptors, "room_for_connections", lambda: Room(3, 4, 4))
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 1)
    with running(held) as address, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(address, b"")) for _ in range(4)]
        with connected(address, b"") as client:
            assert everything(client) == b""
        start = time.monotonic()
        assert everything(idle[0]) == b""
        assert time.monotonic() - start < 5
        time.sleep(0.2)
        with connected(address, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as client:
            assert b" 200 " in client.recv(1000)


EXHAUSTING = """
import logging, os, resource, socket, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
from protclip_jax.serve import descriptors, server
from protclip_jax.serve.limits import Limits
from protclip_jax.serve.log_filter import OnceAMinute
from protclip_jax.serve.loading import answering_loading
bound = server.listening_socket("127.0.0.1", 0)
with answering_loading(bound, Limits(), None):
    print(bound.getsockname()[1], flush=True)
    sys.stdin.readline()
"""


def test_more_connections_than_descriptors_cost_the_server_a_line_and_no_visitor():
    command = [sys.executable, "-c", EXHAUSTING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        address = ("127.0.0.1", int(process.stdout.readline()))
        with contextlib.ExitStack() as stack:
            request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
            for number in range(400):
                stack.enter_context(connected(address, request if number % 2 else b""))
            time.sleep(1.5)
        asked = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with connected(address, asked) as client, client.makefile("rb") as answer:
            assert b"loading" in answer.read()
        _, log = process.communicate("\n", timeout=30)
    assert process.returncode == 0
    assert len(log.splitlines()) <= 3, log[:2000]


def test_a_limit_that_leaves_no_room_is_one_sentence(monkeypatch):
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda which: (70, 70))
    with pytest.raises(UserError, match="the limit of 70 open files"):
        descriptors.room_for_connections()
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda which: (1024, 4096))
    room = descriptors.room_for_connections()
    assert room.answered <= room.open
    assert room.open + room.backlog < 1024 - descriptors.RESERVED


def test_a_message_is_logged_once_a_minute():
    log = OnceAMinute()

    def record(message, error=None):
        given = (type(error), error, None) if error else None
        return logging.LogRecord("asyncio", logging.ERROR, "", 0, message, (), given)

    assert [log.filter(record("Invalid HTTP request")) for _ in range(3)] == [True, False, False]
    assert log.filter(record("another"))
    full = record("socket.accept() out of system resource", OSError(errno.EMFILE, "Too many"))
    assert log.filter(full)
    assert full.exc_info is None
    assert full.getMessage().startswith("cannot accept connections (Too many); ")
    failed = ValueError("a fault of the program")
    assert [log.filter(record("it failed", failed)) for _ in range(2)] == [True, True]


def test_more_requests_than_the_queue_holds_get_429_and_the_others_their_answers(address, held):
    served = Server(None, f"http://127.0.0.1:{address[1]}/", "")
    served.ask("/api/search", {"query": "abc"})
    held.go.clear()
    held.begun.clear()
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(served.ask("/api/search", {"query": "abc"})))
        for _ in range(8)
    ]
    threads[0].start()
    assert held.begun.wait(20)
    for thread in threads[1:]:
        thread.start()
    deadline = time.monotonic() + 20
    while len(answers) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert served.ask("/api/health")[0] == 200, "the server answers while the model is busy"
    held.go.set()
    for thread in threads:
        thread.join(30)
    # One is computed and two wait.
    assert sorted(status for status, _ in answers) == [200] * 3 + [429] * 5
    assert all("busy" in answer["error"] for status, answer in answers if status == 429)
    assert served.ask("/api/search", {"query": "abc"})[0] == 200


def test_a_client_that_leaves_frees_its_place_in_the_queue(address, held):
    served = Server(None, f"http://127.0.0.1:{address[1]}/", "")
    held.go.clear()
    held.begun.clear()
    body = json.dumps({"query": "abc"}).encode()
    request = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(connected(address, request))
        assert held.begun.wait(20)
        others = [stack.enter_context(connected(address, request)) for _ in range(2)]
        waiting(served, 2)
        for client in others:
            client.close()
        waiting(served, 0)
        held.go.set()
        assert b" 200 " in first.recv(1000)


def waiting(served, count):
    deadline = time.monotonic() + 10
    while served.ask("/api/health")[1]["waiting"] != count:
        assert time.monotonic() < deadline, f"never {count} in the queue"
        time.sleep(0.02)


def test_an_address_in_use_is_one_sentence(address):
    with pytest.raises(UserError, match=r"cannot be used \(Address already in use\)"):
        server.listening_socket("127.0.0.1", address[1])
    with pytest.raises(UserError, match="cannot be used"):
        server.listening_socket("127.0.0.1", 70000)


@pytest.mark.parametrize(
    ("arguments", "token", "hosts"),
    [
        ([], None, ("localhost", "127.0.0.1", "[::1]", "127.0.0.1")),
        (["--token", "abc"], "abc", ("localhost", "127.0.0.1", "[::1]", "127.0.0.1")),
        (["--host", "0.0.0.0", "--token", "abc"], "abc", None),
        (["--host", "0.0.0.0", "--token", "abc", "--allowed_hosts", "Lab"], "abc", ("lab",)),
    ],
)
def test_who_may_reach_it_follows_from_the_address(monkeypatch, arguments, token, hosts):
    monkeypatch.delenv(serve.TOKEN_VARIABLE, raising=False)
    options = serve.parse_arguments(["--checkpoint", "c", "--index", "i", *arguments])
    assert (serve.choose_token(options), serve.allowed_hosts(options)) == (token, hosts)


@pytest.mark.parametrize("name", ["lab:8000", "http://lab", "lab/x", "::1", "*.lab", "*"])
def test_a_host_that_no_request_would_name_is_refused(name):
    options = serve.parse_arguments(
        ["--checkpoint", "c", "--index", "i", "--allowed_hosts", "lab", "[::1]", name]
    )
    with pytest.raises(UserError, match="must be only a host name"):
        serve.allowed_hosts(options)


def test_an_address_that_others_reach_has_a_token_of_its_own(monkeypatch):
    monkeypatch.delenv(serve.TOKEN_VARIABLE, raising=False)
    options = serve.parse_arguments(["--checkpoint", "c", "--index", "i", "--host", "0.0.0.0"])
    first, second = serve.choose_token(options), serve.choose_token(options)
    assert len(first) >= 32
    assert first != second
    monkeypatch.setenv(serve.TOKEN_VARIABLE, "from-outside")
    assert serve.choose_token(options) == "from-outside"
    assert (
        serve.address_fragment("from-outside") == "#token=… (insert the value of $PROTCLIP_TOKEN)"
    )
    assert serve.address_fragment("a/b") == "#token=a%2Fb"
    monkeypatch.setenv(serve.TOKEN_VARIABLE, "with blank")
    with pytest.raises(UserError, match="printable ASCII"):
        serve.choose_token(options)


def test_mistakes_of_the_command_are_one_sentence(search_folder, tmp_path, capsys):
    given = ["--checkpoint", search_folder.checkpoint, "--index", search_folder.index]
    for arguments, message in [
        ([*given, "--timeout", "0"], "must be above 0"),
        ([*given, "--timeout", "nan"], "above 0 and finite"),
        ([*given, "--timeout", "inf"], "above 0 and finite"),
        ([*given, "--max_residues", "200001"], "--max_residues=200001 must be at most 200,000"),
        ([*given, "--labels", "a/x.tsv", "b/x.labels"], "the same name 'x'"),
        ([*given, "--port", "70000"], "cannot be used"),
        (
            ["--checkpoint", search_folder.checkpoint, "--index", str(tmp_path), "--port", "0"],
            "manifest.json is missing",
        ),
    ]:
        assert serve.main(arguments) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        serve.parse_arguments(["--checkpoint", "c"])
