"""The registry of source formats, with their suffixes and help texts."""

import itertools
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.readers.uniprot.lab_jsonl import LabJsonl
from data_pipelines.readers.uniprot.lab_tsv import LabTsv
from data_pipelines.readers.uniprot.released_jsonl import ReleasedJsonl
from data_pipelines.readers.uniprot.source_format import SourceFormat
from data_pipelines.readers.uniprot.uniprot_flat import UniprotFlat
from data_pipelines.readers.uniprot.uniprot_json import UniprotJson
from data_pipelines.readers.uniprot.uniprot_tsv import UniprotTsv
from data_pipelines.readers.uniprot.uniprot_xml import UniprotXml

SOURCE_FORMATS: tuple[SourceFormat, ...] = (
    UniprotFlat(),
    UniprotXml(),
    UniprotTsv(),
    LabTsv(),
    ReleasedJsonl(),
    LabJsonl(),
    UniprotJson(),
)
"""All source formats. Formats that share a suffix are tried in this order."""

BY_NAME = {format.name: format for format in SOURCE_FORMATS}

_ALL = itertools.chain.from_iterable(format.suffixes for format in SOURCE_FORMATS)
SUFFIXES = tuple(dict.fromkeys(_ALL))
"""File name endings of source files, without .gz."""

_DESCRIPTIONS = [f"{each.description} ({', '.join(each.suffixes)})" for each in SOURCE_FORMATS]
DESCRIPTION = "; ".join(_DESCRIPTIONS)
"""All formats and their suffixes, for help texts."""


def formats_of(path: Path) -> list[SourceFormat]:
    """Lists the formats that match a file's name, at least one.

    Raises:
      UserError: no format matches.
    """
    name = path.name.removesuffix(".gz")
    found = [format for format in SOURCE_FORMATS if name.endswith(format.suffixes)]
    if not found:
        known = ", *".join(SUFFIXES)
        raise UserError(f"{path} has an unknown format; expected *{known} (or the same with .gz).")
    return found
