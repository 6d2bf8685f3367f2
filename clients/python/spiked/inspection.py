# SPDX-License-Identifier: BSD-3-Clause
"""What a kernel tells of itself: Numba's attributes of dispatchers, and the places of its errors."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, TextIO, Tuple

from . import calls, signatures
from .capture import Captured
from .errors import SpikedError

if TYPE_CHECKING:
    from .kernels import Dispatcher, Variant


class Stats(NamedTuple):
    """Calls that found the kernel compiled, and those that did not."""

    cache_hits: int
    cache_misses: int
    cache_path: Optional[str] = None


class Inspection:
    """The part of a dispatcher that only reports."""

    _variants: Dict[Any, "Variant"]
    _hits: int
    _misses: int
    __name__: str

    def _described(self) -> Dict[Tuple[signatures.Type, ...], "Variant"]:
        """The newest variant of each signature."""
        out = {}
        for v in list(self._variants.values()):
            n = len(v.kinds) - len(v.captured.arrays)
            out[tuple(signatures.type_of(k) for k in v.kinds[:n])] = v
        return out

    @property
    def signatures(self) -> List[Tuple[str, ...]]:
        """Types of the arguments it was compiled for, as text."""
        return [tuple(str(t) for t in types) for types in self._described()]

    @property
    def nopython_signatures(self) -> List[str]:
        """As `signatures`, with the results: ``(array(float64, 1d, C),) -> float64``."""
        return [f"({', '.join(map(str, types))}{',' if len(types) == 1 else ''}) -> {_result_text(v.description)}"
                for types, v in self._described().items()]

    @property
    def stats(self) -> Stats:
        return Stats(self._hits, self._misses)

    def _select(self, signature: Any) -> Dict[Tuple[str, ...], "Variant"]:
        known = {tuple(map(str, types)): v for types, v in self._described().items()}
        if signature is None:
            return known
        wanted = signature if isinstance(signature, tuple) and all(isinstance(s, str) for s in signature) else None
        if wanted in known:
            return {wanted: known[wanted]}
        types = signatures.parse(signature).args
        for key, v in known.items():
            given = [signatures.type_of(k) for k in v.kinds[: len(key)]]
            if len(given) == len(types) and all(g.dtype == t.dtype and g.ndim == t.ndim and t.order in ("A", g.order) for g, t in zip(given, types)):
                return {key: v}
        raise KeyError(f"{self.__name__} has not been compiled for {signature}")

    def _text(self, variant: "Variant", name: str) -> str:
        params = {**variant.captured.params, "options": self._options}  # type: ignore[attr-defined]
        description = calls.compile_program(variant.client, params, calls.described(variant.kinds, variant.classes), [name])
        return description["report" if name.startswith("report") else name]

    def _texts(self, signature: Any, name: str) -> Any:
        found = {key: self._text(v, name) for key, v in self._select(signature).items()}
        return found if signature is None else next(iter(found.values()))

    def inspect_llvm(self, signature: Any = None) -> Any:
        """LLVM's code before optimisation: {signature: text}, or the text of one signature."""
        return self._texts(signature, "llvm")

    def inspect_asm(self, signature: Any = None) -> Any:
        """Machine code as text: {signature: text}, or the text of one signature."""
        return self._texts(signature, "assembly")

    def inspect_types(self, file: Optional[TextIO] = None, pretty: bool = False, style: str = "default") -> None:
        """Prints, for each signature, source and typed intermediate code."""
        file = file or sys.stdout
        for key, v in self._select(None).items():
            print(f"{self.__name__} ({', '.join(key)})\n{'-' * 80}", file=file)
            first = v.captured.params["line"]
            for number, line in enumerate(v.captured.params["source"].splitlines(), first):
                print(f"# {number:5} {line}" if line else "", file=file)
            print(self._text(v, "ir"), file=file)
            print("=" * 80, file=file)

    def verdicts(self, signature: Any = None) -> List[Dict[str, Any]]:
        """The report of each loop (protocol/SPEC.md, 4.10) of the signature, or of the newest one."""
        found = list(self._select(signature).values())
        return found[-1].description["loops"] if found else []

    def parallel_diagnostics(self, signature: Any = None, level: int = 1) -> None:
        """Prints what became of each loop and why; levels 1 to 4 say more and more."""
        if level not in (1, 2, 3, 4):
            raise ValueError("level must be 1, 2, 3 or 4")
        for v in self._select(signature).values():
            print(self._text(v, f"report{level}"))

    def get_metadata(self, signature: Any = None) -> Any:
        """The daemon's descriptions (protocol/SPEC.md, 4.10): {signature: dict}, or that of one signature."""
        found = {key: dict(v.description) for key, v in self._select(signature).items()}
        return found if signature is None else next(iter(found.values()))

    def recompile(self) -> None:
        """Takes the source again and compiles it for the types it was compiled for."""
        with self._lock:  # type: ignore[attr-defined]
            old = list(self._variants.values())
            self._variants.clear()
            self._captured = None
        captured = self._source()  # type: ignore[attr-defined]
        for v in old:
            n = len(v.kinds) - len(v.captured.arrays)
            kinds = v.kinds[:n] + tuple(calls.array(name, a)[0]._replace(read_only=True) for name, a in zip(captured.array_names, captured.arrays))
            if all(k < n for k in v.classes):
                self._compile(v.client, captured, kinds, v.classes)  # type: ignore[attr-defined]


def _result_text(description: Dict[str, Any]) -> str:
    results = [str(signatures.type_of(calls.Kind(r["dtype"], (1,) * r["ndim"]))) for r in description["results"]]
    if description["form"] == "none":
        return "none"
    return f"Tuple({', '.join(results)})" if description["form"] == "tuple" else results[0]


# "name (file:12, column 3): ...", "name (file:12): ..."
_PLACE = re.compile(r"\(([^()\n]*):(\d+)(?=[,)])")


def placed(error: SpikedError, captured: Captured) -> SpikedError:
    """An error whose line, if it is of a kernel from elsewhere, is that kernel's own."""
    match = _PLACE.search(error.message)
    if not match:
        return error
    line = int(match.group(2))
    for first, last, file, own in captured.moved:
        if first <= line <= last:
            message = f"{error.message[:match.start()]}({os.path.basename(file)}:{own + line - first}{error.message[match.end():]}"
            return type(error)(message, error.hint, error.field, error.details)
    return error


def _load(module: str, name: str, make: Callable[..., Any], parts: Tuple[Any, ...]) -> Any:
    """The kernel of that name where it was defined; without one, a new one of its parts."""
    try:
        value: Any = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
        if isinstance(value, Inspection):
            return value
    except (ImportError, AttributeError):
        pass
    return make(*parts)


def _rebuild(source: Tuple[str, str, int], name: str, module: str, values: Dict[str, Any], defaults: Any, options: Dict[str, Any],
             wanted: Any) -> Any:
    """A kernel of its text and what it uses, in another process."""
    from .kernels import Dispatcher

    world: Dict[str, Any] = {"__name__": module, **values}
    exec(compile("\n" * (source[2] - 1) + source[0], source[1], "exec"), world)
    function = world[name]
    function.__spiked_source__ = source
    function.__defaults__ = defaults
    return Dispatcher(function, options, wanted)


def reduced(kernel: "Dispatcher") -> Any:
    """How it is pickled: by its name, and by its text and values for a process that does not have the name."""
    from . import capture as c

    function = kernel.py_func
    source = c.source_of(function)
    values = {}
    cells = c.cells_of(function)
    for free in source.free:
        value = c.look_up(function, cells, free)
        if value is not c._NOTHING and not (c.public_name(value) or "").startswith("builtins."):
            values[free] = _Module(value.__name__) if type(value) is type(sys) else value
    parts = ((source.text, source.file, source.line), source.name, function.__module__, values, function.__defaults__, kernel.targetoptions,
             kernel._wanted)
    return _load, (function.__module__, function.__qualname__, _rebuild, parts)


class _Module:
    """Stands for a module in a pickle, and is one when it comes out."""

    def __init__(self, name: str):
        self.name = name

    def __reduce__(self) -> Any:
        return importlib.import_module, (self.name,)
