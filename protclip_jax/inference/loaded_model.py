"""A checkpoint's network and parameters on the local devices, and the fingerprints that name it."""

import functools
import pathlib
import warnings
from collections.abc import Mapping
from typing import Self

import jax
from jax.sharding import Mesh

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.parameters import load_params, params_fingerprint, stored_groups
from protclip_jax.config.build import model_config
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.distributed import sharding
from protclip_jax.inference.fingerprint import model_fingerprint
from protclip_jax.models.initialize import abstract_groups, init_params
from protclip_jax.models.protclip import ProtCLIPModel


class LoadedModel:
    """A network with its parameters, read from a checkpoint.

    Attributes:
      config: the training config, a plain dict.
      text_tokenizer: the checkpoint's text tokenizer; None without a text tower.
    """

    def __init__(
        self,
        model: ProtCLIPModel,
        params: Mapping,
        text_tokenizer: TextTokenizer | None,
        *,
        config: Mapping,
        mesh: Mesh,
    ):
        self._model, self._params, self._mesh = model, params, mesh
        self.text_tokenizer = text_tokenizer
        self.config = config

    @classmethod
    def load(
        cls, directory: str | pathlib.Path, *, step: str | int | None = None, dtype: str = "float32"
    ) -> Self:
        """Reads a workdir or converted checkpoint onto all local devices.

        `step` is a number, `best` or `latest`; by default the best step if one is recorded, else
        the latest. Of a `gs://` path, the needed files are copied first.

        Raises:
          UserError: the checkpoint does not exist.
        """
        directory = open_checkpoint(directory, step)
        config = metadata.read_model_config(directory)
        step = best.resolve_step(directory, step)
        groups = stored_groups(directory, step)
        text_tokenizer = metadata.load_text_tokenizer(directory) if "text" in groups else None
        model_fields = {**config["model"], "dtype": dtype, "remat": "none"}
        vocab_size = len(text_tokenizer.vocabulary) if text_tokenizer else None
        model = ProtCLIPModel(
            model_config({**config, "model": model_fields}, text_vocab_size=vocab_size)
        )
        mesh = sharding.make_mesh(-1, 1)
        whole = sharding.replicated(mesh)
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole),
            abstract_groups(model, groups),
        )
        return cls(
            model, load_params(directory, step, abstract), text_tokenizer, config=config, mesh=mesh
        )

    def with_random_weights(self) -> Self:
        """The same network with the initial parameters of training with `config.seed`.

        It serves as a baseline for what the architecture alone achieves.
        """
        params = jax.jit(
            lambda: init_params(self._model, jax.random.key(self.config.get("seed", 0)))
        )()
        kept = {name: params[name] for name in self._params}
        whole = sharding.replicated(self._mesh)
        return type(self)(
            self._model,
            jax.device_put(kept, whole),
            self.text_tokenizer,
            config=self.config,
            mesh=self._mesh,
        )

    @property
    def groups(self) -> frozenset[str]:
        """The parameter groups that the checkpoint holds, as named in `ProtCLIPModel`."""
        return frozenset(self._params)

    @property
    def parameter_bytes(self) -> int:
        """The size of the parameters in memory, in bytes."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self._params))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines the model's outputs.

        That is the parameters, shapes, vocabulary, and how texts are read and compared.
        """
        return model_fingerprint(
            self.params_fingerprint,
            self._model.config,
            config=self.config,
            text_tokenizer=self.text_tokenizer,
        )

    @functools.cached_property
    def params_fingerprint(self) -> str:
        """SHA-256 of the parameters alone, which older indexes and embedding files record."""
        return params_fingerprint(self._params)

    def is_named_by(self, fingerprint: str) -> bool:
        """Whether a file was made with this model; warns if it records only the parameters."""
        if fingerprint == self.fingerprint:
            return True
        if fingerprint == self.params_fingerprint:
            warnings.warn(
                "the file was made by an older version, which recorded the parameters alone; its "
                "vocabulary and settings may differ from the model's.",
                stacklevel=2,
            )
            return True
        return False

    def _require(self, *groups: str) -> None:
        if missing := [group for group in groups if group not in self._params]:
            raise UserError(
                f"this checkpoint has no {', '.join(missing)} parameters, only "
                f"{', '.join(sorted(self._params))}; load a trained or converted ProtCLIP instead."
            )
