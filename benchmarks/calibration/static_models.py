#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""static_models.py PTQ [ROUNDS]: static int8 of the two shipped models with all 256 calibration samples, by the command and
by ONNX Runtime's quantize_static: processor time and peak memory of the whole process, medians of interleaved runs, with
half the distance of the quartiles.

Needs numpy, onnx and onnxruntime, in the versions that the tests use.
"""
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODELS = {"lenet-digits": 1 / 255, "pitch-transformer": 1.0}
GOALS = {"lenet-digits": 10, "pitch-transformer": 8}  # times faster, with a fifth of the memory
CALIBRATORS = {"minmax": "MinMax", "entropy": "Entropy"}

PEER = """
import sys
import numpy
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

model, data, scale, method, out = sys.argv[1:]


class Batches(CalibrationDataReader):
    def __init__(self):
        samples = numpy.load(data).astype(numpy.float32) * numpy.float32(scale)
        self.batches = iter(numpy.split(samples, len(samples) // 32))

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"input": batch}


quantize_static(model, out, Batches(), quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8,
                activation_type=QuantType.QInt8, calibrate_method=getattr(CalibrationMethod, method),
                extra_options={"ActivationSymmetric": True})
"""


def cost(*command):
    """Seconds of processor time and MB at the peak."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command[:3]))} ... failed: {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def commands(ptq, name, algorithm, folder):
    model, data, scale = EXAMPLES / "models" / name / "model.onnx", EXAMPLES / "models" / name / "calib.npy", MODELS[name]
    settings = "dataset.quant_calibration_dataset"
    ours = [ptq, "quantize", "-e", EXAMPLES / "specs" / "static.yaml", f"model_path={model}", f"results_dir={folder}/ptq",
            f"quantize.algorithm={algorithm}", f"{settings}.inputs={data}", f"{settings}.scale={scale}"]
    return ours, [sys.executable, "-c", PEER, model, data, str(scale), CALIBRATORS[algorithm], f"{folder}/peer.onnx"]


def main():
    ptq, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print("| static int8 of 256 samples | ptq | ONNX Runtime | goal | times faster | of its memory (goal 0.2) |\n"
          "| --- | --- | --- | --- | --- | --- |")
    for name in MODELS:
        for algorithm in CALIBRATORS:
            with tempfile.TemporaryDirectory() as folder:
                pair = commands(ptq, name, algorithm, folder)
                runs = [[cost(*command) for command in pair] for _ in range(rounds)]
            (ours, our_peak), (theirs, their_peak) = (
                [statistics.median(run[side][what] for run in runs) for what in (0, 1)] for side in (0, 1))
            ratios, quarter = sorted(their[0] / our[0] for our, their in runs), len(runs) // 4
            spread = 50 * (ratios[-1 - quarter] - ratios[quarter]) / statistics.median(ratios)
            print(f"| {name}, {algorithm} | {1000 * ours:.0f} ms, {our_peak:.0f} MB | {1000 * theirs:.0f} ms, {their_peak:.0f} MB "
                  f"| {GOALS[name]} | {statistics.median(ratios):.3g} ± {spread:.0f} % | {our_peak / their_peak:.2f} |", flush=True)


if __name__ == "__main__":
    main()
