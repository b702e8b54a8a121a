"""How vectors of a file are found: by the hash of the sequence, by id, by accession, and when
they are not."""

import h5py
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import sequence_hash
from eval.public.vector_file import VectorFile

SEQUENCES = ("MKV", "MKL", "AAA")


def npz(path, vectors):
    np.savez(
        path,
        ids=np.array(list(vectors)),
        vectors=np.array([[value] for value in vectors.values()], np.float32),
    )
    return VectorFile.read(path)


def proteins(**names):
    """Sequences by the names they have, a name each."""
    return {sequence: frozenset([name]) for name, sequence in names.items()}


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("P62258", "P62258"),
        ("sp|P62258|1433E_HUMAN", "P62258"),
        ("P62258", "sp|P62258|1433E_HUMAN"),
        ("4PIW-A", "4PIW-A"),
        (sequence_hash("MKV"), "whatever"),
    ],
)
def test_hash_id_and_accession_all_lead_to_the_vector(tmp_path, id, name):
    file = npz(tmp_path / "x.npz", {"other": 1.0, id: 2.0})
    asked = {"MKV": frozenset([name])}
    assert file.embedder(asked)(["MKV", "MKV"]).tolist() == [[2.0], [2.0]]
    assert file.find(asked).by_name == (id != sequence_hash("MKV"))


def test_the_hash_goes_before_a_name(tmp_path):
    file = npz(tmp_path / "x.npz", {"P62258": 1.0, sequence_hash("MKV"): 2.0})
    assert file.embedder({"MKV": frozenset(["P62258"])})(["MKV"]).tolist() == [[2.0]]


@pytest.mark.parametrize("id", ["P62258-2", "sp|P62258-2|1433E_HUMAN"])
def test_an_isoform_does_not_stand_for_its_protein(tmp_path, id):
    file = npz(tmp_path / "x.npz", {id: 1.0})
    with pytest.raises(UserError, match="lacks vectors of 1 of 1 proteins, such as P62258"):
        file.find({"MKV": frozenset(["P62258"])})
    assert file.find({"MKV": frozenset([id])}).by_name == 1


def test_an_accession_that_two_ids_hold_is_neithers(tmp_path):
    file = npz(tmp_path / "x.npz", {"sp|P62258|A_HUMAN": 1.0, "tr|P62258|B_HUMAN": 2.0})
    with pytest.raises(UserError, match="P62258"):
        file.find({"MKV": frozenset(["P62258"])})


def test_a_name_of_two_sequences_finds_neither(tmp_path):
    """Tables without names call the second line of each file `line 2`."""
    file = npz(tmp_path / "x.npz", {"line 2": 1.0, "A0A1": 2.0})
    with pytest.raises(
        UserError, match=r"lacks vectors of 2 of 3 proteins, such as line 2, line 2; embed"
    ):
        file.find(
            {"MKV": frozenset(["line 2"]), "MKL": frozenset(["line 2"]), "AAA": frozenset(["A0A1"])}
        )


def test_what_is_missing_is_counted_and_the_first_are_named(tmp_path):
    file = npz(tmp_path / "x.npz", {"n0": 0.0})
    asked = {"A" * (1 + i): frozenset([f"n{i}"]) for i in range(2000)}
    with pytest.raises(UserError) as error:
        file.find(asked)
    assert (
        "lacks vectors of 1,999 of 2,000 proteins, such as n1, n2, n3; embed the FASTA file"
        in str(error.value)
    )


@pytest.mark.parametrize("named", ["hash", "id"])
def test_hdf5_is_found_by_the_names_of_its_datasets_and_by_original_ids(tmp_path, named):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        key = sequence_hash("MKV") if named == "hash" else "000000000"
        file.create_dataset(key, data=np.float16([3.0])).attrs["original_id"] = "mine"
    file = VectorFile.read(tmp_path / "x.h5")
    assert file.embedder({"MKV": frozenset(["mine"])})(["MKV"]).tolist() == [[3.0]]
    # A place in another program's input says nothing.
    asked = {"MKV": frozenset(["000000000"])}
    if named == "hash":
        assert file.find(asked).by_name == 0
    else:
        with pytest.raises(UserError, match="000000000"):
            file.find(asked)


def test_vectors_of_residues_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["P1"], file["P2"] = np.zeros((4, 2)), np.zeros((5, 2))
    with pytest.raises(
        UserError, match=r"P1. has a vector for each residue; give one vector for each protein"
    ):
        VectorFile.read(tmp_path / "x.h5")


def test_a_file_that_is_absent_or_empty_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        VectorFile.read(tmp_path / "x.h5")
    np.savez(tmp_path / "x.npz", ids=np.array([], str), vectors=np.zeros((0, 3)))
    with pytest.raises(UserError, match="holds no vector"):
        VectorFile.read(tmp_path / "x.npz")
