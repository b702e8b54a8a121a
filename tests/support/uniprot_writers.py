"""One protein, stored as UniProt stores it in parts, written in each of the four formats that
UniProt distributes."""

import dataclasses
import json
import textwrap
from xml.sax.saxutils import escape, quoteattr

Tagged = tuple[str, tuple[str, ...]]

STATUS = {
    "swissprot": ("Reviewed", "Swiss-Prot", "reviewed"),
    "trembl": ("Unreviewed", "TrEMBL", "unreviewed"),
}
LEVELS = {
    1: "Evidence at protein level",
    2: "Evidence at transcript level",
    3: "Inferred from homology",
    4: "Predicted",
    5: "Uncertain",
}
TYPES = {
    # FT key: XML, JSON, TSV column
    "SIGNAL": ("signal peptide", "Signal", "Signal peptide"),
    "CHAIN": ("chain", "Chain", "Chain"),
    "TRANSMEM": ("transmembrane region", "Transmembrane", "Transmembrane"),
    "BINDING": ("binding site", "Binding site", "Binding site"),
    "MUTAGEN": ("mutagenesis site", "Mutagenesis", "Mutagenesis"),
    "VARIANT": ("sequence variant", "Natural variant", "Natural variant"),
    "VAR_SEQ": ("splice variant", "Alternative sequence", "Alternative sequence"),
    "CONFLICT": ("sequence conflict", "Sequence conflict", "Sequence conflict"),
    "HELIX": ("helix", "Helix", "Helix"),
}
COLUMNS = [
    "Entry",
    "Entry Name",
    "Reviewed",
    "Protein names",
    "Gene Names",
    "Length",
    "Sequence",
    "Protein existence",
]
COLUMNS += ["Organism", "Organism (ID)", "Gene Ontology (GO)"]
COLUMNS += [
    "Function [CC]",
    "Subcellular location [CC]",
    "Sequence similarities",
    *(names[2] for names in TYPES.values()),
]


@dataclasses.dataclass(frozen=True)
class Place:
    location: Tagged
    topology: Tagged = ("", ())
    orientation: Tagged = ("", ())


@dataclasses.dataclass(frozen=True)
class Part:
    """A feature: `other` = (original, variations) for a type that tells another sequence;
    `ligand` = (name, label, note)."""

    type: str
    start: str
    end: str
    description: str = ""
    other: tuple[str, tuple[str, ...]] = ("", ())
    ligand: tuple[str, str, str] = ("", "", "")


@dataclasses.dataclass(frozen=True)
class Name:
    """A full name with its short names and EC numbers; every one of them has the protein's
    evidence."""

    full: str
    short: tuple[str, ...] = ()
    ec: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Gene:
    """The names of one gene."""

    primary: str
    synonyms: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    orf: tuple[str, ...] = ()

    @property
    def kinds(self):
        """How the flat file, XML and JSON call a kind, and its names."""
        return (
            ("Name", "primary", "geneName", (self.primary,)),
            ("Synonyms", "synonym", "synonyms", self.synonyms),
            ("OrderedLocusNames", "ordered locus", "orderedLocusNames", self.ordered),
            ("ORFNames", "ORF", "orfNames", self.orf),
        )


@dataclasses.dataclass(frozen=True)
class Protein:
    """`organism` is the scientific and the common name.

    `synonyms` are alternative names of a reviewed entry and further submitted ones of another;
    `cleaved` is a part of it.
    """

    accession: str
    entry_name: str
    source: str
    existence: int
    name: Tagged
    sequence: str
    functions: tuple[tuple[str, tuple[Tagged, ...]], ...] = ()
    locations: tuple[tuple[str, tuple[Place, ...], tuple[Tagged, ...]], ...] = ()
    similarities: tuple[Tagged, ...] = ()
    parts: tuple[Part, ...] = ()
    short: tuple[str, ...] = ()
    ec: tuple[str, ...] = ()
    synonyms: tuple[Name, ...] = ()
    allergen: str = ""
    cd_antigens: tuple[str, ...] = ()
    inns: tuple[str, ...] = ()
    cleaved: str = ""
    fragment: bool = False
    organism: tuple[str, str] = ("", "")
    taxon: int = 0
    gene: Gene | None = None
    go: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[Name, ...]:
        return Name(self.name[0], self.short, self.ec), *self.synonyms


def _tags(tags) -> str:
    return f" {{{', '.join(tags)}}}" if tags else ""


def _free(text: Tagged) -> str:
    return f"{text[0]}.{_tags(text[1])}{'.' if text[1] else ''}"


def _molecule(name: str) -> str:
    return f"[{name}]: " if name else ""


def _position(position) -> str:
    parts = [value + _tags(tags) for value, tags in dataclasses.astuple(position) if value]
    return "; ".join(parts) + "."


def comments(protein: Protein) -> list[tuple[str, str]]:
    """(topic, text) as flat files and TSV exports word them."""
    found = [
        ("FUNCTION", _molecule(name) + " ".join(map(_free, texts)))
        for name, texts in protein.functions
    ]
    for name, positions, notes in protein.locations:
        text = " ".join(map(_position, positions))
        note = f"Note={' '.join(map(_free, notes))}" if notes else ""
        found.append(
            ("SUBCELLULAR LOCATION", _molecule(name) + " ".join(filter(None, (text, note))))
        )
    return found + [("SIMILARITY", _free(text)) for text in protein.similarities]


def _note(part: Part) -> str:
    if part.type not in ("MUTAGEN", "VARIANT", "VAR_SEQ", "CONFLICT"):
        return part.description
    original, variations = part.other
    arrow, joint = (
        ("->", ",")
        if part.type == "MUTAGEN"
        else (" -> ", " or " if part.type == "CONFLICT" else ",")
    )
    change = original + arrow + joint.join(variations) if original else "Missing"
    if not part.description:
        return change
    return (
        f"{change}: {part.description}"
        if part.type == "MUTAGEN"
        else f"{change} ({part.description})"
    )


def _qualifiers(part: Part) -> list[str]:
    values = dict(zip(("ligand", "ligand_label", "ligand_note"), part.ligand, strict=True)) | {
        "note": _note(part)
    }
    return [
        f'/{name}="{value.replace(chr(34), chr(34) * 2)}"'
        for name, value in values.items()
        if value
    ]


def _location(part: Part) -> str:
    return part.start if part.start == part.end else f"{part.start}..{part.end}"


def _wrapped(text: str, first: str, further: str) -> list[str]:
    """UniProt's wrapping: at blanks and behind hyphens."""
    return textwrap.wrap(
        text,
        75,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _descriptions(protein: Protein):
    """The `DE` lines."""
    tags = _tags(protein.name[1])
    labels = ("RecName", "AltName") if protein.source == "swissprot" else ("SubName", "SubName")
    for name, label in zip(
        protein.names, [labels[0], *[labels[1]] * len(protein.synonyms)], strict=True
    ):
        yield f"DE   {label}: Full={name.full}{tags};"
        yield from (f"DE            Short={short}{tags};" for short in name.short)
        yield from (f"DE            EC={number}{tags};" for number in name.ec)
    if protein.allergen:
        yield f"DE   AltName: Allergen={protein.allergen}{tags};"
    yield from (f"DE   AltName: CD_antigen={name}{tags};" for name in protein.cd_antigens)
    yield from (f"DE   AltName: INN={name}{tags};" for name in protein.inns)
    if protein.cleaved:
        yield from (
            "DE   Contains:",
            f"DE     RecName: Full={protein.cleaved};",
            "DE              EC=9.9.9.9;",
        )
    if protein.fragment:
        yield "DE   Flags: Precursor; Fragment;"


def _genes_and_organism(protein: Protein):
    """The `GN`, `OS`, `OC` and `OX` lines."""
    if protein.gene:
        tags = _tags(protein.name[1])
        kinds = []
        for label, _, _, names in protein.gene.kinds:
            if names:
                kinds.append((label, ", ".join(name + tags for name in names)))
        yield from _wrapped(
            " ".join(f"{label}={names};" for label, names in kinds), "GN   ", "GN   "
        )
    scientific, common = protein.organism
    if scientific:
        yield from _wrapped(
            f"{scientific} ({common})." if common else f"{scientific}.", "OS   ", "OS   "
        )
        yield "OC   Eukaryota; Fungi."
        yield f"OX   NCBI_TaxID={protein.taxon}{_tags(protein.name[1])};"


def flat(protein: Protein) -> str:
    lines = [
        f"ID   {protein.entry_name}   {STATUS[protein.source][0]};   {len(protein.sequence)} AA.",
        f"AC   {protein.accession}; Q00000;",
        "DT   01-JAN-2020, integrated into UniProtKB/Swiss-Prot.",
        *_descriptions(protein),
        *_genes_and_organism(protein),
    ]
    for topic, text in comments(protein):
        lines += _wrapped(f"{topic}: {text}", "CC   -!- ", "CC       ")
    lines += ["DR   PDB; 1ABC; X-ray; 2.00 A; A=1-9."]
    lines += [f"DR   GO; {term}; F:binding; IEA:UniProtKB-KW." for term in protein.go]
    lines += [f"PE   {protein.existence}: {LEVELS[protein.existence]};"]
    for part in protein.parts:
        lines.append(f"FT   {part.type:<16}{_location(part)}")
        for text in _qualifiers(part):
            lines += _wrapped(text, "FT                   ", "FT                   ")
    lines.append(f"SQ   SEQUENCE   {len(protein.sequence)} AA;  1000 MW;  0000000000000000 CRC64;")
    lines += [
        "     " + protein.sequence[at : at + 60] for at in range(0, len(protein.sequence), 60)
    ]
    return "\n".join(lines) + "\n//\n"


def flat_file(proteins) -> str:
    return "".join(map(flat, proteins))


class _Keys:
    """Evidence tags under numbers, as XML stores them."""

    def __init__(self):
        self.of = {}

    def __call__(self, tags) -> str:
        keys = [str(self.of.setdefault(tag, len(self.of) + 1)) for tag in tags]
        return f' evidence="{" ".join(keys)}"' if keys else ""


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _xml_place(position: Place, keys: _Keys) -> str:
    parts = zip(("location", "topology", "orientation"), dataclasses.astuple(position), strict=True)
    values = [
        (name, value, tags) for name, (text, tags) in parts if text for value in text.split(", ")
    ]
    return "".join(
        f"<{name}{keys(tags)}>{escape(_upper(value))}</{name}>" for name, value, tags in values
    )


def _xml_feature(part: Part) -> str:
    description = part.description
    if part.type in ("VARIANT", "VAR_SEQ", "CONFLICT") and description:
        description = _upper(description) + "."
    ends = [("begin", "less than", part.start), ("end", "greater than", part.end)]
    if part.start == part.end:
        ends = [("position", "", part.start)]
    body = ""
    if part.other[0]:
        body += f"<original>{part.other[0]}</original>" + "".join(
            f"<variation>{to}</variation>" for to in part.other[1]
        )
    body += "<location>"
    for name, outside, position in ends:
        number = f' position="{position.lstrip("<>?")}"' if position.lstrip("<>?") else ""
        status = {"<": outside, ">": outside, "?": "uncertain" if number else "unknown"}.get(
            position[0], ""
        )
        body += f"<{name}{number}{f' status={quoteattr(status)}' if status else ''}/>"
    body += "</location>"
    if part.ligand[0]:
        named = [
            (key, value)
            for key, value in zip(("name", "label", "note"), part.ligand, strict=True)
            if value
        ]
        body += (
            "<ligand>"
            + "".join(f"<{key}>{escape(value)}</{key}>" for key, value in named)
            + "</ligand>"
        )
    described = f" description={quoteattr(description)}" if description else ""
    return f"<feature type={quoteattr(TYPES[part.type][0])}{described}>{body}</feature>"


def _xml_evidence(tag: str, key: int) -> str:
    code, _, source = tag.partition("|")
    inner = ""
    if source.startswith("Ref."):
        inner = f'<source ref="{source[4:]}"/>'
    elif source:
        database, _, name = source.partition(":")
        inner = f"<source><dbReference type={quoteattr(database)} id={quoteattr(name)}/></source>"
    return f'<evidence key="{key}" type="{code}">{inner}</evidence>'


def _xml_names(protein: Protein, evidence: str) -> str:
    def element(tag, *values):
        return "".join(f"<{tag}{evidence}>{escape(value)}</{tag}>" for value in values if value)

    labels = (
        ("recommendedName", "alternativeName")
        if protein.source == "swissprot"
        else ("submittedName", "submittedName")
    )
    body = ""
    for name, label in zip(
        protein.names, [labels[0], *[labels[1]] * len(protein.synonyms)], strict=True
    ):
        inner = (
            element("fullName", name.full)
            + element("shortName", *name.short)
            + element("ecNumber", *name.ec)
        )
        body += f"<{label}>{inner}</{label}>"
    body += element("allergenName", protein.allergen) + element(
        "cdAntigenName", *protein.cd_antigens
    )
    body += element("innName", *protein.inns)
    if protein.cleaved:
        part = f"<fullName>{escape(protein.cleaved)}</fullName><ecNumber>9.9.9.9</ecNumber>"
        body += f"<component><recommendedName>{part}</recommendedName></component>"
    return body


def _xml_gene_and_organism(protein: Protein) -> str:
    kinds = protein.gene.kinds if protein.gene else ()
    names = "".join(
        f"<name type='{kind}'>{escape(name)}</name>" for _, kind, _, own in kinds for name in own
    )
    scientific, common = protein.organism
    body = f"<gene>{names}</gene>" if names else ""
    if scientific:
        called = (
            f"<name type='scientific'>{escape(scientific)}</name><name "
            f"type='common'>{escape(common)}</name>"
        )
        body += (
            f"<organism>{called}<dbReference type='NCBI Taxonomy' id='{protein.taxon}'/></organism>"
        )
    return body


def xml(protein: Protein) -> str:
    keys = _Keys()

    def texts(values):
        return "".join(f"<text{keys(tags)}>{escape(text)}.</text>" for text, tags in values)

    molecule = lambda name: f"<molecule>{escape(name)}</molecule>" if name else ""  # noqa: E731
    body = [
        f"<accession>{protein.accession}</accession><accession>Q00000</accession><name>{protein.entry_name}</name>",
        f"<protein>{_xml_names(protein, keys(protein.name[1]))}</protein>",
        _xml_gene_and_organism(protein),
        "<reference key='1'><citation type='journal article'/></reference>",
    ]
    for name, values in protein.functions:
        body.append(f'<comment type="function">{molecule(name)}{texts(values)}</comment>')
    for name, positions, notes in protein.locations:
        inner = "".join(
            f"<subcellularLocation>{_xml_place(position, keys)}</subcellularLocation>"
            for position in positions
        )
        body.append(
            f'<comment type="subcellular location">{molecule(name)}{inner}{texts(notes)}</comment>'
        )
    body += [
        f'<comment type="similarity">{texts([text])}</comment>' for text in protein.similarities
    ]
    body += [f"<dbReference type='GO' id='{term}'/>" for term in protein.go]
    body += [
        "<dbReference type='PDB' id='1ABC'/>",
        f'<proteinExistence type="{LEVELS[protein.existence].lower()}"/>',
    ]
    body += map(_xml_feature, protein.parts)
    body += [_xml_evidence(tag, key) for tag, key in keys.of.items()]
    body.append(
        f'<sequence length="{len(protein.sequence)}" mass="1000">\n{protein.sequence}\n</sequence>'
    )
    return (
        f'<entry dataset="{STATUS[protein.source][1]}" created="2020-01-01">\n  '
        + "\n  ".join(body)
        + "\n</entry>\n"
    )


def xml_file(proteins) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<uniprot xmlns="https://uniprot.org/uniprot">\n'
    return f"{head}{''.join(map(xml, proteins))}<copyright>\nCopyrighted\n</copyright>\n</uniprot>"


def _json_tagged(text: Tagged) -> dict:
    evidences = []
    for tag in text[1]:
        code, _, source = tag.partition("|")
        database, _, name = (
            ("Reference", "", source) if source.startswith("Ref.") else source.partition(":")
        )
        evidences.append(
            {"evidenceCode": code} | ({"source": database, "id": name} if source else {})
        )
    return {"value": text[0]} | ({"evidences": evidences} if evidences else {})


def _json_end(position: str) -> dict:
    modifier = {"<": "OUTSIDE", ">": "OUTSIDE", "?": "UNSURE" if position[1:] else "UNKNOWN"}.get(
        position[0], "EXACT"
    )
    return ({"value": int(position.lstrip("<>?"))} if position.lstrip("<>?") else {}) | {
        "modifier": modifier
    }


def _json_feature(part: Part) -> dict:
    location = {"start": _json_end(part.start), "end": _json_end(part.end)}
    feature = {"type": TYPES[part.type][1], "location": location, "description": part.description}
    if part.type in ("MUTAGEN", "VARIANT", "VAR_SEQ", "CONFLICT"):
        other = (
            {"originalSequence": part.other[0], "alternativeSequences": list(part.other[1])}
            if part.other[0]
            else {}
        )
        feature["alternativeSequence"] = other
    if part.ligand[0]:
        named = zip(("name", "label", "note"), part.ligand, strict=True)
        feature["ligand"] = {key: value for key, value in named if value}
    return feature


def _json_names(protein: Protein) -> dict:
    def tagged(*values):
        return [_json_tagged((value, protein.name[1])) for value in values]

    blocks = [
        {"fullName": tagged(name.full)[0]}
        | ({"shortNames": tagged(*name.short)} if name.short else {})
        | ({"ecNumbers": tagged(*name.ec)} if name.ec else {})
        for name in protein.names
    ]
    if protein.source == "swissprot":
        description = {"recommendedName": blocks[0]} | (
            {"alternativeNames": blocks[1:]} if blocks[1:] else {}
        )
    else:
        description = {"submissionNames": blocks}
    if protein.allergen:
        description["allergenName"] = tagged(protein.allergen)[0]
    if protein.cleaved:
        part = {"fullName": {"value": protein.cleaved}, "ecNumbers": [{"value": "9.9.9.9"}]}
        description["contains"] = [{"recommendedName": part}]
    return description | {
        "cdAntigenNames": tagged(*protein.cd_antigens),
        "innNames": tagged(*protein.inns),
    }


def _json_gene(gene: Gene) -> dict:
    lists = {}
    for _, _, key, names in gene.kinds:
        lists[key] = [{"value": name} for name in names]
    return lists | {"geneName": lists["geneName"][0]}


def _json_position(position) -> dict:
    kinds = ("location", "topology", "orientation")
    parts = zip(kinds, dataclasses.astuple(position), strict=True)
    return {kind: _json_tagged(part) for kind, part in parts if part[0]}


def as_json(protein: Protein) -> dict:
    found = [
        {"commentType": "FUNCTION", "texts": list(map(_json_tagged, texts))}
        | ({"molecule": name} if name else {})
        for name, texts in protein.functions
    ]
    for name, positions, notes in protein.locations:
        comment = {"commentType": "SUBCELLULAR LOCATION"} | ({"molecule": name} if name else {})
        comment["subcellularLocations"] = list(map(_json_position, positions))
        found.append(
            comment | ({"note": {"texts": list(map(_json_tagged, notes))}} if notes else {})
        )
    found += [
        {"texts": [_json_tagged(text)], "commentType": "SIMILARITY"}
        for text in protein.similarities
    ]
    reviewed = protein.source == "swissprot"
    return {
        "entryType": "UniProtKB reviewed (Swiss-Prot)"
        if reviewed
        else "UniProtKB unreviewed (TrEMBL)",
        "primaryAccession": protein.accession,
        "secondaryAccessions": ["Q00000"],
        "uniProtkbId": protein.entry_name,
        "proteinExistence": f"{protein.existence}: {LEVELS[protein.existence]}",
        "organism": {"scientificName": protein.organism[0], "taxonId": protein.taxon},
        "genes": [_json_gene(protein.gene)] if protein.gene else [],
        "uniProtKBCrossReferences": [{"database": "GO", "id": term} for term in protein.go],
        "proteinDescription": _json_names(protein),
        "comments": found,
        "features": list(map(_json_feature, protein.parts)),
        "sequence": {"value": protein.sequence, "length": len(protein.sequence)},
    }


def json_file(proteins) -> str:
    return json.dumps({"results": list(map(as_json, proteins))})


def json_lines(proteins) -> str:
    return "".join(json.dumps(as_json(protein)) + "\n" for protein in proteins)


def _column_of_names(protein: Protein):
    """What `Protein names` has: `Full (Short) (EC 1.1.1.1) (Synonym) (allergen A) (CD antigen B)
    (INN) [Cleaved into: …]`."""
    for index, name in enumerate(protein.names):
        yield f"({name.full})" if index else name.full
        yield from (f"({short})" for short in name.short)
        yield from (f"(EC {number})" for number in name.ec)
    if protein.allergen:
        yield f"(allergen {protein.allergen})"
    yield from (f"(CD antigen {name})" for name in protein.cd_antigens)
    yield from (f"({name})" for name in protein.inns)
    if protein.fragment:
        yield "(Fragment)"
    if protein.cleaved:
        yield f"[Cleaved into: {protein.cleaved} (EC 9.9.9.9)]"


def _column_of_genes(protein: Protein) -> str:
    kinds = protein.gene.kinds if protein.gene else ()
    return " ".join(name for *_, names in kinds for name in names)


def row(protein: Protein) -> dict[str, str]:
    """Column → cell."""
    texts = {"FUNCTION": [], "SUBCELLULAR LOCATION": [], "SIMILARITY": []}
    for topic, text in comments(protein):
        texts[topic].append(f"{topic}: {text}")
    cells = [protein.accession, protein.entry_name, STATUS[protein.source][2]]
    cells += [
        " ".join(_column_of_names(protein)),
        _column_of_genes(protein),
        str(len(protein.sequence)),
    ]
    cells += [protein.sequence, LEVELS[protein.existence]]
    scientific, common = protein.organism
    cells += [f"{scientific} ({common})" if common else scientific, str(protein.taxon or "")]
    cells += [
        "; ".join(f"binding [{term}]" for term in protein.go),
        *map("; ".join, texts.values()),
    ]
    for type_ in TYPES:
        parts = [part for part in protein.parts if part.type == type_]
        cells.append(
            "; ".join(
                "; ".join([f"{type_} {_location(part)}", *_qualifiers(part)]) for part in parts
            )
        )
    return dict(zip(COLUMNS, cells, strict=True))


def tsv_file(proteins, columns=None) -> str:
    columns = columns or COLUMNS
    rows = [columns]
    for protein in proteins:
        cells = row(protein)
        rows.append([cells[column] for column in columns])
    return "".join("\t".join(cells) + "\n" for cells in rows)


ONE, TWO, REF = "ECO:0000255|HAMAP-Rule:MF_1", "ECO:0000269|PubMed:1", "ECO:0000303|Ref.3"
PROTEIN = Protein(
    accession="P11111",
    entry_name="AMY_TEST",
    source="swissprot",
    existence=2,
    name=("Alpha-amylase <beta> & co (NADPH)", (ONE, REF)),
    sequence="ACDEFGHIKLMNPQRSTVWY" * 5,
    functions=(
        ("", (("Cleaves 1,4-alpha-glucosidic bonds (PubMed:1)", (TWO,)), ("Binds \"heme\" & Zn(2+)", ()))),
        ("Isoform 2", (("Inactive", (ONE, TWO)),)),
    ),
    locations=(
        ("", (Place(("Plastid, amyloplast", (TWO,))),
              Place(("Cell membrane", (ONE,)), ("Lipid-anchor, GPI-anchor", (ONE,)))), ()),
        ("Isoform 2", (Place(("Nucleus", ()), ("Single-pass membrane protein", ()), ("Cytoplasmic side", (TWO,))),),
         (("Moves: fast", (REF,)), ("Also here", ()))),
    ),
    similarities=(("Belongs to the peptidase S8 family. Furin subfamily", ("ECO:0000305",)), ("Contains 1 X domain", ())),
    parts=(
        Part("SIGNAL", "<1", "20"),
        Part("CHAIN", "?21", ">70", 'Alpha-amylase with a "quoted" word'),
        Part("TRANSMEM", "?", "40", "Helical"),
        Part("BINDING", "33", "33", "in the dimer", ligand=("Zn(2+)", "1", "catalytic")),
        Part("BINDING", "34", "35", ligand=("substrate", "", "")),
        Part("MUTAGEN", "5", "5", "Loss of binding; when associated with A-9.", ("F", ("A", "R"))),
        Part("MUTAGEN", "7", "9", "Inactive.", ("", ())),
        Part("VARIANT", "6", "6", "in HCC; dbSNP:rs1", ("G", ("V",))),
        Part("VARIANT", "8", "8"),
        Part("VAR_SEQ", "40", "60", "in isoform 2"),
        Part("CONFLICT", "9", "10", "in Ref. 1; AAA1 and 2", ("KL", ("M", "PQ"))),
        Part("HELIX", "61", "70"),
    ),
    short=("AMY",),
    ec=("3.2.1.1", "3.2.1.-"),
    synonyms=(Name("1,4-alpha-glucanase (old)", ("Glucanase",), ("2.4.1.n5",)), Name("Other <name>; or so")),
    allergen="Asp o 21",
    cd_antigens=("CD1", "CD2"),
    inns=("Amylasum",),
    cleaved="Part of it",
    fragment=True,
    organism=("Saccharomyces cerevisiae (strain ATCC 204508 / S288c)", "Baker's yeast"),
    taxon=559292,
    gene=Gene("AMY1", ("am-1", "AMYA"), ("YAL001C",), ("N1",)),
    go=("GO:0005524", "GO:0004556"),
)  # fmt: skip
