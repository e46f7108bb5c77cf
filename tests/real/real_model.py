# SPDX-License-Identifier: Apache-2.0
"""Quantizes real ONNX models with the command and loads what it writes with programs that are not ours."""
import json
import pathlib
import subprocess
import sys

import onnx
import onnxruntime

PTQ = pathlib.Path(sys.argv[1]).resolve()
LAYERS = ("Conv*", "Linear")
LEVELS = ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_ALL")


def needs_openvino():
    """Both models have operators that the command's own engine does not cover."""
    if "OpenVINO" not in subprocess.run([PTQ, "--version"], capture_output=True, text=True, check=True).stdout:
        print("skipped: OpenVINO is not built in, and nothing else runs this model")
        sys.exit(77)


def session(path, level="DISABLE_ALL"):
    """With optimizations off: what the file says, and nothing else."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantize(model, folder, backend, mode, inputs=None, more_rules="", settings=(), dtype="int8"):
    """The artifact, checked, and its quantized layers."""
    slots = f"weights: {{dtype: {dtype}}}" + (f", activations: {{dtype: {dtype}}}" if inputs else "")
    rules = "".join(f"{{module_name: '{pattern}', {slots}}}, " for pattern in LAYERS) + more_rules
    spec = folder / f"{backend}.yaml"
    spec.write_text(f"quantize: {{backend: {backend}, mode: {mode}, layers: [{rules}]}}\n")
    words = [*settings, *([f"dataset.quant_calibration_dataset.inputs={inputs}"] if inputs else [])]
    run = subprocess.run([PTQ, "quantize", "--json", "-e", spec, f"model_path={model}", f"results_dir={folder / backend}", *words],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    artifact = folder / backend / f"quantized_model_{backend}.onnx"
    onnx.checker.check_model(str(artifact), full_check=True)
    report = json.loads(run.stdout)
    quantized = [layer for layer in report["layers"] if layer["weights"]["dtype"] != "native"]
    assert quantized, run.stdout
    calibrated = [layer for layer in quantized if layer["activations"]["dtype"] != "native"]
    assert bool(calibrated) == bool(inputs) and all(layer["activations"]["amax"] > 0 for layer in calibrated)
    return artifact, quantized


def evaluate(folder, model, backend, inputs):
    """What the command measures on the same inputs, in percent and decibels."""
    run = subprocess.run([PTQ, "evaluate", "--json", "-e", folder / f"{backend}.yaml", f"model_path={model}",
                          f"results_dir={folder / backend}", f"evaluate.inputs={inputs}"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
