"""Which of several versions is the newest that a range admits: `1.*`, `>=1.2 <2`, `~1.4 || ^2.0.1`.

Decides what a range means, as the library that Argo CD and Helm use (Masterminds/semver 3.4): a leading `v` and
missing parts are allowed, pre-releases count only for a range that names one (`>=1.2-0`). Pure; called by
`source` for tags and by the readers of charts and artifacts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Range", "Version", "is_range", "newest", "parse_range", "parse_version"]

_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_LABELS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_TAIL = rf"(?:-(?P<pre>{_LABELS}))?(?:\+{_LABELS})?"
_VERSION = re.compile(rf"v?(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER}))?(?:\.(?P<patch>{_NUMBER}))?{_TAIL}")
_PART = rf"(?:{_NUMBER}|[xX*])"
_OPERATORS = ("!=", ">=", "=>", "<=", "=<", "~>", ">", "<", "=", "~", "^", "")
_BOUND = re.compile(
    rf"(?P<operator>{'|'.join(re.escape(o) for o in _OPERATORS)})\s*"
    rf"v?(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?{_TAIL}"
)
_HYPHEN = re.compile(r"(?P<low>\S+)\s+-\s+(?P<high>\S+)")
_WILD = frozenset({"x", "X", "*"})
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Version:
    major: int
    minor: int
    patch: int
    pre: str = ""

    @property
    def key(self) -> tuple[int, int, int, bool, tuple[tuple[int, int, str], ...]]:
        """Sorts by precedence (semver.org, 11): a pre-release before its release, numbers before letters."""
        labels = tuple(
            (0, int(label), "") if label.isdigit() else (1, 0, label)
            for label in (self.pre.split(".") if self.pre else ())
        )
        return self.major, self.minor, self.patch, not self.pre, labels


@dataclass(frozen=True, slots=True)
class _Bound:
    """One comparison. `parts`: how many of major, minor, patch are given."""

    operator: str
    version: Version
    parts: int

    def admits(self, version: Version) -> bool:
        return _ADMITS[self.operator](self, version)


@dataclass(frozen=True, slots=True)
class Range:
    """Any of the groups, each of which must hold as a whole."""

    groups: tuple[tuple[_Bound, ...], ...]

    def admits(self, version: Version) -> bool:
        return any(_holds(group, version) for group in self.groups)


def parse_version(text: str) -> Version | None:
    found = _VERSION.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        return None
    major, minor, patch = (int(found[part] or 0) for part in ("major", "minor", "patch"))
    return Version(major, minor, patch, found["pre"] or "")


def parse_range(text: str) -> Range | None:
    """None for what is no range. A plain version is one, too."""
    if len(text) > _LONGEST:
        return None
    groups = [_group(part.strip()) for part in text.split("||")]
    return Range(tuple(g for g in groups if g)) if all(groups) else None


def is_range(text: str) -> bool:
    """Whether this asks for the newest of several; a version, however short, is only itself."""
    return parse_version(text) is None and parse_range(text) is not None


def newest(text: str, names: Iterable[str]) -> str | None:
    """The name of the newest version in a range; what is no version is passed over."""
    wanted = parse_range(text)
    if wanted is None:
        return None
    known = [(version, name) for name in names if (version := parse_version(name))]
    # By name, too: `1.0.0` and `v1.0.0` are one version, and the answer must not depend on their order.
    admitted = [(version.key, name) for version, name in known if wanted.admits(version)]
    return max(admitted)[1] if admitted else None


def _group(text: str) -> tuple[_Bound, ...]:
    """Bounds by comma or space; empty for what is none."""
    text = _HYPHEN.sub(lambda m: f">={m['low']} <={m['high']}", text)
    bounds, rest = [], text
    while rest:
        found = _BOUND.match(rest)
        if found is None:
            return ()
        bounds.append(_bound(found))
        after = rest[found.end() :]
        rest = after.lstrip(" \t,")
        if rest and rest == after:
            return ()
    return tuple(bounds)


def _bound(found: re.Match[str]) -> _Bound:
    given: list[int] = []
    for part in ("major", "minor", "patch"):
        if found[part] is None or found[part] in _WILD:
            break
        given.append(int(found[part]))
    major, minor, patch = (*given, 0, 0, 0)[:3]
    operator = {"=>": ">=", "=<": "<=", "~>": "~", "=": ""}.get(found["operator"], found["operator"])
    return _Bound(operator, Version(major, minor, patch, found["pre"] or ""), len(given))


def _holds(group: tuple[_Bound, ...], version: Version) -> bool:
    if version.pre and not any(bound.version.pre for bound in group):
        return False
    return all(bound.admits(version) for bound in group)


def _same(bound: _Bound, version: Version) -> bool:
    """Equal in all parts that are given."""
    mine, its = _numbers(bound.version), _numbers(version)
    if bound.parts < 3:
        return mine[: bound.parts] == its[: bound.parts]
    return bound.version.key == version.key


def _equal(bound: _Bound, version: Version) -> bool:
    return _tilde(bound, version) if bound.parts < 3 else _same(bound, version)


def _above(bound: _Bound, version: Version) -> bool:
    """`>1` begins at 2, `>1.2` at 1.3."""
    return version.key > bound.version.key and not (bound.parts < 3 and _same(bound, version))


def _below(bound: _Bound, version: Version) -> bool:
    return version.key < bound.version.key


def _tilde(bound: _Bound, version: Version) -> bool:
    """From here on, within the minor version; within the major one where no minor is given."""
    if version.key < bound.version.key:
        return False
    kept = min(bound.parts, 2)
    return _numbers(version)[:kept] == _numbers(bound.version)[:kept]


def _caret(bound: _Bound, version: Version) -> bool:
    """From here on, as long as the first part that is not zero stays."""
    if version.key < bound.version.key:
        return False
    mine = _numbers(bound.version)
    kept = next((i + 1 for i, n in enumerate(mine[: bound.parts]) if n), bound.parts)
    return _numbers(version)[:kept] == mine[:kept]


def _numbers(version: Version) -> tuple[int, int, int]:
    return version.major, version.minor, version.patch


_ADMITS: Mapping[str, Callable[[_Bound, Version], bool]] = {
    "": _equal,
    "!=": lambda bound, version: not _same(bound, version),
    ">": _above,
    ">=": lambda bound, version: not _below(bound, version),
    "<": _below,
    "<=": lambda bound, version: not _above(bound, version),
    "~": _tilde,
    "^": _caret,
}
