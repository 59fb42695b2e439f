"""Kubernetes quantities (`100m`, `0.5`, `64Mi`, `1e3`), exactly."""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?\d{1,2}))?", re.ASCII)
_SUFFIXES = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 10**3),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9),
    "T": Fraction(10**12), "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30),
    "Ti": Fraction(2**40), "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip
_MAX_LENGTH = 64
_MAX_BYTES = 2**63 - 1


def parsed_quantity(text: str) -> Fraction:
    """Read a quantity.

    Raises:
        ValueError: it is none; the message says what is expected.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"{text[:_MAX_LENGTH]!r} is not a quantity such as 500m, 0.5, 64Mi or 1G")
    sign, whole, fraction, suffix, exponent = match.groups(default="")
    digits = Fraction(int(whole + fraction), 10 ** len(fraction))
    scale = _SUFFIXES[suffix] if suffix else Fraction(10) ** int(exponent or "0")
    return digits * scale * (-1 if sign == "-" else 1)


def processors(text: str) -> float:
    """Read an amount of processors, more than 0 and in thousandths, as Kubernetes has it.

    Raises:
        ValueError: it is not.
    """
    amount = parsed_quantity(text)
    if amount <= 0:
        raise ValueError(f"{text!r} must be more than 0")
    if (amount * 1000).denominator != 1:
        raise ValueError(f"{text!r} is finer than 1m, a thousandth of a processor")
    return float(amount)


def byte_count(text: str) -> int:
    """Read an amount of bytes, more than 0; a fraction of a byte is rounded up, as Kubernetes does.

    Raises:
        ValueError: it is not; also with the suffixes m, u and n, which never mean what was intended.
    """
    amount = parsed_quantity(text)
    if text[-1] in "mun":
        raise ValueError(f"{text!r} would be a fraction of a byte: write {text[:-1]}M or {text[:-1]}Mi for megabytes")
    if amount <= 0:
        raise ValueError(f"{text!r} must be more than 0")
    count = -(-amount.numerator // amount.denominator)
    if count > _MAX_BYTES:
        raise ValueError(f"{text!r} is more than {_MAX_BYTES} bytes")
    return count
