"""Full fine-tuning with the released code's rates, patience and epochs.

See src/downstream.py and src/task/downstream_task.py.
"""

from ml_collections.config_dict import placeholder

from protclip_jax.config.plain_values import Config


def get_config() -> Config:
    """Sets every field."""
    config = Config()
    config.seeds = (0, 1, 2)
    config.hidden = placeholder(int)
    config.max_epochs = 200
    # Epochs to continue after the best one on the validation split, which is chosen by accuracy,
    # Fmax or, for regressions, mean absolute error.
    config.patience = 10
    # Longer proteins are cut at the end.
    config.max_protein_tokens = 1024
    # Whether the head reads standardised means of the tower, as the frozen probe's head does. The
    # paper's does not; without it, small differences, such as those of single substitutions, are
    # lost.
    config.standardise = False
    config.dtype = "bfloat16"
    config.remat = "full"
    # Records per update: the paper's 512, the released code's 64 on each of 8 devices. The others
    # are packed rows, slots and tokens of one backward pass on all devices together.
    config.batch = Config(dict(records=512, rows=16, slots=48, protein_tokens=2048))
    config.optimizer = Config(
        dict(
            # `--lr` and, in `groups`, `--lr_ratio` of the released code; linear decay without
            # warm-up is its trainer's default.
            learning_rate=5e-5,
            schedule="linear",
            warmup_fraction=0.0,
            b1=0.9,
            b2=0.999,
            eps=1e-8,
            weight_decay=0.0,
            undecayed=("(^|/)(scale|bias|log)$",),
            clip_norm=0.0,
            groups=(("rotary_inv_freq", "frozen"), ("^protein/", 0.1), (".", 1.0)),
        )
    )
    config.mesh = Config(
        dict(data=-1, fsdp=1, rules=(("(kernel|embedding)$", "fsdp"), (".", "replicate")))
    )
    config.splits = Config(dict(valid_fraction=0.1, test_fraction=0.2, remove_leaks=False))
    return config
