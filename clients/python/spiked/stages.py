# SPDX-License-Identifier: BSD-3-Clause
"""Preprocessing stages, applied in the order they are listed (protocol/SPEC.md, 4.5)."""

from __future__ import annotations

from typing import Any, Dict

Stage = Dict[str, Any]


def bandpass(freq_min: float = 300.0, freq_max: float = 6000.0, order: int = 5, zero_phase: bool = True) -> Stage:
    """Butterworth band-pass, as second-order sections.

    Parameters
    ----------
    freq_min, freq_max : float
        Band edges in Hz, ``0 < freq_min < freq_max < sampling_frequency / 2``.
    order : int
        1 to 8, of the prototype; forward and backward doubles it.
    zero_phase : bool
        Forward and backward on a fixed time grid (files and whole arrays); otherwise causal.
    """
    return {"stage": "bandpass", "freq_min": float(freq_min), "freq_max": float(freq_max), "order": int(order), "zero_phase": bool(zero_phase)}


def highpass(freq_min: float = 300.0, order: int = 5, zero_phase: bool = True) -> Stage:
    """Butterworth high-pass; see `bandpass`."""
    return {"stage": "highpass", "freq_min": float(freq_min), "order": int(order), "zero_phase": bool(zero_phase)}


def common_reference(operator: str = "median") -> Stage:
    """Subtract from each frame the median (or ``"average"``) over all channels."""
    return {"stage": "common_reference", "operator": operator}
