"""A small ProtCLIP to train from UniProt: masked language modelling, then all objectives.

`python train.py --config configs/protclip_small.py:STAGE` or `…:STAGE-FORM`. The stages are
`masked`, whose checkpoint is the `init.protein` of the second, and `contrast`. The forms are
`workstation` (the default); `two_hours` and `thirty_minutes`, the same network with fewer steps;
and `gpu`, a larger network. docs/real.md has the commands and the cost of each.
"""

from ml_collections import ConfigDict

from configs import protclip_650m_plus

SIZE = dict(layers=5, width=192, heads=6, rows=16, dtype="float32", masked_learning_rate=3e-3)
FORMS = {
    "workstation": ConfigDict(SIZE | dict(masked_steps=1000, contrast_steps=1200)),
    "two_hours": ConfigDict(SIZE | dict(masked_steps=300, contrast_steps=800)),
    "thirty_minutes": ConfigDict(SIZE | dict(masked_steps=200, contrast_steps=240)),
    "gpu": ConfigDict(
        dict(
            layers=12,
            width=480,
            heads=20,
            rows=256,
            dtype="bfloat16",
            masked_learning_rate=1e-3,
            masked_steps=50_000,
            contrast_steps=20_000,
        )
    ),
}
"""The settings of each form.

The `layers`, `width` and `heads` of the protein tower (feed-forward blocks are four times as wide),
the packed `rows` per step with about five proteins each, the towers' compute dtype, the first
stage's learning rate (the second's is 1e-3), and the steps of both stages.
"""
EVALUATIONS = 6
"""The number of evaluations of a stage besides the one at step 0."""


def get_config(stage_and_form: str = "contrast") -> ConfigDict:
    """Builds a stage's config.

    Raises:
      ValueError: unknown stage or form.
    """
    stage, _, name = stage_and_form.partition("-")
    form = FORMS.get(name or "workstation")
    if stage not in STAGES or form is None:
        known = f"{' or '.join(STAGES)}, optionally with a form after a hyphen: {', '.join(FORMS)}"
        raise ValueError(f"unknown stage or form {stage_and_form!r}; expected {known}")
    return STAGES[stage](form)


def masked(form: ConfigDict) -> ConfigDict:
    """Masked language modelling alone, on proteins with and without text.

    The text tower is a stub that is never computed.
    """
    config = _shared(form, steps=form.masked_steps)
    config.loss.update(gc=0.0, bsr=0.0, mlm=1.0, pda=0.0, features=0.0)
    config.optimizer.learning_rate = form.masked_learning_rate
    config.sampling.without_text = 0.5
    config.tokenizer.max_text_tokens = 8
    config.batch.text_tokens = 64
    config.model.text.update(num_layers=1, hidden_size=32, num_heads=2, intermediate_size=64)
    config.best.update(metric="loss/mlm", mode="min")
    config.evals = ConfigDict({"losses": {"split": "validation", "pool": 256}})
    config.optimizer.groups = (("rotary_inv_freq", "frozen"), ("^text/", "frozen"), (".", 1.0))
    return config


def contrast(form: ConfigDict) -> ConfigDict:
    """All objectives; the protein tower continues from the first stage, MiniLM is frozen.

    To train the last two layers of MiniLM too, put `("^text/layers/", ("last", 2, 0.1))` before
    `("^text/", "frozen")`.
    """
    config = _shared(form, steps=form.contrast_steps)
    # Most collections have few features; without this loss, all of them can test the segments.
    config.loss.features = 0.0
    config.tokenizer.update(max_text_tokens=96, property_subset=0.5)
    config.batch.text_tokens = 320
    # all-MiniLM-L6-v2.
    config.model.text.update(num_layers=6, hidden_size=384, num_heads=12, intermediate_size=1536)
    config.best.update(metric="retrieval/mrr", mode="max")
    config.evals = ConfigDict({"retrieval": {"split": "validation", "pool": 256}})
    config.optimizer.groups = (
        ("rotary_inv_freq", "frozen"),
        ("^text/", "frozen"),
        ("^protein/", 0.5),
        (".", 1.0),
    )
    return config


STAGES = {"masked": masked, "contrast": contrast}


def _shared(form: ConfigDict, *, steps: int) -> ConfigDict:
    config = protclip_650m_plus.get_config()
    config.total_epochs, config.total_steps = None, steps
    config.best.patience = 0
    config.log_every = 10
    config.eval_every = config.checkpoint_every = -(-steps // EVALUATIONS)
    config.gradient_norms_every = 0

    # On one machine, more streams would not be faster.
    config.data.update(streams=min(16, form.rows), workers=0)
    # EC numbers in names would reveal the labels of the EC benchmarks.
    config.tokenizer.update(max_protein_tokens=256, names="all_but_ec")
    config.batch.update(rows=form.rows, slots=6, protein_tokens=1024)
    config.masking.passes = "single"
    # A lab's collection rarely has confidence levels, and is too small to drop more than TrEMBL's
    # records of unknown existence.
    config.sampling.update(alpha=0.0, beta=0.0, drop_confidence=(0,), drop_coverage=())
    config.pda.update(text_gradient=False, prototype_init="unit")

    size = dict(
        num_layers=form.layers,
        hidden_size=form.width,
        num_heads=form.heads,
        intermediate_size=4 * form.width,
    )
    config.model.protein.update(
        size, initializer_range=form.width**-0.5, initial_attention="neighbours"
    )
    config.model.update(projection_dim=256, num_prototypes=64, dtype=form.dtype, remat="none")
    config.mesh.fsdp = 1
    config.optimizer.update(
        learning_rate=1e-3, schedule="cosine", warmup_fraction=0.05, clip_norm=1.0
    )
    return config
