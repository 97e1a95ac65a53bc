"""Arguments: `{{args.name}}` in a metric -> the metric as it will be measured. Pure; mapping in, mapping out.

Decided here: which argument has which value, and where one is missing. Not decided here: where a value from a
Secret or a field comes from; the caller has resolved it. `{{inputs.name}}` belongs to somebody else and stays,
`{{comparison.name}}` is filled in at each measurement (`comparison`); anything else in double braces is an error,
as a typo would otherwise reach the provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analysis.errors import TemplateError

_TAG = re.compile(r"\{\{([^{}]*)\}\}")
_ARGUMENT = "args."
_FOREIGN = ("inputs.", "comparison.")


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument by name; without a value it must be given by whoever starts the analysis."""

    name: str
    value: str | None = None


def resolve_arguments(declared: Iterable[Argument], given: Iterable[Argument]) -> Mapping[str, str]:
    """The value of each declared argument: the one given, else its default.

    Arguments that no template declares are ignored, as in the peer. A missing one is a TemplateError.
    """
    values = {argument.name: argument.value for argument in given if argument.value is not None}
    resolved = {argument.name: values.get(argument.name, argument.value) for argument in declared}
    for name, value in resolved.items():
        if value is None:
            remedy = f"give it in args of the analysis (name: {name}) or as a default in the template"
            raise TemplateError(metric="", field="", reference=f"{_ARGUMENT}{name}", remedy=remedy)
    return {name: value for name, value in resolved.items() if value is not None}


def resolve_metric(spec: Mapping[str, object], arguments: Mapping[str, str]) -> Mapping[str, object]:
    """The spec of a metric with its arguments filled in, in keys and values, at any depth."""
    metric = str(spec.get("name", ""))
    return {key: _resolved(value, arguments, metric, key) for key, value in spec.items()}


def _resolved(value: object, arguments: Mapping[str, str], metric: str, path: str) -> object:
    match value:
        case str():
            return _filled(value, arguments, metric, path)
        case Mapping():
            return {
                _filled(str(key), arguments, metric, path): _resolved(
                    item, arguments, metric, f"{path}.{key}"
                )
                for key, item in value.items()
            }
        case Sequence():
            return [_resolved(item, arguments, metric, f"{path}[{i}]") for i, item in enumerate(value)]
        case _:
            return value


def _filled(text: str, arguments: Mapping[str, str], metric: str, path: str) -> str:
    def one(match: re.Match[str]) -> str:
        reference = match[1].strip()
        name = reference.removeprefix(_ARGUMENT)
        if reference.startswith(_FOREIGN):
            return match[0]
        if not reference.startswith(_ARGUMENT):
            remedy = "write {{args.name}} to refer to an argument"
            raise TemplateError(metric=metric, field=path, reference=match[0], remedy=remedy)
        if name not in arguments:
            declared = f"declared are {', '.join(sorted(arguments))}" if arguments else "none is declared"
            remedy = f"declare it in args of the template (name: {name}); {declared}"
            raise TemplateError(metric=metric, field=path, reference=reference, remedy=remedy)
        return arguments[name]

    return _TAG.sub(one, text)
