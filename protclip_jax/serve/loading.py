"""Answers requests while the model is loading, as JSON or as a page."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from protclip_jax.serve import server
from protclip_jax.serve.limits import Limits

RETRY_SECONDS = 5
SENTENCE = "The server is loading the model; try again in a moment."
_HEADERS = {"Retry-After": str(RETRY_SECONDS), "Connection": "close"}
_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{RETRY_SECONDS}">
<title>Loading</title>
<p>{SENTENCE} This page reloads automatically.</p>
</html>
"""


async def loading(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI application that answers 503: JSON for /api and /health, otherwise a page."""
    path = Request(scope).url.path
    if path.startswith("/api") or path == "/health":
        content = json.dumps({"status": "loading", "error": SENTENCE})
        response = Response(content, 503, _HEADERS, "application/json")
    else:
        response = HTMLResponse(_PAGE, 503, _HEADERS)
    await response(scope, receive, send)


@contextlib.contextmanager
def answering_loading(
    bound: socket.socket, limits: Limits, hosts: tuple[str, ...] | None
) -> Iterator[None]:
    """Answers requests to a listening socket from another thread; leaves the socket open.

    Args:
      hosts: as in `create_app`.
    """
    guarded = TrustedHostMiddleware(loading, allowed_hosts=hosts, www_redirect=False)
    answering = server.configured(guarded, limits, lifespan="off")
    thread = threading.Thread(
        target=answering.run, kwargs={"sockets": [bound.dup()]}, name="loading", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        answering.should_exit = True
        thread.join()
