# SPDX-License-Identifier: Apache-2.0
"""Writes all_types.safetensors with the reference writer: every element type it takes, awkward names and shapes."""
import ctypes
import pathlib

import safetensors

WORDS = ["bool", "uint8", "int8", "float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz",
         "int16", "uint16", "float16", "bfloat16", "int32", "uint32", "float32", "complex64", "float64", "int64", "uint64"]
SIZES = [1] * 8 + [2] * 4 + [4] * 3 + [8] * 4
NAMES = ["", "a.weight", "a.weight_scale", "B", "quote\" back\\slash /", "tab\tnew\nline\x01\x1f\x7f", "\u00e9\u4e2d\U0001f600",
         "a.bias"]

buffers, tensors = [], {}


def add(name, word, shape, size):
    data = bytes((17 * len(tensors) + i) % 251 for i in range(size))
    buffers.append(ctypes.create_string_buffer(data, max(size, 1)))
    tensors[name] = safetensors.TensorSpec(dtype=word, shape=shape, data_ptr=ctypes.addressof(buffers[-1]), data_len=size)


for word, size in zip(WORDS, SIZES):
    add(f"z.{word}", word, [2, 3], 6 * size)
add("packed", "float4_e2m1fn_x2", [3, 5], 15)
for name in NAMES:
    add(name, "float32", [], 4)
add("empty", "float16", [3, 0, 2], 0)
add("rank 9", "int16", [1, 2, 1, 1, 1, 1, 1, 1, 3], 12)
safetensors.serialize_file(tensors, pathlib.Path(__file__).parent / "all_types.safetensors", {"k\u00e9y \"1\"": "text\n\u4e2d"})
