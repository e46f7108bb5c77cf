#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""budget.py CLANG INCLUDE_DIR [--update]: what it costs to include an umbrella.

Counts the templates that clang instantiates for a file that includes the umbrella and nothing else, and compares with
budget.txt, exactly: growth is seen where it is made, and a saving is kept. --update writes what was counted. Beside it the
seconds, and nlohmann/json as a measure of both, which many include without a second thought.
The counts depend on the compiler and its standard library: those of Debian 12 with clang 19.
"""
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

BUDGET = Path(__file__).with_name("budget.txt")
UMBRELLAS = ("ptq/core.hpp", "ptq/ptq.hpp")
MEASURE = "nlohmann/json.hpp"


def run(*command, source):
    """Seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def cost(clang, include_dir, header, folder):
    """Instantiations and seconds of an include; None where the header is not there."""
    source = f'#include "{header}"\n'
    compile_it = (clang, "-std=c++20", f"-I{include_dir}", "-x", "c++", "-")
    if header == MEASURE and subprocess.run([*compile_it, "-E", "-o", "/dev/null"], input=source, capture_output=True, text=True,
                                            check=False).returncode:
        return None
    seconds = run(*compile_it, "-fsyntax-only", source=source)
    trace = folder / "trace.json"
    run(*compile_it, "-c", "-o", str(folder / "unit.o"), f"-ftime-trace={trace}", "-ftime-trace-granularity=0", source=source)
    events = json.loads(trace.read_text())["traceEvents"]
    return sum(event["name"] in ("InstantiateClass", "InstantiateFunction") for event in events), seconds


def read_budget(text):
    return {header: int(count) for header, count in (line.split() for line in text.splitlines() if line and line[0] != "#")}


def differences(counted, allowed):
    for header, count in counted.items():
        if header not in allowed:
            yield f"{header}: {count} instantiations, and no budget"
        elif count != allowed[header]:
            yield f"{header}: {count} instantiations, {count - allowed[header]:+} of the budget of {allowed[header]}"


def main(clang, include_dir, update=""):
    with tempfile.TemporaryDirectory() as scratch:
        costs = {header: cost(clang, include_dir, header, Path(scratch)) for header in (*UMBRELLAS, MEASURE)}
    measure = costs.pop(MEASURE)
    for header, (count, seconds) in costs.items():
        ratio = f", {count / measure[0]:.2f} and {seconds / measure[1]:.2f} of {MEASURE}" if measure else ""
        print(f"{header}: {count} instantiations, {seconds:.2f} s{ratio}")
    counted = {header: count for header, (count, _) in costs.items()}
    text = BUDGET.read_text()
    if update == "--update":
        head = "".join(line + "\n" for line in text.splitlines() if line.startswith("#"))
        BUDGET.write_text(head + "".join(f"{header} {count}\n" for header, count in counted.items()))
        return
    wrong = list(differences(counted, read_budget(text)))
    if wrong:
        sys.exit("\n".join(wrong) + f"\nIf this is worth it, or a saving: {sys.argv[0]} {clang} {include_dir} --update")


if __name__ == "__main__":
    main(*sys.argv[1:])
