# SPDX-License-Identifier: BSD-3-Clause
"""Numba's surface: kernels with loops, compiled and run by the daemon. The language stands in kernels/compiler/LANGUAGE.md."""

from __future__ import annotations

import functools
import inspect
import threading
import types
import warnings
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from . import calls, inspection, session, signatures
from .capture import Captured, capture
from .client import Client
from .errors import Invalid, NotFound, SpikedError


def prange(*args: int) -> range:
    """As `range`. In a kernel made with ``@njit(parallel=True)`` it asks for parallel iterations: they are proved independent, or run in order
    (`Dispatcher.parallel_diagnostics` says which, and why)."""
    return range(*args)


_OURS = {"strict": bool, "assume_independent": bool, "parallel": bool}
_ACCEPTED = {"nopython", "nogil", "cache", "boundscheck", "inline", "locals", "debug", "looplift", "forceobj", "forceinline", "no_cpython_wrapper"}
_KNOWN = sorted(_ACCEPTED | set(_OURS) | {"fastmath", "error_model", "accuracy"})
_VARIANTS = 1024
_NUMBERS = (bool, int, float, complex, np.generic)


def _options(given: Dict[str, Any]) -> Dict[str, Any]:
    """Numba's options as the daemon's (SPEC.md 4.8).

    Raises
    ------
    TypeError, ValueError
    """
    unknown = sorted(set(given) - set(_KNOWN))
    if unknown:
        raise TypeError(f"unknown option {', '.join(unknown)}; known are {', '.join(_KNOWN)}")
    if given.get("forceobj"):
        raise TypeError("forceobj: there is no object mode; every kernel is compiled")
    if given.get("locals"):
        warnings.warn("locals= has no effect: the types of variables follow from what is assigned to them", RuntimeWarning, stacklevel=4)
    out: Dict[str, Any] = {k: bool(given[k]) for k in _OURS if given.get(k)}
    if given.get("fastmath"):
        out["fastmath"] = True
    for key, values in (("error_model", ("python", "numpy")), ("accuracy", ("fast", "high"))):
        if given.get(key) is not None:
            if given[key] not in values:
                raise ValueError(f"{key} must be one of {', '.join(map(repr, values))}, not {given[key]!r}")
            out[key] = given[key]
    return out


class Variant(NamedTuple):
    """A kernel compiled for one list of argument types."""

    captured: Captured
    kinds: Tuple[calls.Kind, ...]
    classes: Dict[int, int]
    description: Dict[str, Any]
    call: calls.Call
    writes: frozenset
    client: Client


def function_of(value: Any) -> Optional[types.FunctionType]:
    """The Python function of a kernel: ours, or one that Numba's decorator made; None for anything else."""
    if isinstance(value, Dispatcher):
        return value.py_func
    inner = getattr(value, "py_func", None)
    return inner if isinstance(inner, types.FunctionType) and type(value).__module__.startswith("numba.") else None


class Dispatcher(inspection.Inspection):
    """A kernel. Calling it compiles it for the types of the arguments, once for all users of the daemon, and runs it there.

    Arrays are changed in place where the kernel writes them. Numbers that it returns are Python's (``float32`` and ``complex64``: NumPy's).

    Attributes
    ----------
    py_func : function
        The Python function.
    """

    def __init__(self, function: Callable[..., Any], options: Dict[str, Any], wanted: Sequence[signatures.Signature] = ()):
        if isinstance(function, Dispatcher):
            function = function.py_func
        if not isinstance(function, types.FunctionType):
            raise TypeError(f"a kernel is made of a Python function, not of {type(function).__name__}")
        functools.update_wrapper(self, function)
        self.py_func = function
        self.targetoptions = dict(options)
        self._options = _options(options)
        self._wanted = list(wanted)
        self._names = self._parameter_names()
        self._lock = threading.RLock()
        self._captured: Optional[Captured] = None
        self._variants: Dict[Any, Variant] = {}
        self._by_call: Dict[Any, Variant] = {}
        self._hits = self._misses = 0
        for signature in self._wanted:
            self._compile_signature(signature)

    def _parameter_names(self) -> List[str]:
        parameters = inspect.signature(self.py_func).parameters.values()
        for p in parameters:
            if p.kind is not p.POSITIONAL_OR_KEYWORD:
                raise TypeError(f"{self.__name__}: the parameter {p} is of a kind that kernels do not have; name each parameter")
        self._signature = inspect.Signature(list(parameters))
        return [p.name for p in parameters]

    # --- compiling ---

    def _source(self) -> Captured:
        captured = self._captured
        if captured is None or not captured.is_current():
            with self._lock:
                captured = self._captured = capture(self.py_func, function_of)
                self._by_call.clear()
        return captured

    def _compile(self, client: Client, captured: Captured, kinds: Tuple[calls.Kind, ...], classes: Dict[int, int]) -> Variant:
        shapes: Dict[Tuple[int, ...], int] = {}
        key = (id(client), repr(captured.params), tuple(sorted(classes.items())),
               tuple((k.dtype, len(k.shape), k.order, k.read_only, k.shape and shapes.setdefault(k.shape, len(shapes))) for k in kinds))
        with self._lock:
            found = self._variants.get(key)
            if found is not None and found.client is client:
                self._hits += 1
                return found._replace(captured=captured, kinds=kinds, classes=classes)
            params = {**captured.params, "options": self._options} if self._options else captured.params
            try:
                description = calls.compile_program(client, params, calls.described(kinds, classes))
            except SpikedError as e:
                raise inspection.placed(e, captured) from None
            self._misses += 1
            if len(self._variants) >= _VARIANTS:
                self._variants.clear()
            call = calls.Call("call", {"id": description["id"]})
            variant = Variant(captured, kinds, classes, description, call, frozenset(description["writes"]), client)
            self._variants[key] = variant
            return variant

    def _compile_signature(self, signature: signatures.Signature) -> Variant:
        """Arrays of one rank are taken to have one shape, in C order; others are compiled when they come."""
        if len(signature.args) > len(self._names):
            raise TypeError(f"{self.__name__} takes {len(self._names)} arguments, the signature has {len(signature.args)}")
        captured = self._source()
        kinds = [calls.Kind(t.dtype.str, tuple(range(2, 2 + t.ndim)), "F" if t.order == "F" and t.ndim > 1 else "C")
                 for t in signature.args]
        kinds += [calls.array(n, a)[0]._replace(read_only=True) for n, a in zip(captured.array_names, captured.arrays)]
        return self._compile(session.current(), captured, tuple(kinds), {})

    # --- calling ---

    def _bind(self, args: Tuple[Any, ...], named: Dict[str, Any]) -> Tuple[Any, ...]:
        try:
            bound = self._signature.bind(*args, **named)
        except TypeError as e:
            raise TypeError(f"{self.__name__}() {e}") from None
        bound.apply_defaults()
        return tuple(bound.arguments[n] for n in self._names)

    def _choose(self, values: Tuple[Any, ...]) -> Tuple[Sequence[Any], Optional[signatures.Type]]:
        """The values as the first signature that takes them wants them, and its result."""
        for signature in self._wanted:
            converted = signatures.convert(signature.args, values)
            if converted is not None:
                return converted, signature.result
        given = ", ".join(str(signatures.type_of(self._argument(n, v)[0])) for n, v in zip(self._names, values))
        raise TypeError(f"{self.__name__}: no matching definition for argument types ({given})")

    def _argument(self, name: str, value: Any) -> Tuple[calls.Kind, calls.Payload]:
        if isinstance(value, np.ndarray) and value.ndim:
            kind, sent = calls.array(name, value)
            return (kind if value.flags.writeable else kind._replace(read_only=True)), sent
        if isinstance(value, np.ndarray):
            value = value[()]
        if isinstance(value, _NUMBERS):
            kind, raw = calls.scalar(name, value)
            return (kind._replace(weak=False) if kind.weak else kind), raw
        raise TypeError(f"{self.__name__}: argument {name} is of type {type(value).__name__}; NumPy arrays, numbers and bools are possible")

    def __call__(self, *args: Any, **named: Any) -> Any:
        client = session.current()
        values: Sequence[Any] = args if not named and len(args) == len(self._names) else self._bind(args, named)
        captured = self._source()
        result_type = None
        if self._wanted:
            values, result_type = self._choose(tuple(values))
        kinds: List[calls.Kind] = []
        payload: List[calls.Payload] = []
        for name, value in zip(self._names, values):
            kind, sent = self._argument(name, value)
            kinds.append(kind)
            payload.append(sent)
        for name, a in zip(captured.array_names, captured.arrays):
            kind, sent = calls.array(name, a)
            kinds.append(kind._replace(read_only=True))
            payload.append(sent)
        arrays = [(k, p) for k, p in enumerate(payload) if isinstance(p, np.ndarray)]
        classes = calls.overlapping(arrays) if len(arrays) > 1 else {}
        key = (tuple(kinds), tuple(classes.items()), id(client))
        variant = self._by_call.get(key)
        if variant is None or variant.captured is not captured or variant.client is not client:
            if len(self._by_call) >= _VARIANTS:
                self._by_call.clear()
            variant = self._by_call[key] = self._compile(client, captured, key[0], classes)
        else:
            self._hits += 1
        originals: Sequence[Any] = [*values, *captured.arrays]
        self._check_overlaps(variant, originals, payload)
        header, got = self._send(variant, payload)
        for text in header.get("warnings", ()):
            warnings.warn(f"{self.__name__}: {text}", RuntimeWarning, stacklevel=2)
        self._copy_back(variant, originals, payload, got)
        return self._results(header["result"], originals, payload, got, result_type)

    def _check_overlaps(self, variant: Variant, originals: Sequence[Any], payload: Sequence[calls.Payload]) -> None:
        """What overlaps and is written must be the caller's own memory: copies would not see each other's changes."""
        if not variant.writes:
            return
        names = [*self._names, *variant.captured.array_names]
        if variant.classes and not variant.client._memory:
            written = [k for k in variant.writes if k in variant.classes]
            if written:
                raise Invalid(f"{self.__name__}: {names[written[0]]} is written and shares memory with another argument",
                              "give it a copy, or connect over the unix socket as the daemon's user", names[written[0]])
        arrays = [k for k, p in enumerate(payload) if isinstance(p, np.ndarray)]
        for k in (k for k in arrays if calls.address(payload[k]) != calls.address(originals[k])):
            for j in arrays:
                if j != k and (k in variant.writes or j in variant.writes) and _share(originals[k], originals[j]):
                    raise Invalid(f"{self.__name__}: {names[k]} is not contiguous and shares memory with {names[j]}, and one of them is written",
                                  "give it a copy", names[k])

    def _send(self, variant: Variant, payload: Sequence[calls.Payload]) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
        shared = frozenset(variant.classes)
        try:
            return variant.call(variant.client, variant.kinds, payload, None, shared)
        except NotFound:
            pass  # the daemon was restarted, or has forgotten it
        except SpikedError as e:
            raise inspection.placed(e, variant.captured) from None
        try:
            with self._lock:
                self._variants.clear()
                self._by_call.clear()
            again = self._compile(variant.client, variant.captured, variant.kinds, variant.classes)
            return again.call(again.client, again.kinds, payload, None, shared)
        except SpikedError as e:
            raise inspection.placed(e, variant.captured) from None

    def _copy_back(self, variant: Variant, originals: Sequence[Any], payload: Sequence[calls.Payload], got: Dict[str, np.ndarray]) -> None:
        for k in variant.writes:
            came = got.get(f"a{k}")
            if came is not None:
                np.copyto(originals[k], came)
            elif calls.address(payload[k]) != calls.address(originals[k]):
                np.copyto(originals[k], payload[k])

    def _results(self, result: Dict[str, Any], originals: Sequence[Any], payload: Sequence[calls.Payload], got: Dict[str, np.ndarray],
                 result_type: Optional[signatures.Type]) -> Any:
        values = []
        for entry in result["results"]:
            number = entry.get("argument")
            if number is not None:
                values.append(originals[number])
                continue
            value = got[entry["array"]]
            if value.ndim == 0:
                value = value[()]
                if result_type is not None:
                    value = result_type.dtype.type(value)
                if value.dtype.char in _PYTHON:
                    value = value.item()
            values.append(value)
        form = result["form"]
        return None if form == "none" else tuple(values) if form == "tuple" else values[0]

    # --- as a function ---

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<spiked kernel {self.__module__}.{self.__qualname__}>"

    def __reduce__(self) -> Any:
        return inspection.reduced(self)


# What becomes a number of Python's own: all but float32 and complex64, which it does not have.
_PYTHON = np.typecodes["AllInteger"] + "?dD"


def _share(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=100_000))
    except Exception:  # np.TooHardError moved between NumPy's versions
        return True


def jit(signature_or_function: Any = None, **options: Any) -> Any:
    """Decorator: makes a kernel of a function, ``@njit``, ``@njit(parallel=True)`` or ``@njit("float64(float64[:])")``.

    Parameters
    ----------
    signature_or_function
        The function; or a signature or a list of them, for which it is compiled at once and which alone it then takes.
    parallel : bool
        `prange` loops run in parallel where that is proved right.
    fastmath : bool
        Sums and products may be re-ordered and contracted.
    error_model : {'python', 'numpy'}
        An integer divided by zero is an error, or 0 and a warning.
    strict : bool
        A `prange` loop that cannot run in parallel is an error.
    assume_independent : bool
        The caller vouches for what cannot be proved.
    accuracy : {'fast', 'high'}
        Functions within 4 ULP, or about 1.
    nopython, nogil, cache, boundscheck, inline, locals, debug, looplift, forceinline
        As Numba takes them; without effect: kernels are always compiled and kept, the interpreter's lock is free while they run, bounds are checked.

    Returns
    -------
    Dispatcher

    Raises
    ------
    TypeError
        An unknown option; no function; a signature that cannot be read.
    """
    if isinstance(signature_or_function, (types.FunctionType, Dispatcher)):
        return Dispatcher(signature_or_function, options)
    _options(options)
    if callable(signature_or_function) and not hasattr(signature_or_function, "args"):
        raise TypeError(f"a kernel is made of a Python function, not of {type(signature_or_function).__name__}")
    wanted = [] if signature_or_function is None else signatures.parse_all(signature_or_function)
    return lambda function: Dispatcher(function, options, wanted)


njit = jit
