#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lenet_figures.py M4F_IMAGE M55_IMAGE [--update]: the guide's table of what examples/embedded/lenet.cpp takes is what the images
print in QEMU. Skipped (77) where the compiler is not the one that the table is of."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GUIDE = HERE.parent.parent / "examples/embedded/README.md"
COMPILER = "12.2.1"
BEGIN, END = "<!-- made by tests/embedded/lenet_figures.py --update -->\n", "<!-- end of figures -->\n"
PRINTED = re.compile(r"^flash (\d+) bytes, of them the network (\d+) and images (\d+)\n"
                     r"RAM (\d+) bytes for the whole run, stack (\d+), of it buffers (\d+)$", re.MULTILINE)


def figures(machine, image):
    run = subprocess.run([HERE / "qemu.sh", machine, image], capture_output=True, text=True, check=False)
    if run.returncode == 77:
        print(run.stdout)
        sys.exit(77)
    if run.returncode:
        sys.exit(f"{image} ends with {run.returncode}")
    flash, network, images, ram, stack, buffers = map(int, PRINTED.search(run.stdout).groups())
    return flash, network, images, flash - network - images, ram, stack, buffers


def table(columns):
    titles = ("flash, all", "of it the network's tables", "of it 100 images with labels, which a product does not have",
              "of it code, start-up and printing included", "RAM for the whole run", "stack at its deepest, buffers included",
              "of it buffers (`lenet::arena`)")
    lines = ["| bytes, `-Os`, g++ 12 | Cortex-M4F | Cortex-M55 |", "| --- | --- | --- |"]
    lines += [f"| {title} | {' | '.join(f'{number:,}' for number in row)} |" for title, row in zip(titles, zip(*columns))]
    return "\n".join(lines) + "\n"


def main(m4f, m55, mode=""):
    if not shutil.which("arm-none-eabi-g++"):
        print("skipped: arm-none-eabi-g++ is not installed")
        sys.exit(77)
    compiler = subprocess.run(["arm-none-eabi-g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    if compiler != COMPILER:
        print(f"skipped: the table is of {COMPILER}, and this compiler is {compiler}")
        sys.exit(77)
    made = table([figures("m4f", m4f), figures("m55", m55)])
    before, _, rest = GUIDE.read_text().partition(BEGIN)
    there, _, after = rest.partition(END)
    if mode == "--update":
        GUIDE.write_text(before + BEGIN + made + END + after)
    elif there != made:
        sys.exit(f"{GUIDE} has\n{there}and the images print\n{made}Make it current: {sys.argv[0]} {m4f} {m55} --update")


if __name__ == "__main__":
    main(*sys.argv[1:])
