#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oracle_test.py PTQ RUN_MODEL EXAMPLES

What `ptq quantize` writes for the shipped models, run by ONNX Runtime with its optimizations off, against tiny_engine and
against what `ptq evaluate` says: layer by layer on the same inputs, and end to end on the test set. At every other level of
ONNX Runtime the artifacts, weight-only ones too, give the same top-1, without any option of the session.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort

PTQ, RUN_MODEL, EXAMPLES = (Path(argument).resolve() for argument in sys.argv[1:4])
CONFIGURATIONS = (("int8", "minmax"), ("int8", "entropy"), ("fp8_e4m3fn", "minmax"), ("fp8_e5m2", "minmax"))
MODELS = (("lenet-digits", "test_images.npy", (1, 28, 28), 1 / 255), ("pitch-transformer", "test_inputs.npy", (1, 512), 1))
LAYER_SAMPLES = 64  # of each layer; end to end all samples are run
BYTES = np.arange(256, dtype=np.uint8)
LEVELS = {dtype: np.unique(values[np.isfinite(values)]) for dtype, values in (
    ("int8", BYTES.view(np.int8).astype(np.float32)),
    ("fp8_e4m3fn", BYTES.view(ml_dtypes.float8_e4m3fn).astype(np.float32)),
    ("fp8_e5m2", BYTES.view(ml_dtypes.float8_e5m2).astype(np.float32)))}
failures = []


def check(condition, text):
    print("ok  " if condition else "FAIL", text)
    if not condition:
        failures.append(text)


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def run_oracle(model, feeds, wanted, level="DISABLE_ALL"):
    """The wanted tensors of a model, inner ones too, as ONNX Runtime computes them."""
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    known = {output.name for output in model.graph.output}
    tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_{level}")
    options.log_severity_level = 3
    session = ort.InferenceSession(tapped.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(list(wanted), feeds)


def run_tiny(model, feeds, wanted, folder):
    """Likewise, as tiny_engine does; and how many of the layers it computed in integers."""
    np.savez(folder / "inputs.npz", **feeds)
    onnx.save(model, folder / "model.onnx")
    integer_layers = int(command(RUN_MODEL, folder / "model.onnx", folder / "inputs.npz", folder, *wanted))
    return [np.load(folder / f"{i}.npy") for i in range(len(wanted))], integer_layers


class Graph:
    """A Q/DQ model, its quantized tensors and layers."""

    def __init__(self, path):
        self.model = onnx.load(path)
        onnx.checker.check_model(self.model, full_check=True)
        self.makers = {name: node for node in self.model.graph.node for name in node.output}
        self.constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        self.quantized = {node.input[0]: node for node in self.model.graph.node if node.op_type == "QuantizeLinear"}
        self.layers = [node for node in self.model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") and
                       all(self.makers.get(name, node).op_type == "DequantizeLinear" for name in node.input[:2])]

    def dequantized(self, tensor):
        """What a quantized tensor becomes."""
        codes = self.quantized[tensor].output[0]
        return next(node.output[0] for node in self.model.graph.node
                    if node.op_type == "DequantizeLinear" and node.input[0] == codes)

    def cut(self, target):
        """The model of a tensor, back to the float tensors in front of the QuantizeLinear nodes on the way; and their names."""
        needed, inputs, waiting = set(), {}, [target]
        while waiting:
            name = waiting.pop()
            if not name or name in self.constants:
                continue
            if name not in self.makers or (name in self.quantized and name not in (target, self.source_of(target))):
                inputs[name] = True
                continue
            needed.add(name)
            waiting += self.makers[name].input
        nodes = [node for node in self.model.graph.node if needed & set(node.output)]
        used = {name for node in nodes for name in node.input}
        graph = onnx.helper.make_graph(
            nodes, "cut", [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in inputs],
            [onnx.helper.make_tensor_value_info(target, onnx.TensorProto.FLOAT, None)],
            [tensor for tensor in self.model.graph.initializer if tensor.name in used])
        return onnx.helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version), list(inputs)

    def source_of(self, target):
        """The float tensor behind a dequantized one; the tensor itself if it is none."""
        maker = self.makers[target]
        return self.makers[maker.input[0]].input[0] if maker.op_type == "DequantizeLinear" else target


def check_layers(graph, inputs, title, folder, dtype):
    """Each layer on the oracle's input of it; then each tensor that is quantized again, on the oracle's tensors before it."""
    wanted = list(graph.quantized) + [node.output[0] for node in graph.layers] + [graph.dequantized(t) for t in graph.quantized]
    values = dict(zip(wanted, run_oracle(graph.model, inputs, wanted))) | inputs
    worst = 0.0
    for node in graph.layers:
        model, names = graph.cut(node.output[0])
        (got,), integer_layers = run_tiny(model, {name: values[name] for name in names}, node.output[:1], folder)
        expected = values[node.output[0]]
        assert got.shape == expected.shape and len(names) == 1 and integer_layers == (dtype == "int8"), (node.name, names, integer_layers)
        worst = max(worst, np.abs(got - expected).max() / np.abs(expected).max())
    check(worst <= 1e-5, f"{title}: {len(graph.layers)} layers, error at most {worst:.1e} of max|y|")

    share = 0.0
    inner = [tensor for tensor in graph.quantized if tensor not in inputs]
    for tensor in inner:
        target = graph.dequantized(tensor)
        model, names = graph.cut(target)
        (got,), _ = run_tiny(model, {name: values[name] for name in names}, [target], folder)
        scale = graph.constants[graph.quantized[tensor].input[1]]
        steps = np.abs(codes_of(got / scale, dtype) - codes_of(values[target] / scale, dtype))
        assert got.shape == values[target].shape and steps.max() <= 1, (tensor, steps.max())
        share = max(share, np.mean(steps))
    check(share <= 1e-3, f"{title}: {len(inner)} quantized tensors, at most {100 * share:.4f} % one quantum off")


def codes_of(values, dtype):
    """The place of each value among the values of the dtype, counted from the lowest."""
    levels = LEVELS[dtype]
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values)


def check_report(graph, path, inputs, title, report):
    """What the report expects of the error of each layer's input, from the histogram, against that of the calibration data."""
    values = dict(zip(graph.quantized, run_oracle(onnx.load(path), inputs, list(graph.quantized)))) | inputs
    dtype = title.split()[1]
    worst = 0.0
    for node in graph.layers:
        name = graph.makers[node.input[1]].input[0].removesuffix("_quantized").removesuffix(".weight")
        activations = next(layer["activations"] for layer in report["layers"] if layer["name"] == name)
        tensor = graph.source_of(node.input[0])
        levels, scale = LEVELS[dtype], graph.constants[graph.quantized[tensor].input[1]]
        rounded = levels[codes_of(values[tensor] / scale, dtype)] * scale
        worst = max(worst, abs(activations["sqnr_db"] - sqnr(values[tensor], rounded)))
        beyond = np.mean(np.abs(values[tensor]) > activations["amax"])
        assert abs(activations["clipped_share"] - beyond) <= 1e-3, (name, activations, beyond)
    check(worst <= 0.3, f"{title}: the report's SQNR of inputs is within {worst:.2f} dB")


def check_end_to_end(graph, path, data, title, folder, evaluated):
    """All test samples; labels and float logits are ONNX Runtime's business alone."""
    inputs, labels = data
    expected, = run_oracle(onnx.load(path), inputs, ["logits"])
    oracle, = run_oracle(graph.model, inputs, ["logits"])
    (tiny,), integer_layers = run_tiny(graph.model, inputs, ["logits"], folder)
    check(integer_layers == (len(graph.layers) if "int8" in title else 0), f"{title}: {integer_layers} integer layers")
    same = np.mean(oracle.argmax(1) == tiny.argmax(1))
    check(same >= 0.999, f"{title}: the same top-1 for {100 * same:.2f} % of {len(labels)} samples")
    difference = abs(sqnr(expected, oracle) - sqnr(expected, tiny))
    check(difference <= 0.1, f"{title}: logit SQNR {sqnr(expected, oracle):.2f} dB, {difference:.3f} dB apart")

    sample = 1.5 / len(labels)  # at most one sample is decided otherwise
    for name, wanted, slack in (
            ("samples", len(labels), 0),
            ("float_top1", np.mean(expected.argmax(1) == labels), sample),
            ("quantized_top1", np.mean(oracle.argmax(1) == labels), sample),
            ("agreement", np.mean(oracle.argmax(1) == expected.argmax(1)), sample),
            ("sqnr_db", sqnr(expected, oracle), 0.1)):
        check(abs(evaluated[name] - wanted) <= slack, f"{title}: evaluate says {name} {evaluated[name]:.5g}, the oracle {wanted:.5g}")


def check_levels(model, data, title, evaluated):
    """Top-1 is what `evaluate` says, and the logits are those of the level that changes nothing."""
    inputs, labels = data
    plain, = run_oracle(model, inputs, ["logits"])
    for level in ("ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL"):
        got, = run_oracle(model, inputs, ["logits"], level)
        top1 = np.mean(got.argmax(1) == labels)
        check(abs(top1 - evaluated["quantized_top1"]) <= 1.5 / len(labels) and sqnr(plain, got) >= 40,
              f"{title}: level {level}: top-1 {100 * top1:.2f} %, evaluate says {100 * evaluated['quantized_top1']:.2f} %; "
              f"{sqnr(plain, got):.0f} dB apart from level none")


def check_weight_only(name, data, test_words, folder):
    for dtype in LEVELS:
        spec = folder / f"{name}_{dtype}.yaml"
        spec.write_text(f"quantize: {{layers: [{{module_name: '*', weights: {{dtype: {dtype}}}}}]}}\n")
        words = ["-e", spec, f"model_path={EXAMPLES / 'models' / name / 'model.onnx'}", f"results_dir={folder / spec.stem}"]
        command(PTQ, "quantize", *words)
        evaluated = json.loads(command(PTQ, "evaluate", "--json", *words, *test_words))
        model = onnx.load(folder / spec.stem / "quantized_model_torchao.onnx")
        check_levels(model, data, f"{name} {dtype} weight-only", evaluated)


def sqnr(wanted, got):
    wanted, got = wanted.astype(np.float64), got.astype(np.float64)
    noise = np.sum((wanted - got) ** 2)
    return float("inf") if noise == 0 else 10 * np.log10(np.sum(wanted ** 2) / noise)


def main(folder):
    for name, test_file, shape, scale in MODELS:
        model = EXAMPLES / "models" / name
        inputs, seen = ({"input": (np.load(model / file).astype(np.float64) * scale).astype(np.float32).reshape(-1, *shape)}
                        for file in (test_file, "calib.npy"))
        few = {"input": inputs["input"][:LAYER_SAMPLES]}
        data = inputs, np.load(model / "test_labels.npy")
        test_words = [f"evaluate.inputs={model / test_file}", f"evaluate.labels={model / 'test_labels.npy'}", f"evaluate.scale={scale}"]
        for dtype, algorithm in CONFIGURATIONS:
            title = f"{name} {dtype} {algorithm}"
            results = folder / title.replace(" ", "_")
            words = ["-e", EXAMPLES / "specs" / "static.yaml", f"model_path={model / 'model.onnx'}", f"results_dir={results}",
                     f"quantize.algorithm={algorithm}"]
            words += [f"quantize.layers.{rule}.{slot}.dtype={dtype}" for rule in (0, 1) for slot in ("weights", "activations")]
            calibration = "dataset.quant_calibration_dataset"
            command(PTQ, "quantize", *words, f"{calibration}.inputs={model / 'calib.npy'}", f"{calibration}.scale={scale}")
            evaluated = json.loads(command(PTQ, "evaluate", "--json", *words, *test_words))
            graph = Graph(results / "quantized_model_modelopt.onnx")
            report = json.loads((results / "quantize_report.json").read_text())
            planned = sum(layer["weights"]["dtype"] == dtype for layer in report["layers"])
            check(len(graph.layers) == planned >= 4, f"{title}: {planned} layers")
            check_report(graph, model / "model.onnx", seen, title, report)
            check_layers(graph, few, title, folder, dtype)
            check_end_to_end(graph, model / "model.onnx", data, title, folder, evaluated)
            check_levels(graph.model, data, title, evaluated)
        check_weight_only(name, data, test_words, folder)


with tempfile.TemporaryDirectory() as scratch:
    main(Path(scratch))
print(f"{len(failures)} failed")
sys.exit(bool(failures))
