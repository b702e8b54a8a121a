"""The paper's recipe on a TPU pod slice: ESM-2 650M, frozen PubMedBERT, about 2048 pairs a step."""

from ml_collections import ConfigDict

from protclip_jax.config.schema import default_config


def get_config() -> ConfigDict:
    """The recipe's values; docs/config.md lists every field. Other configs start from this one."""
    config = default_config()
    config.seed = 0
    # Up to 35 epochs, about 20 to 43 thousand steps by the published shares of ProtAnno.
    config.total_epochs = 35.0
    config.log_every = 50
    # Once or twice per epoch.
    config.eval_every = 600
    config.checkpoint_every = 600
    config.keep_best = 1
    # The metric of `evals` that chooses the best checkpoint, as in metrics.jsonl without `eval/`,
    # and its direction. The run ends after four evaluations without improvement.
    config.best.update(metric="retrieval/mrr", mode="max", patience=4)
    # Steps with a non-finite loss or gradient are skipped, up to this number per run; 0 ends the
    # run at the first.
    config.max_skipped_steps = 10
    # Interval of measuring each objective's gradient norm, which costs one backward pass each; 0
    # turns it off.
    config.gradient_norms_every = 1_000
    # If a phase of the loop takes longer, the stacks of all threads are reported; 0 turns it off.
    config.stall_seconds = 900.0

    config.data.update(streams=64, workers=1)
    # The released texts also contain synonyms and EC numbers. `all_but_ec` hides the labels of the
    # EC benchmarks.
    config.tokenizer.update(
        max_protein_tokens=1024, max_text_tokens=512, names="all", property_subset=0.0
    )
    # 384 packed rows hold about 2,100 pairs of UniProt's lengths.
    config.batch.update(rows=384, slots=16, protein_tokens=2048, text_tokens=1536)
    config.masking.passes = "separate"
    # The shares of the sources are unset, so they are |Swiss-Prot| : the sampling mass of TrEMBL.
    config.sampling.update(alpha=3.0, beta=0.5, gamma=1.0)
    config.sampling.update(drop_confidence=(0, 4, 5), drop_coverage=(1, 2))

    # `features` is not part of the paper: it supervises the segments with UniProt's `FT` lines. A
    # contrast compares contrast_chunk candidates at a time (0 = the whole batch).
    config.loss.update(gc=1.0, bsr=0.7, mlm=0.3, pda=1.0, features=0.0)
    config.loss.update(mask_duplicates=True, contrast_chunk=0)
    # docs/segments.md compares the choices.
    config.pda.update(theta=0.3, negatives="within_record", pooling="segment")
    config.pda.update(prototypes=True, mask_prefix=False)
    # As released: property texts get no gradient, and the bank starts as N(0, 1).
    config.pda.update(text_gradient=False, prototype_init="normal")
    config.evals.retrieval.update(split="validation", pool=1024)
    config.evals.losses.update(split="validation", pool=1024)

    config.model.protein.update(
        num_layers=33, hidden_size=1280, num_heads=20, intermediate_size=5120
    )
    config.model.text.update(num_layers=12, hidden_size=768, num_heads=12, intermediate_size=3072)
    for tower in (config.model.protein, config.model.text):
        tower.initializer_range = 0.02
    config.model.update(projection_dim=512, num_prototypes=512, prototype_temperature=0.9)
    config.model.dtype = "bfloat16"
    # Depends on the devices: splash on a TPU, blockwise on a CPU.
    config.model.attention = "auto"
    # What is saved for the backward pass: the first of none, dots and full (which costs a forward
    # pass) that fits.
    config.model.remat = "auto"
    config.optimizer.update(
        learning_rate=1e-5,
        schedule="linear",
        warmup_fraction=0.03,
        b1=0.9,
        b2=0.999,
        eps=1e-8,
        weight_decay=0.0,
        clip_norm=0.0,
        # The first match decides: a multiplier of the learning rate, or "frozen".
        groups=(
            ("rotary_inv_freq", "frozen"),
            ("^text/", "frozen"),
            ("^protein/", 1.0),
            (".", 1.0),
        ),
    )
    # Batch rows are divided over data × fsdp, the parameters matched by a rule over fsdp.
    config.mesh.update(data=-1, fsdp=8, rules=(("/layers/.*kernel$", "fsdp"), (".", "replicate")))
    return config
