# SPDX-License-Identifier: BSD-3-Clause
"""Preprocessing stages, applied in the order they are listed (protocol/SPEC.md, 4.5)."""

from __future__ import annotations

from typing import Any, Dict

Stage = Dict[str, Any]

_SHAPES = {"bessel": ("norm",), "chebyshev1": ("ripple_db",), "chebyshev2": ("attenuation_db",), "elliptic": ("ripple_db", "attenuation_db")}


def _filter(stage: str, edges: Dict[str, float], order: int, zero_phase: bool, filter: str, shape: Dict[str, Any]) -> Stage:
    """The keys of a filter; of its shape those that its family has."""
    out: Stage = {"stage": stage, **{k: float(v) for k, v in edges.items()}, "order": int(order), "zero_phase": bool(zero_phase)}
    if filter != "butterworth":
        out["filter"] = filter
    out.update({k: shape[k] for k in _SHAPES.get(filter, ())})
    return out


def bandpass(freq_min: float = 300.0, freq_max: float = 6000.0, order: int = 5, zero_phase: bool = True, *, filter: str = "butterworth",
             ripple_db: float = 0.5, attenuation_db: float = 40.0, norm: str = "phase") -> Stage:
    """Band-pass, as second-order sections; the design is SciPy's.

    Parameters
    ----------
    freq_min, freq_max : float
        Band edges in Hz, ``0 < freq_min < freq_max < sampling_frequency / 2``.
    order : int
        1 to 8, of the prototype; forward and backward doubles it.
    zero_phase : bool
        Forward and backward on a fixed time grid (files and whole arrays); otherwise causal.
    filter : str
        ``"butterworth"``, ``"bessel"``, ``"chebyshev1"``, ``"chebyshev2"``, ``"elliptic"``.
    ripple_db : float
        Chebyshev I, elliptic: largest ripple in the pass band, dB.
    attenuation_db : float
        Chebyshev II, elliptic: least attenuation of the stop band, dB.
    norm : {"phase", "delay", "mag"}
        Bessel: what the edges mean (`scipy.signal.bessel`).
    """
    shape = {"ripple_db": float(ripple_db), "attenuation_db": float(attenuation_db), "norm": norm}
    return _filter("bandpass", {"freq_min": freq_min, "freq_max": freq_max}, order, zero_phase, filter, shape)


def highpass(freq_min: float = 300.0, order: int = 5, zero_phase: bool = True, *, filter: str = "butterworth", ripple_db: float = 0.5,
             attenuation_db: float = 40.0, norm: str = "phase") -> Stage:
    """High-pass; see `bandpass`."""
    shape = {"ripple_db": float(ripple_db), "attenuation_db": float(attenuation_db), "norm": norm}
    return _filter("highpass", {"freq_min": freq_min}, order, zero_phase, filter, shape)


def lowpass(freq_max: float = 6000.0, order: int = 5, zero_phase: bool = True, *, filter: str = "butterworth", ripple_db: float = 0.5,
            attenuation_db: float = 40.0, norm: str = "phase") -> Stage:
    """Low-pass; see `bandpass`."""
    shape = {"ripple_db": float(ripple_db), "attenuation_db": float(attenuation_db), "norm": norm}
    return _filter("lowpass", {"freq_max": freq_max}, order, zero_phase, filter, shape)


def bandstop(freq_min: float, freq_max: float, order: int = 5, zero_phase: bool = True, *, filter: str = "butterworth", ripple_db: float = 0.5,
             attenuation_db: float = 40.0, norm: str = "phase") -> Stage:
    """Band-stop: takes away what lies between the edges; see `bandpass`."""
    shape = {"ripple_db": float(ripple_db), "attenuation_db": float(attenuation_db), "norm": norm}
    return _filter("bandstop", {"freq_min": freq_min, "freq_max": freq_max}, order, zero_phase, filter, shape)


def notch(freq: float = 3000.0, q: float = 30.0, zero_phase: bool = True) -> Stage:
    """Takes one frequency away (`scipy.signal.iirnotch`): `freq` in Hz, `q` = `freq` / width at -3 dB."""
    return {"stage": "notch", "freq": float(freq), "q": float(q), "zero_phase": bool(zero_phase)}


def common_reference(operator: str = "median") -> Stage:
    """Subtract from each frame the median (or ``"average"``) over all channels."""
    return {"stage": "common_reference", "operator": operator}
