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
from protclip_jax.retrieval.query import Query as Question
from protclip_jax.retrieval.taxa import rows_of_taxa
from protclip_jax.serve.about import describe_engine
from protclip_jax.serve.answers import PlainJSON, fasta, hit_answer, index_answer, protein_answer
from protclip_jax.serve.batching import Batcher
from protclip_jax.serve.errors import described, handle_errors
from protclip_jax.serve.guard import require_token
from protclip_jax.serve.index_watch import IndexWatch
from protclip_jax.serve.jobs import PROTEINS, SearchJob, TracksJob, tokens_of, work
from protclip_jax.serve.limits import Limits
from protclip_jax.serve.other_texts import OtherTexts, track_answers
from protclip_jax.serve.questions import (
    FastaRequest,
    Mistake,
    SearchRequest,
    TracksRequest,
    find_protein,
    read_question,
    read_tracks,
)

UNIPROT = "https://www.uniprot.org/uniprotkb/{accession}/entry"
OF_THE_MODEL = (413, 415, 422, 429, 500, 504)
"""Error statuses of routes that use the model."""
LEFT = 499
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
      hosts: names that the `Host` header may have, without port; None allows any. They keep out
        pages of other sites whose name was made to point at this machine (DNS rebinding).
      token: what requests to the API must send, or None.
      links: address of a UniProt entry with `{accession}`, None for no links out.
      title: what the page calls the model.
      weights: what the page says of property weights.
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
    told = functools.partial(described, *([] if token is None else [401]))
    api = APIRouter(prefix="/api", dependencies=[*guards, Depends(watch.check)])
    handle_errors(app)
    app.frontend("/", directory=Path(__file__).parent / "static", fallback=None)
    about = describe_engine(engine, limits, title, weights)
    linked = functools.partial(hit_answer, links=links)
    other_texts = OtherTexts(engine)

    @app.get("/health", include_in_schema=False)
    @app.get(
        "/api/health",
        summary="Whether the server is ready; while it loads, 503 and the status loading",
        responses=described(),
    )
    def health() -> dict:
        watch.check()
        return {"status": "ok", "waiting": batcher.waiting}

    @api.get(
        "/about",
        summary="Model, indexes, limits, what scores mean, and questions to try",
        responses=told(),
    )
    def tell_about() -> dict:
        return about

    @api.post(
        "/search",
        summary="The proteins, and for a protein the labels, nearest to a question",
        responses=told(*OF_THE_MODEL),
    )
    async def search(asked: SearchRequest, request: Request) -> Response:
        among = await run_in_threadpool(_among, asked, engine)
        question, understood, matches = await run_in_threadpool(_read, asked, engine, limits, among)
        if question.kind == "text" and engine.proteins is None:
            raise Mistake("This server has no proteins to search, only labels: paste a sequence.")
        indexes = (PROTEINS, *engine.libraries) if question.kind == "protein" else (PROTEINS,)
        job = SearchJob(question, indexes, min(asked.top, limits.top), among)
        tokens = await run_in_threadpool(tokens_of, engine, job)
        asked_model = understood["is_asked"]
        answers = await _answered(batcher, job, tokens, request) if asked_model else {}
        if answers is None:
            return Response(status_code=LEFT)
        proteins = answers.pop(PROTEINS, None)
        form = functools.partial(index_answer, linked=linked, least=asked.min_confidence)
        return PlainJSON(
            {
                "understood": understood,
                "matches": [linked(hit) for hit in matches],
                "proteins": form(proteins, len(engine.proteins)) if proteins else None,
                "labels": {
                    name: form(answer, len(engine.libraries[name]))
                    for name, answer in answers.items()
                },
            }
        )

    @api.get("/protein", summary="What the index knows of a protein", responses=told(404, 422))
    def protein(id: Annotated[str, Query(max_length=1000, description="as hits have it")]) -> dict:
        return protein_answer(find_protein(engine, id), links)

    @api.post(
        "/fasta",
        summary="Sequences of proteins of the index, as FASTA",
        responses=told(404, 413, 415, 422),
    )
    def sequences(asked: FastaRequest) -> dict:
        items = [find_protein(engine, id) for id in asked.ids]
        missing = [item["id"] for item in items if not item["sequence"]]
        return {"fasta": fasta(item for item in items if item["sequence"]), "missing": missing}

    @api.post(
        "/tracks",
        summary="The weight of every residue of a protein for texts of its properties",
        responses=told(404, *OF_THE_MODEL),
    )
    async def tracks(asked: TracksRequest, request: Request) -> Response:
        sequence, texts = await run_in_threadpool(read_tracks, asked, engine, limits)
        job = TracksJob(sequence, texts)
        tokens = await run_in_threadpool(tokens_of, engine, job)
        weights = await _answered(batcher, job, tokens, request)
        if weights is None:
            return Response(status_code=LEFT)
        comparing = await run_in_threadpool(other_texts.job, sequence, texts, asked.others)
        tokens = await run_in_threadpool(tokens_of, engine, comparing) if comparing else 0
        contrasts = await _answered(batcher, comparing, tokens, request) if comparing else {}
        if contrasts is None:
            return Response(status_code=LEFT)
        cut = await run_in_threadpool(engine.cut, list(texts.values()))
        tracks = track_answers(texts, cut, weights, contrasts)
        return PlainJSON({"sequence": sequence, "tracks": tracks})

    app.include_router(api)
    return app


API_DESCRIPTION = (
    "Search proteins by text or sequence, describe proteins with labels, and weigh their "
    'residues. Errors are `{"error": "one sentence"}`, but for two in plain text: 413 for a body '
    "that is too large and 400 for a host name that is not allowed. With a token, send "
    "`Authorization: Bearer TOKEN`. After 429 (the queue is full) and 503 (the model is being "
    "loaded) try again in `Retry-After` seconds."
)


def _read(
    asked: SearchRequest,
    engine: SearchEngine,
    limits: Limits,
    among: Int64[np.ndarray, " m"] | None,
) -> tuple[Question, dict, list[Hit]]:
    """Parses a question; returns it, how it was understood, and the proteins that it names.

    This is slow for long texts, so it runs in a thread outside the event loop.

    Raises:
      Mistake: the question is invalid and names no protein either.
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


def _watched_work(
    engine: SearchEngine, watch: IndexWatch, jobs: Sequence[SearchJob | TracksJob]
) -> list:
    """Runs `work`, unless a file that it reads was changed while the jobs waited."""
    watch.check()
    return work(engine, jobs)


async def _answered(batcher: Batcher, job: object, tokens: int, request: Request) -> object | None:
    """The job's result, or None if the client disconnects first, which cancels the job."""
    asking, leaving = (
        asyncio.create_task(batcher.answer(job, tokens)),
        asyncio.create_task(_left(request)),
    )
    try:
        await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await asking if asking.done() else None
    finally:
        asking.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
