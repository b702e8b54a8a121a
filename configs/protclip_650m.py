"""The paper's recipe: ESM-2 650M with a frozen PubMedBERT, about 2048 pairs a step, on a TPU pod slice."""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Every field that exists; the other configs change values of this one."""
    config = ConfigDict()
    config.seed = 0
    config.total_steps = 300_000
    config.log_every = 50
    config.eval_every = 2_000
    config.checkpoint_every = 2_000
    config.keep_best = 1
    # What the best checkpoint is chosen by: a metric of `evals` as metrics.jsonl names it (without `eval/`), and its direction.
    config.best = ConfigDict(dict(metric="retrieval/mrr", mode="max"))
    # Steps with a loss or gradient that is not finite are skipped, up to so many in a run; 0 ends it at the first.
    config.max_skipped_steps = 10
    # The gradient norm of each objective alone, which takes a backward pass for each; 0 leaves it out.
    config.gradient_norms_every = 1_000
    # A phase of the loop that takes longer is reported with the stacks of all threads; 0 reports nothing.
    config.stall_seconds = 900.0

    config.data = ConfigDict(dict(dir=placeholder(str), streams=64, workers=1))
    # `text` is a vocab.txt (PubMedBERT's, or one learnt by data_pipelines.vocabulary).
    config.tokenizer = ConfigDict(dict(text=placeholder(str), max_protein_tokens=1024, max_text_tokens=512))
    # 384 packed rows hold about 2,100 pairs of UniProt's lengths.
    # microbatch_rows of them are computed at a time (unset = all), with the gradient of the whole batch.
    config.batch = ConfigDict(dict(rows=384, microbatch_rows=placeholder(int), slots=16, protein_tokens=2048, text_tokens=1536))
    config.masking = ConfigDict(dict(passes="separate"))
    config.sampling = ConfigDict(
        dict(
            alpha=3.0,
            beta=0.5,
            gamma=1.0,
            drop_confidence=(0, 4, 5),
            drop_coverage=(1, 2),
            # Shares of the draws; unset = |Swiss-Prot| : the sampling mass of TrEMBL.
            sources=dict(swissprot=placeholder(float), trembl=placeholder(float)),
        )
    )

    # `features` is no part of the paper: supervision of the segments by UniProt's `FT` lines. A contrast compares
    # contrast_chunk candidates at a time (0 = all of the batch).
    config.loss = ConfigDict(dict(gc=1.0, bsr=0.7, mlm=0.3, pda=1.0, features=0.0, mask_duplicates=True, contrast_chunk=0))
    # docs/segments.md compares the choices.
    config.pda = ConfigDict(dict(theta=0.3, negatives="within_record", pooling="segment", prototypes=True, mask_prefix=False))
    config.evals = ConfigDict(dict(retrieval=dict(split="validation", pool=1024)))

    config.model = ConfigDict(
        dict(
            protein=dict(num_layers=33, hidden_size=1280, num_heads=20, intermediate_size=5120, initializer_range=0.02),
            text=dict(num_layers=12, hidden_size=768, num_heads=12, intermediate_size=3072, initializer_range=0.02),
            projection_dim=512,
            num_prototypes=512,
            prototype_temperature=0.9,
            dtype="bfloat16",
            # By the devices: splash on a TPU, blockwise on a CPU.
            attention="auto",
            # What the backward pass finds saved: the first of none, dots and full (which costs a forward pass) that fits.
            remat="auto",
        )
    )
    config.optimizer = ConfigDict(
        dict(
            learning_rate=1e-5,
            schedule="linear",
            warmup_fraction=0.03,
            b1=0.9,
            b2=0.999,
            eps=1e-8,
            weight_decay=0.0,
            clip_norm=0.0,
            # First match decides: a multiplier of the learning rate, or "frozen".
            groups=(("rotary_inv_freq", "frozen"), ("^text/", "frozen"), ("^protein/", 1.0), (".", 1.0)),
        )
    )
    config.init = ConfigDict(dict(protein=placeholder(str), text=placeholder(str), all=placeholder(str)))
    # Batch rows are divided over data × fsdp, the parameters that a rule names over fsdp.
    config.mesh = ConfigDict(dict(data=-1, fsdp=8, rules=(("/layers/.*kernel$", "fsdp"), (".", "replicate"))))
    return config
