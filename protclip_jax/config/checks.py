"""Checks of a config against the schema: a run's own, and the one in a stranger's checkpoint."""

import difflib
import reprlib
from collections.abc import Iterable, Iterator, Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.common.settings import Setting
from protclip_jax.config.schema import (
    EVALUATION,
    FIELDS,
    GROUPS,
    SIZES,
    TOWERS,
)
from protclip_jax.objectives.registry import OBJECTIVES

_NAME = "the config"
_SEE = "docs/config.md lists every field"


def check(config: Mapping) -> None:
    """Checks the whole config of a run.

    Raises:
      UserError: a field is missing, unknown or out of its range, or fields do not go together.
    """
    refuse_unknown(config, name=_NAME)
    require(config, *FIELDS, *TOWERS, name=_NAME)
    check_present(config, name=_NAME)
    require_model(config, *TOWERS, name=_NAME)
    _check_objectives(config)
    _check_sampling(config)
    _check_length(config)
    _check_intervals(config)


def check_sources(config: Mapping) -> None:
    """Raises `UserError` where the config names no data or no vocabulary to train with."""
    if config["data"]["dir"] is None:
        made = "a dataset made by `python -m data_pipelines.build`"
        raise UserError(f"data.dir is not set; pass --config.data.dir=DIR, {made}.")
    if config["tokenizer"]["text"] is None:
        raise UserError("tokenizer.text is not set; pass --config.tokenizer.text=vocab.txt.")


def check_present(config: Mapping, *, name: str) -> None:
    """Checks all known fields that are present; `name` says in errors where the config is from.

    Raises:
      UserError: a value has the wrong type or is out of range.
    """
    for path, setting in FIELDS.items():
        parent, _, last = path.rpartition(".")
        values = _group(config, parent, name=name)
        if last in values:
            _check(path, values[last], setting, name=name)
    for path, fields in _open_groups(config, name=name):
        for last, value in _group(config, path, name=name).items():
            if last in fields:
                _check(f"{path}.{last}", value, fields[last], name=name)
            elif path in TOWERS:
                known = ", ".join(fields)
                raise UserError(f"{name} has the unknown field {path}.{last}; expected {known}.")


def require(config: Mapping, *paths: str, name: str) -> None:
    """Raises UserError for a missing field or group."""
    for path in paths:
        parent, _, last = path.rpartition(".")
        if last not in _group(config, parent, name=name):
            raise UserError(f"{name} lacks the field {path}; {_SEE}.")


def require_model(config: Mapping, *towers: str, name: str) -> None:
    """Refuses a config that does not describe a model with these `TOWERS`; by default with either.

    Raises:
      UserError: a shape is missing, or texts are longer than the text tower's position table.
    """
    of_model = [path for path in FIELDS if path.startswith("model.")]
    needed = (*of_model, *TOWERS, "tokenizer.max_text_tokens", "pda.theta")
    require(config, *needed, name=name)
    present = [tower for tower in TOWERS if tower in towers or _group(config, tower, name=name)]
    if not present:
        lacks = "describes neither a protein nor a text tower"
        raise UserError(f"{name} {lacks}; give the config of a model.")
    for tower in present:
        require(config, *(f"{tower}.{field}" for field in SIZES), name=name)
    if "model.text" in present:
        _check_positions(config, name=name)


def refuse_unknown(config: Mapping, *, name: str) -> None:
    """Raises UserError for a field that nothing would read."""
    for group in ["", *sorted(GROUPS - {"evals"})]:
        known = _members(group)
        for field in _group(config, group, name=name):
            if field not in known:
                fix = did_you_mean(group, field, known)
                raise UserError(f"{name} has the unknown field {joined(group, field)}; {fix}")


def did_you_mean(group: str, wrong: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown field: the most similar known field of the group.

    If no name in `known` resembles `wrong`, it says where all are listed.
    """
    near = difflib.get_close_matches(wrong, known, 1)
    return f"did you mean '{joined(group, near[0])}'?" if near else f"{_SEE}."


def joined(group: str, name: str) -> str:
    """The dotted path of a field in a group ('' = the whole)."""
    return f"{group}.{name}" if group else name


def _members(group: str) -> list[str]:
    """The names of the fields and groups directly within a group ('' = the whole)."""
    prefix = joined(group, "")
    paths = [path for path in (*FIELDS, *TOWERS, *GROUPS) if path.startswith(prefix)]
    return sorted({path.removeprefix(prefix).partition(".")[0] for path in paths})


def _check_objectives(config: Mapping) -> None:
    if not any(config["loss"][name] for name in OBJECTIVES):
        fields = ", ".join(f"loss.{name}" for name in OBJECTIVES)
        raise UserError(
            f"{fields} are all 0, so nothing would be learnt; give one a positive weight."
        )
    for kind in OBJECTIVES.values():
        kind.check(config)


def _check_sampling(config: Mapping) -> None:
    share = config["sampling"]["without_text"]
    if share and not config["loss"]["mlm"]:
        raise UserError(
            f"sampling.without_text={share} draws records that only loss.mlm learns from, but "
            "loss.mlm=0; give it a weight, or set sampling.without_text=0."
        )


def _check_length(config: Mapping) -> None:
    steps, epochs = config["total_steps"], config["total_epochs"]
    if steps is None and epochs is None:
        raise UserError("neither total_steps nor total_epochs is set; set one of them.")
    if steps is not None and epochs is not None:
        raise UserError(
            f"total_steps={steps} and total_epochs={epochs} are both set; "
            "unset one, with --config.total_epochs=None or --config.total_steps=None."
        )


def _check_intervals(config: Mapping) -> None:
    interval = config["eval_every"]
    if config["keep_every"] % config["checkpoint_every"]:
        raise UserError("keep_every must be a multiple of checkpoint_every, or 0.")
    if config["best"]["patience"] and config["best"]["metric"] is None:
        raise UserError(
            "best.patience needs best.metric, by which the run is judged; set best.patience=0."
        )
    if config["checkpoint_every"] % interval:
        reason = "the best checkpoint is chosen by its evaluation"
        raise UserError(f"checkpoint_every must be a multiple of eval_every: {reason}.")
    for name, options in dict(config["evals"]).items():
        if (options.get("every") or interval) % interval:
            field = f"evals.{name}.every"
            raise UserError(f"{field} must be a multiple of eval_every, {interval} here.")


def _check_positions(config: Mapping, *, name: str) -> None:
    longest = config["tokenizer"]["max_text_tokens"]
    default = TOWERS["model.text"]["max_positions"].default
    positions = _group(config, "model.text", name=name).get("max_positions", default)
    if longest > positions:
        limit = f"model.text.max_positions={positions}"
        raise UserError(f"{name}: tokenizer.max_text_tokens={longest} is above {limit}.")


def _open_groups(config: Mapping, *, name: str) -> Iterator[tuple[str, Mapping[str, Setting]]]:
    yield from TOWERS.items()
    for evaluation in _group(config, "evals", name=name):
        yield f"evals.{evaluation}", EVALUATION


def _group(config: Mapping, path: str, *, name: str) -> Mapping:
    """The group of that path ('' = the whole), empty where it is absent or None."""
    found = config
    for part in path.split(".") if path else ():
        found = found[part] if part in found and found[part] is not None else {}
        if not (isinstance(found, Mapping) or hasattr(found, "to_dict")):
            shown = f"{path}={reprlib.repr(found)}"
            raise UserError(f"{name}: {shown} must be a group of fields; {_SEE}.")
    return found


def _check(path: str, value: object, setting: Setting, *, name: str) -> None:
    if not setting.kind.allows(value):
        shown = reprlib.repr(value)
        raise UserError(f"{name}: {path}={shown} must be {setting.kind.wanted}.")
