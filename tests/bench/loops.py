# SPDX-License-Identifier: BSD-3-Clause
"""Loop kernels of the bench: the same functions for spiked and for Numba."""

from numba import prange


def count_spikes(x, threshold):
    n = 0
    for i in prange(len(x)):
        if x[i] > threshold:
            n += 1
    return n


def sum_of_squares(x):
    total = 0.0
    for i in prange(len(x)):
        total += x[i] * x[i]
    return total


def weighted_sum(x, threshold):
    total = 0.0
    for i in prange(len(x)):
        if x[i] > threshold:
            total += x[i]
        else:
            total -= x[i]
    return total


def sum_seq(x):
    total = 0.0
    for i in prange(len(x)):
        total += x[i]
    return total


def dependent_loop(x):
    for i in prange(1, len(x)):
        x[i] = x[i] + x[i - 1]
    return x


# function, size in the notebook, further arguments
KERNELS = [
    (count_spikes, 10_000_000, (0.1,)),
    (sum_of_squares, 100_000, ()),
    (sum_of_squares, 10_000_000, ()),
    (weighted_sum, 100_000, (1.0,)),
    (weighted_sum, 10_000_000, (0.5,)),
    (sum_seq, 50_000_000, ()),
    (dependent_loop, 5_000_000, ()),
]

# With parallel=True Numba's answer is wrong, silently: its serial version is the peer.
NUMBA_IS_WRONG = {dependent_loop}
