# SPDX-License-Identifier: Apache-2.0
"""Runs the command in a folder of its own and keeps what it printed."""
import io
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

PTQ, EXAMPLES = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
LENET = EXAMPLES / "models" / "lenet-digits" / "model.safetensors"
WEIGHT_ONLY = EXAMPLES / "specs" / "weight_only.yaml"
STATIC = EXAMPLES / "specs" / "static.yaml"


def safetensors(tensors, metadata=None):
    """The bytes of a safetensors file; tensors: {name: (dtype, shape, bytes)}."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(t[2] for t in tensors.values())


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def npy(shape, data, descr="<f4"):
    """The bytes of an NPY file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def npz(arrays, compression=zipfile.ZIP_DEFLATED):
    """The bytes of an NPZ file; arrays: {name: bytes of an NPY file}."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive:
        for name, data in arrays.items():
            archive.writestr(name + ".npy", data)
    return held.getvalue()


def openvino_model(name, operator):
    """The bytes of a shipped model with Selu in place of an operator: OpenVINO has Selu, tiny_engine does not."""
    whole = (EXAMPLES / "models" / name / "model.onnx").read_bytes()
    field = b"\x22\x04"  # NodeProto.op_type of four letters
    changed = whole.replace(field + operator, field + b"Selu")
    assert len(operator) == 4 and changed != whole
    return changed


def rows_of(text):
    """{first cell: cells} of the tables in a text."""
    return {cells[0]: cells for cells in (re.split(r"  +", line.strip()) for line in text.splitlines()) if len(cells) > 1}


class CommandTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name).resolve()

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def ptq(self, *arguments, command=PTQ, **more):
        return subprocess.run([command, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, timeout=60,
                              **more)

    def has_openvino(self):
        return "OpenVINO" in self.ptq("--version").stdout

    def quantize(self, spec, *overrides, model=LENET, **more):
        if isinstance(spec, str):
            spec = self.write("spec.yaml", spec)
        return self.ptq("quantize", "-e", spec, f"model_path={model}", "results_dir=out", *overrides, **more)

    def assertFails(self, run, code, *words):
        """The exit code, and every word in what was said."""
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertIn("ptq: error: ", run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)

    def written(self):
        """Every file below the folder but the inputs, hidden ones too."""
        return sorted(str(p.relative_to(self.folder)) for p in (self.folder / "out").rglob("*") if p.is_file())


def main():
    unittest.main(argv=sys.argv[:1], verbosity=1)
