"""Kubernetes quantities (`500m`, `1.5Gi`, `1e3`) in their canonical spelling.

Decides when two spellings are the same amount. Pure; called by `podtemplate`.
"""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_MAX_BINARY = 2**63 - 1


def canonical(text: str, *, smallest: int = -9) -> str | None:
    """The spelling that Kubernetes stores, or None when `text` is no quantity.

    Amounts are rounded up to 10**`smallest`: nano everywhere, milli in resource lists.
    """
    found = _QUANTITY.fullmatch(text.strip())
    if not found:
        return None
    sign, digits, suffix = found[1], found[2], found[3] or ""
    amount = Fraction(f"0{digits}" if digits.startswith(".") else digits)
    if suffix in _BINARY[1:]:
        spelled = _binary(amount * 1024 ** _BINARY.index(suffix), smallest)
    elif suffix in _DECIMAL:
        spelled = _decimal(amount * Fraction(10) ** _DECIMAL[suffix], smallest)
    else:
        spelled = _exponent(amount * Fraction(10) ** int(suffix[1:]), smallest)
        if spelled == text.lower():
            return text  # 12E6 keeps its E
    return f"-{spelled}" if sign == "-" and spelled != "0" else spelled


def _binary(amount: Fraction, smallest: int) -> str:
    if amount < 1024:
        return _decimal(amount, smallest)
    whole, power = min(_ceil(amount), _MAX_BINARY), 0
    while whole % 1024 == 0 and power < len(_BINARY) - 1:
        whole, power = whole // 1024, power + 1
    return f"{whole}{_BINARY[power]}"


def _decimal(amount: Fraction, smallest: int) -> str:
    whole, exponent = _thousands(amount, smallest, largest=18)
    return f"{whole}{_SUFFIX[exponent]}"


def _exponent(amount: Fraction, smallest: int) -> str:
    whole, exponent = _thousands(amount, smallest, largest=None)
    return f"{whole}e{exponent}" if exponent else str(whole)


def _thousands(amount: Fraction, smallest: int, largest: int | None) -> tuple[int, int]:
    whole, exponent = _ceil(amount / Fraction(10) ** smallest), smallest
    if whole == 0:
        return 0, 0
    while whole % 1000 == 0 and (largest is None or exponent < largest):
        whole, exponent = whole // 1000, exponent + 3
    return whole, exponent


def _ceil(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)
