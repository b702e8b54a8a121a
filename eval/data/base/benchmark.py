"""Facts about a public benchmark that are known before its data are read."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from eval.data.base.format import Format
from eval.data.base.source import ELSEWHERE, Source


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A public benchmark: where its data come from and how they may be read.

    Attributes:
      name: what the manifest, the command line and results call it.
      wanted: the files that its published numbers are on, and where they are.
      formats: those that can hold its data; none where it takes another benchmark's data.
      template: its entry in a manifest to start from.
      group: the name of an entry or folder that serves several benchmarks, "" if there is none.
      proteins_of: the benchmark whose proteins it is judged on, "" if it has its own.
      kind: of a benchmark of single proteins, what is to be predicted of each.
      unit: of a regression's target.
      source: where the files are, under which licence, and which may be fetched.
      region: the first and last residue that models are given, 1-based; None gives whole proteins.
        An entry of the manifest may have another `region`.
    """

    name: str
    wanted: str
    formats: tuple[Format, ...] = ()
    template: Mapping = dataclasses.field(default_factory=dict)
    group: str = ""
    proteins_of: str = ""
    kind: Literal["", "multiclass", "multilabel", "regression"] = ""
    unit: str = ""
    source: Source = ELSEWHERE
    region: tuple[int, int] | None = None

    @property
    def entry_names(self) -> tuple[str, ...]:
        """The names of its entry or folder; the first one found counts."""
        return (self.name, self.group) if self.group else (self.name,)

    def format(self, name: str) -> Format | None:
        """The format with this name, or None if it cannot hold the benchmark."""
        return next((format_ for format_ in self.formats if format_.name == name), None)
