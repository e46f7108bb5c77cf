#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""amalgamate_test.py AMALGAMATE: what the single headers hold, and that a stale one is found."""
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

AMALGAMATE = sys.argv.pop()


class AmalgamateTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.output = Path(scratch.name)
        self.assertEqual(self.amalgamate().returncode, 0)

    def amalgamate(self, *arguments):
        return subprocess.run([sys.executable, AMALGAMATE, "--output", self.output, *arguments],
                              capture_output=True, text=True)

    def texts(self):
        return [path.read_text() for path in sorted(self.output.glob("ptq/*.hpp"))]

    def test_what_is_made_is_current(self):
        self.assertEqual(self.amalgamate("--check").returncode, 0)
        self.assertEqual(len(self.texts()), 2)

    def test_a_stale_header_is_found_and_left_alone(self):
        stale = self.output / "ptq/ptq.hpp"
        stale.write_text(stale.read_text() + "\n")
        before = stale.read_text()
        checked = self.amalgamate("--check")
        self.assertEqual((checked.returncode, checked.stderr),
                         (1, "not current: ptq/ptq.hpp. Run: python3 single_include/amalgamate.py\n"))
        self.assertEqual(stale.read_text(), before)

    def test_a_missing_header_is_found(self):
        (self.output / "ptq/ptq_core.hpp").unlink()
        self.assertIn("not current: ptq/ptq_core.hpp.", self.amalgamate("--check").stderr)

    def test_each_part_is_there_once_and_includes_only_the_standard_library(self):
        for text in self.texts():
            parts = re.findall(r"^// ---- (\S+) ----$", text, re.MULTILINE)
            self.assertGreater(len(parts), 20)
            self.assertEqual(len(parts), len(set(parts)))
            self.assertEqual(len(parts), len(re.findall(r"^#ifndef PTQ_\w+_HPP$", text, re.MULTILINE)))
            self.assertNotIn('#include "', text)
            self.assertNotRegex(text, r"#include <(Eigen|xtensor|yaml-cpp|nlohmann|protozero|zlib)")

    def test_no_path_of_this_machine(self):
        for text in self.texts():
            self.assertNotIn(str(Path(AMALGAMATE).resolve().parent.parent), text)
            self.assertNotIn(str(self.output), text)


if __name__ == "__main__":
    unittest.main()
