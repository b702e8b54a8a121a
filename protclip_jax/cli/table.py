"""The commands of `protclip` by name, with their modules and a short description."""

from typing import NamedTuple


class Command(NamedTuple):
    """One command.

    Attributes:
      module: its module, imported only when the command runs.
      about: short description.
      leading: arguments that its `main` takes before the user's.
    """

    module: str
    about: str
    leading: tuple[str, ...] = ()


COMMANDS = {
    "search": Command(
        "protclip_jax.search.__main__", "find proteins by text or sequence, or labels for a protein"
    ),
    "serve": Command("protclip_jax.serve.__main__", "serve a web page and an API over an index"),
    "index": Command("protclip_jax.index.__main__", "make an index for search and serve"),
    "annotate": Command(
        "protclip_jax.annotate.__main__", "find nearest proteins and labels for a whole proteome"
    ),
    "embed": Command("protclip_jax.embed.__main__", "embed a file of proteins or texts"),
    "explain": Command(
        "protclip_jax.explain.__main__", "weight a protein's residues by its properties"
    ),
    "variants": Command("protclip_jax.variants.__main__", "score substitutions"),
    "eval": Command("eval.__main__", "evaluate or calibrate a checkpoint"),
    "train": Command("protclip_train", "pretrain a model", ("protclip train",)),
    "convert": Command(
        "protclip_jax.convert.__main__", "convert checkpoints from and to other formats"
    ),
    "setup": Command(
        "eval.setup.__main__", "go from UniProt to an index that answers, in one command"
    ),
    "download": Command("data_pipelines.download.__main__", "download UniProt files"),
    "build": Command("data_pipelines.build.__main__", "build a dataset from UniProt entries"),
    "vocabulary": Command("data_pipelines.vocabulary", "learn a vocabulary from a dataset's texts"),
    "report": Command("data_pipelines.report.__main__", "describe a dataset in a report"),
    "fasta": Command("data_pipelines.fasta", "write a dataset's proteins as FASTA"),
    "sample": Command("data_pipelines.sample.__main__", "make synthetic entries to try things out"),
    "doctor": Command(
        "protclip_jax.doctor.__main__", "show what is installed and what a checkpoint can do"
    ),
}
