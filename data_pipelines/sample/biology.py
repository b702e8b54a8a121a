"""The sample's invented biology: residues planted for functions, locations and superfamilies.

It also has the wording of their texts. Everything is made up in the style of UniProt; only the
background composition is measured. A pattern is a string with one character per residue. A capital
is that residue; `x` is free (background, evolves); `1` and `2` in an activity's motif are the two
specificity residues of the protein's ligand; small letters are drawn once per family from a class
in `CLASSES`.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

Option = TypeVar("Option")

BACKGROUND = {
    "A": 8.25, "R": 5.53, "N": 4.06, "D": 5.46, "C": 1.38, "Q": 3.93,
    "E": 6.72, "G": 7.07, "H": 2.27, "I": 5.91,
    "L": 9.65, "K": 5.80, "M": 2.41, "F": 3.86, "P": 4.74, "S": 6.64,
    "T": 5.35, "W": 1.10, "Y": 2.92, "V": 6.86,
}  # fmt: skip
"""Amino-acid composition of UniProtKB/Swiss-Prot in percent (its release statistics, 2023)."""

CLASSES = {"h": "LLLAVIF", "b": "KR", "a": "AGS", "t": "ST", "e": "DE", "z": "ARNDQEGIKLPSTV"}
"""Residue classes of terminal signals: hydrophobic, basic, small, hydroxylated, acidic, common."""


class Activity(NamedTuple):
    """What a protein does: the noun of its name, ways to say it, and its motif (`ACT_SITE`)."""

    noun: str
    phrases: tuple[str, ...]
    motif: str


class Ligand(NamedTuple):
    """A cofactor: ways to say it, its binding motif (`BINDING`), and the residues at 1 and 2."""

    names: tuple[str, ...]
    motif: str
    specificity: str


class Location(NamedTuple):
    """Where a protein goes: ways to say it, the signal's `FT` type and note, and the signal itself.

    The signal is at the N-terminus (`head`) or C-terminus (`tail`).
    """

    names: tuple[str, ...]
    type: str
    note: str
    head: str = ""
    tail: str = ""


class Superfamily(NamedTuple):
    """A superfamily: its name and the three blocks of its signature, in sequence order (`SITE`)."""

    name: str
    blocks: tuple[str, str, str]


ACTIVITIES = (
    Activity(
        "kinase",
        ("phosphorylates its protein substrates", "transfers phosphate groups to proteins"),
        "WHxWH1xHW2",
    ),
    Activity(
        "phosphatase",
        ("removes phosphate groups from proteins", "dephosphorylates target proteins"),
        "MWxMW1xM2W",
    ),
    Activity(
        "protease",
        ("cleaves peptide bonds of unfolded proteins", "degrades misfolded proteins"),
        "WYYx1WYx2W",
    ),
    Activity(
        "lipase",
        ("hydrolyzes the ester bonds of lipids", "breaks down triacylglycerols"),
        "FWF1xWFx2W",
    ),
    Activity(
        "nuclease",
        ("cleaves the backbone of nucleic acids", "degrades single-stranded RNA"),
        "CWWx1CWC2",
    ),
    Activity(
        "helicase",
        ("unwinds double-stranded nucleic acids", "separates the strands of DNA duplexes"),
        "HMxHM1MxH2",
    ),
    Activity(
        "methyltransferase",
        ("transfers methyl groups to its acceptor", "methylates conserved residues"),
        "YH1HYxxYH2",
    ),
    Activity(
        "acetyltransferase",
        ("transfers acetyl groups to lysine residues", "acetylates target proteins"),
        "HFFx1HFx2H",
    ),
    Activity(
        "dehydrogenase",
        ("catalyzes the oxidation of secondary alcohols", "oxidizes hydroxyl groups"),
        "CHxCHx1CH2",
    ),
    Activity(
        "reductase",
        ("catalyzes the reduction of disulfide bonds", "reduces oxidized thiols"),
        "YM1MYx2YMM",
    ),
    Activity(
        "isomerase",
        ("interconverts cis and trans isomers", "isomerizes peptide bonds"),
        "FMMxF1MxF2",
    ),
    Activity(
        "ligase",
        ("joins two molecules at the expense of energy", "catalyzes the ligation of subunits"),
        "MCC1xMC2M",
    ),
    Activity(
        "hydratase",
        ("adds water to double bonds", "catalyzes the hydration of unsaturated acids"),
        "YFx1YYFx2F",
    ),
    Activity(
        "deaminase",
        ("removes amino groups from nucleobases", "catalyzes hydrolytic deamination"),
        "CYC1YxCY2",
    ),
    Activity(
        "transporter",
        ("moves solutes across the membrane", "mediates the uptake of small molecules"),
        "FC1FCxxCF2",
    ),
)

LIGANDS = (
    Ligand(("ATP", "adenosine triphosphate"), "GKGxGKK", "RS"),
    Ligand(("zinc", "zinc ions"), "NQxNQNQ", "EV"),
    Ligand(("heme", "heme b"), "PNNxPNP", "LT"),
    Ligand(("FAD", "flavin adenine dinucleotide"), "GNGxNGN", "AR"),
    Ligand(("NADPH", "NADP"), "DNxDDNN", "IS"),
    Ligand(("magnesium", "magnesium ions"), "KNNxKKN", "TA"),
    Ligand(("calcium", "calcium ions"), "DQDxQDQ", "VL"),
    Ligand(("copper", "copper ions"), "PQxQPPQ", "SE"),
    Ligand(("biotin", "vitamin H"), "QGGxQGQ", "TI"),
    Ligand(("pyridoxal phosphate", "vitamin B6"), "KQQxKQK", "LR"),
    Ligand(("thiamine", "vitamin B1"), "PDDxPDP", "AI"),
    Ligand(("coenzyme A", "CoA"), "GPxPGGP", "EL"),
)

LOCATIONS = (
    Location(("Secreted", "Secreted, extracellular space"), "SIGNAL", "", head="MbbhhhhhhhhhhaxA"),
    Location(
        ("Mitochondrion", "Mitochondrion matrix"), "TRANSIT", "Mitochondrion", head="MLRRLtRaRSRLAR"
    ),
    Location(
        ("Plastid, chloroplast", "Plastid, chloroplast stroma"),
        "TRANSIT",
        "Chloroplast",
        head="MAStSSSAtSTSSS",
    ),
    Location(
        ("Cytoplasm", "Cytoplasm, cytosol"), "MOTIF", "Nuclear export signal", head="MzLEzLEELzLE"
    ),
    Location(
        ("Vacuole", "Vacuole lumen"), "MOTIF", "Vacuolar sorting signal", head="MzNPIRLPzNPIRLP"
    ),
    Location(
        ("Nucleus", "Nucleus, nucleolus"),
        "MOTIF",
        "Nuclear localization signal",
        tail="PKKKRKVzbPKKKRK",
    ),
    Location(
        ("Endoplasmic reticulum lumen", "Endoplasmic reticulum"),
        "MOTIF",
        "Prevents secretion from ER",
        tail="eDEeEDEzeEKDEL",
    ),
    Location(
        ("Peroxisome", "Peroxisome matrix"),
        "MOTIF",
        "Microbody targeting signal",
        tail="zHSSKLbHHSSKL",
    ),
    Location(
        ("Cell membrane", "Cell membrane; Single-pass membrane protein"),
        "TRANSMEM",
        "Helical",
        tail="hhhIIhhVVhhIIhhRR",
    ),
    Location(
        ("Secreted, cell wall", "Cell wall"),
        "MOTIF",
        "LPXTG sorting signal",
        tail="TTTPLPETGTTTPLPETG",
    ),
)

SECRETED, CELL_MEMBRANE = LOCATIONS[0], LOCATIONS[8]
MEMBRANE_WITH_SIGNAL = (
    "Cell membrane; Single-pass type I membrane protein",
    "Cell membrane; Type I membrane protein",
)
"""Ways to say that a membrane protein also has a signal peptide."""

SUPERFAMILIES = (
    Superfamily("altair", ("TIxIT", "ITxTI", "TTII")),
    Superfamily("bellatrix", ("EExTE", "TExTT", "ETTE")),
    Superfamily("castor", ("RTxTR", "TRRT", "RxTTR")),
    Superfamily("deneb", ("TAAT", "ATxTA", "TTxAA")),
    Superfamily("electra", ("VTVxT", "TVVT", "VxTTV")),
    Superfamily("fomalhaut", ("IEExI", "EIIE", "EExII")),
    Superfamily("gienah", ("RIRI", "IIxRR", "RxIIR")),
    Superfamily("hamal", ("IAxAI", "AAII", "IxAIA")),
    Superfamily("izar", ("ERRxE", "REER", "RxEER")),
    Superfamily("keid", ("EAAE", "AExAE", "EExAA")),
    Superfamily("lesath", ("VEVxE", "EVVE", "VVxEE")),
    Superfamily("mizar", ("RVVxR", "VRVR", "RRxVV")),
)

_HALF_MOTIFS = ("WHxW1H", "MWxMW", "CWW2C", "FWFxW", "YH1HY", "HMx2H")
_PAIRS = ((0, 1), (2, 3), (4, 5), (0, 2), (1, 4), (3, 5), (0, 5), (1, 3))
_ORDERS = [*itertools.chain.from_iterable((pair, pair[::-1]) for pair in _PAIRS)]
HALVES = {
    activity.noun: (_HALF_MOTIFS[first], _HALF_MOTIFS[second])
    for activity, (first, second) in zip(ACTIVITIES, _ORDERS, strict=False)
}
"""The two halves of each activity's motif, for the world in which their order matters.

Most activities have the halves of another one in reverse order.
"""

UNNAMED = "Uncharacterized protein"
NAME_TEMPLATES = (
    "{Ligand}-dependent {noun}{suffix}",
    "{Noun}{suffix}, {ligand}-dependent",
    "{Ligand}-binding {noun}{suffix}",
)
NAME_SUFFIXES = (
    "",
    "",
    "",
    " A",
    " B",
    " 1",
    " 2",
    " subunit alpha",
    " subunit beta",
    " domain-containing protein",
)

FUNCTION_TEMPLATES = (
    "{Activity}. Requires {ligand} as a cofactor",
    "{Activity} in a {ligand}-dependent manner",
    "{Activity}; the reaction depends on {ligand}",
    "Binds {ligand} and {activity}",
    "In the presence of {ligand}, {activity}",
    "{Noun} that {activity}. Uses {ligand}",
    "{Ligand}-dependent {noun} that {activity}",
)
FUNCTION_REMARKS = (
    "Essential for growth",
    "Plays a role in the response to stress",
    "May be involved in development",
    "Required for full virulence",
    "Contributes to homeostasis",
)

LOCATION_TEMPLATES = ("{Location}", "{Location}. Note={Remark}")
LOCATION_REMARKS = (
    "Detected in all tissues tested",
    "Distribution changes during the cell cycle",
    "Levels rise under stress",
    "Localization requires the terminal signal",
)

SIMILARITY_TEMPLATES = (
    "Belongs to the {superfamily} superfamily",
    "Belongs to the {superfamily} family",
    "In the C-terminal section; belongs to the {superfamily} superfamily",
    "Contains 1 {superfamily} domain",
)


def choose(options: Sequence[Option], rng: np.random.Generator) -> Option:
    """Draws one of `options` uniformly."""
    return options[int(rng.integers(len(options)))]


def capitalized(text: str) -> str:
    """Capitalizes the first letter and keeps the rest (`NADP` stays `NADP`)."""
    return text[:1].upper() + text[1:]


def name_text(activity: Activity, ligand: Ligand, rng: np.random.Generator) -> str:
    """A protein name with its activity and ligand, such as `Zinc-dependent kinase B`."""
    words = {"noun": activity.noun, "ligand": ligand.names[0], "suffix": choose(NAME_SUFFIXES, rng)}
    return choose(NAME_TEMPLATES, rng).format(
        **words, Noun=capitalized(words["noun"]), Ligand=capitalized(words["ligand"])
    )


def function_text(
    activity: Activity, ligand: Ligand, other: Ligand | None, rng: np.random.Generator
) -> str:
    """A few sentences on activity, ligand and perhaps another ligand, in varied words and order.

    The last period is missing.
    """
    words = {
        "activity": choose(activity.phrases, rng),
        "ligand": choose(ligand.names, rng),
        "noun": activity.noun,
    }
    capitals = {key.capitalize(): capitalized(word) for key, word in words.items()}
    text = choose(FUNCTION_TEMPLATES, rng).format(**words, **capitals)
    if other is not None:
        text = f"{text}. Also binds {choose(other.names, rng)}"
    return f"{text}. {choose(FUNCTION_REMARKS, rng)}" if rng.random() < 0.3 else text


def location_text(location: Location, other: Location | None, rng: np.random.Generator) -> str:
    """The compartment, sometimes with a note; for a membrane protein, also the signal peptide."""
    name = choose(location.names if other is None else MEMBRANE_WITH_SIGNAL, rng)
    return choose(LOCATION_TEMPLATES, rng).format(
        Location=name, Remark=choose(LOCATION_REMARKS, rng)
    )


def similarity_text(
    superfamily: Superfamily, other: Superfamily | None, rng: np.random.Generator
) -> str:
    """The sentence that names the superfamily, and perhaps one on the domain of another."""
    text = choose(SIMILARITY_TEMPLATES, rng).format(superfamily=superfamily.name)
    return text if other is None else f"{text}. Contains 1 {other.name} domain"
