"""The forms that benchmarks take once they are read, whatever format they came in."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from data_pipelines.inputs.substitutions import Variant

SPLITS = ("train", "valid", "test")

IDENTITY_CUTOFFS = (0.30, 0.40, 0.50, 0.70, 0.95)
"""DeepFRI's: the test chains of a cut-off have at most that sequence identity to the training
chains."""

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
"""A class, a number, or the ascending classes of a multi-label sample, of which there may be
none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A protein and what is to be predicted of it."""

    name: str
    """What its file calls it; not always unique."""
    sequence: str
    """Residues as ESM-2 has tokens for them: upper-case letters without J."""
    target: Target
    identity: float | None = None
    """Of EC and GO test chains, the smallest of `IDENTITY_CUTOFFS` that bounds the identity to
    training; 1.0 above them all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be used."""

    file: str
    line: int
    """1-based, where the row begins; 0 for what concerns no line of it."""
    name: str
    reason: str
    """The same words for the same fault, so that they can be counted."""


@dataclasses.dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read, so that a report can say on which data its numbers are."""

    path: str
    """Relative to the data folder where it lies in it."""
    bytes: int
    sha256: str
    rows: int
    """Rows, records or entries, the rejected ones too."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A benchmark of single proteins."""

    name: str
    kind: Literal["multiclass", "multilabel", "regression"]
    classes: tuple[str, ...]
    """Names in label order, as the data have it; empty for a regression."""
    splits: Mapping[str, list[Sample]]
    """Those of `SPLITS` that the data have."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    unit: str = ""
    """Of a regression's target."""
    notes: tuple[str, ...] = ()
    """What else a report must say of these data, such as splits that are not the published ones."""


@dataclasses.dataclass(frozen=True)
class InteractionGraph:
    """Which proteins interact, and how."""

    names: list[str]
    sequences: list[str]
    edges: Int[np.ndarray, "E 2"]
    """int32 places in `names`, first < second, every pair once, in ascending order."""
    labels: Bool[np.ndarray, "E 7"]
    """One column for each of `INTERACTIONS`; every row has one."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """Something that a knowledge graph knows of."""

    id: str
    """In its source's own terms (Entrez gene, GO, MONDO, DrugBank …); unique within its type."""
    type: int
    """Place in `KnowledgeGraph.node_types`."""
    name: str
    content: str | None = None
    """A protein's sequence, else a text; None where none is known."""


@dataclasses.dataclass(frozen=True)
class NodeVectors:
    """Embeddings of nodes that come from elsewhere, such as drugs'."""

    source: str
    """Whose they are, in the words of whoever supplied them."""
    nodes: Int[np.ndarray, " M"]
    """int32 places in `KnowledgeGraph.nodes`, ascending."""
    values: Float[np.ndarray, "M D"]
    """float32."""


@dataclasses.dataclass(frozen=True)
class KnowledgeGraph:
    """Typed nodes and typed relations between them."""

    node_types: tuple[str, ...]
    relation_types: tuple[str, ...]
    nodes: list[Node]
    triplets: Int[np.ndarray, "N 3"]
    """int32 (head, relation, tail): head and tail are places in `nodes`. Every relation is there
    in both directions, once."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()
    vectors: Mapping[str, NodeVectors] = dataclasses.field(default_factory=dict)
    """By node type."""


@dataclasses.dataclass(frozen=True)
class SimilarityTable:
    """How similar pairs of proteins are in what they do."""

    aspect: Literal["MF", "BP", "CC", ""]
    """Of PROBE, the ontology."""
    set: str
    """Of PROBE 500, 200 or sparse: all pairs of the 500 or 200 best annotated proteins, or 247 of
    the 500's spread evenly over similarity. Of other sources what the manifest calls it."""
    names: list[str]
    """UniProt accessions."""
    sequences: list[str]
    pairs: Int[np.ndarray, "P 2"]
    """int32 places in `names`, every pair once; first < second, but for PROBE's sparse set of MF,
    where one pair is a protein with itself."""
    similarity: Float[np.ndarray, " P"]
    """float64, 0 to 1: of PROBE Lin's, of kgsim another measure, or 1 for pairs that interact
    and 0 for others."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PromptedTask:
    """Proteins with classes, and what each class is called in words: nothing is learnt from the
    labels, they only judge."""

    task: Task
    prompts: Mapping[str, Mapping[str, list[str]]]
    """By the name of a set of prompts, each class's texts."""
    rejects: list[Rejected]
    """The task's among them, and its sources and notes likewise."""
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class MeasuredVariant:
    """A variant and what an experiment found."""

    changes: Variant
    """Its substitutions; none for the wild type itself."""
    target: float


@dataclasses.dataclass(frozen=True)
class Assay:
    """An experiment on the variants of a protein, which are judged without learning from them."""

    name: str
    wild_type: str
    variants: list[MeasuredVariant]
    protein: str = ""
    """Of ProteinGym, the UniProt ID; several assays may be of one protein."""
    function: str = ""
    """Of ProteinGym, what was selected for, such as Activity or Binding."""
    train: tuple[MeasuredVariant, ...] = ()
    """Labelled variants beside the judged ones, for a supervised baseline."""
    alignment: tuple[str, ...] = ()
    """Homologues in the wild type's columns, `-` where they have no residue."""
    text: str = ""
    """What is known of the protein."""


@dataclasses.dataclass(frozen=True)
class Assays:
    """Experiments on variants."""

    name: str
    assays: list[Assay]
    rows: Mapping[str, int]
    """Sizes in the terms of published ones."""
    rejects: list[Rejected]
    sources: list[SourceFile]
    notes: tuple[str, ...] = ()


Data = Task | PromptedTask | InteractionGraph | KnowledgeGraph | SimilarityTable | Assays
"""What importers give; of semantic similarity there are several sets. All have `rejects`,
`sources` and `notes`."""
