# SPDX-License-Identifier: BSD-3-Clause
"""Random expressions: machine code = interpreter = NumPy, over dtypes, shapes, strides and broadcasting."""

import ast
import operator
import warnings

import numpy as np
from harness import Failure

if hasattr(np, "_set_promotion_state"):
    np._set_promotion_state("weak")   # NumPy 1.24 can follow NumPy 2's rules

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16"]
SHAPES = [(), (7,), (1,), (0,), (3, 7), (1, 7), (3, 1), (2, 3, 7)]
FUNCTIONS = ["sqrt", "sin", "cos", "exp", "log", "arctan", "tanh", "expm1", "log1p", "arcsinh", "abs", "floor", "ceil", "trunc", "sign", "isnan", "isfinite", "real", "imag", "conj"]
SAFE_BINARY = ["+", "-", "*", "&", "|", "^", "<", "<=", ">", ">=", "==", "!=", "//", "%", "/", "**"]
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
             ast.Mod: operator.mod, ast.Pow: np.power, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
             ast.LShift: operator.lshift, ast.RShift: operator.rshift, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
             ast.Eq: np.equal, ast.NotEq: np.not_equal}


def random_array(rng, dtype, shape):
    kind = np.dtype(dtype).kind
    if kind == "b":
        a = rng.random(shape) < 0.5
    elif kind in "iu":
        info = np.iinfo(dtype)
        a = rng.integers(-20 if kind == "i" else 0, 20, shape).astype(dtype)
        extreme = rng.random(shape) < 0.1
        a = np.where(extreme, rng.choice(np.array([info.min, info.max], dtype), shape), a).astype(dtype)
    else:
        a = (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3)).astype(np.float64)
        special = rng.random(shape) < 0.08
        a = np.where(special, rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0], shape), a)
        if kind == "c":
            a = a + 1j * rng.standard_normal(shape)
        a = a.astype(dtype)
    a = np.asarray(a, dtype)
    if a.ndim and rng.random() < 0.2:
        a = np.repeat(a, 2, axis=-1)[..., ::2]
    if a.ndim and rng.random() < 0.1:
        a = a[..., ::-1]
    return a


def random_expression(rng, names, depth):
    choice = rng.random()
    if depth == 0 or choice < 0.15:
        if rng.random() < 0.75:
            return str(rng.choice(names))
        return str(rng.choice(["2", "3", "0.5", "1.5", "7", "-1", "100"]))
    if choice < 0.35:
        return f"{rng.choice(FUNCTIONS)}({random_expression(rng, names, depth - 1)})"
    if choice < 0.42:
        return f"where({random_expression(rng, names, depth - 1)} > 1, {random_expression(rng, names, depth - 1)}, {random_expression(rng, names, depth - 1)})"
    if choice < 0.48:
        return f"{rng.choice(['maximum', 'minimum'])}({random_expression(rng, names, depth - 1)}, {random_expression(rng, names, depth - 1)})"
    if choice < 0.53:
        return f"({rng.choice(['-', '~'])}{random_expression(rng, names, depth - 1)})"
    return f"({random_expression(rng, names, depth - 1)} {rng.choice(SAFE_BINARY)} {random_expression(rng, names, depth - 1)})"


class Refused(Exception):
    """NumPy itself has no such operation, or LANGUAGE.md says we differ here."""


class Oracle:
    """NumPy on the tree of an expression. `error` bounds the relative error that functions of 4 ULP may have brought."""

    def __init__(self, env):
        self.env, self.uncertain = env, False

    def apply(self, fn, *args):
        args = [np.asarray(a) if isinstance(a, np.complex128) else a for a in args]   # NumPy 1.24 takes it for Python's complex
        try:
            with np.errstate(all="ignore"):
                return fn(*args)
        except (TypeError, ValueError, OverflowError) as e:
            raise Refused(str(e)) from None

    def visit(self, n):
        if isinstance(n, ast.Name):
            return self.env[n.id]
        if isinstance(n, ast.Constant):
            return n.value
        if isinstance(n, ast.UnaryOp):
            a = self.visit(n.operand)
            if isinstance(a, (int, float)) and isinstance(n.op, ast.Invert) and isinstance(a, float):
                raise Refused("~ of a float")
            return self.apply(operator.neg if isinstance(n.op, ast.USub) else operator.invert, a)
        if isinstance(n, (ast.BinOp, ast.Compare)):
            left, right = (n.left, n.right) if isinstance(n, ast.BinOp) else (n.left, n.comparators[0])
            op = n.op if isinstance(n, ast.BinOp) else n.ops[0]
            return self.binary(op, self.visit(left), self.visit(right))
        return self.call(n.func.id, [self.visit(a) for a in n.args])

    def binary(self, op, a, b):
        both_python = isinstance(a, (int, float)) and isinstance(b, (int, float))
        if both_python:
            raise Refused("Python's own arithmetic")
        da, db = np.asarray(a).dtype, np.asarray(b).dtype
        if isinstance(op, ast.Pow):
            self.uncertain |= da.kind in "fc" or db.kind in "fc"
            self.uncertain |= "u8" in (da.str[1:], db.str[1:])    # with signed integers: float64
            if da.kind in "biu" and db.kind in "biu" and da.kind + db.kind != "uu" and (np.asarray(b) < 0).any():
                raise Refused("negative power")
            if da.kind == "c" or db.kind == "c" or da.kind == "b":
                raise Refused("complex power: libm's and NumPy's differ")
        if isinstance(op, (ast.FloorDiv, ast.Mod)) and (da.kind == "b" and db.kind == "b"):
            raise Refused("bool division")
        if da.kind == "c" or db.kind == "c":
            self.uncertain = True
            if isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
                raise Refused("complex numbers have no order here")
        ordered = isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq))
        if ordered and da.kind in "iu" and db.kind in "iu":
            return self.exact_compare(op, a, b)
        return self.apply(OPERATORS[type(op)], a, b)

    def exact_compare(self, op, a, b):
        x, y = np.asarray(a).astype(object), np.asarray(b).astype(object)
        return np.asarray(OPERATORS[type(op)](x, y)).astype(bool)

    def call(self, name, args):
        if all(isinstance(a, (int, float)) for a in args):
            raise Refused("Python's own numbers")
        kinds = [np.asarray(a).dtype for a in args]
        if name in ("sqrt", "floor", "ceil", "trunc", "abs", "sign", "real", "imag", "conj", "isnan", "isfinite", "where", "maximum", "minimum"):
            if name in ("floor", "ceil", "trunc") and kinds[0].kind in "biu":
                return args[0]                       # as NumPy 2.1
            if name in ("floor", "ceil", "trunc", "sign", "maximum", "minimum") and any(k.kind == "c" for k in kinds):
                raise Refused(name)
            if name in ("sign",) and kinds[0].kind == "b":
                raise Refused(name)
            if name == "where" and kinds[1].kind + kinds[2].kind in ("iu", "ui") and 8 in (kinds[1].itemsize, kinds[2].itemsize):
                raise Refused("no common integer")
            if name in ("maximum", "minimum") and all(np.any(np.asarray(a) == 0) for a in args):
                raise Refused("0.0 and -0.0: either is right")
            if name == "sqrt" and kinds[0] in (np.dtype("?"), np.dtype("i1"), np.dtype("u1")):
                return np.sqrt(np.asarray(args[0]).astype("f4"))   # LANGUAGE.md: float32, not float16
            self.uncertain |= name in ("abs", "sqrt") and kinds[0].kind == "c"
            if name == "where" and (isinstance(args[1], (int, float)) or isinstance(args[2], (int, float))):
                return self.weak_where(*args)
            return self.apply({"abs": np.abs, "conj": np.conj}.get(name, getattr(np, name)), *args)
        self.uncertain = True
        if kinds[0].kind == "c":
            raise Refused("complex functions: libm's and NumPy's differ at the edges")
        if kinds[0] in (np.dtype("?"), np.dtype("i1"), np.dtype("u1")):
            return self.apply(getattr(np, name), np.asarray(args[0]).astype("f4"))
        return self.apply(getattr(np, name), args[0])

    def weak_where(self, test, a, b):
        """np.where of NumPy 1.24 does not know weak numbers: the type is that of a sum."""
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            raise Refused("two weak numbers")
        strong, weak = (b, a) if isinstance(a, (int, float)) else (a, b)
        if np.asarray(strong).dtype.kind == "b":
            raise Refused("bool with a weak number")
        dtype = self.apply(np.multiply, np.asarray(strong)[..., None][..., :0], weak).dtype
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= weak <= np.iinfo(dtype).max:
            raise Refused("does not fit")
        return np.where(test, np.asarray(a).astype(dtype), np.asarray(b).astype(dtype))


def compare(text, result, expected, uncertain):
    expected = np.asarray(expected)
    result = np.asarray(result)
    assert result.shape == expected.shape, text
    assert result.dtype == expected.dtype, f"{text}: {result.dtype}, NumPy {expected.dtype}"
    if not uncertain:
        assert np.array_equal(result, expected, equal_nan=result.dtype.kind in "fc"), text


def one_case(compiler, rng):
    names = ["a", "b", "c"]
    shape_pool = [s for s in SHAPES if rng.random() < 0.6] or [(7,)]
    values = [random_array(rng, str(rng.choice(DTYPES)), shape_pool[rng.integers(len(shape_pool))]) for _ in names]
    text = random_expression(rng, names, int(rng.integers(1, 5)))
    tree = ast.parse(text, mode="eval").body
    env = {n: v if v.ndim else v[()] for n, v in zip(names, values)}
    oracle = Oracle(env)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = oracle.visit(tree)
    except Refused:
        expected = None
    except ValueError:
        expected = None            # shapes
    args = [env[n] for n in names]
    try:
        program = compiler.compile(text, args, names=names)
        result = program(*args)
    except Failure as e:
        assert expected is None or isinstance(expected, (int, float)), f"{text}: {e} but NumPy gives {np.asarray(expected).dtype}"
        return False
    assert np.array_equal(result, program(*args, interpret=True), equal_nan=np.asarray(result).dtype.kind in "fc"), f"{text}: interpreter"
    assert np.array_equal(result, program(*args, threads=3, remote=True), equal_nan=np.asarray(result).dtype.kind in "fc"), f"{text}: threads"
    if expected is None or isinstance(expected, (int, float)):
        return False
    compare(text, result, expected, oracle.uncertain)
    return True


def test_random_expressions(compiler, cases, seed):
    checked = 0
    for case in range(cases):
        rng = np.random.default_rng([seed, case])
        try:
            checked += one_case(compiler, rng)
        except AssertionError as e:
            raise AssertionError(f"seed {seed}, case {case}: {e}") from None
    assert checked > cases // 5


FLOAT_FUNCTIONS = ["sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "exp", "exp2", "expm1", "log",
                   "log2", "log10", "log1p", "cbrt", "sqrt"]


def ulp_error(result, exact):
    result, exact = np.asarray(result), np.asarray(exact)
    finite = np.isfinite(exact.astype(result.dtype)) & np.isfinite(result)
    assert np.array_equal(np.isnan(result), np.isnan(exact.astype(result.dtype)))
    assert np.array_equal(result[~finite], exact.astype(result.dtype)[~finite], equal_nan=True)
    return np.max(np.abs(result[finite].astype(exact.dtype) - exact[finite]) / np.spacing(np.abs(exact[finite]).astype(result.dtype)), initial=0)


def test_functions_within_4_ulp(compiler, seed):
    """Against NumPy in the next wider type, over wide ranges and special values; and the same bits for one element as for many."""
    rng = np.random.default_rng(seed)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 1e-300, 5e-324, 1 - 1e-16, 1 + 2e-16, 700.0, -745.0]
    x = np.concatenate([rng.standard_normal(4000) * 10.0 ** rng.integers(-8, 3, 4000), rng.uniform(-1, 1, 2000), special])
    for dtype, wider in (("f8", np.longdouble), ("f4", "f8")):
        with np.errstate(all="ignore"):
            v = x.astype(dtype)
            for name in FLOAT_FUNCTIONS:
                program = compiler.compile(f"{name}(x)", [v], names=["x"])
                result = program(v)
                assert result.dtype == v.dtype
                assert ulp_error(result, getattr(np, name)(v.astype(wider))) <= 4, name
                for k in rng.integers(0, len(v), 5):
                    assert np.array_equal(program(v[k:k + 1]), result[k:k + 1], equal_nan=True), name
