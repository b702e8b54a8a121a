"""Runs public benchmarks on a checkpoint or vectors; stored results make reruns cheap.

Every benchmark leaves `results/NAME.json`, keyed by what it depends on: parameters, data files and
how the manifest reads them, protocol. `results/NAME.npz` beside it holds the resamples of its
headline's intervals, for paired comparisons with another model. A stopped evaluation reuses
finished results and continues; another checkpoint or other data are measured anew (fine-tuning uses
a new folder, since it refuses the states of another run).
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Mapping, Sequence

import jax
from ml_collections import ConfigDict

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import to_json
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.dataset import ProtAnno
from eval.benchmarks.families import BENCHMARKS, Setup, family_of, measure
from eval.data import manifest
from eval.data.base.pretraining import PretrainingSet, counted, sentence
from eval.data.base.task import Data, SourceFile
from eval.data.published import completeness, published
from eval.metrics.resamples import resamples_of, write_resamples
from eval.public.protocols import PROTOCOLS, Source
from eval.public.subjects import Subject

RESULT_FORMAT = 2
"""Raised if the same parameters, data and protocol give other numbers than those stored."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """What is measured, and how.

    Attributes:
      subject: a checkpoint's model, or vectors from a file.
      protocol: one of `PROTOCOLS`, for the benchmarks of single proteins.
      configs: hyper-parameters, by the names of the files in configs/eval.
      folder: for results and for states of fine-tuning.
      pretraining: the dataset of the checkpoint's training, None if unavailable.
      shared: as in `Setup`.
    """

    subject: Subject
    protocol: str
    configs: Mapping[str, ConfigDict]
    folder: pathlib.Path
    pretraining: ProtAnno | None = None
    shared: dict = dataclasses.field(default_factory=dict)

    def results(self, names: Sequence[str], data_dir: pathlib.Path) -> dict[str, dict]:
        """The result of each benchmark that the data folder has; one sentence for each other.

        A result has `benchmark`, `family`, `protocol` (worded as in published numbers), `headline`
        (metric → mean, std, interval; without test proteins seen in pretraining),
        `headline_with_seen` (with them, if there are any), `result` (everything that the family
        reports), `data` (files, counts, whether they are the published ones), `published`,
        `seconds` and `hardware`. Without a result there is `missing` (what is needed) or `failed`
        (what is wrong, also printed at once): an error in one benchmark does not stop the others.
        """
        found = {}
        for number, name in enumerate(names, 1):
            print_status(f"benchmark {number} of {len(names)}: {name}.")
            try:
                if needed := self.subject.lacks(family_of(name)):
                    raise manifest.MissingData(
                        f"{name} needs {needed}, which {self.subject.origin} does not hold."
                    )
                data = manifest.load(data_dir, name)
                key = self._key(name, data, manifest.entries_of(data_dir, name))
                found[name] = self._stored(name, key) or self._measured(name, data, key)
            except manifest.MissingData as error:
                found[name] = {"benchmark": name, "missing": str(error)}
                print_status(f"{name} is left out: {error}")
            except UserError as error:
                found[name] = {"benchmark": name, "failed": str(error)}
                print_status(f"{name} is left out: {error}")
        return found

    def _stored(self, name: str, key: str) -> dict | None:
        """An earlier run's result, if it is of the same parameters, data and protocol."""
        try:
            stored = json.loads(self._path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored if isinstance(stored, dict) and stored.get("key") == key else None

    def _measured(self, name: str, data: Data, key: str) -> dict:
        start = time.perf_counter()
        setup = self._setup(name, data)
        result, headline, with_seen = measure(setup, name, data)
        result = result | self._seen(setup, name, data)
        if notes := self.subject.notes(family_of(name), data):
            result = result | {"notes": [*result.get("notes", ()), *notes]}
        measured = {
            "benchmark": name,
            "family": family_of(name).name,
            "protocol": family_of(name).protocol or setup.protocol.name,
            "headline": headline,
            "headline_with_seen": dict(with_seen),
            "result": result,
            "data": described(name, data),
            "published": [row._asdict() for row in published(name)],
            "seconds": time.perf_counter() - start,
            "hardware": f"{jax.device_count()} × {jax.devices()[0].device_kind}, {os.cpu_count()} "
            "CPU "
            "cores",
            "key": key,
        }
        measured = to_json(measured)
        path = self._path(name)
        drawn = resamples_of(headline)
        with report_disk_errors(path, kept="benchmarks that are done are kept"):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_resamples(path.with_suffix(".npz"), drawn)
            atomic_write(path, json.dumps(measured, indent=2, allow_nan=False) + "\n")
        return measured

    def _seen(self, setup: Setup, name: str, data: Data) -> dict:
        """Counts proteins seen in pretraining, for families that do not exclude them themselves."""
        known, proteins = setup.pretraining, family_of(name).proteins(data)
        if known is None or not proteins:
            return {}
        counts = counted(known.states(proteins))
        return {"pretraining": counts, "pretraining_note": sentence(counts, left_out=False)}

    @functools.cached_property
    def _pretraining(self) -> PretrainingSet | None:
        return self.pretraining and PretrainingSet.of(self.pretraining)

    def _setup(self, name: str, data: Data) -> Setup:
        """The setup for families: the subject's view, the protocol, and its controls."""
        view = self.subject.view(family_of(name), data)
        source = Source(
            view.embed, self.subject.origin, self.subject.step, self.folder / "fine_tuning"
        )
        protocol, controls = PROTOCOLS[self.protocol].make(source, self.configs)
        splits = self.configs[self.protocol].splits.to_dict()
        return Setup(
            *view, protocol, splits, controls, self.configs, self._pretraining, self.shared
        )

    def _path(self, name: str) -> pathlib.Path:
        return self.folder / "results" / f"{name}.json"

    def _key(self, name: str, data: Data, entries: Mapping[str, Mapping]) -> str:
        """A digest of everything a result depends on, including the manifest's `entries`."""
        others = PROTOCOLS.keys() - PROTOCOLS[self.protocol].configs
        configs = {
            kind: config.to_dict() for kind, config in self.configs.items() if kind not in others
        }
        files = sorted((source.path, source.sha256) for source in sources_of(name, data))
        learnt = self.pretraining and self.pretraining.fingerprint
        subject = [self.subject.fingerprint, self.subject.reading]
        depends = [RESULT_FORMAT, name, self.protocol, *subject, files, entries, configs, learnt]
        return hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()


def sources_of(name: str, data: Data) -> list[SourceFile]:
    """The files that a benchmark was read from."""
    return [source for part in family_of(name).parts(data) for source in part.sources]


def described(name: str, data: Data) -> dict:
    """A report's facts about the data and their relation to the published data."""
    family = family_of(name)
    parts, counts = family.parts(data), family.counts(data)
    whole = completeness(BENCHMARKS[name].proteins_of or name, counts)
    files = [dataclasses.asdict(source) for source in sources_of(name, data)]
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    return {
        "files": files,
        "rejected": sum(len(part.rejects) for part in parts),
        "notes": notes,
        "audit": family.audit(data),
        "counts": counts,
        "whole": whole.whole,
        "sentence": whole.sentence,
    }


def has_report(results: Mapping[str, Mapping]) -> bool:
    """Whether any of `Suite.results` is more than a failure."""
    return any("failed" not in result for result in results.values())


def refuse_failures(results: Mapping[str, Mapping]) -> None:
    """Raises UserError where a benchmark of `Suite.results` could not be measured."""
    if failed := [name for name, result in results.items() if "failed" in result]:
        raise UserError(
            f"{len(failed)} of {len(results)} benchmarks could not be measured, as reported "
            f"above: {', '.join(failed)}."
        )


def choose(data_dir: pathlib.Path) -> list[str]:
    """The benchmarks whose data are in a folder.

    Raises:
      UserError: no benchmark has data.
    """
    present, wanted = manifest.available(data_dir)
    if not present:
        raise UserError(
            f"{data_dir} holds data of no benchmark; for example: {next(iter(wanted.values()))}"
        )
    return list(present)
