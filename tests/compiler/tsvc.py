# SPDX-License-Identifier: BSD-3-Clause
"""The loops of the Test Suite for Vectorising Compilers, written anew in the language, with prange on the main loop, and what they are by hand:
P independent (or made so by private variables), R reduction, S scan, D dependent or not decidable before it runs.

a to e have n elements, aa, bb, cc are m by m, flat has m*m, ip is a permutation; s, t are numbers, k is 1 when it runs but not known to the compiler."""

PARAMETERS = "a, b, c, d, e, aa, bb, cc, flat, ip, n, m, s, t, k"

LOOPS = """
s000 P | n | a[i] = b[i] + 1.0
s111 P | 1, n, 2 | a[i] = a[i - 1] + b[i]
s1111 P | n // 2 | a[2 * i] = c[i] * b[i] + d[i] * b[i] + c[i] * c[i] + d[i] * b[i] + d[i] * c[i]
s112 D | n - 2, -1, -1 | a[i + 1] = a[i] + b[i]
s1112 P | n - 1, -1, -1 | a[i] = b[i] + 1.0
s113 P | 1, n | a[i] = a[0] + b[i]
s1113 D | n | a[i] = a[n // 2] + b[i]
s114 P | m | for j in range(i): ; aa[i, j] = aa[j, i] + bb[i, j]
s115 D | m | for j in range(i + 1, m): ; a[j] -= aa[i, j] * a[i]
s1115 P | m | for j in range(m): ; aa[i, j] = aa[i, j] * cc[j, i] + bb[i, j]
s116 D | 0, n - 5, 5 | a[i] = a[i + 1] * a[i] / a[i + 2] = a[i + 3] * a[i + 2] / a[i + 4] = a[i + 5] * a[i + 4]
s118 D | 1, m | for j in range(i): ; a[i] += bb[j, i] * a[i - j - 1]
s119 D | 1, m | for j in range(1, m): ; aa[i, j] = aa[i - 1, j - 1] + bb[i, j]
s1119 D | 1, m | for j in range(m): ; aa[i, j] = aa[i - 1, j] + bb[i, j]
s121 D | n - 1 | j = i + 1 / a[i] = a[j] + b[i]
s122 P | k - 1, n, k ! j = 0 | j += 1 / a[i] += b[n - j]
s123 D | n // 2 ! j = -1 | j += 1 / a[j] = b[i] + d[i] * e[i] / if c[i] > 0: ; j += 1 ; a[j] = c[i] + d[i] * e[i]
s124 P | n ! j = -1 | j += 1 / if b[i] > 0: ; a[j] = b[i] + d[i] * e[i] / else: ; a[j] = c[i] + d[i] * e[i]
s125 P | m ! p = -1 | for j in range(m): ; p += 1 ; flat[p] = aa[i, j] + bb[i, j] * cc[i, j]
s126 P | m ! p = 1 | for j in range(1, m): ; bb[j, i] = bb[j - 1, i] + flat[p - 1] * cc[j, i] ; p += 1 / p += 1
s127 P | n // 2 ! j = -1 | j += 1 / a[j] = b[i] + c[i] * d[i] / j += 1 / a[j] = b[i] + d[i] * e[i]
s128 P | n // 2 ! j = -1 | p = j + 1 / a[i] = b[p] - d[i] / j = p + 1 / b[p] = a[i] + c[p]
s131 D | n - 1 ! j = 1 | a[i] = a[i + j] + b[i]
s132 P | 1, m ! j, p = 0, 1 | aa[j, i] = aa[p, i - 1] + b[i] * c[1]
s141 P | m | p = (i + 1) * i // 2 + i / for j in range(i, m): ; flat[p % (m * m)] += bb[j, i] ; p += j + 1
s151 D | n - 1 | a[i] = a[i + k] + b[i]
s152 P | n | b[i] = d[i] * e[i] / a[i] += b[i] * c[i]
s161 D | n - 1 | if b[i] < 0: ; c[i + 1] = a[i] + d[i] * d[i] / else: ; a[i] = c[i] + d[i] * e[i]
s1161 P | n - 1 | if c[i] < 0: ; b[i] = a[i] + d[i] * d[i] / else: ; a[i] = c[i] + d[i] * e[i]
s162 D | n - 1 | if k > 0: ; a[i] = a[i + k] + b[i] * c[i]
s171 D | n | a[i * k] += b[i]
s172 P | k - 1, n, k | a[i] += b[i]
s173 P | n // 2 ! p = n // 2 | a[i + p] = a[i] + b[i]
s174 P | m | a[i + m] = a[i] + b[i]
s175 D | 0, n - 1, k | a[i] = a[i + k] + b[i]
s176 D | m ! h = m | for j in range(h): ; a[j] += b[j + h - i - 1] * c[i]
s211 D | 1, n - 1 | a[i] = b[i - 1] + c[i] * d[i] / b[i] = b[i + 1] - e[i] * d[i]
s212 D | n - 1 | a[i] *= c[i] / b[i] += a[i + 1] * d[i]
s1213 D | 1, n - 1 | a[i] = b[i - 1] + c[i] / b[i] = a[i + 1] * d[i]
s221 S | 1, n | a[i] += c[i] * d[i] / b[i] = b[i - 1] + a[i] + d[i]
s1221 D | 4, n | b[i] = b[i - 4] + a[i]
s222 D | 1, n | a[i] += b[i] * c[i] / e[i] = e[i - 1] * e[i - 1] / a[i] -= b[i] * c[i]
s231 P | m | for j in range(1, m): ; aa[j, i] = aa[j - 1, i] + bb[j, i]
s232 P | 1, m | for j in range(1, i + 1): ; aa[i, j] = aa[i, j - 1] * aa[i, j - 1] + bb[i, j]
s1232 P | m | for j in range(i, m): ; aa[j, i] = bb[j, i] + cc[j, i]
s233 D | 1, m | for j in range(1, m): ; aa[j, i] = aa[j - 1, i] + cc[j, i] / for j in range(1, m): ; bb[j, i] = bb[j, i - 1] + cc[j, i]
s2233 D | 1, m | for j in range(1, m): ; aa[j, i] = aa[j - 1, i] + cc[j, i] / for j in range(1, m): ; bb[i, j] = bb[i - 1, j] + cc[i, j]
s235 P | m | a[i] += b[i] * c[i] / for j in range(1, m): ; aa[j, i] = aa[j - 1, i] + bb[j, i] * a[i]
s241 D | n - 1 | a[i] = b[i] * c[i] * d[i] / b[i] = a[i] * a[i + 1] * d[i]
s242 S | 1, n | a[i] = a[i - 1] + s + t + b[i] + c[i] + d[i]
s243 D | n - 1 | a[i] = b[i] + c[i] * d[i] / b[i] = a[i] + d[i] * e[i] / a[i] = b[i] + a[i + 1] * d[i]
s244 D | n - 1 | a[i] = b[i] + c[i] * d[i] / b[i] = c[i] + b[i] / a[i + 1] = b[i] + a[i + 1] * d[i]
s1244 D | n - 1 | a[i] = b[i] + c[i] * c[i] + b[i] * b[i] + c[i] / d[i] = a[i] + a[i + 1]
s2244 D | n - 1 | a[i + 1] = b[i] + e[i] / a[i] = b[i] + c[i]
s251 P | n | x = b[i] + c[i] * d[i] / a[i] = x * x
s1251 P | n | x = b[i] + c[i] / b[i] = a[i] + d[i] / a[i] = x * e[i]
s2251 D | n ! x = 0.0 | a[i] = x * e[i] / x = b[i] + c[i] / b[i] = a[i] + d[i]
s3251 D | n - 1 | a[i + 1] = b[i] + c[i] / b[i] = c[i] * e[i] / d[i] = a[i] * e[i]
s252 D | n ! y = 0.0 | x = b[i] * c[i] / a[i] = x + y / y = x
s253 P | n | if a[i] > b[i]: ; x = a[i] - b[i] * d[i] ; c[i] += x ; a[i] = x
s254 D | n ! x = b[n - 1] | a[i] = (b[i] + x) * 0.5 / x = b[i]
s255 D | n ! x, y = b[n - 1], b[n - 2] | a[i] = (b[i] + x + y) * 0.333 / y = x / x = b[i]
s256 D | m | for j in range(1, m): ; a[j] = 1.0 - a[j - 1] ; cc[j, i] = a[j] + bb[j, i] * d[j]
s257 D | 1, m | for j in range(m): ; a[i] = aa[j, i] - a[i - 1] ; aa[j, i] = a[i] + bb[j, i]
s258 D | m ! x = 0.0 | if a[i] > 0: ; x = d[i] * d[i] / b[i] = x * c[i] + d[i] / e[i] = (x + 1.0) * aa[0, i]
s261 D | 1, n | x = a[i] + b[i] / a[i] = x + c[i - 1] / x = c[i] * d[i] / c[i] = x
s271 P | n | if b[i] > 0: ; a[i] += b[i] * c[i]
s272 P | n | if e[i] >= t: ; a[i] += c[i] * d[i] ; b[i] += c[i] * c[i]
s273 P | n | a[i] += d[i] * e[i] / if a[i] < 0: ; b[i] += d[i] * e[i] / c[i] += a[i] * d[i]
s274 P | n | a[i] = c[i] + e[i] * d[i] / if a[i] > 0: ; b[i] = a[i] + b[i] / else: ; a[i] = d[i] * e[i]
s275 P | m | if aa[0, i] > 0: ; for j in range(1, m): ; + aa[j, i] = aa[j - 1, i] + bb[j, i] * cc[j, i]
s2275 P | m | for j in range(m): ; aa[j, i] += bb[j, i] * cc[j, i] / a[i] = b[i] + c[i] * d[i]
s276 P | n ! h = n // 2 | if i + 1 < h: ; a[i] += b[i] * c[i] / else: ; a[i] += b[i] * d[i]
s277 D | n - 1 | if a[i] < 0: ; if b[i] < 0: ; + a[i] += c[i] * d[i] ; b[i + 1] = c[i] + d[i] * e[i]
s278 P | n | if a[i] > 0: ; c[i] = -c[i] + d[i] * e[i] / else: ; b[i] = -b[i] + d[i] * e[i] / a[i] = b[i] + c[i] * d[i]
s279 P | n | if a[i] > 0: ; c[i] = -c[i] + e[i] * e[i] / else: ; b[i] = -b[i] + d[i] * d[i] ; if b[i] > a[i]: ; + c[i] += d[i] * e[i] / a[i] = b[i] + c[i] * d[i]
s1279 P | n | if a[i] < 0: ; if b[i] > a[i]: ; + c[i] += d[i] * e[i]
s2710 P | n | if a[i] > b[i]: ; a[i] += b[i] * d[i] ; c[i] += d[i] * d[i] if n > 10 else d[i] * e[i] / else: ; b[i] = a[i] + e[i] * e[i] ; c[i] = a[i] + d[i] * d[i] if s > 0 else c[i]
s2711 P | n | if b[i] != 0.0: ; a[i] += b[i] * c[i]
s2712 P | n | if a[i] > b[i]: ; a[i] += b[i] * c[i]
s281 D | n | x = a[n - i - 1] + b[i] * c[i] / a[i] = x - 1.0 / b[i] = x
s291 D | n ! j = n - 1 | a[i] = (b[i] + b[j]) * 0.5 / j = i
s292 D | n ! j, p = n - 1, n - 2 | a[i] = (b[i] + b[j] + b[p]) * 0.333 / p = j / j = i
s293 D | n | a[i] = a[0]
s2101 P | m | aa[i, i] += bb[i, i] * cc[i, i]
s2102 P | m | for j in range(m): ; aa[j, i] = 0.0 / aa[i, i] = 1.0
s2111 D | 1, m | for j in range(1, m): ; aa[i, j] = (aa[i, j - 1] + aa[i - 1, j]) / 1.9
s311 R | n ! x = 0.0 | x += a[i]
s312 R | n ! x = 1.0 | x *= a[i]
s313 R | n ! x = 0.0 | x += a[i] * b[i]
s314 R | n ! x = a[0] | if a[i] > x: ; x = a[i]
s315 R | n ! x, y = a[0], 0 | if a[i] > x: ; x = a[i] ; y = i
s316 R | 1, n ! x = a[0] | if a[i] < x: ; x = a[i]
s317 R | n // 2 ! x = 1.0 | x *= 0.99
s318 R | 1, n ! x, y = abs(a[0]), 0 | if abs(a[i * k]) > x: ; x = abs(a[i * k]) ; y = i
s319 R | n ! x = 0.0 | a[i] = c[i] + d[i] / x += a[i] / b[i] = c[i] + e[i] / x += b[i]
s3110 R | m ! x, y = aa[0, 0], 0 | for j in range(m): ; if aa[i, j] > x: ; + x = aa[i, j] ; + y = i
s3111 R | n ! x = 0.0 | if a[i] > 0: ; x += a[i]
s3112 S | n ! x = 0.0 | x += a[i] / b[i] = x
s3113 R | n ! x = abs(a[0]) | if abs(a[i]) > x: ; x = abs(a[i])
s321 S | 1, n | a[i] += a[i - 1] * b[i]
s322 D | 2, n | a[i] = a[i] + a[i - 1] * b[i] + a[i - 2] * c[i]
s323 D | 1, n | a[i] = b[i - 1] + c[i] * d[i] / b[i] = a[i] + c[i] * e[i]
s331 R | n ! y = -1 | if a[i] < 0: ; y = i
s332 D | n ! x, y = -1.0, -2 | if a[i] > t: ; y = i ; x = a[i] ; break
s341 D | n ! j = -1 | if b[i] > 0: ; j += 1 ; a[j] = b[i]
s342 D | n ! j = -1 | if a[i] > 0: ; j += 1 ; a[i] = b[j]
s343 D | m ! p = -1 | for j in range(m): ; if bb[j, i] > 0: ; + p += 1 ; + flat[p] = aa[j, i]
s351 P | 0, n - 4, 5 | a[i] += s * b[i] / a[i + 1] += s * b[i + 1] / a[i + 2] += s * b[i + 2] / a[i + 3] += s * b[i + 3] / a[i + 4] += s * b[i + 4]
s1351 P | n | a[i] = b[i] + c[i]
s352 R | 0, n - 4, 5 ! x = 0.0 | x = x + a[i] * b[i] + a[i + 1] * b[i + 1] + a[i + 2] * b[i + 2] + a[i + 3] * b[i + 3] + a[i + 4] * b[i + 4]
s353 P | 0, n - 4, 5 | a[i] += s * b[ip[i]] / a[i + 1] += s * b[ip[i + 1]] / a[i + 2] += s * b[ip[i + 2]] / a[i + 3] += s * b[ip[i + 3]] / a[i + 4] += s * b[ip[i + 4]]
s421 D | m * m - 1 ! v = flat | flat[i] = v[i + 1] + a[i % n]
s1421 P | n // 2 ! v = b[n // 2:] | b[i] = v[i] + a[i]
s422 D | n - 8 ! v = a[4:] | v[i] = a[i + 8] + b[i] if i < n - 12 else 0.0
s423 D | n - 9 ! v = a[8:] | a[i + 1] = v[i] + b[i]
s424 D | n - 9 ! v = a[7:] | v[i + 1] = a[i] + b[i]
s431 P | n ! p = 2 * 1 - 2 | a[i] = a[i + p] + b[i]
s441 P | n | if d[i] < 0: ; a[i] += b[i] * c[i] / elif d[i] == 0: ; a[i] += b[i] * b[i] / else: ; a[i] += c[i] * c[i]
s442 P | n | if ip[i] % 3 == 0: ; a[i] += b[i] * b[i] / elif ip[i] % 3 == 1: ; a[i] += c[i] * c[i] / else: ; a[i] += d[i] * d[i]
s443 P | n | if d[i] <= 0: ; a[i] += b[i] * c[i] / else: ; a[i] += b[i] * b[i]
s451 P | n | a[i] = np.sqrt(abs(b[i])) + np.floor(c[i])
s452 P | n | a[i] = b[i] + c[i] * (i + 1)
s453 D | n ! x = 0.0 | x += 2.0 / a[i] = x * b[i]
s471 P | n | x = b[i] + d[i] * d[i] / b[i] = c[i] + d[i] * e[i] / a[i] = x
s481 D | n | if d[i] < -1e9: ; break / a[i] += b[i] * c[i]
s482 D | n | a[i] += b[i] * c[i] / if c[i] > b[i]: ; break
s491 D | n | a[ip[i]] = b[i] + c[i] * d[i]
s4112 P | n | a[i] += b[ip[i]] * s
s4113 D | n | a[ip[i]] = b[ip[i]] + c[i]
s4114 P | n | p = ip[i] / a[i] = b[i] + c[n - p - 1] * d[i]
s4115 R | n ! x = 0.0 | x += a[i] * b[ip[i]]
s4116 R | m - 1 ! x = 0.0 | x += a[i + k] * aa[1, ip[i] % m]
s4117 P | n | a[i] = b[i] + c[i // 2] * d[i]
s4121 P | n | a[i] += product(b[i], c[i])
va P | n | a[i] = b[i]
vag P | n | a[i] = b[ip[i]]
vas D | n | a[ip[i]] = b[i]
vif P | n | if b[i] > 0: ; a[i] = b[i]
vpv P | n | a[i] += b[i]
vtv P | n | a[i] *= b[i]
vpvtv P | n | a[i] += b[i] * c[i]
vpvts P | n | a[i] += b[i] * s
vpvpv P | n | a[i] += b[i] + c[i]
vtvtv P | n | a[i] = a[i] * b[i] * c[i]
vsumr R | n ! x = 0.0 | x += a[i]
vdotr R | n ! x = 0.0 | x += a[i] * b[i]
vbor P | n | x = a[i] * b[i] + c[i] * d[i] / x = x * x + a[i] * e[i] + b[i] * c[i] / a[i] = x * (b[i] + x)
"""


def lines(body):
    """`/` ends a statement of the loop, `;` one inside a block, `+` goes one deeper."""
    import re
    for statement in re.split(r" / (?=(?:[a-z]\w*(?:\[[^=]*\])? [-+*]?= )|if |elif |else:|for )", body):
        first, *inside = statement.split(" ; ")
        yield "        " + first
        for text in inside:
            yield ("                " if text.startswith("+ ") else "            ") + text.removeprefix("+ ")


def kernels():
    """name, class, source"""
    for line in LOOPS.strip().splitlines():
        head, extent, body = line.split(" | ", 2)
        name, kind = head.split()
        extent, _, before = extent.partition(" ! ")
        results = [v for v in ("x", "y") if before.startswith(v + " =") or before.startswith("x, y =")]
        source = "def product(u, v):\n    return u * v\n\n\n" if "product" in body else ""
        source += f"def f({PARAMETERS}):\n" + (f"    {before}\n" if before else "") + f"    for i in prange({extent}):\n" + "\n".join(lines(body)) + "\n"
        yield name, kind, source + (f"    return {', '.join(results)}\n" if results else "")
