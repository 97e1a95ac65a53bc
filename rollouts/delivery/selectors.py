"""What a label selector must be beside the pod template that it belongs to. Called by whoever validates a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rollouts.api.selector import LabelSelector, LabelSelectorRequirement
from rollouts.errors import SpecError


def faults(selector: LabelSelector, template: Mapping[str, Any], path: str) -> Iterator[SpecError]:
    """A selector must select the pods of the template beside it, and not every pod."""
    labels = labels_of(template)
    if not selector.match_labels and not selector.match_expressions:
        yield SpecError(f"{path}.selector", None, "is empty and would select every pod", "set matchLabels")
    for key, value in selector.match_labels.items():
        if labels.get(key) != value:
            yield SpecError(
                f"{path}.selector.matchLabels.{key}",
                value,
                f"does not match the template, where it is {_shown(labels.get(key))}",
                f"set {path}.template.metadata.labels.{key} to the same value",
            )
    for index, term in enumerate(selector.match_expressions):
        if not _matches(term, labels):
            yield SpecError(
                f"{path}.selector.matchExpressions[{index}]",
                f"{term.key} {term.operator}",
                "does not match the template's labels",
                f"correct the expression or {path}.template.metadata.labels",
            )


def labels_of(template: Mapping[str, Any]) -> Mapping[str, str]:
    metadata = template.get("metadata") or {}
    return metadata.get("labels") or {}


def _matches(term: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    match term.operator:
        case "In":
            return labels.get(term.key) in term.values
        case "NotIn":
            return labels.get(term.key) not in term.values
        case "Exists":
            return term.key in labels
        case _:
            return term.key not in labels


def _shown(value: str | None) -> str:
    return "missing" if value is None else f'"{value}"'
