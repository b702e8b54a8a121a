"""`--config.key=value`: whatever is typed is a value of the right type or one sentence, and
never runs."""

import copy
import importlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import protclip_train as train
from data_pipelines.common.errors import UserError
from protclip_jax.config.checks import check
from protclip_jax.config.schema import FIELDS, GROUPS, TOWERS

READY = ["--config.data.dir=protanno", "--config.tokenizer.text=vocab.txt"]


def parse(*more, file="configs/quickstart.py"):
    """The config of a command line, checked as training does before anything else."""
    config = train.parse_flags(
        ["train.py", "--config", file, "--workdir", "run", *READY, *more]
    ).config
    check(config)
    return config


def refusal(*more, **options):
    with pytest.raises(UserError) as caught:
        parse(*more, **options)
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert len(sentence) <= 1000
    assert "Traceback" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        (
            'optimizer.groups=(("rotary_inv_freq","frozen"),(".",0.5))',
            "optimizer.groups",
            (("rotary_inv_freq", "frozen"), (".", 0.5)),
        ),
        (
            'optimizer.groups=(("/layers/",("last",2)),("^text/",("decay",0.9,0.5)),(".",1.0))',
            "optimizer.groups",
            (("/layers/", ("last", 2)), ("^text/", ("decay", 0.9, 0.5)), (".", 1.0)),
        ),
        ('mesh.rules=((".","replicate"),)', "mesh.rules", ((".", "replicate"),)),
        ("sampling.drop_confidence=(4,5)", "sampling.drop_confidence", (4, 5)),
        ("sampling.drop_confidence=(0,)", "sampling.drop_confidence", (0,)),
        ("sampling.drop_coverage=()", "sampling.drop_coverage", ()),
        ("sampling.sources.trembl=1", "sampling.sources.trembl", 1.0),
        ("loss.gc=2", "loss.gc", 2.0),
        ("loss.mask_duplicates=false", "loss.mask_duplicates", False),
        ("batch.rows=16", "batch.rows", 16),
        ("batch.microbatch_rows=None", "batch.microbatch_rows", None),
        ("optimizer.undecayed=()", "optimizer.undecayed", ()),
        ("init.all=runs/a=b", "init.all", "runs/a=b"),
        ("data.dir=__import__('os').getcwd()", "data.dir", "__import__('os').getcwd()"),
    ],
)
def test_values_get_the_type_of_their_field(override, field, value):
    found = parse(f"--config.{override}")
    for group in field.split("."):
        found = found[group]
    assert found == value
    assert type(found) is type(value)


def test_fields_to_change_on_resume_are_listed_and_those_that_cannot_are_refused():
    command = ["train.py", "--config", "configs/quickstart.py", "--workdir", "run"]
    assert train.parse_flags(command).changes == ()
    both = ("optimizer.learning_rate", "optimizer.schedule")
    assert train.parse_flags([*command, f"--change={','.join(both)}"]).changes == both
    assert refusal("--change=optimizer.b1").startswith(
        "--change=optimizer.b1 is not possible; a resumed run can take new values of"
    )


def test_a_length_in_epochs_replaces_one_in_steps():
    earlier = ["--config.total_steps=5", "--config.total_epochs=None"]
    config = parse(*earlier, "--config.total_steps=None", "--config.total_epochs=3")
    assert (config.total_steps, config.total_epochs) == (None, 3.0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.total_epochs=2", "total_steps=900 and total_epochs=2.0 are both set"),
        ("--config.total_steps=None", "neither total_steps nor total_epochs is set"),
        ("--config.seed=None", "seed"),
        ("--config.optimizer.groups=((lambda: 1)(),)", "optimizer.groups"),
        ("--config.optimizer.groups=(('.', -1.0),)", "optimizer.groups"),
        ("--config.optimizer.groups=(('(', 1.0),)", "regular expression"),
        ("--config.optimizer.groups=", "optimizer.groups"),
        ("--config.mesh.rules=(('.', 'split'),)", "mesh.rules"),
        ("--config.sampling.drop_confidence=(9,)", "0, 1, 2, 3, 4, 5"),
        (
            "--config.sampling.sources.swissprot=-1",
            "sampling.sources.swissprot=-1.0 must be a number of at least 0",
        ),
        ("--config.optimizer.learning_rate=nan", "optimizer.learning_rate=nan"),
        ("--config.pda.theta=1.5", "pda.theta=1.5 must be a number from 0 to 1"),
        (
            "--config.model.protein.num_layers=0",
            "model.protein.num_layers=0 must be a whole number from 1",
        ),
        ("--config.model.text={}", "model.text.num_layers"),
        ("--config.model.text=__import__('os')", "model.text"),
        ("--config.batch.rows=-3", "batch.rows=-3"),
        ("--config.batch.rows=1+1", "batch.rows"),
        ("--config.batch.rows=None", "batch.rows"),
        ("--config.data.dir=", "data.dir='' must be"),
        ("--config.total_steps=" + "9" * 5000, "total_steps"),
        ("--config.optimizer=" + "-" * 5000 + "1", "nested too deeply"),
        ("--config.optimizer.groups=" + "(" * 5000, "optimizer.groups"),
        ("--config.batch.rows", "config values are set as --config.key=value"),
        ("--noconfig.loss.mask_duplicates", "config values are set as"),
        ("-config.batch.rows=8", "config values are set as"),
        ("--config.data['dir']=x", "config values are set as"),
        ("--config.optimizer.groups[0]=x", "config values are set as"),
        ("--config.__class__.__name__=x", "config values are set as"),
        ("--config.=x", "config values are set as"),
        ("--config.data..dir=x", "config values are set as"),
        ("--config.datá.dir=x", "config values are set as"),
        ("--config" + ".a" * 5000 + "=x", "a"),
        ("--config.to_dict=x", "to_dict"),
        ("--config.model.protein.token_dropuot=False", "token_dropuot"),
        ("--config.evals.new.pool=3", "new"),
        ("--flagfile=/nowhere", "/nowhere"),
    ],
)
def test_what_is_no_value_is_refused(override, message):
    assert message in refusal(override)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("x = (", "no Python program"),
        ("import nothing_of_this_name", "no Python program"),
        ("y = 1", "no function get_config"),
        ("def get_config():\n    return {}", "not return a ConfigDict"),
        ("def get_config():\n    return None", "not return a ConfigDict"),
        ("def get_config():\n    raise ValueError('of mine')", "of mine"),
    ],
)
def test_a_config_file_that_is_none(tmp_path, program, message):
    """The file is a program, and runs: it is the user's own, as train.py is."""
    (tmp_path / "c.py").write_text(program)
    with pytest.raises(UserError, match=message) as caught:
        train.parse_flags(["train.py", "--config", str(tmp_path / "c.py"), "--workdir", "run"])
    assert "Traceback" not in str(caught.value)


SWEEP = """
from configs import quickstart

def get_config(rate="low"):
    config = quickstart.get_config()
    config.optimizer.learning_rate = {"low": 1e-3, "high": 3e-3}[rate]
    return config
"""


def test_a_config_file_with_an_argument(tmp_path):
    (tmp_path / "sweep.py").write_text(SWEEP)
    sweep = str(tmp_path / "sweep.py")
    assert parse(file=sweep).optimizer.learning_rate == 1e-3
    config = parse("--config.optimizer.b1=0.5", "--config.seed=7", file=f"{sweep}:high")
    assert (config.optimizer.learning_rate, config.optimizer.b1, config.seed) == (3e-3, 0.5, 7)
    assert (
        parse("--config.optimizer.learning_rate=1", file=f"{sweep}:high").optimizer.learning_rate
        == 1.0
    )
    assert "sweep.py:6: KeyError: 'huge'." in refusal(file=f"{sweep}:huge")
    assert refusal(file=f"{tmp_path}/other.py:high").startswith(
        f"--config={tmp_path}/other.py does not exist"
    )


def test_a_mistake_of_the_file_is_not_one_of_the_command(tmp_path):
    (tmp_path / "mine.py").write_text("import math\ndef get_config():\n    return math.sqroot(4)\n")
    sentence = refusal("--config.seed=7", file=str(tmp_path / "mine.py"))
    assert (
        sentence
        == f"{tmp_path}/mine.py:3: AttributeError: module 'math' has no attribute 'sqroot'."
    )


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("sed", "the config has no field 'sed'; did you mean 'seed'?"),
        (
            "optimizer.learn_rate",
            "the config has no field 'optimizer.learn_rate'; did you mean "
            "'optimizer.learning_rate'?",
        ),
        ("optimiser.b1", "the config has no field 'optimiser'; did you mean 'optimizer'?"),
        ("seed.x", "the config has no field 'seed.x'; docs/config.md lists every field."),
        ("zzz", "the config has no field 'zzz'; docs/config.md lists every field."),
    ],
)
def test_a_field_that_is_not_there_is_named_with_the_nearest(field, sentence):
    assert refusal(f"--config.{field}=3") == sentence


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "config.optimizer.learn_rate = 1.0",
            "unknown field optimizer.learn_rate; did you mean 'optimizer.learning_rate'?",
        ),
        ("config.sed = 1", "unknown field sed; did you mean 'seed'?"),
        ("config.model.txt = {}", "unknown field model.txt; did you mean 'model.text'?"),
        ("config.zzz = 1", "unknown field zzz; docs/config.md lists every field."),
    ],
)
def test_a_field_that_a_file_adds_is_named_with_the_nearest(tmp_path, line, sentence):
    (tmp_path / "mine.py").write_text(SWEEP.replace("return", f"{line}\n    return"))
    assert refusal(file=str(tmp_path / "mine.py")) == f"the config has the {sentence}"


NAMES = st.sampled_from(
    [
        *FIELDS,
        *GROUPS,
        *(f"{tower}.{field}" for tower, fields in TOWERS.items() for field in fields),
        "evals.retrieval.pool",
    ]
)
WORDS = [
    "",
    "1",
    "-1",
    "0",
    "1.5",
    "1e999",
    "nan",
    "None",
    "True",
    "no",
    "()",
    "(1,)",
    "((1,2),)",
    "[1]",
    "{}",
    '{"a":1}',
    "1j",
]
WORDS += [
    "(" * 300,
    "[]" * 300,
    "9" * 5000,
    "x" * 10_000,
    "'a' 'b'",
    "f'{1}'",
    "lambda: 1",
    "\u202e",
    "\n",
    "１",
    "b'x'",
    "-" * 3000 + "1",
]
VALUES = st.sampled_from(WORDS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)
MARKER = "__import__('pathlib').Path({!r}).mkdir()"


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(NAMES | st.text("abc_.[]'é ", max_size=9), VALUES), min_size=1, max_size=3)
)
@example([("optimizer.groups", "(" * 100_000)])
def test_any_overrides_are_accepted_or_refused(overrides):
    _accepted_or_refused([f"--config.{name}={value}" for name, value in overrides])


@pytest.mark.soak
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(NAMES | st.text(max_size=9), VALUES), min_size=1, max_size=3))
def test_very_many_overrides_are_accepted_or_refused(overrides):
    _accepted_or_refused([f"--config.{name}={value}" for name, value in overrides])


def _accepted_or_refused(arguments):
    try:
        config = parse(*arguments)
    except UserError as error:
        sentence = str(error)
    else:
        sentence = ""
        original = importlib.import_module("configs.quickstart").get_config().to_dict()
        # A run may leave evaluations out.
        original["evals"] = {
            name: value for name, value in original["evals"].items() if name in config.evals
        }
        _same_types(config.to_dict(), original)
    assert sentence.isprintable()


def _same_types(config, original):
    assert config.keys() >= original.keys()
    for name, value in original.items():
        if isinstance(value, dict):
            _same_types(config[name], value)
        elif value is not None and config[name] is not None:
            assert type(config[name]) is type(value), name


@pytest.mark.parametrize("name", sorted({*FIELDS, *GROUPS}))
def test_code_in_a_value_never_runs(tmp_path, name):
    marker = tmp_path / "ran"
    code = MARKER.format(str(marker))
    for value in (code, f"({code},)", f"(({code}, 1.0),)", f"{{'a': {code}}}", f"[{code}]"):
        try:
            parse(f"--config.{name}={value}")
        except UserError:
            continue
    assert not marker.exists()


def test_a_config_is_not_changed_by_the_one_before():
    before = copy.deepcopy(parse().to_dict())
    parse("--config.model.protein.num_layers=1", "--config.optimizer.groups=(('.', 1.0),)")
    assert parse().to_dict() == before


def test_of_object_stores_only_google_s_is_known():
    with pytest.raises(UserError, match="s3://bucket/run .*gs://bucket/folder"):
        train.open_workdir("s3://bucket/run")
