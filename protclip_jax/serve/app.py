"""The API and the page; errors in a request are explained in one sentence."""

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from jaxtyping import Int64
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from data_pipelines.common.errors import UserError
from protclip_jax.retrieval.answer import Hit
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.retrieval.query import Query as SearchQuery
from protclip_jax.retrieval.taxa import rows_of_taxa
from protclip_jax.serve.about import describe_engine
from protclip_jax.serve.answers import PlainJSON, fasta, hit_answer, index_answer, protein_answer
from protclip_jax.serve.batching import Batcher
from protclip_jax.serve.errors import error_responses, handle_errors
from protclip_jax.serve.guard import require_token
from protclip_jax.serve.index_watch import IndexWatch
from protclip_jax.serve.jobs import PROTEINS, SearchJob, TracksJob, tokens_of, work
from protclip_jax.serve.limits import Limits
from protclip_jax.serve.other_texts import OtherTexts, track_answers
from protclip_jax.serve.request_models import (
    FastaRequest,
    RequestError,
    SearchRequest,
    TracksRequest,
    find_protein,
    read_query,
    read_tracks,
)

UNIPROT = "https://www.uniprot.org/uniprotkb/{accession}/entry"
OF_THE_MODEL = (413, 415, 422, 429, 500, 504)
"""Error statuses of routes that use the model."""
CLIENT_DISCONNECTED = 499
"""The status for a request whose client has disconnected; nobody reads it."""


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
      hosts: names that the `Host` header may have, without port; None allows any. They block
        pages of other sites whose name was made to point at this machine (DNS rebinding).
      token: the token that requests to the API must send, or None.
      links: address of a UniProt entry with `{accession}`; None for no external links.
      title: name of the model on the page.
      weights: the page's text about property weights.
    """
    limits = limits or Limits()
    watch = IndexWatch.of(engine)
    batcher = Batcher(functools.partial(_watched_work, engine, watch), limits)

    @contextlib.asynccontextmanager
    async def running(app: FastAPI):
        async with batcher:
            yield

    # The viewers of FastAPI load their scripts from elsewhere; the description itself is at
    # /openapi.json.
    app = FastAPI(
        title="ProtCLIP",
        version="1",
        default_response_class=PlainJSON,
        docs_url=None,
        redoc_url=None,
        lifespan=running,
        description=API_DESCRIPTION,
        max_body_size=limits.body_bytes,
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    guards = [] if token is None else [Depends(require_token(token))]
    errors = functools.partial(error_responses, *([] if token is None else [401]))
    api = APIRouter(prefix="/api", dependencies=[*guards, Depends(watch.check)])
    handle_errors(app)
    app.frontend("/", directory=Path(__file__).parent / "static", fallback=None)
    about = describe_engine(engine, limits, title, weights)
    linked = functools.partial(hit_answer, links=links)
    other_texts = OtherTexts(engine)

    @app.get("/health", include_in_schema=False)
    @app.get(
        "/api/health",
        summary="Whether the server is ready; 503 and the status loading while it loads",
        responses=error_responses(),
    )
    def health() -> dict:
        watch.check()
        return {"status": "ok", "waiting": batcher.waiting}

    @api.get(
        "/about",
        summary="Model, indexes, limits, the meaning of scores, and example queries",
        responses=errors(),
    )
    def show_about() -> dict:
        return about

    @api.post(
        "/search",
        summary="The proteins nearest to a query, and for a protein also the nearest labels",
        responses=errors(*OF_THE_MODEL),
    )
    async def search(body: SearchRequest, request: Request) -> Response:
        among = await run_in_threadpool(_among, body, engine)
        query, understood, matches = await run_in_threadpool(_read, body, engine, limits, among)
        if query.kind == "text" and engine.proteins is None:
            raise RequestError("This server has only labels, no proteins; paste a sequence.")
        indexes = (PROTEINS, *engine.libraries) if query.kind == "protein" else (PROTEINS,)
        job = SearchJob(query, indexes, min(body.top, limits.top), among)
        tokens = await run_in_threadpool(tokens_of, engine, job)
        needs_model = understood["is_asked"]
        answers = await _answered(batcher, job, tokens, request) if needs_model else {}
        if answers is None:
            return Response(status_code=CLIENT_DISCONNECTED)
        proteins = answers.pop(PROTEINS, None)
        form = functools.partial(index_answer, linked=linked, least=body.min_confidence)
        labels = {
            name: form(answer, len(engine.libraries[name])) for name, answer in answers.items()
        }
        return PlainJSON(
            {
                "understood": understood,
                "matches": list(map(linked, matches)),
                "proteins": form(proteins, len(engine.proteins)) if proteins else None,
                "labels": labels,
            }
        )

    @api.get(
        "/protein",
        summary="A protein of the index, with texts and features",
        responses=errors(404, 422),
    )
    def protein(id: Annotated[str, Query(max_length=1000, description="id of a hit")]) -> dict:
        return protein_answer(find_protein(engine, id), links)

    @api.post(
        "/fasta",
        summary="Sequences of proteins of the index, as FASTA",
        responses=errors(404, 413, 415, 422),
    )
    def sequences(body: FastaRequest) -> dict:
        items = [find_protein(engine, id) for id in body.ids]
        missing = [item["id"] for item in items if not item["sequence"]]
        return {"fasta": fasta(item for item in items if item["sequence"]), "missing": missing}

    @api.post(
        "/tracks",
        summary="The weights of a protein's residues for texts about its properties",
        responses=errors(404, *OF_THE_MODEL),
    )
    async def tracks(body: TracksRequest, request: Request) -> Response:
        sequence, texts = await run_in_threadpool(read_tracks, body, engine, limits)
        job = TracksJob(sequence, texts)
        tokens = await run_in_threadpool(tokens_of, engine, job)
        weights = await _answered(batcher, job, tokens, request)
        if weights is None:
            return Response(status_code=CLIENT_DISCONNECTED)
        comparing = await run_in_threadpool(other_texts.job, sequence, texts, body.others)
        tokens = await run_in_threadpool(tokens_of, engine, comparing) if comparing else 0
        contrasts = await _answered(batcher, comparing, tokens, request) if comparing else {}
        if contrasts is None:
            return Response(status_code=CLIENT_DISCONNECTED)
        cut = await run_in_threadpool(engine.cut, list(texts.values()))
        tracks = track_answers(texts, cut, weights, contrasts)
        return PlainJSON({"sequence": sequence, "tracks": tracks})

    app.include_router(api)
    return app


API_DESCRIPTION = (
    "Search for proteins by text or sequence, describe proteins with labels, and compute the "
    'weights of their residues. Errors are `{"error": "one sentence"}`, except for two in plain '
    "text: 413 for a body that is too large, and 400 for a host name that is not allowed. If the "
    "server requires a token, send `Authorization: Bearer TOKEN`. After 429 (the queue is full) "
    "and 503 (the model is loading), retry in `Retry-After` seconds."
)


def _read(
    body: SearchRequest,
    engine: SearchEngine,
    limits: Limits,
    among: Int64[np.ndarray, " m"] | None,
) -> tuple[SearchQuery, dict, list[Hit]]:
    """Parses a query; returns it, how it was understood, and the proteins that it names.

    This is slow for long texts, so it runs in a thread outside the event loop.

    Raises:
      RequestError: the query is invalid and names no protein either.
    """
    query, understood = read_query(body, limits)
    understood |= {"cut": 0, "unknown": [], "is_asked": True}
    if query.kind == "protein":
        return query, understood, []
    found = (
        engine.matches(engine.proteins, query, min(body.top, limits.top), among=among)
        if engine.proteins
        else []
    )
    try:
        unknown = engine.unknown_words(query.contents)
    except UserError as error:
        if not found:
            raise RequestError(str(error)) from error
        return query, understood | {"is_asked": False}, found
    understood |= {"cut": sum(engine.cut(query.contents)), "unknown": unknown}
    return query, understood, found


def _among(body: SearchRequest, engine: SearchEngine) -> Int64[np.ndarray, " m"] | None:
    """The rows of proteins that a request allows; None for all."""
    if not body.taxon:
        return None
    if engine.proteins is None:
        raise RequestError("This server has no proteins; omit taxon.")
    try:
        return rows_of_taxa(engine.proteins.items, body.taxon, folder=engine.proteins.folder)
    except UserError as error:
        raise RequestError(str(error)) from error


def _watched_work(
    engine: SearchEngine, watch: IndexWatch, jobs: Sequence[SearchJob | TracksJob]
) -> list:
    """Runs `work`, unless a file that it reads was changed while the jobs waited."""
    watch.check()
    return work(engine, jobs)


async def _answered(batcher: Batcher, job: object, tokens: int, request: Request) -> object | None:
    """The job's result, or None if the client disconnects first, which cancels the job."""
    answer = asyncio.create_task(batcher.answer(job, tokens))
    disconnection = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({answer, disconnection}, return_when=asyncio.FIRST_COMPLETED)
        return await answer if answer.done() else None
    finally:
        answer.cancel()
        disconnection.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
