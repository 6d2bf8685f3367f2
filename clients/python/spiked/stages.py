# SPDX-License-Identifier: BSD-3-Clause
"""Preprocessing stages, applied in the order they are listed (protocol/SPEC.md, 4.5)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from .errors import Invalid

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


def common_reference(operator: str = "median", *, reference: str = "global", ref_channels: Optional[Sequence[int]] = None,
                     groups: Optional[Sequence[Sequence[int]]] = None, local_radius_um: Tuple[float, float] = (30.0, 55.0),
                     excluded: Sequence[int] = (), channel_locations: Any = None) -> Stage:
    """Subtract from each frame the median (or ``"average"``) over channels.

    Parameters
    ----------
    operator : {"median", "average"}
    reference : str
        ``"global"``: over all channels, or `ref_channels`. ``"single"``: the one channel of `ref_channels`. ``"groups"``: over each group.
        ``"local"``: over the channels in a ring around each channel, at least 5: if there are fewer, the 5 closest beyond the inner radius
        (SpikeInterface's rule).
    ref_channels : sequence of int
    groups : sequence of sequences of int
        A channel in none of them keeps its values.
    local_radius_um : (float, float)
        The ring, micrometres: farther than the first, at most the second.
    excluded : sequence of int
        Bad channels: never part of a reference, though it is taken from them, too.
    channel_locations : array (channels, 2 or 3), optional
        ``"local"``: micrometres; default: the recording's.
    """
    out: Stage = {"stage": "common_reference", "operator": operator}
    if reference != "global":
        out["reference"] = reference
    if ref_channels is not None:
        out["ref_channels"] = [int(c) for c in ref_channels]
    if groups is not None:
        out["groups"] = [[int(c) for c in g] for g in groups]
    if reference == "local":
        out["local_radius_um"] = [float(r) for r in local_radius_um]
    if len(excluded):
        out["excluded"] = [int(c) for c in excluded]
    if channel_locations is not None:
        out["channel_locations"] = np.ascontiguousarray(channel_locations, dtype="<f8")
    return out


def split(stages: Sequence[Stage]) -> Tuple[List[Stage], Dict[str, np.ndarray]]:
    """The stages as they travel, and the arrays that travel beside them, by name."""
    plain, arrays = [], {}
    for stage in stages:
        for key, value in stage.items():
            if not isinstance(value, np.ndarray):
                continue
            if key in arrays and not np.array_equal(arrays[key], value):
                raise Invalid(f"preprocess: two stages bring different {key}", field="preprocess")
            arrays[key] = value
        plain.append({k: v for k, v in stage.items() if not isinstance(v, np.ndarray)})
    return plain, arrays
