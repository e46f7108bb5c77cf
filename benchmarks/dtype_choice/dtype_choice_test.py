# SPDX-License-Identifier: Apache-2.0
"""dtype_choice_test.py PROGRAM MODEL: the words and the bytes of dtype_choice."""
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM, MODEL = sys.argv[1:3]


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def checkpoint(values):
    """The bytes of a safetensors file: fc.weight, two rows."""
    data = struct.pack(f"<{len(values)}f", *values)
    header = json.dumps({"fc.weight": {"dtype": "F32", "shape": [2, len(values) // 2], "data_offsets": [0, len(data)]}})
    header = header.encode() + b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


class DtypeChoice(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.file = pathlib.Path(holder.name) / "model.safetensors"

    def test_usage(self):
        shown = run("--help")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertIn("--rounds N", shown.stdout)
        for arguments in ((), (MODEL, "--round", "3"), (MODEL, MODEL), (MODEL, "--rounds"), (MODEL, "--rounds", "few"),
                          (MODEL, "--rounds", "-1"), (MODEL, "--rounds", "1x")):
            with self.subTest(arguments):
                refused = run(*arguments)
                self.assertEqual((refused.returncode, refused.stdout, refused.stderr), (2, "", shown.stdout))

    def test_bytes(self):
        self.file.write_bytes(checkpoint(range(12)))
        made = run(self.file, "--rounds", 1)
        self.assertEqual(made.returncode, 0, made.stderr)
        rows = {tuple(cells[:2]): cells[2] for line in made.stdout.splitlines() if len(cells := re.split("  +", line)) > 3}
        self.assertEqual(rows["int8", "tensor"], "16 B")
        self.assertEqual(rows["fp8_e5m2", "channel"], "20 B")
        self.assertEqual((rows["native", "tensor"], rows["native", "channel"]), ("48 B", "48 B"))

    def test_not_finite(self):
        self.file.write_bytes(checkpoint([1, 2, 3, 4, float("inf"), 6]))
        refused = run(self.file)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertEqual(refused.stderr,
                         f'dtype_choice: error: {self.file.resolve()}: layer "fc": weight[1, 1] is NaN or infinite.\n')


unittest.main(argv=sys.argv[:1])
