# SPDX-License-Identifier: BSD-3-Clause
"""Explicit signatures as Numba writes them: "float64(float64[:], int64)", "(f8[:, ::1], i8)", or objects of Numba's own types."""

from __future__ import annotations

import re
from typing import Any, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from .calls import Kind

_ALIASES = {"boolean": "?", "bool": "?", "bool_": "?", "b1": "?", "double": "f8", "float": "f4", "float_": "f8", "int": "i8",
            "int_": "i8", "intp": "i8", "uintp": "u8", "uint": "u8", "intc": "i4", "uintc": "u4", "byte": "u1", "char": "i1", "uchar": "u1",
            "short": "i2", "ushort": "u2", "long_": "i8", "ulong": "u8",
            "longlong": "i8", "ulonglong": "u8", "complex": "c16"}
_TYPE = re.compile(r"\s*(?:\w+\.)*(\w+)\s*(?:\[([^\]]*)\])?\s*$")


class Type(NamedTuple):
    """An argument's: a number (ndim 0) or an array; order "A": any."""

    dtype: np.dtype
    ndim: int = 0
    order: str = "A"

    def __str__(self) -> str:
        name = self.dtype.name
        return name if not self.ndim else f"array({name}, {self.ndim}d, {self.order})"


class Signature(NamedTuple):
    args: Tuple[Type, ...]
    result: Optional[Type]  # None: not said, void, or a tuple


def _type(text: str) -> Type:
    match = _TYPE.match(text)
    name = match.group(1) if match else ""
    try:
        if not match or (name not in _ALIASES and not re.fullmatch(r"(u?int|float|complex)\d+|[iufc]\d+", name)):
            raise TypeError
        dtype = np.dtype(_ALIASES.get(name, name))
    except TypeError:
        raise TypeError(f"'{text.strip()}' is no type of a signature; write float64, int64[:], float32[:, ::1], ...") from None
    if match.group(2) is None:
        return Type(dtype)
    axes = [a.strip() for a in match.group(2).split(",")]
    if any(a not in (":", "::1") for a in axes) or axes.count("::1") > 1 or (len(axes) > 2 and "::1" in axes[1:-1]):
        raise TypeError(f"'{text.strip()}': an array type has ':' or '::1' for each axis")
    order = "C" if axes[-1] == "::1" else "F" if axes[0] == "::1" else "A"
    return Type(dtype, len(axes), order)


def _split(text: str) -> List[str]:
    """At the commas outside brackets."""
    out, depth, part = [], 0, ""
    for c in text:
        depth += (c in "[(") - (c in "])")
        if c == "," and depth == 0:
            out.append(part)
            part = ""
        else:
            part += c
    return out + [part] if part.strip() else out


def _of_object(t: Any) -> Type:
    """One of Numba's type objects, by its attributes."""
    if hasattr(t, "ndim") and hasattr(t, "layout"):
        return Type(np.dtype(str(t.dtype)), int(t.ndim), t.layout)
    return _type(str(t))


def parse(signature: Any) -> Signature:
    """A signature: text, tuple of argument types, or one of Numba's.

    Raises
    ------
    TypeError
    """
    if isinstance(signature, str):
        text = signature.strip()
        at = text.find("(")
        if at < 0 or not text.endswith(")"):
            raise TypeError(f"'{signature}' is no signature; write \"float64(float64[:], int64)\" or \"(float64[:], int64)\"")
        result = text[:at].strip()
        args = tuple(_type(a) for a in _split(text[at + 1 : -1]))
        known = result and result != "void" and not result.startswith(("Tuple", "UniTuple"))
        return Signature(args, _type(result) if known else None)
    if hasattr(signature, "args"):
        result = getattr(signature, "return_type", None)
        known = result is not None and str(result) != "none" and not str(result).startswith(("Tuple", "UniTuple"))
        return Signature(tuple(_of_object(t) for t in signature.args), _of_object(result) if known else None)
    if isinstance(signature, tuple):
        return Signature(tuple(_type(t) if isinstance(t, str) else _of_object(t) for t in signature), None)
    raise TypeError(f"a signature is a text such as \"float64(float64[:])\", not {type(signature).__name__}")


def parse_all(given: Any) -> List[Signature]:
    """One, or a list of them."""
    return [parse(s) for s in given] if isinstance(given, list) else [parse(given)]


def type_of(kind: Kind) -> Type:
    return Type(np.dtype(kind.dtype), len(kind.shape), kind.order)


def _takes_number(to: np.dtype, value: Any) -> bool:
    """Numba's conversions of numbers: within a kind, and from int to float to complex; bool to any."""
    given = np.asarray(value).dtype
    return given.kind == "b" or (to.kind != "b" and (np.can_cast(given, to, "same_kind") or (given.kind in "iu" and to.kind in "iufc")))


def convert(types: Tuple[Type, ...], values: Union[Tuple[Any, ...], List[Any]]) -> Optional[List[Any]]:
    """The values as this signature takes them, or None if it does not."""
    if len(types) != len(values):
        return None
    out = []
    for t, v in zip(types, values):
        if isinstance(v, np.ndarray) and v.ndim:
            flags = v.flags
            fits = v.ndim == t.ndim and v.dtype == t.dtype
            if not fits or (t.order == "C" and not flags.c_contiguous) or (t.order == "F" and not flags.f_contiguous):
                return None
            out.append(v)
        elif t.ndim or not _takes_number(t.dtype, v):
            return None
        else:
            if t.dtype.kind in "iu" and not np.iinfo(t.dtype).min <= int(v) <= np.iinfo(t.dtype).max:
                raise OverflowError(f"{v} does not fit into {t.dtype.name}")
            out.append(t.dtype.type(v))
    return out
