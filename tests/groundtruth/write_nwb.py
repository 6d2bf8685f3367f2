# SPDX-License-Identifier: BSD-3-Clause
"""Writes an NWB 2 file with one ElectricalSeries, by plain HDF5 calls, frame block by frame block.

Layout: nwb-schema core/nwb.ecephys.yaml; volts = data * conversion + offset.
"""

from __future__ import annotations

import os
import uuid
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import h5py
import numpy as np

_TEXT = h5py.string_dtype()
_NWB_VERSION = "2.7.0"


def _typed(node: Any, kind: str, namespace: str = "core", **attributes: Any) -> Any:
    """Marks a group or dataset as what NWB calls it. The object id comes from the path, so that equal contents give equal files."""
    node.attrs["neurodata_type"] = kind
    node.attrs["namespace"] = namespace
    node.attrs["object_id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, "spiked:" + node.name))
    for name, value in attributes.items():
        node.attrs[name] = value
    return node


def _column(table: h5py.Group, name: str, data: Any, description: str, **how: Any) -> h5py.Dataset:
    return _typed(table.create_dataset(name, data=data, **how), "VectorData", "hdmf-common", description=description)


def _write_root(f: h5py.File, identifier: str) -> None:
    _typed(f, "NWBFile", nwb_version=_NWB_VERSION)
    for name in ("acquisition", "analysis", "processing", "general", "stimulus/presentation", "stimulus/templates"):
        f.create_group(name)
    start = "2024-01-01T00:00:00+00:00"
    for name, value in (("identifier", identifier), ("session_description", "generated recording with known spikes"),
                        ("session_start_time", start), ("timestamps_reference_time", start)):
        f.create_dataset(name, data=value, dtype=_TEXT)
    f.create_dataset("file_create_date", data=np.array([start], dtype=object), dtype=_TEXT, maxshape=(None,))


def _write_electrodes(f: h5py.File, locations: np.ndarray, ids: Sequence[str]) -> h5py.Group:
    device = _typed(f.create_group("general/devices/probe"), "Device", description="generated probe")
    ecephys = f.create_group("general/extracellular_ephys")
    shank = _typed(ecephys.create_group("shank0"), "ElectrodeGroup", description="one shank", location="unknown")
    shank["device"] = h5py.SoftLink(device.name)
    n = len(locations)
    names = ["location", "group", "group_name", "rel_x", "rel_y", "channel_name"]
    table = _typed(ecephys.create_group("electrodes"), "DynamicTable", "hdmf-common", description="contacts of the probe")
    table.attrs.create("colnames", names, dtype=_TEXT)
    _typed(table.create_dataset("id", data=np.arange(n, dtype="<i4")), "ElementIdentifiers", "hdmf-common")
    _column(table, "location", ["unknown"] * n, "brain region", dtype=_TEXT)
    _column(table, "group", np.array([shank.ref] * n, dtype=h5py.ref_dtype), "electrode group", dtype=h5py.ref_dtype)
    _column(table, "group_name", ["shank0"] * n, "name of the electrode group", dtype=_TEXT)
    _column(table, "rel_x", locations[:, 0].astype("<f4"), "across the probe, um")
    _column(table, "rel_y", locations[:, 1].astype("<f4"), "along the probe, um")
    _column(table, "channel_name", list(ids), "name of the channel", dtype=_TEXT)
    return table


class NwbWriter:
    """A file that is filled with `append` inside a ``with`` block.

    Parameters
    ----------
    path : path
        Replaced if it exists.
    num_samples : int
        Frames that will be appended in all.
    locations : array (channels, 2)
        Contacts, um.
    sampling_frequency : float
        Hz.
    conversion : float
        Volts of one count.
    dtype : str
        Of the samples.
    ids : sequence of str, optional
        Channel names; default ``ch0, ch1, ...``.
    offset : float
        Volts of the count 0.
    chunks : (frames, channels), optional
        HDF5 chunks; contiguous without.
    compression : int, optional
        gzip level of the chunks.
    timestamps : array (num_samples,), optional
        Seconds of each frame in place of start and rate; a gap starts a new segment.
    """

    def __init__(self, path: Union[str, os.PathLike], num_samples: int, locations: np.ndarray, sampling_frequency: float, conversion: float, *,
                 dtype: str = "<i2", ids: Optional[Sequence[str]] = None, offset: float = 0.0, chunks: Optional[Tuple[int, int]] = None,
                 compression: Optional[int] = None, timestamps: Optional[np.ndarray] = None):
        if compression is not None and chunks is None:
            raise ValueError("compression needs chunks")
        channels = len(locations)
        self._at = 0
        self._file = h5py.File(path, "w")
        _write_root(self._file, os.path.basename(os.fspath(path)))
        table = _write_electrodes(self._file, np.asarray(locations, float), ids or [f"ch{c}" for c in range(channels)])
        series = _typed(self._file.create_group("acquisition/ElectricalSeries"), "ElectricalSeries", description="raw traces", comments="none")
        how: Dict[str, Any] = {}
        if chunks:
            how["chunks"] = (max(1, min(chunks[0], num_samples)), min(chunks[1], channels))
            if compression is not None:
                how.update(compression="gzip", compression_opts=compression)
        self._data = series.create_dataset("data", (num_samples, channels), dtype, **how)
        self._data.attrs.update(conversion=float(conversion), offset=float(offset), resolution=-1.0, unit="volts")
        region = _typed(series.create_dataset("electrodes", data=np.arange(channels, dtype="<i4")), "DynamicTableRegion", "hdmf-common",
                        description="all contacts")
        region.attrs.create("table", table.ref, dtype=h5py.ref_dtype)
        if timestamps is None:
            start = series.create_dataset("starting_time", data=np.float64(0))
            start.attrs.update(rate=float(sampling_frequency), unit="seconds")
        else:
            stamps = series.create_dataset("timestamps", data=np.asarray(timestamps, "<f8"))
            stamps.attrs.update(interval=np.int32(1), unit="seconds")

    def append(self, frames: np.ndarray) -> None:
        """Adds frames, array (frames, channels)."""
        self._data[self._at : self._at + len(frames)] = frames
        self._at += len(frames)

    def __enter__(self) -> "NwbWriter":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        filled, total = self._at, len(self._data)
        self._file.close()
        if kind is None and filled != total:
            raise ValueError(f"{filled} of {total} frames were written")
