import gzip

import numpy as np
import pytest

from data_pipelines.build import cluster_files
from data_pipelines.build.cluster_files import read_clusters
from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.clusters import cluster_unit


def found(path, *accessions):
    """The unit of each accession, None for one in no cluster."""
    units, known = read_clusters(path).find(
        np.array([hash64(accession) for accession in accessions], np.uint64)
    )
    return [
        unit if is_known else None for unit, is_known in zip(units.tolist(), known, strict=True)
    ]


def test_clusters_of_mmseqs(tmp_path):
    path = tmp_path / "clusters.tsv.gz"
    path.write_bytes(gzip.compress(b"c1\tP1\r\nc1\tsp|P2|NAME_HUMAN\nc1\tP2\nc2\ttr|P3\nsp|\tsp|"))
    one, two = cluster_unit("c1"), cluster_unit("c2")
    assert found(path, "P1", "P2", "P3", "P4", "sp|") == [one, one, two, None, cluster_unit("sp|")]
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(UserError, match="lists no clusters"):
        read_clusters(path)


def test_clusters_of_cd_hit(tmp_path):
    path = tmp_path / "x.clstr"
    path.write_text(
        ">Cluster 0\n0\t2799aa, >sp|P1|A_HUMAN... *\n1\t2214aa, >P2... at 80.25%\n"
        ">Cluster 1\n0\t22aa, >a.b... at 1:22:1:22/95.45%\n"
    )
    zero, one = cluster_unit("Cluster 0"), cluster_unit("Cluster 1")
    assert found(path, "P1", "P2", "a.b", "P3") == [zero, zero, one, None]
    path.write_text(">Cluster 0\n0\t2799aa, >P1... *\n>Cluster 1\n0\t2799aa, >P1... *\n")
    with pytest.raises(UserError, match="line 4 puts P1 into cluster Cluster 1, .*Cluster 0"):
        read_clusters(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("c1\tP1\nc1 P2\n", "clusters.tsv line 2 "),
        ("c1\tP1\nc2\tP1\n", "line 2 puts P1 into cluster c2, .*c1"),
        ("c1\tP1\n>Cluster 0\n", "clusters.tsv line 2 "),
        (">Cluster 0\nc1\tP1\n", "clusters.tsv line 2 "),
        ("\tP1\n", "clusters.tsv line 1 "),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "clusters.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_clusters(path)


def test_accessions_that_share_a_hash_are_no_mistake(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_files, "hash64", lambda text: 5)
    path = tmp_path / "clusters.tsv"
    path.write_text("c1\tP1\nc2\tP2\n")
    assert read_clusters(path).units.tolist() == [cluster_unit("c1")]
