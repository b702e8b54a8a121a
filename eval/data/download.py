"""Downloads public benchmark files, resuming where it stopped and checking what can be checked.

Files are saved where the manifest's template names them, each with FILE.provenance.json beside it.
Files that must be fetched by hand are listed. `--base_url` names a mirror that has every file under
the name of its host: URL/HOST/PATH.
"""

import argparse
import hashlib
import shutil
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.progress import print_status
from data_pipelines.download.connection_options import (
    add_connection_options,
    check_connection_options,
)
from data_pipelines.download.plain_file import download_plain
from eval.benchmarks.families import BENCHMARKS
from eval.data.base.source import PublicFile, Source
from eval.data.overview import source_of


def sources_of(names: Iterable[str]) -> dict[str, list[Source]]:
    """The sources by benchmark: its own, and those of the benchmark whose proteins it uses.

    Raises:
      UserError: a name is not a benchmark.
    """
    found = {}
    for name in names:
        if name not in BENCHMARKS:
            raise UserError(f"unknown benchmark {name!r}; expected {', '.join(BENCHMARKS)}.")
        benchmark = BENCHMARKS[name]
        own = [source_of(benchmark)]
        if benchmark.proteins_of:
            own.append(BENCHMARKS[benchmark.proteins_of].source)
        found[name] = list(dict.fromkeys(own))
    return found


def fetch(
    file: PublicFile, output: Path, *, licence: str, base_url: str, timeout: float, tries: int
) -> Path:
    """Saves the file in the folder; keeps an existing file that is complete and correct.

    Raises:
      UserError: the file cannot be fetched, has another digest, or another file has its name.
      RunError: it cannot be written to disk.
    """
    target = output / file.path
    got = target.with_name(Path(urlsplit(file.url).path).name) if file.member else target
    url = mirrored(file.url, base_url)
    download_plain(url, got, md5=file.md5, licence=licence, timeout=timeout, tries=tries)
    if file.member:
        extract(got, file.member, target)
    if file.sha256 and (found := file_sha256(target)) != file.sha256:
        raise UserError(
            f"{target} has the SHA-256 {found}, not {file.sha256}: the download was damaged or "
            "the file changed at its source; remove it and its provenance, then rerun the command."
        )
    return target


def mirrored(url: str, base_url: str) -> str:
    """The address on the mirror, or the address itself without a mirror."""
    parts = urlsplit(url)
    return f"{base_url}/{parts.netloc}{parts.path}" if base_url else url


def extract(archive: Path, member: str, target: Path) -> None:
    """Extracts a file from a ZIP archive, unless it already exists with the same content.

    Raises:
      UserError: the archive is damaged or lacks the file, or another file has the target's name.
    """
    try:
        with zipfile.ZipFile(archive) as files, files.open(member) as content:
            if target.exists():
                if file_sha256(target) != hashlib.file_digest(content, "sha256").hexdigest():
                    raise UserError(
                        f"{target} exists and is not {member} of {archive}; remove it or "
                        "name another --output."
                    )
                return
            with (
                report_disk_errors(target),
                atomic_path(target) as partial,
                open(partial, "wb") as file,
            ):
                shutil.copyfileobj(content, file)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        message = (
            f"{archive} is not a ZIP archive with {member} ({error}); remove it, then rerun the "
            "command."
        )
        raise UserError(message) from error


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Fetches what may be fetched, prints the paths, and says what else is needed."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.data.download", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="benchmarks, as `python -m eval.data.manifest` lists them",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="the data folder; created if missing",
    )
    parser.add_argument(
        "--base_url", default="", metavar="URL", help="a mirror that has the files as URL/HOST/PATH"
    )
    add_connection_options(parser)
    args = parser.parse_args(arguments)
    check_connection_options(args)
    sources = sources_of(args.names)
    how = {"base_url": args.base_url.rstrip("/"), "timeout": args.timeout, "tries": args.tries}
    wanted = {file: source for own in sources.values() for source in own for file in source.files}
    for file, source in wanted.items():
        print(fetch(file, args.output, licence=f"{source.licence}; {source.where}", **how))
    for name, own in sources.items():
        for source in own:
            print_status(_remaining(name, source))


def _remaining(name: str, source: Source) -> str:
    """Which files of a source were fetched, and what remains to do."""
    if not source.where:
        return f"{name}: your own files; docs/benchmarks.md describes them."
    licence = f"licence of {source.where}: {source.licence}"
    return (
        f"{name}: by hand: {source.by_hand} ({licence})."
        if source.by_hand
        else f"{name}: all files; {licence}."
    )


if __name__ == "__main__":
    sys.exit(main())
