"""`python -m eval --embeddings`: any program's vectors on the same benchmarks."""

import argparse

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.dataset import STATISTICS
from eval.benchmarks.families import BENCHMARKS
from eval.pretraining.evaluations import EVALUATIONS
from eval.public import suite
from eval.public.config_files import load_configs
from eval.public.subjects import ProteinVectors
from eval.public.vector_file import VectorFile
from eval.reporting import benchmark_figures, benchmark_report
from eval.reporting.report import claimed, print_report, refuse_other_report, write_report


def evaluate_vectors(options: argparse.Namespace) -> None:
    """Measures the vectors of `--embeddings` on the selected benchmarks and writes the report.

    Raises:
      UserError: options that ask for a model, a file that holds no vectors, or benchmarks that
        could not be measured.
    """
    names = _benchmarks(options)
    output = options.output or options.embeddings.with_name(f"{options.embeddings.name}.eval")
    configs = load_configs(options.configs, options.set)
    file = VectorFile.read(options.embeddings)
    rows, width = file.values.shape
    print_status(f"{options.embeddings}: {rows:,} vectors of width {width:,}.")
    provenance = {
        "embeddings": str(options.embeddings),
        "vectors": rows,
        "width": width,
        "sha256": file.fingerprint,
    }
    provenance |= {"public_data": str(options.data_dir), "protocol": options.protocol}
    provenance |= {"benchmarks": ", ".join(names), "set": " ".join(options.set)}
    with claimed(output):
        refuse_other_report(output, provenance)
        benchmarks = suite.Suite(
            ProteinVectors(file), options.protocol, configs=configs, folder=output
        )
        results = benchmarks.results(names, options.data_dir)
        if suite.has_report(results):
            sections = {"benchmarks": (results, benchmark_report.markdown(results))}
            write_report(
                output,
                provenance=provenance,
                sections=sections,
                figures=benchmark_figures.figures(results),
                left_out={},
                captions=benchmark_figures.CAPTIONS,
            )
            print_report(output, sections)
        suite.refuse_failures(results)


def _benchmarks(options: argparse.Namespace) -> list[str]:
    """The public benchmarks that the command line asks for, all that the data allow by default."""
    if options.protocol != "probe":
        raise UserError(
            f"--protocol={options.protocol} trains a model; with --embeddings only probe is "
            "possible."
        )
    if (
        options.data_dir is None
        or not options.data_dir.is_dir()
        or (options.data_dir / STATISTICS).exists()
    ):
        raise UserError(
            "--embeddings needs --data_dir=DIR, a folder of public data as "
            "docs/benchmarks.md describes it."
        )
    names = list(dict.fromkeys(options.benchmarks))
    if "all" in names:
        return suite.choose(options.data_dir)
    if model := [name for name in names if name in EVALUATIONS]:
        raise UserError(
            f"{model[0]} needs a model that reads texts or residues; give --checkpoint "
            "instead of --embeddings."
        )
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise UserError(f"unknown benchmark {unknown[0]!r}; expected {', '.join(BENCHMARKS)}.")
    return names
