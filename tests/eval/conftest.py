import pytest

from data_pipelines.protanno.dataset import open_dataset, write
from data_pipelines.sample import generate
from eval.pretraining import trained_baselines

TRAIN, HELD_OUT = 150, 60


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A built dataset of sample records: two training splits, validation and test."""
    directory = tmp_path_factory.mktemp("protanno")
    records = [record for _, record, *_ in generate.generate(TRAIN + 2 * HELD_OUT, seed=3)]
    splits = {
        "swissprot_c1_r4": records[: TRAIN // 2],
        "trembl_c3_r3": records[TRAIN // 2 : TRAIN],
        "validation": records[TRAIN : TRAIN + HELD_OUT],
        "test": records[TRAIN + HELD_OUT :],
    }
    clusters = {"swissprot/C1/R4": TRAIN // 2, "trembl/C3/R3": TRAIN // 2}
    write(directory, splits, statistics={"records": len(records), "clusters": clusters})
    return directory


@pytest.fixture(scope="session")
def dataset(data_dir):
    return open_dataset(data_dir)


@pytest.fixture(autouse=True)
def quick_baselines(monkeypatch):
    """Baselines of one learning rate and few steps."""
    monkeypatch.setattr(trained_baselines, "LEARNING_RATES", (0.01,))
    monkeypatch.setattr(trained_baselines, "MIN_STEPS", 60)
    monkeypatch.setattr(trained_baselines, "PASSES", 1)
