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
