# SPDX-License-Identifier: BSD-3-Clause
"""Each preprocessing stage against SciPy and SpikeInterface's formulas: what comes out of the daemon is all of `map`'s traces."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
import oracle
import pytest
import spiked
from conftest import FS

SEED = 77


def whole(x: np.ndarray) -> np.ndarray:
    return x.copy()


def out_of(client: spiked.Client, x: np.ndarray, stages: Sequence[oracle.Stage]) -> np.ndarray:
    """The preprocessed traces of an array, float32 (frames, channels)."""
    return np.stack(client.map(x, whole, preprocess=stages, sampling_frequency=FS), axis=1)


def noise(frames: int, channels: int, seed: int = SEED, low: float = 100.0, dtype: str = "<f4") -> np.ndarray:
    """Noise of standard deviation 100 on an offset for each channel."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, low, (frames, channels)) + rng.normal(0, 500, channels)).astype(dtype)


# --- filters ---

SHAPES = [dict(), dict(filter="bessel", norm="mag"), dict(filter="bessel", norm="delay", order=3), dict(filter="chebyshev1", ripple_db=0.2),
          dict(filter="chebyshev2", attenuation_db=50, order=6), dict(filter="elliptic", ripple_db=0.5, attenuation_db=60, order=4)]
FILTERS = [spiked.bandpass(300, 6000, **s) for s in SHAPES] + [spiked.lowpass(2000, **s) for s in SHAPES] + [
    spiked.highpass(500, **s) for s in SHAPES] + [spiked.bandstop(1000, 3000, **s) for s in SHAPES] + [
    spiked.notch(), spiked.notch(50, 3), spiked.notch(1000, 5, zero_phase=False), spiked.lowpass(250, 3, zero_phase=False),
    spiked.bandstop(45, 55, 2, zero_phase=False), spiked.bandpass(8, 300, 3, filter="chebyshev1", ripple_db=0.1)]


@pytest.mark.parametrize("stage", FILTERS, ids=lambda s: "-".join(str(v) for v in s.values()))
def test_filters(client, stage):
    x = noise(20000, 2)
    got = out_of(client, x, [stage])
    expected, tolerance = oracle.preprocess(x, [stage], FS)
    error = np.abs(got - expected).max()
    assert error <= tolerance, (SEED, error, tolerance)
    assert tolerance < 2, "a tolerance that would hide anything"


@pytest.mark.parametrize("stage,field", [
    (dict(stage="lowpass", freq_max=15000), "preprocess[0].freq_max"), (dict(stage="bandstop", freq_min=900, freq_max=800), "preprocess[0].freq_max"),
    (dict(stage="notch", freq=20000), "preprocess[0].freq"), (dict(stage="notch", q=0), "preprocess[0].q"),
    (dict(stage="notch", freq_min=300), "preprocess[0].freq_min"), (dict(stage="bandpass", filter="cauer"), "preprocess[0].filter"),
    (dict(stage="bandpass", ripple_db=1), "preprocess[0].ripple_db"), (dict(stage="lowpass", freq_min=3), "preprocess[0].freq_min"),
    (dict(stage="highpass", filter="elliptic", ripple_db=3, attenuation_db=3), "preprocess[0].attenuation_db"),
    (dict(stage="highpass", filter="bessel", norm="fast"), "preprocess[0].norm"), (dict(stage="bandpass", order=9), "preprocess[0].order")])
def test_wrong_filters(client, stage, field):
    with pytest.raises(spiked.Invalid) as e:
        out_of(client, noise(100, 2), [stage])
    assert e.value.field == field and client.ping() is not None


def whole_signal(x: np.ndarray, stage: oracle.Stage) -> Any:
    return oracle.zero_phase(x, stage, FS, 1 << 30)


@pytest.mark.parametrize("stage", [s for s in FILTERS if s["zero_phase"]], ids=lambda s: "-".join(str(v) for v in s.values()))
def test_blocks_hardly_show(client, stage):
    """The grid's blocks against one pass over everything: what a margin of five periods, or of a decay to 1e-4, leaves of the block's ends."""
    x = noise(20000, 2)
    x -= x.mean(axis=0)
    difference = np.abs(out_of(client, x, [stage]) - whole_signal(x, stage)).max()
    assert difference <= 1e-2 * np.abs(x).max(), difference


# --- common reference ---

def grid_of(channels: int) -> np.ndarray:
    """Two staggered columns, micrometres: many channels at equal distances."""
    c = np.arange(channels)
    return np.stack([(c % 2) * 32.0 + (c // 2 % 2) * 16.0, (c // 2) * 20.0], axis=1)


def around(locations: np.ndarray, inner: float, outer: float, excluded: Sequence[int] = ()) -> list:
    """SpikeInterface's ring with at least 5; at equal distances the lower index first."""
    out = []
    for c, here in enumerate(locations):
        d = np.sqrt(((locations - here) ** 2).sum(axis=1))
        others = [k for k in range(len(d)) if k != c and k not in excluded and d[k] > inner]
        ring = [k for k in others if d[k] <= outer]
        out.append(ring if len(ring) >= 5 else sorted(sorted(others, key=lambda k: (d[k], k))[:5]))
    return out


def referenced(x: np.ndarray, sets: Sequence[Any], operator: str) -> np.ndarray:
    """float64; sets: for each channel those of its reference, or nothing."""
    f = np.median if operator == "median" else np.mean
    y = x.astype(float)
    return np.stack([y[:, c] - (f(y[:, s], axis=1) if len(s) else 0) for c, s in enumerate(sets)], axis=1)


PLACES = grid_of(40)
ALL = list(range(40))
GROUPS = [[0, 5, 7], list(range(10, 38)), [39]]


@pytest.mark.parametrize("operator", ["median", "average"])
@pytest.mark.parametrize("stage,sets", [
    (dict(), [ALL] * 40), (dict(ref_channels=[3, 9, 30]), [[3, 9, 30]] * 40), (dict(excluded=[0, 8]), [[c for c in ALL if c not in (0, 8)]] * 40),
    (dict(reference="single", ref_channels=[7]), [[7]] * 40),
    (dict(reference="groups", groups=GROUPS), [next((g for g in GROUPS if c in g), []) for c in ALL]),
    (dict(reference="local", channel_locations=PLACES), around(PLACES, 30, 55)),
    (dict(reference="local", local_radius_um=(5, 25), channel_locations=PLACES), around(PLACES, 5, 25)),
    (dict(reference="local", local_radius_um=(0, 100), excluded=[2, 3, 20], channel_locations=PLACES), around(PLACES, 0, 100, [2, 3, 20])),
    (dict(reference="local", local_radius_um=(390, 400), channel_locations=PLACES), around(PLACES, 390, 400))],
    ids=["all", "listed", "excluded", "single", "groups", "local", "narrow", "wide", "far"])
def test_common_reference(client, operator, stage, sets):
    x = noise(3000, 40)
    got, expected = out_of(client, x, [spiked.common_reference(operator, **stage)]), referenced(x, sets, operator)
    # Two roundings: of the reference, and of the difference.
    assert np.abs(got - expected).max() <= 2 * oracle.U32 * 2 * np.abs(x).max()


def test_local_reference_takes_the_recordings_locations(client, nwb):
    rec = client.open(nwb.path)
    got = np.stack(rec.map(whole, preprocess=[spiked.common_reference(reference="local")], stop=2000), axis=1)
    expected = referenced(nwb.traces[:2000], around(rec.channel_locations, 30, 55), "median")
    np.testing.assert_array_equal(got, expected)
    given = client.open(nwb.path).noise_levels([spiked.common_reference(reference="local", channel_locations=rec.channel_locations[::-1])])
    assert (given != rec.noise_levels([spiked.common_reference(reference="local")])).any(), "levels of other locations came from the cache"


@pytest.mark.parametrize("stage,field", [
    (dict(reference="single"), "preprocess[0].ref_channels"), (dict(reference="single", ref_channels=[4]), "preprocess[0].ref_channels"),
    (dict(ref_channels=[1, 1]), "preprocess[0].ref_channels"), (dict(ref_channels=["1"]), "preprocess[0].ref_channels"),
    (dict(ref_channels=[-1]), "preprocess[0].ref_channels"), (dict(ref_channels=[0.5]), "preprocess[0].ref_channels"),
    (dict(reference="groups"), "preprocess[0].groups"), (dict(reference="groups", groups=[0, 1]), "preprocess[0].groups"),
    (dict(reference="groups", groups=[[0], [0]]), "preprocess[0].groups"), (dict(reference="groups", groups=[[]]), "preprocess[0].groups"),
    (dict(reference="local"), "channel_locations"), (dict(reference="global", groups=[[0]]), "preprocess[0].groups"),
    (dict(reference="local", local_radius_um=[3]), "preprocess[0].local_radius_um"),
    (dict(reference="local", local_radius_um=[30, 30]), "preprocess[0].local_radius_um"), (dict(excluded=[9]), "preprocess[0].excluded"),
    (dict(reference="single", ref_channels=[1], excluded=[1]), "preprocess[0].excluded"), (dict(reference="ring"), "preprocess[0].reference")])
def test_wrong_references(client, stage, field):
    with pytest.raises(spiked.Invalid) as e:
        out_of(client, noise(100, 4), [{"stage": "common_reference", **stage}])
    assert e.value.field == field


# --- phase shift ---

FIR_ERROR = 4e-6  # of the amplitude, below 0.9 of half the sampling rate (kernels/fir.h)


def fourier_shift(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """SpikeInterface's apply_frequency_shift."""
    rotation = np.exp(-2j * np.pi * np.fft.rfftfreq(len(x))[:, None] * shift)
    return np.fft.irfft(np.fft.rfft(x, axis=0) * rotation, n=len(x), axis=0)


def test_phase_shift_against_a_fourier_transform(client):
    """On a periodic signal without anything above 0.9 of half the sampling rate a Fourier transform shifts exactly.

    The sinc's error is at most FIR_ERROR for each component, so FIR_ERROR times the sum of their amplitudes for a sample; then 81 products and
    sums in float32 of values up to sum |taps| <= 4 times the largest; and a sample rounded to float32 has something above the band.
    """
    n, channels = 5000, 20
    rng = np.random.default_rng(SEED)
    spectrum = np.fft.rfft(rng.normal(0, 100, (n, channels)), axis=0)
    spectrum[int(0.9 * n / 2):] = 0
    period = np.fft.irfft(spectrum, n=n, axis=0).astype("<f4")
    shift = np.arange(channels) / channels
    got = out_of(client, np.tile(period, (3, 1)), [spiked.phase_shift(shift)])[n : 2 * n]
    amplitudes = 2 * np.abs(np.fft.rfft(period, axis=0)).sum(axis=0).max() / n
    big = float(np.abs(period).max())
    bound = FIR_ERROR * amplitudes + (81 + 4) * oracle.U32 * 4 * big
    error = np.abs(got - fourier_shift(period.astype(float), shift)).max()
    assert error <= bound and bound < 0.02 * big, (SEED, error, bound)
    np.testing.assert_array_equal(got[:, 0], period[:, 0], "no shift changes nothing")


def sinc_delay(x: np.ndarray, shift: float) -> np.ndarray:
    """The windowed sinc by its formula, zeros outside, float64."""
    k = np.arange(-40, 41)
    taps = np.sinc(k - shift) * np.i0(12 * np.sqrt(np.clip(1 - ((k - shift) / 41) ** 2, 0, None))) / np.i0(12)
    return np.convolve(x.astype(float), taps)[40:-40]


@pytest.mark.parametrize("frames", [1, 30, 79, 4096, 9001])
def test_phase_shift_at_the_ends(client, frames):
    x, shift = noise(frames, 3), np.array([0.3, -1.0, 0.75])
    got = out_of(client, x, [spiked.phase_shift(shift)])
    expected = np.stack([sinc_delay(x[:, c], s) for c, s in enumerate(shift)], axis=1)
    assert np.abs(got - expected).max() <= 85 * oracle.U32 * 4 * np.abs(x).max()


# --- energy, scaling ---

def energy(x: np.ndarray, window: int) -> np.ndarray:
    y = x.astype(float)
    psi = y * y - np.concatenate([y[:1], y[:-1]]) * np.concatenate([y[1:], y[-1:]])
    if window < 2:
        return psi
    taps = np.hamming(window) / np.hamming(window).sum()
    return np.stack([np.convolve(p, taps)[window // 2 : window // 2 + len(p)] for p in psi.T], axis=1)


@pytest.mark.parametrize("frames", [1, 2, 7, 4097, 20000])
@pytest.mark.parametrize("window_ms,window", [(0, 1), (0.1, 3), (0.5, 15), (1.0, 31)])
def test_neo(client, frames, window_ms, window):
    x = noise(frames, 3)
    got, expected = out_of(client, x, [spiked.neo(window_ms)]), energy(x, window)
    # Three roundings of squares; then `window` products and sums with weights whose sum is 1.
    assert np.abs(got - expected).max() <= (3 * 2 + 2 * window) * oracle.U32 * 2 * float(np.abs(x).max()) ** 2


def test_scale_and_center(client):
    x = noise(5000, 18, dtype="<i2")
    gain, offset = np.linspace(-2, 3, 18), np.linspace(100, 900, 18)
    got = out_of(client, x, [spiked.scale(gain, offset)])
    np.testing.assert_array_equal(got, x.astype("<f4") * gain.astype("<f4") + offset.astype("<f4"))
    np.testing.assert_array_equal(out_of(client, x, [spiked.scale(0.5)]), x * np.float32(0.5))
    np.testing.assert_array_equal(out_of(client, x, [spiked.center(np.median(x, axis=0))]), x - np.median(x, axis=0).astype("<f4"))


# --- blanking ---

def test_blank(client):
    x = noise(5000, 18, dtype="<i2")
    value = np.arange(18.0)
    got = out_of(client, x, [spiked.blank(500, value)])
    np.testing.assert_array_equal(got, np.where(np.abs(x.astype(int)) > 500, value, x))
    assert 0.01 < (got != x).mean() < 0.9


def test_blank_in_microvolts(client, nwb):
    rec = client.open(nwb.path)
    got = np.stack(rec.map(whole, preprocess=[spiked.blank(30, unit="uV")], stop=20000), axis=1)
    uV = nwb.traces[:20000] * rec.gains_uV + rec.offsets_uV
    assert 0.001 < (np.abs(uV) > 30).mean() < 0.5
    np.testing.assert_array_equal(got, np.where(np.abs(uV) > 30, 0, nwb.traces[:20000]))
    scaled = np.stack(rec.map(whole, preprocess=[spiked.blank(30, unit="uV")], stop=20000, scaled=True), axis=1)
    single = uV.astype("<f4")
    np.testing.assert_array_equal(scaled, np.where(np.abs(single) > 30, 0, single))


def saturated(x: np.ndarray, level: float, slope: Any, fraction: float, before: int, after: int) -> np.ndarray:
    """SpikeInterface's rule, but the slope is that of the samples and not of their absolute values: bool (frames,)."""
    y = x.astype(float)
    flags = (np.abs(y) > level).mean(axis=1) > fraction
    if slope is not None:
        flags |= np.r_[(np.abs(np.diff(y, axis=0)) >= slope).mean(axis=1), 0] > fraction
    out = np.zeros(len(x), bool)
    for at in np.flatnonzero(flags):
        out[max(0, at - before) : at + after + 1] = True
    return out


@pytest.mark.parametrize("slope", [None, 2500.0])
@pytest.mark.parametrize("before,after", [(0, 0), (15, 60), (300, 3)])
@pytest.mark.parametrize("channels", [5, 35])
def test_blank_saturation(client, slope, before, after, channels):
    rng = np.random.default_rng(SEED)
    x = rng.normal(0, 50, (21000, channels)).astype("<i2")
    for at in [0, 4090, 4096, 8190, 12300, 20999, *rng.integers(0, 21000, 12)]:
        x[at : at + int(rng.integers(1, 4)), : int(rng.integers(1, channels + 1))] = rng.choice([-1300, 1300])
    stage = spiked.blank_saturation(1200, 7, slope=slope, before_ms=before / 30, after_ms=after / 30)
    blanked = saturated(x, 1200, slope, 0.2, before, after)
    assert 0 < blanked.mean() < 1
    np.testing.assert_array_equal(out_of(client, x, [stage]), np.where(blanked[:, None], 7, x))


def test_a_jump_from_rail_to_rail_is_steep(client):
    """Its absolute values do not change, which hides it where they are differentiated."""
    x = np.full((1000, 4), 1000, "<i2")
    x[500:] = -1000
    got = out_of(client, x, [spiked.blank_saturation(1200, slope=300)])
    np.testing.assert_array_equal(np.flatnonzero((got != x).all(axis=1)), [499])


# --- channels ---

def test_silence(client):
    x = noise(3000, 20)
    expected = x.copy()
    expected[:, [3, 19]] = 0
    np.testing.assert_array_equal(out_of(client, x, [spiked.silence([3, 19])]), expected)


def kriging(places: np.ndarray, bad: Sequence[int], sigma: float, p: float) -> np.ndarray:
    """SpikeInterface's get_kriging_channel_weights, (channels, bad); 0 for bad channels."""
    good = np.setdiff1d(np.arange(len(places)), bad)
    w = np.exp(-((np.linalg.norm(places[good][:, None] - places[list(bad)][None], axis=2) / sigma) ** p))
    w[w < 0.005] = 0
    with np.errstate(invalid="ignore"):
        w /= w.sum(axis=0)
    w[~(w >= 0.005)] = 0
    out = np.zeros((len(places), len(bad)))
    out[good] = w
    return out


@pytest.mark.parametrize("sigma,p", [(None, 1.3), (35.0, 2.0), (1.0, 1.3)])
def test_interpolate(client, sigma, p):
    x, bad = noise(3000, 40), [0, 5, 6, 39]
    got = out_of(client, x, [spiked.interpolate(bad, sigma, p, channel_locations=PLACES)])
    weights = kriging(PLACES, bad, 20.0 if sigma is None else sigma, p)
    expected = x.astype(float)
    expected[:, bad] = expected @ weights
    assert np.abs(got - expected).max() <= 2 * oracle.U32 * np.abs(x).max()
    assert sigma != 1.0 or (got[:, bad] == 0).all(), "nothing near enough"


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("channels", [1, 16, 50])
def test_whiten(client, channels, local):
    x = noise(3000, channels)
    matrix = np.random.default_rng(SEED).normal(0, 1, (channels, channels))
    if local:
        matrix[np.abs(np.subtract.outer(np.arange(channels), np.arange(channels))) > 3] = 0
    single = matrix.astype("<f4").astype(float)
    got, expected = out_of(client, x, [spiked.whiten(matrix)]), x.astype(float) @ single
    # (n + 1) u sum |x| |w| (Higham, 3.1)
    assert (np.abs(got - expected) <= (channels + 1) * oracle.U32 * (np.abs(x).astype(float) @ np.abs(single))).all()


def test_whiten_again_with_another_matrix(client, nwb):
    """Noise levels are cached by what the matrix holds."""
    rec, eye = client.open(nwb.path), np.eye(19)
    one, two = rec.noise_levels([spiked.whiten(eye)]), rec.noise_levels([spiked.whiten(2 * eye)])
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)


@pytest.mark.parametrize("stage,field", [
    (dict(stage="phase_shift"), "inter_sample_shift"), (spiked.phase_shift([0, 0, 0]), "inter_sample_shift"),
    (spiked.phase_shift([0, 0, 0, 2]), "inter_sample_shift"), (spiked.phase_shift([0, 0, 0, np.nan]), "inter_sample_shift"),
    (spiked.whiten(np.ones((4, 3))), "whiten_matrix"), (dict(stage="blank"), "preprocess[0].level"),
    (dict(stage="blank", level=3, unit="mV"), "preprocess[0].unit"), (dict(stage="blank", level=3, unit="uV"), "preprocess[0].unit"),
    (dict(stage="blank", level=3, value=[1, 2]), "preprocess[0].value"), (dict(stage="blank", level=3, value="1"), "preprocess[0].value"),
    (dict(stage="blank", level=3, value=[]), "preprocess[0].value"), (dict(stage="blank", level=-3), "preprocess[0].level"),
    (dict(stage="scale", gain=[1, 2, 3, "4"]), "preprocess[0].gain"), (dict(stage="scale", gain=1e39), "preprocess[0].gain"),
    (dict(stage="center"), "preprocess[0].value"), (dict(stage="silence"), "preprocess[0].channels"),
    (dict(stage="silence", channels=[4]), "preprocess[0].channels"), (dict(stage="neo", window_ms=-1), "preprocess[0].window_ms"),
    (dict(stage="neo", window_ms=1000), "preprocess[0].window_ms"), (dict(stage="interpolate", channels=[0]), "channel_locations"),
    (spiked.interpolate([0], channel_locations=np.zeros((4, 2))), "preprocess[0].sigma_um"),
    (dict(stage="blank_saturation", level=1, fraction=1), "preprocess[0].fraction"),
    (dict(stage="blank_saturation", level=1, slope=0), "preprocess[0].slope"),
    (dict(stage="blank_saturation", level=1, before_ms=1e9), "preprocess[0].before_ms"), (dict(stage=""), "preprocess[0].stage")],
    ids=lambda s: s if isinstance(s, str) else "")
def test_wrong_stages(client, stage, field):
    with pytest.raises(spiked.Invalid) as e:
        out_of(client, noise(100, 4), [stage])
    assert e.value.field == field and client.ping() is not None


def test_a_large_matrix_in_the_clients_memory(client):
    """700 x 700 float64 do not travel in the message; and a matrix in Fortran order, which this client makes C, may come from others."""
    x, matrix = noise(500, 700), np.random.default_rng(SEED).normal(0, 1, (700, 700))
    got = client.reduce(x, "max", preprocess=[spiked.whiten(matrix)], sampling_frequency=FS)
    fortran = dict(stage="whiten", whiten_matrix=np.asfortranarray(matrix))
    np.testing.assert_array_equal(got, client.reduce(x, "max", preprocess=[fortran], sampling_frequency=FS))
    expected = (x.astype(float) @ matrix).max(axis=0)
    bound = 701 * oracle.U32 * (np.abs(x).astype(float) @ np.abs(matrix)).max() + oracle.U32 * 700 * 3000
    assert np.abs(got - expected).max() <= bound


def test_detection_on_energy_and_after_whitening(client, nwb):
    """Peaks of the chain are those of its output."""
    rec = client.open(nwb.path)
    matrix = np.eye(19) - 0.1 * np.eye(19, k=1)
    stages = [spiked.blank_saturation(1e4), spiked.bandpass(300, 6000), spiked.whiten(matrix), spiked.neo(0.3)]
    peaks = rec.detect_peaks(peak_sign="pos", detect_threshold=20, preprocess=stages)
    y = np.stack(rec.map(whole, preprocess=stages), axis=1)
    expected = oracle.by_channel(y, 20 * rec.noise_levels(stages), "pos")
    assert len(peaks) > 20
    np.testing.assert_array_equal(peaks, expected)


def test_results_know_their_matrix(client, nwb, tmp_path):
    """A result file that is done is done for the same matrix only."""
    rec, out = client.open(nwb.path), tmp_path / "peaks.nwb"
    params = {"file": str(nwb.path), "preprocess": [{"stage": "whiten"}], "output": {"file": str(out), "skip_done": True}}

    def run(matrix: np.ndarray) -> bool:
        return client._call("detect", params, {"whiten_matrix": matrix, "noise_levels": np.full(19, 30.0)})[0]["result"]["skipped"]

    assert rec.num_channels == 19
    assert [run(np.eye(19)), run(np.eye(19)), run(2 * np.eye(19))] == [False, True, False]
