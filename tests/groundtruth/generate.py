#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a recording whose spikes are known: OUT.nwb, and the truth beside it as OUT.truth.npz.

Units and noise follow SpikeInterface's generator (see units.py); the background of shared noise and of a slow field potential is ours, off
by default. Everything depends on the seed alone. Frames are made and written one second at a time, so memory does not grow with the length.

    python3 tests/groundtruth/generate.py OUT.nwb --channels 64 --seconds 30 --seed 1
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple, Union

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from units import Units, make_units, probe  # noqa: E402
from write_nwb import NwbWriter  # noqa: E402

# Slow field potential: Hz and share of `lfp_uV` of each component.
_LFP = ((3.1, 0.6), (8.3, 0.3), (21.0, 0.1))


@dataclass(frozen=True)
class Recipe:
    """What to generate.

    Attributes
    ----------
    channels, units, seed : int
    seconds, sampling_frequency : float
        s, Hz.
    rate_hz : float
        Spikes a second of each unit.
    alpha_uV : (float, float)
        Range of a unit's amplitude at its own place.
    noise_uV, common_uV, lfp_uV : float
        Standard deviation of the white noise of each channel, of the noise all channels share, amplitude of the slow field potential.
    gain_uV : float
        Microvolts of one count of the int16 samples.
    """

    channels: int = 64
    seconds: float = 30.0
    sampling_frequency: float = 30000.0
    units: int = 20
    rate_hz: float = 15.0
    alpha_uV: Tuple[float, float] = (100.0, 500.0)
    noise_uV: float = 5.0
    common_uV: float = 0.0
    lfp_uV: float = 0.0
    gain_uV: float = 0.195
    seed: int = 1

    @property
    def num_samples(self) -> int:
        return int(self.seconds * self.sampling_frequency)

    @property
    def block(self) -> int:
        """Frames of a block: 1 s."""
        return int(self.sampling_frequency)


def units_of(recipe: Recipe) -> Units:
    """The recipe's units and trains."""
    return make_units(recipe.seed, recipe.units, probe(recipe.channels), recipe.num_samples, recipe.sampling_frequency, recipe.rate_hz,
                      recipe.alpha_uV)


def _noise(recipe: Recipe, block: int, start: int, frames: int) -> np.ndarray:
    """Background of one block, float32 array (frames, channels), uV; seeded by (seed, 1, block)."""
    rng = np.random.default_rng([recipe.seed, 1, block])
    x = rng.standard_normal((frames, recipe.channels), dtype=np.float32) * np.float32(recipe.noise_uV)
    if recipe.common_uV:
        x += rng.standard_normal((frames, 1), dtype=np.float32) * np.float32(recipe.common_uV)
    if recipe.lfp_uV:
        t = (np.arange(start, start + frames) / recipe.sampling_frequency)[:, None]
        depth = np.linspace(0, 1, recipe.channels)[None, :]
        for hz, share in _LFP:
            x += (recipe.lfp_uV * share * (1 - 0.5 * depth) * np.sin(2 * np.pi * (hz * t - 0.2 * depth))).astype(np.float32)
    return x


def _add_spikes(x: np.ndarray, units: Units, start: int) -> None:
    """Adds every spike that reaches into the block x (frames, channels), in place. A unit's own spikes never overlap, others' add up."""
    length = units.templates.shape[1]
    padded = np.zeros((len(x) + 2 * length, x.shape[1]), np.float32)
    first, last = np.searchsorted(units.sample_index, [start - length, start + len(x) + length])
    times, owner = units.sample_index[first:last], units.unit[first:last]
    for unit in np.unique(owner):
        at = times[owner == unit] - start - units.before + length
        at = at[(at >= 0) & (at + length <= len(padded))]
        padded[at[:, None] + np.arange(length)[None, :]] += units.templates[unit]
    x += padded[length : length + len(x)]


def blocks(recipe: Recipe, units: Units) -> Iterator[np.ndarray]:
    """The recording, one second at a time: int16 arrays (frames, channels)."""
    for block, start in enumerate(range(0, recipe.num_samples, recipe.block)):
        x = _noise(recipe, block, start, min(recipe.block, recipe.num_samples - start))
        _add_spikes(x, units, start)
        yield np.clip(np.rint(x / np.float32(recipe.gain_uV)), -32768, 32767).astype("<i2")


def truth_path(recording: Union[str, os.PathLike]) -> Path:
    """``session.nwb`` to ``session.truth.npz``."""
    return Path(recording).with_suffix(".truth.npz")


def truth_of(recipe: Recipe, units: Units) -> Dict[str, Any]:
    """Arrays of the truth file.

    ``sample_index``, ``unit`` i8 (spikes,); ``peak_channel`` i8 (units,); ``amplitudes`` f4 (units, channels) uV; ``snr`` f8 (units,): depth on
    the peak channel over the standard deviation of that channel's white noise, before any filter; ``templates`` f4 (units, frames, channels)
    uV; ``positions`` f8 (units, 3), ``locations`` f8 (channels, 2) um; ``before`` frames; ``sampling_frequency`` Hz; the recipe's other numbers.
    """
    depth = -units.amplitudes.min(axis=1)
    return {**asdict(recipe), "sample_index": units.sample_index, "unit": units.unit, "peak_channel": units.peak_channel,
            "amplitudes": units.amplitudes, "snr": depth.astype(float) / recipe.noise_uV, "templates": units.templates,
            "positions": units.positions, "locations": probe(recipe.channels), "before": units.before}


def generate(recipe: Recipe, out: Union[str, os.PathLike], chunks: Optional[Tuple[int, int]] = None, compression: Optional[int] = None) -> Path:
    """Writes the recording (NWB 2) and its truth.

    Parameters
    ----------
    recipe : Recipe
    out : path
        Ends in ``.nwb``; replaced if it exists.
    chunks : (frames, channels), optional
        HDF5 chunks; contiguous without.
    compression : int, optional
        gzip level; needs chunks.

    Returns
    -------
    pathlib.Path
        The truth file.
    """
    units = units_of(recipe)
    with NwbWriter(out, recipe.num_samples, probe(recipe.channels), recipe.sampling_frequency, recipe.gain_uV * 1e-6, chunks=chunks,
                   compression=compression) as writer:
        for block in blocks(recipe, units):
            writer.append(block)
    np.savez(truth_path(out), **truth_of(recipe, units))
    return truth_path(out)


def parse(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    d = Recipe()
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("out", help="file to write, OUT.nwb; the truth goes to OUT.truth.npz")
    p.add_argument("--channels", type=int, default=d.channels)
    p.add_argument("--seconds", type=float, default=d.seconds)
    p.add_argument("--rate", type=float, default=d.sampling_frequency, help="frames a second, Hz")
    p.add_argument("--units", type=int, default=d.units)
    p.add_argument("--firing-rate", type=float, default=d.rate_hz, help="spikes a second of each unit, Hz")
    p.add_argument("--alpha", type=float, nargs=2, default=d.alpha_uV, metavar=("LOW", "HIGH"), help="amplitude at the unit's own place, uV")
    p.add_argument("--noise", type=float, default=d.noise_uV, help="white noise of each channel, uV")
    p.add_argument("--common", type=float, default=d.common_uV, help="noise that all channels share, uV")
    p.add_argument("--lfp", type=float, default=d.lfp_uV, help="slow field potential, uV")
    p.add_argument("--gain", type=float, default=d.gain_uV, help="uV of one count")
    p.add_argument("--seed", type=int, default=d.seed)
    p.add_argument("--chunks", type=int, nargs=2, metavar=("FRAMES", "CHANNELS"), help="HDF5 chunks; contiguous without")
    p.add_argument("--gzip", type=int, choices=range(1, 10), metavar="1-9", help="gzip level of the chunks")
    return p.parse_args(arguments)


def main() -> int:
    a = parse()
    recipe = Recipe(a.channels, a.seconds, a.rate, a.units, a.firing_rate, tuple(a.alpha), a.noise, a.common, a.lfp, a.gain, a.seed)
    try:
        truth = generate(recipe, a.out, tuple(a.chunks) if a.chunks else None, a.gzip)
    except ValueError as e:
        print(f"generate.py: {e}", file=sys.stderr)
        return 2
    with np.load(truth) as t:
        print(f"{a.out}: {recipe.channels} channels x {recipe.num_samples} frames, {os.path.getsize(a.out) / 1e6:.0f} MB")
        print(f"{truth}: {recipe.units} units, {len(t['sample_index'])} spikes, {(t['snr'] > 8).sum()} units above SNR 8, seed {recipe.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
