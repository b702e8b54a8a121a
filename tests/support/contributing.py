"""The examples of CONTRIBUTING.md, applied to a copy of the project."""

import pathlib
import re
import shutil

from tests.support.paths import ROOT

COPIED = ("configs", "data_pipelines", "eval", "protclip_jax", "protclip_train.py", "train.py")
BLOCK = re.compile(r"```(python|diff)\n# (\S+)\n(.*?)```", re.DOTALL)


def section(heading: str) -> list[tuple[str, str, str]]:
    """The marked blocks under a heading, as (language, path, text).

    A block is marked by a first line `# PATH`: a Python block is a whole new file, a diff block
    adds lines to a file that exists.
    """
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"## {heading}\n")
    return BLOCK.findall(rest.partition("\n## ")[0])


def copy_of_project(folder: pathlib.Path) -> pathlib.Path:
    """What a user runs, without tests and docs."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def apply(blocks: list[tuple[str, str, str]], project: pathlib.Path) -> None:
    """Writes the new files and adds the lines of the diffs.

    A diff's line that starts with a blank must stand in the file; lines with `+` follow it.
    """
    for language, path, text in blocks:
        file = project / path
        if language == "python":
            assert not file.exists(), f"{path} exists already"
            file.write_text(text, encoding="utf-8")
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        place = 0
        for line in text.splitlines():
            if line.startswith("+"):
                lines.insert(place, line[1:])
                place += 1
            else:
                place = lines.index(line[1:], place) + 1
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
