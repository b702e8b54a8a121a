import json

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.data.base.audit import audit_graph, by_reason
from eval.data.base.gathered import Gathered
from eval.data.graphs import hetionet, knowledge_graph, primekg
from eval.data.graphs.graph import GraphBuilder, read_graph_config
from eval.data.graphs.knowledge_graph import (
    read_biobridge_graph,
    read_graph_tables,
    read_hetionet_graph,
    read_primekg_graph,
)
from eval.data.graphs.node_contents import add_contents

PRIMEKG = (
    "relation,display_relation,x_index,x_id,x_type,x_name,x_source,y_index,y_id,y_type,y_name,y_source\n"
    "drug_protein,target,5,77,gene/protein,GENE,NCBI,9,DB1,drug,A drug,DrugBank\n"
    "drug_protein,target,9,DB1,drug,A drug,DrugBank,5,77,gene/protein,GENE,NCBI\n"
    'disease_protein,associated with,7,77,disease,"pain, acute",MONDO,5,77,gene/protein,GENE,NCBI\n'
    "anatomy_protein_present,expression "
    "present,5,77,gene/protein,GENE,NCBI,3,UB,anatomy,lung,UBERON\n"
)
CONFIG = {
    "node_type": {"drug": 1, "disease": 0, "gene/protein": 2},
    "relation_type": {"ppi": 0, "target": 1},
}


def triplets(graph):
    names = [f"{graph.node_types[node.type]}:{node.id}" for node in graph.nodes]
    return {(names[h], graph.relation_types[r], names[t]) for h, r, t in graph.triplets}


def nodes(graph):
    return {
        (graph.node_types[node.type], node.id): (node.name, node.content) for node in graph.nodes
    }


def test_every_relation_is_there_in_both_directions_once(file):
    graph = read_primekg_graph(file(PRIMEKG))
    assert triplets(graph) == {
        ("gene/protein:77", "target", "drug:DB1"),
        ("drug:DB1", "target", "gene/protein:77"),
        ("disease:77", "associated with", "gene/protein:77"),
        ("gene/protein:77", "associated with", "disease:77"),
    }
    assert (len(graph.triplets), graph.triplets.dtype) == (4, np.int32)
    assert nodes(graph)["disease", "77"] == ("pain, acute", None)
    assert (graph.node_types, graph.relation_types) == (
        ("disease", "drug", "gene/protein"),
        ("associated with", "target"),
    )
    assert len(graph.notes) == 1
    assert graph.notes[0].startswith(
        "1 rows of file.txt were left out: they have an end outside biological_process"
    )
    assert audit_graph(graph)["relations"] == {"associated with": 1, "target": 1}


def test_a_configuration_gives_the_ids_of_types(file):
    graph = read_primekg_graph(
        file(PRIMEKG),
        config=file(json.dumps(CONFIG), "c.json"),
        node_types=["drug", "gene/protein"],
    )
    assert graph.node_types == ("disease", "drug", "gene/protein")
    assert graph.relation_types == ("ppi", "target")
    assert triplets(graph) == {
        ("gene/protein:77", "target", "drug:DB1"),
        ("drug:DB1", "target", "gene/protein:77"),
    }
    more = read_primekg_graph(file(PRIMEKG), config=file(json.dumps(CONFIG), "c.json"))
    assert more.relation_types == ("ppi", "target", "associated with")


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        "{}",
        '{"node_type": {"a": 1}, "relation_type": {"b": 0}}',
        '{"node_type": {"a": "0"}, "relation_type": {}}',
    ],
)
def test_other_configurations_are_refused(file, config):
    with pytest.raises(UserError, match=r"c\.json"):
        read_graph_config(file(config, "c.json"))


def test_contents_by_id_index_fasta_and_pairs(file):
    contents = {
        "gene/protein": [file("node_index,node_id,sequence\n6,77,MAA\n5,1,mkv\n", "p.csv")],
        "disease": [file("mondo_id,mondo_name,definition\n77,pain,It hurts\n78,x,y\n", "d.csv")],
    }
    graph = read_primekg_graph(file(PRIMEKG), contents=contents)
    assert nodes(graph)["gene/protein", "77"] == ("GENE", "MKV")
    assert nodes(graph)["disease", "77"] == ("pain, acute", "It hurts")
    for text in (">77 GENE\nMCC\n", "77\tMCC\n"):
        graph = read_primekg_graph(file(PRIMEKG), contents={"gene/protein": [file(text, "p.txt")]})
        assert nodes(graph)["gene/protein", "77"] == ("GENE", "MCC")
        assert len(graph.notes) == 1
    with pytest.raises(UserError, match="d.csv .*column of ids .*a, b"):
        read_primekg_graph(file(PRIMEKG), contents={"disease": [file("a,b\n1,2\n", "d.csv")]})


def vectors(tmp_path, **arrays):
    np.savez(tmp_path / "v.npz", **arrays)
    return {"drug": {"file": str(tmp_path / "v.npz"), "source": "somebody"}}


def test_vectors_of_others(file, tmp_path):
    given = vectors(tmp_path, ids=np.array(["DB9", "DB1"]), vectors=np.arange(6).reshape(2, 3))
    own = read_primekg_graph(file(PRIMEKG), vectors=given).vectors["drug"]
    assert own.source == "somebody"
    assert own.values.tolist() == [[3, 4, 5]]
    assert own.nodes.tolist() == [1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"ids": np.array(["DB1"], object), "vectors": np.ones((1, 2))},
            "ids and vectors",
        ),
        ({"names": np.array(["DB1"])}, "ids and vectors"),
        ({"ids": np.array([1]), "vectors": np.ones((1, 2))}, "int64"),
        ({"ids": np.array(["DB1"]), "vectors": np.ones((2, 2))}, r"\[n, d\]"),
        ({"ids": np.array(["DB1", "DB1"]), "vectors": np.ones((2, 2))}, "repeats an id"),
        ({"ids": np.array(["DB1"]), "vectors": np.full((1, 2), np.nan)}, "not finite"),
        (
            {"ids": np.array(["X1"]), "vectors": np.ones((1, 2))},
            "drug node.*'X1'",
        ),
    ],
)
def test_other_vectors_are_refused(file, tmp_path, arrays, message):
    given = vectors(tmp_path, **arrays)
    with pytest.raises(UserError, match=f"v.npz.*{message}"):
        read_primekg_graph(file(PRIMEKG), vectors=given)


def test_other_files_than_primekgs_are_refused(file):
    with pytest.raises(UserError, match="display_relation and x_index"):
        read_primekg_graph(file("source,metaedge,target\n"))
    with pytest.raises(UserError, match="file.txt .*node_types"):
        read_primekg_graph(file(PRIMEKG), node_types=["pathway"])


def test_contents_of_no_node_are_reported(file):
    proteins = file("node_id,sequence\nP77,MKV\n", "p.csv")
    graph = read_primekg_graph(
        file(PRIMEKG), contents={"gene/protein": [proteins], "protein": [proteins]}
    )
    assert graph.notes[1:] == (
        "p.csv has the content of none of the graph's nodes of type gene/protein",
        "p.csv has the content of none of the graph's nodes of type protein",
    )


def test_nodes_that_a_file_lacks_are_counted(file):
    proteins = file("node_id,sequence\nA1,MKV\nA9,MKL\n", "p.csv")
    builder = GraphBuilder(Gathered())
    for id_ in ("A1", "A2"):
        builder.node("gene/protein", id_, id_)
    assert add_contents(builder, {"gene/protein": [proteins]}) == [
        "p.csv has the content of 1 of 2 nodes of type gene/protein"
    ]


NODES = (
    "id\tname\tkind\r\nGene::2\tA2M\tGene\r\nMolecular Function::GO:1\tbinding\tMolecular "
    "Function\r\n"
    "Disease::DOID:3\tpain\tDisease\r\nAnatomy::U4\tlung\tAnatomy\r\n"
)
EDGES = (
    "source\tmetaedge\ttarget\r\nGene::2\tGpMF\tMolecular "
    "Function::GO:1\r\nDisease::DOID:3\tDdG\tGene::2\r\n"
    "Anatomy::U4\tAeG\tGene::2\r\nGene::2\tGpMF\tGone::1\r\nGene::2\tXxX\tGene::2\r\n"
)
METAEDGES = (
    "metaedge\tabbreviation\tedges\nGene - participates - Molecular Function\tGpMF\t1\nGene "
    "> regulates > Gene\tGr>G\t1\n"
    "Disease - downregulates - Gene\tDdG\t1\nAnatomy - expresses - Gene\tAeG\t1\n"
)
ANNOTATIONS = (
    "go_id\tgo_name\tgo_domain\ttax_id\tannotation_type\tsize\tgene_ids\tgene_symbols\n"
    "GO:9\trepair\tbiological_process\t9606\tdirect\t2\t2|5\tA2M|AAA\nGO:8\tx\tcooking\t9606\tdirect\t1\t2\tA2M\n"
)


def test_hetionet_by_primekgs_names(file):
    graph = read_hetionet_graph(
        file(NODES, "n.tsv"),
        file(EDGES, "e.sif"),
        metaedges=file(METAEDGES, "m.tsv"),
        annotations=[file(ANNOTATIONS, "go.tsv")],
    )
    assert {t for t in triplets(graph) if t[0] == "gene/protein:2"} == {
        ("gene/protein:2", "interacts with", "molecular_function:GO:1"),
        ("gene/protein:2", "downregulates", "disease:DOID:3"),
        ("gene/protein:2", "interacts with", "biological_process:GO:9"),
    }
    assert len(graph.triplets) == 8
    assert nodes(graph)["gene/protein", "5"] == ("AAA", None)
    assert by_reason(graph.rejects) == {
        hetionet.NO_NODE: 1,
        hetionet.NO_METAEDGE: 1,
        hetionet.NO_DOMAIN: 1,
    }
    assert graph.notes[0].startswith("1 rows of e.sif were left out")


def test_annotations_add_no_nodes_of_types_that_are_left_out(file):
    given = {"metaedges": file(METAEDGES, "m.tsv"), "annotations": [file(ANNOTATIONS, "go.tsv")]}
    types = ["gene/protein", "disease"]
    graph = read_hetionet_graph(
        file(NODES, "n.tsv"), file(EDGES, "e.sif"), **given, node_types=types
    )
    assert {kind for kind, _ in nodes(graph)} == set(types)
    assert (
        graph.notes[1]
        == "1 rows of go.tsv were left out: they have an end outside disease, gene/protein"
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("n.tsv", EDGES, "n.tsv has no column id and name and kind"),
        ("e.sif", "a b c\n", "e.sif has no column source and metaedge and target"),
        (
            "m.tsv",
            "metaedge\tabbreviation\nGene to Gene\tGG\n",
            "m.tsv .*metaedge",
        ),
    ],
)
def test_other_files_than_hetionets_are_refused(file, name, text, message):
    texts = {"n.tsv": NODES, "e.sif": EDGES, "m.tsv": METAEDGES} | {name: text}
    paths = {key: file(value, key) for key, value in texts.items()}
    with pytest.raises(UserError, match=message):
        read_hetionet_graph(paths["n.tsv"], paths["e.sif"], metaedges=paths["m.tsv"])


def test_biobridges_own_files(file):
    tables = {
        "gene/protein": [
            file(
                "node_index,node_id,node_type,node_name,node_source,sequence\n5,77,gene/protein,GENE,NCBI,MKV\n",
                "p.csv",
            )
        ],
        "disease": [
            file("node_index,mondo_id,mondo_name,definition\n7,77,pain,It hurts\n", "d.csv")
        ],
    }
    text = "x_index,y_index,display_relation,relation,x_type,y_type\n5,7,1,r,2,0\n5,8,1,r,2,0\n5,7,4,r,2,0\n"
    graph = read_biobridge_graph(
        file(text), config=file(json.dumps(CONFIG), "c.json"), nodes=tables
    )
    assert triplets(graph) == {
        ("gene/protein:77", "target", "disease:77"),
        ("disease:77", "target", "gene/protein:77"),
    }
    assert nodes(graph) == {
        ("gene/protein", "77"): ("GENE", "MKV"),
        ("disease", "77"): ("pain", "It hurts"),
    }
    assert by_reason(graph.rejects) == {primekg.NO_NODE: 1, primekg.NO_RELATION: 1}
    with pytest.raises(UserError, match="d.csv .*node_id and node_name .*a, b"):
        read_biobridge_graph(
            file(text),
            config=file(json.dumps(CONFIG), "c.json"),
            nodes={"disease": [file("a,b\n1,2\n", "d.csv")]},
        )


def test_the_neutral_tables(file):
    listed = file(
        "type\tid\tname\tcontent\ngene/protein\t1\tG\tMKV\ndisease\t1\tD\ta pain\ndrug\t2\tX\t\n",
        "nodes.tsv",
    )
    edges = file(
        "head_type\thead\trelation\ttail_type\ttail\ngene/protein\t1\tassociated "
        "with\tdisease\t1\ndrug\t1\tt\tdisease\t1\n",
        "edges.tsv",
    )
    graph = read_graph_tables(listed, edges)
    assert nodes(graph)["disease", "1"] == ("D", "a pain")
    assert nodes(graph)["gene/protein", "1"] == ("G", "MKV")
    assert nodes(graph)["drug", "2"] == ("X", None)
    assert len(graph.triplets) == 2
    assert by_reason(graph.rejects) == {knowledge_graph.NO_NODE: 1}
