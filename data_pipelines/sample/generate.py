"""Generates the entries of a sample: family members with annotators' texts, gaps and mistakes."""

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
"""The number of accessions that `accession` can produce."""

FILES = ("questions.tsv", "clusters.tsv", "sample.dat.gz")
"""The files written, entries last."""

ORGANISM, TAXON = "synthetic construct", 32630
MEMBERS = (2, 3, 4)
"""Family sizes, uniform.

They are small, because a text can only be distinguished from those of other families, not from
those of its own family.
"""


class Entry(NamedTuple):
    """A record, its family, and what its texts state about its properties, right or wrong.

    `stated` and `stated_second` are like `traits` and `second` of `Family`, without traits that no
    text states.
    """

    family: Family
    record: Record
    stated: dict[str, tuple]
    stated_second: dict[str, tuple]


def quota(shares, count: int, rng: np.random.Generator) -> np.ndarray:
    """int [count]: indices of `shares` in these proportions (largest remainders), shuffled."""
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
    """The evidence tag that UniProt would use at this existence level."""
    if source == "trembl":
        return f"{{ECO:0000256|ARBA:ARBA{rng.integers(10**7, 10**8):08d}}}"
    if existence <= 2:
        return f"{{ECO:0000269|PubMed:{rng.integers(10**7, 4 * 10**7)}}}"
    return f"{{ECO:0000255|HAMAP-Rule:MF_{rng.integers(10**4, 10**5):05d}}}"


def other(options: Sequence, current: tuple, rng: np.random.Generator) -> tuple:
    """Draws one of `options` other than `current` uniformly."""
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
    """Writes the texts of a family member: some missing, some copied from an unrelated protein.

    How many are wrong depends on the existence level. Features of a property with a wrong text are
    left out; features of a missing property stay.
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
    kept = [feature for feature in features if not wrong[FEATURE_PROPERTY[feature.type]]]
    record = Record(
        accession=code,
        entry_name=f"{code}_SYNTH",
        source=source,
        sequence=sequence,
        existence=existence,
        organism=ORGANISM,
        taxon=TAXON,
        name=biology.UNNAMED if unnamed else biology.name_text(*stated["function"], rng),
        features=tuple(kept),
        **{name: texts[name] for name in present},
    )
    # The name states the function too, but never a second ligand.
    shown = set(present) if unnamed else {*present, "function"}
    shown_traits = {name: trait for name, trait in stated.items() if name in shown}
    shown_second = {name: trait for name, trait in besides.items() if name in present}
    return Entry(family, record, shown_traits, shown_second)


def generate(records: int, *, seed: int, world: World = DEMO) -> Iterator[Entry]:
    """Yields `records` entries, family by family; a pure function of the arguments."""
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
    """The questions that (some of) the traits and second traits answer."""
    questions = set()
    if "function" in traits:
        activity, ligand = traits["function"]
        questions.add(Answer("activity", f"FUNCTION: {biology.capitalized(activity.phrases[0])}."))
        for each in filter(None, [ligand, second.get("function")]):
            questions.add(Answer("ligand", f"FUNCTION: Binds {each.names[0]}."))
    if "location" in traits:
        questions.add(Answer("location", f"SUBCELLULAR LOCATION: {traits['location'].names[0]}."))
    for each in filter(None, [traits.get("similarity"), second.get("similarity")]):
        questions.add(Answer("superfamily", f"SIMILARITY: Belongs to the {each.name} superfamily."))
    return questions


def question_rows(entry: Entry) -> Iterator[str]:
    """Yields an entry's lines of `questions.tsv`: planted or stated answers and what its text does.

    The text `says` or `omits` a planted answer, or `errs`.
    """
    planted = questions_about(entry.family.traits, entry.family.second)
    stated = questions_about(entry.stated, entry.stated_second)
    for answer in sorted(planted | stated):
        text = "errs" if answer not in planted else "says" if answer in stated else "omits"
        yield f"{answer.kind}\t{answer.question}\t{entry.record.accession}\t{text}\n"


def write(output: Path, *, records: int, seed: int, world: World = DEMO) -> None:
    """Writes `FILES` to `output`; the same arguments give the same bytes.

    clusters.tsv has lines of cluster, tab, accession.

    Raises:
      UserError: one of the files exists.
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
