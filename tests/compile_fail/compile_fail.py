#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compile_fail.py SOURCE COMPILER [FLAGS...]: what must not compile, and what the compiler must say then.

Lines "// BAD <MACRO>: <regular expression>" in SOURCE are the cases: SOURCE compiles as it stands, and does not with the
macro defined; the compiler's words then match the expression.
"""
import re
import subprocess
import sys
from pathlib import Path


def main(source, compiler, *flags):
    text = Path(source).read_text()
    cases = re.findall(r"^// BAD (\w+): (.+)$", text, re.MULTILINE)
    failures = [] if cases else ["there is no case in it"]

    def compile_with(*defines):
        command = [compiler, "-std=c++20", "-fsyntax-only", *flags, *defines, source]
        done = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
        return done.returncode == 0, done.stderr

    compiles, words = compile_with()
    if not compiles:
        failures.append(f"it must compile as it stands:\n{words}")
    for macro, expected in cases:
        compiles, words = compile_with(f"-D{macro}")
        if compiles:
            failures.append(f"{macro}: it must not compile")
        elif not re.search(expected, words):
            failures.append(f"{macro}: nothing matches {expected} in\n{words}")
    for failure in failures:
        print(f"{source}: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
