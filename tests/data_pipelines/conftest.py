"""Fixtures of the data pipelines' tests."""

import pytest

from tests.support.file_server import running


@pytest.fixture
def file_server(monkeypatch):
    """A local HTTP server, asked without a proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running() as server:
        yield server
