# SPDX-License-Identifier: BSD-3-Clause
"""Kernels at random, whose answer CPython and NumPy know (oracle.py).

Integers, floats and bools keep their type. `acc` variables and `o` arrays are sinks: what is rounded differently (sums in another order, functions of a
few ULP) goes only there and is never read. Names: p int, q float, b bool, i loop variables, w counters of while, t arrays, l lists."""

import numpy as np

INT, FLOAT, BOOL = "p", "q", "b"


class Maker:
    def __init__(self, rng):
        self.rng, self.lines, self.level = rng, [], 1
        self.names = {INT: ["n", "p0"], FLOAT: ["a", "q0"], BOOL: ["b0"]}
        self.maybe = {INT: [], FLOAT: []}            # set on some paths only
        self.loops, self.arrays, self.tables = [], ["x", "y"], ["m"]
        self.lists, self.made, self.fresh, self.budget, self.parallel = [], [], 0, int(rng.integers(3, 16)), False
        self.helpers = []

    def below(self, n):
        return int(self.rng.integers(n))

    def pick(self, items):
        return items[self.below(len(items))]

    def chance(self, p):
        return self.rng.random() < p

    def new(self, kind):
        self.fresh += 1
        return f"{kind}{self.fresh}"

    def put(self, text):
        self.lines.append("    " * self.level + text)

    # --- expressions ---

    def index(self, length="len(x)"):
        r = self.below(16)
        i = self.pick(self.loops) if self.loops and r < 12 else None
        if i and r < 5:
            return i
        if i and r < 8:
            return f"{i} {self.pick(['+', '-'])} {1 + self.below(2)}"
        if i and r < 10:
            return self.pick([f"2 * {i}", f"{i} // 2", f"-{i}", f"-1 - {i}", f"{length} - 1 - {i}", f"{i} % 3", f"k[{i}]", f"{i} * n", f"{i} + p0"])
        if r < 12:
            return str(self.below(4) - 2)
        return f"({self.expr(INT, 1)}) % {length}" if r < 15 else self.expr(INT, 1)

    def element(self, kind):
        if kind == INT:
            return f"k[{self.index('len(k)')}]" if self.chance(0.6) else f"h[{self.index('len(h)')}]"
        r = self.below(10)
        if r < 6:
            return f"{self.pick(self.arrays)}[{self.index()}]"
        if r < 9:
            return f"m[{self.index('m.shape[0]')}, {self.index('m.shape[1]')}]"
        return f"(a * g[{self.index('len(g)')}])"

    def expr(self, kind, depth):
        if depth == 0 or self.chance(0.15):
            return self.leaf(kind)
        return {INT: self.integer, FLOAT: self.floating, BOOL: self.truth}[kind](depth - 1)

    def leaf(self, kind):
        r = self.below(10)
        if kind == BOOL:
            return self.pick(self.names[BOOL]) if r < 7 else self.pick(["True", "False"])
        if r < 2:
            return str(self.below(9) - 3) if kind == INT else self.pick(["0.5", "-1.25", "2.0", "3.0", "0.1"])
        if r < 4:
            return self.element(kind)
        if kind == INT and self.loops and r < 7:
            return self.pick(self.loops)
        if self.maybe[kind] and r < 5:
            return self.pick(self.maybe[kind])
        return self.pick(self.names[kind])

    def integer(self, d):
        a, b = self.expr(INT, d), self.expr(INT, d)
        r = self.below(20)
        if r < 8:
            return f"({a} {self.pick(['+', '-', '*'])} {b})"
        if r < 11:
            return f"({a} {self.pick(['&', '|', '^'])} {b})"
        if r < 13:
            return f"({a} {self.pick(['//', '%'])} {self.pick(['3', '7', '-4', b])})"
        if r < 15:
            return f"{self.pick(['min', 'max'])}({a}, {b})"
        if r == 15:
            return f"({a} if {self.expr(BOOL, d)} else {b})"
        if r == 16:
            return self.pick([f"abs({a})", f"(-{a})", f"(~{a})", f"({a} ** 2)", f"({a} << 3)", f"({a} >> 2)", f"({a} << {b})"])
        if r == 17:
            return self.pick(["len(x)", "m.shape[1]", "np.argmax(x)", "np.sum(k)", "np.max(k)", "np.sum(h)", "np.count_nonzero(x > 0.5)",
                "np.argmin(y)", "m.size"])
        if r == 18:
            return f"int({self.expr(FLOAT, d)})"
        return f"{self.pick(self.helpers)}({a}, {b})" if self.helpers else f"({a} - 1)"

    def floating(self, d):
        a, b = self.expr(FLOAT, d), self.expr(FLOAT, d)
        r = self.below(20)
        if r < 9:
            return f"({a} {self.pick(['+', '-', '*', '/'])} {b})"
        if r < 11:
            return f"({a} {self.pick(['+', '-', '*', '/'])} {self.expr(INT, d)})"
        if r < 13:
            return f"{self.pick(['min', 'max', 'np.maximum', 'np.minimum', 'np.fmax', 'np.copysign'])}({a}, {b})"
        if r < 16:
            return self.pick([f"abs({a})", f"(-{a})", f"np.sqrt({a})", f"np.floor({a})", f"np.ceil({a})", f"np.trunc({a})",
                f"float({self.expr(INT, d)})",
                              f"({a} // {b})", f"({a} % {b})", f"np.rint({a})"])
        if r == 16:
            return f"({a} if {self.expr(BOOL, d)} else {b})"
        if r == 17:
            return self.pick(["np.max(x)", "np.min(y)", "x.max()", "np.max(m)", "m.min()", "x[-1]", "np.min(x[1:])", "np.max(x * a)"])
        return f"(a + {b})" if r == 18 else f"np.where({self.expr(BOOL, d)}, {a}, {b})"

    def truth(self, d):
        r = self.below(10)
        if r < 4:
            return f"({self.expr(INT, d)} {self.pick(['<', '<=', '>', '>=', '==', '!='])} {self.expr(INT, d)})"
        if r < 7:
            return f"({self.expr(FLOAT, d)} {self.pick(['<', '<=', '>', '>=', '==', '!='])} {self.expr(FLOAT, d)})"
        if r == 7:
            return f"({self.expr(BOOL, d)} {self.pick(['and', 'or'])} {self.expr(BOOL, d)})"
        if r == 8:
            return f"(not {self.expr(BOOL, d)})"
        return self.pick([f"np.isnan({self.expr(FLOAT, d)})", "(0 < p0 < n)", f"({self.expr(INT, d)} < {self.expr(INT, d)} <= n)",
            "np.any(x > 1.0)", "np.all(k != 0)"])

    def array(self, d, base=None):
        """An array expression of floats with the shape of `base`."""
        base = base or "x"
        if d == 0 or self.chance(0.25):
            return base if self.chance(0.6) else f"{base}[::-1]" if self.chance(0.3) else self.pick(["a", "q0", "2.0", "3"])
        u, v = self.array(d - 1, base), self.array(d - 1, base)
        r = self.below(8)
        if r < 5:
            return f"({u} {self.pick(['+', '-', '*', '/'])} {v})"
        return self.pick([f"np.abs({u})", f"np.sqrt({u})", f"np.maximum({u}, {v})", f"np.where({base} > {v}, {u}, {v})", f"np.floor({u})", f"(-{u})"])

    def slice(self):
        ends = ["", "1", "2", "-1", "-2", "n", "p0", "5", "100"]
        text = f"{self.pick(ends)}:{self.pick(ends)}"
        return text + self.pick(["", "", "", ":2", ":-1", ":3", ":-2"])

    # --- statements ---

    def block(self, count, statement=None):
        start = len(self.lines)
        self.level += 1
        for _ in range(count):
            (statement or self.statement)()
        if len(self.lines) == start:
            self.put("pass")
        self.level -= 1

    def sure(self, fn):
        """Runs fn; the variables it makes are set only on some paths afterwards."""
        before = {k: list(v) for k, v in self.names.items()}
        made = (list(self.arrays), list(self.lists), list(self.made))
        fn()
        for kind in self.maybe:
            self.maybe[kind] = (self.maybe[kind] + [v for v in self.names[kind] if v not in before[kind]])[-3:]
        self.names = before
        self.arrays, self.lists, self.made = made

    def statement(self):
        self.budget -= 1
        kinds = [self.assign, self.assign, self.augment, self.store, self.store, self.store_integer, self.store_table, self.sink, self.choice]
        if self.level < 4 and self.budget > 0:
            kinds += [self.loop, self.loop, self.loop, self.repeat, self.walk]
        kinds += [self.whole, self.whole, self.whole, self.lists_of] if not self.loops or self.chance(0.15) else [self.leave]
        self.pick(kinds)()

    def target(self, kind):
        if self.chance(0.4):
            name = self.new(kind)
            return name, lambda: self.names[kind].append(name)
        name = self.pick([v for v in self.names[kind] if v not in ("n", "a")])
        return name, lambda: None

    def assign(self):
        kind = self.pick([INT, INT, FLOAT, FLOAT, BOOL])
        text = self.expr(kind, 2)
        name, done = self.target(kind)
        if self.parallel and kind == FLOAT and name in text:
            text = f"max({name}, {self.expr(FLOAT, 1).replace(name, 'a')})"
        if self.chance(0.1) and kind == INT and not self.parallel and len(self.names[INT]) > 2:
            other = self.pick(self.names[INT][1:])
            if other != name:
                self.put(f"{name}, {other} = {text}, {self.expr(INT, 1)}")
                done()
                return
        self.put(f"{name} = {text}")
        done()

    def augment(self):
        kind = self.pick([INT, INT, FLOAT])
        name = self.pick([v for v in self.names[kind] if v not in ("n", "a")])
        if kind == FLOAT and self.parallel:
            name = self.pick(["acc0", "acc1"])
            self.put(f"{name} {self.pick(['+=', '-='])} {self.expr(FLOAT, 1)}")
        elif kind == FLOAT:
            self.put(f"{name} {self.pick(['+=', '-=', '*=', '/='])} {self.expr(FLOAT, 1)}")
        else:
            self.put(f"{name} {self.pick(['+=', '-=', '*=', '&=', '|=', '^=', '+=', '+='])} {self.expr(INT, 1)}")

    def sink(self):
        if self.chance(0.5):
            self.put(f"acc{self.below(2)} += {self.pick(['np.sum(x * y[:len(x)])', 'np.sum(x)', 'np.sum(m)', self.expr(FLOAT, 1), self.element(FLOAT)])}")
        else:
            fn = self.pick(["np.sin", "np.exp", "np.tanh", "np.cos", "np.arctan"])
            self.put(f"o[{self.index('len(o)')}] = {fn}({self.expr(FLOAT, 1)})")

    def store(self):
        array = self.pick(self.arrays)
        op = self.pick(["=", "=", "=", "+=", "-=", "*="])
        self.put(f"{array}[{self.index()}] {op} {self.expr(FLOAT, 2)}")

    def store_integer(self):
        array = self.pick(["k", "h"])
        op = self.pick(["=", "=", "+=", "-=", "^="])
        self.put(f"{array}[{self.index(f'len({array})')}] {op} {self.expr(INT, 1)}")

    def store_table(self):
        where = f"{self.index('m.shape[0]')}, {self.index('m.shape[1]')}"
        self.put(f"m[{where}] {self.pick(['=', '=', '+='])} {self.expr(FLOAT, 1)}" if self.chance(0.8) else f"g[{self.index('len(g)')}] = {self.expr(FLOAT, 1)}")

    def whole(self):
        r = self.below(12)
        if r < 3:
            name = self.new("t")
            made = self.pick([self.array(2), "x.copy()", "np.zeros(len(x))", "np.ones_like(x)", "x[::2]", "x[::-1]", "m[0]", "m[:, 1]",
                "np.full(n, a)", "np.cumsum(x)",
                              "np.arange(n) * a", "x[" + self.slice() + "]", "m.T[0]", "np.diff(x)", "np.sort(x)", "np.zeros(n + 3)"])
            if made in ("a", "q0", "2.0", "3") or not any(c in made for c in "xm") and not made.startswith("np"):
                made = "x * " + made
            self.put(f"{name} = np.zeros(len(x)) + {made}" if made[0] in "(-" or "where" in made else f"{name} = {made}")
            self.arrays.append(name)
        elif r < 6:
            s = self.slice()
            self.put(f"x[{s}] {self.pick(['=', '+=', '*='])} {self.array(1, f'x[{s}]')}")
        elif r < 7:
            self.put(self.pick(["x[1:] = x[:-1] * 2.0", "x[:-1] = x[1:] + a", "x[::-1] = x", "x[:] = x[::-1]", "m[1:] = m[:-1] + 1.0",
                "m[:, 0] = m[:, 1]", "m += a",
                                "k += 1", "k[1:] += k[:-1]", "h *= 3", "h[::2] = 7", "m[0] *= q0", "m[:] = m + x[:m.shape[1]]"]))
        elif r < 9:
            name = self.new(INT)
            self.put(f"{name} = {self.pick(['np.sum(k[', 'np.max(k[', 'np.count_nonzero(x['])}{self.slice()}])")
            self.names[INT].append(name)
        elif r < 10:
            self.put(f"{self.pick(self.arrays)}[:] = {self.expr(FLOAT, 1)}")
        else:
            name = self.new(FLOAT)
            self.put(f"{name} = {self.pick(['np.max', 'np.min'])}({self.array(1)} + x)")
            self.names[FLOAT].append(name)

    def lists_of(self):
        name, i = self.new("l"), self.new("i")
        self.put(f"{name} = []")
        self.put(f"for {i} in range({self.pick(['len(x)', 'n', '5'])}):")
        self.loops.append(i)
        self.level += 1
        self.put(f"if {self.expr(BOOL, 2)}:")
        self.put(f"    {name}.append({self.expr(INT, 1)})")
        self.level -= 1
        self.loops.pop()
        self.put(f"p0 {self.pick(['=', '+='])} {self.pick([f'len({name})', f'sum({name})'])}")

    def choice(self):
        self.put(f"if {self.expr(BOOL, 2)}:")
        self.sure(lambda: self.block(1 + self.below(2)))
        if self.chance(0.4):
            self.put("else:")
            self.sure(lambda: self.block(1 + self.below(2)))

    def leave(self):
        self.put(f"if {self.expr(BOOL, 2)}:")
        self.put("    " + self.pick(["break", "continue", "continue"]))

    def extent(self):
        n = self.pick(["len(x)", "len(x)", "n", "len(k)", "m.shape[0]", "len(y)"])
        return self.pick([n, n, n, f"1, {n}", f"{n} - 1", f"1, {n} - 1", f"0, {n}, 2", f"{n} - 1, -1, -1", f"2, {n}", "(p0 % 9)", f"{n}, 0, -2"])

    def loop(self):
        i = self.new("i")
        parallel = not self.parallel and self.chance(0.5)
        self.put(f"for {i} in {'prange' if parallel else 'range'}({self.extent() if not self.loops else self.pick(['n', '4', 'm.shape[1]', '1, 5', self.loops[-1]])}):")
        self.loops.append(i)
        self.parallel |= parallel
        self.sure(lambda: self.block(1 + self.below(3), self.pattern if parallel and self.chance(0.5) else None))
        self.parallel &= not parallel
        self.loops.pop()
        if self.chance(0.1):
            self.maybe[INT].append(i)

    def pattern(self):
        """What prange loops are made of: reductions, private variables, extremes, dependences."""
        i, r = self.loops[-1], self.below(9)
        if r == 0:
            self.put(f"p0 += {self.expr(INT, 1)}")
        elif r == 1:
            self.put(f"acc0 += {self.expr(FLOAT, 1)}")
        elif r == 2:
            self.put(f"if {self.element(FLOAT)} > {self.pick(['q0', '0.5'])}:")
            self.put("    p0 += 1")
        elif r == 3:
            self.put(f"if x[{i}] {self.pick(['<', '>', '<=', '>='])} q0:")
            self.put(f"    q0 = x[{i}]")
            if self.chance(0.6):
                self.put(f"    p0 = {i}")
        elif r == 4:
            self.put(f"q0 = {self.pick(['max', 'min'])}(q0, x[{i}])")
        elif r == 5:
            t = self.new("t")
            self.put(f"{t} = np.zeros(3)")
            self.put(f"{t}[{i} % 3] = {self.expr(FLOAT, 1)}")
            self.put(f"y[{i}] = {t}[0] + {t}[{self.pick(['1', '2', 'p0 % 3'])}]")
        elif r == 6:
            q = self.new(FLOAT)
            self.put(f"{q} = {self.expr(FLOAT, 1)}")
            self.put(f"{self.pick(['x', 'y', 'o'])}[{i}] = {q} * {q}")
        elif r == 7:
            self.put(f"x[{i}] = {self.pick(['a', '0.5'])} * x[{i} - 1] + y[{i}]")
        else:
            self.statement()

    def repeat(self):
        w = self.new("w")
        self.put(f"{w} = 0")
        self.put(f"while {w} < {self.pick(['3', '6', 'n'])}{self.pick(['', '', f' and {self.expr(BOOL, 1)}'])}:")
        self.put(f"    {w} += {self.pick(['1', '1', '2'])}")
        self.loops.append(w)
        self.sure(lambda: self.block(1 + self.below(2)))
        self.loops.pop()

    def walk(self):
        i, v = self.new("i"), self.new(FLOAT)
        form = self.below(4)
        array = self.pick(self.arrays)
        if form == 0:
            self.put(f"for {v} in {array}:")
        elif form == 1:
            self.put(f"for {i}, {v} in enumerate({array}):")
        elif form == 2:
            self.put(f"for {v}, {i} in zip({array}, k):")
        else:
            self.put(f"for {v}row in m:")
            self.put(f"    {v} = {v}row[0]")
            self.put(f"    {v}row[1] += 1.0")
        if form in (1, 2):
            self.loops.append(i)
        self.names[FLOAT].append(v)
        self.sure(lambda: self.block(1 + self.below(2)))
        self.names[FLOAT].remove(v)
        if form in (1, 2):
            self.loops.pop()

    def helper(self, number):
        name = f"g{number}"
        tests = self.pick(["u < v", "u % 2 == 0", "v > 3", "u == v"])
        early = self.pick([f"    if {tests}:\n        return u - v\n", "    u %= 40\n    while u > 3:\n        u -= abs(v) % 9 + 1\n",
            "    for i in range(3):\n        if u == i:\n            return v\n"])
        self.helpers.append(name)
        return f"def {name}(u, v=2):\n{early}    return {self.pick(['u * 3', 'u + v', 'max(u, v)', 'u ^ v'])}\n\n\n"

    def kernel(self):
        text = "".join(self.helper(k) for k in range(self.below(3)))
        self.put("p0, q0, b0, acc0, acc1 = 1, 0.5, n > 3, 0.0, 0.0")
        while self.budget > 0:
            self.statement()
            if self.chance(0.04):
                self.put(f"if {self.expr(BOOL, 1)}:")
                self.put("    return p0, q0, b0, acc0, acc1, p0, q0")
        integer, number = self.pick(self.names[INT] + self.maybe[INT]), self.pick(self.names[FLOAT] + self.maybe[FLOAT])
        self.put(f"return p0, q0, b0, acc0, acc1, {integer}, {number}")
        return text + "def f(n, a, x, y, k, m, h, g, o):\n" + "\n".join(self.lines) + "\n"


def arguments(rng):
    """For the parameters of every kernel: n, a, x, y, k, m, h, g, o."""
    n = int(rng.choice([0, 1, 2, 3, 5, 8, 13, 40, 100], p=[0.03, 0.04, 0.08, 0.1, 0.2, 0.25, 0.15, 0.1, 0.05]))
    wide = n if rng.random() < 0.8 else n + int(rng.integers(0, 4))

    def floats(*shape):
        v = np.round(rng.standard_normal(shape) * 4, 2)
        return np.where(rng.random(shape) < 0.01, rng.choice([np.nan, np.inf, -np.inf, -0.0]), v) if rng.random() < 0.2 else v
    index = rng.permutation(wide) if rng.random() < 0.5 else rng.integers(-2, max(1, n), wide)
    x, m = floats(n), floats(int(rng.integers(1, 7)), int(rng.integers(2, 7)))
    if rng.random() < 0.15:
        x = np.repeat(x, 2)[::2]
    if rng.random() < 0.15:
        m = np.asfortranarray(m)
    return [n, float(np.round(rng.standard_normal(), 1)), x, floats(wide), index.astype(np.int64), m, rng.integers(-300, 300, wide).astype(np.int16),
            floats(wide).astype(np.float32), np.zeros(wide)]
