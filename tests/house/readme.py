#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""readme.py SOURCE_DIR: checks the pages that people read: the programs of the README are those of examples that are run,
and every link and path leads somewhere."""
import re
import sys
from pathlib import Path

PAGES = ["README.md", "examples/cli/README.md", "examples/embedded/README.md", "include/ptq/README.md"]

# The firmware guide's code is of these programs.
GUIDE, SHOWN = "examples/embedded/README.md", ["examples/embedded/fully_connected.cpp", "examples/embedded/main.cpp"]

# The first program has lines of this one, in its order; the second is this one, with its output.
FIRST, SECOND = "examples/01_quantize", "examples/02_model"

PATH = re.compile(r"`((?:benchmarks|examples|include|ptq|single_include|tests)/[\w./-]+)`")
LINK = re.compile(r"\[[^\]`]+\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def in_order(lines, source):
    rest = iter(source)
    return all(line in rest for line in lines)


def wrong_programs(root):
    readme = (root / "README.md").read_text()
    programs = re.findall(r"^```cpp\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    first = (root / f"{FIRST}.cpp").read_text().splitlines()
    if not programs or not in_order(programs[0].splitlines(), first) or '#include "ptq/core.hpp"' not in programs[0]:
        yield f"README.md: its first program does not include ptq/core.hpp, or has lines that {FIRST}.cpp has not, in this order"
    second = (root / f"{SECOND}.cpp").read_text()
    blocks = {
        f"{SECOND}.cpp, from its first #include on": "```cpp\n" + second[second.index("#include") :] + "```",
        f"{SECOND}.expected": "```\n" + (root / f"{SECOND}.expected").read_text() + "```",
    }
    for name, block in blocks.items():
        if block not in readme:
            yield f"README.md: has no code block that is {name}"


def wrong_guide(root):
    shown = [(root / program).read_text().splitlines() for program in SHOWN]
    programs = re.findall(r"^```cpp\n(.*?)^```", (root / GUIDE).read_text(), re.MULTILINE | re.DOTALL)
    if not programs or not all(any(in_order(program.splitlines(), lines) for lines in shown) for program in programs):
        yield f"{GUIDE}: its code is not that of {' or '.join(SHOWN)}"


def anchors_of(text):
    """Those that a page's headings have on GitHub."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def wrong_links(root):
    for page in PAGES:
        text = (root / page).read_text()
        for path, anchor in LINK.findall(text):
            target = (root / page).parent / path if path else root / page
            if not target.exists():
                yield f"{page}: links to {path}, which does not exist"
            elif anchor and anchor not in anchors_of(target.read_text()):
                yield f"{page}: links to #{anchor}, which is no heading of {path or 'this page'}"


def wrong_paths(root):
    for page in PAGES:
        for path in PATH.findall((root / page).read_text()):
            if not (root / path).exists() and not (root / "include" / path).exists():
                yield f"{page}: names {path}, which does not exist"


def violations(root):
    return [*wrong_programs(Path(root)), *wrong_guide(Path(root)), *wrong_links(Path(root)), *wrong_paths(Path(root))]


if __name__ == "__main__":
    problems = violations(sys.argv[1])
    print("\n".join(problems) or "the pages show what runs, and link to what is there")
    sys.exit(bool(problems))
