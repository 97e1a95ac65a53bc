"""Functions of strings. Pure. Called through the table in `functions`.

Decided here: positions and lengths count characters, where Go counts bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analysis.language import values
from analysis.language.values import Budget, Fault

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def of_texts(name: str, function: Callable[..., object]) -> Callable[[Sequence[object], Budget], object]:
    """A function of strings only."""

    def apply(arguments: Sequence[object], budget: Budget) -> object:
        texts = [values.text(argument, name) for argument in arguments]
        budget.spend(sum(map(len, texts)))
        found = function(*texts)
        return values.bounded_text(found) if isinstance(found, str) else found

    return apply


def trim(text: str, characters: str = _SPACE) -> str:
    return text.strip(characters)


def trim_prefix(text: str, prefix: str = " ") -> str:
    return text.removeprefix(prefix)


def trim_suffix(text: str, suffix: str = " ") -> str:
    return text.removesuffix(suffix)


def upper(text: str) -> str:
    return "".join(map(_one_for_one, text, text.upper() if text.isascii() else map(str.upper, text)))


def lower(text: str) -> str:
    return "".join(map(_one_for_one, text, text.lower() if text.isascii() else map(str.lower, text)))


def _one_for_one(before: str, after: str) -> str:
    """As in Go, a character never becomes several."""
    return after if len(after) == 1 else before


def replace(arguments: Sequence[object], budget: Budget) -> str:
    text, old, new = (values.text(argument, "replace") for argument in arguments[:3])
    most = values.integer(arguments[3], "replace") if len(arguments) > 3 else -1
    times = text.count(old) if most < 0 else min(most, text.count(old))
    size = len(text) + times * (len(new) - len(old))
    if size > values.MAX_TEXT:
        raise Fault(f"replace gives more than {values.MAX_TEXT} characters")
    budget.spend(len(text) + len(new) + max(0, size))
    return text.replace(old, new, times)


def repeat(arguments: Sequence[object], budget: Budget) -> str:
    text, times = values.text(arguments[0], "repeat"), values.integer(arguments[1], "repeat")
    if times < 0 or len(text) * times > values.MAX_TEXT:
        raise Fault(f"repeat gives more than {values.MAX_TEXT} characters or a negative number of them")
    budget.spend(len(text) * times)
    return text * times


def split(arguments: Sequence[object], budget: Budget) -> list[object]:
    return values.bounded_items(list(_parts("split", arguments, budget)))


def split_after(arguments: Sequence[object], budget: Budget) -> list[object]:
    """As split, and the delimiter stays at the end of each part but the last."""
    parts, delimiter = _parts("splitAfter", arguments, budget), values.text(arguments[1], "splitAfter")
    return values.bounded_items([*(part + delimiter for part in parts[:-1]), *parts[-1:]])


def _parts(name: str, arguments: Sequence[object], budget: Budget) -> list[str]:
    text, delimiter = values.text(arguments[0], name), values.text(arguments[1], name)
    limit = values.integer(arguments[2], name) if len(arguments) > 2 else -1
    budget.spend(len(text))
    if limit == 0:
        return []
    cuts = limit - 1 if limit > 0 else -1
    return text.split(delimiter, cuts) if delimiter else _characters(text, cuts)


def _characters(text: str, cuts: int) -> list[str]:
    return list(text) if cuts < 0 or cuts >= len(text) else [*text[:cuts], text[cuts:]]


def join(arguments: Sequence[object], budget: Budget) -> str:
    parts = [values.text(item, "join") for item in values.items(arguments[0], "join")]
    glue = values.text(arguments[1], "join") if len(arguments) > 1 else ""
    size = sum(map(len, parts)) + len(glue) * max(0, len(parts) - 1)
    if size > values.MAX_TEXT:
        raise Fault(f"join gives more than {values.MAX_TEXT} characters")
    budget.spend(size)
    return glue.join(parts)
