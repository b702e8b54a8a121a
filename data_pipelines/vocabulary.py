"""Learns a WordPiece vocabulary from the texts of a built dataset."""

import argparse
import string
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import trainers

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.outputs import new_file
from data_pipelines.common.progress import print_status, progress
from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.record import NAMES, RECOMMENDED, biotext
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, UNCASED, wordpiece


def learn_vocabulary(texts: Sequence[str], *, size: int) -> list[str]:
    """Learns at most `size` WordPiece tokens, in id order.

    The order is BERT's special tokens, then characters (at least ASCII's), then learnt pieces. The
    result depends on the set of texts only, not on their order.

    Raises:
      UserError: `size` is too small to hold the characters.
    """
    tokenizer = wordpiece(
        {token: index for index, token in enumerate(SPECIAL_TOKENS)}, normalization=UNCASED
    )
    normalized = tokenizer.normalizer.normalize_str("\n".join(sorted(set().union(*texts))))
    # Queries may use letters the dataset lacks, and one unknown letter makes its whole word
    # unknown.
    characters = sorted(
        {*"".join(normalized.split()), *string.ascii_lowercase, *string.digits, *string.punctuation}
    )
    # The trainer numbers inner characters in hash-table order and breaks ties by number, so two
    # runs would differ. Special tokens keep their numbers, so these are passed as special.
    fixed = [*SPECIAL_TOKENS, *(f"##{character}" for character in characters)]
    if len(fixed) + len(characters) > size:
        raise UserError(
            f"--size {size} is too small; the special tokens and characters alone need "
            f"{len(fixed) + len(characters)} tokens."
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=fixed,
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.get)


def training_texts(data_dir: str, *, max_records: int, names: str = RECOMMENDED) -> Iterator[str]:
    """Yields the biotexts of the training splits, evenly subsampled to about `max_records`.

    `names` is as in `record.with_names`.
    """
    dataset = open_dataset(data_dir, names=names)
    splits = [split for name, split in sorted(dataset.splits.items()) if name not in HELD_OUT]
    step = max(1, -(-sum(map(len, splits)) // max_records))
    records = [(split, index) for split in splits for index in range(0, len(split), step)]
    for split, index in progress(records, description="reading biotexts", unit="records"):
        yield biotext(split[index])


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the learnt vocabulary, one token per line."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipelines.vocabulary",
        epilog="Example: "
        "python -m data_pipelines.vocabulary --data_dir swissprot --output vocab.txt",
        description=__doc__,
    )
    parser.add_argument("--data_dir", required=True, help="a dataset built by data_pipelines.build")
    parser.add_argument(
        "--output", required=True, type=Path, help="the vocab.txt to write, a new file"
    )
    parser.add_argument(
        "--size", type=int, default=4096, help="number of tokens (default: %(default)s)"
    )
    parser.add_argument(
        "--max_records",
        type=int,
        default=1_000_000,
        help="maximum number of records to learn from (default: %(default)s)",
    )
    parser.add_argument(
        "--names",
        choices=NAMES,
        default=RECOMMENDED,
        help="protein names to use, as in tokenizer.names (default: %(default)s)",
    )
    args = parser.parse_args(arguments)
    with new_file(args.output) as path:
        found = training_texts(args.data_dir, max_records=args.max_records, names=args.names)
        texts = [text for text in found if text]
        if not texts:
            raise UserError(
                f"{args.data_dir} has no training records with text to learn a vocabulary from; "
                "build it with more entries."
            )
        vocabulary = learn_vocabulary(texts, size=args.size)
        path.write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    print_status(f"wrote {args.output}: {len(vocabulary):,} tokens from {len(texts):,} texts")


if __name__ == "__main__":
    raise SystemExit(main())
