"""The API and the page; a route says in one sentence what is wrong with a question."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from jaxtyping import Int64
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.accession import uniprot_accession
from data_pipelines.protanno.features import feature_property
from data_pipelines.protanno.record import Feature
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.answer import Answer, Hit, as_dicts, is_confident, verdict
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.retrieval.query import Query as Question
from protclip_jax.retrieval.taxa import rows_of_taxa
from protclip_jax.serve.about import describe_engine
from protclip_jax.serve.batching import Batcher, Busy
from protclip_jax.serve.guard import require_token
from protclip_jax.serve.jobs import PROTEINS, SearchJob, TracksJob, work
from protclip_jax.serve.limits import Limits
from protclip_jax.serve.questions import (
    Mistake,
    SearchRequest,
    TracksRequest,
    find_protein,
    read_question,
    read_tracks,
)

UNIPROT = "https://www.uniprot.org/uniprotkb/{accession}/entry"
ITEM_FACTS = (
    "id",
    "entry_name",
    "name",
    "genes",
    "organism",
    "taxon",
    "existence",
    "ec",
    "go",
    "length",
    "source",
    "sequence",
)
"""What an answer on a protein tells of it beside its texts and features."""
LEFT = 499
"""The status of a request whose client has left; nobody reads it."""


def create_app(
    engine: SearchEngine,
    *,
    limits: Limits | None = None,
    hosts: tuple[str, ...] | None = None,
    token: str | None = None,
    links: str | None = UNIPROT,
    title: str = "",
    weights: str = "",
) -> FastAPI:
    """The ASGI application of an engine.

    Args:
      hosts: names that the `Host` header may have, without port; None allows any. They keep out
        pages of other sites whose name was made to point at this machine (DNS rebinding).
      token: what requests to the API must send, or None.
      links: address of a UniProt entry with `{accession}`, None for no links out.
      title: what the page calls the model.
      weights: what the page says of property weights.
    """
    limits = limits or Limits()
    batcher = Batcher(functools.partial(work, engine), limits)

    @contextlib.asynccontextmanager
    async def running(app: FastAPI):
        async with batcher:
            yield

    # The viewers of FastAPI load their scripts from elsewhere; the description itself is at
    # /openapi.json.
    app = FastAPI(
        title="ProtCLIP",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=running,
        description=API_DESCRIPTION,
        max_body_size=limits.body_bytes,
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    api = APIRouter(
        prefix="/api", dependencies=[] if token is None else [Depends(require_token(token))]
    )
    _handle_errors(app)
    app.frontend("/", directory=Path(__file__).parent / "static", fallback=None)
    about = describe_engine(engine, limits, title, weights)
    linked = functools.partial(_hit, links=links)

    @app.get("/health", include_in_schema=False)
    @app.get(
        "/api/health",
        summary="Whether the server is ready; while it loads, 503 and the status loading",
    )
    def health() -> dict:
        return {"status": "ok", "waiting": batcher.waiting}

    @api.get("/about", summary="Model, indexes, limits, what scores mean, and questions to try")
    def tell_about() -> dict:
        return about

    @api.post(
        "/search", summary="The proteins, and for a protein the labels, nearest to a question"
    )
    async def search(asked: SearchRequest, request: Request) -> Response:
        among = await run_in_threadpool(_among, asked, engine)
        question, understood, matches = await run_in_threadpool(_read, asked, engine, limits, among)
        if question.kind == "text" and engine.proteins is None:
            raise Mistake("This server has no proteins to search, only labels: paste a sequence.")
        indexes = (PROTEINS, *engine.libraries) if question.kind == "protein" else (PROTEINS,)
        job = SearchJob(question, indexes, min(asked.top, limits.top), among)
        answers = await _answered(batcher, job, request) if understood["is_asked"] else {}
        if answers is None:
            return Response(status_code=LEFT)
        proteins = answers.pop(PROTEINS, None)
        told = functools.partial(_answer, linked=linked, least=asked.min_confidence)
        return JSONResponse(
            {
                "understood": understood,
                "matches": [linked(hit) for hit in matches],
                "proteins": told(proteins, len(engine.proteins)) if proteins else None,
                "labels": {
                    name: told(answer, len(engine.libraries[name]))
                    for name, answer in answers.items()
                },
            }
        )

    @api.get("/protein", summary="What the index knows of a protein")
    def protein(id: Annotated[str, Query(max_length=1000)]) -> dict:
        return _protein(find_protein(engine, id), links)

    @api.post(
        "/tracks", summary="The weight of every residue of a protein for texts of its properties"
    )
    async def tracks(asked: TracksRequest, request: Request) -> Response:
        sequence, texts = await run_in_threadpool(read_tracks, asked, engine, limits)
        weights = await _answered(batcher, TracksJob(sequence, texts), request)
        if weights is None:
            return Response(status_code=LEFT)
        cut = await run_in_threadpool(engine.cut, list(texts.values()))
        rows = zip(texts.items(), cut, weights, strict=True)
        tracks = [
            {"property": name, "text": text, "cut": cut, "weights": row.tolist()}
            for (name, text), cut, row in rows
        ]
        return JSONResponse({"sequence": sequence, "tracks": tracks})

    app.include_router(api)
    return app


API_DESCRIPTION = (
    "Search proteins by text or sequence, describe proteins with labels, and weigh their "
    "residues. Errors are "
    '`{"error": "one sentence"}`. With a token, send `Authorization: Bearer TOKEN`. 429 says '
    "that the queue is full, "
    "and 503 that the model is being loaded: try again after `Retry-After` seconds."
    " Two errors are plain text: 413 for a body that is too large, and 400 for a host name "
    "that is not allowed."
)


def _read(
    asked: SearchRequest,
    engine: SearchEngine,
    limits: Limits,
    among: Int64[np.ndarray, " m"] | None,
) -> tuple[Question, dict, list[Hit]]:
    """The question, how it was understood, and the proteins that it names.

    Takes long for long texts, so it is called in a thread beside the event loop.

    Raises:
      Mistake: it cannot be asked, and names no protein either.
    """
    question, understood = read_question(asked, limits)
    understood |= {"cut": 0, "unknown": [], "is_asked": True}
    if question.kind == "protein":
        return question, understood, []
    found = (
        engine.matches(engine.proteins, question, min(asked.top, limits.top), among=among)
        if engine.proteins
        else []
    )
    try:
        unknown = engine.unknown_words(question.contents)
    except UserError as error:
        if not found:
            raise Mistake(str(error)) from error
        return question, understood | {"is_asked": False}, found
    return (
        question,
        understood | {"cut": sum(engine.cut(question.contents)), "unknown": unknown},
        found,
    )


def _among(asked: SearchRequest, engine: SearchEngine) -> Int64[np.ndarray, " m"] | None:
    """The rows of proteins that a question allows; None for all."""
    if not asked.taxon:
        return None
    if engine.proteins is None:
        raise Mistake("This server has no proteins; leave taxon out.")
    try:
        return rows_of_taxa(engine.proteins.items, asked.taxon, folder=engine.proteins.folder)
    except UserError as error:
        raise Mistake(str(error)) from error


async def _answered(batcher: Batcher, job: object, request: Request) -> object | None:
    """The job's result; None when the client left meanwhile, which takes the job out of the
    queue."""
    asking, leaving = asyncio.create_task(batcher.answer(job)), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await asking if asking.done() else None
    finally:
        asking.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _protein(item: Mapping, links: str | None) -> dict:
    features = [
        feature | {"property": feature_property(Feature(**feature))}
        for feature in item["features"] or ()
    ]
    shown = {key: item[key] for key in ITEM_FACTS}
    return shown | {
        "properties": item_table.property_contents(item),
        "features": features,
        "link": _link(item["id"], links),
    }


def _link(id: str, links: str | None) -> str | None:
    accession = uniprot_accession(id)
    return links.format(accession=accession) if links and accession else None


def _hit(hit: Hit, *, links: str | None) -> dict:
    (facts,) = as_dicts([hit])
    return facts | {"link": _link(hit.id, links) if hit.length is not None else None}


def _answer(answer: Answer, items: int, *, linked: Callable[[Hit], dict], least: float) -> dict:
    background = {"mean": answer.mean, "items": answer.background}
    sure = {"confident": is_confident(answer, least), "verdict": verdict(answer, least)}
    return {"hits": list(map(linked, answer.hits)), "background": background, "items": items} | sure


def _handle_errors(app: FastAPI) -> None:
    """Every error is `{"error": "one sentence"}`."""

    def error_response(status: int, sentence: str, **headers: str) -> JSONResponse:
        return JSONResponse({"error": sentence}, status_code=status, headers=headers)

    @app.exception_handler(Mistake)
    async def mistake(request: Request, error: Mistake) -> JSONResponse:
        return error_response(error.status, str(error))

    @app.exception_handler(UserError)
    async def user_error(request: Request, error: UserError) -> JSONResponse:
        return error_response(422, str(error))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        return error_response(
            429, "The server is busy; try again in a moment.", **{"Retry-After": "1"}
        )

    @app.exception_handler(TimeoutError)
    async def too_late(request: Request, error: TimeoutError) -> JSONResponse:
        return error_response(
            504, "The model took too long; try again, or ask for something shorter."
        )

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI parses only bodies that are declared to be JSON.
        if isinstance(error.body, bytes):
            return error_response(415, "send JSON, with Content-Type: application/json.")
        first = error.errors()[0]
        position = ".".join(str(part) for part in first["loc"][1:])
        return error_response(
            422,
            f"The request is malformed: {position[:100] + ': ' if position else ''}{first['msg']}.",
        )

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        return error_response(error.status_code, f"{error.detail}.", **(error.headers or {}))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return error_response(500, "The server failed at this; its log says why.")
