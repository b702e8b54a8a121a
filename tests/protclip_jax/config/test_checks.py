"""What a config may hold: the shipped ones hold exactly the known fields, and every wrong value
is one sentence."""

import copy
import importlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import metadata
from protclip_jax.config import build as config_lib
from protclip_jax.config import schema
from protclip_jax.config.checks import check, check_present, require_model
from protclip_jax.config.schema import FIELDS, TOWERS
from tests.support.hostile_checkpoint import CONFIG


def shipped(name="protclip_650m"):
    """A config of the project that is ready to train."""
    config = importlib.import_module(f"configs.{name}").get_config()
    config.data.dir, config.tokenizer.text = "protanno", "vocab.txt"
    return config


def leaves(config, prefix=""):
    for name, value in config.items():
        yield from (
            leaves(value, f"{prefix}{name}.") if hasattr(value, "items") else [f"{prefix}{name}"]
        )


@pytest.mark.parametrize(
    "name",
    ["quickstart", "quickstart_paper", "protclip_150m", "protclip_650m", "protclip_650m_plus"],
)
def test_the_shipped_configs_hold_exactly_the_known_fields(name):
    config = shipped(name)
    check(config)
    rest = set(leaves(config)) ^ set(FIELDS)
    evaluations = {f"evals.{name}" for name in config.evals}
    assert {field.rpartition(".")[0] for field in rest} == {*TOWERS, *evaluations}


def put(config, path, value):
    """A copy with another value."""
    changed = copy.deepcopy(config)
    *groups, last = path.split(".")
    holder = changed
    for group in groups:
        holder = holder[group]
    holder[last] = value
    return changed


BAD = {
    "batch.rows": [0, -3, 1 << 40, 2.0, True, None, "64", float("nan")],
    "batch.protein_tokens": [0, -1],
    "total_steps": [0, 1 << 31],
    "total_epochs": [0.0, -1.0, float("nan"), "35"],
    "keep_every": [-1, 100],
    "best.patience": [-1, 1.5],
    "metrics_hook": ["", 3],
    "optimizer.undecayed": [("(",), "bias", (3,)],
    "pda.text_gradient": [1, None],
    "pda.prototype_init": ["zero"],
    "seed": [-1, 1 << 64],
    "data.streams": [0],
    "data.workers": [-1],
    "data.dir": ["", "a\0b", "x" * 5000, 7],
    "tokenizer.max_text_tokens": [7, 513],
    "tokenizer.max_protein_tokens": [2],
    "max_skipped_steps": [-1],
    "gradient_norms_every": [-1, 0.5],
    "stall_seconds": [-1.0, float("inf")],
    "keep_best": [-1],
    "sampling.alpha": [1e9, float("nan")],
    "sampling.drop_confidence": [(6,), (-1,), 4, "45", (True,), ((4,),)],
    "sampling.drop_coverage": [(0,), (5,)],
    "sampling.sources.swissprot": [-0.5, float("inf"), "1"],
    "sampling.sources.unknown": [-0.5, "1"],
    "sampling.without_text": [-0.1, 1.1, None],
    "loss.gc": [-1.0, float("nan"), 10**400],
    "loss.mask_duplicates": [1, "yes", None],
    "loss.contrast_chunk": [-1, 0.5, None],
    "batch.microbatch_rows": [0, 2.0, "8"],
    "pda.theta": [-0.1, 1.1, float("nan")],
    "loss.features": [-0.1, "0.3"],
    "matryoshka.widths": [64, (0,), (64, 1.5), "64"],
    "matryoshka.width_weights": [1.0, (0.0,), (True,), ("1",)],
    "pda.negatives": ["none", ["within_record"]],
    "pda.pooling": ["max", None, "residue"],
    "pda.prototypes": [1, "no"],
    "pda.mask_prefix": [0, None],
    "masking.passes": ["twice"],
    "model.protein.num_layers": [0, -2, 1 << 20],
    "model.protein.hidden_size": [0, "1280"],
    "model.protein.token_dropout": ["no"],
    "model.protein.vocab_size": [33],
    "model.protein": [{}, None, 3, {"num_layers": 2}],
    "model.text.max_positions": [0, 100],
    "model.text.layer_norm_eps": [0.0, -1e-5],
    "model.projection_dim": [0],
    "model.prototype_temperature": [0.0, -1.0],
    "model.dtype": ["float16", None],
    "model.attention": ["fast"],
    "model.remat": ["some"],
    "optimizer.learning_rate": [-1e-3, float("nan")],
    "optimizer.schedule": ["step"],
    "optimizer.warmup_fraction": [1.5],
    "optimizer.b1": [1.0, -0.1],
    "optimizer.groups": [
        *[
            (),
            (("(", "frozen"),),
            (("a", "b", "c"),),
            ("ab",),
            ((".", -1.0),),
            ((".", True),),
            ((5, 1.0),),
        ],
        *[
            ((".", ("last", 0)),),
            ((".", ("last", 1.5)),),
            ((".", ("last", 2, "frozen")),),
            ((".", ("last",)),),
        ],
        *[
            ((".", ("decay", 1.1)),),
            ((".", ["decay", 0.9, -1.0]),),
            ((".", ("first", 2)),),
            ((".", (["last"], 2)),),
        ],
    ],
    "mesh.data": [0, -2],
    "mesh.rules": [((".", "shard"),), "fsdp", ((".", ["fsdp"]),)],
    "init.all": [""],
    "evals.retrieval.pool": [1, "many"],
    "evals.retrieval": [5],
    "evals": [[1]],
    "loss": [3],
    "colour": ["red"],
    "loss.colour": ["red"],
}


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, values in BAD.items() for value in values]
)
def test_a_wrong_value_is_one_sentence(path, value):
    config = put(shipped().to_dict(), path, value)
    with pytest.raises(UserError) as caught:
        check(config)
    assert path.rpartition(".")[2] in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_does_not_go_together_and_what_is_missing():
    for path in (*FIELDS, *TOWERS, "loss"):
        *groups, last = path.split(".")
        holder = config = shipped().to_dict()
        for group in groups:
            holder = holder[group]
        del holder[last]
        with pytest.raises(UserError, match=path.replace(".", r"\.")):
            check(config)
    zeros = dict.fromkeys(schema.OBJECTIVES, 0.0)
    nothing = put(
        shipped().to_dict(), "loss", zeros | {"mask_duplicates": True, "contrast_chunk": 0}
    )
    with pytest.raises(UserError, match="nothing would be learnt"):
        check(nothing)
    bare = put(put(shipped().to_dict(), "sampling.without_text", 0.5), "loss.mlm", 0.0)
    with pytest.raises(UserError, match=r"sampling\.without_text=.*loss\.mlm=0"):
        check(bare)


def test_a_lone_tower_is_a_model_and_none_is_not():
    for tower in ("protein", "text"):
        alone = put(CONFIG, f"model.{tower}", None)
        check_present(alone, name="x")
        require_model(alone, name="x")
        with pytest.raises(UserError, match="neither a protein nor a text tower"):
            require_model(put(put(CONFIG, "model.protein", None), "model.text", None), name="x")
        with pytest.raises(UserError, match=rf"lacks the field model\.{tower}\.num_layers"):
            require_model(alone, *TOWERS, name="x")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, 1e308, "\x1b[2J"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
PLACES = [
    "",
    *schema.GROUPS,
    *FIELDS,
    *(f"{tower}.{field}" for tower, fields in TOWERS.items() for field in fields),
]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_stored_config_is_read_or_refused(tmp_path_factory, data):
    """And of one that is read, the model can be made."""
    config = copy.deepcopy(CONFIG)
    for path in data.draw(st.lists(st.sampled_from(sorted(PLACES)), max_size=3)):
        value = data.draw(JSON)
        if not path:
            config = value
        elif isinstance(holder := held(config, path), dict):
            holder[path.rpartition(".")[2]] = value
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"format_version": 1, "config": config}))
    try:
        config = metadata.read_model_config(folder)
        config_lib.model_config(config, text_vocab_size=100)
    except UserError as error:
        sentence = str(error)
    else:
        sentence = ""
    assert sentence.isprintable()
    assert len(sentence) <= 1000


def held(config, path):
    """The group that holds a field, if it is there."""
    for group in path.split(".")[:-1]:
        config = config.get(group) if isinstance(config, dict) else None
    return config


FILES = {
    "no JSON": (b"{", "not valid JSON"),
    "no object": (b"[]", "not a JSON object"),
    "not UTF-8": (b'{"format_version": "\xff"}', "not valid JSON"),
    "too deep": (
        b'{"format_version": 1, "config": ' + b'{"a": ' * 900 + b"1" + b"}" * 901,
        "nested too deeply",
    ),
    "much too deep": (b"[" * 500_000, "nested too deeply"),
    "a name twice": (b'{"format_version": 1, "config": {}, "config": {}}', "'config' occurs twice"),
    "a giant number": (b'{"format_version": ' + b"9" * 5000 + b"}", "not valid JSON"),
    "no version": (b'{"config": {}}', "format_version and config"),
    "no config": (b'{"format_version": 1, "config": []}', "format_version and config"),
    "another version": (
        b'{"format_version": "' + b"x" * 9999 + b'", "config": {}}',
        "format version 'xxx",
    ),
    "a large file": (b" " * (17 << 20), "17825792 bytes"),
    "code": (b'{"format_version": 1, "config": __import__("os").system("true")}', "not valid JSON"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_config_file_is_one_sentence(tmp_path, kind):
    content, message = FILES[kind]
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        metadata.read_config(tmp_path)
    assert len(str(caught.value)) < 400
