import gzip
import itertools
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from data_pipelines.protanno.record import biotext, coverage, strip_evidence
from data_pipelines.readers import read_entries
from data_pipelines.sample import __main__ as sample
from data_pipelines.sample import biology, families, generate
from data_pipelines.sample.world import DEMO, ORDERED, UNIPROT, WORLDS

RECORDS = 1200
LOW, HIGH = DEMO.length[2]


@pytest.fixture(scope="module")
def generated():
    return list(generate.generate(RECORDS, seed=3))


def planted(record, name):
    """The 0-based residues that the features of a property cover."""
    features = [
        feature for feature in record.features if families.FEATURE_PROPERTY[feature.type] == name
    ]
    return [site for feature in features for site in range(feature.start - 1, feature.end)]


def kmers(sequence, k=4):
    return {sequence[start : start + k] for start in range(len(sequence) - k + 1)}


def jaccard(one, other):
    return len(one & other) / len(one | other)


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path, capsys):
    for folder, seed in (("one", 0), ("two", 0), ("other", 1)):
        assert (
            sample.main(
                ["--output", str(tmp_path / folder), "--records", "40", "--seed", str(seed)]
            )
            == 0
        )
    assert capsys.readouterr().err.splitlines()[-1].endswith(f" {tmp_path / 'other'}")
    for file in ("sample.dat.gz", "clusters.tsv", "questions.tsv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    text = {
        folder: gzip.decompress((tmp_path / folder / "sample.dat.gz").read_bytes())
        for folder in ("one", "other")
    }
    assert text["one"] != text["other"]


def test_the_reader_gives_back_every_field_and_clusters_name_every_record(tmp_path):
    generate.write(tmp_path, records=200, seed=5)
    expected = list(generate.generate(200, seed=5))
    assert list(read_entries(tmp_path / "sample.dat.gz")) == [record for _, record, *_ in expected]
    lines = (tmp_path / "clusters.tsv").read_text().splitlines()
    clusters = [(family.cluster, record.accession) for family, record, *_ in expected]
    assert [tuple(line.split("\t")) for line in lines] == clusters


def test_planted_residues_are_in_range_and_disjoint(generated):
    for _, record, *_ in generated:
        residues = [site for name in families.TRAITS for site in planted(record, name)]
        assert len(residues) == len(set(residues))
        assert all(0 <= site < len(record.sequence) for site in residues)


@pytest.mark.parametrize("name", list(families.TRAITS))
def test_the_features_mark_the_residues_of_the_true_trait(generated, name):
    """Read from the sequence at the features alone, every family's pattern is there, whatever
    was inserted and deleted."""
    checked = 0
    for family, record, *_ in generated:
        marked = "".join(record.sequence[site] for site in planted(record, name))
        second = family.second.get(name)
        if marked and name == "similarity":
            blocks = [
                block.replace("x", "")
                for one in (family.traits[name], second)
                if one
                for block in one.blocks
            ]
            assert Counter(marked) == Counter("".join(blocks))
        elif marked and name == "location":
            own, (head, tail) = (
                family.traits[name],
                (family.traits[name].head, family.traits[name].tail),
            )
            pattern = (second.head if second else "") + head + tail
            groups = [
                "." if letter == "x" else f"[{biology.CLASSES.get(letter, letter)}]"
                for letter in pattern
            ]
            assert re.fullmatch("".join(groups), marked)
            assert own.tail or record.sequence.startswith(marked)
            assert own.head or record.sequence.endswith(marked[len(second.head) if second else 0 :])
        elif marked:
            activity, ligand = family.traits[name]
            motif = activity.motif.replace("1", ligand.specificity[0]).replace(
                "2", ligand.specificity[1]
            )
            residues = (motif + ligand.motif).replace("x", "")
            besides = second.motif.replace("x", "") if second else ""
            copies = (len(marked) - len(besides)) // len(residues)
            assert copies
            assert Counter(marked) == Counter(residues * copies + besides)
        checked += bool(marked)
    assert checked > 0.8 * RECORDS


def test_a_wrong_text_has_no_features_and_a_true_one_has(generated):
    """The location's words tell which compartment is stated; it is the planted one exactly if
    the features are there."""
    wrong = Counter()
    for family, record, *_ in generated:
        stated = strip_evidence(record.location).split(". Note=")[0].rstrip(".")
        if stated:
            true = stated in (
                *family.traits["location"].names,
                *(biology.MEMBRANE_WITH_SIGNAL if family.second else ()),
            )
            assert true == bool(planted(record, "location"))
            wrong[record.existence, true] += 1
    for existence in (1, 3, 4):
        count = wrong[existence, False] + wrong[existence, True]
        share = wrong[existence, False] / count
        assert share == pytest.approx(
            DEMO.wrong[existence], abs=4 * (DEMO.wrong[existence] / count) ** 0.5
        )


@pytest.mark.parametrize("source", list(DEMO.sources))
def test_shares_of_existence_and_coverage(generated, source):
    records = [record for _, record, *_ in generated if record.source == source]
    assert len(records) == pytest.approx(DEMO.sources[source] * RECORDS, abs=1)
    existence = Counter(record.existence for record in records)
    present = Counter(coverage(record) for record in records)
    for level, share in enumerate(DEMO.existence[source], 1):
        assert abs(existence[level] - share * len(records)) < 1
    for quarters, share in enumerate(DEMO.coverage[source], 1):
        assert abs(present[quarters] - share * len(records)) < 1


def test_families_are_alike_inside_and_unlike_each_other(generated):
    """Four-residue words in common: no pair of two families is nearly as close as the members of
    one."""
    families = defaultdict(list)
    for family, record, *_ in generated:
        families[family.cluster].append(kmers(record.sequence))
    inside = [
        jaccard(one, two)
        for members in families.values()
        for one, two in itertools.combinations(members, 2)
    ]
    first = [members[0] for members in families.values()]
    across = [jaccard(one, two) for one, two in itertools.combinations(first, 2)]
    assert np.quantile(inside, 0.1) > np.quantile(across, 0.99)
    assert max(across) < 0.2
    assert max(inside) < 0.9


def test_no_two_records_are_identical(generated):
    assert len({record.sequence for _, record, *_ in generated}) == RECORDS
    assert len({record.accession for _, record, *_ in generated}) == RECORDS


def test_accessions_are_well_formed():
    """The pattern is the one that UniProt documents."""
    form = re.compile(r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9]([A-Z][A-Z0-9]{2}[0-9]){1,2}")
    for source, index in itertools.product(DEMO.sources, (0, 7, 12345, generate.MAX_RECORDS - 1)):
        assert form.fullmatch(generate.accession(source, index))


def test_wording_varies_and_tells_all_traits(generated):
    """Texts of one superfamily and one activity differ, and nearly all biotexts are distinct."""
    assert len({strip_evidence(biotext(record)) for _, record, *_ in generated}) > 0.9 * RECORDS
    functions = defaultdict(set)
    for _, record, *_ in generated:
        for activity in biology.ACTIVITIES:
            if any(phrase in record.function.lower() for phrase in activity.phrases):
                functions[activity.noun].add(strip_evidence(record.function))
    assert set(functions) == {activity.noun for activity in biology.ACTIVITIES}
    assert min(map(len, functions.values())) > 20


def test_traits_are_told_apart_by_their_patterns():
    activities = [activity.motif for activity in biology.ACTIVITIES]
    ligands = [ligand.motif for ligand in biology.LIGANDS]
    locations = [location.head + location.tail for location in biology.LOCATIONS]
    superfamilies = [superfamily.blocks for superfamily in biology.SUPERFAMILIES]
    for patterns in (activities, ligands, locations, superfamilies):
        assert len(set(patterns)) == len(patterns)
    assert all(bool(location.head) != bool(location.tail) for location in biology.LOCATIONS)


def test_lengths_and_background_are_as_stated():
    rng = np.random.default_rng(0)
    residues = families.background(200_000, rng)
    total = sum(biology.BACKGROUND.values())
    for residue, percent in biology.BACKGROUND.items():
        assert np.mean(residues == ord(residue)) == pytest.approx(percent / total, abs=0.002)
    lengths = [families.draw_length(DEMO, rng) for _ in range(4000)]
    assert np.median(lengths) == pytest.approx(80, abs=6)
    assert min(lengths) >= LOW
    assert max(lengths) <= HIGH


def test_the_longest_elements_fit_into_every_length():
    """The tightest case: every length with the longest signal, motifs and blocks leaves a
    residue to insert and delete at."""
    signal = max(len(location.head + location.tail) for location in biology.LOCATIONS)
    activities = max(len(trait.motif) for trait in biology.ACTIVITIES)
    ligands = max(len(trait.motif) for trait in biology.LIGANDS)
    blocks = max(sum(map(len, superfamily.blocks)) for superfamily in biology.SUPERFAMILIES)
    for length in range(LOW, HIGH + 1):
        inner = length - signal - 1
        assert (
            inner - blocks - (activities + ligands) * max(1, inner // families.REPEAT_RESIDUES) > 0
        )


@pytest.mark.parametrize("records", ["0", str(generate.MAX_RECORDS + 1)])
def test_an_impossible_number_of_records_is_one_sentence(tmp_path, capsys, records):
    assert sample.main(["--output", str(tmp_path), "--records", records]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --records {records} ")
    assert len(error.splitlines()) == 1


def test_second_places_have_texts_that_tell_them(generated):
    """Two ligands, two domains, or a signal peptide before a membrane helix: the text names what
    the second place is."""
    found = Counter()
    for family, record, *_ in generated:
        notes = {feature.note for feature in record.features}
        for name, second in family.second.items():
            if not planted(record, name) or not getattr(record, name):
                continue
            found[name] += 1
            if name == "function":
                assert any(option in record.function for option in second.names)
                assert second.names[0] in notes
            elif name == "similarity":
                assert f"Contains 1 {second.name} domain" in record.similarity
                assert f"Conserved in the {second.name} superfamily" in notes
            else:
                assert any(option in record.location for option in biology.MEMBRANE_WITH_SIGNAL)
                assert {"SIGNAL", "TRANSMEM"} <= {feature.type for feature in record.features}
    assert found["function"] > 0.05 * RECORDS
    assert found["similarity"] > 0.03 * RECORDS
    assert found["location"] > 0.005 * RECORDS


def test_questions_tell_what_is_planted_and_what_texts_say(generated):
    """Read off the words of the texts: a ligand that is said is named, an omitted one is not, an
    error names a foreign one."""
    seen = Counter()
    names = {ligand.names[0]: ligand.names for ligand in biology.LIGANDS}
    for entry in generated:
        planted = generate.questions_about(entry.family.traits, entry.family.second)
        asked = Counter(answer.kind for answer in planted)
        assert asked["ligand"] == 1 + ("function" in entry.family.second)
        assert asked["superfamily"] == 1 + ("similarity" in entry.family.second)
        assert asked["activity"] == asked["location"] == 1
        text = f"{entry.record.name} {entry.record.function}".lower()
        for row in generate.question_rows(entry):
            kind, question, accession, says = row.rstrip("\n").split("\t")
            assert accession == entry.record.accession
            assert ((kind, question) in planted) == (says != "errs")
            if kind == "ligand":
                words = names[question.removeprefix("FUNCTION: Binds ").removesuffix(".")]
                named = any(re.search(rf"\b{word.lower()}\b", text) for word in words)
                assert named == (says != "omits")
                seen[says] += 1
    assert min(seen[says] for says in ("says", "omits", "errs")) > 20


def test_in_the_ordered_world_the_order_of_two_halves_tells_activities_apart():
    halves = list(biology.HALVES.values())
    assert len(set(halves)) == len(halves) == len(biology.ACTIVITIES)
    assert sum((second, first) in halves for first, second in halves) >= 14
    shown = [family.elements for family, *_ in generate.generate(300, seed=1, world=ORDERED)]
    patterns = [
        element.pattern for elements in shown for element in elements if element.type == "ACT_SITE"
    ]
    lengths = Counter(map(len, patterns))
    assert len(lengths) > 5
    free = Counter("".join(patterns))["x"] / sum(map(len, patterns))
    assert 0.3 < free < 0.6


def test_the_world_like_uniprot_has_its_shares():
    records = [record for _, record, *_ in generate.generate(3000, seed=1, world=UNIPROT)]
    trembl = [record for record in records if record.source == "trembl"]
    assert len(trembl) == pytest.approx(2940, abs=1)
    of_four = [record for record in trembl if record.existence == 4]
    assert len(of_four) / len(trembl) == pytest.approx(0.6661, abs=0.001)
    assert np.mean([coverage(record) == 1 for record in trembl]) == pytest.approx(0.6211, abs=0.001)
    assert np.mean([record.name == biology.UNNAMED for record in of_four]) == pytest.approx(
        0.8, abs=0.05
    )
    assert not any(record.name == biology.UNNAMED for record in records if record.existence != 4)


@pytest.mark.parametrize("like", WORLDS)
def test_every_world_is_planted_where_its_features_say(like):
    for family, record, *_ in generate.generate(200, seed=4, world=WORLDS[like]):
        residues = [site for name in families.TRAITS for site in planted(record, name)]
        assert len(residues) == len(set(residues))
        assert all(0 <= site < len(record.sequence) for site in residues)
        assert len(family.residues) >= WORLDS[like].length[2][0]
