"""HTTP requests that tell what another try may mend from what it cannot, and the patience to try again."""

import dataclasses
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from data_pipelines.common.errors import UserError

Result = TypeVar("Result")

_BLOCK_BYTES = 1 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Statuses of a server that may answer later."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server.

    Attributes:
      timeout: seconds without a byte after which a connection is given up.
      tries: how many in a row may bring nothing new.
      wait: seconds before the second try, doubled for each further one.
      longest_wait: seconds between tries at most, also where the server asks for more.
    """

    timeout: float = 60.0
    tries: int = 8
    wait: float = 1.0
    longest_wait: float = 120.0


class Interrupted(Exception):
    """A failure that another try may mend. `wait`: seconds that the server asks for."""

    def __init__(self, reason: str, *, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


def request(url: str, *, patience: Patience, headers: Mapping[str, str] | None = None) -> http.client.HTTPResponse:
    """The answer to a GET, a context manager; its body is to be read with `read_blocks`.

    Raises:
      Interrupted: no answer, or one that may be another a little later.
      UserError: any other answer than success, or a redirection to another scheme.
    """
    sent = {"User-Agent": "protclip_jax data_pipelines.download", "Accept-Encoding": "identity"} | dict(headers or {})
    try:
        return _OPENER.open(urllib.request.Request(url, headers=sent), timeout=patience.timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _PASSING:
                after = error.headers.get("Retry-After", "")
                wait = float(after) if after.isascii() and after.isdigit() else 0.0
                raise Interrupted(f"the server answered {error.code}", wait=wait) from error
            raise UserError(
                f"{url} cannot be fetched: the server answered {error.code} ({error.reason}); check the name and --base_url."
            ) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise UserError(f"the certificate of {url} is not trusted ({error.reason}); check --base_url.") from error
        raise Interrupted(_reason(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(_reason(error)) from error


def read_blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body as it arrives. An answer without a length may end early unseen: count the bytes.

    Raises:
      Interrupted: the connection broke, or nothing came for the timeout.
    """
    try:
        while block := response.read1(_BLOCK_BYTES):
            yield block
    except http.client.IncompleteRead as error:
        if error.partial:
            yield error.partial
        raise Interrupted("the connection ended early") from error
    except (OSError, http.client.HTTPException) as error:
        raise Interrupted(_reason(error)) from error


def read_body(response: http.client.HTTPResponse, *, limit: int) -> bytes:
    """The whole body.

    Raises:
      Interrupted: as `read_blocks`, or the body is shorter than its Content-Length.
      UserError: it is longer than `limit` bytes.
    """
    body = bytearray()
    for block in read_blocks(response):
        body += block
        if len(body) > limit:
            raise UserError(f"{response.url} sends more than {limit} bytes; check --base_url.")
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and len(body) < int(length):
        raise Interrupted(f"the connection ended after {len(body)} of {length} bytes")
    return bytes(body)


def persist(attempt: Callable[[], Result], *, url: str, patience: Patience, position: Callable[[], int] = lambda: 0) -> Result:
    """What `attempt` returns, tried again after each `Interrupted`.

    `position` says how much has been received. Tries count in a row from the last one that got further than all before it,
    so that a long download survives any number of broken connections, and a server that never gets further ends it.

    Raises:
      UserError: `patience.tries` tries in a row brought nothing new.
    """
    furthest, failures = position(), 0
    while True:
        try:
            return attempt()
        except Interrupted as error:
            failures = 1 if position() > furthest else failures + 1
            furthest = max(furthest, position())
            if failures >= patience.tries:
                raise UserError(
                    f"{url} cannot be fetched ({error}) in {failures} tries; check the connection and run the same line again, "
                    "which goes on with what has come."
                ) from error
            wait = max(error.wait, patience.wait * 2 ** (failures - 1))
            time.sleep(min(wait, patience.longest_wait))


class _SameScheme(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """Follows a redirection unless it leaves http or https, so that no server weakens the connection it was asked over."""
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            fp.close()
            raise UserError(f"{req.full_url} redirects to another scheme, {newurl}; give the right one as --base_url.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SameScheme)


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server was silent for too long"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
