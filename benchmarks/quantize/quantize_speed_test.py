# SPDX-License-Identifier: Apache-2.0
"""quantize_speed_test.py PROGRAM: the words of quantize_speed, and that it times what it says."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

PROGRAM = sys.argv[1]


def run(*arguments, **variables):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **variables})


class QuantizeSpeed(unittest.TestCase):
    def test_usage(self):
        shown = run("--help")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        for arguments in (("--rounds",), ("--rounds", "0"), ("--rounds", "1x"), ("--large", "5000"), ("--lrage", "1"), ("L1",)):
            with self.subTest(arguments):
                refused = run(*arguments)
                self.assertEqual((refused.returncode, refused.stdout, refused.stderr), (2, "", shown.stdout))

    def test_rows(self):
        """Each dtype, source and granularity, by each instruction set, beside the limits and a raw loop."""
        made = run("--check", "--json", "--threads", 2)
        self.assertEqual(made.returncode, 0, made.stderr)
        rows = json.loads(made.stdout)["rows"]
        names = ("work", "dtype", "source", "scale_per", "kernels", "threads")
        found = {tuple(row[name] for name in names) for row in rows}
        self.assertEqual(len(found), len(rows))
        sets = {kernels for work, *_, kernels, _ in found if work == "quantize"} - {"raw loop"}
        self.assertIn("portable", sets)
        for dtype in ("int8", "fp8_e4m3fn", "fp8_e5m2"):
            for source in ("float32", "float16", "bfloat16"):
                self.assertIn(("quantize", dtype, source, "tensor", "raw loop", 1), found)
                for grain in ("tensor", "row", "column", "row of 9", "row of 27"):
                    self.assertTrue(any(("quantize", dtype, source, grain, kernels, 2) in found for kernels in sets))
                    for kernels in sets:
                        self.assertIn(("quantize", dtype, source, grain, kernels, 1), found)
                        self.assertIn(("quantize_by", dtype, source, grain, kernels, 1), found)
        for row in rows:
            self.assertGreater(row["seconds"], 0, row)
            self.assertGreater(row["of_limit"], 0, row)

    def test_one_instruction_set(self):
        made = run("--check", "--json", PTQ_ISA="portable")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual({row["kernels"] for row in json.loads(made.stdout)["rows"]},
                         {"portable", "raw loop", "libc", "best vectors"})
        refused = run("--check", PTQ_ISA="avx1024")
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn('no kernels "avx1024". Available are portable', refused.stderr)

    def test_filter(self):
        made = run("--check", "--json", "--filter", "L1/de", "--filter", "int8/float32/row of 9/portable")
        self.assertEqual([row["work"] for row in json.loads(made.stdout)["rows"]], ["dequantize"])

    def test_table_and_picture(self):
        """Every line of the README's table finds its rows, and the picture is well formed and marks them."""
        with tempfile.TemporaryDirectory() as folder:
            picture = pathlib.Path(folder) / "speed.svg"
            made = run("--check", "--summary", "--threads", 2, "--svg", picture)
            self.assertEqual(made.returncode, 0, made.stderr)
            lines = [line.split("|")[1:-1] for line in made.stdout.splitlines() if line.startswith("|")]
            works = [cells[0].strip() for cells in lines[2:]]
            for work in ("float32 → int8, by division", "quantize, int8 per row of 9", "quantize, int8 per row, 2 threads"):
                self.assertIn(work, works)
            self.assertTrue(all(len(cells) == len(lines[0]) for cells in lines))
            tree = xml.parse(picture).getroot()
            words = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
            for work in works[:10]:
                self.assertIn(work, words)
            marks = list(tree.iter("{http://www.w3.org/2000/svg}circle"))
            self.assertGreater(len(marks), 10)
        refused = run("--check", "--svg", "/nowhere/speed.svg", "--filter", "memcpy")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("/nowhere/speed.svg cannot be written", refused.stderr)

    def test_not_measurable(self):
        """A build without optimisation, or with assertions, refuses to time anything."""
        made = run("--filter", "L1/memcpy", "--rounds", 1, "--large", 1)
        if made.returncode == 0:
            self.assertNotIn("NOT TO BE QUOTED", made.stdout)
        else:
            self.assertEqual((made.returncode, made.stdout), (1, ""))
            self.assertIn("-DCMAKE_BUILD_TYPE=Release", made.stderr)


unittest.main(argv=sys.argv[:1])
