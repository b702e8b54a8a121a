"""The API's error answers: `{"error": "one sentence"}`, or a page for people with a dead link."""

import logging
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from data_pipelines.common.errors import UserError
from data_pipelines.common.plain_text import without_controls
from protclip_jax.serve.batching import Busy
from protclip_jax.serve.index_watch import ChangedIndex
from protclip_jax.serve.request_models import RequestError

NOT_FOUND_PAGE = Path(__file__).parent / "static" / "404.html"


class ErrorAnswer(BaseModel):
    """The reason for an error."""

    error: str = Field(description="one sentence: the cause and, if there is one, the fix")


_RETRY = {
    "headers": {
        "Retry-After": {
            "description": "seconds to wait before retrying",
            "schema": {"type": "integer"},
        }
    }
}
_JSON = {
    401: ("the token is missing or wrong", {}),
    404: ("the index has no such protein", {}),
    415: ("the body is not declared to be JSON", {}),
    422: ("the request is invalid", {}),
    429: ("the queue is full", _RETRY),
    500: ("the server failed; its log says why", {}),
    503: ("the model is loading, there are too many connections (plain text), or a file of the "
          "index was changed on disk", _RETRY),
    504: ("the model took longer than the server's limit", {}),
}  # fmt: skip
_PLAIN = {
    400: "the host name is not allowed",
    413: "the body is larger than the server accepts",
}


def error_responses(*statuses: int) -> dict[int, dict]:
    """The `responses` of a route for OpenAPI: these statuses and those that every route has."""
    plain = {
        status: {"description": _PLAIN[status], "content": {"text/plain": {}}}
        for status in _PLAIN
        if status in (400, *statuses)
    }
    chosen = sorted({503, *statuses} & set(_JSON))
    json_errors = {
        status: {"model": ErrorAnswer, "description": _JSON[status][0], **_JSON[status][1]}
        for status in chosen
    }
    return plain | json_errors


def error_response(status: int, sentence: str, **headers: str) -> JSONResponse:
    """An error in the API's format."""
    return JSONResponse(
        {"error": without_controls(sentence)}, status_code=status, headers=headers or None
    )


def handle_errors(app: FastAPI) -> None:
    """Adds handlers to an application for every error that its routes raise."""

    @app.exception_handler(RequestError)
    async def request_error(request: Request, error: RequestError) -> JSONResponse:
        return error_response(error.status, str(error))

    @app.exception_handler(UserError)
    async def user_error(request: Request, error: UserError) -> JSONResponse:
        return error_response(422, str(error))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        return error_response(
            429, "The server is busy; try again in a moment.", **{"Retry-After": "1"}
        )

    @app.exception_handler(ChangedIndex)
    async def changed(request: Request, error: ChangedIndex) -> JSONResponse:
        logging.getLogger("uvicorn.error").error(str(error))
        return error_response(503, "The index was changed on disk; restart the server.")

    @app.exception_handler(TimeoutError)
    async def too_late(request: Request, error: TimeoutError) -> JSONResponse:
        return error_response(504, "The model took too long; try again, or shorten the query.")

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI parses only bodies that are declared to be JSON.
        if isinstance(error.body, bytes):
            return error_response(415, "Send JSON with Content-Type: application/json.")
        first = error.errors()[0]
        position = ".".join(str(part) for part in first["loc"][1:])
        return error_response(
            422,
            f"The request is malformed: {position[:100] + ': ' if position else ''}{first['msg']}.",
        )

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and _is_from_browser(request):
            return HTMLResponse(NOT_FOUND_PAGE.read_text(encoding="utf-8"), 404)
        return error_response(error.status_code, f"{error.detail}.", **(error.headers or {}))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return error_response(500, "The server failed; its log says why.")


def _is_from_browser(request: Request) -> bool:
    """Whether a request comes from a person's browser and expects a page rather than JSON."""
    is_page = not request.url.path.startswith("/api/")
    return is_page and "text/html" in request.headers.get("accept", "")
