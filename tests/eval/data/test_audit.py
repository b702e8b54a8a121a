import json

from eval.benchmarks.families import BENCHMARKS, family_of
from eval.data.base.audit import audit_task
from eval.data.base.task import Rejected, Sample, Task
from eval.data.manifest import load


def audit(folder, name):
    return family_of(name).audit(load(folder, name))


def task(kind, classes, **splits):
    samples = {}
    for split, rows in splits.items():
        samples[split] = [Sample(str(i), *row) for i, row in enumerate(rows)]
    return Task("ec", kind, classes, samples, [], [])


def test_duplicates_conflicts_and_overlap_are_counted_and_kept():
    found = audit_task(
        task(
            "regression",
            (),
            train=[("MK", 1.0), ("MK", 1.0), ("MV", 1.0), ("MV", 2.0), ("MV", 2.0), ("MA", 1.0)],
            valid=[("MV", 1.0), ("MV", 1.0)],
            test=[("MV", 1.0), ("MK", 1.0), ("MC", 1.0)],
        )
    )
    assert found["rows"] == {"train": 6, "valid": 2, "test": 3}
    assert found["duplicates"] == {"train": 3, "valid": 1, "test": 0}
    assert found["conflicting"] == {"train": 1, "valid": 0, "test": 0}
    assert found["overlap"] == {"train and valid": 1, "train and test": 2, "valid and test": 1}
    assert found["unlabelled"] == {"train": 0, "valid": 0, "test": 0}
    assert found["classes_not_in_train"] == 0


def test_classes():
    multilabel = task(
        "multilabel",
        ("a", "b", "c", "d"),
        train=[("MK", (0, 2)), ("MV", ())],
        test=[("MA", (1,)), ("MC", ())],
    )
    assert audit_task(multilabel)["classes_not_in_train"] == 2
    assert audit_task(multilabel)["unlabelled"] == {"train": 1, "test": 1}
    assert (
        audit_task(task("multiclass", ("a", "b", "c"), train=[("MK", 0), ("MV", 2)]))[
            "classes_not_in_train"
        ]
        == 1
    )
    assert audit_task(task("multiclass", ("a", "b"), test=[("MK", 0)]))["classes_not_in_train"] == 0


def test_rejects_by_reason():
    rejects = [
        Rejected("f", 1, "a", "odd"),
        Rejected("f", 2, "b", "bad"),
        Rejected("f", 3, "c", "bad"),
    ]
    found = audit_task(Task("ec", "multilabel", (), {}, rejects, [], notes=("a note",)))
    assert list(found["rejects"].items()) == [("bad", 2), ("odd", 1)]
    assert found["notes"] == ["a note"]


def test_every_benchmark_is_audited(miniature_folder):
    for name in BENCHMARKS:
        found = audit(miniature_folder, name)
        json.dumps(found)
        parts = found.values() if name.startswith("similarity") else [found]
        assert all(part["files"] and "rejects" in part for part in parts)
    assert set(audit(miniature_folder, "similarity_mf")) == {"500", "sparse", "200"}
    assert audit(miniature_folder, "shs27k")["proteins"] == 40
    assert audit(miniature_folder, "prot2bp")["nodes"]["gene/protein"] == 60
