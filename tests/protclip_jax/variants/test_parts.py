import itertools

import numpy as np
import pytest

from data_pipelines.inputs.substitutions import single_substitutions, substitutions
from protclip_jax.inference.variant_effects import METHODS, SINGLY, WILD_TYPE, passes_of
from protclip_jax.inference.windows import DEFAULT_WINDOWS, Windows
from protclip_jax.variants.jobs import Job
from protclip_jax.variants.parts import parts

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQ"


def cut(jobs, method, *, windows=DEFAULT_WINDOWS, min_tokens=60, with_text=False):
    options = {"method": method, "windows": windows, "with_text": with_text}
    return list(parts(jobs, min_tokens=min_tokens, **options))


def job(*mutations):
    read = [tuple(substitutions(text, first_position=1)) for text in mutations]
    return Job("a", SEQUENCE, tuple(read), None)


def passes_read(variants, method, windows):
    read = [passes_of(SEQUENCE, own, method=method, windows=windows) for own in variants]
    return set().union(*read)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("windows", [DEFAULT_WINDOWS, Windows(max_residues=10, overlap=3)])
def test_parts_hold_every_variant_once_and_no_pass_twice(method, windows):
    scan = Job("scan", SEQUENCE, tuple(single_substitutions(SEQUENCE)), None)
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(30):
        positions = sorted(rng.choice(22, 2, False))
        pairs.append(":".join(f"{SEQUENCE[i]}{i + 1}G" for i in positions))
    jobs = [scan, job(*pairs), job("K2A")]
    made = cut(jobs, method, windows=windows)
    pieces = list(itertools.chain.from_iterable(part.pieces for part in made))
    rows, expected = [], []
    for piece in pieces:
        rows += [(piece.job, row) for row in range(piece.start, piece.stop)]
    for number, own in enumerate(jobs):
        expected += [(number, row) for row in range(len(own.variants))]
    assert rows == expected
    total = 0
    for number, own in enumerate(jobs):
        read = []
        for piece in pieces:
            if piece.job == number:
                variants = own.variants[piece.start : piece.stop]
                read.append(passes_read(variants, method, windows))
        assert len(set().union(*read)) == sum(map(len, read))
        total += sum(one.stop - one.start + 2 for one in set().union(*read))
    assert sum(part.tokens for part in made) == total
    assert all(part.tokens >= 60 for part in made[:-1])
    assert len(made) > (1 if method == WILD_TYPE and windows == DEFAULT_WINDOWS else 2) - 1


def test_a_list_that_comes_back_to_a_position_is_not_cut_between():
    apart = cut([job("K2A", "T3A", "A4C", "Y5A", "I6A")], SINGLY, min_tokens=24)
    assert [part.pieces[0].stop for part in apart] == [1, 2, 3, 4, 5]
    (whole,) = cut([job("K2A", "T3A", "A4C", "Y5A", "K2C")], SINGLY, min_tokens=24)
    assert whole.tokens == 4 * 24


def test_a_text_counts_every_variant():
    (part,) = cut([job("K2A", "K2C")], SINGLY, min_tokens=1000, with_text=True)
    assert part.tokens == 3 * 24


def test_digests_tell_contents_apart():
    jobs = [job("K2A"), job("K2C"), job("K2A")]
    (part,) = cut(jobs, SINGLY, min_tokens=1000)
    first, second, third = (part._replace(pieces=[piece]).digest(jobs) for piece in part.pieces)
    assert first == third != second
