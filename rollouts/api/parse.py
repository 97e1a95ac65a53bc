"""JSON <-> frozen dataclasses, driven by the type hints of the models.

Decides what is well formed and says so with the field's path; knows nothing of what a value means.
Called at the edges only: past this module nothing is optional that the schema defaults.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from rollouts.api.schema import JSON, Field
from rollouts.errors import SpecError

T = TypeVar("T")
Reader = Callable[[Any, str], Any]

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_TEMPLATED = re.compile(r"\{\{.*\}\}")
_PERCENT = re.compile(r"\d+%")
_PLAIN = frozenset({bool, int, float, str, dict})
"""Types that are JSON as they are. A mapping's values are JSON in every model."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelField:
    """One dataclass field as the edges see it."""

    name: str
    json: str
    hint: Any
    info: Field
    default: Any
    required: bool


def parse(cls: type[T], value: object, path: str, *, strict: bool = True) -> T:
    """`value` as a `cls`; `path` is where it stands, for errors.

    With `strict`, a field that `cls` does not have is an error, never dropped. Raises `SpecError`.
    """
    reader = _reader_of_model(typing.cast("typing.Hashable", cls), strict)
    return typing.cast("T", reader(value, path))


def dump(model: object, fields: Iterable[ModelField] | None = None) -> dict[str, Any]:
    """`model`, or some `fields` of it, as JSON.

    What equals its default is left out unless the field is `shown` or required.
    """
    out: dict[str, Any] = {}
    for spec in model_fields(typing.cast("typing.Hashable", type(model))) if fields is None else fields:
        value = getattr(model, spec.name)
        if spec.info.rest:
            out.update(value)
            continue
        if spec.required or (value is not None and (spec.info.shown or value != spec.default)):
            out[spec.json] = _written(value)
    return out


@functools.cache
def model_fields(cls: Any) -> tuple[ModelField, ...]:
    """The fields of a model with their JSON names, in declaration order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(_model_field(f, hints[f.name]) for f in dataclasses.fields(cls))


def duration(value: object, path: str) -> timedelta:
    """`90`, `"90"`, `"1m30s"` or `"1.5h"` as a timedelta (Go's time.ParseDuration without signs)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise SpecError(path, value, "must be a duration", 'write seconds (30) or a duration ("1h30m")')
    text = str(value).strip()
    if text.isdigit():
        return timedelta(seconds=int(text))
    if not _DURATION.fullmatch(text):
        raise SpecError(path, value, "must be a duration", 'write seconds (30) or a duration ("1h30m")')
    return timedelta(seconds=sum(float(n) * _UNIT_SECONDS[u] for n, u in _DURATION_PART.findall(text)))


def format_duration(value: timedelta) -> str:
    """Go's spelling: 1h30m, 45s, 250ms."""
    milliseconds = round(value.total_seconds() * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, rest = divmod(rest, 1000)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"), (rest, "ms"))
    return "".join(f"{n}{unit}" for n, unit in parts if n) or "0s"


def timestamp(value: object, path: str) -> datetime:
    """An RFC 3339 time as an aware UTC datetime."""
    if isinstance(value, datetime):  # YAML reads unquoted times itself
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise SpecError(path, value, "must be an RFC 3339 time", "write it as 2026-01-31T12:00:00Z")
    return parsed.astimezone(UTC)


def format_timestamp(value: datetime) -> str:
    """Whole seconds with Z, as metav1.Time."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(now: datetime) -> datetime:
    """`now` as it will read back from the API server: whole seconds."""
    return now.replace(microsecond=0)


def _model_field(f: dataclasses.Field[Any], hint: Any) -> ModelField:
    info = Field("")
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        info = next((e for e in extras if isinstance(e, Field)), info)
    default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
    required = default is dataclasses.MISSING
    return ModelField(f.name, info.json or _camel(f.name), hint, info, default, required)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


@functools.cache
def _reader_of_model(cls: Any, strict: bool) -> Reader:  # noqa: FBT001
    fields = model_fields(cls)
    readers = {f.json: (f.name, _reader(f.hint, f.info, strict)) for f in fields if not f.info.rest}
    rest = next((f.name for f in fields if f.info.rest), "")
    required = tuple((f.json, f.info) for f in fields if f.required)

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            raise SpecError(path, value, f"must be an object, not {_kind(value)}")
        for name, _ in required:
            if value.get(name) is None:
                raise SpecError(f"{path}.{name}", None, "is required")
        known: dict[str, Any] = {rest: {k: v for k, v in value.items() if k not in readers}} if rest else {}
        for key, item in value.items():
            if key not in readers:
                if strict and not rest:
                    raise _unknown(f"{path}.{key}", key, readers)
                continue
            if item is not None:
                name, reader = readers[key]
                known[name] = reader(item, f"{path}.{key}")
        return cls(**known)

    return read


def _reader(hint: Any, info: Field, strict: bool) -> Reader:  # noqa: FBT001, PLR0911
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        members = [a for a in args if a is not type(None)]
        if set(members) == {int, str}:
            return functools.partial(_read_int_or_string, info=info)
        if set(members) == {timedelta, str}:
            return _read_templated_duration
        return _reader(members[0], info, strict)
    if origin is tuple:
        return functools.partial(_read_list, item=_reader(args[0], Field(""), strict), info=info)
    if origin is Mapping:
        return _read_string_map if args[1] is str else _read_object
    if dataclasses.is_dataclass(hint):
        return _reader_of_model(typing.cast("type", hint), strict)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return functools.partial(_read_enum, enum=hint)
    return functools.partial(_SCALARS[hint], info=info)


def _read_bool(value: Any, path: str, *, info: Field) -> bool:
    del info
    if not isinstance(value, bool):
        raise SpecError(path, value, f"must be true or false, not {_kind(value)}")
    return value


def _read_int(value: Any, path: str, *, info: Field) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecError(path, value, f"must be an integer, not {_kind(value)}")
    if info.minimum is not None and value < info.minimum:
        raise SpecError(path, value, f"must be greater than or equal to {info.minimum}")
    if info.maximum is not None and value > info.maximum:
        raise SpecError(path, value, f"must be less than or equal to {info.maximum}")
    return value


def _read_str(value: Any, path: str, *, info: Field) -> str:
    if not isinstance(value, str):
        raise SpecError(path, value, f"must be a string, not {_kind(value)}", f'quote it: "{value}"')
    if info.min_length is not None and len(value) < info.min_length:
        raise SpecError(path, value, "must not be empty")
    if info.pattern and not re.search(info.pattern, value):
        raise SpecError(path, value, f"must match {info.pattern}")
    return value


def _read_duration(value: Any, path: str, *, info: Field) -> timedelta:
    del info
    return duration(value, path)


def _read_templated_duration(value: Any, path: str) -> timedelta | str:
    """Text with arguments in it stays: what it becomes is checked when they are filled in."""
    return value if isinstance(value, str) and _TEMPLATED.search(value) else duration(value, path)


def _read_timestamp(value: Any, path: str, *, info: Field) -> datetime:
    del info
    return timestamp(value, path)


def _read_int_or_string(value: Any, path: str, *, info: Field) -> int | str:
    if isinstance(value, str):
        if info.percent and not _PERCENT.fullmatch(value):
            raise SpecError(path, value, "must be a count or a percentage", 'write 3 or "25%"')
        return value
    return _read_int(value, path, info=info)


def _read_list(value: Any, path: str, *, item: Reader, info: Field) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise SpecError(path, value, f"must be a list, not {_kind(value)}")
    if info.min_items is not None and len(value) < info.min_items:
        raise SpecError(path, None, f"must have at least {info.min_items} item")
    return tuple(item(v, f"{path}[{i}]") for i, v in enumerate(value))


def _read_string_map(value: Any, path: str) -> Mapping[str, str]:
    mapping = _read_object(value, path)
    for key, item in mapping.items():
        if not isinstance(item, str):
            raise SpecError(
                f"{path}.{key}", item, f"must be a string, not {_kind(item)}", f'quote it: "{item}"'
            )
    return mapping


def _read_object(value: Any, path: str) -> JSON:
    if not isinstance(value, Mapping):
        raise SpecError(path, value, f"must be an object, not {_kind(value)}")
    return value


def _read_enum(value: Any, path: str, *, enum: type[StrEnum]) -> StrEnum:
    try:
        return enum(value)
    except ValueError:
        raise SpecError(path, value, f"must be one of {', '.join(enum)}") from None


_SCALARS: Mapping[Any, Callable[..., Any]] = {
    bool: _read_bool,
    int: _read_int,
    str: _read_str,
    timedelta: _read_duration,
    datetime: _read_timestamp,
}


def _unknown(path: str, key: str, known: Mapping[str, object]) -> SpecError:
    near = difflib.get_close_matches(key, known, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"known fields: {', '.join(sorted(known))}"
    return SpecError(path, None, "unknown field", remedy)


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "null" if value is None else "an object")


def _written(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, tuple):
        return [_written(v) for v in value]
    if dataclasses.is_dataclass(value):
        return dump(value)
    return value.value if isinstance(value, StrEnum) else value
