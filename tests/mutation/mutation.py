# SPDX-License-Identifier: Apache-2.0
"""run.sh [AREA ...] [--count N] [--seed N] [--match REGEX] [--lived] [--list]: do the tests notice small faults?

Changes one line of a header at a time (a bound by one, a comparison turned round, a statement or a row of a table less: see
cpp.rules), builds the tests that own the header's folder and runs them one after the other until one fails. A mutant that no
test notices lives: write the test that a reader of the specification would expect, or, where no test can tell the two apart,
put it into explained.txt with the reason.

It works on a copy under build/mutation, with one job, for more than an hour; AREA (calibration, formats/onnx, ...) and --count
make it shorter, --lived tries again what lived the last time. The sample depends on the seed and the lines alone, not on
where they stand. Not counted: what does not compile, alone or in its test. Killed: a test that fails, crashes, hangs or takes
too much memory, and one that does not build since a static assertion or a constant expression fails. It exits 1 where
something lives that is not explained.
"""
import argparse
import collections
import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from universalmutator import mutator

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
WORK = SOURCE / "build" / "mutation"
COPY, BUILD, TEMPORARY, RESULTS = WORK / "copy", WORK / "build", WORK / "tmp", WORK / "results.json"
COMPILER = "clang++-19"
MEMORY = 8 << 30  # bytes that a test may take

area = collections.namedtuple("area", "count files tests")


def own(count, files, *tests):
    return area(count, files.split(), [name for words in tests for name in words.split()])


CODECS = "golden_codec golden_weight_only golden_static"
# How many mutants of which headers (those of an earlier area left out), and which tests own them, the fast ones first.
AREAS = {
    "detail": own(12, "detail/*.hpp result.hpp error.hpp", "result strict_float calibration assert quantize", CODECS),
    "numeric": own(15, "numeric/*.hpp", "half_types dtype strict_float quantize run", CODECS),
    "fixed_point": own(12, "fixed_point/*.hpp", "fixed_point multiplier_shift power_of_two_scales run"),
    "dtype": own(10, "dtype/*.hpp", "dtype quantize run portable_kernels", CODECS, "compile_fail.dtype.clang++-19"),
    "backend": own(20, "backend/*.hpp", "backend quantize", CODECS, "apply compile_fail.backend.clang++-19"),
    "tensor": own(20, "tensor/*.hpp", "walk layouts fwd adaptors_std quantize any_view constant_expressions",
                  "compile_fail.tensor.clang++-19 compile_fail.element.clang++-19"),
    "kernels": own(15, "kernels/*.hpp", "portable_kernels quantize run layouts", CODECS, "constant_expressions"),
    "quantize": own(40, "quantize/*.hpp", "quantize run layouts quantize_constant power_of_two_scales error_metrics constant_expressions portable_kernels", CODECS, "apply"),
    "calibration": own(50, "calibration/*.hpp", "calibration golden_calibration model_calibration statistics_file",
                       "compile_fail.calibrator.clang++-19"),
    "adaptors": own(8, "adaptors/*.hpp", "adaptors_std adaptors_eigen adaptors_eigen_tensor adaptors_xtensor"),
    "text": own(10, "text/*.hpp", "text"),
    "model/resolve": own(15, "model/resolve.hpp", "resolve match"),
    "model/match": own(40, "model/match.hpp", "match resolve"),
    "model": own(30, "model/*.hpp", "pattern pattern_set match resolve apply model_calibration model_hash any_view"),
    "config": own(25, "config/*.hpp", "validate read_spec spec_fuzz"),
    "formats/onnx/opset": own(40, "formats/onnx/adapters.hpp formats/onnx/opset.hpp formats/onnx/moving_node.hpp", "onnx_write onnx_opset"),
    "formats/onnx": own(30, "formats/onnx/*.hpp", "onnx_read onnx_write onnx_form onnxruntime_types onnxruntime_layers"),
    "file": own(10, "file/*.hpp file/posix/*.hpp", "files"),
    "data": own(20, "data/*.hpp", "data numpy images accuracy onnx_read"),
    "formats": own(20, "formats/*.hpp formats/checkpoint/*.hpp formats/numpy/*.hpp formats/safetensors/*.hpp artifact/*.hpp", "files safetensors artifact statistics_file numpy data"),
    "engine/samples": own(30, "engine/calibrate.hpp engine/evaluate.hpp engine/compared_output.hpp engine/output_values.hpp engine/progress.hpp",
                          "engine"),
    "engine": own(15, "engine/accuracy.hpp engine/outputs.hpp engine/inputs.hpp", "accuracy"),
    "report": own(15, "report/*.hpp", "report apply"),
}

mutant = collections.namedtuple("mutant", "file line old new nth")  # nth: of the equal lines of the file


def key_of(which):
    """What the list of the explained knows a mutant by: no line number, so that it does not rot."""
    return which.file, which.old.strip(), which.new.strip()


def name_of(which):
    return repr((*key_of(which), which.nth))


def blanked(lines):
    """The lines without directives, static assertions and preconditions, which are not mutated. The tool takes "{-" for the
    beginning of a comment, which in some other language it is."""
    kept, depth, continues = [], 0, False
    for line in lines:
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line.split("//")[0])
        begins = depth == 0 and re.search(r"\b(static_assert|PTQ_ASSERT)\(", code)
        if begins:
            code = code[begins.start():]
        inside = depth > 0 or bool(begins)
        if inside:
            depth += code.count("(") - code.count(")")
        directive = continues or line.lstrip().startswith("#")
        continues = directive and line.rstrip().endswith("\\")
        kept.append("\n" if inside or directive else line.replace("{-", "{ -"))
    return kept


def mutants_of(file):
    lines = (COPY / "include/ptq" / file).read_text().splitlines(keepends=True)
    with contextlib.redirect_stdout(io.StringIO()):
        found = mutator.mutants_regexp(blanked(lines), [str((HERE / "cpp.rules").relative_to(Path.cwd()))], ignorePatterns=[],
                                       ignoreStringOnly=True)
    seen = set()
    for number, new, *_ in found:
        tokens = number, re.sub(r"\s", "", new)
        if tokens not in seen and tokens[1] != re.sub(r"\s", "", lines[number - 1]):
            seen.add(tokens)
            yield mutant(file, number - 1, lines[number - 1], new, lines[:number - 1].count(lines[number - 1]))


def sample(name, seed):
    """All mutants of an area, in an order that looks random and stays when other lines change."""
    earlier = set()
    for other, rest in AREAS.items():
        files = {str(path.relative_to(COPY / "include/ptq")) for glob in rest.files for path in (COPY / "include/ptq").glob(glob)}
        if other == name:
            break
        earlier |= files
    found = [one for file in sorted(files - earlier) for one in mutants_of(file)]
    return sorted(found, key=lambda one: hashlib.sha256(f"{seed} {name_of(one)}".encode()).digest())


def refresh_copy():
    """Makes the copy hold what git would; what has not changed keeps its time, so that it is not built again."""
    names = subprocess.run(["git", "-C", SOURCE, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
                           capture_output=True, text=True).stdout.split("\0")
    names = {name for name in names if name and (SOURCE / name).is_file()}
    for name in sorted(names):
        source, copy = SOURCE / name, COPY / name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            shutil.copymode(source, copy)
    for copy in COPY.rglob("*"):
        if copy.is_file() and str(copy.relative_to(COPY)) not in names:
            copy.unlink()


def limited():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(command, timeout, **options):
    """The exit status (None after `timeout` seconds) and what was printed. Nothing that it started is left."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                               errors="replace", start_new_session=True, **options)
    try:
        output = process.communicate(timeout=timeout)[0]
        return process.returncode, output
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


class tree:
    """The build of the copy."""

    def __init__(self):
        refresh_copy()
        self.must(["cmake", "-S", COPY, "-B", BUILD, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={COMPILER}",
                   "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS=-w", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
                   "-DPTQ_BUILD_BENCHMARKS=OFF", f"-DPTQ_VENV={sys.prefix}"])
        listed = json.loads(self.must(["ctest", "--test-dir", BUILD, "--show-only=json-v1"]))["tests"]
        outputs = self.must(["ninja", "-C", BUILD, "-t", "targets", "all"])
        self.outputs = {line.split(": ")[0] for line in outputs.splitlines() if ": " in line}
        programs = {Path(output).name: str(BUILD / output) for output in self.outputs if "/" in output}
        self.tests = {}
        for test in listed:
            name = test["name"]
            test.setdefault("command", [programs.get(f"test_{name}")])  # ctest does not say it before it is built
            self.tests[name] = test
        self.baseline = {}
        self.alone = self.command_of_a_header()

    @staticmethod
    def must(command):
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def command_of_a_header(self):
        """Compiles a header alone. A function that does not return is nonsense, too."""
        folders = set()
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            words = shlex.split(entry["command"])
            folders |= {("-isystem", words[i + 1]) for i, word in enumerate(words) if word == "-isystem"}
        return [COMPILER, "-std=c++20", "-fsyntax-only", "-Wno-everything", "-Werror=return-type",
                "-fno-relaxed-template-template-args", f"-I{COPY}/include",
                *(word for pair in sorted(folders) for word in pair), "-x", "c++"]

    def needed(self, name):
        """The files that a test runs."""
        paths = [Path(word) for word in self.tests[name]["command"]]
        return [path for path in paths if path.is_relative_to(BUILD) and str(path.relative_to(BUILD)) in self.outputs]

    def build(self, name):
        """What fails to build; empty where nothing does."""
        targets = [str(path.relative_to(BUILD)) for path in self.needed(name)]
        if not targets:
            return ""
        status, output = run(["ninja", "-C", BUILD, "-j1", *targets], 900)
        return "" if status == 0 else output

    def prints(self, name):
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.needed(name)]

    def run_test(self, name, timeout):
        TEMPORARY.mkdir(parents=True, exist_ok=True)
        properties = {one["name"]: one["value"] for one in self.tests[name].get("properties", [])}
        outcome = run(self.tests[name]["command"], timeout, cwd=properties.get("WORKING_DIRECTORY", TEMPORARY),
                      env={**os.environ, "TMPDIR": str(TEMPORARY)}, preexec_fn=limited)
        shutil.rmtree(TEMPORARY, ignore_errors=True)
        return outcome

    def prepare(self, names):
        """Every test passes as things are; remembers how long it takes and the programs that it runs."""
        for name in names:
            if name in self.baseline:
                continue
            if name not in self.tests:
                sys.exit(f"there is no test {name}: is a package missing? cmake says which")
            if errors := self.build(name):
                sys.exit(f"{errors}\n{name} does not build as it is")
            begin = time.monotonic()
            status, output = self.run_test(name, 600)
            if status != 0:
                sys.exit(f"{output}\n{name} fails as it is")
            self.baseline[name] = (time.monotonic() - begin, self.prints(name))

    def judge(self, one, names):
        """(verdict, by what): "killed", "lived" or "nonsense"."""
        path = COPY / "include/ptq" / one.file
        original = path.read_text()
        lines = original.splitlines(keepends=True)
        lines[one.line] = one.new
        try:
            path.write_text("".join(lines))
            if run([*self.alone, path], 120)[0] != 0:
                return "nonsense", "the header does not compile"
            for name in names:
                if errors := self.build(name):
                    return by_compiler(errors, name)
                seconds, prints = self.baseline[name]
                if prints and self.prints(name) == prints:
                    continue
                status, _ = self.run_test(name, max(15, 6 * seconds))
                if status != 0:
                    return "killed", name if status is not None else f"{name} (time)"
            return "lived", ""
        finally:
            path.write_text(original)


def by_compiler(errors, name):
    """Whether the compiler found the fault, or only cannot make sense of it."""
    first = next((line for line in errors.splitlines() if "error: " in line), "")
    meant = re.search(r"error: (static assertion failed|constexpr variable .* must be initialized by a constant|"
                      r"call to consteval function|.*is not an? (integral )?constant expression)", first)
    return ("killed", f"{name} (build)") if meant else ("nonsense", f"{name}: {first.strip()}")


def text_of(which):
    """As explained.txt has it."""
    return "{}\n- {}\n+ {}".format(*key_of(which))


def explanations():
    """{(file, old, new): reason}. Blocks of four lines: the header, "- " the line, "+ " the line changed, "= " why."""
    found = {}
    block = []
    for line in (HERE / "explained.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        block.append(line)
        if line.startswith("= "):
            file, old, new, why = block
            found[file, old[1:].strip(), new[1:].strip()] = why[1:].strip()
            block = []
    return found


def say_stale(explained):
    for file, old, _ in explained:
        path = SOURCE / "include/ptq" / file
        if not path.is_file() or old not in map(str.strip, path.read_text().splitlines()):
            print(f"explained.txt: {file} has no line any more that is: {old}")


def table(results, explained):
    print(f"\n{'area':16}{'mutants':>8}{'killed':>8}{'explained':>10}{'lived':>7}{'score':>7}")
    for name in AREAS:
        found = [one for one in results.values() if one["area"] == name and one["verdict"] != "nonsense"]
        if not found:
            continue
        killed = sum(one["verdict"] == "killed" for one in found)
        reasons = sum(one["verdict"] == "lived" and tuple(one["key"]) in explained for one in found)
        print(f"{name:16}{len(found):8}{killed:8}{reasons:10}{len(found) - killed - reasons:7}"
              f"{100 * (killed + reasons) // len(found):6}%")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--count", type=int, help="mutants of each area that count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--match", default="", help='only those whose "file: line => changed line" holds this')
    parser.add_argument("--lived", action="store_true", help="only those that lived the last time")
    parser.add_argument("--list", action="store_true", help="print all mutants in the order of the sample, and judge none")
    arguments = parser.parse_args()
    if unknown := set(arguments.areas) - set(AREAS):
        parser.error(f"there is no area {unknown.pop()}; there are {', '.join(AREAS)}")

    explained = explanations()
    say_stale(explained)
    results = {}  # of this seed and of lines that are still there, those of earlier runs among them
    WORK.mkdir(parents=True, exist_ok=True)
    lock = open(WORK / ".lock", "w")  # pylint: disable=consider-using-with  (until the end)
    fcntl.flock(lock, fcntl.LOCK_EX)
    before = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    copy = tree()
    for name in arguments.areas or AREAS:
        candidates = sample(name, arguments.seed)
        wanted = [one for one in candidates
                  if re.search(arguments.match, f"{one.file}: {one.old.strip()} => {one.new.strip()}")]
        if arguments.lived:
            wanted = [one for one in wanted if before.get(name_of(one), {}).get("verdict") == "lived"]
        if arguments.list:
            for one in wanted:
                print(text_of(one))
            continue
        count = 0
        for one in wanted:
            if count == (arguments.count or AREAS[name].count):
                break
            copy.prepare(AREAS[name].tests)
            begin = time.monotonic()
            verdict, by = copy.judge(one, AREAS[name].tests)
            count += verdict != "nonsense"
            before[name_of(one)] = {"area": name, "key": key_of(one), "verdict": verdict, "by": by, "seed": arguments.seed,
                                    "seconds": round(time.monotonic() - begin, 1)}
            RESULTS.write_text(json.dumps(before, indent=1))
            print(f"{name} {count}: {verdict} {by}", flush=True)
            if verdict == "lived":
                print(text_of(one) + "\n= " + explained.get(key_of(one), "?"), flush=True)
        known = [name_of(one) for one in candidates if before.get(name_of(one), {}).get("seed") == arguments.seed]
        results.update((one, before[one]) for one in known)
    table(results, explained)
    living = [one for one in results.values() if one["verdict"] == "lived" and tuple(one["key"]) not in explained]
    for one in living:
        print("\n{}\n- {}\n+ {}".format(*one["key"]))
    sys.exit(bool(living))


if __name__ == "__main__":
    main()
