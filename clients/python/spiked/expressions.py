# SPDX-License-Identifier: BSD-3-Clause
"""NumExpr's surface: array expressions, evaluated by the daemon.

The language and what differs from NumExpr stand in kernels/compiler/LANGUAGE.md, section 7.
"""

from __future__ import annotations

import ast
import math
import re
import sys
import threading
import types
import warnings
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from . import calls, memory, session
from .errors import Invalid, InvalidSyntax, SpikedError, TypingError, UnknownName

_CACHE = 1024
_REDUCTIONS = {"sum", "prod", "min", "max", "any", "all", "mean", "var", "std", "argmin", "argmax", "median", "dot"}
_CASTINGS = ("no", "equiv", "safe", "same_kind", "unsafe")
_WORD = re.compile(r"(?<![\w.])([A-Za-z_]\w*)(?!\w|\s*\(|\s*=(?!=))")


def _names_of(text: str) -> Tuple[Set[str], bool, bool]:
    """(names that are not called, may it reduce, can Python read it)."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return set(), False, False
    except (RecursionError, MemoryError):
        # Too deep for Python, not for the daemon: the words of it.
        words = set(_WORD.findall(text)) - {"True", "False", "None", "and", "or", "not", "in", "is", "if", "else", "lambda"}
        return words, True, True
    names, called, reduces = set(), set(), False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add((node.id, id(node)))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(id(node.func))
            reduces |= node.func.id in _REDUCTIONS
        elif isinstance(node, (ast.Attribute, ast.Subscript)):
            reduces = True
    return {name for name, node in names if node not in called}, reduces, True


class _Expression:
    """A text, and everything that is known of it by now. May be used by several threads at once."""

    def __init__(self, text: str, accuracy: Optional[str]):
        self.text = text
        names, self.reduces, self.readable = _names_of(text)
        self.names = tuple(sorted(names))
        self.params: Dict[str, Any] = {"expression": text}
        if accuracy is not None:
            self.params["options"] = {"accuracy": accuracy}
        self._calls: Dict[Tuple[Any, ...], calls.Call] = {}
        self._info: Dict[Any, Tuple[np.dtype, bool]] = {}

    def call(self, names: Tuple[str, ...], casting: str, order: str) -> calls.Call:
        key = (names, casting, order)
        call = self._calls.get(key)
        if call is None:
            params = {**self.params, "names": list(names)}
            if casting != "safe":
                params["casting"] = casting
            if order != "K":
                params["order"] = order
            call = self._calls[key] = calls.Call("evaluate", params)
        return call

    def info(self, client: Any, names: Tuple[str, ...], kinds: Sequence[calls.Kind], ndim: int
             ) -> Tuple[np.dtype, bool]:
        """(dtype of the result, does it treat each element alike) for arrays of `ndim` axes: the daemon knows from the types, without compiling."""
        key = (names, ndim, tuple((k.dtype, k.weak, bool(k.shape)) for k in kinds))
        found = self._info.get(key)
        if found is None:
            flat = [calls.Kind(k.dtype, (2,) * ndim if k.shape else (), "C", k.weak) for k in kinds]
            params = {**self.params, "names": list(names), "options": {**self.params.get("options", {}), "interpret": True}}
            description = calls.compile_program(client, params, calls.described(flat))
            result = description["results"][0]
            found = self._info[key] = np.dtype(result["dtype"]), bool(description["elementwise"] and result["ndim"])
        return found


_expressions: Dict[Tuple[str, Optional[str]], _Expression] = {}
_last = threading.local()


def _expression(ex: Any, accuracy: Optional[str]) -> _Expression:
    found = _expressions.get((ex, accuracy)) if isinstance(ex, str) else None
    if found is None:
        if not isinstance(ex, str):
            raise ValueError("must specify expression as a string")
        if accuracy not in (None, "fast", "high"):
            raise ValueError(f"accuracy must be 'fast' or 'high', not {accuracy!r}")
        if len(_expressions) >= _CACHE:
            _expressions.clear()
        found = _expressions[ex, accuracy] = _Expression(ex, accuracy)
    return found


def _values(names: Sequence[str], local_dict: Optional[Mapping[str, Any]], global_dict: Optional[Mapping[str, Any]], frame: Any) -> Dict[str, Any]:
    """The values of the names, without modules. Local before global; the caller's by default."""
    from_frame = local_dict is None
    local = frame.f_locals if from_frame else local_dict
    world = frame.f_globals if global_dict is None else global_dict
    out = {}
    for name in names:
        try:
            value = local[name]
        except KeyError:
            try:
                value = world[name]
            except KeyError:
                raise UnknownName(f"the expression uses '{name}', which is no variable here", "define it, or give it in local_dict", name) from None
        if not isinstance(value, types.ModuleType):
            out[name] = value
    if from_frame and type(local) is dict and frame.f_code.co_flags & 1 and sys.getrefcount(local) == 3:
        local.clear()  # a copy that the frame keeps: it would keep large arrays alive. With more references it is somebody's
    return out


def _sendable(name: str, value: Any) -> Tuple[calls.Kind, calls.Payload]:
    if isinstance(value, np.ndarray):
        return calls.array(name, value)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return calls.scalar(name, value)
    return calls.array(name, np.asarray(value))


def _run(e: _Expression, values: Mapping[str, Any], out: Optional[np.ndarray], order: str, casting: str, stacklevel: int = 3) -> np.ndarray:
    client = session.current()
    names = tuple(values)
    kinds: List[calls.Kind] = []
    payload: List[calls.Payload] = []
    for name in names:
        kind, sent = _sendable(name, values[name])
        kinds.append(kind)
        payload.append(sent)
    target = None
    if client._memory:
        target = _temporary(out) if out is not None else _new_result(e, client, names, kinds, order)
    try:
        header, arrays = e.call(names, casting if target is not None else "safe", order)(client, kinds, payload, target)
    except TypingError as error:
        if not e.readable:
            raise InvalidSyntax(error.message, error.hint, error.field, error.details) from None
        raise
    for text in header.get("warnings", ()):
        warnings.warn(text, RuntimeWarning, stacklevel=stacklevel)
    result = arrays["r0"] if "r0" in arrays else target
    if out is None or result is out:
        return result
    _store(out, result, casting if result is not target else "no")
    return out


def _temporary(out: np.ndarray) -> Optional[np.ndarray]:
    """Where the daemon may write what is for `out`: itself, or contiguous memory like it. None: too small to be worth it."""
    if out.nbytes < memory.MIN_BYTES or out.dtype not in calls._NAMES or not out.dtype.isnative:
        return None
    return out if out.flags.c_contiguous or out.flags.f_contiguous else np.empty(out.shape, out.dtype)


def _new_result(e: _Expression, client: Any, names: Tuple[str, ...], kinds: Sequence[calls.Kind], order: str) -> Optional[np.ndarray]:
    """An array for a large result whose shape and dtype are certain, so that it need not travel through the socket."""
    shapes = {k.shape for k in kinds if k.shape}
    if not shapes or (len(shapes) > 1 and e.reduces):
        return None
    if len(shapes) == 1:
        shape = next(iter(shapes))
    else:
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            return None
    # 16 bytes is the widest result.
    if math.prod(shape) * 16 < memory.MIN_BYTES:
        return None
    dtype, elementwise = e.info(client, names, kinds, len(shape))
    if not elementwise or math.prod(shape) * dtype.itemsize < memory.MIN_BYTES:
        return None
    fortran = order == "F" or (order in "AK" and all(k.order == "F" for k in kinds if len(k.shape) > 1) and any(len(k.shape) > 1 for k in kinds))
    return np.empty(shape, dtype, "F" if fortran and len(shape) > 1 else "C")


def _store(out: np.ndarray, result: np.ndarray, casting: str) -> None:
    """out[...] = result, under NumPy's casting rules, and the language's for floats that become integers."""
    if not np.can_cast(result.dtype, out.dtype, casting):
        raise TypingError(f"cannot cast the result from {result.dtype} to the out array's {out.dtype} under the casting rule '{casting}'",
                          "give casting=", "casting")
    if result.dtype.kind in "fc" and out.dtype.kind in "iu":
        limits = np.iinfo(out.dtype)
        whole = np.trunc(result.real)
        if not (np.isfinite(whole).all() and (whole >= limits.min).all() and (whole < float(limits.max) + 1).all()):
            raise Invalid("a float that is NaN, infinite or too large cannot become an integer", field="out")
    try:
        np.copyto(out, result, casting="unsafe")
    except ValueError:
        raise Invalid(f"shapes do not match: the result has shape {result.shape}, out has {out.shape}", field="out") from None


def _check(out: Any, order: Any, casting: Any, kwargs: Dict[str, Any]) -> None:
    """The options of evaluate as NumExpr takes them."""
    for key, value in kwargs.items():
        known = {"optimization": ("none", "moderate", "aggressive"), "truediv": (False, True, "auto"), "disable_cache": (False, True)}.get(key)
        if known is None:
            raise ValueError(f"Unknown keyword argument '{key}'")
        if value not in known:
            raise ValueError(f"'{key}' must be one of {', '.join(map(repr, known))}, not {value!r}")
    if order not in ("C", "F", "A", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    if casting not in _CASTINGS:
        raise ValueError(f"casting must be one of {', '.join(map(repr, _CASTINGS))} (got {casting!r})")
    if out is not None and not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, not {type(out).__name__}")
    if out is not None and not out.flags.writeable:
        raise ValueError("out is read-only")


class _Last(NamedTuple):
    expression: _Expression
    out: Optional[np.ndarray]
    order: str
    casting: str


def evaluate(ex: str, local_dict: Optional[Mapping[str, Any]] = None, global_dict: Optional[Mapping[str, Any]] = None,
             out: Optional[np.ndarray] = None, order: str = "K", casting: str = "safe", sanitize: Any = None, _frame_depth: int = 3, *,
             accuracy: Optional[str] = None, **kwargs: Any) -> np.ndarray:
    """The value of an array expression, such as ``"3*x**2 + 2*x + 1"``.

    Parameters
    ----------
    ex : str
        Its names are variables of the caller, or of the dictionaries: arrays of any shape that can be broadcast together, and numbers. Python's own
        numbers take the width of what they meet, NumPy's keep theirs.
    out : array, optional
        Receives the result, broadcast to its shape; may overlap the arguments.
    order : {'K', 'C', 'F', 'A'}
        Of a new result.
    casting : {'safe', 'no', 'equiv', 'same_kind', 'unsafe'}
        What may be done to the result to store it in `out`.
    accuracy : {'fast', 'high'}
        Functions within 4 ULP, or about 1.
    sanitize, optimization, truediv, disable_cache
        As NumExpr takes them; without effect: texts are never run by Python, `/` divides, results are as in NumPy.

    Returns
    -------
    array, of rank 0 for a reduction of everything; `out` if given

    Raises
    ------
    UnknownName (KeyError), TypingError (TypeError), Invalid (ValueError), InvalidSyntax (SyntaxError), SpikedError
    """
    e = _expression(ex, accuracy)
    if kwargs or out is not None or order != "K" or casting != "safe":
        _check(out, order, casting, kwargs)
    values = _values(e.names, local_dict, global_dict, sys._getframe(_frame_depth - 2))
    result = _run(e, values, out, order, casting)
    _last.of = _Last(e, out, order, casting)
    return result


def re_evaluate(local_dict: Optional[Mapping[str, Any]] = None, global_dict: Optional[Mapping[str, Any]] = None, _frame_depth: int = 2) -> np.ndarray:
    """Evaluates this thread's last expression again, with the values its names have now.

    Raises
    ------
    RuntimeError
        There was none.
    """
    last = getattr(_last, "of", None)
    if last is None:
        raise RuntimeError("A previous evaluate() execution was not found, please call `validate` or `evaluate` once before `re_evaluate`")
    values = _values(last.expression.names, local_dict, global_dict, sys._getframe(_frame_depth - 1))
    return _run(last.expression, values, last.out, last.order, last.casting)


def validate(ex: str, local_dict: Optional[Mapping[str, Any]] = None, global_dict: Optional[Mapping[str, Any]] = None,
             out: Optional[np.ndarray] = None, order: str = "K", casting: str = "safe", sanitize: Any = None, _frame_depth: int = 2, *,
             accuracy: Optional[str] = None, **kwargs: Any) -> Optional[Exception]:
    """Compiles an expression for the caller's values without evaluating it.

    Returns
    -------
    The exception that `evaluate` would raise for the text, its names and types, or None; then `re_evaluate` evaluates it.
    """
    try:
        e = _expression(ex, accuracy)
        _check(out, order, casting, kwargs)
        values = _values(e.names, local_dict, global_dict, sys._getframe(_frame_depth - 1))
        kinds = [_sendable(name, value)[0] for name, value in values.items()]
        description = calls.compile_program(session.current(), {**e.params, "names": list(values)}, calls.described(kinds))
        found = np.dtype(description["results"][0]["dtype"])
        if out is not None and not np.can_cast(found, out.dtype, casting):
            raise TypingError(f"cannot cast the result from {found} to the out array's {out.dtype} under the casting rule '{casting}'", "", "casting")
        _last.of = _Last(e, out, order, casting)
        return None
    except TypingError as error:
        return error if e.readable else InvalidSyntax(error.message, error.hint, error.field, error.details)
    except (SpikedError, ValueError, TypeError, OverflowError) as error:
        return error


_CODES = {"b": "bb", "i": "il", "u": "il", "f": "fd", "c": "cc"}


class NumExpr:
    """An expression that is called like a function: by position, in the order of `input_names`, or by keyword.

    Parameters
    ----------
    ex : str
    signature : list of (name, type)
        Order and types of the arguments; each must be safely castable to its type. Default: sorted names, of any type.

    Attributes
    ----------
    input_names : tuple of str
    signature : str
        A letter for each input, as in NumExpr; ``d`` where any type is taken.
    """

    def __init__(self, ex: str, signature: Sequence[Tuple[str, Any]] = (), sanitize: Any = None, *, accuracy: Optional[str] = None, **kwargs: Any):
        _check(None, "K", "safe", kwargs)
        self._expression = _expression(ex, accuracy)
        self._types = {name: np.dtype(t) for name, t in signature}
        unusable = [n for n, t in self._types.items() if t.kind not in _CODES]
        if unusable:
            raise calls.unsendable(unusable[0], self._types[unusable[0]])
        self.input_names: Tuple[str, ...] = tuple(self._types) or self._expression.names
        missing = set(self._expression.names) - set(self.input_names)
        if missing:
            raise UnknownName(f"the signature lacks {', '.join(sorted(missing))}", "name every variable of the expression", "signature")
        dtypes = [self._types.get(n, np.dtype("f8")) for n in self.input_names]
        self.signature = "".join(_CODES[t.kind][t.itemsize > 4] for t in dtypes)
        self._kinds: Optional[List[calls.Kind]] = None
        if signature or not self._expression.readable:
            self._describe()

    def _describe(self, texts: Sequence[str] = ()) -> Dict[str, Any]:
        kinds = self._kinds or [calls.Kind(self._types.get(n, np.dtype("f8")).str, (2,)) for n in self.input_names]
        params = {**self._expression.params, "names": list(self.input_names)}
        try:
            return calls.compile_program(session.current(), params, calls.described(kinds), texts)
        except TypingError as error:
            if self._expression.readable:
                raise
            raise InvalidSyntax(error.message, error.hint, error.field, error.details) from None

    def _cast(self, name: str, value: Any) -> Any:
        wanted = self._types.get(name)
        if wanted is None:
            return value
        given = np.asarray(value)
        weak = type(value) in (bool, int, float, complex) and np.can_cast(np.min_scalar_type(value), wanted, "same_kind")
        if not weak and not np.can_cast(given.dtype, wanted, "safe"):
            raise TypingError(f"cannot cast {name} from {given.dtype} to {wanted} under the casting rule 'safe'", "", name)
        return given.astype(wanted, copy=False)

    def __call__(self, *args: Any, out: Optional[np.ndarray] = None, order: str = "K", casting: str = "safe", ex_uses_vml: bool = False,
                 **named: Any) -> np.ndarray:
        """As `evaluate`.

        Raises
        ------
        ValueError
            Not exactly one value for each input.
        """
        _check(out, order, casting, {})
        if len(args) + len(named) != len(self.input_names) or set(named) - set(self.input_names[len(args):]):
            raise ValueError(f"number of inputs doesn't match program: it takes {', '.join(self.input_names) or 'none'}")
        values = {n: self._cast(n, v) for n, v in zip(self.input_names, args)}
        values.update((n, self._cast(n, named[n])) for n in self.input_names[len(args):])
        result = _run(self._expression, values, out, order, casting)
        self._kinds = [_sendable(n, v)[0] for n, v in values.items()] if self._kinds is None else self._kinds
        return result

    run = __call__

    def __repr__(self) -> str:
        return f"<spiked.NumExpr {self._expression.text!r}>"


def disassemble(nex: NumExpr) -> str:
    """The typed intermediate code of an expression, for the types of its first call (before: float64 arrays)."""
    return nex._describe(["ir"])["ir"]
