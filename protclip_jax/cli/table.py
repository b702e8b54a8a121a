"""The commands behind `protclip`, by name: the modules that hold them, and what each does."""

from typing import NamedTuple


class Command(NamedTuple):
    """A command.

    Attributes:
      module: its module, imported only when it runs.
      about: what it does, in a few words.
      leading: what its `main` takes in front of the arguments.
    """

    module: str
    about: str
    leading: tuple[str, ...] = ()


COMMANDS = {
    "search": Command(
        "protclip_jax.search.__main__", "find proteins by text or sequence, or labels for a protein"
    ),
    "serve": Command("protclip_jax.serve.__main__", "a web page and an API over an index"),
    "index": Command("protclip_jax.index.__main__", "make what search and serve search"),
    "annotate": Command(
        "protclip_jax.annotate.__main__", "the nearest proteins and labels for a whole proteome"
    ),
    "embed": Command("protclip_jax.embed.__main__", "embeddings of a file of proteins or texts"),
    "explain": Command(
        "protclip_jax.explain.__main__", "per-residue weights of a protein's properties"
    ),
    "variants": Command("protclip_jax.variants.__main__", "effects of substitutions"),
    "eval": Command("eval.__main__", "evaluate or calibrate a checkpoint"),
    "train": Command("protclip_train", "pretrain a model", ("protclip train",)),
    "convert": Command("protclip_jax.convert.__main__", "checkpoints from and to other formats"),
    "download": Command("data_pipelines.download.__main__", "fetch UniProt files"),
    "build": Command("data_pipelines.build.__main__", "a dataset from UniProt entries"),
    "vocabulary": Command("data_pipelines.vocabulary", "a vocabulary from a dataset's texts"),
    "report": Command("data_pipelines.report.__main__", "a page on what a dataset holds"),
    "fasta": Command("data_pipelines.fasta", "a dataset's proteins as FASTA"),
    "sample": Command("data_pipelines.sample.__main__", "invented entries to try everything with"),
    "doctor": Command(
        "protclip_jax.doctor.__main__", "what is installed, and what a checkpoint can do"
    ),
}
