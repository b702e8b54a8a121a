"""Records of every shape that a dataset stores, in splits."""

from data_pipelines.protanno.record import Feature, Record


def record(index: int, **changes) -> Record:
    """A record whose fields follow from its number."""
    fields = {
        "accession": f"P{index:05}",
        "entry_name": f"A{index}_TEST",
        "source": "trembl",
        "sequence": "MKV" * (index + 1),
        "existence": index % 6,
        "name": "α-amylase {ECO:0000305}",
        "function": "Cuts. " * 400,
        "similarity": "Belongs.",
        "organism": "Homo sapiens" if index else "",
        "taxon": 9606 * index,
        "genes": ("AMY1", "α1")[:index],
        "go": ("GO:0005524",)[:index],
        "other_names": ("AMY", "EC 3.2.1.1", "α-glucanase (old)")[:index],
        "features": tuple(
            Feature("HELIX", start, start + 2, f"note {start}") for start in range(1, index + 1)
        ),
    }
    return Record(**(fields | changes))


SPLITS = {
    "trembl_c0_r3": [record(0), record(2), record(1)],
    "swissprot_c1_r4": [record(7, location="Nucleus.", existence=1, source="swissprot")],
    "validation": [record(5)],
    "test": [],
}
