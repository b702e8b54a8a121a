"""The schema: its defaults are values that it allows, and what is derived from it follows it."""

import pytest

from configs import protclip_650m
from data_pipelines.common.settings import STEPS, WEIGHT, Setting
from protclip_jax.config import __main__ as cli
from protclip_jax.config import reference, schema
from protclip_jax.config.schema import EVALUATION, FIELDS, TOWERS, completed, default_config
from tests.support.paths import ROOT

EVERY = {
    **FIELDS,
    **{f"{tower}.{name}": field for tower in TOWERS for name, field in TOWERS[tower].items()},
}


@pytest.mark.parametrize("path", EVERY)
def test_a_field_allows_its_default_and_the_value_before_it_existed(path):
    setting = EVERY[path]
    assert setting.kind.allows(setting.default)
    assert setting.kind.allows(setting.began_with)
    assert setting.default is None or type(setting.default) is setting.kind.holds
    assert setting.doc.endswith(".")
    assert "|" not in setting.doc


def test_the_defaults_are_the_papers_recipe_but_for_two_fields():
    recipe = default_config()
    # Not every dataset has all names, and small networks want smaller prototypes.
    recipe.tokenizer.names = "all"
    recipe.pda.prototype_init = "normal"
    assert recipe.to_dict() == protclip_650m.get_config().to_dict()


def test_a_default_config_shares_nothing_with_the_next():
    first = default_config()
    first.data.dir = "somewhere"
    first.evals.retrieval.pool = 7
    first.batch.microbatch_rows = 3
    again = default_config()
    assert (again.data.dir, again.evals.retrieval.pool, again.batch.microbatch_rows) == (
        None,
        1024,
        None,
    )


def test_a_stored_config_is_completed_with_what_code_had_before_a_field(monkeypatch):
    monkeypatch.setitem(FIELDS, "new.weight", Setting(0.5, WEIGHT, "New.", before=0.0))
    monkeypatch.setitem(FIELDS, "new.steps", Setting(3, STEPS, "New, with one value always."))
    stored = {"loss": {"gc": 2.0}, "pda": None, "evals": {"mine": {"pool": 5}}, "unknown": 1}
    config = completed(stored)
    assert config["new"] == {"weight": 0.0, "steps": 3}
    assert (config["loss"]["gc"], config["loss"]["mlm"], config["pda"]["theta"]) == (2.0, 0.3, 0.3)
    assert config["evals"] == {"mine": {"pool": 5}}
    assert config["unknown"] == 1
    assert stored == {
        "loss": {"gc": 2.0},
        "pda": None,
        "evals": {"mine": {"pool": 5}},
        "unknown": 1,
    }


def test_fields_that_came_later_were_off_before():
    config = completed({})
    assert config["loss"]["features"] == 0.0
    assert config["pda"]["mask_prefix"] is False


def test_texts_had_a_gradient_and_everything_decayed_before():
    config = completed({})
    assert config["pda"]["text_gradient"] is True
    assert config["pda"]["prototype_init"] == "unit"
    assert config["optimizer"]["undecayed"] == ()


def test_runs_had_steps_and_no_early_stopping_before():
    config = completed({"total_steps": 7})
    assert (config["total_steps"], config["total_epochs"]) == (7, None)
    assert config["best"]["patience"] == 0


def test_what_a_resumed_run_may_change():
    may, may_not = (
        ("total_steps", "evals.anything.pool", "mesh.rules"),
        ("seed", "model.dtype", "loss.gc", "unknown"),
    )
    assert [schema.is_changeable(path) for path in (*may, *may_not)] == [True] * 3 + [False] * 4


def test_the_page_is_up_to_date(capsys):
    assert cli.main([]) == 0
    written = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == written, "run: python -m protclip_jax.config > docs/config.md"


def test_the_page_lists_every_field(monkeypatch):
    monkeypatch.setitem(FIELDS, "new.weight", Setting(None, WEIGHT, "Weighs.", changeable=True))
    lines = reference.page().splitlines()
    assert "| `new.weight` | unset | a number of at least 0 | may change | Weighs. |" in lines
    for path in [*EVERY, *(f"evals.NAME.{name}" for name in EVALUATION)]:
        assert sum(line.startswith(f"| `{path}` |") for line in lines) == 1
