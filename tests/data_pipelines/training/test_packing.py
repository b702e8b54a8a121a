import itertools

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.protein_tokenizer import PAD
from data_pipelines.training.examples import Example
from data_pipelines.training.packing import (
    OPEN_ROWS,
    Drawn,
    RowPacker,
    StreamState,
    array_to_state,
    pack_all,
    pack_rows,
    state_to_array,
)
from data_pipelines.training.synthetic import synthetic_examples

SHAPE = {"slots": 4, "protein_tokens": 40, "text_tokens": 50}


def make_example(rng, *, protein, segments):
    """An example of random content: `protein` tokens, and text segments {property id: tokens}
    with 0 the full biotext."""
    text = sum(segments.values())
    hashes = np.zeros(5, np.uint32)
    hashes[list(segments)] = rng.integers(1, 2**32, len(segments))
    return Example(
        protein_tokens=rng.integers(4, 24, protein).astype(np.int32),
        mlm_mask=rng.random(protein) < 0.3,
        segment_mask=rng.random(protein) < 0.3,
        residue_properties=rng.integers(0, 16, protein).astype(np.uint8),
        text_tokens=rng.integers(5, 99, text).astype(np.int32),
        text_property_ids=np.repeat(list(segments), list(segments.values())).astype(np.int32),
        text_positions=np.concatenate([np.arange(n) for n in segments.values()]).astype(np.int32),
        text_hashes=hashes,
        sequence_hash=int(rng.integers(1, 2**32)),
        noise_seed=int(rng.integers(2**32)),
        text_cut=0,
    )


def realistic_examples(rng, count):
    """Of UniProt's lengths."""
    lengths = {"max_protein_tokens": 1024, "max_text_tokens": 512, "text_vocab_size": 99}
    return itertools.islice(synthetic_examples(rng, **lengths, passes="separate"), count)


def small_examples(rng, count):
    return [
        make_example(
            rng,
            protein=int(rng.integers(3, 25)),
            segments={0: int(rng.integers(4, 20)), 2: int(rng.integers(3, 8))},
        )
        for _ in range(count)
    ]


def fits(row, *, slots, protein_tokens, text_tokens):
    protein = sum(e.protein_length for e in row)
    text = sum(e.text_length for e in row)
    return len(row) <= slots and protein <= protein_tokens and text <= text_tokens


def pack_stream(examples, **shape):
    """Closed rows, then the draws that stayed open."""
    packer = RowPacker(**shape)
    closed = [
        packer.add(Drawn(draw, example, cropped=False)) for draw, example in enumerate(examples)
    ]
    return [row for row in closed if row], packer.open_draws


def test_rows_hold_every_field_of_their_examples():
    rng = np.random.default_rng(0)
    first = make_example(rng, protein=12, segments={0: 9, 1: 4, 4: 5})
    second = make_example(rng, protein=7, segments={0: 6, 3: 5})
    batch = pack_rows([[first, second], [], [second]], **SHAPE)
    for field, array in batch._asdict().items():
        assert array.shape[0] == 3, field
    # Each slot, cut out by its slot ids, is its example again.
    for row, slot, example in [(0, 1, first), (0, 2, second), (2, 1, second)]:
        p, t = batch.protein_slot_ids[row] == slot, batch.text_slot_ids[row] == slot
        np.testing.assert_array_equal(batch.protein_tokens[row, p], example.protein_tokens)
        np.testing.assert_array_equal(
            batch.protein_positions[row, p], np.arange(example.protein_length)
        )
        np.testing.assert_array_equal(batch.mlm_mask[row, p], example.mlm_mask)
        np.testing.assert_array_equal(batch.segment_mask[row, p], example.segment_mask)
        np.testing.assert_array_equal(batch.residue_properties[row, p], example.residue_properties)
        np.testing.assert_array_equal(batch.text_tokens[row, t], example.text_tokens)
        np.testing.assert_array_equal(batch.text_property_ids[row, t], example.text_property_ids)
        np.testing.assert_array_equal(batch.text_positions[row, t], example.text_positions)
        np.testing.assert_array_equal(
            batch.text_segment_ids[row, t], (slot - 1) * 5 + example.text_property_ids + 1
        )
        np.testing.assert_array_equal(batch.text_hashes[row, slot - 1], example.text_hashes)
        assert batch.sequence_hashes[row, slot - 1] == example.sequence_hash
        assert batch.noise_seeds[row, slot - 1] == example.noise_seed
    np.testing.assert_array_equal(batch.slot_mask, [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    padding = batch.protein_slot_ids == 0
    assert (batch.protein_tokens[padding] == PAD).all()
    for name in ("protein_positions", "mlm_mask", "segment_mask", "residue_properties"):
        assert not getattr(batch, name)[padding].any(), name
    for name in ("text_tokens", "text_segment_ids", "text_property_ids", "text_positions"):
        assert not getattr(batch, name)[batch.text_slot_ids == 0].any(), name
    for name in ("text_hashes", "sequence_hashes", "noise_seeds"):
        assert not getattr(batch, name)[~batch.slot_mask].any(), name


def test_types_and_shapes_of_a_batch():
    batch = pack_rows([[]], **SHAPE)
    widths = {"protein": 40, "text": 50}
    for name in (
        "protein_tokens",
        "protein_slot_ids",
        "protein_positions",
        "text_tokens",
        "text_segment_ids",
    ):
        assert getattr(batch, name).dtype == np.int32
        assert getattr(batch, name).shape == (1, widths[name.split("_")[0]])
    for name in ("mlm_mask", "segment_mask"):
        assert (getattr(batch, name).dtype, getattr(batch, name).shape) == (bool, (1, 40))
    assert (batch.residue_properties.dtype, batch.residue_properties.shape) == (np.uint8, (1, 40))
    assert (batch.slot_mask.dtype, batch.slot_mask.shape) == (bool, (1, 4))
    assert (batch.text_hashes.dtype, batch.text_hashes.shape) == (np.uint32, (1, 4, 5))
    assert batch.sequence_hashes.dtype == batch.noise_seeds.dtype == np.uint32


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_a_stream_loses_and_doubles_nothing(slots):
    shape = SHAPE | {"slots": slots}
    examples = small_examples(np.random.default_rng(1), 400)
    rows, still_open = pack_stream(examples, **shape)
    drawn = [drawn.draw for row in rows for drawn in row]
    assert sorted(drawn + [draw for row in still_open for draw in row]) == list(range(400))
    for row in rows:
        assert fits([drawn.example for drawn in row], **shape)
        order = [drawn.draw for drawn in row]
        assert order == sorted(order)
        for drawn in row:
            assert drawn.example is examples[drawn.draw]


def test_first_fit_takes_the_oldest_row_with_room_and_closes_the_oldest():
    rng = np.random.default_rng(2)
    big, small = (
        make_example(rng, protein=30, segments={0: 5}),
        make_example(rng, protein=10, segments={0: 5}),
    )
    packer = RowPacker(**SHAPE)
    for draw in range(OPEN_ROWS):
        assert packer.add(Drawn(draw, big, cropped=False)) is None
    assert packer.add(Drawn(OPEN_ROWS, small, cropped=False)) is None
    assert packer.open_draws[:2] == ((0, OPEN_ROWS), (1,))
    closed = packer.add(Drawn(OPEN_ROWS + 1, big, cropped=False))
    assert [drawn.draw for drawn in closed] == [0, OPEN_ROWS]
    assert packer.open_draws[0] == (1,)
    assert packer.open_draws[-1] == (OPEN_ROWS + 1,)


def draws_of(row):
    return [drawn.draw for drawn in row]


def test_a_packer_continues_from_its_open_draws():
    examples = small_examples(np.random.default_rng(3), 300)
    rows, still_open = pack_stream(examples, **SHAPE)
    _, half_open = pack_stream(examples[:150], **SHAPE)
    half_rows, _ = pack_stream(examples[:150], **SHAPE)
    packer = RowPacker(**SHAPE)
    for draws in half_open:
        assert packer.open([Drawn(draw, examples[draw], cropped=False) for draw in draws]) is None
    rest = [packer.add(Drawn(draw, examples[draw], cropped=False)) for draw in range(150, 300)]
    continued = half_rows + [row for row in rest if row]
    assert list(map(draws_of, continued)) == list(map(draws_of, rows))
    assert packer.open_draws == still_open


@pytest.mark.parametrize(
    "open_draws", [(), ((5,),), ((3, 4, 2**40), (7,)), tuple((i, i + 1) for i in range(OPEN_ROWS))]
)
def test_state_survives_its_array(open_draws):
    state = StreamState(next_draw=2**41 + 3, open_draws=open_draws)
    array = state_to_array(state, slots=4)
    assert (array.shape, array.dtype) == ((1 + OPEN_ROWS * 4,), np.int64)
    assert array_to_state(array, slots=4) == state


def padding(rows, *, protein_tokens, text_tokens):
    protein = sum(example.protein_length for row in rows for example in row)
    text = sum(example.text_length for row in rows for example in row)
    return 1 - protein / (len(rows) * protein_tokens), 1 - text / (len(rows) * text_tokens)


@pytest.mark.parametrize("count", [3_000, pytest.param(60_000, marks=pytest.mark.soak)])
def test_padding_on_realistic_lengths(count):
    shape = {"slots": 16, "protein_tokens": 2048, "text_tokens": 1536}
    rows, still_open = pack_stream(realistic_examples(np.random.default_rng(4), count), **shape)
    assert sum(map(len, rows)) + sum(map(len, still_open)) == count
    examples = []
    for row in rows:
        examples.append([drawn.example for drawn in row])
    protein, text = padding(examples, protein_tokens=shape["protein_tokens"], text_tokens=1536)
    assert protein <= 0.06
    assert text <= 0.30


def test_pack_all_places_every_example_where_it_says():
    examples = small_examples(np.random.default_rng(5), 200)
    packed = pack_all(examples, **SHAPE)
    assert sum(map(len, packed.rows)) == len(examples)
    for example, (row, slot) in zip(examples, packed.placement, strict=True):
        assert packed.rows[row][slot] is example
    assert all(fits(row, **SHAPE) for row in packed.rows)


def test_pack_all_wastes_little():
    examples = list(realistic_examples(np.random.default_rng(6), 1_500))
    packed = pack_all(examples, slots=16, protein_tokens=2048, text_tokens=10_000)
    protein, _ = padding(packed.rows, protein_tokens=2048, text_tokens=10_000)
    assert protein <= 0.02


def test_pack_all_of_nothing():
    packed = pack_all([], **SHAPE)
    assert packed.rows == []
    assert packed.placement.shape == (0, 2)


@pytest.mark.parametrize(("protein", "text"), [(41, 5), (5, 51)])
def test_an_example_larger_than_a_row_is_refused(protein, text):
    example = make_example(np.random.default_rng(7), protein=protein, segments={0: text})
    with pytest.raises(UserError, match="batch.protein_tokens and batch.text_tokens"):
        RowPacker(**SHAPE).add(Drawn(0, example, cropped=False))
    with pytest.raises(UserError, match="does not fit"):
        pack_all([example], **SHAPE)
    with pytest.raises(UserError, match="does not fit"):
        pack_rows([[example]], **SHAPE)
