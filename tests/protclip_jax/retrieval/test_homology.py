"""Homology beside the model: which hits of a file count, and the order of the combined answer."""

from pathlib import Path

import numpy as np
import pyarrow
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.answer import (
    BOTH,
    HOMOLOGY,
    MODEL,
    Alignment,
    Answer,
    Hit,
    is_sure,
    verdict,
)
from protclip_jax.retrieval.calibration import Confidence
from protclip_jax.retrieval.homology import NONE, Homology
from protclip_jax.retrieval.index_folder import Index
from protclip_jax.retrieval.vector_parts import VectorParts

VECTORS = np.eye(4, dtype=np.float32)
TERMS = [["GO:0000001", "GO:0000002"], ["GO:0000002"], [], ["GO:0000003", "GO:0000009"]]
LABELS = ["GO:0000001", "GO:0000002", "GO:0000003", "EC:1.1.1.1"]


def index(rows, modality):
    items = pyarrow.Table.from_batches(
        [item_table.record_batch(rows, item_table.SCHEMAS[modality])]
    )
    return Index(Path("i"), {"modality": modality}, VectorParts([VECTORS]), items, VECTORS, None)


@pytest.fixture(scope="module")
def proteins():
    ids = ["sp|P0|A_B", "P1", "tr|P2|C_D", "P3"]
    rows = [
        item_table.protein_item(id, source="x") | {"go": go, "ec": ["1.1.1.1"] if row == 3 else []}
        for row, (id, go) in enumerate(zip(ids, TERMS, strict=True))
    ]
    return index(rows, "protein")


@pytest.fixture(scope="module")
def library():
    return index(
        [item_table.label_item(id, name=id, source="x", prompts=[id]) for id in LABELS], "label"
    )


def homology(tmp_path, proteins, *hits):
    """Hits as (query, target, identity, E-value, bits)."""
    lines = [f"{q}\t{t}\t{i}\t1\t1\t{e}\t{b}\n" for q, t, i, e, b in hits]
    (tmp_path / "hits.m8").write_text("".join(lines))
    return Homology.read(tmp_path / "hits.m8", proteins)


def hit(row, cosine, confidence=None):
    known = () if confidence is None else (Confidence("family", confidence, 0.1, 0.01, 9),)
    return Hit(row + 1, row, f"r{row}", "", "x", 9, cosine, cosine, known)


def test_hits_count_up_to_an_evalue_once_for_each_pair_by_falling_bits(tmp_path, proteins):
    found = homology(
        tmp_path,
        proteins,
        ("sp|Q1|X_Y", "P0", 0.3, 1e-9, 40),
        ("Q1", "P0", 0.4, 1e-9, 60),
        ("Q1", "P0", 0.9, 1e-9, 20),
        ("Q1", "P2", 0.5, 1e-9, 90),
        ("Q1", "P1", 0.5, 2e-3, 99),
        ("Q1", "absent", 0.5, 1e-9, 99),
        ("Q2", "P3", 0.5, "nan", 50),
    )
    assert len(found) == 1
    rows, alignments = found.of("sp|Q1|X_Y")
    assert rows.tolist() == [2, 0]
    assert alignments == (Alignment("P2", 0.5, 1e-9, 90), Alignment("P0", 0.4, 1e-9, 60))
    assert found.of("Q2") is NONE
    with pytest.raises(UserError, match=r"has no hit with an E-value of at most 0\.001 to a prot"):
        homology(tmp_path, proteins, ("Q1", "P1", 0.5, 2e-3, 99))


def test_relatives_lead_and_the_models_hits_follow(tmp_path, proteins):
    found = homology(tmp_path, proteins, ("Q", "P3", 0.4, 1e-9, 80), ("Q", "P0", 0.3, 1e-9, 50))
    answer = Answer([hit(1, 0.9, 0.8), hit(0, 0.7, 0.2), hit(2, 0.5)], mean=0.25)
    vector = np.array([0.7, 0.9, 0.5, 0.1], np.float32)
    hits = found.combined(answer, "Q", index=proteins, vector=vector, top=4).hits
    assert [(hit.rank, hit.row, hit.by) for hit in hits] == [
        (1, 3, HOMOLOGY),
        (2, 0, BOTH),
        (3, 1, MODEL),
        (4, 2, MODEL),
    ]
    assert [hit.cosine for hit in hits] == pytest.approx([0.1, 0.7, 0.9, 0.5])
    assert hits[0].margin == pytest.approx(0.1 - 0.25)
    assert [hit.alignment and hit.alignment.target for hit in hits] == ["P3", "P0", None, None]
    assert [hit.confidence and hit.confidence.share for hit in hits] == [None, 0.2, 0.8, None]
    few = found.combined(answer, "Q", index=proteins, vector=vector, top=2).hits
    assert [hit.row for hit in few] == [3, 0]
    among = found.combined(
        answer, "Q", index=proteins, vector=vector, top=4, among=np.array([0, 1, 2])
    ).hits
    assert [hit.row for hit in among] == [0, 1, 2]
    assert found.combined(answer, "other", index=proteins, vector=vector, top=4) is answer


def test_relatives_lend_the_labels_of_at_least_half_their_bits(tmp_path, proteins, library):
    # P2 has no label and no vote; 0000002 gets 50 + 30 of 140 bits, 0000003 and the EC number 60.
    hits = [("P0", 50), ("P1", 30), ("P2", 500), ("P3", 60)]
    found = homology(tmp_path, proteins, *(("Q", name, 0.4, 1e-9, bits) for name, bits in hits))
    answer = Answer([hit(3, 0.9), hit(1, 0.5)])
    shown = found.combined(answer, "Q", index=library, vector=VECTORS[0], top=4).hits
    assert [(hit.row, hit.by) for hit in shown] == [(1, BOTH), (3, MODEL)]
    assert shown[0].alignment.target == "P0"
    alone = homology(tmp_path, proteins, ("Q", "P3", 0.4, 1e-9, 60))
    shown = alone.combined(answer, "Q", index=library, vector=VECTORS[0], top=4).hits
    assert [(hit.row, hit.by) for hit in shown] == [(2, HOMOLOGY), (3, BOTH), (1, MODEL)]


def test_a_low_confidence_of_the_model_does_not_speak_against_a_relative():
    relative = hit(0, 0.5, 0.2)
    assert is_sure(relative, 0.5) is False
    aligned = Hit(
        1,
        0,
        "a",
        "",
        "x",
        9,
        0.5,
        0.1,
        relative.confidences,
        alignment=Alignment("P0", 0.42, 1e-9, 50),
    )
    assert is_sure(aligned, 0.5) is None
    assert is_sure(aligned, 0.1) is True
    found = verdict(Answer([aligned]), 0.5)
    assert found.startswith("The best hit comes from the sequence search: 42% identity to P0")
