import dataclasses
import functools
import hashlib
import itertools
import random
import struct
from collections import Counter

import numpy as np
import pytest

from data_pipelines.common.hashing import hash32
from data_pipelines.protanno.record import PROPERTIES, Feature, Record, biotext, property_texts
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer
from data_pipelines.training.examples import Example, encode_example, plain_example, random_crop
from data_pipelines.training.masking import MASKS

LETTERS = "abcdefghijklmnopqrstuvwxyz:."


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer([*SPECIAL_TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS)])


def record_of(length, **texts):
    sequence = "".join(random.Random(length).choices("ACDEFGHIKLMNPQRSTVWY", k=length))
    return Record(
        accession="P1",
        entry_name="A_B",
        source="swissprot",
        sequence=sequence,
        existence=1,
        name="Abc",
        **texts,
    )


RECORD = record_of(120, function="Does it {ECO:0000305}.", similarity="Kin.")


def arrays(example: Example) -> dict[str, list]:
    return {name: np.asarray(value).tolist() for name, value in dataclasses.asdict(example).items()}


@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_pure_function_of_record_seed_and_draw(tokenizer, masks):
    def encoded(seed, draw):
        return encode_example(
            record_of(300),
            seed=seed,
            draw=draw,
            text_tokenizer=tokenizer,
            masks=masks,
            max_protein_tokens=100,
        )

    assert arrays(encoded(1, 2)) == arrays(encoded(1, 2))
    for seed, draw in [(1, 3), (2, 2), (2, 1), (1, 2 + 2**32)]:
        for field in ("protein_tokens", "mlm_mask", "segment_mask", "noise_seed"):
            assert arrays(encoded(1, 2))[field] != arrays(encoded(seed, draw))[field]


def test_fields_of_a_training_example(tokenizer):
    example = encode_example(
        RECORD, seed=0, draw=0, text_tokenizer=tokenizer, masks=MASKS["separate"]
    )
    np.testing.assert_array_equal(example.protein_tokens, protein_tokenizer.encode(RECORD.sequence))
    assert example.mlm_mask.sum() == 18
    assert example.segment_mask.sum() >= 18
    assert not example.mlm_mask[[0, -1]].any()
    assert not example.segment_mask[[0, -1]].any()
    texts = property_texts(RECORD)
    segments = [biotext(RECORD), *texts.values()]
    np.testing.assert_array_equal(
        example.text_tokens, np.concatenate([tokenizer.encode(text) for text in segments])
    )
    assert sorted(set(example.text_property_ids.tolist())) == [0, 1, 2, 4]
    hashes = [ids_hash(tokenizer.encode(text)) for text in segments]
    assert example.text_hashes.tolist() == [*hashes[:3], 0, hashes[3]]
    assert example.text_hashes.dtype == np.uint32
    assert example.sequence_hash == hash32(RECORD.sequence)
    assert 0 <= example.noise_seed < 2**32
    assert (example.protein_length, example.text_length) == (122, example.text_tokens.size)


def ids_hash(ids):
    """The first four bytes of BLAKE2b of the ids as little-endian 32-bit integers."""
    content = struct.pack(f"<{len(ids)}i", *ids)
    return int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "little")


def hashes_of(tokenizer, max_text_tokens=512, **texts):
    record = dataclasses.replace(RECORD, **texts)
    return plain_example(
        record.sequence,
        property_texts(record),
        text_tokenizer=tokenizer,
        max_text_tokens=max_text_tokens,
    ).text_hashes.tolist()


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param({"function": "Does it."}, id="evidence"),
        pytest.param({"name": "ABC", "function": "dOES iT."}, id="case"),
        pytest.param({"name": "Äbc", "function": "Does  ít."}, id="accents and blanks"),
    ],
)
def test_texts_of_the_same_tokens_have_the_same_hashes(tokenizer, texts):
    assert hashes_of(tokenizer, **texts) == hashes_of(tokenizer)


def test_a_difference_beyond_the_cut_is_none(tokenizer):
    limits = {"max_text_tokens": 200, "similarity": ""}
    one, other = (
        hashes_of(tokenizer, function="does it " * 40 + end, **limits) for end in ("in a", "in b")
    )
    assert one == other
    assert one != hashes_of(tokenizer, function="does no " * 40 + "in a", **limits)


def test_texts_of_other_tokens_have_other_hashes(tokenizer):
    plain, other = hashes_of(tokenizer), hashes_of(tokenizer, function="Does it so.")
    assert [a == b for a, b in zip(plain, other, strict=True)] == [False, True, False, True, True]


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


def test_without_crop_ends_a_crop_has_an_end_only_where_its_protein_has(tokenizer):
    record, ends = record_of(50, function="Does it."), set()
    whole = protein_tokenizer.encode(record.sequence).tolist()
    for draw in range(60):
        encode = functools.partial(
            encode_example,
            record,
            seed=0,
            draw=draw,
            text_tokenizer=tokenizer,
            masks=MASKS["separate"],
            max_protein_tokens=42,
        )
        usual, true = encode(), encode(crop_ends=False)
        tokens = true.protein_tokens.tolist()
        residues = [token for token in tokens if token > protein_tokenizer.EOS]
        assert residues == usual.protein_tokens.tolist()[1:-1]
        begins, finishes = tokens[0] == protein_tokenizer.CLS, tokens[-1] == protein_tokenizer.EOS
        assert begins == (residues == whole[1:41])
        assert finishes == (residues == whole[-41:-1])
        at_residues = slice(int(begins), len(tokens) - int(finishes))
        for name in ("mlm_mask", "segment_mask", "residue_properties"):
            found, expected = getattr(true, name), getattr(usual, name)
            assert found.size == len(tokens)
            np.testing.assert_array_equal(found[at_residues], expected[1:-1])
        ends.add((begins, finishes))
    assert ends == {(True, False), (False, False), (False, True)}
    # A protein that fits keeps both.
    short = encode_example(
        record, seed=0, draw=0, text_tokenizer=tokenizer, masks=MASKS["shared"], crop_ends=False
    )
    assert short.protein_tokens.tolist() == whole


@pytest.mark.parametrize(("length", "cropped"), [(40, 42), (41, 42), (39, 41)])
def test_crop_keeps_what_fits(tokenizer, length, cropped):
    record = record_of(length)
    example = encode_example(
        record,
        seed=0,
        draw=0,
        text_tokenizer=tokenizer,
        masks=MASKS["shared"],
        max_protein_tokens=42,
    )
    assert example.protein_length == example.mlm_mask.size == example.segment_mask.size == cropped
    assert example.sequence_hash == hash32(record.sequence)


def test_features_follow_their_residues_through_the_crop(tokenizer):
    record = dataclasses.replace(
        record_of(60), features=(Feature("ACT_SITE", 1, 60), Feature("SIGNAL", 20, 35))
    )
    whole = protein_tokenizer.encode(record.sequence)
    starts = set()
    for draw in range(20):
        example = encode_example(
            record,
            seed=0,
            draw=draw,
            text_tokenizer=tokenizer,
            masks=MASKS["separate"],
            max_protein_tokens=42,
        )
        (start,) = [
            s for s in range(21) if (whole[1 + s : 41 + s] == example.protein_tokens[1:-1]).all()
        ]
        marked = [0, *(6 if 20 <= start + i <= 35 else 2 for i in range(1, 41)), 0]
        assert example.residue_properties.tolist() == marked
        assert example.residue_properties.dtype == np.uint8
        starts.add(start)
    assert len(starts) > 5


def test_long_texts_are_cut_and_counted(tokenizer):
    record = record_of(10, function="abc " * 100)
    example = encode_example(
        record,
        seed=0,
        draw=0,
        text_tokenizer=tokenizer,
        masks=MASKS["separate"],
        max_text_tokens=64,
    )
    whole = plain_example(
        record.sequence, property_texts(record), text_tokenizer=tokenizer, max_text_tokens=4096
    )
    assert example.text_length <= 128
    assert example.text_cut == whole.text_length - example.text_length > 0
    assert whole.text_cut == 0


MANY = record_of(120, function="Does it.", location="Cell.", similarity="Kin.")


def shown(example):
    return frozenset(example.text_property_ids.tolist()) - {0}


def drawn(tokenizer, record, draw, probability):
    return encode_example(
        record,
        seed=3,
        draw=draw,
        text_tokenizer=tokenizer,
        masks=MASKS["separate"],
        property_subset=probability,
    )


@pytest.mark.parametrize(
    "record", [MANY, dataclasses.replace(MANY, function="", location="")], ids=["four", "two"]
)
def test_every_proper_subset_of_the_properties_is_as_likely(tokenizer, record):
    present = [
        index
        for index, text in enumerate(
            (record.name, record.function, record.location, record.similarity), 1
        )
        if text
    ]
    subsets = [
        frozenset(part)
        for size in range(1, len(present))
        for part in itertools.combinations(present, size)
    ]
    counts = Counter(shown(drawn(tokenizer, record, draw, 1.0)) for draw in range(1400))
    assert counts.keys() == set(subsets)
    even = 1400 / len(subsets)
    # 99.99 % quantiles of chi-squared with 13 and 1 degrees of freedom.
    assert (
        sum((count - even) ** 2 / even for count in counts.values())
        < {14: 40.7, 2: 15.1}[len(subsets)]
    )


def test_a_subset_is_drawn_as_often_as_the_config_says(tokenizer):
    whole = sum(shown(drawn(tokenizer, MANY, draw, 0.25)) == {1, 2, 3, 4} for draw in range(1000))
    # Binomial of 1000 and 0.75, four standard deviations.
    assert abs(whole - 750) < 55


def test_a_subset_is_the_example_of_a_record_with_these_properties(tokenizer):
    """All of its text is of the subset; everything else is as without subsets."""
    for draw in range(20):
        example = drawn(tokenizer, MANY, draw, 1.0)
        kept = {
            name: getattr(MANY, name) if index in shown(example) else ""
            for index, name in enumerate(PROPERTIES, 1)
        }
        fewer = dataclasses.replace(MANY, **kept)
        assert arrays(example) == arrays(drawn(tokenizer, fewer, draw, 0.0))


def test_a_single_property_stays(tokenizer):
    for draw in range(20):
        assert arrays(drawn(tokenizer, record_of(9), draw, 1.0)) == arrays(
            drawn(tokenizer, record_of(9), draw, 0.0)
        )


@pytest.mark.parametrize("probability", [0.0, 1.0])
@pytest.mark.parametrize("masks", MASKS.values(), ids=MASKS)
def test_subsets_shift_neither_crops_nor_masks_nor_noise(tokenizer, masks, probability):
    """They are what this order of draws from the record's generator gives: noise, crop, masks."""
    for draw in range(5):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([7, draw])))
        noise_seed = int(rng.integers(1 << 32))
        tokens = random_crop(protein_tokenizer.encode(MANY.sequence), rng, max_tokens=60)
        mlm_mask, segment_mask = masks(protein_tokenizer.is_residue(tokens), rng)
        example = encode_example(
            MANY,
            seed=7,
            draw=draw,
            text_tokenizer=tokenizer,
            masks=masks,
            max_protein_tokens=60,
            property_subset=probability,
        )
        assert example.noise_seed == noise_seed
        np.testing.assert_array_equal(example.protein_tokens, tokens)
        np.testing.assert_array_equal(example.mlm_mask, mlm_mask)
        np.testing.assert_array_equal(example.segment_mask, segment_mask)


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
