#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""budget.py FOLDER [--update]: what the kernels of kernels.cpp cost on microcontrollers.

Builds kernels.cpp for some machines of examples/embedded/machines.txt, runs it in QEMU with instructions.c, and compares with
budget.txt, exactly: growth is seen where it is made, and a saving is kept; likewise the table of the guide, which shows the
costs beside the goals. --update writes both. FOLDER is for what is built.

The costs depend on the compiler: they are those of the versions that budget.txt names, and where another is installed, or
none, its machines are skipped; exit status 77 where that leaves none. Instructions are no cycles: QEMU knows neither wait
states nor how long a division takes.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIRMWARE = HERE.parent.parent / "examples/embedded"
INCLUDE = HERE.parent.parent / "include"
BUDGET = HERE / "budget.txt"
GUIDE = FIRMWARE / "README.md"
ELEMENTS = 1000

# What is built: a machine, and flags.
BUILDS = [
    ("m4f", "-Os"),
    ("m4f", "-O2"),
    ("m4f", "-Os -DPTQ_PORTABLE"),
    ("m55", "-O2"),
    ("m0", "-Os"),
    ("rv32imafc", "-Os"),
]

# What a program for a microcontroller must not hold: a heap, exceptions, streams, what the C++ run time needs for RTTI and
# for objects that are made at first use, and arithmetic of doubles.
FORBIDDEN = re.compile(
    r"\b(malloc|calloc|realloc|free|_sbrk|abort|printf|puts|__aeabi_(d\w+|[fuil]+2d)|__\w+df\d?|__\w*df\w*2)\b"
    r"|operator (new|delete)|__cxa_|_Unwind|std::(basic_)?[io]stream|ios_base|typeinfo|vtable")

# Goals of size in bytes, of a build without a table, and of instructions an element.
GOALS = [
    ("m4f -Os", "int8_quantize", "text", 64),
    ("m4f -Os -DPTQ_PORTABLE", "int8_quantize", "text", 96),
    ("m4f -Os", "int8_dequantize", "text", 48),
    ("m4f -Os", "e4m3fn_encode", "text", 160),
    ("m4f -Os", "e4m3fn_quantize", "text", 160),
    ("m4f -Os", "e4m3fn_decode_table", "text", 40),
    ("m4f -Os", "e4m3fn_decode", "text", 96),
    ("m4f -Os", "e4m3fn_dequantize", "text", 96),
    ("m4f -O2", "int8_quantize", "instructions", 12),
    ("m4f -O2", "int8_dequantize", "instructions", 10),
    ("m4f -O2", "e4m3fn_encode", "instructions", 24),
    ("m4f -O2", "e4m3fn_decode_table", "instructions", 8),
    ("m55 -O2", "int8_quantize", "instructions", 5),
    ("m0 -Os", "e4m3fn_encode", "instructions", 40),
    ("m0 -Os", "e4m3fn_decode_table", "instructions", 10),
    ("m0 -Os", "int8_quantize_power_of_two", "instructions", 60),
]
CONVERSIONS = [f"{dtype}_{verb}" for dtype in ("int8", "e4m3fn", "e5m2") for verb in ("quantize", "dequantize")]
CONVERSIONS_GOAL = 768  # bytes of all of them and amax, m4f -Os
STACK_GOALS = {"m4f": 64, "m0": 96}
TABLE_BEGIN = "<!-- made by tests/embedded/budget.py --update -->\n"
TABLE_END = "<!-- end -->\n"
COLUMNS = ("text", "stack", "instructions")


def must(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120)
    if done.returncode == 77:  # something that it needs is not installed
        print(done.stdout)
        sys.exit(77)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done


def prefix_of(machine):
    """Of the names of the tools for it."""
    return "riscv64-unknown-elf-" if machine.startswith("rv32") else "arm-none-eabi-"


def version_of(compiler):
    """None if it is not installed."""
    return must(compiler, "-dumpfullversion").stdout.strip() if shutil.which(compiler) else None


def refusal_of_plugin(emulator, plugin):
    """Why an emulator does not take it: one built without plugins, or for those of another version. Empty if it does."""
    tried = subprocess.run([emulator, "-M", "none", "-display", "none", "-monitor", "stdio", "-plugin", plugin], input="quit\n",
                           capture_output=True, text=True, check=False, timeout=120)
    return tried.stderr.strip() if tried.returncode else ""


class Graph:
    """Who calls whom, and the stack of each, as GCC tells by -fcallgraph-info=su."""

    def __init__(self, text):
        self.stack = {}
        self.calls = {}
        for title, label in re.findall(r'node: { title: "([^"]*)" label: "([^"]*)"', text):
            size = re.search(r"(\d+) bytes \((\w+)\)", label)
            if size and size[2] != "static":
                sys.exit(f"{title}: its stack is not bounded")
            if size:
                self.stack[title] = int(size[1])
        for caller, callee in re.findall(r'edge: { sourcename: "([^"]*)" targetname: "([^"]*)"', text):
            self.calls.setdefault(caller, set()).add(callee)

    def reached(self, function):
        seen = [function]
        for one in seen:
            seen += sorted(self.calls.get(one, set()) - set(seen))
        return seen

    def depth(self, function):
        return self.stack.get(function, 0) + max((self.depth(callee) for callee in self.calls.get(function, ())), default=0)


def kernel_names():
    return re.findall(r"^PTQ_KERNEL (\w+)\(", (HERE / "kernels.cpp").read_text(), re.M)


def sizes(prefix, compiled):
    listing = must(f"{prefix}nm", "-S", "--radix=d", "--defined-only", compiled).stdout
    return {name: int(size) for size, name in re.findall(r"^\d+ (\d+) [tTwWrRvV] (.*)$", listing, re.M)}


def instructions(machine, image, plugin):
    run = must(HERE / "qemu.sh", machine, image, "-plugin", plugin)
    counts = run.stderr.split()[1::2]  # between the two marks around each
    return dict(zip(run.stdout.split(), map(int, counts), strict=True))


def measure(machine, flags, folder, plugin):
    """{kernel: (text, stack, instructions, functions of the compiler's library)}."""
    os.environ["CCACHE_DISABLE"] = "1"  # it would not keep the call graph
    output = folder / f"{machine}{flags.replace(' ', '')}"
    must(HERE / "image.sh", machine, "gcc", HERE / "kernels.cpp", output, f"-I{INCLUDE}", f"-I{FIRMWARE}",
         "-fcallgraph-info=su", *flags.split())
    prefix = prefix_of(machine)
    symbols = must(f"{prefix}nm", "-C", f"{output}.elf").stdout
    if found := sorted({match.group() for match in FORBIDDEN.finditer(symbols)}):
        sys.exit(f"{machine} {flags}: the image holds {', '.join(found)}")
    graph = Graph(Path(f"{output}.kernels.cpp.ci").read_text())
    size_of = sizes(prefix, f"{output}.kernels.cpp.o")
    counts = instructions(machine, f"{output}.elf", plugin)
    measured = {}
    for kernel in kernel_names():
        reached = [name.rpartition(":")[2] for name in graph.reached(kernel)]
        library = sorted(name for name in reached if name not in size_of)
        text = sum(size_of.get(name, 0) for name in reached)
        measured[kernel] = (text, graph.depth(kernel), counts[kernel], ",".join(library) or "-")
    return measured


def read_budget(text):
    versions = dict(re.findall(r"^# compiler (\S+) (\S+)$", text, re.M))
    rows = {}
    for line in text.splitlines():
        if line and line[0] != "#":
            build, kernel, *numbers, library = re.split(r"\s{2,}", line)
            rows[build, kernel] = (*map(int, numbers), library)
    return versions, rows


def write_budget(measured, versions):
    head = [line for line in BUDGET.read_text().splitlines() if line.startswith("#") and not line.startswith("# compiler ")]
    compilers = [f"# compiler {name} {version}" for name, version in sorted(versions.items())]
    rows = [f"{build:<23}  {kernel:<26}  {text:>4}  {stack:>3}  {count:>6}  {library}"
            for (build, kernel), (text, stack, count, library) in measured.items()]
    BUDGET.write_text("\n".join(head + compilers + rows) + "\n")


def differences(measured, allowed):
    for key, costs in measured.items():
        name = " ".join(key)
        if key not in allowed:
            yield f"{name}: no budget"
            continue
        for column, new, old in zip((*COLUMNS, "library"), costs, allowed[key], strict=True):
            if new != old:
                change = f" ({new - old:+})" if isinstance(new, int) else ""
                yield f"{name}: {column} is {new}, and was {old}{change}"
    builds = {build for build, _ in measured}
    for key in allowed:
        if key[0] in builds and key not in measured:
            yield f"{' '.join(key)}: in the budget, and not measured"


def table_of(rows):
    """The goals and what there is, as Markdown."""
    lines = ["| machine and flags | kernel | what | measured | goal |", "| --- | --- | --- | --- | --- |"]

    def add(build, kernel, what, value, goal):
        lines.append(f"| {build} | {kernel} | {what} | {value:g} | {goal}{'' if value <= goal else ', missed'} |")

    for build, kernel, column, goal in GOALS:
        value = rows[build, kernel][COLUMNS.index(column)]
        what = {"text": "bytes", "instructions": "instructions an element"}[column]
        add(build, f"`{kernel}`", what, value if column == "text" else value / ELEMENTS, goal)
    total = sum(rows["m4f -Os", kernel][0] for kernel in (*CONVERSIONS, "amax"))
    add("m4f -Os", "six conversions and `amax`", "bytes", total, CONVERSIONS_GOAL)
    for machine, goal in STACK_GOALS.items():
        deepest, kernel = max((costs[1], kernel) for (build, kernel), costs in rows.items() if build.split()[0] == machine)
        add(machine, f"`{kernel}`, the deepest", "bytes of stack", deepest, goal)
    return "\n".join(lines) + "\n"


def guide_with(table):
    before, begin, rest = GUIDE.read_text().partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not end:
        sys.exit(f"{GUIDE} has no place for the table: {TABLE_BEGIN.strip()} to {TABLE_END.strip()}")
    return before + begin + table + end + after


def main(folder, mode=""):
    versions, allowed = read_budget(BUDGET.read_text())
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    plugin = folder / "instructions.so"
    if not shutil.which("cc"):
        print("skipped: cc is not installed")
        sys.exit(77)
    must("cc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", HERE / "instructions.c", "-o", plugin)
    measured = {}
    found = {}
    for machine, flags in BUILDS:
        compiler = f"{prefix_of(machine)}g++"
        version = version_of(compiler)
        emulator = "qemu-system-riscv32" if machine.startswith("rv32") else "qemu-system-arm"
        if version is None or not shutil.which(emulator):
            print(f"skipped: {machine} {flags}: {compiler} or {emulator} is not installed")
        elif reason := refusal_of_plugin(emulator, plugin):
            print(f"skipped: {machine} {flags}: {reason}")
        elif mode != "--update" and version != versions.get(compiler):
            print(f"skipped: {machine} {flags}: the budget is for {compiler} {versions.get(compiler)}, and this is {version}")
        else:
            found[compiler] = version
            for kernel, costs in measure(machine, flags, folder, plugin).items():
                measured[f"{machine} {flags}", kernel] = costs
    if mode == "--update":
        write_budget(measured, found)
        GUIDE.write_text(guide_with(table_of(measured)))
        return
    if not measured:
        sys.exit(77)
    wrong = list(differences(measured, allowed))
    if guide_with(table_of(allowed)) != GUIDE.read_text():
        wrong.append(f"the table of {GUIDE} is not that of the budget")
    if wrong:
        sys.exit("\n".join(wrong) + f"\nIf this is worth it, or a saving: {sys.argv[0]} {folder} --update")


if __name__ == "__main__":
    main(*sys.argv[1:])
