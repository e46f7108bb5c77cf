#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""checkpoint.py PTQ [MODEL] [--layers N] [--rounds N]: `ptq quantize` of a whole checkpoint beside `cp` of the same file.

MODEL is a .safetensors file; else one of N layers (8) of 4096 x 4096 random floats is made. Whole processes, warm cache,
interleaved: medians of the wall times, and the most anonymous memory that was resident in a run of its own.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE = 4096
DTYPES = ("int8", "fp8_e4m3fn")


def make_checkpoint(path, layers):
    size = 4 * SIDE * SIDE
    header = json.dumps({f"layers.{i}.proj.weight": {"dtype": "F32", "shape": [SIDE, SIDE], "data_offsets": [i * size, (i + 1) * size]}
                         for i in range(layers)}).encode()
    header += b" " * (-len(header) % 8)
    generator = random.Random(1)
    some = struct.pack(f"<{1 << 16}f", *(generator.gauss(0, 0.05) for _ in range(1 << 16)))
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for _ in range(layers * (size // len(some))):
            file.write(some)


def command_of(ptq, model, dtype, folder):
    spec = Path(folder) / f"{dtype}.yaml"
    spec.write_text("quantize:\n  backend: torchao\n  mode: weight_only_ptq\n  layers:\n"
                    f"    - module_name: \"*\"\n      weights: {{dtype: {dtype}}}\n")
    return [ptq, "quantize", "-e", spec, f"model_path={model}", f"results_dir={folder}/{dtype}"]


def run(command):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")


def seconds(command):
    begin = time.perf_counter()
    run(command)
    return time.perf_counter() - begin


def anonymous_megabytes(command):
    """The most that /proc tells, asked every few milliseconds."""
    most = 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            text = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        most = max([most, *(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon"))])
        time.sleep(0.003)
    process.wait()
    return most / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("ptq")
    parser.add_argument("model", nargs="?")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or f"{folder}/model.safetensors"
        if not given.model:
            make_checkpoint(model, given.layers)
        commands = {"cp": ["cp", model, f"{folder}/copy"],
                    **{dtype: command_of(os.path.abspath(given.ptq), model, dtype, folder) for dtype in DTYPES}}
        taken = {name: [] for name in commands}
        for command in commands.values():
            run(command)  # the cache is warm
        for _ in range(given.rounds):
            for name, command in commands.items():
                for old in ("copy", *DTYPES):  # each writes a new file
                    path = Path(folder) / old
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                taken[name].append(seconds(command))
        medians = {name: statistics.median(times) for name, times in taken.items()}
        print(f"{os.path.getsize(model) / 1e6:.0f} MB, {os.cpu_count()} cores, median (least to most) of {given.rounds}")
        for name, times in taken.items():
            line = f"{name:11} {1e3 * medians[name]:7.0f} ms ({1e3 * min(times):.0f} to {1e3 * max(times):.0f})"
            if name != "cp":
                line += f", {medians[name] / medians['cp']:.2f} times cp, {anonymous_megabytes(commands[name]):.0f} MB anonymous at the most"
            print(line)


if __name__ == "__main__":
    main()
