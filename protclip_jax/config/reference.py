"""docs/config.md, the page that lists every field of the config."""

from collections.abc import Mapping

from data_pipelines.common.markdown import plain
from data_pipelines.common.settings import Setting
from protclip_jax.config.schema import EVALUATION, FIELDS, ON_REQUEST, TOWERS

_HEAD = """\
# Every field of the config

A training config is a Python file whose `get_config()` returns all of these fields. It starts from
`default_config()` of `protclip_jax/config/schema.py`, which has the paper's values, or from one of
the project's configs in `configs/`:

```python
from configs import quickstart


def get_config(rows="64"):
    config = quickstart.get_config()
    config.batch.rows = int(rows)
    return config
```

`python train.py --config FILE:128` calls `get_config("128")`. `--config.batch.rows=96` changes a
field of what it returns. NumPy scalars are taken as Python's numbers. Modules that lie beside the
file can be imported.

*On resume* says which fields a run that continues may change, at any time or where
`--change=FIELD,…` names them (see docs/training.md). All others have to be as they were when the
workdir was begun. A workdir that is older than a field continues with the value that the code had
before there was the field.

This page is generated: `python -m protclip_jax.config > docs/config.md`.
"""
_COLUMNS = ("field", "default", "values", "on resume", "meaning")
_TOWER = """\
A checkpoint without that tower has `{tower}` unset. The fields after `initializer_range` may be
left out.
"""
_EVALS = """\
`evals.NAME` is a group for each evaluation that training runs, by the name of the evaluation or of
a public benchmark; the default is `retrieval` with `split=validation` and `pool=1024`. All of these
fields may be left out. An evaluation refuses those that it does not have.
"""


def page() -> str:
    """The page, in Markdown."""
    groups: dict[str, dict[str, Setting]] = {}
    for path, setting in FIELDS.items():
        groups.setdefault(path.rpartition(".")[0], {})[path] = setting
    sections = [_section(group or "The run", fields) for group, fields in groups.items()]
    for tower, fields in TOWERS.items():
        sections.append(_section(tower, _within(tower, fields), _TOWER.format(tower=tower)))
    evals = _section("evals", _within("evals.NAME", EVALUATION), _EVALS)
    return "\n".join([_HEAD, *sections, evals])


def _within(group: str, fields: Mapping[str, Setting]) -> dict[str, Setting]:
    return {f"{group}.{name}": setting for name, setting in fields.items()}


def _section(title: str, fields: Mapping[str, Setting], about: str = "") -> str:
    rows = [_row(path, setting) for path, setting in fields.items()]
    lines = [_COLUMNS, ["---"] * len(_COLUMNS), *rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return "\n".join([f"## {title}\n", *([about] if about else []), table])


def _row(path: str, setting: Setting) -> list[str]:
    default = "unset" if setting.default is None else f"`{setting.default}`"
    resume = "may change" if setting.changeable else "`--change`" if path in ON_REQUEST else "stays"
    return [f"`{path}`", default, plain(setting.kind.wanted), resume, setting.doc]
