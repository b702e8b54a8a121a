"""No malformed input passes in silence: each is refused in one sentence, or what is wrong with
it is told."""

import re
import warnings

import pytest

from data_pipelines.build import __main__ as build
from data_pipelines.common.errors import UserError
from protclip_jax.retrieval.engine import embed_labels
from protclip_jax.search import __main__ as search
from tests.support import fake_embedder, malformed, searching
from tests.support.records import run as run_build

CORPUS = malformed.corpus()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return searching.make_checkpoint(tmp_path_factory.mktemp("tiny"))


def embed_proteins(path, folder, checkpoint):
    return fake_embedder.run(
        fake_embedder.FakeModel(), "--input", path, "--output", folder / "o.h5"
    )


def embed_texts(path, folder, checkpoint):
    given = [
        "--checkpoint",
        checkpoint,
        "--modality",
        "text",
        "--input",
        path,
        "--output",
        folder / "o.h5",
    ]
    return fake_embedder.run(fake_embedder.FakeModel(), *given)


def ask(path, folder, checkpoint):
    given = ["--checkpoint", "unused", "--index", "unused", "--input", str(path)]
    list(search.read_queries(search.parse_arguments(given)))
    return 0


def build_from(path, folder, checkpoint):
    return run_build("--input", path, "--output", folder / "out", "--skip_overlap")


def build_beside(option):
    def run(path, folder, checkpoint):
        rows = [
            f"P{number}\tThing {number}\t{text}\n" for number, text in enumerate(malformed.GOOD)
        ]
        (folder / "good.tsv").write_text("accession\tname\tsequence\n" + "".join(rows))
        return run_build(
            "--input",
            folder / "good.tsv",
            option,
            path,
            "--output",
            folder / "out",
            "--skip_overlap",
        )

    return run


def read_labels(path, folder, checkpoint):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        embed_labels(fake_embedder.FakeModel(), path)
    print(*(str(warning.message) for warning in caught))
    return 0


SURFACES = {
    "embed": embed_proteins,
    "texts": embed_texts,
    "search": ask,
    "build": build_from,
    "clusters": build_beside("--clusters"),
    "exclude": build_beside("--exclude_fasta"),
    "labels": read_labels,
}


def test_there_are_enough():
    assert len(CORPUS) >= 200
    assert {each.surface for each in CORPUS.values()} == set(SURFACES)


@pytest.mark.parametrize("name", CORPUS)
def test_nothing_malformed_is_silent(name, tmp_path, checkpoint, capsys, monkeypatch):
    monkeypatch.setattr(build, "write_report", lambda *_: None)
    case = CORPUS[name]
    path = tmp_path / case.file
    path.write_bytes(case.content)
    try:
        code = SURFACES[case.surface](path, tmp_path, checkpoint)
        output = capsys.readouterr()
        printed = output.out + output.err
    except UserError as error:
        code, printed = 2, str(error)
    assert code in (0, 2)
    assert "Traceback" not in printed
    assert re.search(case.message, printed), f"exit code {code}:\n{printed}"
