"""The limit of open files is raised as far as it may be."""

import resource

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.open_files import require_open_files

ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "set_to"),
    [
        ((64, 1024), (1024, 1024)),
        ((64, 1 << 20), (4096, 1 << 20)),
        ((64, ENDLESS), (4096, ENDLESS)),
        ((9999, 1 << 20), None),
        ((ENDLESS, ENDLESS), None),
        ((300, 300), None),
    ],
)
def test_the_limit_is_raised_where_it_may_be(monkeypatch, limits, set_to):
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, wanted: raised.append(wanted))
    require_open_files(256)
    assert raised == ([set_to] if set_to else [])


def test_a_limit_that_may_not_be_raised_is_reported(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64))
    with pytest.raises(
        UserError,
        match=r"256 .*64.*`ulimit -n 4096`",
    ):
        require_open_files(256)
