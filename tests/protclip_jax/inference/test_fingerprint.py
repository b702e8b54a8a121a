"""The fingerprint changes with all that decides the numbers, and with nothing else."""

import copy
import warnings

import jax
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax import ProtCLIP
from protclip_jax.retrieval.index_folder import refuse_other_model
from tests.support import tiny
from tests.support.tiny import CONFIG


def make(*, config=CONFIG, tokenizer=None, params=None, **network):
    model = tiny.model(**network)
    return ProtCLIP(
        model, params or tiny.params(), tokenizer or tiny.text_tokenizer(), config=config, mesh=None
    )


def changed(group, **values):
    config = copy.deepcopy(CONFIG)
    config[group].update(values)
    return config


def swapped():
    words = tiny.text_tokenizer().vocabulary
    return TextTokenizer([*words[:-2], words[-1], words[-2]])


@pytest.fixture(scope="module")
def reference():
    return make()


CHANGES = {
    "a word": lambda: make(tokenizer=swapped()),
    "case": lambda: make(
        tokenizer=TextTokenizer(
            tiny.text_tokenizer().vocabulary,
            normalization=tiny.text_tokenizer().normalization | {"do_lower_case": False},
        )
    ),
    "theta": lambda: make(config=changed("pda", theta=0.31)),
    "prototypes": lambda: make(config=changed("pda", prototypes=False)),
    "mask_prefix": lambda: make(config=changed("pda", mask_prefix=True)),
    "max_text_tokens": lambda: make(config=changed("tokenizer", max_text_tokens=65)),
    "a parameter": lambda: make(params=jax.tree.map(lambda leaf: leaf + 1, tiny.params())),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_decides_the_numbers_changes_it(reference, what):
    other = CHANGES[what]()
    assert other.fingerprint != reference.fingerprint
    with pytest.raises(UserError, match="was made with other parameters"):
        refuse_other_model({"checkpoint": reference.fingerprint}, other, folder="i")


def test_how_it_is_computed_and_what_a_run_logs_do_not(reference):
    others = [
        make(dtype="bfloat16"),
        make(attention="dense"),
        make(config={**CONFIG, "total_steps": 7, "log_every": 3}),
    ]
    assert {other.fingerprint for other in others} == {reference.fingerprint}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refuse_other_model({"checkpoint": reference.fingerprint}, others[0], folder="i")


def test_an_index_of_older_code_is_opened_with_a_warning(reference):
    with pytest.warns(
        UserWarning, match="made by an older version, which recorded the parameters alone"
    ):
        refuse_other_model({"checkpoint": reference.params_fingerprint}, reference, folder="i")
