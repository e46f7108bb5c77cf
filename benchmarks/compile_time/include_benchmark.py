#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""include_benchmark.py [COMPILER ...]: what including an umbrella and nothing else takes, beside nlohmann/json.

Processor seconds of -fsyntax-only, medians of five, one header after the other in each turn; of ours also where the kernels
of instruction sets are compiled elsewhere (PTQ_SEPARATE_KERNELS). Without arguments: g++ and clang++-19.
"""
import resource
import statistics
import subprocess
import sys
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "include"
SEPARATE = ("-DPTQ_SEPARATE_KERNELS",)
HEADERS = (("ptq/core.hpp", ()), ("ptq/core.hpp", SEPARATE), ("ptq/ptq.hpp", ()), ("ptq/ptq.hpp", SEPARATE), ("nlohmann/json.hpp", ()))
TURNS = 5


def seconds(compiler, header, flags):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([compiler, "-std=c++20", f"-I{INCLUDE}", *flags, "-fsyntax-only", "-x", "c++", "-"], input=f'#include "{header}"\n',
                   text=True, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main(compilers):
    for compiler in compilers:
        turns = [[seconds(compiler, *header) for header in HEADERS] for _ in range(TURNS)]
        medians = [statistics.median(times) for times in zip(*turns)]
        for (header, flags), median in zip(HEADERS, medians):
            print(f"{compiler:12} {header:18} {median:5.2f} s, {median / medians[-1]:.2f} of {HEADERS[-1][0]} {' '.join(flags)}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["g++", "clang++-19"])
