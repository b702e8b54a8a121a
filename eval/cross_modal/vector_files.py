"""Embeddings by id from files that others made: HDF5 and Parquet as `protclip_jax.embed` writes them, or NPZ."""

import dataclasses
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
from jaxtyping import Float32

from data_pipelines.errors import UserError
from eval.data.task import KnowledgeGraph, NodeVectors


def read_vectors(path: Path) -> tuple[list[str], Float32[np.ndarray, "n D"]]:
    """Ids and their embeddings, in the order of the file.

    `.h5`: a dataset [D] each, its id in the attribute `original_id` or else its name. `.parquet`: columns `id` and
    `embedding`, lists of one length. `.npz`, without pickles: arrays `ids` [n] and `vectors` [n, D].

    Raises:
      UserError: the file is no such file, names an id twice, or a number is not finite.
    """
    if path.suffix not in READERS:
        raise UserError(f"{path} is none of {', '.join(READERS)}; write the embeddings to such a file.")
    try:
        ids, vectors = READERS[path.suffix](path)
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, pyarrow.ArrowException) as error:
        raise UserError(
            f"{path} holds no embeddings as {path.suffix} files do ({error}); see eval/cross_modal/vector_files.py."
        ) from error
    if vectors.ndim != 2 or len(ids) != len(vectors) or len(set(ids)) < len(ids) or not np.isfinite(vectors).all():
        raise UserError(f"{path} needs one finite vector for each id, and each id once; mend the file.")
    return ids, vectors


def _read_h5(path: Path) -> tuple[list[str], np.ndarray]:
    with h5py.File(path) as file:
        items = [(str(dataset.attrs.get("original_id", name)), dataset[()]) for name, dataset in file.items()]
    return [name for name, _ in items], np.array([vector for _, vector in items], np.float32)


def _read_parquet(path: Path) -> tuple[list[str], np.ndarray]:
    columns = pyarrow.parquet.read_table(path, columns=["id", "embedding"])
    return columns["id"].to_pylist(), np.array(columns["embedding"].to_pylist(), np.float32)


def _read_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["ids"].astype(str).tolist(), np.asarray(arrays["vectors"], np.float32)


READERS: dict[str, Callable] = {".h5": _read_h5, ".hdf5": _read_h5, ".parquet": _read_parquet, ".npz": _read_npz}
"""By the suffix of the file."""


def with_vectors(graph: KnowledgeGraph, type_: str, path: Path, *, source: str) -> KnowledgeGraph:
    """The graph with the embeddings of a file for its nodes of one type; those of other nodes are passed over.

    Args:
      source: who made them and with what, for the report.

    Raises:
      UserError: as `read_vectors`, or the file has none of these nodes.
    """
    ids, vectors = read_vectors(path)
    kind = graph.node_types.index(type_) if type_ in graph.node_types else -1
    places = {node.id: place for place, node in enumerate(graph.nodes) if node.type == kind}
    found = sorted((places[name], row) for row, name in enumerate(ids) if name in places)
    if not found:
        raise UserError(f"{path} has an embedding of none of the graph's {type_} nodes; its ids look like {ids[:2]}.")
    nodes, rows = np.array(found, np.int32).T
    return dataclasses.replace(graph, vectors={**graph.vectors, type_: NodeVectors(source, nodes, vectors[rows])})
