"""The entries of a sample: families' members with the texts that annotators would have written,
with gaps and mistakes."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_pipelines.common.outputs import new_files
from data_pipelines.common.progress import progress
from data_pipelines.protanno.questions import Answer
from data_pipelines.protanno.record import Record
from data_pipelines.sample import biology
from data_pipelines.sample.families import FEATURE_PROPERTY, TRAITS, Family, draw_family, evolve
from data_pipelines.sample.flat_file import format_entry
from data_pipelines.sample.world import DEMO, World

MAX_RECORDS = 10 * 36**3
"""The accessions that `accession` can give."""

FILES = ("questions.tsv", "clusters.tsv", "sample.dat.gz")
"""What is written, the entries last."""

ORGANISM, TAXON = "synthetic construct", 32630
MEMBERS = (2, 3, 4)
"""Family sizes, uniform. Small, since a text can only be told from those of other families, not
from its own family's."""


class Entry(NamedTuple):
    """A record, the family it is a member of, and what its texts state of their own properties,
    wrong or right.

    `stated` and `stated_second` are like `traits` and `second` of `Family`, without what no text
    states.
    """

    family: Family
    record: Record
    stated: dict[str, tuple]
    stated_second: dict[str, tuple]


def quota(shares, count: int, rng: np.random.Generator) -> np.ndarray:
    """int [count]: indices of `shares` in random order, as often as the shares say, by largest
    remainders."""
    exact = np.asarray(shares) / np.sum(shares) * count
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: count - counts.sum()]] += 1
    return rng.permutation(np.repeat(np.arange(len(counts)), counts))


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


def annotate(
    family: Family,
    world: World,
    *,
    index: int,
    source: str,
    existence: int,
    coverage: int,
    rng: np.random.Generator,
) -> Entry:
    """A member of the family with the texts of its existence level: some missing, some of an
    unrelated protein.

    Features of a property whose text is wrong are left out; those of an absent one stay.
    """
    sequence, features = evolve(family, rng)
    wrong = {name: rng.random() < world.wrong[existence] for name in TRAITS}
    stated = {
        name: other(TRAITS[name], trait, rng) if wrong[name] else trait
        for name, trait in family.traits.items()
    }
    tag = evidence(source, existence, rng)
    besides = {name: trait for name, trait in family.second.items() if not wrong[name]}
    function = biology.function_text(*stated["function"], besides.get("function"), rng)
    location = biology.location_text(stated["location"], besides.get("location"), rng)
    similarity = biology.similarity_text(stated["similarity"], besides.get("similarity"), rng)
    texts = {
        "function": f"{function}. {tag}.",
        "location": f"{location} {tag}.",
        "similarity": f"{similarity}. {tag}.",
    }
    unnamed = rng.random() < world.unnamed[existence]
    present = rng.permutation(list(texts))[: coverage - 1]
    code = accession(source, index)
    record = Record(
        accession=code,
        entry_name=f"{code}_SYNTH",
        source=source,
        sequence=sequence,
        existence=existence,
        organism=ORGANISM,
        taxon=TAXON,
        name=biology.UNNAMED if unnamed else biology.name_text(*stated["function"], rng),
        features=tuple(
            feature for feature in features if not wrong[FEATURE_PROPERTY[feature.type]]
        ),
        **{name: texts[name] for name in present},
    )
    # The name states the function too, but never a second ligand.
    told = set(present) if unnamed else {*present, "function"}
    return Entry(
        family,
        record,
        {name: trait for name, trait in stated.items() if name in told},
        {name: trait for name, trait in besides.items() if name in present},
    )


def generate(records: int, *, seed: int, world: World = DEMO) -> Iterator[Entry]:
    """Yields `records` entries, family by family; a pure function of its arguments."""
    rng = np.random.default_rng(seed)
    sources = np.array(list(world.sources))[quota(list(world.sources.values()), records, rng)]
    existence, coverage = np.zeros(records, int), np.zeros(records, int)
    for source in world.sources:
        rows = np.flatnonzero(sources == source)
        existence[rows] = 1 + quota(world.existence[source], len(rows), rng)
        coverage[rows] = 1 + quota(world.coverage[source], len(rows), rng)
    index = families = 0
    while index < records:
        family = draw_family(f"family_{families:05d}", world, rng)
        families += 1
        for _ in range(min(int(rng.choice(MEMBERS)), records - index)):
            levels = {
                "source": str(sources[index]),
                "existence": int(existence[index]),
                "coverage": int(coverage[index]),
            }
            yield annotate(family, world, index=index, rng=rng, **levels)
            index += 1


def questions_about(traits: Mapping[str, tuple], second: Mapping[str, tuple]) -> set[Answer]:
    """The questions that traits and second traits, of all properties or some, answer."""
    asked = set()
    if "function" in traits:
        activity, ligand = traits["function"]
        asked.add(Answer("activity", f"FUNCTION: {biology.capitalized(activity.phrases[0])}."))
        for each in filter(None, [ligand, second.get("function")]):
            asked.add(Answer("ligand", f"FUNCTION: Binds {each.names[0]}."))
    if "location" in traits:
        asked.add(Answer("location", f"SUBCELLULAR LOCATION: {traits['location'].names[0]}."))
    for each in filter(None, [traits.get("similarity"), second.get("similarity")]):
        asked.add(Answer("superfamily", f"SIMILARITY: Belongs to the {each.name} superfamily."))
    return asked


def question_rows(entry: Entry) -> Iterator[str]:
    """The lines of `questions.tsv` on an entry: what is planted or stated, and whether the text
    says, omits or errs."""
    planted = questions_about(entry.family.traits, entry.family.second)
    stated = questions_about(entry.stated, entry.stated_second)
    for answer in sorted(planted | stated):
        text = "errs" if answer not in planted else "says" if answer in stated else "omits"
        yield f"{answer.kind}\t{answer.question}\t{entry.record.accession}\t{text}\n"


def write(output: Path, *, records: int, seed: int, world: World = DEMO) -> None:
    """Writes `FILES`, of which clusters.tsv holds cluster, tab, accession, into `output`; same
    arguments, same bytes.

    Raises:
      UserError: one of them is there already.
    """
    with (
        new_files([output / name for name in FILES]) as paths,
        open(paths[0], "wb") as questions,
        open(paths[1], "wb") as clusters,
        open(paths[2], "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as entries,
    ):
        questions.write(b"kind\tquestion\taccession\ttext\n")
        sample = progress(
            generate(records, seed=seed, world=world),
            description="sample",
            unit="records",
            total=records,
        )
        for entry in sample:
            record = entry.record
            entries.write(format_entry(record).encode("ascii"))
            clusters.write(f"{entry.family.cluster}\t{record.accession}\n".encode("ascii"))
            questions.write("".join(question_rows(entry)).encode("ascii"))
