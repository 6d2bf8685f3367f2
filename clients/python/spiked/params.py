# SPDX-License-Identifier: BSD-3-Clause
"""Parameters of requests (protocol/SPEC.md, section 4), shared by arrays and recordings."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from .errors import Invalid
from .stages import Stage, split


def detection_params(method: str, peak_sign: str, detect_threshold: float, exclude_sweep_ms: float, radius_um: float, preprocess: Sequence[Stage],
                     seed: int, **options: Any) -> Dict[str, Any]:
    """Keys of protocol/SPEC.md 4.4; options that are None are left to the daemon. A value that JSON cannot hold is refused here, as the daemon would."""
    params = {"method": method, "peak_sign": peak_sign, "detect_threshold": float(detect_threshold), "exclude_sweep_ms": float(exclude_sweep_ms),
              "preprocess": split(preprocess)[0], "seed": int(seed)}
    if method != "by_channel":
        params["radius_um"] = float(radius_um)
    params.update((name, value) for name, value in options.items() if value is not None)
    if "weight_method" in params:
        params["weight_method"] = {name: np.asarray(value).tolist() for name, value in params["weight_method"].items()}
    for name, value in params.items():
        if isinstance(value, float) and not np.isfinite(value):
            raise Invalid(f"{name}: must be a finite number, not {value}", field=name)
    return params


def snippet_params(waveforms: Optional[Mapping[str, Any]], features: Sequence[str], feature_window: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """Keys of protocol/SPEC.md 4.4.1, those that are asked for."""
    if isinstance(features, str):
        raise Invalid(f"features: give a list of names, [{features!r}]", field="features")
    params: Dict[str, Any] = {}
    if waveforms is not None:
        params["waveforms"] = dict(waveforms)
    if len(features):
        params["features"] = [str(name) for name in features]
    if feature_window is not None:
        params["feature_window"] = dict(feature_window)
    for name in ("waveforms", "feature_window"):
        for key, value in params.get(name, {}).items():
            if isinstance(value, float) and not np.isfinite(value):
                raise Invalid(f"{name}.{key}: must be a finite number, not {value}", field=f"{name}.{key}")
    return params


def peaks_and_extras(params: Mapping[str, Any], arrays: Dict[str, np.ndarray]) -> Union[np.ndarray, Tuple[np.ndarray, Dict[str, np.ndarray]]]:
    """The peaks; with the other arrays in a dict, if the request asked for some."""
    if "waveforms" not in params and "features" not in params and "z" not in arrays:
        return arrays["peaks"]
    return arrays["peaks"], {name: a for name, a in arrays.items() if name not in ("peaks", "noise_levels")}


def reduction_params(operations: Union[str, Sequence[str]], threshold: Optional[float], preprocess: Sequence[Stage], seed: int,
                     bin_ms: Optional[float] = None) -> Dict[str, Any]:
    """Keys of the operation `reduce`."""
    params: Dict[str, Any] = {"operations": [operations] if isinstance(operations, str) else list(operations), "seed": int(seed)}
    if threshold is not None:
        if not np.isfinite(threshold):
            raise Invalid(f"threshold: must be a finite number, not {threshold}", field="threshold")
        params["threshold"] = float(threshold)
    if bin_ms is not None:
        if not np.isfinite(bin_ms):
            raise Invalid(f"bin_ms: must be a finite number, not {bin_ms}", field="bin_ms")
        params["bin_ms"] = float(bin_ms)
    if preprocess:
        params["preprocess"] = split(preprocess)[0]
    return params


def noise_array(noise_levels: Any) -> Dict[str, np.ndarray]:
    """The array `noise_levels`, if given."""
    if noise_levels is None:
        return {}
    levels = np.atleast_1d(np.asarray(noise_levels))
    return {"noise_levels": levels.astype("<f4" if levels.dtype == np.float32 else "<f8", copy=False)}


def prototype_array(prototype: Any) -> Dict[str, np.ndarray]:
    """The array `prototype`, if given."""
    return {} if prototype is None else {"prototype": np.asarray(prototype, dtype="<f8")}


def locations_array(channel_locations: Any) -> Dict[str, np.ndarray]:
    """The array `channel_locations`, if given."""
    return {} if channel_locations is None else {"channel_locations": np.asarray(channel_locations, dtype="<f8")}


def stage_arrays(preprocess: Sequence[Stage]) -> Dict[str, np.ndarray]:
    """The arrays that stages bring with them."""
    return split(preprocess)[1]
