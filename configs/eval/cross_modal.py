"""Cross-modal transformation over PrimeKG, with BioBridge's training of its bridge.

See train_bind.py and train.sh of its repository.
"""

from protclip_jax.config.plain_values import Config


def get_config() -> Config:
    """All five benchmarks from one bridge, with three seeds and the control without relations."""
    return Config(
        dict(
            benchmarks=("prot2bp", "prot2mf", "prot2cc", "prot2drug", "disease2prot"),
            seeds=3,
            # Share of each type's heads held out for testing, and the same share again for choosing
            # the step; BioBridge has the first only.
            held_out=0.1,
            # Triplets with held-out heads as tails that training may see: "kept" is all, as in
            # BioBridge's code, "removed" is none. A bridge is trained for each.
            reverse_triplets=("kept", "removed"),
            # Minimum number of triplets of the relation per candidate; BioBridge's evaluation
            # script uses 50.
            min_tail_triplets=0,
            standardise=True,
            no_relation_control=True,
            bridge=dict(width=768, layers=6, heads=12, feed_forward=2048, dropout=0.1),
            # Passes over the training triplets, as in train.sh's line for one device with
            # train_bind.py's defaults. The line for eight devices has 50 epochs, batches of 4,096
            # on each, and a learning rate of 5e-4.
            epochs=10.0,
            batch_triplets=4096,
            negatives=5,
            learning_rate=1.6e-3,
            warmup_fraction=0.1,
            weight_decay=1e-4,
            clip_norm=1.0,
            # Steps between evaluations on the validation heads, and evaluations without improvement
            # before training stops.
            eval_every=1000,
            patience=5,
        )
    )
