# SPDX-License-Identifier: Apache-2.0
"""dtype_choice_test.py PROGRAM EXAMPLES: the words and the bytes of dtype_choice."""
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

PROGRAM = sys.argv[1]
EXAMPLES = pathlib.Path(sys.argv[2])
MODEL = EXAMPLES / "models" / "lenet-digits" / "model.safetensors"


def run(*arguments, **variables):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **variables})


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
                          (MODEL, "--rounds", "-1"), (MODEL, "--rounds", "1x"), (MODEL, "--rounds", "0"), (MODEL, "--threads"),
                          (MODEL, "--threads", "0"), (MODEL, "--svg")):
            with self.subTest(arguments):
                refused = run(*arguments)
                self.assertEqual((refused.returncode, refused.stdout, refused.stderr), (2, "", shown.stdout))

    def rows(self, *arguments):
        made = run(*arguments, "--rounds", 1)
        self.assertEqual(made.returncode, 0, made.stderr)
        return {tuple(cells[:2]): cells for line in made.stdout.splitlines() if len(cells := re.split("  +", line)) > 3}

    def test_bytes(self):
        self.file.write_bytes(checkpoint(range(12)))
        rows = {key: cells[2] for key, cells in self.rows(self.file).items()}
        self.assertEqual(rows["int8", "tensor"], "16 B")
        self.assertEqual(rows["fp8_e5m2", "channel"], "20 B")
        self.assertEqual((rows["native", "tensor"], rows["native", "channel"]), ("48 B", "48 B"))

    def test_instruction_sets(self):
        """A row each, with the same errors; PTQ_ISA asks for one."""
        made = run(MODEL, "--rounds", 1, "--json", "--threads", 2)
        self.assertEqual(made.returncode, 0, made.stderr)
        found = json.loads(made.stdout)
        self.assertEqual(found["threads"], 2)
        sets = {row["isa"] for row in found["rows"]}
        self.assertIn("portable", sets)
        errors = {}
        for row in found["rows"]:
            self.assertGreater(row["quantize_of_memcpy"], 0)
            errors.setdefault((row["dtype"], row["scale_per"]), set()).add((row["bytes"], row["sqnr_db"], row["max_error"]))
        self.assertEqual(len(found["rows"]), len(errors) * len(sets))
        self.assertTrue(all(len(ones) == 1 for ones in errors.values()), errors)
        one = json.loads(run(MODEL, "--rounds", 1, "--json", PTQ_ISA="portable").stdout)
        self.assertEqual({row["isa"] for row in one["rows"]}, {"portable"})
        refused = run(MODEL, PTQ_ISA="sse9")
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn('no kernels "sse9"', refused.stderr)

    def test_picture(self):
        """It is well formed, and names each dtype in both of its halves."""
        picture = self.file.with_name("choice.svg")
        for values in (None, range(12)):  # the latter are exact in no dtype but native
            if values:
                self.file.write_bytes(checkpoint(values))
            made = run(self.file if values else MODEL, "--rounds", 1, "--svg", picture)
            self.assertEqual(made.returncode, 0, made.stderr)
            words = [element.text for element in xml.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
            for label in ("int8, per tensor", "fp8_e4m3fn, per channel", "fp8_e5m2, per channel"):
                self.assertEqual(words.count(label), 2, words)
        refused = run(MODEL, "--rounds", 1, "--svg", "/nowhere/choice.svg")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("/nowhere/choice.svg: it cannot be written", refused.stderr)

    def test_models_of_every_kind(self):
        """The same weights give the same figures, whatever they lie in."""
        shard = self.file.with_name("shard.safetensors")
        shard.write_bytes(MODEL.read_bytes())
        length, = struct.unpack_from("<Q", MODEL.read_bytes())
        names = set(json.loads(MODEL.read_bytes()[8:8 + length])) - {"__metadata__"}
        index = self.file.with_name("model.safetensors.index.json")
        index.write_text(json.dumps({"weight_map": {name: shard.name for name in names}}))

        def figures(model):
            return {key: cells[2:5] for key, cells in self.rows(model).items()}
        wanted = figures(MODEL)
        for model in (index, index.parent, MODEL.with_name("model.onnx")):
            with self.subTest(model):
                self.assertEqual(figures(model), wanted)

    def test_output_channels_of_a_graph(self):
        """A MatMul's weight has them along axis 1."""
        rows = self.rows(EXAMPLES / "models" / "pitch-transformer" / "model.onnx")
        checkpoint = self.rows(EXAMPLES / "models" / "pitch-transformer" / "model.safetensors")
        self.assertEqual(rows["int8", "channel"][3], checkpoint["int8", "channel"][3])

    def test_other_files(self):
        for file, words in ((EXAMPLES / "specs" / "static.yaml", "YAML"), (MODEL.with_name("calib.npy"), "NumPy")):
            refused = run(file)
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertIn(words, refused.stderr)
            self.assertNotIn("header", refused.stderr)

    def test_what_was_measured(self):
        """With which build, and whether its figures count."""
        shown = run(MODEL, "--rounds", 1)
        build, = [line for line in shown.stdout.splitlines() if line.startswith("build: ")]
        for word in ("flags: ", "compiler: ", "CPU: "):
            self.assertIn(word, build)
        self.assertEqual("NOT TO BE QUOTED" in shown.stdout, not re.search("-O[123s]", build))

    def test_progress(self):
        try:
            terminal, end = pty.openpty()
        except OSError as problem:
            self.skipTest(f"no pseudo-terminals here: {problem}")
        self.addCleanup(os.close, terminal)
        subprocess.run([PROGRAM, MODEL, "--rounds", "2"], stdout=subprocess.DEVNULL, stderr=end, check=True, timeout=60)
        os.close(end)
        self.assertIn(b"[2/2]", os.read(terminal, 65536))

    def test_not_finite(self):
        self.file.write_bytes(checkpoint([1, 2, 3, 4, float("inf"), 6]))
        refused = run(self.file)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertEqual(refused.stderr,
                         f'dtype_choice: error: {self.file.resolve()}: layer "fc": weight[1, 1] is NaN or infinite.\n')


unittest.main(argv=sys.argv[:1])
