"""The forms of a benchmark once it is read, whatever its source format."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from data_pipelines.inputs.substitutions import Variant

SPLITS = ("train", "valid", "test")

IDENTITY_CUTOFFS = (0.30, 0.40, 0.50, 0.70, 0.95)
"""DeepFRI's cut-offs: the highest sequence identity of a test chain to the training chains."""

INTERACTIONS = (
    "reaction",
    "binding",
    "ptmod",
    "activation",
    "inhibition",
    "catalysis",
    "expression",
)
"""STRING's modes of interaction, in the order of GNN-PPI's labels."""

Target = int | float | tuple[int, ...]
"""A class, a number, or the ascending classes of a multi-label sample (possibly none)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A protein and its target."""

    name: str
    """Its name in the file; not always unique."""
    sequence: str
    """Residues that ESM-2 has tokens for: upper-case letters without J."""
    target: Target
    identity: float | None = None
    """For EC and GO test chains the smallest of `IDENTITY_CUTOFFS` that bounds the identity.

    1.0 above all of them.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be used."""

    file: str
    line: int
    """The line where the row begins, 1-based; 0 if no line is at fault."""
    name: str
    reason: str
    """The same words for the same fault, so that faults can be counted."""


@dataclasses.dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read, so that reports can name the data behind a number."""

    path: str
    """Relative to the data folder if it lies inside it."""
    bytes: int
    sha256: str
    rows: int
    """Rows, records or entries, including rejected ones."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A benchmark of single proteins."""

    name: str
    kind: Literal["multiclass", "multilabel", "regression"]
    classes: tuple[str, ...]
    """Class names in label order, as in the data; empty for a regression."""
    splits: Mapping[str, list[Sample]]
    """The splits in `SPLITS` that the data have."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    unit: str = ""
    """The unit of a regression's target."""
    notes: tuple[str, ...] = ()
    """What else reports must say about these data, such as splits other than the published."""


@dataclasses.dataclass(frozen=True)
class InteractionGraph:
    """Which proteins interact, and how."""

    names: list[str]
    sequences: list[str]
    edges: Int[np.ndarray, "E 2"]
    """int32 indices into `names`, first < second, every pair once, in ascending order."""
    labels: Bool[np.ndarray, "E 7"]
    """One column for each of `INTERACTIONS`; every row has at least one."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A node of a knowledge graph."""

    id: str
    """The id in its source's terms (Entrez gene, GO, MONDO, DrugBank …); unique within its type."""
    type: int
    """Index into `KnowledgeGraph.node_types`."""
    name: str
    content: str | None = None
    """A protein's sequence, for other nodes a text; None if unknown."""


@dataclasses.dataclass(frozen=True)
class NodeVectors:
    """Embeddings of nodes made by another model, such as a drug encoder."""

    source: str
    """Who made them, as the manifest says."""
    nodes: Int[np.ndarray, " M"]
    """int32 indices into `KnowledgeGraph.nodes`, ascending."""
    values: Float[np.ndarray, "M D"]
    """float32."""


@dataclasses.dataclass(frozen=True)
class KnowledgeGraph:
    """Typed nodes and typed relations between them."""

    node_types: tuple[str, ...]
    relation_types: tuple[str, ...]
    nodes: list[Node]
    triplets: Int[np.ndarray, "N 3"]
    """int32 (head, relation, tail); head and tail are indices into `nodes`.

    Every relation is listed in both directions, once.
    """
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()
    vectors: Mapping[str, NodeVectors] = dataclasses.field(default_factory=dict)
    """By node type."""


@dataclasses.dataclass(frozen=True)
class SimilarityTable:
    """The functional similarity of pairs of proteins."""

    aspect: Literal["MF", "BP", "CC", ""]
    """For PROBE, the ontology."""
    set: str
    """The name of the set: for PROBE 500, 200 or sparse, for other sources as in the manifest.

    PROBE's are all pairs of the 500 or 200 best annotated proteins, and 247 pairs of the 500 spread
    evenly over similarity.
    """
    names: list[str]
    """UniProt accessions."""
    sequences: list[str]
    pairs: Int[np.ndarray, "P 2"]
    """int32 indices into `names`, every pair once, first < second.

    Exception: PROBE's sparse MF set has one pair of a protein with itself.
    """
    similarity: Float[np.ndarray, " P"]
    """float64 in [0, 1]: PROBE uses Lin's measure, kgsim another.

    Of interactions, 1 for pairs that interact and 0 for others.
    """
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PromptedTask:
    """Proteins with classes, and texts for each class; labels are used only to judge."""

    task: Task
    prompts: Mapping[str, Mapping[str, list[str]]]
    """For each set of prompts, the texts of each class."""
    rejects: list[Rejected]
    """Includes the task's rejects; likewise its sources and notes."""
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class MeasuredVariant:
    """A variant and its measured effect."""

    changes: Variant
    """Its substitutions; none for the wild type."""
    target: float


@dataclasses.dataclass(frozen=True)
class Assay:
    """An experiment on variants of one protein, to be predicted without training on it."""

    name: str
    wild_type: str
    variants: list[MeasuredVariant]
    protein: str = ""
    """For ProteinGym the UniProt ID; several assays may share one."""
    function: str = ""
    """For ProteinGym what was selected for, such as Activity or Binding."""
    train: tuple[MeasuredVariant, ...] = ()
    """Labelled variants besides those judged, for a supervised baseline."""
    alignment: tuple[str, ...] = ()
    """Homologues aligned to the wild type's columns, `-` where they have no residue."""
    text: str = ""
    """What is known about the protein."""


@dataclasses.dataclass(frozen=True)
class Assays:
    """Experiments on variants."""

    name: str
    assays: list[Assay]
    rows: Mapping[str, int]
    """Sizes in the terms of the published ones."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


Data = Task | PromptedTask | InteractionGraph | KnowledgeGraph | SimilarityTable | Assays
"""What importers return; all forms have `rejects`, `sources` and `notes`.

Semantic similarity has several sets.
"""
