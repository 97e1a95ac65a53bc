"""YAML text -> JSON documents, as Kubernetes reads YAML, within limits.

Decides what a scalar means (YAML 1.1 without sexagesimal numbers and dates, as kubectl) and refuses what
kubectl would refuse (duplicate keys) or what would exhaust memory (alias bombs, deep nesting). Pure;
called by `render`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

MAX_DEPTH = 100
MAX_NODES = 500_000
"""Nodes of one file after its aliases are expanded; a full 1 MiB manifest has about 100 000."""

_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|(?:0|[1-9][0-9_]*))")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?")
_NEEDS_POINT_OR_EXPONENT = re.compile(r"[.eE]")

_TAG = "tag:yaml.org,2002:"
_PLAIN = f"{_TAG}plain"
"""Unquoted and untagged: its type depends on how it looks."""


class DocumentError(Exception):
    """The text is not YAML that we take. `line` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        self.problem = problem
        self.line = line
        super().__init__(f"line {line}: {problem}")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file; `index` and `line` count from 1."""

    value: Any
    index: int
    line: int


class _Loader(yaml.CSafeLoader):
    """libyaml's parser with the choice of scalar types left to us."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


def load(text: bytes) -> Iterator[Document]:
    """Every document that is not empty. Raises `DocumentError`."""
    budget = _Budget()
    index = 0
    for index, node in enumerate(_nodes(text), 1):
        value = _Reader(budget).value(node, 0)
        if value is not None:
            yield Document(value, index, _line(node))


def _nodes(text: bytes) -> Iterator[yaml.Node]:
    try:
        _check_events(text)
        yield from (node for node in yaml.compose_all(text, Loader=_Loader) if node is not None)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        raise DocumentError(_sentence(e), mark.line + 1 if mark else 1) from e
    except (yaml.reader.ReaderError, UnicodeDecodeError) as e:
        raise DocumentError(f"is not text: {str(e).splitlines()[0]}", 1) from e
    except yaml.YAMLError as e:
        raise DocumentError(str(e).splitlines()[0], 1) from e


def _check_events(text: bytes) -> None:
    """Depth and size are bounded on the event stream: the composer would exhaust the stack, or memory."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if count > 2 * MAX_NODES:
            raise DocumentError(f"holds more than {MAX_NODES} values", _line(event))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise DocumentError(f"is nested deeper than {MAX_DEPTH} levels", _line(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Budget:
    """Nodes that a file may still expand to."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def take(self, node: yaml.Node) -> None:
        self.left -= 1
        if self.left < 0:
            raise DocumentError(f"expands to more than {MAX_NODES} values (an alias bomb?)", _line(node))


class _Reader:
    """One document's nodes as JSON; every alias is expanded and paid for."""

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._budget.take(node)
        if depth > MAX_DEPTH:
            raise DocumentError("contains itself, or is nested too deeply", _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                merged = self._merge(value_node, depth) | merged
                continue
            key = _key(key_node)
            if key in own:
                raise DocumentError(f'key "{key}" is there twice', _line(key_node))
            own[key] = self.value(value_node, depth + 1)
        return merged | own

    def _merge(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            value = self.value(source, depth + 1)
            if not isinstance(value, dict):
                raise DocumentError("<< takes a mapping or a list of mappings", _line(source))
            merged = value | merged
        return merged


def _key(node: yaml.Node) -> str:
    value = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if value is None:
        raise DocumentError("a key must be a string", _line(node))
    return value if isinstance(value, str) else str(node.value)


def _scalar(node: yaml.Node) -> Any:
    tag, text = node.tag, str(node.value)
    if not tag.startswith(_TAG) and tag != "!":
        raise DocumentError(f"unknown tag {tag}", _line(node))
    kind = tag.removeprefix(_TAG)
    if tag == _PLAIN:
        return _plain(text)
    if kind in ("str", "binary", "!"):
        return "".join(text.split()) if kind == "binary" else text
    value = _plain(text)
    expected = {"int": int, "float": int | float, "bool": bool, "null": type(None)}.get(kind)
    if expected is None or not isinstance(value, expected):
        raise DocumentError(f'"{text}" is not a {kind}', _line(node))
    return value


def _plain(text: str) -> Any:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text) and _NEEDS_POINT_OR_EXPONENT.search(text) and any(c.isdigit() for c in text):
        return float(text.replace("_", ""))
    return text


def _integer(text: str) -> int:
    digits = text.replace("_", "").lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if digits.startswith(("0b", "0x", "0o")):
        return sign * int(digits, 0)
    octal = len(digits) > 1 and digits.startswith("0")
    return sign * int(digits, 8 if octal else 10)


def _line(node: yaml.Node | yaml.Event) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = (error.context, error.problem)
    return ", ".join(part for part in parts if part) or "is not YAML"
