#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""files.py SOURCE_DIR: checks the form of every source file.

Each starts with its license, is small enough to read, and speaks of the project alone; each header names itself in its
first comment and in its include guard.
"""
import re
import sys
from pathlib import Path

SUFFIXES = {".hpp", ".cpp", ".py", ".sh", ".cmake", ".ld"}
NAMES = {"CMakeLists.txt", "run"}
GENERATED = "single_include/ptq/"
MOST_LINES = 900

# What an engine does with one call or two fits on a screen: examples 04 to 09.
SHORT_EXAMPLE, MOST_EXAMPLE_LINES = re.compile(r"examples/0[4-9]_\w+\.cpp"), 25

# Written so that this file does not hold what it looks for.
FORBIDDEN = [
    (re.compile(r"/(wor[k]|roo[t])/|/tmp/w[t]\b|\.\./share[d]\b"), "a path of one machine"),
    (re.compile(r"\b(TOD[O]|FIXM[E]|XX[X])\b"), "unfinished work"),
    (re.compile(r"\bissues? #?\d", re.IGNORECASE), "an issue's number"),
    (re.compile(r"\bpypi\.or[g]|pythonhosted\.or[g]|deb\.debian\.or[g]"), "a host of packages"),
]

# The command prints foreign text, so only one of its files prints at all.
COMMAND, PRINTER = "examples/cli/", "examples/cli/output.cpp"
PRINTS = re.compile(r"\b(f?printf|f?puts|f?putc|putchar|fwrite|perror|cout|cerr|clog|stdout|stderr)\b|::write\(")

# Examples show what users may call.
EXAMPLES = "examples/"
INSIDE = re.compile(r"\bptq::detail\b")


def source_files(root):
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        hidden = any(part.startswith((".", "build")) for part in relative.parts[:-1])
        if path.is_file() and not hidden and (path.suffix in SUFFIXES or path.name in NAMES):
            yield relative.as_posix()


def wrong_form(name, text):
    lines = text.splitlines()
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
        yield f"{name}: does not start with SPDX-License-Identifier: Apache-2.0"
    if name.startswith(GENERATED):
        return
    if len(lines) > MOST_LINES:
        yield f"{name}: has {len(lines)} lines, more than {MOST_LINES}; split it by noun"
    if SHORT_EXAMPLE.fullmatch(name) and len(lines) > MOST_EXAMPLE_LINES:
        yield f"{name}: has {len(lines)} lines; {MOST_EXAMPLE_LINES} show how little it takes"
    for number, line in enumerate(lines, 1):
        for pattern, what in FORBIDDEN:
            if pattern.search(line):
                yield f"{name}:{number}: names {what}: {line.strip()}"
        if name.startswith(COMMAND) and name != PRINTER and PRINTS.search(re.sub(r'"[^"]*"|//.*', "", line)):
            yield f"{name}:{number}: prints; only {PRINTER} does, so that no name reaches a terminal as it is"
        if name.startswith(EXAMPLES) and INSIDE.search(line):
            yield f"{name}:{number}: uses ptq::detail; make public what users need, or write it here: {line.strip()}"


def wrong_header(name, text):
    """`name` is as users include it."""
    base = name.rsplit("/", 1)[-1]
    if not re.search(rf"^/// @file {re.escape(base)} \S", text, re.MULTILINE):
        yield f"{name}: its first comment does not say: /// @file {base} <what it is>"
    guard = re.sub(r"\W", "_", name).upper()
    if not re.search(rf"^#ifndef {guard}\n#define {guard}\n(?s:.*)^#endif  // {guard}\n\Z", text, re.MULTILINE):
        yield f"{name}: its include guard is not {guard}"


def violations(root):
    found = []
    for name in source_files(Path(root)):
        text = (Path(root) / name).read_text()
        found += wrong_form(name, text)
        if name.startswith("include/"):
            found += wrong_header(name.removeprefix("include/"), text)
    return found


if __name__ == "__main__":
    problems = violations(sys.argv[1])
    print("\n".join(problems) or "every file is in form")
    sys.exit(bool(problems))
