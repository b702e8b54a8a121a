import dataclasses

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.dataset import open_dataset, write
from data_pipelines.protanno.record import Record, biotext
from eval.pretraining.pool import fixed_pool


def make_record(index, name):
    return Record(
        accession=f"P{index:05d}",
        entry_name="",
        source="swissprot",
        sequence="MKV",
        existence=1,
        name=name,
    )


def make_dataset(directory, records):
    directory.mkdir()
    write(directory, {"test": records}, statistics={})
    return open_dataset(directory)


def test_pool_is_distinct_fixed_and_independent_of_the_order(tmp_path):
    records = [make_record(index, f"protein {index % 12}") for index in range(40)]
    pools = [
        fixed_pool(make_dataset(tmp_path / str(order), records[::order]), split="test", size=8)
        for order in (1, -1)
    ]
    assert pools[0] == pools[1]
    texts = [biotext(record) for record in pools[0].records]
    assert texts == pools[0].texts
    assert len(set(texts)) == 8
    first = min(records, key=lambda record: hash64(record.accession))
    assert pools[0].records[0] == first


def test_texts_of_the_same_key_are_the_same(tmp_path):
    records = [make_record(index, name) for index, name in enumerate(["Abc", "abc", "ABC", "Abd"])]
    dataset = make_dataset(tmp_path / "case", records)._replace(text_key=str.lower)
    pool = fixed_pool(dataset, split="test", size=8)
    assert pool.texts == [biotext(record) for record in pool.records]
    assert sorted(text.lower() for text in pool.texts) == ["protein name: abc", "protein name: abd"]


def test_records_without_text_take_no_part(tmp_path):
    records = [make_record(index, f"protein {index}" if index % 2 else "") for index in range(20)]
    pool = fixed_pool(make_dataset(tmp_path / "bare", records), split="test", size=20)
    assert (len(pool.records), pool.split_records) == (10, 20)
    assert all(pool.texts)


def test_pool_of_too_few_takes_all(tmp_path):
    records = [make_record(index, f"protein {index % 3}") for index in range(10)]
    pool = fixed_pool(make_dataset(tmp_path / "few", records), split="test", size=8)
    assert (len(pool.records), pool.requested, pool.split_records) == (3, 8, 10)


def test_a_pool_of_sure_records_only(tmp_path):
    records = [
        dataclasses.replace(make_record(index, f"protein {index}"), existence=index % 6)
        for index in range(24)
    ]
    dataset = make_dataset(tmp_path / "sure", records)
    pool = fixed_pool(dataset, split="test", size=24, max_existence=2)
    assert sorted(record.existence for record in pool.records) == [1] * 4 + [2] * 4
    with pytest.raises(UserError, match="existence 1 to 1"):
        fixed_pool(
            make_dataset(tmp_path / "one", records[:2]),
            split="test",
            size=2,
            max_existence=1,
        )


def test_what_cannot_be_ranked_is_the_users_mistake(tmp_path):
    dataset = make_dataset(tmp_path / "same", [make_record(index, "protein") for index in range(4)])
    with pytest.raises(UserError, match="fewer than two distinct biotexts"):
        fixed_pool(dataset, split="test", size=8)
    with pytest.raises(UserError, match="validation"):
        fixed_pool(dataset, split="validation", size=8)
    with pytest.raises(UserError, match="pool=1"):
        fixed_pool(dataset, split="test", size=1)
