"""`python -m eval --claims`: the paper's claims beside a checkpoint's reports."""

import argparse
import json
import pathlib
from collections.abc import Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json, to_json
from data_pipelines.common.outputs import new_files
from data_pipelines.common.progress import print_status
from eval.benchmarks.families import BENCHMARKS
from eval.claims.claims import CLAIMS
from eval.claims.page import as_json, markdown
from eval.claims.verdict import judge
from eval.data import manifest

NO_SUBJECT = "missing: --checkpoint DIR, whose reports have our numbers"


def check_claims(options: argparse.Namespace) -> None:
    """Prints the table, and writes claims.md and claims.json into `--output` where it is given.

    Nothing is measured: our numbers are those of report.json in CHECKPOINT/eval or CHECKPOINT, or
    of FILE.eval.

    Raises:
      UserError: the subject has no folder, or a report is damaged.
    """
    folders = _folders(options)
    results = {}
    for folder in folders:
        results |= _results(folder)
    judged = [judge(claim, results, _lacking(options, folders)) for claim in CLAIMS]
    page = markdown(judged)
    print(page)
    if options.output:
        numbers = json.dumps(to_json(as_json(judged, _subject(options))), indent=2)
        with new_files([options.output / "claims.md", options.output / "claims.json"]) as (
            page_file,
            numbers_file,
        ):
            page_file.write_text(page, encoding="utf-8")
            numbers_file.write_text(numbers + "\n", encoding="utf-8")
        print_status(f"wrote {options.output / 'claims.md'} and claims.json")


def _subject(options: argparse.Namespace) -> dict[str, str]:
    given = {"checkpoint": options.checkpoint, "embeddings": options.embeddings}
    return {name: str(value) for name, value in given.items() if value}


def _folders(options: argparse.Namespace) -> list[pathlib.Path]:
    """Where reports may be; the last that has a benchmark counts."""
    if options.embeddings:
        return [options.embeddings.with_name(f"{options.embeddings.name}.eval")]
    if not options.checkpoint:
        return []
    checkpoint = pathlib.Path(options.checkpoint)
    if not checkpoint.is_dir():
        raise UserError(
            f"--checkpoint={checkpoint} is not a local folder; give the one that holds the report."
        )
    return [checkpoint, checkpoint / "eval"]


def _results(folder: pathlib.Path) -> Mapping[str, Mapping]:
    """The public benchmarks in a folder's report; none without a report."""
    path = folder / "report.json"
    return read_json(path).get("benchmarks", {}) if path.is_file() else {}


def _lacking(options: argparse.Namespace, folders: list[pathlib.Path]) -> dict[str, str]:
    """Why a benchmark without a result was not measured, as far as is known."""
    if not folders:
        return dict.fromkeys(BENCHMARKS, NO_SUBJECT)
    if options.data_dir is None:
        return {}
    present, wanted = manifest.available(options.data_dir)
    unmeasured = (
        f"its files are there; missing: {folders[-1] / 'report.json'} with it (run this command "
        "without --claims)"
    )
    return wanted | dict.fromkeys(present, unmeasured)
