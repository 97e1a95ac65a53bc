"""The settings of a provider, read with the field's path in every error. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from analysis import durations
from analysis.errors import ProviderError


def text(spec: Mapping[str, object], field: str, where: str, default: str = "") -> str:
    found = spec.get(field)
    if found is None:
        return default
    if isinstance(found, str):
        return found
    raise ProviderError(f"{where}.{field} must be a string")


def required(spec: Mapping[str, object], field: str, where: str, remedy: str) -> str:
    found = text(spec, field, where)
    if found.strip():
        return found
    raise ProviderError(f"{where}.{field} is missing; {remedy}")


def mapping(spec: Mapping[str, object], field: str, where: str) -> Mapping[str, object]:
    found = spec.get(field)
    if found is None:
        return {}
    if isinstance(found, Mapping):
        return found
    raise ProviderError(f"{where}.{field} must be an object")


def items(spec: Mapping[str, object], field: str, where: str) -> Sequence[Mapping[str, object]]:
    found = spec.get(field)
    if found is None:
        return ()
    if (
        isinstance(found, Sequence)
        and not isinstance(found, str)
        and all(isinstance(i, Mapping) for i in found)
    ):
        return found
    raise ProviderError(f"{where}.{field} must be a list of objects")


def seconds(spec: Mapping[str, object], field: str, where: str, default: float) -> float:
    """A number of seconds, also as text; 0 and absent mean the default."""
    found = spec.get(field)
    try:
        value = float(str(found)) if found is not None and not isinstance(found, bool) else 0.0
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ProviderError(f"{where}.{field} must be a number of seconds, not negative")
    return value or default


def duration(spec: Mapping[str, object], field: str, where: str, default: str) -> timedelta:
    written = text(spec, field, where) or default
    try:
        found = durations.parse(written)
    except ValueError as error:
        raise ProviderError(f"{where}.{field}: {error}") from None
    if found <= timedelta():
        raise ProviderError(f"{where}.{field} must be longer than 0s")
    return found


def headers(spec: Mapping[str, object], where: str) -> Mapping[str, str]:
    """`[{key, value}]` as a mapping."""
    each = items(spec, "headers", where)
    found = {text(h, "key", f"{where}.headers"): text(h, "value", f"{where}.headers") for h in each}
    if "" in found:
        raise ProviderError(f"{where}.headers must be a list of key and value")
    return found


def credentials(
    spec: Mapping[str, object], keys: Sequence[str], where: str, remedy: str
) -> Mapping[str, str]:
    """What the controller read from the Secret that the settings name; every key must be there."""
    found = {str(key): str(value) for key, value in mapping(spec, "credentials", where).items()}
    missing = [key for key in keys if not found.get(key)]
    if missing:
        raise ProviderError(f"{where}: there is no {' and no '.join(missing)}; {remedy}")
    return found
