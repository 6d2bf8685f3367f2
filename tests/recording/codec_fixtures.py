# SPDX-License-Identifier: BSD-3-Clause
"""codecs.h5: datasets compressed by the reference plugins of the distribution (LZ4, Blosc, bitshuffle), by h5py (LZF), and, where there is no plugin
(zstd), chunk by chunk from encoders that share no code with spiked: libzstd and liblz4 by ctypes, bits transposed by NumPy."""
import ctypes
import struct

import h5py
import numpy as np

LZF, BLOSC, LZ4, BITSHUFFLE, ZSTD = 32000, 32001, 32004, 32008, 32015
BLOSC_INNER = {"blosclz": 0, "lz4": 1, "lz4hc": 2, "zlib": 4, "zstd": 5}


def zstd(data, level=3):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    room = len(data) + len(data) // 8 + 512
    out = ctypes.create_string_buffer(room)
    n = library.ZSTD_compress(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), level)
    assert 0 < n <= room
    return out.raw[:n]


def lz4_block(data):
    room = len(data) + len(data) // 200 + 64
    out = ctypes.create_string_buffer(room)
    n = ctypes.CDLL("liblz4.so.1").LZ4_compress_default(data, out, len(data), room)
    assert n > 0
    return out.raw[:n]


def bit_rows(x):
    """Row r holds bit r of every element (little-endian), 8 elements a byte. Slow and obvious. x: 1-D, a multiple of 8 elements."""
    bits = np.unpackbits(x.view("u1").reshape(len(x), -1), axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").tobytes()


def bitshuffle(x, block, inner):
    """A chunk as filter 32008 stores it; inner: None or a function that compresses bytes."""
    x = np.ascontiguousarray(x).ravel()
    whole = len(x) // 8 * 8
    out = struct.pack(">QI", x.nbytes, block * x.itemsize) if inner else b""
    for at in range(0, whole, block):
        rows = bit_rows(x[at:min(at + block, whole)])
        data = inner(rows) if inner else rows
        out += (struct.pack(">I", len(data)) if inner else b"") + data
    return out + x[whole:].tobytes()


def property_list(chunks, *filters):
    """filters: (id, parameters), "shuffle", "deflate" or "fletcher32", in the order of writing."""
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_chunk(chunks)
    for f in filters:
        if isinstance(f, str):
            getattr(dcpl, "set_" + f)(*([4] if f == "deflate" else []))
        else:
            # Optional: the library lets chunks be written directly although it does not know the filter.
            dcpl.set_filter(f[0], h5py.h5z.FLAG_OPTIONAL, f[1])
    return dcpl


def create(file, name, x, chunks, *filters):
    kind = h5py.h5t.py_create(x.dtype)
    return h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(x.shape), property_list(chunks, *filters))


def write(file, name, x, chunks, *filters):
    """Through the library and its plugins."""
    create(file, name, x, chunks, *filters).write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(x))


def write_chunks(file, name, x, chunks, encode, *filters):
    """encode: chunk (full size, padded with zeros) -> bytes, or (bytes, filter mask)."""
    create(file, name, x, chunks, *filters)
    for row in range(0, x.shape[0], chunks[0]):
        for column in range(0, x.shape[1], chunks[1]):
            chunk, part = np.zeros(chunks, x.dtype), x[row:row + chunks[0], column:column + chunks[1]]
            chunk[:part.shape[0], :part.shape[1]] = part
            data = encode(chunk)
            data, mask = data if isinstance(data, tuple) else (data, 0)
            file[name].id.write_direct_chunk((row, column), data, filter_mask=mask)


def planes(chunk):
    return np.ascontiguousarray(chunk.reshape(-1).view("u1").reshape(-1, chunk.itemsize).T).tobytes()


def make(path, traces, good):
    """good(name, dataset, x, filters) makes a case of dataset `name` in the file."""
    x = traces("<i2")
    types = {t: traces(t) for t in ("<i2", "|u1", "<f4", "<i8")}
    random = np.random.default_rng(3).integers(-32768, 32767, x.shape).astype("<i2")
    cases = []

    def case(name, y, *filters):
        cases.append((name, y, list(filters)))

    with h5py.File(path, "w") as f:
        for t, y in types.items():
            k = t[1:]
            write(f, f"lzf_{k}", y, (130, 3), (LZF, ()))
            write(f, f"lz4_{k}", y, (130, 3), (LZ4, ()))
            write(f, f"bitshuffle_{k}", y, (37, 3), (BITSHUFFLE, (0, 0)))        # 111 elements: 7 are left over
            write(f, f"bitshuffle_lz4_{k}", y, (37, 3), (BITSHUFFLE, (0, 2)))
            write(f, f"bitshuffle_block_{k}", y, (300, 7), (BITSHUFFLE, (64, 2)))
            write_chunks(f, f"zstd_{k}", y, (130, 5), lambda c: zstd(c.tobytes()), (ZSTD, (3,)))
            case(f"lzf_{k}", y, "lzf")
            case(f"lz4_{k}", y, "lz4")
            case(f"zstd_{k}", y, "zstd")
            for name in ("bitshuffle", "bitshuffle_lz4", "bitshuffle_block"):
                case(f"{name}_{k}", y, "bitshuffle")
            for shuffle in (0, 1, 2):
                write(f, f"blosc_{shuffle}_{k}", y, (130, 3), (BLOSC, (0, 0, 0, 0, 5, shuffle, BLOSC_INNER["lz4"])))
                case(f"blosc_{shuffle}_{k}", y, "blosc")
        for name, inner in BLOSC_INNER.items():
            write(f, f"blosc_{name}", x, (300, 7), (BLOSC, (0, 0, 0, 0, 9, 1, inner)))
            case(f"blosc_{name}", x, "blosc")
        write(f, "blosc_random", random, (300, 7), (BLOSC, (0, 0, 0, 0, 5, 1, 0)))
        write(f, "lzf_random", random, (300, 7), (LZF, ()))                          # does not shrink: skipped by the mask
        write(f, "lz4_small_blocks", random, (300, 7), (LZ4, (512,)))                # blocks stored as they are
        write(f, "shuffle_lzf_fletcher", x, (130, 5), "shuffle", (LZF, ()), "fletcher32")
        write(f, "fletcher_shuffle_lz4", x, (130, 5), "fletcher32", "shuffle", (LZ4, ()))
        write(f, "lzf_deflate", x, (130, 5), (LZF, ()), "deflate")                    # two that compress
        write(f, "bitshuffle_deflate_fletcher", x, (130, 5), (BITSHUFFLE, (0, 0)), "deflate", "fletcher32")
        write_chunks(f, "shuffle_zstd", x, (130, 5), lambda c: zstd(planes(c)), "shuffle", (ZSTD, ()))
        write_chunks(f, "bitshuffle_zstd", x, (37, 3), lambda c: bitshuffle(c, 64, zstd), (BITSHUFFLE, (64, 3)))
        write_chunks(f, "bitshuffle_numpy", x, (37, 3), lambda c: bitshuffle(c, 40, lz4_block), (BITSHUFFLE, (40, 2)))
        write_chunks(f, "bitshuffle_plain", x, (37, 3), lambda c: bitshuffle(c, 48, None), (BITSHUFFLE, (48,)))
        step = iter(range(1000))
        write_chunks(f, "zstd_skipped", x, (130, 7), lambda c: (c.tobytes(), 1) if next(step) % 2 else zstd(c.tobytes()), (ZSTD, ()))
        case("blosc_random", random, "blosc")
        case("lzf_random", random, "lzf")
        case("lz4_small_blocks", random, "lz4")
        case("shuffle_lzf_fletcher", x, "shuffle", "lzf", "fletcher32")
        case("fletcher_shuffle_lz4", x, "fletcher32", "shuffle", "lz4")
        case("lzf_deflate", x, "lzf", "deflate")
        case("bitshuffle_deflate_fletcher", x, "bitshuffle", "deflate", "fletcher32")
        case("shuffle_zstd", x, "shuffle", "zstd")
        for name in ("bitshuffle_zstd", "bitshuffle_numpy", "bitshuffle_plain"):
            case(name, x, "bitshuffle")
        case("zstd_skipped", x, "zstd")
    for name, y, filters in cases:
        good(name, y, filters)
