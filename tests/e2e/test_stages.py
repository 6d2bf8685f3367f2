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
