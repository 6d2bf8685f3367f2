# SPDX-License-Identifier: BSD-3-Clause
"""A kernel on every channel of a recording, against the same function on the traces that the file holds."""

import threading
import time

import numpy as np
import pytest
import spiked
from conftest import FS, GAIN_UV, is_idle, is_running, wait_until
from spiked import njit
from spiked.errors import Cancelled, DeadlineExceeded, Invalid, TooLarge, TypingError, Unsupported

STAGES = [spiked.bandpass(300, 6000), spiked.common_reference("median")]


@pytest.fixture(scope="module", autouse=True)
def session(daemon):
    with spiked.Client(daemon.url) as client:
        spiked.use(client)
        yield client
        spiked.use(None)


@pytest.fixture
def rec(client, nwb):
    return client.open(nwb.path)


@njit
def count_below(x, level):
    n = 0
    for i in range(len(x)):
        if x[i] < level:
            n += 1
    return n


@njit
def crossings(x, level):
    at = []
    for i in range(1, len(x)):
        if x[i - 1] >= level > x[i]:
            at.append(i)
    return at


@njit
def summary(x):
    low, high, total = x[0], x[0], 0.0
    for v in x:
        low = min(low, v)
        high = max(high, v)
        total += v
    return low, high, total / len(x), high > 200, np.diff(x[:5])


def plain_sum(x):
    return np.sum(x)


def each(kernel, traces, *args):
    """The kernel's Python function on each channel."""
    return [kernel.py_func(trace.tolist(), *args) for trace in traces.T]


# --- results ---

def test_numbers(rec, nwb):
    got = rec.map(count_below, -50)
    assert got.dtype == np.int64 and got.shape == (19,)
    np.testing.assert_array_equal(got, (nwb.traces < -50).sum(axis=0))
    assert got.sum() > 0


def test_a_plain_function(rec, nwb):
    got = rec.map(plain_sum)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, nwb.traces.sum(axis=0, dtype=np.int64))


def test_lists_of_times(rec, nwb):
    got = rec.map(crossings, -60)
    want = each(crossings, nwb.traces, -60)
    assert isinstance(got, list) and len(got) == 19 and sum(map(len, got)) > 50
    for a, b in zip(got, want):
        assert a.dtype == np.int64 and a.tolist() == b


def test_lists_that_are_empty(rec):
    got = rec.map(crossings, -40000)
    assert [len(a) for a in got] == [0] * 19 and all(a.dtype == np.int64 for a in got)


def test_several_results(rec, nwb):
    low, high, mean, loud, steps = rec.map(summary)
    x = nwb.traces
    np.testing.assert_array_equal(low, x.min(axis=0))
    np.testing.assert_array_equal(high, x.max(axis=0))
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12, atol=1e-12)
    assert loud.dtype == bool and mean.dtype == np.float64
    np.testing.assert_array_equal(loud, x.max(axis=0) > 200)
    np.testing.assert_array_equal(np.stack(steps, axis=1), np.diff(x[:5], axis=0))


def test_no_result(rec):
    def nothing(x):
        y = x[0]

    assert rec.map(nothing) is None


def test_the_trace_itself_and_views_of_it(rec, nwb):
    def itself(x):
        return x

    def every_third(x):
        return x[::3]

    def backwards(x):
        return x[::-1], x[:2]

    for c, (a, b) in enumerate(zip(rec.map(itself), rec.map(every_third))):
        assert a.dtype == np.int16
        np.testing.assert_array_equal(a, nwb.traces[:, c])
        np.testing.assert_array_equal(b, nwb.traces[::3, c])
    whole, first = rec.map(backwards)
    np.testing.assert_array_equal(np.stack(whole, axis=1), nwb.traces[::-1])
    np.testing.assert_array_equal(np.stack(first, axis=1), nwb.traces[:2])


def test_an_argument_as_result(rec):
    def given(x, weights):
        return weights

    w = np.arange(4.0)
    for got in rec.map(given, w):
        np.testing.assert_array_equal(got, w)


# --- arguments ---

LEVELS = np.array([-80.0, -60.0, -40.0])


@njit
def below(v, level):
    return v < level


@njit
def count_levels(x, offset=0.0):
    out = np.zeros(len(LEVELS), np.int64)
    for k in range(len(LEVELS)):
        for v in x:
            if below(v, LEVELS[k] + offset):
                out[k] += 1
    return out


def test_helpers_globals_and_defaults(rec, nwb):
    for args in ((), (7.5,), (np.float32(2),)):
        offset = args[0] if args else 0.0
        got = np.stack(rec.map(count_levels, *args))
        np.testing.assert_array_equal(got, np.stack([(nwb.traces < level + offset).sum(axis=0) for level in LEVELS], axis=1))


@pytest.mark.parametrize("n", [7, 20_000])  # through the socket, and by memory
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1"])
def test_arrays(rec, nwb, n, dtype):
    def correlate(x, w, m):
        s = 0.0
        for i in range(len(w)):
            s += float(x[i]) * float(w[i]) * m[i % 3, 1]
        return s

    rng = np.random.default_rng(3)
    w = (rng.random(n) * 100).astype(dtype)
    m = np.asfortranarray(rng.random((3, 2)))
    want = (nwb.traces[:n].astype("f8") * w[:, None].astype("f8") * m[np.arange(n) % 3, 1][:, None]).sum(axis=0)
    np.testing.assert_allclose(rec.map(correlate, w, m), want, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(rec.map(correlate, np.repeat(w, 2)[::2], m), want, rtol=1e-9, atol=1e-6)


def test_wrong_arguments(rec):
    for kernel, args in ((count_below, ()), (count_below, (1, 2)), (count_below, ("low",)), (5, ()), (len, ()), (lambda x: 1, ())):
        with pytest.raises(TypeError):
            rec.map(kernel, *args)


def test_options_of_the_decorator(rec):
    @njit(error_model="numpy")
    def divide(x, by):
        return len(x) // by

    with pytest.warns(RuntimeWarning, match="divided by zero"):
        assert rec.map(divide, 0).tolist() == [0] * 19
    with pytest.raises(ZeroDivisionError, match="channel 0: divide"):
        rec.map(njit(divide.py_func), 0)


# --- which samples ---

def test_a_part(rec, nwb):
    for start, stop in ((100, 5000), (None, 31), (60_000, None)):
        np.testing.assert_array_equal(rec.map(plain_sum, start=start, stop=stop), nwb.traces[start:stop].sum(axis=0, dtype=np.int64))


def test_no_frames(rec):
    def length(x):
        return len(x), x

    n, traces = rec.map(length, start=50, stop=50)
    assert n.tolist() == [0] * 19 and [a.shape for a in traces] == [(0,)] * 19
    with pytest.raises(IndexError, match="channel 0: "):
        rec.map(summary, start=0, stop=0)


def test_frames_that_are_not_there(rec):
    for start, stop in ((0, 10**9), (-1, 5), (5, 4)):
        with pytest.raises(Invalid):
            rec.map(plain_sum, start=start, stop=stop)


def itself(x):
    return x


def test_scaled(rec, nwb):
    got = np.stack(rec.map(itself, scaled=True), axis=1)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, rec.read(scaled=True))
    np.testing.assert_allclose(got, nwb.traces * GAIN_UV, rtol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_preprocessed(rec, scaled):
    """As the detector has them: its peaks' amplitudes are samples of these traces."""
    traces = np.stack(rec.map(itself, preprocess=STAGES, scaled=scaled), axis=1)
    assert traces.dtype == np.float32 and traces.shape == (rec.num_samples, 19)
    np.testing.assert_allclose(np.median(traces, axis=1), 0, atol=1e-3)
    peaks = rec.detect_peaks(preprocess=STAGES)
    factor = GAIN_UV if scaled else 1
    at = traces[peaks["sample_index"], peaks["channel_index"]]
    assert len(peaks) > 10
    np.testing.assert_allclose(at, peaks["amplitude"] * factor, rtol=1e-3 if scaled else 1e-6)
    part = np.stack(rec.map(itself, preprocess=STAGES, scaled=scaled, start=20_000, stop=30_001), axis=1)
    np.testing.assert_array_equal(part, traces[20_000:30_001])


def test_segments(client, gapped):
    rec = client.open(gapped.path)
    with pytest.raises(Invalid, match="3 segments"):
        rec.map(plain_sum)
    for k, x in enumerate(gapped.segments):
        np.testing.assert_array_equal(rec.map(plain_sum, segment=k), x.sum(axis=0, dtype=np.int64))
        got = np.stack(rec.map(itself, preprocess=STAGES[:1], segment=k), axis=1)
        assert got.shape == x.shape
    np.testing.assert_array_equal(rec.map(plain_sum, start=10), gapped.segments[0][10:].sum(axis=0, dtype=np.int64))
    with pytest.raises(Invalid):
        rec.map(plain_sum, segment=3)


# --- arrays in memory ---

@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["i2", "f4", "f8", "u1"])
def test_an_array(client, nwb, dtype, order):
    x = np.asarray(nwb.traces % 100, dtype=dtype, order=order)
    got = client.map(x, count_below, 40)
    np.testing.assert_array_equal(got, (x < 40).sum(axis=0))
    for a, b in zip(client.map(x, crossings, 40), each(crossings, x, 40)):
        assert a.tolist() == b
    np.testing.assert_array_equal(client.map(x[:, 3], count_below, 40), got[3:4])
    assert np.stack(client.map(x, count_levels)).sum() == 0


def test_an_array_preprocessed(client, rec, nwb):
    for a, b in zip(client.map(nwb.traces, itself, preprocess=STAGES, sampling_frequency=FS), rec.map(itself, preprocess=STAGES)):
        np.testing.assert_array_equal(a, b)


# --- few channels at a time ---

@pytest.mark.parametrize("preprocess", [(), STAGES])
def test_groups(nwb, preprocess):
    """A trace has 138 000 (276 000) bytes; what is left of the budget holds three or fewer, and 19 channels need several passes."""
    with spiked.launch(options={"limits.work_bytes": (16 << 20) + 900_000, "compute.threads": 2}) as sp:
        rec = sp.open(nwb.path)
        whole = rec.map(itself, preprocess=preprocess)
        assert len(whole) == 19
        if not preprocess:
            np.testing.assert_array_equal(np.stack(whole, axis=1), nwb.traces)
        counts, times = rec.map(count_below, -50, preprocess=preprocess), rec.map(crossings, -60, preprocess=preprocess)
        for c, trace in enumerate(whole):
            assert counts[c] == (trace < -50).sum() and times[c].tolist() == crossings.py_func(trace.tolist(), -60)


def test_limits(nwb):
    with spiked.launch(options={"limits.work_bytes": 16 << 20}) as sp:
        with pytest.raises(TooLarge, match="one channel has 138000 bytes"):
            sp.open(nwb.path).map(plain_sum)
    with spiked.launch(options={"limits.result_bytes": "1MiB"}) as sp:
        rec = sp.open(nwb.path)
        with pytest.raises(TooLarge, match="results"):
            rec.map(itself)
        assert rec.map(plain_sum).shape == (19,)


# --- errors ---

@njit
def fails_when_loud(x, limit):
    for i in range(len(x)):
        assert x[i] < limit
    return len(x)


def test_an_error_names_the_channel(rec, nwb):
    most = nwb.traces.max(axis=0)
    limit = int(np.sort(most)[-1])
    first = int(np.flatnonzero(most >= limit)[0])
    with pytest.raises(AssertionError, match=rf"channel {first}: fails_when_loud \(test_map.py:\d+"):
        rec.map(fails_when_loud, limit)
    with pytest.raises(IndexError, match="channel 0: .*69000"):
        rec.map(reads_too_far)
    assert rec.map(count_below, 0).shape == (19,)


def reads_too_far(x):
    return x[len(x)]


def test_what_does_not_compile(rec):
    def writes(x):
        x[0] = 1
        return 0

    def unknown(x):
        return no_such_name(x)  # noqa: F821

    def matrix(x):
        return np.zeros((2, 2))

    for kernel in (writes, unknown):
        with pytest.raises(TypingError, match=r"test_map.py:\d+"):
            rec.map(kernel)
    with pytest.raises(Unsupported, match="2 dimensions"):
        rec.map(matrix)


def test_an_argument_is_read_only(rec):
    def writes(x, y):
        y[0] = 1.0
        return 0

    with pytest.raises(TypingError):
        rec.map(writes, np.zeros(3))


def endless(x):
    n = 0
    while x[0] == x[0]:
        n += 1
    return n


def test_deadline(rec, client):
    before = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        rec.map(endless, timeout=0.3)
    assert time.monotonic() - before < 5
    wait_until("idle", lambda: is_idle(client))


def test_cancel(daemon, nwb, client, monkeypatch):
    caught = []
    with spiked.Client(daemon.url) as other:
        rec = other.open(nwb.path)
        ids = []
        exchange = other._exchange
        monkeypatch.setattr(other, "_exchange", lambda request_id, *rest: ids.append(request_id) or exchange(request_id, *rest))

        def work():
            try:
                rec.map(endless)
            except Exception as e:
                caught.append(e)

        thread = threading.Thread(target=work)
        thread.start()
        wait_until("running", lambda: is_running(client) and ids)
        assert client.cancel(ids[-1].hex())
        thread.join(10)
    assert len(caught) == 1 and isinstance(caught[0], Cancelled)
    wait_until("idle", lambda: is_idle(client))
