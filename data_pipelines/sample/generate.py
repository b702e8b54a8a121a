"""Invented proteins whose functions, locations and superfamilies are planted in their residues."""

import gzip
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_pipelines.common.atomic_write import atomic_file
from data_pipelines.common.progress import progress
from data_pipelines.protanno.record import Feature, Record
from data_pipelines.sample import biology
from data_pipelines.sample.flat_file import format_entry

FEATURE_PROPERTY = {
    "ACT_SITE": "function",
    "BINDING": "function",
    "SIGNAL": "location",
    "TRANSIT": "location",
    "TRANSMEM": "location",
    "MOTIF": "location",
    "SITE": "similarity",
}
"""`FT` type → the property whose residues it marks. The name tells the function, so the function's residues are its truth."""

MAX_RECORDS = 10 * 36**3
"""The accessions that `accession` can give."""

MEMBERS = (2, 3, 4)
"""Family sizes, uniform. Small, since a text can only be told from those of other families, not from its own family's."""


LENGTH_MEDIAN, LENGTH_SIGMA, LENGTH_RANGE = 70, 0.35, (60, 220)
"""Ancestors' lengths: log-normal, redrawn outside the range (which holds the longest signal, motifs and blocks); that lifts the
median to 81."""


REPEAT_RESIDUES = 50
"""A protein gets one copy of its function's motifs for every so many residues between its terminal signals."""

DIVERGENCE = (0.35, 0.60)
"""Share of a member's free residues that were drawn anew, uniform per member."""


INDELS, INDEL_RESIDUES = 1.5, (1, 3)
"""Mean number of insertions and deletions per member, and their sizes."""

SOURCE_SHARES = {"swissprot": 0.7, "trembl": 0.3}
EXISTENCE_SHARES = {
    "swissprot": (0.1982, 0.0980, 0.6777, 0.0229, 0.0032),
    "trembl": (0.02, 0.08, 0.45, 0.42, 0.03),
}
"""Shares of existence 1…5. Swiss-Prot as published for ProtAnno-S. TrEMBL milder than published for ProtAnno-D (.0013 .0057
.3269 .6661 .0000): the drop rules would leave 7 % of so small a TrEMBL; of this one they leave a third."""


COVERAGE_SHARES = {
    "swissprot": (0.0259, 0.1062, 0.3691, 0.4988),
    "trembl": (0.20, 0.20, 0.30, 0.30),
}
"""Shares of 1…4 present properties. Swiss-Prot as published for ProtAnno-S; TrEMBL milder than ProtAnno-D, as above
(.6211 .1814 .1182 .0793)."""


WRONG = {1: 0.02, 2: 0.05, 3: 0.12, 4: 0.35, 5: 0.50}
"""By existence: the probability that a property (name and function as one) was transferred from an unrelated protein."""

ACIDS = np.frombuffer("".join(biology.BACKGROUND).encode(), np.uint8)
CUMULATIVE = np.cumsum(list(biology.BACKGROUND.values()))[:-1] / sum(biology.BACKGROUND.values())
TRAITS = {
    "function": tuple(itertools.product(biology.ACTIVITIES, biology.LIGANDS)),
    "location": biology.LOCATIONS,
    "similarity": biology.SUPERFAMILIES,
}
"""What may be planted, by property. All combinations are equally likely: no property tells another."""


class Element(NamedTuple):
    """Something planted: its `FT` type and note, its pattern, and whether the pattern is one feature from end to end."""

    type: str
    note: str
    pattern: str
    whole: bool = False


class Family(NamedTuple):
    """One similarity cluster: what is planted, and the ancestor it is planted in.

    `traits` function → (activity, ligand), location → location, similarity → superfamily; `residues` uint8 [L] (ASCII),
    `owner` int [L] (index of the element + 1, 0 = free), `span` bool [L] (no insertions and deletions here), `rate` float [L]
    (how fast the site evolves, mean 1).
    """

    cluster: str
    traits: dict[str, tuple]
    elements: tuple[Element, ...]
    residues: np.ndarray
    owner: np.ndarray
    span: np.ndarray
    rate: np.ndarray


def background(count: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [count]: residues drawn from the background composition."""
    return ACIDS[np.searchsorted(CUMULATIVE, rng.random(count), side="right")]


def quota(shares, count: int, rng: np.random.Generator) -> np.ndarray:
    """int [count]: indices of `shares` in random order, as often as the shares say, by largest remainders."""
    exact = np.asarray(shares) / np.sum(shares) * count
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: count - counts.sum()]] += 1
    return rng.permutation(np.repeat(np.arange(len(counts)), counts))


def draw_length(rng: np.random.Generator) -> int:
    """A log-normal length within `LENGTH_RANGE`."""
    while True:
        length = int(rng.lognormal(np.log(LENGTH_MEDIAN), LENGTH_SIGMA))
        if LENGTH_RANGE[0] <= length <= LENGTH_RANGE[1]:
            return length


def arrange(elements, *, head: int, length: int, tail: int, rng: np.random.Generator) -> list[tuple[Element, int]]:
    """Puts elements in the given order between the terminal signals, with random gaps: pairs of element and first residue."""
    spans = np.array([len(element.pattern) for element in elements])
    slack = length - head - tail - spans.sum()
    gaps = np.diff(np.sort(rng.integers(0, slack + 1, size=len(spans))), prepend=0)
    starts = head + np.cumsum(gaps) + np.cumsum(spans) - spans
    return list(zip(elements, starts.tolist(), strict=True))


def interleave(ordered: list, unordered: list, rng: np.random.Generator) -> list:
    """A random order of all elements that keeps the order of the first list."""
    slots = rng.permutation(np.repeat([True, False], [len(ordered), len(unordered)]))
    kept, shuffled = iter(ordered), iter([unordered[index] for index in rng.permutation(len(unordered))])
    return [next(kept) if slot else next(shuffled) for slot in slots]


def plant(placed, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A background of `length` residues with the elements written in: `residues`, `owner` and `span` of `Family`."""
    residues, owner, span = background(length, rng), np.zeros(length, int), np.zeros(length, bool)
    residues[0], span[0] = ord("M"), True
    for index, (element, start) in enumerate(placed):
        span[start : start + len(element.pattern)] = True
        for site, letter in enumerate(element.pattern, start):
            if letter != "x":
                residues[site] = ord(biology.choose(biology.CLASSES.get(letter, letter), rng))
            if letter != "x" or element.whole:
                owner[site] = index + 1
    return residues, owner, span


def draw_family(cluster: str, rng: np.random.Generator) -> Family:
    """Draws what a family is, and its ancestor."""
    traits = {name: biology.choose(options, rng) for name, options in TRAITS.items()}
    (activity, ligand), location, superfamily = traits.values()
    length = draw_length(rng)
    head, tail = max(1, len(location.head)), len(location.tail)
    motif = activity.motif.replace("1", ligand.specificity[0]).replace("2", ligand.specificity[1])
    sites = [Element("ACT_SITE", activity.noun, motif), Element("BINDING", ligand.names[0], ligand.motif)]
    sites *= max(1, (length - head - tail) // REPEAT_RESIDUES)
    blocks = [Element("SITE", f"Conserved in the {superfamily.name} superfamily", block) for block in superfamily.blocks]
    placed = arrange(interleave(blocks, sites, rng), head=head, length=length, tail=tail, rng=rng)
    signal = Element(location.type, location.note, location.head + location.tail, whole=True)
    placed.append((signal, 0 if location.head else length - tail))
    residues, owner, span = plant(placed, length, rng)
    elements = tuple(element for element, _ in placed)
    return Family(cluster, traits, elements, residues, owner, span, rate=rng.uniform(0.5, 1.5, size=length))


def evolve(family: Family, rng: np.random.Generator) -> tuple[str, tuple[Feature, ...]]:
    """A diverged copy of the ancestor: its sequence and features.

    Outside the spans residues are deleted or, as slippage does, repeated; then free sites are drawn anew.
    """
    copies = np.ones(len(family.residues), int)
    for site in rng.choice(np.flatnonzero(~family.span), size=rng.poisson(INDELS)):
        count = rng.integers(*INDEL_RESIDUES, endpoint=True)
        if rng.random() < 0.5:
            copies[site] += count
        else:
            copies[site : site + count] *= family.span[site : site + count]
    residues, owner, rate = (np.repeat(values, copies) for values in (family.residues, family.owner, family.rate))
    drawn = (rng.random(len(residues)) < rng.uniform(*DIVERGENCE) * rate) & (owner == 0)
    drawn[0] = False
    residues[drawn] = background(int(drawn.sum()), rng)
    return residues.tobytes().decode(), features_of(owner, family.elements)


def features_of(owner: np.ndarray, elements: tuple[Element, ...]) -> tuple[Feature, ...]:
    """The runs of planted residues as 1-based, inclusive features in sequence order."""
    edges = np.flatnonzero(np.diff(owner, prepend=0, append=0))
    runs = [(int(start), int(end)) for start, end in zip(edges[:-1], edges[1:], strict=True) if owner[start]]
    planted = [(elements[owner[start] - 1], start, end) for start, end in runs]
    return tuple(Feature(element.type, start + 1, end, element.note) for element, start, end in planted)


def accession(source: str, index: int) -> str:
    """A well-formed UniProt accession: six characters for Swiss-Prot, ten for TrEMBL."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    last, index = index % 10, index // 10
    middle = "".join(digits[index // 36**power % 36] for power in (2, 1, 0))
    return f"Q9{middle}{last}" if source == "swissprot" else f"A0A{middle[:2]}{last}A0{middle[2]}0"


def evidence(source: str, existence: int, rng: np.random.Generator) -> str:
    """The evidence tag that UniProt would attach at this existence level."""
    if source == "trembl":
        return f"{{ECO:0000256|ARBA:ARBA{rng.integers(10**7, 10**8):08d}}}"
    if existence <= 2:
        return f"{{ECO:0000269|PubMed:{rng.integers(10**7, 4 * 10**7)}}}"
    return f"{{ECO:0000255|HAMAP-Rule:MF_{rng.integers(10**4, 10**5):05d}}}"


def other(options: Sequence, current: tuple, rng: np.random.Generator) -> tuple:
    """One of `options` that is not `current`, uniformly."""
    return biology.choose([option for option in options if option != current], rng)


def annotate(family: Family, *, index: int, source: str, existence: int, coverage: int, rng: np.random.Generator) -> Record:
    """A member of the family with the texts of its existence level: some missing, some of an unrelated protein.

    Features of a property whose text is wrong are left out; those of an absent one stay.
    """
    sequence, features = evolve(family, rng)
    wrong = {name: rng.random() < WRONG[existence] for name in TRAITS}
    stated = {name: other(TRAITS[name], trait, rng) if wrong[name] else trait for name, trait in family.traits.items()}
    tag = evidence(source, existence, rng)
    texts = {
        "function": f"{biology.function_text(*stated['function'], rng)}. {tag}.",
        "location": f"{biology.location_text(stated['location'], rng)} {tag}.",
        "similarity": f"{biology.similarity_text(stated['similarity'], rng)}. {tag}.",
    }
    present = rng.permutation(list(texts))[: coverage - 1]
    code = accession(source, index)
    return Record(
        accession=code,
        entry_name=f"{code}_SYNTH",
        source=source,
        sequence=sequence,
        existence=existence,
        name=biology.name_text(*stated["function"], rng),
        features=tuple(feature for feature in features if not wrong[FEATURE_PROPERTY[feature.type]]),
        **{name: texts[name] for name in present},
    )


def generate(records: int, *, seed: int) -> Iterator[tuple[Family, Record]]:
    """Yields `records` records with their families, family by family; a pure function of its arguments."""
    rng = np.random.default_rng(seed)
    sources = np.array(list(SOURCE_SHARES))[quota(list(SOURCE_SHARES.values()), records, rng)]
    existence, coverage = np.zeros(records, int), np.zeros(records, int)
    for source in SOURCE_SHARES:
        rows = np.flatnonzero(sources == source)
        existence[rows] = 1 + quota(EXISTENCE_SHARES[source], len(rows), rng)
        coverage[rows] = 1 + quota(COVERAGE_SHARES[source], len(rows), rng)
    index = families = 0
    while index < records:
        family = draw_family(f"family_{families:05d}", rng)
        families += 1
        for _ in range(min(int(rng.choice(MEMBERS)), records - index)):
            levels = {"source": str(sources[index]), "existence": int(existence[index]), "coverage": int(coverage[index])}
            yield family, annotate(family, index=index, rng=rng, **levels)
            index += 1


def questions_of(family: Family) -> list[tuple[str, str]]:
    """(kind, question) of all that is planted in a family, whatever its members' texts say."""
    (activity, ligand), location, superfamily = family.traits.values()
    return [
        ("activity", f"FUNCTION: {biology.capitalized(activity.phrases[0])}."),
        ("ligand", f"FUNCTION: Binds {ligand.names[0]}."),
        ("location", f"SUBCELLULAR LOCATION: {location.names[0]}."),
        ("superfamily", f"SIMILARITY: Belongs to the {superfamily.name} superfamily."),
    ]


def write(output: Path, *, records: int, seed: int) -> None:
    """Writes `sample.dat.gz`, `clusters.tsv` (cluster, tab, accession) and `questions.tsv` to `output`; same arguments, same
    bytes."""
    with (
        atomic_file(output / "questions.tsv") as questions,
        atomic_file(output / "clusters.tsv") as clusters,
        atomic_file(output / "sample.dat.gz") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as entries,
    ):
        questions.write(b"kind\tquestion\taccession\n")
        sample = progress(generate(records, seed=seed), description="sample", unit="records", total=records)
        for family, record in sample:
            entries.write(format_entry(record).encode("ascii"))
            clusters.write(f"{family.cluster}\t{record.accession}\n".encode("ascii"))
            for kind, question in questions_of(family):
                questions.write(f"{kind}\t{question}\t{record.accession}\n".encode("ascii"))
