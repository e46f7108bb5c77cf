#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""checkpoint.py PTQ [MODEL]: `ptq quantize` of a whole checkpoint beside `cp` of the same file.

MODEL is a .safetensors file; else one of N layers of 4096 x 4096 random floats is made.
Whole processes, warm cache, interleaved: medians of the wall times, with half the distance of the quartiles, and the most
anonymous memory that was resident in a run of its own. ptq waits until all is on the disk, which cp does not: it is compared with a cp that does, too (cp, fsync).
In a folder in memory (--folder /dev/shm) neither waits.

--sparse GB: instead, the memory alone that a checkpoint of so many GB takes, in shards of holes that take no room.
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
MOST_MEGABYTES = 64


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


def make_sparse(folder, gigabytes):
    """Shards of eight layers each, of which nothing but headers is stored."""
    size, shards, names = 4 * SIDE * SIDE, max(1, round(gigabytes * 1e9 / (8 * 4 * SIDE * SIDE))), {}
    for shard in range(shards):
        name = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        layers = [f"layers.{8 * shard + i}.proj.weight" for i in range(8)]
        header = json.dumps({layer: {"dtype": "F32", "shape": [SIDE, SIDE], "data_offsets": [i * size, (i + 1) * size]}
                             for i, layer in enumerate(layers)}).encode()
        header += b" " * (-len(header) % 8)
        names.update(dict.fromkeys(layers, name))
        with open(f"{folder}/{name}", "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + 8 * size)
    index = f"{folder}/model.safetensors.index.json"
    Path(index).write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return index


def command_of(ptq, model, dtype, folder):
    spec = Path(folder) / f"{dtype}.yaml"
    spec.write_text("quantize:\n  backend: torchao\n  mode: weight_only_ptq\n  layers:\n"
                    f"    - module_name: \"*\"\n      weights: {{dtype: {dtype}}}\n")
    return [ptq, "quantize", "-e", spec, f"model_path={model}", f"results_dir={folder}/{dtype}"]


def run(command):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")


def seconds(command, flushed=None):
    begin = time.perf_counter()
    run(command)
    if flushed:
        with open(flushed, "rb") as file:
            os.fsync(file.fileno())
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
    if process.wait():
        sys.exit(f"{' '.join(map(str, command))} failed")
    return most / 1000


def times_text(times, others):
    """How many times the others' it is, round by round."""
    ratios, quarter = sorted(ours / theirs for ours, theirs in zip(times, others)), len(times) // 4
    middle = statistics.median(ratios)
    return f"{middle:.2f} ± {50 * (ratios[-1 - quarter] - ratios[quarter]) / middle:.0f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("ptq")
    parser.add_argument("model", nargs="?")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where all is written")
    parser.add_argument("--sparse", type=float, metavar="GB")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        if given.sparse:
            model = make_sparse(folder, given.sparse)
            for dtype in DTYPES:
                command = command_of(os.path.abspath(given.ptq), model, dtype, folder)
                print(f"{dtype} of {given.sparse:g} GB in shards: {anonymous_megabytes(command):.0f} MB anonymous at the most "
                      f"(goal {MOST_MEGABYTES})", flush=True)
                shutil.rmtree(f"{folder}/{dtype}")
            return
        model = given.model or f"{folder}/model.safetensors"
        if not given.model:
            make_checkpoint(model, given.layers)
        commands = {"cp": ["cp", model, f"{folder}/copy"], "cp, fsync": ["cp", model, f"{folder}/copy"],
                    **{dtype: command_of(os.path.abspath(given.ptq), model, dtype, folder) for dtype in DTYPES}}
        taken = {name: [] for name in commands}
        for command in commands.values():
            run(command)  # the cache is warm
        for _ in range(given.rounds):
            for name, command in commands.items():
                for old in ("copy", *DTYPES):  # each writes a new file
                    path = Path(folder) / old
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                taken[name].append(seconds(command, f"{folder}/copy" if name == "cp, fsync" else None))
        size = os.path.getsize(model)
        goal = 1.5 if size < 1e9 else 2
        print(f"| {size / 1e6:.0f} MB | time | times cp (goal {goal}) | times cp, fsync | anonymous (goal {MOST_MEGABYTES} MB) |\n"
              "| --- | --- | --- | --- | --- |")
        for name, times in taken.items():
            cells = [times_text(times, taken["cp"]), times_text(times, taken["cp, fsync"]),
                     f"{anonymous_megabytes(commands[name]):.0f} MB"] if name in DTYPES else ["", "", ""]
            print(f"| {name} | {1e3 * statistics.median(times):.0f} ms | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
