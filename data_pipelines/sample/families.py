"""Families of synthetic proteins: what an ancestor contains, and how its members diverge."""

import itertools
from typing import NamedTuple

import numpy as np

from data_pipelines.protanno.record import Feature
from data_pipelines.sample import biology
from data_pipelines.sample.world import World

FEATURE_PROPERTY = {
    "ACT_SITE": "function",
    "BINDING": "function",
    "SIGNAL": "location",
    "TRANSIT": "location",
    "TRANSMEM": "location",
    "MOTIF": "location",
    "SITE": "similarity",
}
"""`FT` type → the property whose residues it marks; names and functions share theirs."""

REPEAT_RESIDUES = 50
"""A protein has one copy of its function's motifs per this many residues between the signals."""

DIVERGENCE = (0.35, 0.60)
"""Share of a member's free residues that are redrawn, uniform per member."""


INDELS, INDEL_RESIDUES = 1.5, (1, 3)
"""Mean number of insertions and deletions per member, and their sizes."""

ACIDS = np.frombuffer("".join(biology.BACKGROUND).encode(), np.uint8)
CUMULATIVE = np.cumsum(list(biology.BACKGROUND.values()))[:-1] / sum(biology.BACKGROUND.values())
TRAITS = {
    "function": tuple(itertools.product(biology.ACTIVITIES, biology.LIGANDS)),
    "location": biology.LOCATIONS,
    "similarity": biology.SUPERFAMILIES,
}
"""What can be planted, by property; combinations are equally likely, so none predicts another."""


class Element(NamedTuple):
    """A planted element: `FT` type and note, pattern, and whether all of it is one feature."""

    type: str
    note: str
    pattern: str
    whole: bool = False


class Family(NamedTuple):
    """One similarity cluster: what is planted, and the ancestor that contains it.

    Attributes:
      traits: function → (activity, ligand), location → location, similarity → superfamily.
      second: for some properties a second trait with its own place: another ligand, the location of
        a signal peptide, or another superfamily.
      residues: uint8 [L], ASCII.
      owner: int [L], index of the element + 1; 0 = free.
      span: bool [L], sites without insertions and deletions.
      rate: float [L], relative speed of evolution, mean 1.
    """

    cluster: str
    traits: dict[str, tuple]
    second: dict[str, tuple]
    elements: tuple[Element, ...]
    residues: np.ndarray
    owner: np.ndarray
    span: np.ndarray
    rate: np.ndarray


def background(count: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 [count]: residues drawn from the background composition."""
    return ACIDS[np.searchsorted(CUMULATIVE, rng.random(count), side="right")]


def draw_length(world: World, rng: np.random.Generator) -> int:
    """Draws a log-normal length within the world's bounds."""
    median, sigma, (low, high) = world.length
    while True:
        length = int(rng.lognormal(np.log(median), sigma))
        if low <= length <= high:
            return length


def arrange(
    elements, *, head: int, length: int, tail: int, rng: np.random.Generator
) -> list[tuple[Element, int]]:
    """Places elements in order between the terminal signals, with random gaps.

    Returns pairs of element and index of its first residue.
    """
    spans = np.array([len(element.pattern) for element in elements])
    slack = length - head - tail - spans.sum()
    gaps = np.diff(np.sort(rng.integers(0, slack + 1, size=len(spans))), prepend=0)
    starts = head + np.cumsum(gaps) + np.cumsum(spans) - spans
    return list(zip(elements, starts.tolist(), strict=True))


def interleave(ordered: list, unordered: list, rng: np.random.Generator) -> list:
    """Merges two lists in random order, but keeps the order of the first list."""
    slots = rng.permutation(np.repeat([True, False], [len(ordered), len(unordered)]))
    kept = iter(ordered)
    shuffled = iter([unordered[index] for index in rng.permutation(len(unordered))])
    return [next(kept) if slot else next(shuffled) for slot in slots]


def plant(
    placed, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Writes the elements into a random background of `length` residues.

    Returns `residues`, `owner` and `span` of `Family`.
    """
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


def draw_family(cluster: str, world: World, rng: np.random.Generator) -> Family:
    """Draws the traits of a family and its ancestor."""
    traits = {name: biology.choose(options, rng) for name, options in TRAITS.items()}
    (activity, ligand), location, superfamily = traits.values()
    length = draw_length(world, rng)
    head, tail = max(1, len(location.head)), len(location.tail)
    sites, blocks = [], signature(superfamily)
    for _ in range(max(1, (length - head - tail) // REPEAT_RESIDUES)):
        sites += [active_site(activity, ligand, world, rng), binding_site(ligand, world, rng)]
    room = length - head - tail - 1 - sum(len(element.pattern) for element in sites + blocks)
    second, added = fitting(draw_second(traits, world, rng), room, world, rng)
    blocks += [element for element in added if element.type == "SITE"]
    sites += [element for element in added if element.type == "BINDING"]
    signals = [(element, 0) for element in added if element.type == "SIGNAL"]
    signals.append((own_signal(location), 0 if location.head else length - tail))
    head = max(head, len(signals[0][0].pattern)) if len(signals) > 1 else head
    placed = (
        arrange(interleave(blocks, sites, rng), head=head, length=length, tail=tail, rng=rng)
        + signals
    )
    residues, owner, span = plant(placed, length, rng)
    elements = tuple(element for element, _ in placed)
    return Family(
        cluster,
        traits,
        second,
        elements,
        residues,
        owner,
        span,
        rate=rng.uniform(0.5, 1.5, size=length),
    )


def own_signal(location: biology.Location) -> Element:
    """The terminal signal of a location."""
    return Element(location.type, location.note, location.head + location.tail, whole=True)


def active_site(
    activity: biology.Activity, ligand: biology.Ligand, world: World, rng: np.random.Generator
) -> Element:
    """The motif of an activity in this world, with the specificity residues of its ligand."""
    halves = biology.HALVES[activity.noun] if world.grammar.halves else (activity.motif,)
    specific = [
        half.replace("1", ligand.specificity[0]).replace("2", ligand.specificity[1])
        for half in halves
    ]
    between = "x" * int(rng.integers(world.grammar.between + 1))
    motif = between.join(world.grammar.vary(half, rng) for half in specific)
    return Element("ACT_SITE", activity.noun, motif)


def binding_site(ligand: biology.Ligand, world: World, rng: np.random.Generator) -> Element:
    """The motif of a ligand in this world."""
    return Element("BINDING", ligand.names[0], world.grammar.vary(ligand.motif, rng))


def signature(superfamily: biology.Superfamily) -> list[Element]:
    """The blocks of a superfamily in sequence order."""
    return [
        Element("SITE", f"Conserved in the {superfamily.name} superfamily", block)
        for block in superfamily.blocks
    ]


def draw_second(
    traits: dict[str, tuple], world: World, rng: np.random.Generator
) -> dict[str, tuple]:
    """Draws a family's second traits: a ligand, a superfamily, or the location of a signal."""
    (_, ligand), location, superfamily = traits.values()
    ligands = [other for other in biology.LIGANDS if other != ligand]
    superfamilies = [other for other in biology.SUPERFAMILIES if other != superfamily]
    options = {
        "function": ligands,
        "location": [biology.SECRETED] if location == biology.CELL_MEMBRANE else [],
        "similarity": superfamilies,
    }
    # All probabilities are drawn before any choice, so that options do not shift the draws.
    drawn = {name: rng.random() < world.two_places[name] for name in options}
    second = {}
    for name, among in options.items():
        if among and drawn[name]:
            second[name] = biology.choose(among, rng)
    return second


def fitting(
    second: dict[str, tuple], room: int, world: World, rng: np.random.Generator
) -> tuple[dict[str, tuple], list[Element]]:
    """Keeps the second traits that fit into `room` free residues; also returns their elements."""
    kept, added = {}, []
    for name, trait in second.items():
        if name == "function":
            elements = [binding_site(trait, world, rng)]
        else:
            elements = signature(trait) if name == "similarity" else [own_signal(trait)]
        needed = sum(len(element.pattern) for element in elements)
        if needed <= room:
            room -= needed
            kept[name] = trait
            added += elements
    return kept, added


def evolve(family: Family, rng: np.random.Generator) -> tuple[str, tuple[Feature, ...]]:
    """Returns a diverged copy of the ancestor: its sequence and features.

    Outside the spans, residues are deleted or, as in slippage, repeated. Then free sites are
    redrawn.
    """
    copies = np.ones(len(family.residues), int)
    for site in rng.choice(np.flatnonzero(~family.span), size=rng.poisson(INDELS)):
        count = rng.integers(*INDEL_RESIDUES, endpoint=True)
        if rng.random() < 0.5:
            copies[site] += count
        else:
            copies[site : site + count] *= family.span[site : site + count]
    residues, owner, rate = (
        np.repeat(values, copies) for values in (family.residues, family.owner, family.rate)
    )
    drawn = (rng.random(len(residues)) < rng.uniform(*DIVERGENCE) * rate) & (owner == 0)
    drawn[0] = False
    residues[drawn] = background(int(drawn.sum()), rng)
    return residues.tobytes().decode(), features_of(owner, family.elements)


def features_of(owner: np.ndarray, elements: tuple[Element, ...]) -> tuple[Feature, ...]:
    """Converts the runs of planted residues to 1-based, inclusive features in sequence order."""
    edges = np.flatnonzero(np.diff(owner, prepend=0, append=0))
    features = []
    for start, end in itertools.pairwise(edges.tolist()):
        if owner[start]:
            element = elements[owner[start] - 1]
            features.append(Feature(element.type, start + 1, end, element.note))
    return tuple(features)
