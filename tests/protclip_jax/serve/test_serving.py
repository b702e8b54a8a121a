"""The API in-process: what it answers, what it refuses, and in which words."""

import asyncio
import json
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow
import pytest

from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.record import property_texts
from eval.metrics.statistics import auroc
from eval.pretraining.segment_localisation import OWN, SegmentLocalisation, find_cases
from protclip_jax.explain.other_texts import index_texts, others_of
from protclip_jax.retrieval import SearchEngine, item_table
from protclip_jax.retrieval.index_folder import Index
from protclip_jax.retrieval.query import Query
from protclip_jax.retrieval.vector_parts import VectorParts
from protclip_jax.serve import request_models
from protclip_jax.serve.about import examples
from protclip_jax.serve.app import create_app
from protclip_jax.serve.jobs import SearchJob, TracksJob, tokens_of
from protclip_jax.serve.limits import Limits
from tests.support.api_client import client_of, exchange, post


@pytest.fixture(scope="module")
def split(sample_dataset):
    return list(open_dataset(sample_dataset / "protanno").splits["test"])


@pytest.fixture(scope="module")
def app(engine):
    return create_app(engine, hosts=("localhost",), title="tiny", weights="Not measured.")


def test_a_text_is_answered_with_the_engines_hits(app, engine):
    (response,) = exchange(app, post("/api/search", {"query": "abc fed", "top": 5}))
    assert response.status_code == 200
    answer = response.json()
    assert answer["understood"] == {
        "kind": "text",
        "asked": ["PROTEIN NAME: abc fed"],
        "cut": 0,
        "unknown": [],
        "is_asked": True,
    }
    hits = engine.ask_texts(["PROTEIN NAME: abc fed"], top=5)
    ids = [hit.id for hit in hits]
    assert [hit["id"] for hit in answer["proteins"]["hits"]] == ids
    found = [(hit["margin"], hit["q_value"]) for hit in answer["proteins"]["hits"]]
    np.testing.assert_allclose(found, [(hit.margin, hit.q_value) for hit in hits], atol=1e-4)
    assert answer["labels"] == {}
    assert answer["proteins"]["items"] == len(engine.proteins)


def test_what_is_doubtful_of_a_question_is_in_the_answer(app):
    gene, half, unknown = exchange(
        app,
        post("/api/search", {"query": "ACGT" * 10}),
        post("/api/search", {"query": "protein \u03b2"}),
        post("/api/search", {"query": "\u4e2d \u03b2"}),
    )
    assert gene.json()["understood"]["doubt"] == "nucleotides"
    assert half.json()["understood"]["unknown"] == ["\u03b2"]
    assert unknown.status_code == 422
    assert "vocabulary has none of" in unknown.text


def test_a_sequence_is_told_from_text_and_described_too(app, split):
    record = split[0]
    responses = exchange(
        app,
        post("/api/search", {"query": record.sequence}),
        post(
            "/api/search", {"query": f">me\n{record.sequence[:9].lower()}\n{record.sequence[9:]}"}
        ),
        post("/api/search", {"query": record.sequence, "kind": "text"}),
        post("/api/search", {"query": ["abc", "FUNCTION: fed"], "verbatim": True}),
        post("/api/search", {"query": "> a\n> b", "kind": "text"}),
    )
    bare, fasta, text, prompts, quoted = [response.json() for response in responses]
    assert bare["understood"]["kind"] == fasta["understood"]["kind"] == "protein"
    assert bare["proteins"]["hits"][0]["id"] == record.accession
    assert fasta["understood"] == {
        "kind": "protein",
        "name": "me",
        "sequence": record.sequence,
        "changes": {"lower case letters": 9},
        "cut": 0,
        "doubt": "",
        "unknown": [],
        "is_asked": True,
    }
    assert len(bare["labels"]["places"]["hits"]) == 3
    assert text["understood"]["kind"] == "text"
    assert prompts["understood"]["asked"] == ["abc", "FUNCTION: fed"]
    assert quoted["understood"]["asked"] == ["PROTEIN NAME: > a\n> b"]


def test_a_protein_without_a_name_is_no_question_to_try():
    items = [
        item_table.protein_item(id, name=name, source="x")
        for id, name in [("a", ""), ("b", "kinase")]
    ]
    rows = [item | {"function": "binds"} for item in items]
    table = pyarrow.Table.from_batches(
        [item_table.record_batch(rows, item_table.SCHEMAS["protein"])]
    )
    vectors = VectorParts([np.eye(2, dtype=np.float32)])
    assert examples(Index(Path("i"), {}, vectors, table, vectors.parts[0], None)) == [
        {"label": "kinase", "query": "kinase"}
    ]


def test_a_protein_tells_what_the_index_knows(app, split):
    record = next(record for record in split if record.features and record.function)
    known, unknown = exchange(
        app,
        ("GET", "/api/protein", {"params": {"id": record.accession}}),
        ("GET", "/api/protein", {"params": {"id": "../../etc"}}),
    )
    protein = known.json()
    assert protein["sequence"] == record.sequence
    assert protein["properties"]["name"] == record.name
    assert len(protein["features"]) == len(record.features)
    assert protein["link"] == f"https://www.uniprot.org/uniprotkb/{record.accession}/entry"
    assert unknown.status_code == 404
    assert unknown.json() == {"error": "The index has no protein ../../etc."}


def test_tracks_stand_beside_those_for_other_texts_of_the_index(app, engine):
    properties = {"function": "abc def.", "location": "fed."}
    body = {"sequence": "MKTAYIAKQRQISF", "properties": properties, "others": 20}
    alone = {name: value for name, value in body.items() if name != "others"}
    answer, without = (
        response.json()["tracks"]
        for response in exchange(app, post("/api/tracks", body), post("/api/tracks", alone))
    )
    own = {name: track["text"] for name, track in zip(properties, answer, strict=True)}
    others = others_of(own, index_texts(engine.proteins.items), 20)
    found = engine.model.segment_contrasts("MKTAYIAKQRQISF", own, others)
    for track in answer:
        contrast = track.pop("contrast")
        assert (contrast["others"], contrast["window"]) == (20, 1)
        for part in ("difference", "low", "high"):
            np.testing.assert_allclose(
                contrast[part], getattr(found[track["property"]], part), atol=1e-6
            )
    assert answer == without


def test_tracks_are_the_models_and_measure_as_the_evaluation_does(
    app, engine, sample_dataset, split
):
    cases = find_cases(split)[:12]
    responses = exchange(
        app,
        *(
            post("/api/tracks", {"id": case.record.accession, "properties": case.texts})
            for case in cases
        ),
    )
    measured = {}
    for case, response in zip(cases, responses, strict=True):
        answer = response.json()
        assert answer["sequence"] == case.record.sequence
        expected = engine.model.segments(case.record.sequence, case.texts)
        for track, row in zip(answer["tracks"], expected, strict=True):
            assert track["text"] == case.texts[track["property"]]
            np.testing.assert_allclose(track["weights"], row, atol=1e-6)
            measured.setdefault(track["property"], []).append(
                auroc(np.array(track["weights"]), case.truth[track["property"]])
            )
    evaluation = SegmentLocalisation(
        open_dataset(sample_dataset / "protanno"), split="test", pool=2
    )
    evaluation._cases = cases
    for name, values in evaluation._aurocs(engine.model, OWN).items():
        np.testing.assert_allclose(np.mean(measured[name]), np.mean(values), atol=2e-3)


def test_texts_that_are_longer_than_the_model_reads_are_reported(app, split):
    record = next(record for record in split if record.function)
    properties = {"name": "short", "function": "many words " * 50}
    (response,) = exchange(
        app, post("/api/tracks", {"id": record.accession, "properties": properties})
    )
    assert {track["property"]: track["cut"] for track in response.json()["tracks"]} == {
        "name": False,
        "function": True,
    }
    answers = exchange(
        app, *(post("/api/search", {"query": query}) for query in properties.values())
    )
    assert [answer.json()["understood"]["cut"] for answer in answers] == [0, 1]


def test_a_prefix_is_added_where_it_is_missing_and_a_pasted_sequence_serves(app, split):
    record = next(record for record in split if record.function)
    texts = property_texts(record)
    first, second = exchange(
        app,
        post(
            "/api/tracks",
            {
                "sequence": record.sequence.lower(),
                "properties": {"function": texts["function"].partition(": ")[2]},
            },
        ),
        post(
            "/api/tracks",
            {"id": record.accession, "properties": {"function": texts["function"], "name": "  "}},
        ),
    )
    assert first.json() == second.json()
    assert [track["text"] for track in first.json()["tracks"]] == [texts["function"]]


MISTAKES = {
    "empty": ({"query": "  "}, 422, "The query is empty"),
    "digits": ({"query": ">a\nMK1"}, 422, "'1' at position 3"),
    "several records": ({"query": ">a\nMK\n>b\nMK"}, 422, "several FASTA records"),
    "long text": ({"query": "word " * 900}, 422, "at most 4,000"),
    "long protein": ({"query": "ACDEFGHIKL" * 501}, 422, "at most 5,000"),
    "many prompts": ({"query": ["a"] * 17}, 422, "at most 16"),
    "averaged proteins": ({"query": ["MK", "MV"], "kind": "protein"}, 422, "one protein at a time"),
    "no field": ({}, 422, "query: Field required"),
    "another field": ({"query": "a", "path": "/etc/passwd"}, 422, "path: Extra inputs"),
    "another type": ({"query": {"a": 1}}, 422, "malformed"),
    "no number": ({"query": "a", "top": "many"}, 422, "top: "),
    "negative": ({"query": "a", "top": -1}, 422, "top: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(app, mistake):
    body, status, sentence = MISTAKES[mistake]
    (response,) = exchange(app, post("/api/search", body))
    assert (response.status_code, list(response.json())) == (status, ["error"])
    assert sentence in response.json()["error"]


def test_a_body_has_room_for_the_longest_protein(engine):
    limits = Limits(residues=100_000)
    fasta = ">a\n" + "\n".join(["ACDEFGHIKL" * 6] * 1667)
    body = {"sequence": fasta, "properties": {"function": "x" * limits.text_letters}}
    assert len(json.dumps(body)) < limits.body_bytes
    (response,) = exchange(create_app(engine, limits=limits), post("/api/search", {"query": fasta}))
    assert response.status_code == 422
    assert "has 100,020 residues; this server accepts at most 100,000" in response.json()["error"]


TRACK_MISTAKES = {
    "nobody": (
        {"properties": {"name": "x"}},
        "the id of a protein of the index or a sequence",
    ),
    "both": ({"id": "a", "sequence": "MK", "properties": {"name": "x"}}, "Give either the id"),
    "no text": ({"sequence": "MK", "properties": {"name": "PROTEIN NAME: "}}, "no property text"),
    "another property": ({"sequence": "MK", "properties": {"smell": "x"}}, "malformed"),
    "unknown": ({"id": "nobody", "properties": {"name": "x"}}, "has no protein nobody"),
    "no protein": (
        {"sequence": "M K 1", "properties": {"name": "x"}},
        "not a valid protein sequence",
    ),
}


@pytest.mark.parametrize("mistake", TRACK_MISTAKES)
def test_a_mistake_with_tracks_is_one_sentence(app, mistake):
    body, sentence = TRACK_MISTAKES[mistake]
    (response,) = exchange(app, post("/api/tracks", body))
    assert response.status_code in (404, 422)
    assert sentence in response.json()["error"]


BODIES = {
    "no JSON": b'{"query": ',
    "deep": b"[" * 60_000,
    "a surrogate": b'{"query": "\\ud800 binds"}',
    "no UTF-8": b'{"query": "\xff\xfe"}',
    "nothing": b"",
    "a number": b"3",
    "NaN": b'{"query": "a", "top": NaN}',
}


@pytest.mark.parametrize("body", BODIES)
def test_malformed_bodies_are_refused_in_a_sentence(app, body):
    (response,) = exchange(
        app,
        (
            "POST",
            "/api/search",
            {"content": BODIES[body], "headers": {"content-type": "application/json"}},
        ),
    )
    assert 400 <= response.status_code < 500
    assert list(response.json()) == ["error"]


def test_requests_from_elsewhere_are_refused(app):
    body = json.dumps({"query": "a"}).encode()
    typed = {"content-type": "application/json"}
    cases = [
        (("GET", "/", {"headers": {"host": "evil.example"}}), 400),
        (("GET", "/", {"headers": {"host": "localhost.evil.example:80"}}), 400),
        (("GET", "/", {"headers": {"host": ""}}), 400),
        (("GET", "/api/health", {"headers": {"host": "evil.example"}}), 400),
        (("GET", "/api/health", {"headers": {"host": "LocalHost:8000"}}), 200),
        (
            ("POST", "/api/search", {"content": body, "headers": {"content-type": "text/plain"}}),
            415,
        ),
        (("POST", "/api/search", {"content": body}), 415),
        (
            (
                "POST",
                "/api/search",
                {"content": body, "headers": typed | {"origin": "http://localhost"}},
            ),
            200,
        ),
        (
            (
                "POST",
                "/api/search",
                {"content": b" " * (Limits().body_bytes + 1), "headers": typed},
            ),
            413,
        ),
        (("DELETE", "/api/search", {}), 405),
        (("GET", "/docs", {}), 404),
    ]
    responses = exchange(app, *(request for request, _ in cases))
    statuses = [status for _, status in cases]
    assert [response.status_code for response in responses] == statuses
    sentences = [
        response.json() for response in responses if response.status_code in (404, 405, 415)
    ]
    assert [list(sentence) for sentence in sentences] == [["error"]] * 4


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_browsers_get_no_leave_to_ask_for_pages_of_other_sites(app, origin):
    asking = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    preflight, answer = exchange(
        app,
        ("OPTIONS", "/api/search", {"headers": asking}),
        post("/api/search", {"query": "a"}, headers={"origin": origin}),
    )
    assert preflight.status_code == 405
    assert not [
        name
        for response in (preflight, answer)
        for name in response.headers
        if name.startswith("access-control-")
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/static/../app.py",
        "//etc/passwd",
        "/app.js%00.html",
    ],
)
def test_no_path_leads_to_a_file(app, path):
    (response,) = exchange(app, ("GET", f"http://localhost{path}", {}))
    assert response.status_code == 404


def test_pages_need_nothing_from_elsewhere(app):
    names = (
        "/",
        "/app.js",
        "/style.css",
        "/results.js",
        "/tracks.js",
        "/protein.js",
        "/api.js",
        "/dom.js",
        "/batch.js",
        "/files.js",
        "/api.html",
        "/describe.js",
        "/404.html",
        "/icon.svg",
    )
    for response in exchange(app, *(("GET", name, {}) for name in names)):
        assert response.status_code == 200
        assert "innerHTML" not in response.text
        outside = response.text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in outside
        assert "https://" not in outside


def test_the_api_describes_itself(app):
    about, openapi, health = exchange(
        app, ("GET", "/api/about", {}), ("GET", "/openapi.json", {}), ("GET", "/api/health", {})
    )
    assert set(openapi.json()["paths"]) == {
        "/api/health",
        "/api/about",
        "/api/search",
        "/api/protein",
        "/api/tracks",
        "/api/fasta",
    }
    assert about.json()["labels"] == {"places": 3}
    assert len(about.json()["examples"]) >= 2
    assert "held-out query" in about.json()["score"]
    assert about.json()["weights"] == "Not measured."
    assert health.json() == {"status": "ok", "waiting": 0}
    assert exchange(app, ("GET", "/health", {}))[0].json() == health.json()


def test_with_a_token_the_api_is_closed_and_the_page_open(engine):
    guarded = create_app(engine, hosts=None, token="secret-token")
    bearer = {"authorization": "Bearer secret-token"}
    cases = [
        ("/api/about", {}, 401),
        ("/api/about", {"authorization": "Bearer secret-toke"}, 401),
        ("/api/about", {"authorization": "Basic secret-token"}, 401),
        ("/api/about", {"authorization": "Bearer secr\u00e9t"}, 401),
        ("/api/about", bearer, 200),
        ("/api/protein?id=x", {}, 401),
        ("/", {}, 200),
        ("/api/health", {}, 200),
    ]
    requests = []
    for path, headers, _ in cases:
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        requests.append(("GET", path, {"headers": encoded}))
    responses = exchange(guarded, *requests)
    statuses = [status for *_, status in cases]
    assert [response.status_code for response in responses] == statuses
    assert "the token is missing or wrong" in responses[0].json()["error"]
    assert responses[0].headers["www-authenticate"] == "Bearer"


def test_a_failing_model_is_a_sentence_without_insides(engine, monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(engine, "embed", fail)
    (response,) = exchange(create_app(engine), post("/api/search", {"query": "abc"}))
    assert response.status_code == 500
    assert "/secret" not in response.text


@pytest.mark.parametrize(
    ("module", "name", "path", "body"),
    [
        (item_table, "row_of", "/api/tracks", {"id": "nobody", "properties": {"name": "x"}}),
        (request_models, "understand", "/api/search", {"query": "abc"}),
        (SearchEngine, "cut", "/api/search", {"query": "abc"}),
    ],
)
def test_a_question_that_takes_long_to_read_holds_up_nobody(
    engine, monkeypatch, module, name, path, body
):
    begun, go, was_told = threading.Event(), threading.Event(), []
    whole = getattr(module, name)

    def slowly(*arguments):
        begun.set()
        was_told.append(go.wait(10))
        return whole(*arguments)

    monkeypatch.setattr(module, name, slowly)

    async def run():
        async with client_of(create_app(engine)) as client:
            asking = asyncio.create_task(client.post(path, json=body))
            await asyncio.to_thread(begun.wait, 20)
            assert (await client.get("/api/about")).status_code == 200
            go.set()
            await asking

    asyncio.run(run())
    # Had it held up the other request, nobody would have told it to go on.
    assert was_told
    assert all(was_told)


def test_a_client_that_leaves_ends_its_request(engine, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    embed = engine.embed

    def slowly(queries):
        begun.set()
        go.wait(10)
        return embed(queries)

    monkeypatch.setattr(engine, "embed", slowly)
    app = create_app(engine, limits=Limits(seconds=30))

    async def run():
        async with client_of(app) as client:
            leave = asyncio.Event()
            body = json.dumps({"query": "abc"}).encode()
            messages = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def receive():
                if message := next(messages, None):
                    return message
                await leave.wait()
                return {"type": "http.disconnect"}

            sent = []

            async def send(message):
                sent.append(message)

            headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/api/search",
                "headers": headers,
                "query_string": b"",
            }
            scope |= {
                "http_version": "1.1",
                "raw_path": b"/api/search",
                "scheme": "http",
                "root_path": "",
                "asgi": {"version": "3.0"},
            }
            request = asyncio.create_task(app(scope, receive, send))
            while not begun.is_set():
                await asyncio.sleep(0.01)
            start = time.perf_counter()
            leave.set()
            await request
            assert time.perf_counter() - start < 5
            go.set()
            return sent[0]["status"], (await client.get("/api/health")).status_code

    assert asyncio.run(run()) == (499, 200)


def test_the_description_names_the_errors_that_are_answered(app, engine):
    (openapi,) = exchange(app, ("GET", "/openapi.json", {}))
    paths, error = openapi.json()["paths"], openapi.json()["components"]["schemas"]["ErrorAnswer"]
    assert list(error["properties"]) == ["error"]
    assert "HTTPValidationError" not in openapi.text
    search = paths["/api/search"]["post"]["responses"]
    assert set(search) == {"200", "400", "413", "415", "422", "429", "500", "503", "504"}
    assert "Retry-After" in search["429"]["headers"]
    assert list(search["413"]["content"]) == ["text/plain"]
    assert search["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorAnswer")
    assert "404" in paths["/api/protein"]["get"]["responses"]
    assert "401" not in search
    (guarded,) = exchange(create_app(engine, token="secret"), ("GET", "/openapi.json", {}))
    assert "401" in guarded.json()["paths"]["/api/search"]["post"]["responses"]


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("name", "PROTEIN NAME: abc fed"),
        ("function", "FUNCTION: abc fed"),
        ("location", "SUBCELLULAR LOCATION: abc fed"),
        ("similarity", "SIMILARITY: abc fed"),
    ],
)
def test_a_text_is_read_as_the_property_that_is_chosen(app, kind, asked):
    chosen, typed = exchange(
        app,
        post("/api/search", {"query": "abc fed", "kind": kind, "top": 3}),
        post("/api/search", {"query": asked, "top": 3}),
    )
    assert chosen.json()["understood"]["asked"] == [asked]
    assert chosen.json()["proteins"] == typed.json()["proteins"]


def test_only_a_name_is_looked_up(app, split):
    id = split[0].accession
    kinds = ("auto", "name", "function")
    answers = exchange(app, *(post("/api/search", {"query": id, "kind": kind}) for kind in kinds))
    matched = []
    for answer in answers:
        matched.append([hit["id"] for hit in answer.json().get("matches", ())][:1])
    assert matched == [[id], [id], []]


def test_proteins_come_as_fasta(app, split):
    first, second = split[:2]
    known, unknown, none = exchange(
        app,
        post("/api/fasta", {"ids": [second.accession, "nasty", first.accession]}),
        post("/api/fasta", {"ids": [first.accession, "nobody"]}),
        post("/api/fasta", {"ids": []}),
    )
    assert known.json()["missing"] == []
    records = known.json()["fasta"].removeprefix(">").split("\n>")
    heads = [record.partition("\n")[0] for record in records]
    assert [head.split()[0] for head in heads] == [second.accession, "nasty", first.accession]
    assert heads[0].endswith(f"OS={second.organism} OX={second.taxon}")
    assert records[2].partition("\n")[2].replace("\n", "") == first.sequence
    assert max(map(len, records[2].splitlines()[1:])) <= 60
    assert (unknown.status_code, none.status_code) == (404, 422)


def test_characters_that_a_terminal_acts_on_do_not_leave(app):
    escape = "\x1b[31m"
    answers = exchange(
        app,
        post("/api/search", {"query": f"abc {escape}fed"}),
        ("GET", "/api/protein", {"params": {"id": f"x{escape}\x9b"}}),
        post("/api/search", {"query": f">a{escape}\nMK1"}),
    )
    for answer in answers:
        found = str(answer.json())
        assert "\\x1b" not in found
        assert "\\x9b" not in found
        assert "[31m" in found or "position" in found


def test_people_get_a_page_where_there_is_none_and_programs_a_sentence(app):
    browser = {"headers": {"accept": "text/html,*/*;q=0.8"}}
    page, sentence, api = exchange(
        app, ("GET", "/nowhere", browser), ("GET", "/nowhere", {}), ("GET", "/api/nowhere", browser)
    )
    assert [answer.status_code for answer in (page, sentence, api)] == [404] * 3
    assert page.headers["content-type"].startswith("text/html")
    assert "Page not found" in page.text
    assert list(sentence.json()) == list(api.json()) == ["error"]


def test_the_page_proposes_organisms_that_the_index_has(app, engine):
    (about,) = exchange(app, ("GET", "/api/about", {}))
    rows = engine.proteins.items.to_pylist()
    for found in about.json()["organisms"]:
        of_it = [row for row in rows if row["organism"] == found["organism"]]
        assert found["proteins"] == len(of_it)
    assert about.json()["organisms"][0]["taxon"] == 32630


def test_an_index_that_is_written_to_in_its_place_is_noticed(search_folder, tmp_path):
    folder = tmp_path / "i"
    shutil.copytree(search_folder.index, folder)
    engine = SearchEngine.load(search_folder.checkpoint, index=folder)
    app = create_app(engine)
    asking = [
        post("/api/search", {"query": "abc fed"}),
        ("GET", "/api/protein", {"params": {"id": "nasty"}}),
        ("GET", "/api/health", {}),
    ]
    assert [answer.status_code for answer in exchange(app, *asking)] == [200] * 3
    # As `rm` and a new file do it: the mapping still holds the old one.
    vectors = next(folder.glob("vectors-*.npy"))
    content = vectors.read_bytes()
    vectors.unlink()
    vectors.write_bytes(content)
    assert [answer.status_code for answer in exchange(app, *asking)] == [200] * 3
    # As `cp` over an index does it: read, the rest of the mapping would end the process.
    items = next(folder.glob("items-*.arrow"))
    os.truncate(items, 0)
    answers = exchange(app, *asking)
    assert [answer.status_code for answer in answers] == [503] * 3
    assert all("index was changed on disk" in answer.json()["error"] for answer in answers)


def test_a_question_costs_its_tokens(engine):
    protein = SearchJob(Query("", "protein", ("MKV" * 100,)), ("",), 1)
    text = SearchJob(Query("", "text", ("FUNCTION: abc",)), ("",), 1)
    tracks = TracksJob("MKV" * 100, {"function": "FUNCTION: abc"})
    costs = [tokens_of(engine, job) for job in (protein, text, tracks)]
    assert costs[0] == 300
    assert 3 < costs[1] < 30
    assert costs[2] == costs[0] + costs[1]
