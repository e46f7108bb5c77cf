#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the single headers: ptq/ptq_core.hpp from include/ptq/core.hpp, ptq/ptq.hpp from include/ptq/ptq.hpp.

Each part keeps its own include guard, so both may be included together, and beside the headers they are made of.
"""
import argparse
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SINGLE_HEADERS = {"ptq/ptq_core.hpp": "ptq/core.hpp", "ptq/ptq.hpp": "ptq/ptq.hpp"}
OWN_INCLUDE = re.compile(r'^#include "(ptq/[^"]+)"\n', re.MULTILINE)
LICENSE = "// SPDX-License-Identifier: Apache-2.0\n"


def parts_of(include_dir, header, seen):
    """The header and all of ours that it includes, each once, after what it needs."""
    if header in seen:
        return
    seen.add(header)
    text = (include_dir / header).read_text()
    for needed in OWN_INCLUDE.findall(text):
        yield from parts_of(include_dir, needed, seen)
    yield header, text


def single_header(include_dir, header):
    version = re.search(r'PTQ_VERSION_STRING "([^"]+)"', (include_dir / "ptq/version.hpp").read_text()).group(1)
    out = [LICENSE, f"// ptq {version}: {header} and all that it needs, by single_include/amalgamate.py. Do not edit.\n"]
    for part, text in parts_of(include_dir, header, set()):
        text = OWN_INCLUDE.sub("", text.removeprefix(LICENSE))
        out.append(f"\n// ---- {part} ----\n\n" + re.sub(r"\n{3,}", "\n\n", text))
    return "".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a single header is not current")
    parser.add_argument("--include", type=Path, default=HERE.parent / "include", metavar="DIR", help="where ptq/ is")
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR", help="where ptq/ptq.hpp is to be")
    options = parser.parse_args()

    stale = []
    for name, header in SINGLE_HEADERS.items():
        path, text = options.output / name, single_header(options.include, header)
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not options.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    if options.check and stale:
        sys.exit(f"not current: {' '.join(stale)}. Run: python3 single_include/amalgamate.py")


if __name__ == "__main__":
    main()
