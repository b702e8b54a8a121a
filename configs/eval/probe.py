"""The frozen probe: minutes on a CPU for 20,000 proteins."""

from ml_collections.config_dict import placeholder

from protclip_jax.config.plain_values import Config


def get_config() -> Config:
    """Sets every field."""
    config = Config()
    config.seeds = (0, 1, 2, 3, 4)
    # Width of the head's hidden layer; unset = as wide as the features, as in the paper.
    config.hidden = placeholder(int)
    config.batch_size = 256
    config.max_epochs = 50
    # Epochs to continue after the best one on the validation split, as in the released code.
    config.patience = 10
    config.optimizer = Config(
        dict(
            learning_rate=1e-3,
            schedule="constant",
            warmup_fraction=0.0,
            b1=0.9,
            b2=0.999,
            eps=1e-8,
            weight_decay=0.0,
            undecayed=("(^|/)(scale|bias|log)$",),
            clip_norm=0.0,
            groups=((".", 1.0),),
        )
    )
    # Shares of the training sequences for splits that the data lack.
    config.splits = Config(dict(valid_fraction=0.1, test_fraction=0.2, remove_leaks=False))
    return config
