"""The judge who knows what is planted: its formula, and that its probabilities are what they
say."""

import math
from collections import defaultdict

import numpy as np
import pytest
from scipy.special import softmax

from data_pipelines.protanno.questions import frozen
from data_pipelines.protanno.record import Record
from data_pipelines.sample import generate
from eval.baselines.judge import fit_judge, matched
from eval.metrics.ranking import best_hit, mean_reciprocal_rank


def record(accession, existence):
    return Record(accession, "", "swissprot", "MKV", existence, name="x")


TRAINING = [record("T1", 1), record("T2", 1), record("T3", 3), record("T4", 3)]
POOL = [record("P1", 1), record("P2", 3), record("P3", 3)]
TRUE = frozen(
    {
        "ligand": {"F: zinc": ["T1", "T2", "P1"], "F: heme": ["T3", "T4", "P2", "P3", "P1"]},
        "place": {"L: nucleus": ["T1", "T3", "P1"], "L: cytoplasm": ["T2", "T4", "P2", "P3"]},
    }
)
SAID = frozen(
    {
        "ligand": {"F: zinc": ["T1", "P1"], "F: heme": ["T2", "T3", "P1", "P2"]},
        "place": {"L: nucleus": ["T1", "T4", "P3"]},
    }
)


def test_scores_are_the_formula():
    found = fit_judge(TRUE, SAID, TRAINING, POOL).scores(POOL, POOL)
    share = {1: 1 / 3, 3: 2 / 3}
    # By hand, one added to each outcome: F right and wrong at existence 1: T1 right, T2 wrong; at
    # 3: T3 right.
    right = {("F", 1): 2 / 4, ("F", 3): 2 / 3, ("L", 1): 2 / 3, ("L", 3): 1 / 3}
    claims = {
        "P1": {"F": {"F: zinc", "F: heme"}},
        "P2": {"F": {"F: heme"}},
        "P3": {"L": {"L: nucleus"}},
    }
    truth = defaultdict(set)
    for asked in TRUE.values():
        for question, accessions in asked.items():
            for accession in accessions:
                truth[accession].add(question)
    for row, protein in enumerate(POOL):
        for column, text in enumerate(POOL):
            total = 0.0
            for existence in (1, 3):
                product = share[existence]
                for name, claim in claims[text.accession].items():
                    holders = sum(claim <= truth[each.accession] for each in TRAINING)
                    chance, own = (holders + 1) / 6, right[name, existence]
                    product *= (
                        own / chance
                        if claim <= truth[protein.accession]
                        else (1 - own) / (1 - chance)
                    )
                total += product
            assert found[row, column] == pytest.approx(math.log(total))


def entries_of_distinct_families(count):
    families = {}
    for entry in generate.generate(4 * count, seed=6):
        families.setdefault(entry.family.cluster, entry)
    return list(families.values())[:count]


def questions_from(entries):
    """(true, said) as a dataset keeps them."""
    true, said = (defaultdict(lambda: defaultdict(set)) for _ in range(2))
    for entry in entries:
        planted = generate.questions_about(entry.family.traits, entry.family.second)
        stated = generate.questions_about(entry.stated, entry.stated_second)
        for asked, answers in ((true, planted), (said, stated)):
            for kind, question in answers:
                asked[kind][question].add(entry.record.accession)
    return frozen(true), frozen(said)


@pytest.fixture(scope="module")
def judged():
    """The scores of 400 proteins of different families with their texts, by what 800 others
    teach."""
    entries = entries_of_distinct_families(1200)
    records = [entry.record for entry in entries]
    pool, training = records[:400], records[400:]
    return fit_judge(*questions_from(entries), training, pool).scores(pool, pool)


def test_what_the_judge_thinks_likely_happens_as_often(judged):
    """Bayes: of a text, softmax over the proteins is the probability that it is theirs."""
    probabilities = softmax(judged, axis=0)
    own = np.eye(400, dtype=bool)
    for low, high in ((0.0, 0.01), (0.01, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1.0)):
        asked = probabilities[(probabilities > low) & (probabilities <= high)]
        found = own[(probabilities > low) & (probabilities <= high)].sum()
        assert asked.size > 20
        assert found == pytest.approx(
            asked.sum(), abs=3 * math.sqrt((asked * (1 - asked)).sum()) + 1
        )


def test_the_pool_tells_more_than_its_pairs(judged):
    own = np.eye(400, dtype=bool)
    both = matched(judged)
    np.testing.assert_allclose(np.exp(both).sum(0), 1, atol=0.05)
    np.testing.assert_allclose(np.exp(both).sum(1), 1, atol=1e-9)
    for alone, together in ((judged, both), (judged.T, both.T)):
        assert (
            mean_reciprocal_rank(*best_hit(together, own))
            > mean_reciprocal_rank(*best_hit(alone, own))
            > 0.7
        )
