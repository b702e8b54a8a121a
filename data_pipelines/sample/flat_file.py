"""Writes records as UniProt flat-file text, in the layout since 2020 (`FT` with `start..end`)."""

import textwrap
from collections.abc import Iterator

from data_pipelines.protanno.record import Record

STATUS = {"swissprot": "Reviewed", "trembl": "Unreviewed"}
EXISTENCE = {
    1: "Evidence at protein level",
    2: "Evidence at transcript level",
    3: "Inferred from homology",
    4: "Predicted",
    5: "Uncertain",
}
TOPICS = {"function": "FUNCTION", "location": "SUBCELLULAR LOCATION", "similarity": "SIMILARITY"}

_WRAPPER = textwrap.TextWrapper(
    width=80,
    initial_indent="CC   -!- ",
    subsequent_indent="CC       ",
    break_long_words=False,
    break_on_hyphens=False,
)

_WATER = 18.01528
_RESIDUE_MASS = {
    "A": 71.0788, "R": 156.1875, "N": 114.1038, "D": 115.0886,
    "C": 103.1388, "Q": 128.1307, "E": 129.1155,
    "G": 57.0519, "H": 137.1411, "I": 113.1594, "L": 113.1594,
    "K": 128.1741, "M": 131.1926, "F": 147.1766,
    "P": 97.1167, "S": 87.0782, "T": 101.1051, "W": 186.2132, "Y": 163.1760, "V": 99.1326,
}  # fmt: skip


def _crc_table() -> tuple[int, ...]:
    table = list(range(256))
    for _ in range(8):
        table = [(value >> 1) ^ (0xD800000000000000 if value & 1 else 0) for value in table]
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc64(sequence: str) -> str:
    """UniProt's sequence checksum: CRC-64, ISO 3309 polynomial (reflected, start 0), in hex."""
    value = 0
    for byte in sequence.encode():
        value = _CRC_TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return f"{value:016X}"


def molecular_weight(sequence: str) -> int:
    """Average mass in dalton of a chain of standard residues: their sum plus one water, rounded."""
    return round(_WATER + sum(_RESIDUE_MASS[residue] for residue in sequence))


def _other_names(record: Record) -> Iterator[str]:
    for name in record.other_names:
        number = name.removeprefix("EC ")
        yield f"DE   AltName: Full={name};" if number == name else f"DE            EC={number};"


def _organism_lines(record: Record) -> Iterator[str]:
    if record.organism:
        yield f"OS   {record.organism}."
        yield "OC   other sequences; artificial sequences."
        yield f"OX   NCBI_TaxID={record.taxon};"


def _feature_lines(record: Record) -> Iterator[str]:
    for feature in record.features:
        position = f"{feature.start}..{feature.end}"
        if feature.start == feature.end:
            position = str(feature.start)
        yield f"FT   {feature.type:<16}{position}"
        if feature.note:
            yield f'FT                   /note="{feature.note}"'


def _sequence_lines(sequence: str) -> Iterator[str]:
    weight, checksum = molecular_weight(sequence), crc64(sequence)
    yield f"SQ   SEQUENCE   {len(sequence)} AA;  {weight} MW;  {checksum} CRC64;"
    for start in range(0, len(sequence), 60):
        line = sequence[start : start + 60]
        yield "     " + " ".join(line[column : column + 10] for column in range(0, len(line), 10))


def format_entry(record: Record) -> str:
    """Formats one entry of a UniProt flat file, including `//` and the final line break.

    Properties are written as they are, with evidence tags and final period, wrapped at spaces to 80
    columns. The sequence must consist of the 20 standard residues (otherwise KeyError). Notes must
    fit on their line and contain no quotation marks.
    """
    label = "RecName" if record.source == "swissprot" else "SubName"
    lines = [
        f"ID   {record.entry_name:<24}{STATUS[record.source]};{len(record.sequence):>12} AA.",
        f"AC   {record.accession};",
        f"DE   {label}: Full={record.name};",
        *_other_names(record),
        *_organism_lines(record),
    ]
    for name, topic in TOPICS.items():
        if text := getattr(record, name):
            lines += _WRAPPER.wrap(f"{topic}: {text}")
    lines.append(f"PE   {record.existence}: {EXISTENCE[record.existence]};")
    lines += _feature_lines(record)
    lines += _sequence_lines(record.sequence)
    return "\n".join(lines) + "\n//\n"
