# SPDX-License-Identifier: BSD-3-Clause
"""A SpikeInterface recording as the daemon can do it: a file or an array, stages, and the channels that are wanted of them."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from . import stages
from .client import Client
from .errors import SpikedError
from .recording import Recording
from .stages import Stage

# An array of a recording that is no array yet is read as a whole up to this size, bytes of a segment.
ARRAY_BYTES = 1 << 30
_CHECKED_FRAMES = 64
# What float32, in which the daemon compares, holds without rounding.
_HELD = [np.dtype(d) for d in ("i1", "u1", "<i2", "<u2", "<f4")]
_NAME = "spikeinterface."


class Plan(NamedTuple):
    """How a recording gets to the daemon.

    Attributes
    ----------
    way : {"file", "array", "traces", "spikeinterface"}
        ``"file"``: the daemon reads the file itself. ``"array"``: it takes the samples below the preprocessing as an array, and does the
        preprocessing. ``"traces"``: SpikeInterface reads and preprocesses chunk by chunk, the daemon detects. ``"spikeinterface"``: all of it
        is SpikeInterface's, for samples that the daemon would round.
    reason : str
        Why not a faster way; ``""`` for a file.
    files : list of Recording
        One for all segments, or one for each.
    raw : recording or None
        Whose traces are the array.
    stages : list of stages
    channels : array of int
        Of those in the file or array, the ones of the recording, in its order.
    """

    way: str
    reason: str = ""
    files: List[Recording] = []
    raw: Any = None
    stages: List[Stage] = []
    channels: Optional[np.ndarray] = None

    def __str__(self) -> str:
        what = {"file": "the daemon reads " + ", ".join(f.file for f in self.files), "array": "the daemon preprocesses an array",
                "traces": "SpikeInterface reads and preprocesses, the daemon detects", "spikeinterface": "SpikeInterface does all of it"}[self.way]
        steps = ", ".join(s["stage"] for s in self.stages)
        return what + (f"; then {steps}" if steps else "") + (f" ({self.reason})" if self.reason else "")


class _Not(Exception):
    """Why something cannot be done in the daemon."""


def _class(recording: Any) -> str:
    return type(recording).__name__ if type(recording).__module__.startswith(_NAME) else ""


# --- preprocessing ---

def _same_dtype(recording: Any) -> None:
    if recording.get_dtype() != recording._kwargs["recording"].get_dtype():
        raise _Not(f"{_class(recording)} changes the dtype to {recording.get_dtype()}")


def _filter(recording: Any, edges: Tuple[str, ...], make: Callable[..., Stage], exact: bool) -> Stage:
    kwargs = recording._kwargs
    plain = {"filter_mode": "sos", "ftype": "butter", "direction": "forward-backward", "coeff": None, "add_reflect_padding": False}
    for key, value in plain.items():
        if kwargs.get(key, value) != value:
            raise _Not(f"{_class(recording)} with {key}={kwargs[key]!r}")
    order = kwargs.get("filter_order", 5)
    if not (isinstance(order, (int, np.integer)) and 1 <= order <= 8):
        raise _Not(f"{_class(recording)} of order {order}")
    low = kwargs["freq_min"]
    if exact and kwargs["margin_ms"] != 5 * (1000.0 / low):
        raise _Not(f"{_class(recording)} with margin_ms={kwargs['margin_ms']:g}, which is not five periods of freq_min")
    return make(*(float(kwargs[edge]) for edge in edges), order=int(order))


def _bandpass(recording: Any, exact: bool) -> Stage:
    return _filter(recording, ("freq_min", "freq_max"), stages.bandpass, exact)


def _highpass(recording: Any, exact: bool) -> Stage:
    return _filter(recording, ("freq_min",), stages.highpass, exact)


def _common_reference(recording: Any, exact: bool) -> Stage:
    kwargs = recording._kwargs
    if kwargs["reference"] != "global" or kwargs["groups"] is not None or kwargs["ref_channel_ids"] is not None:
        raise _Not("CommonReferenceRecording of groups, of some channels, or local")
    if exact and kwargs["operator"] == "average" and recording.get_dtype().kind == "f":
        raise _Not("the average of float32 channels, which NumPy sums in an order of its own")
    return stages.common_reference(kwargs["operator"])


_STAGES: Dict[str, Callable[[Any, bool], Stage]] = {
    "BandpassFilterRecording": _bandpass, "HighpassFilterRecording": _highpass, "CommonReferenceRecording": _common_reference,
}


def _stage(recording: Any, exact: bool) -> Stage:
    if exact:
        _same_dtype(recording)
    return _STAGES[_class(recording)](recording, exact)


def _descend(recording: Any) -> Tuple[Any, List[Any]]:
    """What lies below all stages and channel slices, and these from there up."""
    above: List[Any] = []
    while _class(recording) in _STAGES or _class(recording) == "ChannelSliceRecording":
        above.insert(0, recording)
        recording = recording._kwargs["recording"]
    return recording, above


def _arrange(raw: Any, above: List[Any], exact: bool) -> Tuple[List[Stage], np.ndarray]:
    """Stages, and which channels of `raw` the last recording has."""
    steps: List[Stage] = []
    channels = np.arange(raw.get_num_channels())
    for recording in above:
        if _class(recording) == "ChannelSliceRecording":
            channels = channels[recording._kwargs["recording"].ids_to_indices(recording._kwargs["channel_ids"])]
            continue
        step = _stage(recording, exact)
        if step["stage"] == "common_reference" and len(channels) != raw.get_num_channels():
            raise _Not("a common reference after channels were left out")
        steps.append(step)
    if steps and exact and raw.get_dtype() not in (np.dtype("<i2"), np.dtype("<f4")):
        raise _Not(f"samples of {raw.get_dtype()}: SpikeInterface's arithmetic is kept for int16 and float32")
    return steps, channels


def _below(recording: Any) -> List[Any]:
    kwargs = recording._kwargs
    found = [kwargs[key] for key in ("recording", "recording1", "recording2") if key in kwargs]
    more = kwargs.get("recording_list") or kwargs.get("recording_list_or_dict") or []
    return found + list(more.values() if isinstance(more, dict) else more)


def _is_preprocessed(recording: Any) -> bool:
    """Does the value of a sample depend on how it is read? Not if nothing but slices lies above what reads the file."""
    from spikeinterface.preprocessing.basepreprocessor import BasePreprocessor

    return isinstance(recording, BasePreprocessor) or any(_is_preprocessed(r) for r in _below(recording))


# --- files ---

Place = Tuple[str, Optional[str]]


def _nwb(recording: Any) -> List[Place]:
    kwargs = recording._kwargs
    if kwargs.get("stream_mode") is not None or kwargs.get("file_path") is None:
        raise _Not("the file is not on this machine")
    return [(kwargs["file_path"], "/" + recording.electrical_series_path.strip("/"))]


def _spikeglx(recording: Any) -> List[Place]:
    parts = [e for e in recording.neo_reader.signals_info_list if e["stream_name"] == recording.stream_name]
    return [(e["bin_file"], recording.stream_name) for e in sorted(parts, key=lambda e: e["seg_index"])]


def _open_ephys(recording: Any) -> List[Place]:
    streams = recording.neo_reader._sig_streams[recording.block_index]
    files = [streams[s][recording.stream_index]["raw_filename"] for s in range(recording.get_num_segments())]
    return [(f, os.path.basename(os.path.dirname(f))) for f in files]


def _maxwell(recording: Any) -> List[Place]:
    parts = (recording.stream_id, recording.neo_reader.rec_name)
    return [(recording._kwargs["file_path"], "/".join(parts) if all(parts) else None)]


def _mcs(recording: Any) -> List[Place]:
    return [(recording._kwargs["file_path"], f"Recording_0/AnalogStream/Stream_{recording._kwargs['stream_id']}")]


def _one_file(recording: Any) -> List[Place]:
    return [(recording._kwargs["file_path"], None)]


def _flat(recording: Any) -> List[Place]:
    return [(f, None) for f in recording._kwargs["file_paths"]]


_FILES: Dict[str, Callable[[Any], List[Place]]] = {
    "NwbRecordingExtractor": _nwb, "SpikeGLXRecordingExtractor": _spikeglx, "OpenEphysBinaryRecordingExtractor": _open_ephys,
    "MaxwellRecordingExtractor": _maxwell, "MCSH5RecordingExtractor": _mcs, "BiocamRecordingExtractor": _one_file,
    "MEArecRecordingExtractor": _one_file, "BinaryRecordingExtractor": _flat,
}


def _same_samples(ours: Recording, segment: int, theirs: Any, their_segment: int) -> bool:
    """Equal frames at the start, in the middle and at the end: the same file, stream, channels and order."""
    n = theirs.get_num_samples(their_segment)
    for start in {0, max(0, n // 2 - _CHECKED_FRAMES), max(0, n - _CHECKED_FRAMES)}:
        stop = min(n, start + _CHECKED_FRAMES)
        want = theirs.get_traces(segment_index=their_segment, start_frame=start, end_frame=stop)
        got = ours.read(start, stop, segment=segment)
        if got.dtype != want.dtype or not np.array_equal(got, want, equal_nan=want.dtype.kind == "f"):
            return False
    return True


def _open(client: Client, place: Place) -> Recording:
    try:
        return client.open(place[0], place[1])
    except SpikedError as e:
        raise _Not(f"the daemon cannot open {place[0]}: {e.message}") from None


def _files(client: Client, base: Any) -> List[Recording]:
    """The base's files, opened by the daemon and found to hold the same."""
    find = _FILES.get(_class(base))
    if find is None:
        raise _Not(f"{type(base).__name__} is no file that the daemon reads")
    try:
        places = find(base)
    except (AttributeError, KeyError, IndexError, TypeError) as e:
        raise _Not(f"the files of {_class(base)} are not where this release of SpikeInterface should keep them: {e!r}") from None
    files = [_open(client, place) for place in places]
    lengths = [s.num_samples for f in files for s in f.segments]
    if lengths != [base.get_num_samples(s) for s in range(base.get_num_segments())]:
        raise _Not(f"the daemon finds segments of {lengths} frames in the file, which SpikeInterface cuts otherwise")
    if len(files) > 1 and any(len(f.segments) > 1 for f in files):
        raise _Not("several files with gaps")
    segment = 0
    for f in files:
        if f.num_channels != base.get_num_channels() or f.sampling_frequency != base.get_sampling_frequency():
            raise _Not(f"the daemon finds {f.num_channels} channels at {f.sampling_frequency!r} Hz in the file, SpikeInterface "
                       f"{base.get_num_channels()} at {base.get_sampling_frequency()!r} Hz")
        for own in range(len(f.segments)):
            if not _same_samples(f, own, base, segment):
                raise _Not("the daemon and SpikeInterface read different samples from the file")
            segment += 1
    return files


def _array_fits(raw: Any) -> bool:
    frame = raw.get_num_channels() * raw.get_dtype().itemsize
    return _class(raw) == "NumpyRecording" or all(raw.get_num_samples(s) * frame <= ARRAY_BYTES for s in range(raw.get_num_segments()))


def plan(client: Client, recording: Any, exact: bool) -> Plan:
    """The fastest way for a recording; exact: with SpikeInterface's arithmetic."""
    if exact and recording.get_dtype() not in _HELD:
        return Plan("spikeinterface", f"traces of {recording.get_dtype()}; the daemon compares in float32")
    base, above = _descend(recording)
    try:
        steps, channels = _arrange(base, above, exact)
        return Plan("file", "", _files(client, base), None, steps, channels)
    except _Not as e:
        reason = str(e)
    first = next((i for i, r in enumerate(above) if _class(r) in _STAGES), len(above))
    raw = above[first - 1] if first else base
    try:
        steps, channels = _arrange(raw, above[first:], exact)
        if _is_preprocessed(raw):
            raise _Not(f"{type(raw).__name__} is a step that the daemon does not know")
        if not steps:
            raise _Not(reason)
        if not _array_fits(raw):
            raise _Not(f"{reason}; as an array it is above {ARRAY_BYTES} bytes")
        return Plan("array", reason, [], raw, steps, channels)
    except _Not as e:
        return Plan("traces", str(e))
