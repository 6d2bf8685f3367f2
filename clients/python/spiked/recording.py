# SPDX-License-Identifier: BSD-3-Clause
"""An open recording."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import mapping
from .params import (detection_params, locations_array, noise_array, peaks_and_extras, prototype_array, reduction_params, snippet_params,
                     stage_arrays)
from .stages import Stage, split

if TYPE_CHECKING:
    from .client import Client


class Segment(NamedTuple):
    """A stretch without gaps: `num_samples` frames from `start_time_s` (s) on."""

    start_time_s: float
    num_samples: int


class Recording:
    """A recording that the daemon holds open. Made by `Client.open`.

    Attributes
    ----------
    num_channels, num_samples : int
        Frames of all segments together.
    sampling_frequency : float
        Hz.
    dtype : numpy.dtype
        As stored.
    channel_ids : list of str
    channel_locations : array (channels, 2 or 3) or None
        Micrometres.
    inter_sample_shift : array (channels,) or None
        When a channel is sampled, as a part of the sample period (0 to 1): Neuropixels channels share their converters.
    gains_uV, offsets_uV : array (channels,)
        microvolts = stored * gain + offset.
    layout : str
        ``"nwb"``, ``"spikeglx"``, ``"open_ephys"``, ``"generic"``, ...
    segments : list of Segment
    """

    def __init__(self, client: "Client", name: Mapping[str, Any], description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
        self._client = client
        self._name = dict(name)
        self.description = dict(description)
        self.file: str = self._name["file"]
        self.layout: str = description["layout"]
        self.num_channels: int = description["num_channels"]
        self.num_samples: int = description["num_samples"]
        self.sampling_frequency: float = description["sampling_frequency"]
        self.dtype = np.dtype(description["dtype"])
        self.channel_ids: List[str] = description["channel_ids"]
        self.segments = [Segment(s["start_time_s"], s["num_samples"]) for s in description["segments"]]
        self.unit: str = description["unit"]
        self.gains_uV = arrays["gains_uV"]
        self.offsets_uV = arrays["offsets_uV"]
        self.channel_locations = arrays.get("channel_locations")
        self.inter_sample_shift = arrays.get("inter_sample_shift")

    def __repr__(self) -> str:
        return (f"<spiked.Recording {os.path.basename(self.file)}: {self.layout}, {self.num_channels} channels x {self.num_samples} frames at "
                f"{self.sampling_frequency:g} Hz, {self.dtype}>")

    def _params(self, segment: Optional[int], start: Optional[int], stop: Optional[int]) -> Dict[str, Any]:
        params = dict(self._name)
        for key, value in (("segment", segment), ("start", start), ("stop", stop)):
            if value is not None:
                params[key] = int(value)
        return params

    def read(self, start: Optional[int] = None, stop: Optional[int] = None, channels: Optional[Sequence[int]] = None, scaled: bool = False, *,
             recorded: bool = False, preprocess: Sequence[Stage] = (), segment: int = 0, timeout: Optional[float] = None) -> Any:
        """Frames as an array (frames, channels).

        Parameters
        ----------
        start, stop : int, optional
            Frames of the segment; default all.
        channels : sequence of int, optional
            Indices; default all.
        scaled : bool
            float32 microvolts instead of stored values.
        recorded : bool
            Return a pair: the frames, and a bool array of the same shape that says which samples were recorded. All were, except where the
            device kept pieces around events only (``description["storage"]`` is ``"sparse"``); the others hold the channel's noise mean.
        preprocess : sequence of stages
            Those of `spiked.stages`, `bandpass` and others, applied in order to all channels, before `start`, `stop` and `channels` cut: a part
            has the bits it has in the whole. float32, in the unit of the stored values unless `scaled`.
        """
        params = self._params(segment, start, stop)
        params["scaled"] = bool(scaled)
        if recorded:
            params["recorded"] = True
        if channels is not None:
            params["channels"] = [int(c) for c in channels]
        if preprocess:
            params["preprocess"] = split(preprocess)[0]
        arrays = self._client._call("read", params, stage_arrays(preprocess), timeout=timeout)[1]
        return (arrays["traces"], arrays["recorded"]) if recorded else arrays["traces"]

    def detect_peaks(self, method: str = "by_channel", peak_sign: str = "neg", detect_threshold: float = 5.0, exclude_sweep_ms: float = 1.0, *,
                     radius_um: float = 50.0, channel_locations: Any = None, noise_levels: Any = None, preprocess: Sequence[Stage] = (),
                     prototype: Any = None, waveforms: Optional[Mapping[str, Any]] = None, features: Sequence[str] = (), 
                     feature_window: Optional[Mapping[str, Any]] = None, output: Optional[Union[str, os.PathLike]] = None, seed: int = 0, segment: Optional[int] = None, start: Optional[int] = None,
                     stop: Optional[int] = None, timeout: Optional[float] = None, **options: Any
                     ) -> Union[np.ndarray, Tuple[np.ndarray, Dict[str, np.ndarray]]]:
        """Detect spikes.

        Parameters
        ----------
        method : str
            ``"by_channel"``: SpikeInterface's rule for each channel alone. ``"locally_exclusive"``: SpikeInterface's rule where a spike is
            reported on the channel that it passes the threshold of by the largest factor, among those within `radius_um`. ``"matched_filtering"``: SpikeInterface's rule where the traces, weighted over the channels as from
            a source at some depth, look like `prototype`; it finds smaller spikes, and costs several times as much.
        peak_sign : {"neg", "pos", "both"}
        detect_threshold : float
            In units of the noise level.
        exclude_sweep_ms : float
            Half-window, ms (truncated to frames); 0: threshold only (``"by_channel"``), or rivals on the same frame only.
        radius_um : float
            Not ``"by_channel"``: channels at most this far apart compete, micrometres.
        channel_locations : array (channels, 2 or 3), optional
            Micrometres; default: the recording's.
        noise_levels : array (channels,) or scalar, optional
            In the unit of the preprocessed traces; default: centred MAD of 20 random chunks of 0.5 s in each segment (`seed`).
        preprocess : sequence of stages
            Those of `spiked.stages`, `bandpass` and others, applied in order.
        prototype : array (samples,), optional
            ``"matched_filtering"``: the waveform of a spike, in any unit, with the option ``ms_before``: where its peak stands.
        waveforms : dict, optional
            Return the preprocessed samples around each peak: ``dict()`` for all channels, 1 ms before and 2 ms behind it. Its keys:
            ``ms_before``, ``ms_after``; ``radius_um``: only channels this near the peak's; ``scaled``: microvolts; ``max_waveforms``: only so
            many, drawn at random (`seed`).
        features : sequence of str
            Numbers for each peak, in the same pass: ``"amplitude_uV"``; ``"ptp"``: largest - smallest sample on its channel, in the unit of the
            amplitude; ``"width_ms"``: from the peak to the largest sample behind it (positive peaks: the smallest); ``"center_of_mass"``:
            (x, y) in um, weighted by the ptp of the channels around; ``"time_offset"``: where the peak is between the frames, -0.5 to 0.5.
        feature_window : dict, optional
            Where features look: ``ms_before`` (1.0), ``ms_after`` (2.0), ``radius_um`` (75, for ``"center_of_mass"``).
        output : path, optional
            NWB 2 file to write as well.
        segment, start, stop : int, optional
            Default: everything. A part gives the peaks the whole would have there.
        **options
            threshold_unit : {"noise", "uV", "raw"}
                Unit of `detect_threshold` and `max_threshold`: noise levels, microvolts, or stored values.
            noise_method : {"mad", "quiroga", "std", "rms"}
                What a noise level is: centred MAD, median(\\|x\\|) / 0.6745, standard deviation, root mean square.
            noise_samples : {"random", "all"}
                20 random chunks of 0.5 s in each segment, or all of them side by side; the level is the mean over the chunks.
            max_threshold : float
                Peaks beyond it are artefacts, and dropped.
            dead_time_ms : float
                After a peak its channel gives none for so long.
            max_rate : float
                Most peaks a second and channel, in windows of one second; a warning tells how many were dropped.
            compat : {"spikeinterface"}
                SpikeInterface's chunks and arithmetic: its peaks row by row, for int16 and float32 samples. Slower; by default peaks do not
                depend on chunks.
            ms_before : float
                ``"matched_filtering"``: where in `prototype` its peak stands, ms.
            weight_method : dict
                ``"matched_filtering"``: ``z_list_um`` (0, 30, 60, 90, 120): depths of the source; ``sigma_3d`` (2.5): decay, um.
            chunk_frames : int
                With `compat`: frames of a chunk; default one second.

        Returns
        -------
        array of `PEAK_DTYPE`
            sample_index, channel_index, amplitude (raw units), segment_index; in order of segment, sample, channel.
        dict of arrays
            Only with `waveforms`, `features` or ``"matched_filtering"``; the function then returns (peaks, this). ``z``: index into ``z_list_um``
            of the depth (`"matched_filtering"`). ``waveforms``: float32 (peaks, frames, channels), 0
            outside the segment and in columns without a channel; ``waveform_valid``: bool (peaks,), the whole window lies inside the segment;
            with ``radius_um`` ``waveform_channels``: int32 (channels, columns), the channel of each column for a peak on that channel, -1 where
            there is none; with ``max_waveforms`` ``waveform_index``: int64, the peak that each row of ``waveforms`` belongs to. Each feature
            under its name: float64 (peaks,), ``center_of_mass`` (peaks, 2); ``feature_valid``: as ``waveform_valid``, of their window.

        Examples
        --------
        >>> peaks, more = rec.detect_peaks(waveforms=dict(radius_um=60), features=["width_ms"])    # doctest: +SKIP
        >>> shape = more["waveforms"][more["waveform_valid"]].mean(axis=0)                         # doctest: +SKIP
        """
        params = self._params(segment, start, stop)
        params.update(detection_params(method, peak_sign, detect_threshold, exclude_sweep_ms, radius_um, preprocess, seed, **options))
        params.update(snippet_params(waveforms, features, feature_window))
        if output is not None:
            params["output"] = {"file": os.path.abspath(os.fspath(output))}
        arrays = {**stage_arrays(preprocess), **noise_array(noise_levels), **locations_array(channel_locations), **prototype_array(prototype)}
        return peaks_and_extras(params, self._client._call("detect", params, arrays, timeout)[1])

    def noise_levels(self, preprocess: Sequence[Stage] = (), seed: int = 0, timeout: Optional[float] = None) -> np.ndarray:
        """Noise level of each channel (centred MAD, raw units of the preprocessed traces), array (channels,)."""
        return self.reduce("mad", preprocess=preprocess, seed=seed, timeout=timeout)

    def detect_bad_channels(self, method: str = "coherence+psd", *, preprocess: Sequence[Stage] = (), channel_locations: Any = None,
                            channel_filters: Optional[Sequence[str]] = None, seed: int = 0, timeout: Optional[float] = None,
                            **options: Any) -> Tuple[List[str], np.ndarray]:
        """Channels that are dead, noisy or outside the brain: SpikeInterface's `detect_bad_channels`, by its code's rules.

        Parameters
        ----------
        method : {"coherence+psd", "std", "mad", "neighborhood_r2"}
            ``"coherence+psd"``: the International Brain Laboratory's, in microvolts. ``"std"``, ``"mad"``: channels that vary more than
            ``std_mad_threshold`` times the median channel. ``"neighborhood_r2"``: correlation with the median of the channels around (for LFP).
        preprocess : sequence of stages
            If there is no filter among them, a high-pass is put behind them.
        channel_locations : array (channels, 2 or 3), optional
            Micrometres; default: the recording's.
        channel_filters : sequence of str, optional
            Return only the ids of channels with these labels.
        seed : int
            Of the random chunks.
        **options
            As SpikeInterface's, with its defaults: std_mad_threshold 5, psd_hf_threshold 0.02 (uV^2/Hz), dead_channel_threshold -0.5,
            noisy_channel_threshold 1, outside_channel_threshold -0.75, outside_channels_location "top", n_neighbors 11, nyquist_threshold 0.8,
            welch_window_ms 10, chunk_duration_s 0.3, num_random_chunks 100, highpass_filter_cutoff 300, neighborhood_r2_threshold 0.9,
            neighborhood_r2_radius_um 30; and ``filtered=True``: the file holds filtered data, no high-pass is needed.

        Returns
        -------
        ids : list of str
            Of the bad channels.
        labels : array of str (channels,)
            ``"good"``, ``"dead"``, ``"noise"``, ``"out"``. ``np.flatnonzero(labels != "good")`` are the indices that `silence`, `interpolate` and
            ``common_reference(excluded=...)`` take.
        """
        params = {**self._name, "method": method, "seed": int(seed), "preprocess": split(preprocess)[0], **options}
        arrays = {**stage_arrays(preprocess), **locations_array(channel_locations)}
        codes = self._client._call("bad_channels", params, arrays, timeout)[1]["labels"]
        labels = np.array(["good", "dead", "noise", "out"])[codes]
        wanted = ("dead", "noise", "out") if channel_filters is None else tuple(channel_filters)
        return [i for i, label in zip(self.channel_ids, labels) if label in wanted], labels

    def reduce(self, operations: Union[str, Sequence[str]], *, threshold: Optional[float] = None, preprocess: Sequence[Stage] = (), scaled: bool = False,
               seed: int = 0, bin_ms: Optional[float] = None, segment: Optional[int] = None, start: Optional[int] = None,
               stop: Optional[int] = None, timeout: Optional[float] = None) -> Any:
        """Reduce each channel over time.

        Parameters
        ----------
        operations : str or sequence of str
            ``count_above sum sum_of_squares weighted_sum mean std rms min max mad``, and in bins ``binned_power`` (mean of |x|: spiking-band power,
            after a band-pass) and ``binned_rate`` (crossings of `threshold` a second; downwards if it is negative).
        threshold : float
            For ``count_above`` and ``weighted_sum``, in the unit of the samples.
        scaled : bool
            Microvolts instead of stored values.
        bin_ms : float
            Length of a bin; each segment begins one.

        Returns
        -------
        dict of name to array (channels,), in bins (bins, channels); a single name gives its array alone.
        """
        params = self._params(segment, start, stop)
        params.update(reduction_params(operations, threshold, preprocess, seed, bin_ms))
        if scaled:
            params["scaled"] = True
        out = self._client._call("reduce", params, stage_arrays(preprocess), timeout=timeout)[1]
        return out[operations] if isinstance(operations, str) else out

    def map(self, kernel: Callable[..., Any], *args: Any, preprocess: Sequence[Stage] = (), scaled: bool = False, start: Optional[int] = None,
            stop: Optional[int] = None, segment: Optional[int] = None, timeout: Optional[float] = None) -> Any:
        """Call a kernel for each channel, in the daemon, on the samples themselves; only the results travel.

        Parameters
        ----------
        kernel : function
            Made with `njit`, or a plain Python function, compiled the same way. Its first parameter is the trace of one channel: an array
            (frames,), read-only, of the stored dtype; float32 after `preprocess` or `scaled`. Kernels that it calls and what it takes from
            around it travel with it. Channels run in parallel, so a `prange` in it runs in order. Signatures of its decorator do not count.
        *args : numbers, arrays
            The kernel's other arguments, the same for all channels, read-only.
        preprocess : sequence of stages
            Those of `spiked.stages`, `bandpass` and others, applied in order to all channels, before `start` and `stop` cut.
        scaled : bool
            Microvolts (float32) instead of stored values.
        start, stop : int, optional
            Frames of the segment; default all.
        segment : int, optional
            Needed if there are several; with `start` or `stop` the default is the first.
        timeout : float, optional
            Seconds.

        Returns
        -------
        array (channels,), or list of arrays, or tuple of these
            For a number that the kernel returns an array with one element a channel, of the kernel's dtype (int64, float64, bool, ...); for a
            one-dimensional array a list with one array a channel; a tuple if the kernel returns several; None if it returns nothing.

        Raises
        ------
        TypeError
            `kernel` is no function or does not take these arguments; `TypingError`: it cannot be compiled for them, or writes one.
        Invalid, TooLarge, Unsupported, DeadlineExceeded
            No such frames or several segments; a trace, or the results, above the daemon's limits; a result with several axes; `timeout`.
        IndexError, ZeroDivisionError, AssertionError, ...
            From the kernel, as in Python; the text names the channel.

        Examples
        --------
        >>> @spiked.njit
        ... def crossings(x, level):
        ...     at = []
        ...     for i in range(1, len(x)):
        ...         if x[i - 1] >= level > x[i]:
        ...             at.append(i)
        ...     return at
        >>> times = rec.map(crossings, -50.0, preprocess=[spiked.bandpass(300, 6000)])    # doctest: +SKIP
        """
        source = {**self._params(segment, start, stop), "dtype": self.dtype.str}
        return mapping.run(self._client, source, {}, kernel, args, preprocess, scaled, timeout)
