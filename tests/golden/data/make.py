#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the data files beside this script. Needs numpy and safetensors (2.4.6 and 0.8.0 made those in use)."""
import io
import pathlib
import zipfile

import numpy as np
from numpy.lib import format as npy
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
TYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]


def array_of(dtype):
    """[2, 3]: 0 to 5, bool: 0 or 1."""
    return (np.arange(6).reshape(2, 3) % (2 if dtype == "bool" else 6)).astype(dtype)


def write(name, array, version):
    with open(here / name, "wb") as file:
        npy.write_array(file, array, version=version, allow_pickle=True)


for dtype in TYPES:
    write(f"{dtype}.npy", array_of(dtype), (1, 0))
write("version_2.npy", array_of("float32"), (2, 0))
write("version_3.npy", array_of("float32"), (3, 0))
write("fortran.npy", np.asfortranarray(np.arange(24, dtype="float32").reshape(2, 3, 4)), (1, 0))
write("scalar.npy", np.float32(2.5).reshape(()), (1, 0))
write("vector.npy", np.arange(5, dtype="int64"), (1, 0))
write("empty.npy", np.zeros((0, 3), "float32"), (1, 0))
write("big_endian.npy", np.arange(3, dtype=">f4"), (1, 0))
write("complex.npy", np.zeros(2, "complex64"), (1, 0))
write("text.npy", np.array(["a", "bc"]), (1, 0))
write("object.npy", np.array([{}, 1], dtype=object), (1, 0))
write("structured.npy", np.zeros(2, [("x", "f4"), ("y", "i4", (2, 2))]), (1, 0))
write("nine_axes.npy", np.zeros((1,) * 9, "float32"), (1, 0))

arrays = {"input": np.arange(60000, dtype="float32").reshape(1000, 60), "mask": np.arange(1000, dtype="int64")}
small = {"input": arrays["input"][:6], "mask": arrays["mask"][:6]}
np.savez(here / "stored.npz", **small)
save_file(small, here / "arrays.safetensors")
np.savez(here / "fortran.npz", input=np.asfortranarray(small["input"]))
np.savez_compressed(here / "deflated.npz", **arrays)
np.savez_compressed(here / "fortran_deflated.npz", input=np.asfortranarray(small["input"]))


class Pipe(io.RawIOBase):
    """Cannot seek, so zipfile writes data descriptors behind the entries."""

    def __init__(self, path):
        self.file = open(path, "wb")

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def write_zip(target, compression, force_zip64=False, arrays=tuple(small.items())):
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, array in arrays:
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = compression
            with archive.open(entry, "w", force_zip64=force_zip64) as file:
                npy.write_array(file, array)


write_zip(here / "twice.npz", zipfile.ZIP_STORED, arrays=[("input", small["mask"])] * 2)
write_zip(Pipe(here / "descriptors.npz"), zipfile.ZIP_DEFLATED)
zipfile.ZIP64_LIMIT = 64  # so that the central directory uses ZIP64 numbers too
write_zip(here / "zip64.npz", zipfile.ZIP_STORED, force_zip64=True)
zipfile.ZIP64_LIMIT = (1 << 31) - 1
write_zip(here / "bzip2.npz", zipfile.ZIP_BZIP2)
