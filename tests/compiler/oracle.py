# SPDX-License-Identifier: BSD-3-Clause
"""A kernel's source as CPython and NumPy execute it, with the few rules of LANGUAGE.md that are not Python's: single integers are int64,
floats follow IEEE 754, integers divided by zero are an error."""

import ast
import builtins
import math
import re

import numpy as np

if hasattr(np, "_set_promotion_state"):
    np._set_promotion_state("weak")   # NumPy 1.24 can follow NumPy 2's rules


def strong(v):
    """What a variable holds: Python's own numbers become int64, float64, complex128; narrow integers widen."""
    if isinstance(v, tuple):
        return tuple(strong(x) for x in v)
    if isinstance(v, (bool, np.bool_)):
        return np.bool_(v)
    if isinstance(v, (int, np.signedinteger)) or (isinstance(v, np.unsignedinteger) and v.itemsize < 8):
        return np.int64(v)
    if isinstance(v, float) and not isinstance(v, np.generic):
        return np.float64(v)
    return np.complex128(v) if isinstance(v, complex) and not isinstance(v, np.generic) else v


def load(v):
    return strong(v) if isinstance(v, np.generic) else v


def is_integer(v):
    return isinstance(v, (int, np.integer)) and not isinstance(v, bool)


def divide(a, b):
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a / b
    weak = isinstance(a, float) or isinstance(b, float) or (is_integer(a) and is_integer(b))
    if weak and not isinstance(a, np.floating) and not isinstance(b, np.floating):
        return np.float64(a) / np.float64(b)
    return a / b


def quotient(a, b, mod=False):
    if is_integer(a) and is_integer(b) and b == 0:
        raise ZeroDivisionError
    if isinstance(a, np.ndarray) and a.dtype.kind in "iu" and np.any(np.asarray(b) == 0) and np.asarray(b).dtype.kind in "iu":
        raise ZeroDivisionError
    if isinstance(b, np.ndarray) and b.dtype.kind in "iu" and np.asarray(a).dtype.kind in "iu" and np.any(b == 0) and np.broadcast(a, b).size:
        raise ZeroDivisionError
    if isinstance(a, float) and not isinstance(a, np.generic):
        a = a if isinstance(b, (np.generic, np.ndarray)) else np.float64(a)
    if isinstance(b, float) and not isinstance(b, np.generic) and is_integer(a):
        a = np.float64(a)
    return a % b if mod else a // b


def remainder(a, b):
    return quotient(a, b, True)


OPERATORS = {"Add": lambda a, b: a + b, "Sub": lambda a, b: a - b, "Mult": lambda a, b: a * b, "Div": divide, "FloorDiv": quotient, "Mod": remainder,
             "Pow": lambda a, b: a ** b, "BitAnd": lambda a, b: a & b, "BitOr": lambda a, b: a | b, "BitXor": lambda a, b: a ^ b,
             "LShift": lambda a, b: a << b, "RShift": lambda a, b: a >> b, "MatMult": lambda a, b: a @ b}


def augment(name, old, v):
    new = OPERATORS[name](old, v)
    if isinstance(old, np.ndarray):
        np.copyto(old, new, casting="same_kind")
        return old
    return strong(new)


class Sums:
    """Adds up how large the terms of sums are whose order is not given: their error is at most n eps sum|x|, with a few ULP for each term."""

    def __init__(self):
        self.magnitude, self.count = 0.0, 0

    def note(self, v):
        with np.errstate(all="ignore"):
            self.magnitude += float(np.sum(np.abs(np.asarray(v, np.float64))))
        self.count += np.size(v)
        return v

    def total(self, v, *rest, **kw):
        self.note(v)
        return strong(np.sum(v, *rest, **kw))

    def bound(self):
        return (self.count + 16) * np.finfo(float).eps * self.magnitude


def call(fn, *args):
    return ast.Call(ast.Name(fn, ast.Load()), list(args), [])


class Rewrite(ast.NodeTransformer):
    def visit_Assign(self, n):
        self.generic_visit(n)
        if not isinstance(n.value, ast.List):
            n.value = call("_strong", n.value)
        return n

    visit_Return = lambda self, n: (self.generic_visit(n), setattr(n, "value", call("_strong", n.value)) if n.value else None, n)[2]  # noqa: E731

    def visit_AugAssign(self, n):
        self.generic_visit(n)
        op = ast.Constant(type(n.op).__name__)
        if isinstance(n.target, ast.Name):
            value = call("_note", n.value) if n.target.id.startswith("acc") else n.value
            return ast.Assign([n.target], call("_augment", op, ast.Name(n.target.id, ast.Load()), value))
        if isinstance(n.op, (ast.FloorDiv, ast.Mod, ast.Div)):
            load_target = ast.Subscript(n.target.value, n.target.slice, ast.Load())
            return ast.Assign([n.target], call("_operators", op, load_target, n.value))
        return n

    def visit_BinOp(self, n):
        self.generic_visit(n)
        special = {ast.Div: "_divide", ast.FloorDiv: "_quotient", ast.Mod: "_remainder"}
        if isinstance(n.op, (ast.LShift, ast.RShift)):
            n.left = call("_strong", n.left)
        return call(special[type(n.op)], n.left, n.right) if type(n.op) in special else n

    def visit_Subscript(self, n):
        self.generic_visit(n)
        return call("_load", n) if isinstance(n.ctx, ast.Load) else n

    def visit_Call(self, n):
        self.generic_visit(n)
        f = n.func
        if isinstance(f, ast.Attribute) and f.attr == "sum" and isinstance(f.value, ast.Name) and f.value.id == "np":
            n.func = ast.Name("_total", ast.Load())
        elif isinstance(f, ast.Name) and f.id == "int":
            n = call("_strong", n)
        return n

    def visit_For(self, n):
        self.generic_visit(n)
        names = [t.id for t in ast.walk(n.target) if isinstance(t, ast.Name)]
        n.body[:0] = [ast.Assign([ast.Name(v, ast.Store())], call("_strong", ast.Name(v, ast.Load()))) for v in names]
        return n

    def visit_FunctionDef(self, n):
        self.generic_visit(n)
        names = [a.arg for a in n.args.args]
        n.body[:0] = [ast.Assign([ast.Name(v, ast.Store())], call("_strong", ast.Name(v, ast.Load()))) for v in names]
        return n


def python(source, kernel="f", prange=range):
    """The kernel as a Python function, and its Sums."""
    sums = Sums()
    tree = ast.fix_missing_locations(Rewrite().visit(ast.parse(source, "<kernel>")))
    space = {"np": np, "math": math, "prange": prange, "_strong": strong, "_load": load, "_divide": divide, "_quotient": quotient,
        "_remainder": remainder,
             "_augment": augment, "_operators": lambda op, a, b: OPERATORS[op](a, b), "_note": sums.note, "_total": sums.total,
                 "__builtins__": builtins}
    exec(compile(tree, "<kernel>", "exec"), space)
    return space[kernel], sums


KINDS = [(IndexError, "index .* is out of bounds"), (ZeroDivisionError, "division or modulo by zero"), (UnboundLocalError, "no value"),
         (AssertionError, "assertion is false"), (OverflowError, "cannot become an integer"),
         (ValueError, "cannot become an integer|shapes do not match|no value for an empty|step of range|negative power|cannot have the length")]


def same_error(exception, message):
    return any(isinstance(exception, kind) and re.search(text, message) for kind, text in KINDS)


def line_of(exception):
    """The line of the kernel an exception came from."""
    line, trace = None, exception.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == "<kernel>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
