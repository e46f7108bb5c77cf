#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""readme.py SOURCE_DIR: checks that the first program of the README, and its output, are those of an example that is run."""
import sys
from pathlib import Path

EXAMPLE = "examples/02_model"


def violations(root):
    root = Path(root)
    readme = (root / "README.md").read_text()
    source = (root / f"{EXAMPLE}.cpp").read_text()
    blocks = {
        f"{EXAMPLE}.cpp, from its first #include on": "```cpp\n" + source[source.index("#include") :] + "```",
        f"{EXAMPLE}.expected": "```\n" + (root / f"{EXAMPLE}.expected").read_text() + "```",
    }
    return [f"README.md: has no code block that is {name}" for name, block in blocks.items() if block not in readme]


if __name__ == "__main__":
    problems = violations(sys.argv[1])
    print("\n".join(problems) or "the README shows what runs")
    sys.exit(bool(problems))
