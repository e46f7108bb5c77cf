# SPDX-License-Identifier: Apache-2.0
"""foreign_models_test.py PTQ MODELS_DIR: models as three PyPI packages ship them, of operator sets 11 to 18, by four exporters.

silero-vad (speech, with If bodies and recurrent state), rapidocr-onnxruntime (text in pictures) and basic-pitch (notes in
sound). The plan must name every constant of two or more axes that a node computes with; each graph is quantized weight-only,
and statically where an engine runs it; what is written is checked by ONNX's checker and computes in ONNX Runtime what the
float model does up to the noise of int8, and at its default level what it computes with optimizations off. There kernels sum
in another order and round biases to int32, so values in the middle between two codes get the other one: of each layer of
ch_PP-OCRv4_det alone at most 2 % of the codes, by one. It is a tenth of the noise of int8 at most.
"""
import json
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

import numpy as np
import onnx
import onnxruntime

from real_model import PTQ, needs_openvino

MODELS = pathlib.Path(sys.argv[2])
PACKAGES = pathlib.Path(sysconfig.get_path("purelib"))
SILERO = PACKAGES / "silero_vad" / "data"
RAPIDOCR = PACKAGES / "rapidocr_onnxruntime" / "models"
FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
SAMPLES = 8
LEAST_BELOW_NOISE, MOST = 20, 100  # in dB: how far the difference between levels is below the noise of int8, or below the signal


def lines_of_digits(height, width, seed, mean=0.5, std=0.5):
    """(SAMPLES, 3, height, width): dark digits in a row, as PaddleOCR's networks are given pictures of text."""
    random = np.random.default_rng(seed)
    digits = np.load(MODELS / "lenet-digits" / "test_images.npy").reshape(-1, 28, 28).astype(np.float32)
    pictures = np.full((SAMPLES, height, width), 255, np.float32)
    for picture in pictures:
        for left in range(4, width - 28, 24):
            top = random.integers(0, height - 27)
            picture[top:top + 28, left:left + 28] -= digits[random.integers(len(digits))]
    values = (np.clip(pictures, 0, 255) / 255 - mean) / std
    return np.repeat(values[:, None], 3, axis=1).astype(np.float32)


def sounds(length, seed):
    """(SAMPLES, length): harmonic tones in noise, at 16 kHz."""
    random = np.random.default_rng(seed)
    time = np.arange(length) / 16000
    tones = [sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 6)) for pitch in random.uniform(80, 800, SAMPLES)]
    return (0.2 * np.array(tones) + 0.02 * random.standard_normal((SAMPLES, length))).astype(np.float32)


def speech(seed, **more):
    return {"input": sounds(576, seed), **more}


def state():
    return np.zeros((SAMPLES, 2, 128), np.float32)


RATE = np.array(16000, np.int64)
# file, inputs of a seed (samples first), least SQNR in dB of weight-only int8, and of static int8 or None where no engine
# can run the graph. PaddleOCR's networks suffer from int8: ONNX Runtime's own quantize_static leaves the last one 1.2 dB.
CASES = (
    (SILERO / "silero_vad.onnx", lambda seed: speech(seed, state=state(), sr=RATE), 0, None),
    (SILERO / "silero_vad_16k_op15.onnx", lambda seed: speech(seed, state=state(), sr=RATE), 25, None),
    (SILERO / "silero_vad_half.onnx", lambda seed: speech(seed, state=state()), 25, None),
    (RAPIDOCR / "ch_ppocr_mobile_v2.0_cls_infer.onnx", lambda seed: {"x": lines_of_digits(48, 192, seed)}, 10, 10),
    (RAPIDOCR / "ch_PP-OCRv4_rec_infer.onnx", lambda seed: {"x": lines_of_digits(48, 160, seed)}, 10, 5),
    (RAPIDOCR / "ch_PP-OCRv4_det_infer.onnx", lambda seed: {"x": lines_of_digits(96, 160, seed, 0.45, 0.225)}, 15, 3),
    (PACKAGES / "basic_pitch" / "saved_models" / "icassp_2022" / "nmp.onnx",
     lambda seed: {"serving_default_input_2:0": sounds(43844, seed)[:, :, None]}, 20, 10),
)


def is_weight(tensor):
    """Of two axes or more, floats, and no mere number."""
    return len(tensor.dims) >= 2 and np.prod(tensor.dims) > 1 and tensor.data_type in FLOATS


def weights_in(graph, outer=()):
    """The names of float constants of two or more axes that a node of the graph or of its bodies takes."""
    constants = {t.name for t in graph.initializer if is_weight(t)}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value" and is_weight(attribute.t):
                constants.add(node.output[0])
    visible = constants | set(outer)
    found = {name for node in graph.node for name in node.input if name in visible}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found |= weights_in(attribute.g, visible)
    return found


def session(path, level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def batch_of(feeds):
    """What the graph takes: silero's state counts samples along its second axis."""
    return {name: array.transpose(1, 0, 2) if name == "state" else array for name, array in feeds.items()}


def run(path, feeds, level=onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL):
    return session(path, level).run(None, batch_of(feeds))


def sqnr(reference, other):
    signal = sum(np.square(a.astype(np.float64)).sum() for a in reference)
    noise = sum(np.square(a.astype(np.float64) - b).sum() for a, b in zip(reference, other))
    return 10 * np.log10(signal / max(noise, 1e-30))


def command(*words):
    return subprocess.run([PTQ, *map(str, words)], capture_output=True, text=True, check=False)


def spec(folder, is_static):
    path = folder / f"static_{is_static}.yaml"
    slots = "weights: {dtype: int8}" + (", activations: {dtype: int8}" if is_static else "")
    rules = ", ".join(f"{{module_name: '{pattern}', {slots}}}" for pattern in ("Conv*", "Linear"))
    backend = "backend: modelopt, mode: static_ptq" if is_static else "backend: torchao, mode: weight_only_ptq"
    path.write_text(f"quantize: {{{backend}, layers: [{rules}]}}\n")
    return path


def check_plan(folder, model):
    made = command("plan", "--json", "-e", spec(folder, False), f"model_path={model}")
    assert made.returncode == 0, made.stderr
    planned = json.dumps(json.loads(made.stdout)["layers"])
    wanted = weights_in(onnx.load(str(model)).graph)
    assert wanted, model
    missing = [name for name in wanted if name.removesuffix(".weight") not in planned]
    assert not missing, (model.name, missing)
    return len(wanted)


def check_artifact(folder, model, feeds, is_static, calibration):
    results = folder / f"{model.stem}_{is_static}"
    words = [f"dataset.quant_calibration_dataset.inputs={calibration}"] if is_static else []
    made = command("quantize", "--json", "-e", spec(folder, is_static), f"model_path={model}", f"results_dir={results}", *words)
    assert made.returncode == 0, (model.name, made.stderr)
    layers = json.loads(made.stdout)["layers"]
    artifact = next(results.glob("*.onnx"))
    onnx.checker.check_model(str(artifact), full_check=True)
    plain = run(artifact, feeds)
    optimized = run(artifact, feeds, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    count = sum(layer["weights"]["dtype"] != "native" for layer in layers)
    return sqnr(run(model, feeds), plain), sqnr(plain, optimized), count


def main(folder):
    for model, inputs, *least in CASES:
        count = check_plan(folder, model)
        calibration = folder / f"{model.stem}.npz"
        np.savez(calibration, **inputs(1))
        for is_static, wanted in zip((False, True), least):
            if wanted is None:
                continue
            kept, agreed, quantized = check_artifact(folder, model, inputs(2), is_static, calibration)
            print(f"{model.name:38} {count:3} weights, {quantized:3} quantized, {'static' if is_static else 'weights'}: "
                  f"{kept:5.1f} dB, default level against none {agreed:5.1f} dB", flush=True)
            assert kept >= wanted, (model.name, is_static, kept)
            assert agreed >= min(kept + LEAST_BELOW_NOISE, MOST), (model.name, is_static, kept, agreed)


if __name__ == "__main__":
    needs_openvino()
    with tempfile.TemporaryDirectory() as work:
        main(pathlib.Path(work))
