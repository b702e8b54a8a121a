"""A released checkpoint through `convert protclip` and `ProtCLIP` gives the recorded numbers.

Where the released code averages over padding, the reference is its recorded masked mean of the same
states, and the distance to the unmasked mean is shown to come from padding.
"""

import json

import numpy as np
import pytest

from data_pipelines.protanno.record import PROPERTIES
from protclip_jax import ProtCLIP
from protclip_jax.convert.__main__ import main as convert
from tests.support import numpy_reference as ref

PREFIXES = ("PROTEIN NAME:", "FUNCTION:", "SUBCELLULAR LOCATION:", "SIMILARITY:")


@pytest.fixture(scope="module")
def model(peer_release, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released") / "checkpoint"
    assert convert(["protclip", "--source", str(peer_release), "--output", str(folder)]) == 0
    return ProtCLIP.load(folder)


@pytest.fixture(scope="module")
def pairs(peer_release):
    return json.loads((peer_release / "fixture.json").read_text())["pairs"]


def units(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_embeddings_are_the_recorded_ones(model, pairs, peer_recording):
    proteins = model.encode_proteins([pair["seq"] for pair in pairs])
    texts = model.encode_texts([pair["text"] for pair in pairs])
    for kind, embeddings in (("protein", proteins), ("text", texts)):
        for index, embedding in enumerate(embeddings):
            # A single record has no padding, so the released code is correct.
            np.testing.assert_allclose(
                embedding, units(peer_recording[f"single{index}_{kind}_embed"][0]), atol=1e-6
            )
        np.testing.assert_allclose(
            embeddings, units(peer_recording[f"batch_{kind}_embed_masked"]), atol=1e-6
        )
        padded = np.abs(embeddings - units(peer_recording[f"batch_{kind}_embed"])).max(axis=1)
        longest = peer_recording[f"batch_{kind}_attention_mask"].sum(1).argmax()
        assert padded[longest] < 1e-6
        assert np.delete(padded, longest).min() > 1e-2
    np.testing.assert_allclose(
        model.logits(proteins, texts), peer_recording["batch_logits_masked"], atol=1e-5
    )


def test_residue_embeddings_are_the_recorded_states(model, pairs, peer_recording):
    for index, residues in enumerate(model.residue_embeddings([pair["seq"] for pair in pairs])):
        states = peer_recording[f"single{index}_protein_last_hidden_state"][0]
        np.testing.assert_allclose(residues, states[1:-1], atol=1e-5)


def test_segments_follow_from_the_recorded_projections(model, pairs, peer_recording, peer_weights):
    """Without the Gumbel noise that the released bank also adds in evaluation.

    Absent properties consist of their bare prefix.
    """
    bank = peer_weights["proto_bank.prototype.weight"].astype(np.float64)
    for index, pair in enumerate(pairs):
        positions = [pair["text"].find(prefix) for prefix in PREFIXES]
        ends = sorted(position for position in [*positions, len(pair["text"])] if position >= 0)
        texts = {}
        for name, prefix, position in zip(PROPERTIES, PREFIXES, positions, strict=True):
            texts[name] = (
                prefix
                if position < 0
                else pair["text"][position : ends[ends.index(position) + 1]].strip()
            )
        weights = model.segments(pair["seq"], texts)
        protein = peer_recording["pda_protein"][index].astype(np.float64)
        residues = protein[1 : len(pair["seq"]) + 1]
        for k, row in enumerate(weights):
            embedding = peer_recording["property_embed_masked"][index, k].astype(np.float64)
            t = ref.prototype(embedding, bank, 0.0, 0.9)
            similarity = residues @ t
            normalised = (similarity - similarity.min()) / np.ptp(similarity)
            settled = np.abs(normalised - 0.3) > 1e-4
            assert settled.mean() > 0.9
            np.testing.assert_allclose(
                row[settled], ref.segment_weights(residues, t, 0.3)[settled], atol=1e-4
            )
