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


def phase_shift(inter_sample_shift: Any = None) -> Stage:
    """Delay each channel by a part of a frame: undoes that a converter samples channels one after the other.

    Parameters
    ----------
    inter_sample_shift : array (channels,), optional
        When each channel is sampled, in frames, -1 to 1 (SpikeInterface's property of that name); default: what the recording says.

    Notes
    -----
    A windowed sinc of 81 frames: below 0.9 of half the sampling rate within 4e-6 of the amplitude of an exact delay. Put it first.
    """
    stage: Stage = {"stage": "phase_shift"}
    if inter_sample_shift is not None:
        stage["inter_sample_shift"] = np.ascontiguousarray(inter_sample_shift, dtype="<f8")
    return stage


def neo(window_ms: float = 0.0) -> Stage:
    """Nonlinear energy x[n]^2 - x[n-1] x[n+1], smoothed by a Hamming window of `window_ms` (0: not), rounded up to an odd number of frames.

    The result is in squared units, and spikes of both signs come out positive: detect with ``peak_sign="pos"``.
    """
    return {"stage": "neo", "window_ms": float(window_ms)}


def _numbers(value: Any) -> Any:
    """A number, or one for each channel, as JSON has it."""
    a = np.asarray(value, dtype=float)
    return float(a) if a.ndim == 0 else a.ravel().tolist()


def scale(gain: Any = 1.0, offset: Any = 0.0) -> Stage:
    """x * gain + offset in float32; each a number, or one for each channel."""
    return {"stage": "scale", "gain": _numbers(gain), "offset": _numbers(offset)}


def center(value: Any) -> Stage:
    """x - value; a number, or one for each channel (the median, say)."""
    return {"stage": "center", "value": _numbers(value)}


def blank(level: float, value: Any = 0.0, *, unit: str = "raw") -> Stage:
    """Replace samples above `level` or below ``-level`` by `value` (a number, or one for each channel).

    Parameters
    ----------
    level : float
    value : float or array (channels,)
        In the unit of the samples.
    unit : {"raw", "uV"}
        Of `level`: that of the samples, or microvolts by the gain and offset of the recording.
    """
    return {"stage": "blank", "level": float(level), "unit": unit, "value": _numbers(value)}


def blank_saturation(level: float, value: Any = 0.0, *, slope: Optional[float] = None, fraction: float = 0.2, before_ms: float = 0.0,
                     after_ms: float = 0.0, unit: str = "raw") -> Stage:
    """Replace all channels of the frames where the amplifier saturates, and some around. Put it before filters.

    Parameters
    ----------
    level : float
        A frame is saturated if more than `fraction` of the channels are above `level` or below ``-level``,
    slope : float, optional
        or if more than that change by `slope` or more up to the next frame.
    value : float or array (channels,)
    fraction : float
        0 to below 1.
    before_ms, after_ms : float
        What is replaced around a saturated frame.
    unit : {"raw", "uV"}
        Of `level` and `slope`.
    """
    out = {"stage": "blank_saturation", "level": float(level), "unit": unit, "value": _numbers(value), "fraction": float(fraction),
           "before_ms": float(before_ms), "after_ms": float(after_ms)}
    if slope is not None:
        out["slope"] = float(slope)
    return out


def silence(channels: Sequence[int]) -> Stage:
    """Set channels to 0."""
    return {"stage": "silence", "channels": [int(c) for c in channels]}


def interpolate(channels: Sequence[int], sigma_um: Optional[float] = None, p: float = 1.3, *, channel_locations: Any = None) -> Stage:
    """Make bad channels from the good ones around them: SpikeInterface's interpolate_bad_channels.

    Parameters
    ----------
    channels : sequence of int
        The bad ones.
    sigma_um : float, optional
        Weights are exp(-(distance / sigma_um)^p), micrometres; default: the most common distance between rows of channels.
    p : float
    channel_locations : array (channels, 2 or 3), optional
        Micrometres; default: the recording's.
    """
    out: Stage = {"stage": "interpolate", "channels": [int(c) for c in channels], "p": float(p)}
    if sigma_um is not None:
        out["sigma_um"] = float(sigma_um)
    if channel_locations is not None:
        out["channel_locations"] = np.ascontiguousarray(channel_locations, dtype="<f8")
    return out


def whiten(matrix: Any = None, *, mode: str = "global", radius_um: float = 100.0, apply_mean: bool = False, eps: Optional[float] = None, seed: int = 0,
           channel_locations: Any = None) -> Stage:
    """Multiply each frame by a matrix (channels, channels), ``x @ matrix``, in float32: the one that is given, or the whitening matrix of the data.

    Parameters
    ----------
    matrix : array (channels, channels), optional
        Default: measured, as SpikeInterface's `whiten` does, on 20 random chunks of 0.5 s in each segment of what the stages before this one give. The
        other parameters say how.
    mode : {"global", "local"}
        From the covariance of all channels (up to 1024), or for each channel from that of those around it.
    radius_um : float
        ``"local"``: how far around, micrometres.
    apply_mean : bool
        Take the mean of each channel away first.
    eps : float, optional
        Added to the eigenvalues of the covariance. Default: SpikeInterface's 1e-16, but 1e-3 of the median of x^2 where that is below 1. After a reference by
        ``"average"`` over all channels the covariance is singular: give an `eps` of some hundredths of the noise squared.
    seed : int
    channel_locations : array (channels, 2 or 3), optional
        ``"local"``: micrometres; default: the recording's.
    """
    if matrix is not None:
        return {"stage": "whiten", "whiten_matrix": np.ascontiguousarray(matrix, dtype="<f8")}
    out: Stage = {"stage": "whiten", "mode": mode, "apply_mean": bool(apply_mean), "seed": int(seed)}
    if mode == "local":
        out["radius_um"] = float(radius_um)
    if eps is not None:
        out["eps"] = float(eps)
    if channel_locations is not None:
        out["channel_locations"] = np.ascontiguousarray(channel_locations, dtype="<f8")
    return out


def zscore(mode: str = "median+mad", seed: int = 0) -> Stage:
    """Each channel in units of its noise: (x - median) / MAD, or (x - mean) / standard deviation.

    Parameters
    ----------
    mode : {"median+mad", "mean+std"}
        Measured on 20 random chunks of 0.5 s in each segment, behind each other, of what the stages before this one give (SpikeInterface's `zscore`). MAD is
        that of noise levels: median of |x - median| / 0.6744897501960817. A channel that never changes becomes 0.
    seed : int
    """
    return {"stage": "zscore", "mode": mode, "seed": int(seed)}


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
