"""Label libraries: reads labels that describe proteins, each with the prompts that express it.

A prompt reads like the text a model is trained on, such as `FUNCTION: …`. A label's embedding is
the normalised mean of its prompts' embeddings.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.model_input import Prepared, numbered_rows
from data_pipelines.readers.enzyme import read_enzymes
from data_pipelines.readers.obo import Term, read_obo
from data_pipelines.readers.table import open_table, read_table

TABLES = {".tsv": "tsv", ".csv": "csv"}
SUFFIXES = (".obo", ".dat", ".txt", *TABLES)
COLUMNS = ("name", "label", "description", "definition", "prompt", "text")
"""Columns of a table that are read by default."""

GO_TEMPLATES = {
    "molecular_function": ("FUNCTION: {}",),
    "biological_process": ("FUNCTION: Involved in {}",),
    "cellular_component": ("SUBCELLULAR LOCATION: {}",),
}
"""Gene Ontology namespace → prompts in the words of UniProt's properties."""
ENZYME_TEMPLATES = ("PROTEIN NAME: {}", "FUNCTION: {}")


class Label(NamedTuple):
    """A label, its prompts and its line; one with a fault cannot be used and has no prompts."""

    id: str
    name: str
    prompts: tuple[str, ...]
    line: int
    fault: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelSource:
    """A file of labels, readable any number of times; `prepared` yields prompts like a `Source`.

    Attributes:
      columns: columns of a table with texts that describe the label; the first is the label's name.
        None takes the columns of `COLUMNS` that exist.
      templates: prompts with one `{}` each for the label's own texts; None takes the templates of
        the format.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels.tsv"
        >>> _ = path.write_text("id\\tname\\nL1\\tkinase\\n")
        >>> source = LabelSource(path=path, templates=("FUNCTION: {}",))
        >>> [label.prompts for label in source.labels()]
        [('FUNCTION: kinase',)]
    """

    path: Path
    columns: tuple[str, ...] | None = None
    id_column: str | None = None
    templates: tuple[str, ...] | None = None
    modality = "text"

    def __post_init__(self):
        for template in self.templates or ():
            if template.count("{}") != 1:
                raise UserError(
                    f"the template {template!r} must contain {{}} once, "
                    "where the label's text goes."
                )

    def labels(self) -> Iterator[Label]:
        """Yields the labels in file order; table rows with the same id are prompts of one label.

        Raises:
          UserError: the format is unknown or the file unreadable.
        """
        suffix = Path(self.path.name.lower().removesuffix(".gz")).suffix
        if suffix == ".obo":
            yield from map(self._of_term, read_obo(self.path))
        elif suffix in (".dat", ".txt"):
            yield from self._of_enzymes()
        elif suffix in TABLES:
            yield from self._of_table(TABLES[suffix])
        else:
            raise UserError(
                f"{self.path} has an unknown label format; expected *{', *'.join(SUFFIXES)}."
            )

    def count(self) -> int | None:
        """Always None; see `Source.count`."""
        return None

    def notes(self) -> list[str]:
        """Lines for the user on how the file is read."""
        suffix = Path(self.path.name.lower().removesuffix(".gz")).suffix
        named = suffix not in TABLES or self.id_column
        return [] if named else numbered_rows(self.path, TABLES[suffix])

    def prepared(self) -> Iterator[Prepared]:
        """Yields the prompts of all labels in order, named by label id; bad ones have a fault."""
        for label in self.labels():
            for number, prompt in enumerate(label.prompts, 1):
                yield Prepared(
                    f"{label.id} prompt {number}",
                    prompt,
                    label.line,
                    "",
                    Counter(),
                    False,
                    label.name,
                )
            if not label.prompts:
                yield Prepared(label.id, "", label.line, label.fault, Counter(), False, label.name)

    def _prompts(self, texts: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
        filled: list[str] = []
        for text in filter(str.strip, texts):
            filled += [template.replace("{}", text) for template in self.templates or default]
        return tuple(dict.fromkeys(filled))

    def _of_term(self, term: Term) -> Label:
        if fault := self._fault(term):
            return Label(term.id, term.name, (), term.line, fault)
        if self.templates:
            return Label(term.id, term.name, self._prompts([term.name], self.templates), term.line)
        named = self._prompts([f"{term.name}."], GO_TEMPLATES.get(term.namespace, ("{}",)))
        prefix = named[0].partition(":")[0] if term.namespace in GO_TEMPLATES else ""
        defined = (f"{prefix}: {term.definition}".removeprefix(": "),) if term.definition else ()
        return Label(term.id, term.name, named + defined, term.line)

    def _fault(self, term: Term) -> str:
        if term.obsolete:
            replacement = f", replaced by {term.replaced_by}" if term.replaced_by else ""
            return f"it is obsolete{replacement}"
        if not (term.id and term.name):
            return "it has no id or no name"
        # The full Gene Ontology file also contains chemicals, cells and organisms.
        if term.namespace == "gene_ontology" and not term.id.startswith("GO:"):
            return f"it belongs to another ontology, {term.id.partition(':')[0]}"
        return ""

    def _of_enzymes(self) -> Iterator[Label]:
        for enzyme in read_enzymes(self.path):
            number = f"EC {enzyme.number}"
            if enzyme.withdrawn or not enzyme.name:
                fault = (
                    f"its EC number is withdrawn ({enzyme.name})"
                    if enzyme.name
                    else "it has no name"
                )
                yield Label(number, enzyme.name, (), enzyme.line, fault)
                continue
            texts = [f"{name}." for name in (enzyme.name, *enzyme.alternatives)]
            yield Label(number, enzyme.name, self._prompts(texts, ENZYME_TEMPLATES), enzyme.line)

    def _of_table(self, dialect: str) -> Iterator[Label]:
        columns = (
            self.columns
            or tuple(name for name in COLUMNS if name in read_header(self.path, dialect))
            or COLUMNS[:1]
        )
        tables = [
            read_table(self.path, dialect=dialect, columns=[name], id_column=self.id_column)
            for name in columns
        ]
        grouped: dict[str, Label] = {}
        for row in zip(*tables, strict=True):
            first = row[0]
            prompts = (
                () if first.fault else self._prompts([item.text.strip() for item in row], ("{}",))
            )
            fault = first.fault or ("" if prompts else "its texts are empty")
            label = Label(
                first.id or f"row_{first.line}", first.text.strip(), prompts, first.line, fault
            )
            known = grouped.get(label.id)
            grouped[label.id] = label if known is None else merged(known, label)
        yield from grouped.values()


def merged(label: Label, other: Label) -> Label:
    """Merges two rows with the same id into one label with the prompts of both."""
    prompts = tuple(dict.fromkeys(label.prompts + other.prompts))
    return label._replace(
        prompts=prompts, name=label.name or other.name, fault="" if prompts else label.fault
    )


def read_header(path: Path, dialect: str) -> list[str]:
    """Reads the column names of a table; empty for an empty file."""
    with open_table(path, dialect) as table:
        return table.header
