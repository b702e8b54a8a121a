"""The formats that a manifest may name: what each reads, which benchmarks it can hold, and what may stand in its entry."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from types import GenericAlias

from eval.data.base.benchmarks import CROSS_MODAL, INTERACTION, KINDS, SIMILARITY, ZERO_SHOT
from eval.data.base.task import SPLITS
from eval.data.graphs.knowledge_graph import read_biobridge_graph, read_graph_tables, read_hetionet_graph, read_primekg_graph
from eval.data.importers.deepfri import read_deepfri
from eval.data.importers.deeploc import read_deeploc
from eval.data.importers.enzyme import read_enzyme_prompts
from eval.data.importers.flip import read_flip
from eval.data.importers.interactions import read_actions, read_interaction_table
from eval.data.importers.neutral import read_neutral
from eval.data.importers.prompts import read_prompt_table, read_prompted
from eval.data.importers.reaction import read_reaction
from eval.data.importers.ses import read_ses
from eval.data.importers.similarity import read_similarity, read_similarity_tables
from eval.data.importers.tables import read_tables
from eval.data.importers.variants import read_variant_fasta, read_variant_table
from eval.data.importers.windows import read_windows

_REGRESSIONS = tuple(name for name, kind in KINDS.items() if kind == "regression")
_MULTICLASS = tuple(name for name, kind in KINDS.items() if kind == "multiclass")
_MULTILABEL = tuple(name for name, kind in KINDS.items() if kind == "multilabel")


@dataclasses.dataclass(frozen=True)
class Format:
    """A way in which benchmarks' files come."""

    read: Callable
    """The importer; the keys of an entry are its arguments."""
    benchmarks: tuple[str, ...]
    splits: tuple[str, ...] = ()
    """Keys with a file or several, which the importer gets together as `files`."""
    file: tuple[str, ...] = ()
    """Keys with one file."""
    files: tuple[str, ...] = ()
    """Keys with a file or several."""
    named_file: tuple[str, ...] = ()
    """Keys with an object of names and a file each."""
    named_files: tuple[str, ...] = ()
    """Keys with an object of names and a file or several each."""
    vectors: tuple[str, ...] = ()
    """Keys with an object of names, each with a file and what its source is called."""
    options: Mapping[str, type | GenericAlias] = dataclasses.field(default_factory=dict)
    """Keys with anything else, and its type in JSON: text, whole number, or a list of these with one at least."""

    @property
    def keys(self) -> tuple[str, ...]:
        """All that may stand in an entry beside `format` and `comment`."""
        return (
            *self.splits, *self.file, *self.files, *self.named_file, *self.named_files, *self.vectors, *self.options
        )  # fmt: skip

    @property
    def required(self) -> tuple[str, ...]:
        """The keys that must be there; of the splits, one."""
        parameters = inspect.signature(self.read).parameters
        return tuple(key for key in self.keys if key in parameters and parameters[key].default is inspect.Parameter.empty)


_GRAPH = {"named_files": ("contents",), "vectors": ("vectors",), "options": {"node_types": list[str]}}

FORMATS: dict[str, Format] = {
    "deeploc_fasta": Format(read_deeploc, ("localisation", "membrane"), (*SPLITS, "all"), options={"mixed": str}),
    "ses_jsonl": Format(
        read_ses,
        ("localisation", "membrane", *_MULTILABEL, "thermostability"),
        SPLITS,
        options={"mixed": str, "class_count": int},
    ),
    "deepfri": Format(read_deepfri, _MULTILABEL, SPLITS, file=("annotations",), files=("sequences",)),
    "ieconv": Format(read_reaction, ("reaction",), SPLITS, file=("functions", "classes"), files=("sequences",)),
    "flip": Format(read_flip, _REGRESSIONS, file=("file",)),
    "tables": Format(
        read_tables,
        (*_REGRESSIONS, *_MULTICLASS),
        SPLITS,
        options={"classes": list[str], "sequence_column": str, "target_column": str},
    ),
    "windows": Format(
        read_windows, ("aav",), file=("file", "reference"), options={"window": list[int], "train_substitutions": int}
    ),
    "variant_table": Format(
        read_variant_table, _REGRESSIONS, file=("file", "wild_type"), options={"first_position": int, "stop": str}
    ),
    "variant_fasta": Format(read_variant_fasta, _REGRESSIONS, file=("file",), options={"synonymous": str}),
    "neutral": Format(read_neutral, tuple(KINDS), SPLITS, file=("classes",)),
    "string_actions": Format(read_actions, INTERACTION, file=("actions",), files=("sequences",)),
    "interaction_table": Format(read_interaction_table, INTERACTION, file=("file",), files=("sequences",)),
    "primekg": Format(read_primekg_graph, CROSS_MODAL, file=("edges", "config"), **_GRAPH),
    "hetionet": Format(
        read_hetionet_graph, CROSS_MODAL, file=("nodes", "edges", "metaedges", "config"), files=("annotations",), **_GRAPH
    ),
    "biobridge": Format(
        read_biobridge_graph, CROSS_MODAL, file=("triplets", "config"), named_files=("nodes",), vectors=("vectors",)
    ),
    "graph_tables": Format(read_graph_tables, CROSS_MODAL, file=("nodes", "edges", "config"), vectors=("vectors",)),
    "probe": Format(read_similarity, SIMILARITY, named_file=("matrices",), file=("coordinates",), files=("sequences",)),
    "protst_prompts": Format(
        read_prompted, tuple(ZERO_SHOT), named_file=("tables",), file=("functions",), options={"columns": list[str]}
    ),
    "enzyme_prompts": Format(read_enzyme_prompts, ("zero_shot_reaction",), file=("file", "classes")),
    "prompt_table": Format(read_prompt_table, tuple(ZERO_SHOT), file=("file",)),
    "similarity_tables": Format(read_similarity_tables, SIMILARITY, named_file=("files",), files=("sequences",)),
}
