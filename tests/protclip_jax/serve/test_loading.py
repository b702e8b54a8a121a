"""The server while it loads: every request is answered, and nobody is left before a closed door
afterwards."""

import re

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.serve import __main__ as serve
from protclip_jax.serve import server
from protclip_jax.serve.limits import Limits
from protclip_jax.serve.loading import SENTENCE, answering_loading
from tests.support.serving_process import Server, response_of


@pytest.fixture
def bound():
    with server.listening_socket("127.0.0.1", 0) as listening:
        yield listening


def address_of(bound):
    return f"http://127.0.0.1:{bound.getsockname()[1]}/"


@pytest.mark.parametrize("path", ["api/health", "health", "api/about"])
def test_programs_are_reported_in_json_when_to_try_again(bound, path):
    with answering_loading(bound, Limits(), ("127.0.0.1",)):
        response = response_of(address_of(bound) + path)
        asked = Server(None, address_of(bound), "").ask("/api/search", {"query": "zinc"})
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert response.json() == {"status": "loading", "error": SENTENCE}
    assert asked == (503, response.json())


def test_people_see_a_page_that_asks_again(bound):
    with answering_loading(bound, Limits(), ("127.0.0.1",)):
        response = response_of(address_of(bound))
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["Content-Security-Policy"] == server.CONTENT_SECURITY_POLICY
    assert SENTENCE in response.body
    assert re.search(r'http-equiv="refresh" content="5"', response.body)


def test_another_name_of_the_host_is_refused_as_later(bound):
    with answering_loading(bound, Limits(), ("lab",)):
        assert response_of(address_of(bound)).status == 400


def test_the_socket_stays_open_for_the_server_that_follows(bound):
    for _ in range(2):
        with answering_loading(bound, Limits(), None):
            assert response_of(address_of(bound)).status == 503


@pytest.mark.parametrize(
    ("failure", "code"), [(UserError("no such index"), 2), (KeyboardInterrupt(), 130)]
)
def test_the_command_answers_while_it_loads_and_says_where(monkeypatch, capsys, failure, code):
    seen = []

    def load_slowly(options):
        address = re.search(r"listening on (\S+);", capsys.readouterr().err)[1]
        seen.append(response_of(address + "health"))
        raise failure

    monkeypatch.setattr(serve, "load_engine", load_slowly)
    assert serve.main(["--checkpoint", "c", "--index", "i", "--port", "0"]) == code
    assert [response.status for response in seen] == [503]
    assert "serving on" not in capsys.readouterr().err
