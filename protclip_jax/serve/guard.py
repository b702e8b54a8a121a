"""What every request passes before anything reads it: where it comes from, its token, its size, and how fast it arrives."""

import asyncio
import hmac
import json
from collections.abc import Callable, Iterable

from protclip_jax.serve.limits import Limits

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
API, OPEN = "/api/", ("/api/health",)
"""The token guards what begins with `API` but is not `OPEN`: the page itself holds no data."""


class Refusal(Exception):
    """A request that is not taken: the status and a sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Guard:
    """ASGI middleware around an application.

    Args:
      hosts: names that the `Host` header may have, without port; None allows any. A page of another site whose name is made
        to point at this machine (DNS rebinding) is refused by it.
      token: what `Authorization: Bearer` must give, or None.
    """

    def __init__(self, app: Callable, *, limits: Limits, hosts: Iterable[str] | None, token: str | None):
        self._app, self._limits, self._token = app, limits, token
        self._hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send, private=scope["path"].startswith(API))
        try:
            self._check(scope)
            receive = await self._read(scope, receive)
        except Refusal as refusal:
            await refuse(send, refusal)
            return
        await self._app(scope, receive, send)

    def _check(self, scope) -> None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self._hosts is not None and name.lower() not in self._hosts:
            raise Refusal(421, "this server does not answer under that name; start it with --allowed_hosts NAME.")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host:
            raise Refusal(403, "pages of other sites may not ask this server.")
        path = scope["path"]
        if self._token is not None and path.startswith(API) and path not in OPEN:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            # Compared in constant time, so that the time it takes tells nothing of the token.
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token.encode()):
                raise Refusal(401, "the token is missing or wrong; open the address that the server printed when it started.")
        if scope["method"] == "POST":
            kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            if kind != b"application/json":
                raise Refusal(415, "send JSON, with Content-Type: application/json.")
            length = headers.get(b"content-length", b"0")
            if not length.isdigit() or int(length) > self._limits.body_bytes:
                raise self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the request has more than {self._limits.body_bytes:,} bytes.")

    async def _read(self, scope, receive) -> Callable:
        """Reads the body; returns a `receive` that gives it, and then whatever the connection says."""
        if scope["method"] != "POST":
            return receive
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        break
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self._limits.body_bytes:
                        raise self._too_large()
        except TimeoutError as error:
            raise Refusal(408, "the request took too long to arrive.") from error
        whole = {"type": "http.request", "body": bytes(body), "more_body": False}
        messages = iter([whole])

        async def replay():
            return next(messages, None) or await receive()

        return replay


def _with_headers(send: Callable, *, private: bool) -> Callable:
    extra = [*HEADERS, (b"cache-control", b"no-store" if private else b"no-cache")]

    async def sending(message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return sending


async def refuse(send: Callable, refusal: Refusal) -> None:
    """Sends the refusal as the API's errors are sent, and closes the connection."""
    body = json.dumps({"error": refusal.sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    headers += [(b"www-authenticate", b"Bearer")] if refusal.status == 401 else []
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
