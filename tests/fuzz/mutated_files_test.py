# SPDX-License-Identifier: Apache-2.0
"""mutated_files_test.py PTQ EXAMPLES [COUNT [SEED]]: the command under COUNT damaged files (200) of each kind.

It must not crash, not trip a sanitizer, not run for ten seconds, not take 512 MB (where no sanitizer takes them), and end with
0, 1 or 2: with an error in words, or with an artifact that foreign readers take, where onnx, onnxruntime and safetensors are
installed. A file that fails is kept in the folder `mutated_files` of where the test runs.
"""
import concurrent.futures
import importlib.util
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile

from mutate import MUTATORS

PTQ, EXAMPLES = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 200
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else 1
MOST_SECONDS, MOST_BYTES = 10, 512 << 20
IS_INSTRUMENTED = b"__asan_init" in PTQ.read_bytes()
LENET = EXAMPLES / "models" / "lenet-digits"
DATA = "dataset.quant_calibration_dataset"
FEW = [f"{DATA}.max_samples=4", f"{DATA}.batch_size=2", "evaluate.max_samples=4"]

# Loads each file it is given, and says which it cannot: a process of its own, since damaged models crash foreign readers, too.
FOREIGN_READER = """
import sys
for path in sys.argv[1:]:
    if path.endswith(".onnx"):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    else:
        import safetensors
        safetensors.deserialize(open(path, "rb").read())
"""
HAS_FOREIGN_READERS = all(importlib.util.find_spec(name) for name in ("onnxruntime", "safetensors"))


def run(words, folder):
    """Exit code (negative: a signal; None: too long), what it said, and the most memory it took."""
    said = folder / "said.txt"
    with open(said, "wb") as output:
        process = subprocess.Popen([PTQ, *map(str, words)], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    timer = threading.Timer(MOST_SECONDS, process.kill)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    is_late = not timer.is_alive()
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for
    return None if is_late else process.returncode, said.read_bytes(), usage.ru_maxrss << 10


def static(**more):
    """Overrides of the static specification for the shipped classifier."""
    settings = {"model_path": LENET / "model.onnx", "results_dir": "out", f"{DATA}.inputs": LENET / "calib.npy", **more}
    return ["-e", EXAMPLES / "specs" / "static.yaml", *FEW, *(f"{key}={value}" for key, value in settings.items())]


def weight_only(model):
    return ["-e", EXAMPLES / "specs" / "weight_only.yaml", f"model_path={model}", "results_dir=out"]


class Subject:
    """A kind of file: its mutator, sound files, and command lines that read a file of the kind."""

    def __init__(self, mutator, seeds, lines):
        self.mutate, self.seeds, self.lines = MUTATORS[mutator], seeds, lines


def subjects(made):
    """made: a folder with artifacts and statistics of the shipped classifier."""
    onnx_artifact, codes = made / "out" / "quantized_model_modelopt.onnx", made / "codes" / "quantized_model_torchao.safetensors"
    recordings = made / "recordings.npz"
    with zipfile.ZipFile(recordings, "w") as archive:
        archive.write(LENET / "test_labels.npy", "labels.npy")
        archive.write(LENET / "calib.npy", "input.npy")
    spec = made / "spec.yaml"
    spec.write_text((EXAMPLES / "specs" / "static.yaml").read_text() + f"""  model_path: {LENET}/model.onnx
  results_dir: out
dataset:
  quant_calibration_dataset: {{inputs: {LENET}/calib.npy, batch_size: 2, max_samples: 4, scale: 0.0039}}
evaluate: {{inputs: {LENET}/test_images.npy, labels: {LENET}/test_labels.npy, max_samples: 4}}
ptq:
  calibration: {{algorithm: percentile, percentile: 99.9, bins: 2048}}
  module_types: {{fc1: Linear}}
""")
    return {
        "onnx": Subject("onnx", [LENET / "model.onnx"], lambda file: [
            ["quantize", *weight_only(file)], ["quantize", *static(model_path=file)], ["inspect", file]]),
        "onnx artifact": Subject("onnx", [onnx_artifact], lambda file: [
            ["inspect", file], ["compare", LENET / "model.onnx", file]]),
        "safetensors": Subject("safetensors", [LENET / "model.safetensors"], lambda file: [
            ["quantize", *weight_only(file)], ["inspect", file]]),
        "safetensors artifact": Subject("safetensors", [codes], lambda file: [
            ["inspect", file], ["compare", LENET / "model.safetensors", file]]),
        "ptqcal": Subject("ptqcal", [made / "all.ptqcal"], lambda file: [
            ["quantize", *static(), "--statistics", file], ["merge", "-o", "merged.ptqcal", made / "all.ptqcal", file]]),
        "npy": Subject("npy", [LENET / "calib.npy"], lambda file: [["quantize", *static(**{f"{DATA}.inputs": file})]]),
        "npz": Subject("npz", [recordings], lambda file: [["quantize", *static(**{f"{DATA}.inputs": file})]]),
        "yaml": Subject("yaml", [spec], lambda file: [["plan", "-e", file], ["quantize", "-e", file, *FEW]]),
    }


def refusal_of(files):
    """What a foreign reader says of the first of these files that it does not take; empty if it takes them."""
    done = subprocess.run([sys.executable, "-c", FOREIGN_READER, *map(str, files)], capture_output=True, text=True, check=False)
    return done.stderr[-1000:] or f"exit code {done.returncode}" if done.returncode else ""


def judge(name, file, words, folder):
    code, said, memory = run(words, folder)
    if code is None:
        return f"it ran for more than {MOST_SECONDS} s"
    if code not in (0, 1, 2) or b"Sanitizer" in said or b"runtime error:" in said:
        return f"exit code {code}: {said[-3000:].decode(errors='replace')}"
    if code != 0 and b"ptq: error: " not in said:
        return f"exit code {code} without an error in words"
    if memory > MOST_BYTES and not IS_INSTRUMENTED:
        return f"it took {memory >> 20} MB"
    artifacts = sorted(folder.rglob("quantized_model_*"))
    if code == 0 and artifacts and HAS_FOREIGN_READERS and (name != "onnx" or not refusal_of([file])):
        return refusal_of(artifacts)
    return ""


def attack(job):
    """Mutates one file and runs a command line on it; returns what went wrong."""
    name, subject, number = job
    chance = random.Random(f"{SEED} {name} {number}")
    seed = chance.choice(subject.seeds)
    content = seed.read_bytes()
    for _ in range(chance.choice((1, 1, 2, 3))):
        try:
            content = subject.mutate(content, chance)
        except Exception:  # pylint: disable=broad-exception-caught
            break  # an earlier change made it unreadable for the mutator, too
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        file = folder / ("file" + seed.suffix)
        file.write_bytes(content)
        lines = subject.lines(file)
        words = lines[number % len(lines)]
        wrong = judge(name, file, words, folder)
        if wrong:
            kept = pathlib.Path("mutated_files") / f"{name.replace(' ', '_')}_{SEED}_{number}{seed.suffix}"
            kept.parent.mkdir(exist_ok=True)
            shutil.copy(file, kept)
            return f"{name} {number} (kept as {kept}): ptq {' '.join(map(str, words))}\n  {wrong}"
    return ""


def prepare(folder):
    for words in (["quantize", *static()], ["quantize", *weight_only(LENET / "model.safetensors"), "results_dir=codes"],
                  ["calibrate", *static(), "-o", "all.ptqcal"]):
        code, said, _ = run(words, folder)
        assert code == 0, said.decode()


def main(folder):
    prepare(folder)
    os.environ.update(ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=2048")
    jobs = [(name, subject, number) for name, subject in subjects(folder).items() for number in range(COUNT)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [found for found in pool.map(attack, jobs) if found]
    print("\n".join(wrong))
    print(f"{len(jobs)} mutated files of {len(jobs) // COUNT} kinds, seed {SEED}: {len(wrong)} failures")
    return bool(wrong)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_here:
        sys.exit(main(pathlib.Path(made_here)))
