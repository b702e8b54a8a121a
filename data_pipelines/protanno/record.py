"""The ProtAnno record: one protein, its UniProt texts, and the biotext made from them."""

import dataclasses
import re

PROPERTIES = ("name", "function", "location", "similarity")
"""The four properties in biotext order; PROPERTIES[k] has id k + 1, id 0 is the full biotext."""

PREFIXES = {
    "name": "PROTEIN NAME",
    "function": "FUNCTION",
    "location": "SUBCELLULAR LOCATION",
    "similarity": "SIMILARITY",
}

UNKNOWN_SOURCE = "unknown"
SOURCES = ("swissprot", "trembl", UNKNOWN_SOURCE)
"""The origin of an entry; a lab's own file may leave it out."""


@dataclasses.dataclass(frozen=True, slots=True)
class Feature:
    """A UniProt `FT` line: residues start…end (1-based, inclusive), type and note."""

    type: str
    start: int
    end: int
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One protein.

    `existence` is UniProt's protein existence 1…5 (0 = unknown). `name` is the recommended name. A
    missing property is ''; a record with none has only its sequence. `other_names` are the names in
    parentheses of UniProt's TSV export, in its order: synonyms, short names, `EC 1.1.1.1`,
    `CD antigen CD4`. They require a name.

    `organism` is the scientific name with its strain, `taxon` its NCBI taxonomy id (0 = unknown).
    `genes` are all names of the gene, the primary one first. `go` are GO ids such as `GO:0005524`.
    """

    accession: str
    entry_name: str
    source: str
    sequence: str
    existence: int
    name: str
    function: str = ""
    location: str = ""
    similarity: str = ""
    features: tuple[Feature, ...] = ()
    other_names: tuple[str, ...] = ()
    organism: str = ""
    taxon: int = 0
    genes: tuple[str, ...] = ()
    go: tuple[str, ...] = ()


RECOMMENDED = "recommended"
NAMES = (RECOMMENDED, "all", "all_but_ec")
"""The choices for the names in a record's text."""

_EC_NUMBER = re.compile(r"EC \d+(?:\.(?:\w?\d+|-)){1,3}")


def with_names(record: Record, names: str) -> Record:
    """Replaces a record's name by the chosen `NAMES`, such as `Amylase (AMY) (EC 3.2.1.1)`.

    `other_names` of the result is empty, unless the choice is `recommended`.

    Example:
        >>> record = Record("P1", "", "swissprot", "MKV", 1, "Amylase", other_names=("AMY",))
        >>> with_names(record, "all").name
        'Amylase (AMY)'
    """
    if names == RECOMMENDED:
        return record
    chosen = [
        f"({name})"
        for name in record.other_names
        if names == "all" or not _EC_NUMBER.fullmatch(name)
    ]
    return dataclasses.replace(record, name=" ".join([record.name, *chosen]), other_names=())


def ec_numbers(record: Record) -> tuple[str, ...]:
    """The EC numbers among a record's other names, such as `3.2.1.1`."""
    return tuple(name[len("EC ") :] for name in record.other_names if _EC_NUMBER.fullmatch(name))


def coverage(record: Record) -> int:
    """Counts the properties a record has, from 0 to 4 (R = coverage / 4)."""
    return sum(bool(getattr(record, name)) for name in PROPERTIES)


def cluster_name(record: Record) -> str:
    """The (source, C, R) cluster of a record, such as `swissprot/C1/R4`."""
    return f"{record.source}/C{record.existence}/R{coverage(record)}"


_TAG = r"(?:\{ECO:[^{}]*\}|\((?:PubMed:|Ref\.)[^()]*\))"
_TAGS = re.compile(rf"{_TAG}(?:\s*{_TAG})*(?:\s*([.,;:)]))?")
"""A run of evidence tags and the punctuation after it."""


def strip_evidence(text: str) -> str:
    """Removes UniProt's evidence tags `{ECO:…}`, `(PubMed:…)`, `(Ref.…)` and the gaps they leave.

    Evidence in words, such as `(By similarity)` and `(Probable)` in entries from before 2014, is
    text and stays.

    Example:
        >>> strip_evidence("Binds zinc (PubMed:1). {ECO:0000269|PubMed:1}.")
        'Binds zinc.'
    """
    kept, position = "", 0
    for tags in _TAGS.finditer(text):
        kept = (kept + text[position : tags.start()]).rstrip()
        mark = tags[1] or ""
        kept += "" if mark == "." and kept.endswith(".") else mark
        position = tags.end()
    return " ".join((kept + text[position:]).split())


_CODE = re.compile(r"ECO:\d{7}")


def evidence_codes(record: Record) -> dict[str, tuple[str, ...]]:
    """By property, the codes of the Evidence and Conclusion Ontology in its text's tags, each
    once, in their order; properties without any are left out.

    `ECO:0000269` is an experiment, `ECO:0000250` similarity, `ECO:0000305` a curator's inference.
    """
    codes = {name: dict.fromkeys(_CODE.findall(getattr(record, name))) for name in PROPERTIES}
    return {name: tuple(found) for name, found in codes.items() if found}


def with_prefix(name: str, typed: str) -> str:
    """Returns `PREFIX: content` of a property, with or without a typed prefix; '' if empty."""
    content = typed.strip().removeprefix(f"{PREFIXES[name]}:").strip()
    return f"{PREFIXES[name]}: {content}" if content else ""


def property_texts(record: Record) -> dict[str, str]:
    """The present properties in biotext order, each as `PREFIX: content` without evidence tags."""
    contents = {name: strip_evidence(getattr(record, name)) for name in PROPERTIES}
    return {name: f"{PREFIXES[name]}: {content}" for name, content in contents.items() if content}


def biotext(record: Record) -> str:
    """Joins the present properties: `PROTEIN NAME: … FUNCTION: … SUBCELLULAR LOCATION: … …`.

    Example:
        >>> biotext(Record("P1", "", "swissprot", "MKV", 1, "Amylase", function="Cuts starch."))
        'PROTEIN NAME: Amylase FUNCTION: Cuts starch.'
    """
    return " ".join(property_texts(record).values())


RESIDUES = "ACDEFGHIKLMNPQRSTVWYBJOUXZ"
"""The 20 standard residues; B, J, X, Z (ambiguous), O (pyrrolysine) and U (selenocysteine)."""

EXISTENCE = range(6)
"""UniProt's protein existence levels 1…5; 0 = unknown."""

MAX_TAXON = (1 << 31) - 1
"""NCBI taxonomy ids are stored in 32 bits; the largest today have seven digits."""
