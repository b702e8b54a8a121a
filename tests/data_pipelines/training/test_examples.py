import dataclasses
import random

import numpy as np
import pytest

from data_pipelines.common.hashing import hash32
from data_pipelines.protanno.record import Feature, Record, biotext, property_texts
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer
from data_pipelines.training.examples import Example, encode_example, plain_example, random_crop, text_hashes
from data_pipelines.training.masking import MASKS

LETTERS = "abcdefghijklmnopqrstuvwxyz:."


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer([*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS)])


def record_of(length, **texts):
    sequence = "".join(random.Random(length).choices("ACDEFGHIKLMNPQRSTVWY", k=length))
    return Record(accession="P1", entry_name="A_B", source="swissprot", sequence=sequence, existence=1, name="Abc", **texts)


RECORD = record_of(120, function="Does it {ECO:0000305}.", similarity="Kin.")


def arrays(example: Example) -> dict[str, list]:
    return {name: np.asarray(value).tolist() for name, value in dataclasses.asdict(example).items()}


@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_pure_function_of_record_seed_and_draw(tokenizer, masks):
    def encoded(seed, draw):
        return encode_example(
            record_of(300), seed=seed, draw=draw, text_tokenizer=tokenizer, masks=masks, max_protein_tokens=100
        )

    assert arrays(encoded(1, 2)) == arrays(encoded(1, 2))
    for seed, draw in [(1, 3), (2, 2), (2, 1), (1, 2 + 2**32)]:
        for field in ("protein_tokens", "mlm_mask", "segment_mask", "noise_seed"):
            assert arrays(encoded(1, 2))[field] != arrays(encoded(seed, draw))[field]


def test_fields_of_a_training_example(tokenizer):
    example = encode_example(RECORD, seed=0, draw=0, text_tokenizer=tokenizer, masks=MASKS["separate"])
    np.testing.assert_array_equal(example.protein_tokens, protein_tokenizer.encode(RECORD.sequence))
    assert example.mlm_mask.sum() == 18
    assert example.segment_mask.sum() >= 18
    assert not example.mlm_mask[[0, -1]].any()
    assert not example.segment_mask[[0, -1]].any()
    texts = property_texts(RECORD)
    segments = [biotext(RECORD), *texts.values()]
    np.testing.assert_array_equal(example.text_tokens, np.concatenate([tokenizer.encode(text) for text in segments]))
    assert sorted(set(example.text_property_ids.tolist())) == [0, 1, 2, 4]
    hashes = [hash32(text) for text in (biotext(RECORD), texts["name"], texts["function"])]
    assert example.text_hashes.tolist() == [*hashes, 0, hash32(texts["similarity"])]
    assert example.text_hashes.dtype == np.uint32
    assert example.sequence_hash == hash32(RECORD.sequence)
    assert 0 <= example.noise_seed < 2**32
    assert (example.protein_length, example.text_length) == (122, example.text_tokens.size)


def test_evidence_tags_do_not_change_the_hashes():
    bare = dataclasses.replace(RECORD, function="Does it.")
    np.testing.assert_array_equal(text_hashes(property_texts(RECORD)), text_hashes(property_texts(bare)))


def test_long_proteins_are_cropped_uniformly():
    tokens = protein_tokenizer.encode(record_of(50).sequence)
    tokens[1:-1] = np.arange(50) + 100
    starts = []
    for seed in range(2000):
        crop = random_crop(tokens, np.random.default_rng(seed), max_tokens=42)
        assert crop.size == 42
        assert (crop[0], crop[-1]) == (protein_tokenizer.CLS, protein_tokenizer.EOS)
        assert (np.diff(crop[1:-1]) == 1).all()
        starts.append(int(crop[1]) - 100)
    counts = np.bincount(starts, minlength=11)
    # Windows of 40 residues out of 50 start at 0…10; 10 degrees of freedom, 99.99 % quantile 35.6.
    assert counts.size == 11
    assert ((counts - 2000 / 11) ** 2 / (2000 / 11)).sum() < 35.6


@pytest.mark.parametrize(("length", "cropped"), [(40, 42), (41, 42), (39, 41)])
def test_crop_keeps_what_fits(tokenizer, length, cropped):
    record = record_of(length)
    example = encode_example(record, seed=0, draw=0, text_tokenizer=tokenizer, masks=MASKS["shared"], max_protein_tokens=42)
    assert example.protein_length == example.mlm_mask.size == example.segment_mask.size == cropped
    assert example.sequence_hash == hash32(record.sequence)


def test_features_follow_their_residues_through_the_crop(tokenizer):
    record = dataclasses.replace(record_of(60), features=(Feature("ACT_SITE", 1, 60), Feature("SIGNAL", 20, 35)))
    whole = protein_tokenizer.encode(record.sequence)
    starts = set()
    for draw in range(20):
        example = encode_example(
            record, seed=0, draw=draw, text_tokenizer=tokenizer, masks=MASKS["separate"], max_protein_tokens=42
        )
        (start,) = [s for s in range(21) if (whole[1 + s : 41 + s] == example.protein_tokens[1:-1]).all()]
        marked = [0, *(6 if 20 <= start + i <= 35 else 2 for i in range(1, 41)), 0]
        assert example.residue_properties.tolist() == marked
        assert example.residue_properties.dtype == np.uint8
        starts.add(start)
    assert len(starts) > 5


def test_long_texts_are_cut_and_counted(tokenizer):
    record = record_of(10, function="abc " * 100)
    example = encode_example(record, seed=0, draw=0, text_tokenizer=tokenizer, masks=MASKS["separate"], max_text_tokens=64)
    whole = plain_example(record.sequence, property_texts(record), text_tokenizer=tokenizer, max_text_tokens=4096)
    assert example.text_length <= 128
    assert example.text_cut == whole.text_length - example.text_length > 0
    assert whole.text_cut == 0
    np.testing.assert_array_equal(example.text_hashes, whole.text_hashes)


def test_plain_example_is_whole_and_unmasked(tokenizer):
    record = record_of(3000, location="Cell.")
    example = plain_example(record.sequence, property_texts(record), text_tokenizer=tokenizer)
    assert example.protein_length == 3002
    assert not example.mlm_mask.any()
    assert not example.segment_mask.any()
    assert sorted(set(example.text_property_ids.tolist())) == [0, 1, 3]


def test_plain_example_without_texts(tokenizer):
    example = plain_example("MKT", {}, text_tokenizer=tokenizer)
    assert example.text_length == 0
    assert not example.text_hashes.any()
