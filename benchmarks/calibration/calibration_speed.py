#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""calibration_speed.py BENCHMARK [ROUNDS]: the searches of thresholds beside their plain forms, from what
benchmark_calibration times in interleaved rounds: a table of medians, with half the distance of the quartiles."""
import json
import statistics
import subprocess
import sys

CLAIMS = (  # work, against, at least so many times faster, and the benchmarks' names
    ("entropy search, 2048 bins", "all of every candidate", 2, "entropy/int8/2048", "entropy_exhaustive/int8/2048"),
    ("entropy search, 4096 bins", "all of every candidate", "-", "entropy/int8/4096", "entropy_exhaustive/int8/4096"),
    ("calibrate 1 Mi values, end to end", "naive loops of the same algorithm", 10, "calibrate/ptq/1048576",
     "calibrate/raw_loops/1048576/iterations:1"))


def times_of(benchmark, rounds):
    """Milliseconds of each round, by name."""
    names = "|".join(name for claim in CLAIMS for name in claim[3:])
    done = subprocess.run([benchmark, f"--benchmark_filter=^({names})$", f"--benchmark_repetitions={rounds}", "--benchmark_format=json",
                           "--benchmark_min_time=0.05", "--benchmark_enable_random_interleaving=true"],
                          stdout=subprocess.PIPE, text=True, check=True)
    taken, units = {}, {"ns": 1e-6, "us": 1e-3, "ms": 1}
    for run in json.loads(done.stdout)["benchmarks"]:
        if run["run_type"] == "iteration":
            taken.setdefault(run["name"], []).append(run["real_time"] * units[run["time_unit"]])
    return taken


def main():
    taken = times_of(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 9)
    print("| work | times faster than | goal | seen | ms |\n| --- | --- | --- | --- | --- |")
    for work, against, goal, ours, theirs in CLAIMS:
        ratios = sorted(slow / fast for slow, fast in zip(taken[theirs], taken[ours]))
        middle, quarter = statistics.median(ratios), len(ratios) // 4
        spread = 50 * (ratios[-1 - quarter] - ratios[quarter]) / middle
        print(f"| {work} | {against} | {goal} | {middle:.3g} ± {spread:.0f} % | {statistics.median(taken[ours]):.3g} |")


if __name__ == "__main__":
    main()
