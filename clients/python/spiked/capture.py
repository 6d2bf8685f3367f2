# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel is made of: its source text, and the names it takes from around it, by value (protocol/SPEC.md 4.8, "globals")."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import os
import symtable
import types
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from . import calls
from .errors import TypingError

_LINES = 20000  # empty lines that may stand between kernels of one file, so that each keeps its line numbers

_NOTHING = object()


class Source(NamedTuple):
    """One function's text, from its ``def`` on."""

    text: str
    file: str
    line: int
    name: str
    free: Tuple[str, ...]
    uses: Tuple[Tuple[int, int, str], ...]  # line (from 0), column (characters), name: where the free names stand
    own: frozenset  # names that are local somewhere in it

    @property
    def nlines(self) -> int:
        return self.text.count("\n") + 1


def _lines_of(function: types.FunctionType) -> Tuple[List[str], str, int]:
    """(lines, file, number of the first line)."""
    given = getattr(function, "__spiked_source__", None)
    if given is not None:
        text, file, line = (given, "<source>", 1) if isinstance(given, str) else given
        return text.splitlines(), file, line
    try:
        lines, line = inspect.getsourcelines(function)
    except (OSError, TypeError, IndentationError):
        raise TypeError(f"{function.__qualname__}: its source text cannot be found; write the function in a file or a notebook cell, or set its "
                        "__spiked_source__ to the text before it is compiled") from None
    return [x.rstrip("\n") for x in lines], inspect.getsourcefile(function) or function.__code__.co_filename, max(line, 1)


def _dedent(lines: List[str]) -> List[str]:
    """Without the first line's indentation. A text inside quotes may stand further left."""
    first = lines[0]
    margin = first[: len(first) - len(first.lstrip())]
    return [x[len(margin):] if x.startswith(margin) else x for x in lines] if margin else lines


def _tables(table: symtable.SymbolTable) -> List[symtable.SymbolTable]:
    return [table] + [t for child in table.get_children() for t in _tables(child)]


def source_of(function: types.FunctionType) -> Source:
    """The source of a function.

    Raises
    ------
    TypeError
        There is none, or it is a lambda.
    """
    if function.__name__ == "<lambda>":
        raise TypeError("a lambda cannot be compiled: write it as a function with def")
    lines, file, line = _lines_of(function)
    lines = _dedent(lines)
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError as e:
        raise TypeError(f"{function.__qualname__}: its source text cannot be read: {e}") from None
    node = next((n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n.name == function.__name__), None)
    if not isinstance(node, ast.FunctionDef):
        raise TypeError(f"{function.__qualname__}: its source text does not define a function {function.__name__}")
    text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    module = symtable.symtable(text, file, "exec")
    tables = [t for child in module.get_children() for t in _tables(child)]
    symbols = [s for t in tables for s in t.get_symbols()]
    free = {s.get_name() for s in symbols if s.is_global() and s.is_referenced()}
    defaults = {n.id for d in node.args.defaults for n in ast.walk(d) if isinstance(n, ast.Name)}
    own = frozenset(s.get_name() for s in symbols if s.is_local() or s.is_parameter())
    body = ast.parse(text)
    rows = text.split("\n")
    uses = tuple((n.lineno - 1, len(rows[n.lineno - 1].encode()[: n.col_offset].decode()), n.id)
                 for n in ast.walk(body) if isinstance(n, ast.Name) and n.id in free)
    return Source(text, file, line + node.lineno - 1, node.name, tuple(sorted(free | defaults)), uses, own)


def cells_of(function: types.FunctionType) -> Dict[str, Any]:
    return dict(zip(function.__code__.co_freevars, function.__closure__ or ()))


def look_up(function: types.FunctionType, cells: Dict[str, Any], name: str) -> Any:
    """The value of a free name now; _NOTHING if it has none."""
    cell = cells.get(name)
    if cell is not None:
        try:
            return cell.cell_contents
        except ValueError:
            return _NOTHING
    value = function.__globals__.get(name, _NOTHING)
    return value if value is not _NOTHING else getattr(builtins, name, _NOTHING)


def _number(value: float) -> Any:
    if isinstance(value, int):
        return str(value) if abs(value) > 1 << 53 else value
    return value if math.isfinite(value) else "nan" if value != value else "inf" if value > 0 else "-inf"


def constant(name: str, value: Any) -> Dict[str, Any]:
    """{"dtype", "weak", "value"} of a number."""
    kind, _ = calls.scalar(name, value)
    item = value.item() if isinstance(value, np.generic) else value
    out: Any = bool(item) if kind.dtype == "|b1" else [_number(item.real), _number(item.imag)] if isinstance(item, complex) else _number(
        int(item) if isinstance(item, int) else float(item))
    return {"dtype": kind.dtype, "weak": kind.weak, "value": out}


def public_name(value: Any) -> Optional[str]:
    """The name of a module or function that the language has ("numpy.sqrt"), or None."""
    if isinstance(value, types.ModuleType):
        return value.__name__ if value in (np, math) else None
    name = getattr(value, "__name__", None)
    if not isinstance(name, str):
        return None
    module = getattr(value, "__module__", None) or ""
    if name == "prange" and module.split(".")[0] in ("spiked", "numba"):
        return "spiked.prange"
    for of in (builtins, np, math):
        if getattr(of, name, _NOTHING) is value:
            return f"{of.__name__}.{name}"
    return None


class Captured(NamedTuple):
    """A kernel with all that it uses, as the daemon takes it. `seen`: the values that were captured; while they stay the same, so does this."""

    params: Dict[str, Any]
    arrays: Tuple[np.ndarray, ...]
    array_names: Tuple[str, ...]
    seen: Tuple[Tuple[Any, Dict[str, Any], str, Any], ...]
    moved: Tuple[Tuple[int, int, str, int], ...]  # lines of the text that are elsewhere: first, last, file, line of the first

    def is_current(self) -> bool:
        for function, cells, name, value in self.seen:
            if look_up(function, cells, name) is not value:
                return False
        return True


class _Collector:
    """Joins a kernel and those it calls into one text with one set of globals."""

    def __init__(self, kernel_of: Any):
        self.kernel_of = kernel_of  # the function of a @njit kernel, or None
        self.names: Dict[str, Any] = {}       # in the text: the value it stands for
        self.renamed: Dict[int, str] = {}     # id of a function: its name in the text
        self.texts: List[Tuple[Source, str]] = []
        self.globals: List[Dict[str, Any]] = []
        self.arrays: Dict[str, np.ndarray] = {}
        self.seen: List[Tuple[Any, Dict[str, Any], str, Any]] = []
        self.path: List[types.FunctionType] = []
        self.keep: List[Any] = []

    def free_name(self, wanted: str, value: Any) -> str:
        """A name of the text that nothing else has."""
        name, n = wanted, 1
        while self.names.get(name, value) is not value or (name != wanted and hasattr(builtins, name)):
            n += 1
            name = f"{wanted}__{n}"
        self.names[name] = value
        return name

    def add_kernel(self, function: types.FunctionType) -> str:
        """Adds its text, and all it uses; its name there."""
        if function in self.path:
            names = " -> ".join(f.__name__ for f in self.path[self.path.index(function):] + [function])
            raise TypingError(f"{names}: kernels that call each other in a circle cannot be compiled", "write the recursion as a loop")
        known = self.renamed.get(id(function))
        if known is not None:
            return known
        self.path.append(function)
        self.keep.append(function)
        source = source_of(function)
        name = self.renamed[id(function)] = self.free_name(source.name, function)
        cells, changes = cells_of(function), {}
        for free in source.free:
            value = look_up(function, cells, free)
            self.seen.append((function, cells, free, value))
            new = self._add_value(source, free, value)
            if new != free:
                changes[free] = new
        self.texts.append((source, _renamed(source, changes, name)))
        self.path.pop()
        return name

    def _add_value(self, source: Source, free: str, value: Any) -> str:
        if value is _NOTHING:
            return free  # the daemon says so, with the place
        kernel = self.kernel_of(value)
        if kernel is not None:
            return self.add_kernel(kernel)
        entry: Dict[str, Any]
        if isinstance(value, (bool, int, float, complex, np.generic)):
            entry = {"constant": constant(free, value)}
        elif isinstance(value, np.ndarray):
            entry = {"constant": constant(free, value[()])} if value.ndim == 0 else {"argument": True}
        else:
            target = public_name(value)
            if target == f"builtins.{free}":
                return free
            if target is None:
                raise self._unusable(source, free, value)
            entry = {"library": target}
        name = self.free_name(free, value)
        if all(g["name"] != name for g in self.globals):
            self.globals.append({"name": name, **entry})
            if "argument" in entry:
                self.arrays[name] = value
        return name

    def _unusable(self, source: Source, free: str, value: Any) -> TypingError:
        hint = "possible are numbers, bools, NumPy arrays, numpy and math and their functions, and kernels made with @njit"
        if isinstance(value, types.FunctionType):
            hint = f"decorate {free} with @njit"
        elif isinstance(value, types.ModuleType):
            hint = f"give what is needed of it a name of its own, outside the kernel: name = {free}.name"
        line = next((source.line + row for row, _, name in source.uses if name == free), source.line)
        place = f"{source.name} ({os.path.basename(source.file)}:{line})"
        return TypingError(f"{place}: '{free}' is of type {type(value).__name__}, which a kernel cannot use", hint, free)


def _renamed(source: Source, changes: Dict[str, str], name: str) -> str:
    """The text with other names for the free ones in `changes`, and for the function itself."""
    clash = set(changes) & source.own
    if clash:
        raise TypingError(f"{source.name}: '{min(clash)}' is a name from outside and, in a function inside, a variable", "rename the variable")
    rows = source.text.split("\n")
    for row, column, free in sorted(source.uses, reverse=True):
        if free in changes:
            rows[row] = rows[row][:column] + changes[free] + rows[row][column + len(free):]
    if name != source.name:
        rows[0] = rows[0].replace(source.name, name, 1)
    return "\n".join(rows)


def _joined(texts: List[Tuple[Source, str]]) -> Tuple[str, int, Tuple[Tuple[int, int, str, int], ...]]:
    """One text of all, the number of its first line, and which lines of it are elsewhere. Those of the first one's file keep their lines."""
    root = texts[0][0]
    here = sorted((t for t in texts if t[0].file == root.file), key=lambda t: t[0].line)
    at = here.index(texts[0])
    low = high = at
    while low and _follows(here[low - 1][0], here[low][0]):
        low -= 1
    while high + 1 < len(here) and _follows(here[high][0], here[high + 1][0]):
        high += 1
    placed = here[low : high + 1]
    first = placed[0][0].line
    out: List[str] = []
    for source, text in placed:
        out += [""] * (source.line - first - len(out)) + text.split("\n")
    moved = []
    for t in texts:
        if t not in placed:
            moved.append((first + len(out), first + len(out) + t[0].nlines - 1, t[0].file, t[0].line))
            out += t[1].split("\n")
    return "\n".join(out) + "\n", first, tuple(moved)


def _follows(a: Source, b: Source) -> bool:
    return a.line + a.nlines <= b.line <= a.line + _LINES


def capture(function: types.FunctionType, kernel_of: Any) -> Captured:
    """A kernel with all that it uses now. kernel_of(value): the function of a @njit kernel, or None.

    Raises
    ------
    TypeError
        No source; a name that cannot be used; kernels in a circle.
    """
    c = _Collector(kernel_of)
    name = c.add_kernel(function)
    texts = [c.texts[-1], *c.texts[:-1]]  # callees are added before their callers
    text, line, moved = _joined(texts)
    params: Dict[str, Any] = {"source": text, "kernel": name, "file": os.path.basename(texts[0][0].file), "line": line}
    if c.globals:
        params["globals"] = c.globals
    return Captured(params, tuple(c.arrays.values()), tuple(c.arrays), tuple(c.seen), moved)
