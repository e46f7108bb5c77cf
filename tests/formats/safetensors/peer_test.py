# SPDX-License-Identifier: Apache-2.0
"""Our safetensors reader and writer beside the reference (PyPI safetensors): the same bytes written, the same files refused
for the same reason. Argument: the program safetensors_tool."""
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy
import safetensors
import safetensors.numpy

TOOL = sys.argv[1]
TYPES = [numpy.bool_, numpy.uint8, numpy.int8, numpy.int16, numpy.uint16, numpy.float16, numpy.int32, numpy.uint32,
         numpy.float32, numpy.float64, numpy.int64, numpy.uint64, numpy.complex64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn,
         ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2fnuz]
ERRORS = {"header too small": "HeaderTooSmall", "header too large": "HeaderTooLarge",
          "invalid header length": "InvalidHeaderLength",
          "invalid UTF-8 in header": "InvalidHeader", "invalid JSON in header": "InvalidHeaderDeserialization",
          "invalid offset": "InvalidOffset", "overflow computing buffer size": "ValidationOverflow",
          "The slice is slicing for subbytes": "MisalignedSlice",
          "invalid shape, data type, or offset": "TensorInvalidInfo",
          "incomplete metadata": "MetadataIncompleteBuffer"}


def random_tensors(random_numbers):
    letters = "ab.Z_0/\"\\\n\u00e9\u4e2d\U0001f600"
    tensors = {}
    for _ in range(random_numbers.randrange(12)):
        name = "".join(random_numbers.choice(letters) for _ in range(random_numbers.randrange(9)))
        shape = [random_numbers.randrange(4) for _ in range(random_numbers.randrange(11))]
        dtype = numpy.dtype(random_numbers.choice(TYPES))
        size = int(numpy.prod(shape, dtype=int)) * dtype.itemsize
        tensors[name] = numpy.frombuffer(random_numbers.randbytes(size), numpy.uint8).view(dtype).reshape(shape)
    return tensors


def check_writing(folder):
    for seed in range(60):
        random_numbers = random.Random(seed)
        metadata = random_numbers.choice([None, {"k": "\u00e9\"\\\n\x01"}])
        reference, ours = folder / "reference.safetensors", folder / "ours.safetensors"
        safetensors.numpy.save_file(random_tensors(random_numbers), reference, metadata)
        subprocess.run([TOOL, "copy", reference, ours], check=True)
        assert ours.read_bytes() == reference.read_bytes(), f"seed {seed}: other bytes than the reference writer's"


def outcome_of_reference(data):
    try:
        safetensors.deserialize(data)
        return "ok"
    except safetensors.SafetensorError as raised:
        found = [name for text, name in ERRORS.items() if text in str(raised)]
        assert len(found) == 1, f"unknown message of the reference: {raised}"
        return found[0]


def mutations(random_numbers):
    """Broken files: text of the header replaced, its bytes or its length changed, the end cut off or extended."""
    pieces = ["{", "}", "[", "]", ",", ":", "0", "1", "-1", "-0", "1.0", "1e2", "1e400", "18446744073709551615",
              "18446744073709551616", "4294967296", "null", "true", '""', '"F32"', '"F4"', '"F6_E2M3"', '"dtype"', '"shape"',
              '"data_offsets"', '"__metadata__"', '"a"', '"extra":[{}],', '"extra":1,', " ", "\n", "\0", "\x01", "\ufeff",
              "\\ud800", "\\u0000", "[[]]", '{"k":"v"}', "/**/"]
    header = ('{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
              '"b":{"dtype":"F4","shape":[2,1],"data_offsets":[8,9]},"c":{"dtype":"I8","shape":[],"data_offsets":[9,10]}}')
    numbers = ["0", "1", "2", "4", "8", "9", "10", "11", "12", "4294967296", "9223372036854775807"]
    for _ in range(6000):
        text = header
        for _ in range(random_numbers.choice([1, 1, 1, 2, 3])):
            if random_numbers.random() < 0.5:
                at, to = random_numbers.choice([m.span() for m in re.finditer("[0-9]+", text)] or [(0, 0)])
                piece = random_numbers.choice(numbers)
            else:
                at = random_numbers.randrange(len(text) + 1)
                to = min(len(text), at + random_numbers.choice([0, 0, 1, 1, 2, 5]))
                piece = random_numbers.choice(pieces)
            text = text[:at] + piece + text[to:]
        raw = bytearray(text.encode())
        if random_numbers.random() < 0.1:
            raw[random_numbers.randrange(len(raw))] = random_numbers.randrange(256)
        length = len(raw) + random_numbers.choice([0] * 18 + [1, 99, 1 << 33, 1 << 63])
        data = bytes(range(10 + random_numbers.choice([0] * 9 + [-1, 1])))
        file = struct.pack("<Q", length) + bytes(raw) + data
        yield file if random_numbers.random() < 0.95 else file[:random_numbers.randrange(1, 12)]


def comes_twice(data):
    """What the reference lets through and the format forbids: a name that comes twice."""
    def unique(pairs):
        if len(dict(pairs)) != len(pairs):
            raise KeyError
        return dict(pairs)
    try:
        json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]], object_pairs_hook=unique)
        return False
    except KeyError:
        return True


def check_reading(folder):
    files, contents = [], list(mutations(random.Random(1)))
    for i, content in enumerate(contents):
        files.append(folder / f"{i}.safetensors")
        files[-1].write_bytes(content)
    ours = subprocess.run([TOOL, "check", *files], check=True, capture_output=True, text=True).stdout.split()
    seen = {}
    for content, our in zip(contents, ours, strict=True):
        reference = outcome_of_reference(content)
        seen[reference] = seen.get(reference, 0) + 1
        if our != reference and not (our == "InvalidHeaderDeserialization" and comes_twice(content)):
            sys.exit(f"the reference says {reference}, we say {our}: {content}")
    print("outcomes:", seen)
    assert len(seen) == 11, "some outcome never came up"


with tempfile.TemporaryDirectory() as name:
    check_writing(pathlib.Path(name))
    check_reading(pathlib.Path(name))
