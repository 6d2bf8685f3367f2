# SPDX-License-Identifier: BSD-3-Clause
"""A node for SpikeInterface's pipelines: SpikeInterface reads and preprocesses, the daemon finds the peaks. Imports spikeinterface."""

from __future__ import annotations

from typing import Any, Dict, Optional

import numpy as np
from spikeinterface.core.node_pipeline import PeakDetector

from . import session
from .client import Client, connect
from .wire import PEAK_DTYPE


class SpikedPeakDetector(PeakDetector):
    """Peaks of chunks of traces, with SpikeInterface's rules.

    Parameters
    ----------
    recording : SpikeInterface recording
    method : {"by_channel", "locally_exclusive"}
    thresholds : array (channels,)
        In the unit of the traces: noise level times factor.
    peak_sign, exclude_sweep_ms, radius_um
        As of the method.
    client : Client, optional
        Default: that of the process. Worker processes connect to the same daemon.
    """

    name = "spiked"
    engine = "spiked"
    need_noise_levels = False
    preferred_mp_context = None

    def __init__(self, recording: Any, method: str, thresholds: np.ndarray, peak_sign: str = "neg", exclude_sweep_ms: float = 1.0,
                 radius_um: float = 50.0, client: Optional[Client] = None, return_output: bool = True):
        PeakDetector.__init__(self, recording, return_output=return_output)
        self.fs = recording.get_sampling_frequency()
        self.options = {"method": method, "peak_sign": peak_sign, "exclude_sweep_ms": exclude_sweep_ms, "radius_um": radius_um,
                        "noise_levels": thresholds, "detect_threshold": 1.0}
        if method == "locally_exclusive":
            self.options["channel_locations"] = recording.get_channel_locations()
        self.margin = int(exclude_sweep_ms * self.fs / 1000.0) + (method == "locally_exclusive")
        self.client: Optional[Client] = session.current() if client is None else client
        self.where = (self.client.url, self.client._token)

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "client": None}

    def get_margin(self) -> int:
        return self.margin

    def get_dtype(self) -> np.dtype:
        return PEAK_DTYPE

    def compute(self, traces: np.ndarray, start_frame: int, end_frame: int, segment_index: int, max_margin: int, *args: Any) -> Any:
        if self.client is None:
            self.client = connect(*self.where)
        peaks = self.client.detect_peaks(traces, self.fs, **self.options)
        at = peaks["sample_index"]
        peaks = peaks[(at >= self.margin) & (at < len(traces) - self.margin)]
        peaks["segment_index"] = segment_index
        return (peaks,)
