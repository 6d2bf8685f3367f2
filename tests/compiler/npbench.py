# SPDX-License-Identifier: BSD-3-Clause
"""Kernels with the loops that NPBench's parallel Numba versions run with prange, written anew:
name, what becomes of each prange, arguments, source."""

import numpy as np

P, R, D = "parallel", "reductions", "in order"


def values(*shape):
    return np.random.default_rng(sum(shape)).random(shape)


KERNELS = [
    ("arc_distance", [P], [values(40), values(40), values(40), values(40)], """
def f(t1, p1, t2, p2):
    out = np.empty_like(t1)
    for i in prange(len(t1)):
        h = np.sin((t2[i] - t1[i]) / 2) ** 2 + np.cos(t1[i]) * np.cos(t2[i]) * np.sin((p2[i] - p1[i]) / 2) ** 2
        out[i] = 2 * np.arctan2(np.sqrt(h), np.sqrt(1 - h))
    return out
"""),
    ("compute", [P], [np.arange(42).reshape(6, 7), np.arange(42).reshape(6, 7)[::-1].copy(), 4, 3, 9], """
def f(u, v, a, b, c):
    out = np.empty_like(u)
    for i in prange(u.shape[0]):
        for j in range(u.shape[1]):
            out[i, j] = min(max(u[i, j], 2), 10) * a + v[i, j] * b + c
    return out
"""),
    ("mandelbrot", [P], [20, 16, 30], """
def f(w, h, n):
    count = np.zeros((h, w), np.int64)
    for i in prange(h):
        for j in range(w):
            c = complex(-2.0 + 2.5 * j / w, -1.25 + 2.5 * i / h)
            z = 0j
            for k in range(n):
                if abs(z) > 2.0:
                    break
                z = z * z + c
                count[i, j] += 1
    return count
"""),
    ("go_fast", [R], [values(12, 12)], """
def f(a):
    trace = 0.0
    for i in prange(a.shape[0]):
        trace += np.tanh(a[i, i])
    return a + trace
"""),
    ("jacobi_2d", [P, P], [values(9, 9), values(9, 9), 3], """
def f(a, b, steps):
    for t in range(steps):
        for i in prange(1, a.shape[0] - 1):
            b[i, 1:-1] = 0.2 * (a[i, 1:-1] + a[i, :-2] + a[i, 2:] + a[i + 1, 1:-1] + a[i - 1, 1:-1])
        for i in prange(1, a.shape[0] - 1):
            for j in range(1, a.shape[1] - 1):
                a[i, j] = 0.2 * (b[i, j] + b[i, j - 1] + b[i, j + 1] + b[i + 1, j] + b[i - 1, j])
"""),
    ("seidel_2d", [D], [values(9, 9)], """
def f(a):
    for i in range(1, a.shape[0] - 1):
        for j in prange(1, a.shape[1] - 1):
            a[i, j] = (a[i - 1, j] + a[i, j - 1] + a[i, j] + a[i, j + 1] + a[i + 1, j]) / 5.0
"""),
    ("durbin", [D], [values(9)], """
def f(r):
    y = np.empty_like(r)
    alpha = -r[0]
    beta = 1.0
    y[0] = -r[0]
    for k in prange(1, len(r)):
        beta *= 1.0 - alpha * alpha
        s = 0.0
        for i in range(k):
            s += r[k - 1 - i] * y[i]
        alpha = -(r[k] + s) / beta
        z = y[:k] + alpha * y[:k][::-1]
        y[:k] = z
        y[k] = alpha
    return y
"""),
    ("syrk", [P], [0.7, 1.3, values(8, 8), values(8, 6)], """
def f(alpha, beta, c, a):
    for i in prange(a.shape[0]):
        for j in range(i + 1):
            c[i, j] *= beta
        for k in range(a.shape[1]):
            for j in range(i + 1):
                c[i, j] += alpha * a[i, k] * a[j, k]
"""),
    ("softmax_rows", [P], [values(6, 10)], """
def f(x):
    out = np.empty_like(x)
    for i in prange(x.shape[0]):
        e = np.exp(x[i] - np.max(x[i]))
        out[i] = e / np.sum(e)
    return out
"""),
    ("conv2d", [P], [values(8, 8, 2), values(3, 3, 2, 4), values(4)], """
def f(x, w, bias):
    out = np.empty((x.shape[0] - 2, x.shape[1] - 2, w.shape[3]))
    for i in prange(out.shape[0]):
        for j in range(out.shape[1]):
            for o in range(w.shape[3]):
                out[i, j, o] = np.sum(x[i:i + 3, j:j + 3] * w[:, :, :, o]) + bias[o]
    return out
"""),
    ("spmv", [P], [np.array([0, 2, 3, 6, 6]), np.array([0, 3, 1, 0, 2, 3]), values(6), values(4)], """
def f(rows, cols, data, x):
    y = np.empty(len(rows) - 1)
    for i in prange(len(y)):
        s = 0.0
        for k in range(rows[i], rows[i + 1]):
            s += data[k] * x[cols[k]]
        y[i] = s
    return y
"""),
    ("histogram", [D], [np.arange(50) % 7, values(50)], """
def f(bins, weight):
    h = np.zeros(7)
    for i in prange(len(bins)):
        h[bins[i]] += weight[i]
    return h
"""),
]
