# SPDX-License-Identifier: BSD-3-Clause
"""Small NWB recordings with spikes, for the tests of the programs."""
import h5py
import numpy as np

FS = 30000.0


def traces(seed, frames=60000, channels=8):
    """int16 noise with a negative spike every 3000 frames, on one channel after the other."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 20, (frames, channels))
    wave = -600 * np.exp(-0.5 * ((np.arange(30) - 10) / 3.0) ** 2)
    for i, at in enumerate(range(1000, frames - 1000, 3000)):
        x[at:at + 30, i % channels] += wave
    return np.round(x).astype("<i2")


def write(path, x, rate=FS):
    """One ElectricalSeries /acquisition/AP in an NWB file."""
    text = h5py.string_dtype()
    with h5py.File(path, "w") as f:
        f.attrs["neurodata_type"] = "NWBFile"
        f.attrs["nwb_version"] = "2.7.0"
        f.create_dataset("session_start_time", data="2024-05-06T07:08:09+02:00", dtype=text)
        table = f.create_group("general/extracellular_ephys/electrodes")
        table.attrs["neurodata_type"] = "DynamicTable"
        table["id"] = np.arange(x.shape[1], dtype="i4")
        group = f.create_group("acquisition/AP")
        group.attrs["neurodata_type"] = "ElectricalSeries"
        group["electrodes"] = np.arange(x.shape[1], dtype="i4")
        group["electrodes"].attrs["table"] = table.ref
        data = group.create_dataset("data", data=x, chunks=(min(8192, len(x)), x.shape[1]), compression="gzip", shuffle=True)
        data.attrs["conversion"] = 1e-6
        data.attrs["unit"] = "volts"
        group["starting_time"] = 0.0
        group["starting_time"].attrs["rate"] = rate
    return path
