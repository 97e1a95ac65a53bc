"""`ignoreDifferences`: fields that are somebody else's business, though Git declares them.

Decides which fields a rule means (JSON pointers, jq-style paths, field managers) and what is sent for them:
the value that the cluster has where we own the field alone or with others, nothing where we do not. So an
ignored field is neither drift nor reset by a sync (Argo CD needs RespectIgnoreDifferences for that). The
first apply of an object sends what Git declares. Pure.
"""

from __future__ import annotations

import copy
import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rollouts.api.application import IgnoreDifference
from rollouts.errors import RolloutsError
from rollouts.gitops.resources.live import LEAF, Live, Tree
from rollouts.gitops.resources.manifests import ObjectKey

__all__ = ["PathError", "applicable", "compiled", "is_ignored", "pointer", "without"]

Path = tuple[str | int, ...]
"""Names of fields, and positions in lists of the declared object."""

_STEP = re.compile(
    r"""\s*(?:
      (?P<iterate>\.?\[\s*\]) |
      \.?\[\s*(?P<index>\d+)\s*\] |
      \.?\[\s*"(?P<quoted>(?:[^"\\]|\\.)*)"\s*\] |
      \."(?P<dotted>(?:[^"\\]|\\.)*)" |
      \.(?P<name>[A-Za-z_][A-Za-z0-9_-]*) |
      \|?\s*select\(\s*(?P<field>\.[A-Za-z0-9_.\-]+)\s*==\s*(?P<value>"(?:[^"\\]|\\.)*"|-?\d+|true|false)\s*\) |
      (?P<pipe>\|) |
      (?P<root>\.)
    )""",
    re.VERBOSE,
)
_MAX_PATHS = 1000


class PathError(RolloutsError):
    """A path that cannot be read; the sentence says where."""


@dataclass(frozen=True, slots=True)
class _Select:
    """`select(.a.b == value)`."""

    field: tuple[str, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class _Each:
    """`[]`."""


_Step = str | int | _Select | _Each


def applicable(rules: Iterable[IgnoreDifference], key: ObjectKey) -> tuple[IgnoreDifference, ...]:
    """The rules for one object."""
    return tuple(
        r
        for r in rules
        if fnmatch.fnmatchcase(key.group, r.group)
        and fnmatch.fnmatchcase(key.kind, r.kind)
        and (not r.name or fnmatch.fnmatchcase(key.name, r.name))
        and (not r.namespace or fnmatch.fnmatchcase(key.namespace, r.namespace))
    )


def without(body: dict[str, Any], live: Live, rules: Sequence[IgnoreDifference]) -> dict[str, Any]:
    """What is sent for a declared body: ignored fields as the cluster has them, or not at all."""
    own = _own_paths(body, rules)
    foreign = _foreign_paths(body, live, rules)
    if not own and not foreign:
        return body
    out, tree = copy.deepcopy(body), live.tree
    # From the end, so that positions in lists stay what they were.
    for path in sorted({*own, *foreign}, key=_order, reverse=True):
        found, value = (False, None) if path in foreign else _owned(tree, body, path)
        if found:
            _put(out, path, value)
        else:
            _drop(out, path)
    return out


def is_ignored(text: str, body: Mapping[str, Any], rules: Sequence[IgnoreDifference]) -> bool:
    """Whether a field, written as `spec.containers[name=web].image`, lies below an ignored one."""
    for path in _own_paths(body, rules):
        shown = _shown(body, path)
        if text == shown or text.startswith((f"{shown}.", f"{shown}[")):
            return True
    return False


def pointer(text: str) -> Path:
    """A JSON pointer (RFC 6901). Raises `PathError`."""
    if not text.startswith("/") or text == "/":
        raise PathError(f"{text}: a JSON pointer begins with / and names a field")
    parts = [p.replace("~1", "/").replace("~0", "~") for p in text[1:].split("/")]
    return tuple(int(p) if p.isdigit() else p for p in parts)


@lru_cache(maxsize=1024)
def compiled(text: str) -> tuple[_Step, ...]:
    """A jq-style path: fields, `[0]`, `[]`, `["name"]`, `select(.a == "b")`, pipes. Raises `PathError`."""
    steps: list[_Step] = []
    at = 0
    while text[at:].strip():
        found = _STEP.match(text, at)
        if not found or found.end() == at:
            raise PathError(f"{text}: cannot be read from {text[at : at + 20]!r} on")
        at = found.end()
        steps += _step(found)
    if not steps:
        raise PathError(f"{text}: names no field")
    return tuple(steps)


def _step(found: re.Match[str]) -> list[_Step]:
    if found["iterate"]:
        return [_Each()]
    if found["index"]:
        return [int(found["index"])]
    if found["field"]:
        return [_Select(tuple(found["field"].strip(".").split(".")), json.loads(found["value"]))]
    for group in ("quoted", "dotted"):
        if found[group] is not None:
            return [str(json.loads(f'"{found[group]}"'))]
    return [found["name"]] if found["name"] else []


def _own_paths(body: Mapping[str, Any], rules: Sequence[IgnoreDifference]) -> set[Path]:
    """Every field that pointers and paths mean in this object."""
    found: set[Path] = set()
    for rule in rules:
        found |= {p for text in rule.json_pointers for p in _resolved(body, pointer(text))}
        for text in rule.jq_path_expressions:
            found |= set(_resolved(body, compiled(text)))
    return {p for p in found if p and p[0] not in ("apiVersion", "kind")}


def _resolved(body: Any, steps: Sequence[_Step]) -> list[Path]:
    reached: list[tuple[Path, Any]] = [((), body)]
    for step in steps:
        reached = [r for path, value in reached for r in _next(path, value, step)][:_MAX_PATHS]
    return [path for path, _ in reached]


def _next(path: Path, value: Any, step: _Step) -> Iterator[tuple[Path, Any]]:
    match step:
        case _Each() if isinstance(value, list):
            yield from (((*path, i), item) for i, item in enumerate(value))
        case _Each() if isinstance(value, Mapping):
            yield from (((*path, name), item) for name, item in value.items())
        case _Select(field, wanted):
            found: Any = value
            for name in field:
                found = found.get(name) if isinstance(found, Mapping) else None
            if found == wanted:
                yield path, value
        case int() if isinstance(value, list):
            if step < len(value):
                yield (*path, step), value[step]
        case int() | str() if isinstance(value, Mapping) or value is None:
            name = str(step)
            yield (*path, name), (value or {}).get(name)
        case _:
            return


def _foreign_paths(body: Mapping[str, Any], live: Live, rules: Sequence[IgnoreDifference]) -> set[Path]:
    """Fields of the body that one of the named managers owns."""
    managers = {name for rule in rules for name in rule.managed_fields_managers}
    if not managers or not live.foreign:
        return set()
    fields = json.loads(live.foreign)
    return {p for name in managers & fields.keys() for p in _leaves(fields[name], body, ())}


def _leaves(fields: Mapping[str, Any], value: Any, path: Path) -> Iterator[Path]:
    inner = {k: v for k, v in fields.items() if k != "."}
    if not inner:
        if path:
            yield path
        return
    for name, below in inner.items():
        token = _position(name, value)
        if token is not None:
            child = value[token]
            is_key = name.startswith("f:") and bool(path) and isinstance(path[-1], int) and name == "f:name"
            if not is_key:
                yield from _leaves(below, child, (*path, token))


def _position(name: str, value: Any) -> str | int | None:
    """Where a name of managedFields is in a declared value."""
    kind, text = name[:2], name[2:]
    if kind == "f:" and isinstance(value, Mapping):
        return text if text in value else None
    if kind == "k:" and isinstance(value, list):
        wanted = json.loads(text)
        return next(
            (
                i
                for i, item in enumerate(value)
                if isinstance(item, Mapping) and all(item.get(k, v) == v for k, v in wanted.items())
            ),
            None,
        )
    return None


def _owned(tree: Tree, body: Any, path: Path) -> tuple[bool, Any]:
    """The live value of a field that we own; the tree says it as far as we do."""
    node: Any = tree
    for i, token in enumerate(path):
        if LEAF in node:
            return _inner(node[LEAF], path[i:])
        name = f"f:{token}" if isinstance(token, str) else _item(node, body, token)
        if name not in node:
            return False, None
        node = node[name]
        body = _child(body, token)
    return True, node[LEAF] if LEAF in node else _joined(node, body)


def _item(node: Tree, body: Any, index: int) -> str:
    item = _child(body, index)
    for name in node:
        if name.startswith("k:") and isinstance(item, Mapping):
            wanted = json.loads(name[2:])
            if all(item.get(k, v) == v for k, v in wanted.items()):
                return name
        if name.startswith("v:") and json.loads(name[2:]) == item:
            return name
    return ""


def _joined(node: Tree, declared: Any = None) -> Any:
    """The value that a subtree stands for; a list in the order of what is declared, as far as that goes."""
    if any(name.startswith(("k:", "v:")) for name in node):
        return [
            found[LEAF] if LEAF in found else {**json.loads(name[2:]), **_joined(found)}
            for name, found in sorted(node.items(), key=lambda item: _rank(item[0], declared))
        ]
    return {name[2:]: found[LEAF] if LEAF in found else _joined(found) for name, found in node.items()}


def _rank(name: str, declared: Any) -> int:
    position = _position(name, declared)
    return position if isinstance(position, int) else len(declared or ())


def _inner(value: Any, path: Path) -> tuple[bool, Any]:
    for token in path:
        if isinstance(value, Mapping) and str(token) in value:
            value = value[str(token)]
        elif isinstance(value, list) and isinstance(token, int) and token < len(value):
            value = value[token]
        else:
            return False, None
    return True, value


def _child(value: Any, token: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(str(token))
    if isinstance(value, list) and isinstance(token, int) and token < len(value):
        return value[token]
    return None


def _put(body: Any, path: Path, value: Any) -> None:
    for token in path[:-1]:
        if isinstance(body, dict):
            body = body.setdefault(token, {})
        elif isinstance(body, list) and isinstance(token, int) and token < len(body):
            body = body[token]
        else:
            return
    last = path[-1]
    if isinstance(body, list):
        body[int(last)] = value
    elif isinstance(body, dict):
        body[last] = value


def _drop(body: Any, path: Path) -> None:
    for token in path[:-1]:
        body = _child(body, token)
    if isinstance(body, dict):
        body.pop(path[-1], None)
    elif isinstance(body, list) and isinstance(path[-1], int) and path[-1] < len(body):
        del body[path[-1]]


def _shown(body: Any, path: Path) -> str:
    """As `live.join` writes a field."""
    text = ""
    for token in path:
        item = _child(body, token)
        if isinstance(token, int):
            name = item.get("name") if isinstance(item, Mapping) else None
            text += f"[name={name}]" if name is not None else f"[{token}]"
        else:
            plain = token if all(c.isalnum() or c in "-_" for c in token) else f"[{token}]"
            text += plain if plain.startswith("[") or not text else f".{plain}"
        body = item
    return text


def _order(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple((t, "") if isinstance(t, int) else (-1, t) for t in path)
