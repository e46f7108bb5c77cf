# SPDX-License-Identifier: Apache-2.0
"""C headers as firmware gets them: compilers take them without a word, and the numbers that a compiled program prints are
those of the artifact, of TFLite's formulas and of the float network.

header_test.py PTQ EXAMPLES"""
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cli"))
from command import CommandTest, EXAMPLES, LENET, STATIC, WEIGHT_ONLY, main, npy, npz  # noqa: E402

MODELS = EXAMPLES / "models" / "lenet-digits"
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion", "-Wdouble-promotion", "-Wundef", "-Wshadow"]
ARRAY = re.compile(r"^PTQ_C_HEADER_CONSTANT (\w+) (\w+)\[(\d+)\] = ", re.MULTILINE)
MACRO = re.compile(r"^#define ([A-Z]\w*) (.+)$", re.MULTILINE)
TYPES = {"int8_t": np.int8, "uint8_t": np.uint8, "int32_t": np.int32, "float": np.float32}
NAMES = ["a.b", "a_b", "A/b", "int", "2", "слой", "x*/ ??/\n#error \"y\" //\\\n", "last"]


def program_of(header, text):
    """A program of C that prints the bits of every array."""
    lines = [f'#include "{header}"', "#include <stdio.h>", "#include <string.h>",
             "int main(void) {", "  unsigned long i, bits;", "  float number;", "  (void)bits; (void)number;"]
    for kind, name, count in ARRAY.findall(text):
        lines += [f'  printf("{name}");', f"  for (i = 0; i < {count}; ++i) {{"]
        if kind == "float":
            lines += [f"    bits = 0; number = {name}[i]; memcpy(&bits, &number, 4);", '    printf(" %lu", bits);']
        else:
            lines += [f'    printf(" %ld", (long){name}[i]);']
        lines += ["  }", '  printf("\\n");']
    return "\n".join(lines + ["  return 0;", "}", ""])


def quantize_multiplier(real):
    """TFLite's: (multiplier, shift)."""
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def half_away(values):
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


def requantize(sums, multiplier, shift):
    """With one rounding, in Python's integers: half up, as CMSIS-NN with CMSIS_NN_USE_SINGLE_ROUNDING."""
    scaled = sums.astype(object) * np.array([int(m) for m in multiplier], dtype=object)
    down = [31 - int(s) for s in shift]
    return np.array([[(int(v) + (1 << (d - 1))) >> d for v, d in zip(row, down)] for row in scaled.reshape(-1, len(down))]).reshape(sums.shape)


class Header:
    """What a header says, once compiled."""

    def __init__(self, test, path, name):
        self.path, self.name, self.text = path, name, path.read_text(encoding="ascii")
        self.words = " ".join(self.text.replace("\n *", " ").split())  # comments without their lines
        source = test.write("print.c", program_of(path, self.text))
        binary = test.folder / "print"
        test.compile(["gcc", "-std=c99", *WARNINGS, source, "-o", binary])
        self.arrays = {}
        kinds = {name: TYPES[kind] for kind, name, _ in ARRAY.findall(self.text)}
        for line in subprocess.run([binary], capture_output=True, text=True, check=True).stdout.splitlines():
            array, *numbers = line.split()
            if kinds[array] is np.float32:
                self.arrays[array] = np.array([int(n) for n in numbers], np.uint32).view(np.float32)
            else:
                self.arrays[array] = np.array([int(n) for n in numbers], kinds[array])
        self.macros = dict(MACRO.findall(self.text))

    def array(self, layer, what):
        return self.arrays.get(f"{self.name}_{layer}_{what}")

    def macro(self, layer, what):
        value = self.macros.get(f"{self.name}_{layer}_{what}".upper())
        if value is None or value.startswith('"'):
            return value and value.strip('"')
        value = value.strip("()").replace("INT32_MIN", str(-2**31)).replace("INT32_MAX", str(2**31 - 1))
        return float.fromhex(value.rstrip("F")) if "x" in value else int(value)

    def weight(self, layer):
        dims = [self.macro(layer, f"weight_dim_{i}") for i in range(self.macro(layer, "weight_rank"))]
        return self.array(layer, "weight").reshape(dims)


def small_network():
    """Depthwise, Clip, MaxPool, a flattened image, Gemm as [in, out], MatMul and Add; names that no C program could have."""
    random = np.random.default_rng(5)

    def constant(name, *shape):
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    nodes, constants = [], []

    def conv(name, source, target, shape, **more):
        constants.extend([constant(name + ".weight", *shape), constant(name + ".bias", shape[0])])
        nodes.append(helper.make_node("Conv", [source, name + ".weight", name + ".bias"], [target], **more))

    conv("a.b", "input", "t0", (4, 3, 3, 3), pads=[1, 1, 1, 1])
    nodes.append(helper.make_node("Relu", ["t0"], ["t1"]))
    nodes.append(helper.make_node("MaxPool", ["t1"], ["t2"], kernel_shape=[2, 2], strides=[2, 2]))
    conv("a_b", "t2", "t3", (4, 1, 3, 3), group=4, pads=[1, 1, 1, 1])
    constants.extend([numpy_helper.from_array(np.float32(0.25), "low"), numpy_helper.from_array(np.float32(6), "high")])
    nodes.append(helper.make_node("Clip", ["t3", "low", "high"], ["t4"]))
    conv("A/b", "t4", "t5", (6, 4, 1, 1))
    nodes.append(helper.make_node("Add", ["t5", "t5"], ["t6"]))
    conv("int", "t6", "t7", (5, 3, 3, 3), group=2, strides=[1, 1])
    nodes = nodes[:-1] + [helper.make_node("Conv", ["t6", "int.weight", "int.bias"], ["t7"], group=2)]
    constants = [c for c in constants if not c.name.startswith("int.")] + [constant("int.weight", 6, 3, 3, 3), constant("int.bias", 6)]
    nodes.append(helper.make_node("Relu", ["t7"], ["t8"]))
    nodes.append(helper.make_node("Flatten", ["t8"], ["t9"]))
    constants.extend([constant("2.weight", 24, 7), constant("2.bias", 7)])
    nodes.append(helper.make_node("Gemm", ["t9", "2.weight", "2.bias"], ["t10"], beta=0.5))
    nodes.append(helper.make_node("Relu", ["t10"], ["t11"]))
    strange = NAMES[6]
    constants.extend([constant("слой.weight", 7, 5), constant("слой.bias", 5), constant(strange + ".weight", 5, 6)])
    nodes.append(helper.make_node("MatMul", ["t11", "слой.weight"], ["t12"]))
    nodes.append(helper.make_node("Add", ["t12", "слой.bias"], ["t13"]))
    nodes.append(helper.make_node("MatMul", ["t13", strange + ".weight"], ["t14"]))
    nodes.append(helper.make_node("MatMul", ["t13", "last.weight"], ["t15"]))
    constants.append(constant("last.weight", 5, 3))
    nodes.append(helper.make_node("Softmax", ["t15"], ["output"], axis=-1))
    graph = helper.make_graph(nodes, "small", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 8, 8])],
                              [helper.make_tensor_value_info("t14", TensorProto.FLOAT, ["batch", 6]),
                               helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class HeaderTest(CommandTest):
    def compile(self, command):
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
        self.assertEqual((run.returncode, run.stderr[:2000]), (0, ""))

    def run_ptq(self, *arguments):
        run = self.ptq(*arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def static_artifact(self, model, inputs, *more, kind="inputs", out="out"):
        return self.run_ptq("quantize", "-e", STATIC, f"model_path={model}", f"results_dir={out}",
                            f"dataset.quant_calibration_dataset.{kind}={inputs}", *more)

    def small_artifact(self):
        model = self.folder / "small.onnx"
        onnx.save(small_network(), model)
        random = np.random.default_rng(1)
        shapes = [(2, 3, 8, 8), (2, 4, 4, 4), (2, 4, 4, 4), (2, 6, 4, 4), (2, 24), (2, 7), (2, 5), (2, 5)]
        recorded = {}
        for i, (name, shape) in enumerate(zip(NAMES, shapes)):
            data = random.normal(size=shape) * (i + 1)
            data.flat[0] = 5 * min(i + 1, 7)  # the last two share their input
            recorded[name] = npy(shape, np.clip(data, -5 * min(i + 1, 7), 5 * min(i + 1, 7)).astype(np.float32).tobytes())
        inputs = self.write("recorded.npz", npz(recorded))
        self.static_artifact(model, inputs, kind="activations")
        return self.folder / "out" / "quantized_model_modelopt.onnx"

    def export(self, artifact, *more, name="model", out="export"):
        self.run_ptq("export", artifact, "--format", "c-header", "--name", name, "-o", out, *more)
        return Header(self, self.folder / out / (artifact.stem + ".h"), name)

    def lenet_header(self):
        self.static_artifact(MODELS / "model.onnx", MODELS / "calib.npy",
                             "dataset.quant_calibration_dataset.scale=0.00392156862745098")
        return self.export(self.folder / "out" / "quantized_model_modelopt.onnx", name="lenet")


class Compilers(HeaderTest):
    def test_every_compiler_takes_it(self):
        header = self.lenet_header()
        include = f'#include "{header.path}"\n'
        c = self.write("use.c", include * 2 + "int use(void);\nint use(void) { return lenet_conv1_weight[0]; }\n")
        constant = ("static_assert(sizeof lenet_conv1_weight == LENET_CONV1_WEIGHT_SIZE && lenet_fc2_shift[0] > -32 &&\n"
                    "              lenet_conv1_weight_scale[0] > 0, \"constant\");\n")
        one = self.write("one.cpp", include + constant + "const signed char* other();\n"
                         "int main() { return other() == lenet_fc1_weight ? 0 : 1; }\n")
        two = self.write("two.cpp", 'extern "C" {\n' + include + "}\nconst signed char* other();\n"
                         "const signed char* other() { return lenet_fc1_weight; }\n")
        section = self.write("section.c", "#define PTQ_C_HEADER_ATTRIBUTE(name) __attribute__((aligned(64), section(\".weights\")))\n" + include +
                             "int use(void);\nint use(void) { return lenet_conv1_weight[0]; }\n")
        for compiler in ("gcc", "clang-19", "arm-none-eabi-gcc"):
            if shutil.which(compiler) is None:
                continue
            for standard in ("c99", "c11"):
                with self.subTest(compiler=compiler, standard=standard):
                    for source in (c, section):
                        self.compile([compiler, f"-std={standard}", *WARNINGS, "-c", source, "-o", "/dev/null"])
        for compiler in ("g++", "clang++-19"):
            if shutil.which(compiler) is None:
                continue
            with self.subTest(compiler=compiler):
                self.compile([compiler, "-std=c++17", *WARNINGS, one, two, "-o", self.folder / "both"])
                self.assertEqual(subprocess.run([self.folder / "both"], check=False).returncode, 0)

    def test_a_false_size_is_no_program(self):
        header = self.lenet_header()
        wrong = header.text.replace("#define LENET_FC1_BYTES ", "#define LENET_FC1_BYTES 1")
        self.assertNotEqual(wrong, header.text)
        for standard in ("c99", "c11"):
            source = self.write("wrong.c", wrong)
            run = subprocess.run(["gcc", f"-std={standard}", "-fsyntax-only", source], capture_output=True, check=False)
            self.assertNotEqual(run.returncode, 0)


class Numbers(HeaderTest):
    def check_layer(self, header, layer, artifact, tensor, input_scale, output_scale, low, bias=None):
        constants = {one.name: numpy_helper.to_array(one) for one in artifact.graph.initializer}
        codes, scales = constants[tensor + "_quantized"], constants[tensor + "_scale"]
        np.testing.assert_array_equal(header.weight(layer), codes)
        np.testing.assert_array_equal(header.array(layer, "weight_scale"), scales)
        axes = tuple(range(1, codes.ndim)) if scales.shape[0] == codes.shape[0] else (0,)
        np.testing.assert_array_equal(header.array(layer, "kernel_sum"), codes.sum(axis=axes, dtype=np.int64))
        unit = float(input_scale) * scales.astype(np.float64)
        if output_scale is None:
            output_scale = np.float32(unit.max())
            self.assertEqual((header.macro(layer, "output_is_int8"), low, 2**31 - 1),
                             (0, header.macro(layer, "activation_min"), header.macro(layer, "activation_max")))
        else:
            self.assertEqual((header.macro(layer, "output_is_int8"), low, 127),
                             (1, header.macro(layer, "activation_min"), header.macro(layer, "activation_max")))
        self.assertEqual(header.macro(layer, "output_scale"), output_scale)
        self.assertEqual(header.macro(layer, "input_scale"), input_scale)
        wanted = [quantize_multiplier(one / float(output_scale)) for one in unit]
        found = list(zip(header.array(layer, "multiplier"), header.array(layer, "shift")))
        self.assertEqual(found, wanted)
        if bias is not None:
            np.testing.assert_array_equal(header.array(layer, "bias"), half_away(bias.astype(np.float64) / unit))

    def test_lenet(self):
        header = self.lenet_header()
        artifact = onnx.load(self.folder / "out" / "quantized_model_modelopt.onnx")
        constants = {one.name: numpy_helper.to_array(one) for one in artifact.graph.initializer}
        layers = ["conv1", "conv2", "fc1", "fc2"]
        makers = {name: node for node in artifact.graph.node for name in node.output}
        scales = []
        for node in artifact.graph.node:
            if node.op_type in ("Conv", "Gemm"):
                scales.append(np.float32(constants[makers[node.input[0]].input[1]]))
        for i, layer in enumerate(layers):
            is_last = i == 3
            self.check_layer(header, layer, artifact, layer + ".weight", scales[i], None if is_last else scales[i + 1],
                             -2**31 if is_last else 0, constants[layer + ".bias"])
        total = sum(array.nbytes for array in header.arrays.values())
        self.assertEqual(int(header.macros["LENET_BYTES"]), total)
        report = {one["name"]: one for one in json.loads((self.folder / "out" / "quantize_report.json").read_text())["layers"]}
        for layer in layers:  # what codes let expect is near what was measured
            expected = re.search(rf"{layer}: \w+, weight .*? Expected SQNR ([0-9.]+) dB", header.words)
            self.assertAlmostEqual(float(expected.group(1)), report[layer]["weights"]["sqnr_db"], delta=1.0)

    def test_the_same_bytes_each_time_and_from_the_model(self):
        first = self.lenet_header()
        again = self.export(self.folder / "out" / "quantized_model_modelopt.onnx", name="lenet", out="again")
        self.static_artifact(MODELS / "model.onnx", MODELS / "calib.npy",
                             "dataset.quant_calibration_dataset.scale=0.00392156862745098", "--format", "c-header", "--name", "lenet",
                             out="direct")
        self.assertEqual(first.path.read_bytes(), again.path.read_bytes())
        self.assertEqual(first.path.read_bytes(), (self.folder / "direct" / "quantized_model_modelopt.h").read_bytes())
        self.assertEqual(sorted(one.name for one in (self.folder / "direct").iterdir()),
                         ["experiment.yaml", "quantize_report.json", "quantized_model_modelopt.h", "status.json"])

    def test_checkpoints(self):
        """All containers of one checkpoint give one header; fp8 are bits."""
        for dtype, kind in (("int8", np.int8), ("fp8_e4m3fn", np.uint8)):
            texts = []
            for form, suffix in (("safetensors", "safetensors"), ("pth", "pth")):
                run = self.quantize(WEIGHT_ONLY, 'quantize.layers=[{module_name: "*", weights: {dtype: %s}}]' % dtype, "--format", form)
                self.assertEqual(run.returncode, 0, run.stderr)
                header = self.export(self.folder / "out" / f"quantized_model_torchao.{suffix}")
                texts.append(header.text)
                self.assertEqual(header.array("conv1", "weight").dtype, kind)
                self.assertEqual(header.array("conv1", "bias_float").shape, (8,))
                self.assertIsNone(header.array("conv1", "bias"))
                self.assertIsNone(header.array("conv1", "multiplier"))
                self.assertIn("Expected", header.text)
            self.assertEqual(*texts)


class Graphs(HeaderTest):
    def test_what_a_graph_decides(self):
        artifact = self.small_artifact()
        header = self.export(artifact)
        names = re.findall(r"\b(\w+)_weight\[", header.text)
        self.assertEqual(names, ["model_a_b", "model_a_b_2", "model_A_b_3", "model_int", "model_2", "model_layer", "model_x_error_y",
                                 "model_last"])
        graph = onnx.load(artifact)
        constants = {one.name: numpy_helper.to_array(one) for one in graph.graph.initializer}
        makers = {name: node for node in graph.graph.node for name in node.output}
        inputs = {}
        for node in graph.graph.node:
            if node.op_type in ("Conv", "Gemm", "MatMul"):
                tensor = makers[node.input[1]].input[0].removesuffix("_quantized")
                inputs[tensor] = np.float32(constants[makers[node.input[0]].input[1]])
        of = {layer: inputs[name + ".weight"] for layer, name in
              zip(("a_b", "a_b_2", "A_b_3", "int", "2", "layer", "x_error_y", "last"), NAMES)}
        self.check = Numbers.check_layer.__get__(self)
        self.check(header, "a_b", graph, "a.b.weight", of["a_b"], of["a_b_2"], 0, constants["a.b.bias"])
        low = int(np.rint(np.float32(0.25) / of["A_b_3"]))
        high = min(127, int(np.rint(np.float32(6) / of["A_b_3"])))
        self.assertEqual((header.macro("a_b_2", "activation_min"), header.macro("a_b_2", "activation_max")), (low, high))
        self.assertIsNone(header.array("A_b_3", "multiplier"))  # Add computes
        self.assertIsNotNone(header.array("A_b_3", "bias"))
        self.assertIn("(Add) takes its output as", header.text)
        self.check(header, "2", graph, "2.weight", of["2"], of["layer"], 0, constants["2.bias"] / 2)
        self.check(header, "layer", graph, "слой.weight", of["layer"], of["last"], -128, constants["слой.bias"])
        self.check(header, "x_error_y", graph, NAMES[6] + ".weight", of["x_error_y"], None, -2**31)
        self.assertEqual(header.macro("last", "has_bias"), 0)
        self.assertEqual([header.macro("a_b", "pad_begin_0"), header.macro("a_b_2", "groups"), header.macro("a_b_2", "weight_layout")],
                         [1, 4, "OIHW"])

    def test_channels_last_computes_the_same(self):
        artifact = self.small_artifact()
        as_is = self.export(artifact)
        turned = self.export(artifact, "--layout", "ohwi", out="turned")
        random = np.random.default_rng(3)
        image = random.integers(-128, 128, size=(3, 8, 8))

        def conv(x, w, groups, pad):  # x: C H W, w: O I H W
            x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
            size, per, inputs = w.shape[2], w.shape[0] // groups, w.shape[1]
            out = np.zeros((w.shape[0], x.shape[1] - size + 1, x.shape[2] - size + 1), np.int64)
            for o in range(w.shape[0]):
                part = x[o // per * inputs:(o // per + 1) * inputs]
                for i in np.ndindex(out.shape[1:]):
                    out[o][i] = (part[:, i[0]:i[0] + size, i[1]:i[1] + size] * w[o]).sum()
            return out

        def conv_last(x, w, groups, pad, is_depthwise):  # x: H W C, w: O H W I, or I H W O
            x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
            outputs, size = (w.shape[3] if is_depthwise else w.shape[0]), w.shape[1]
            out = np.zeros((x.shape[0] - size + 1, x.shape[1] - size + 1, outputs), np.int64)
            for i in np.ndindex(out.shape[:2]):
                window = x[i[0]:i[0] + size, i[1]:i[1] + size]
                if is_depthwise:
                    out[i] = (window * w[0]).sum(axis=(0, 1))
                    continue
                per, inputs = outputs // groups, w.shape[3]
                for o in range(outputs):
                    out[i][o] = (window[:, :, o // per * inputs:(o // per + 1) * inputs] * w[o]).sum()
            return out

        wide = np.int64
        first, last = image.astype(wide), image.transpose(1, 2, 0).astype(wide)
        for layer, groups, pad in (("a_b", 1, 1), ("a_b_2", 4, 1), ("A_b_3", 1, 0), ("int", 2, 0)):
            layout = turned.macro(layer, "weight_layout")
            self.assertEqual(layout, "IHWO" if layer == "a_b_2" else "OHWI")
            first = conv(first, as_is.weight(layer).astype(wide), groups, pad)
            last = conv_last(last, turned.weight(layer).astype(wide), groups, pad, layout == "IHWO")
            np.testing.assert_array_equal(first.transpose(1, 2, 0), last)
            if layer == "a_b":
                first, last = first[:, ::2, ::2][:, :4, :4], last[::2, ::2][:4, :4]
        first, last = first[:, :2, :2] % 11, last[:2, :2] % 11
        self.assertEqual((as_is.macro("2", "weight_layout"), turned.macro("2", "weight_layout")), ("IO", "OI"))
        np.testing.assert_array_equal(first.reshape(-1) @ as_is.weight("2").astype(wide),
                                      turned.weight("2").astype(wide) @ last.reshape(-1))
        np.testing.assert_array_equal(as_is.weight("layer").T, turned.weight("layer"))
        for name, array in as_is.arrays.items():  # the others stay
            if not name.endswith("_weight"):
                np.testing.assert_array_equal(array, turned.arrays[name])


class OddGraphs(HeaderTest):
    """Of artifacts that are made by hand, and of other programs."""
    random = np.random.default_rng(0)
    zero = numpy_helper.from_array(np.int8(0), "zero")

    def rounded(self, source, scale, name, zero="zero"):
        """(constants, nodes) that round a tensor."""
        return [numpy_helper.from_array(np.float32(scale), name + "_s")], [
            helper.make_node("QuantizeLinear", [source, name + "_s", zero], [name + "_q"]),
            helper.make_node("DequantizeLinear", [name + "_q", name + "_s", zero], [name])]

    def weight(self, name, shape, axis=0):
        codes = self.random.integers(-127, 128, size=shape).astype(np.int8)
        scales = self.random.uniform(0.01, 0.02, size=shape[axis]).astype(np.float32)
        return [numpy_helper.from_array(codes, name + ".weight_quantized"), numpy_helper.from_array(scales, name + ".weight_s")], [
            helper.make_node("DequantizeLinear", [name + ".weight_quantized", name + ".weight_s"], [name], axis=axis)]

    def exported(self, parts, shape, outputs, *more, values=()):
        """The header of a graph of (constants, nodes) and nodes."""
        constants, nodes = [self.zero], []
        for part in parts:
            if isinstance(part, tuple):
                constants += part[0]
                nodes += part[1]
            else:
                nodes.append(part)
        graph = helper.make_graph(nodes, "odd", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                                  [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], constants,
                                  value_info=[helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in values])
        model = self.folder / "odd.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
        run = self.ptq("export", model, "--format", "c-header", "-o", "odd", *more)
        if run.returncode:
            return run.stderr
        return Header(self, self.folder / "odd" / "quantized_model_odd.h", "model")

    def test_an_output_that_goes_two_ways(self):
        image, first = self.rounded("x", 0.05, "xr"), self.weight("c", (2, 3, 3, 3))
        conv = helper.make_node("Conv", ["xr", "c"], ["y"], auto_pad="SAME_UPPER")
        header = self.exported([image, first, conv, self.rounded("y", 0.1, "a"), self.rounded("y", 0.2, "b"), self.weight("d", (2, 2, 1, 1)),
                                self.weight("e", (2, 2, 1, 1)), helper.make_node("Conv", ["a", "d"], ["o1"]),
                                helper.make_node("Conv", ["b", "e"], ["o2"])], [1, 3, 8, 8], ["o1", "o2"])
        self.assertIn("its output is quantized in two ways", header.words)
        self.assertIn("Its padding depends on the image: SAME_UPPER.", header.words)
        self.assertIsNone(header.array("c", "shift"))
        self.assertIsNotNone(header.array("d", "shift"))
        header = self.exported([image, first, conv, helper.make_node("Relu", ["y"], ["r"]), helper.make_node("Concat", ["y", "r"], ["k"], axis=1),
                                self.rounded("k", 0.1, "a"), self.weight("d", (2, 4, 1, 1)), helper.make_node("Conv", ["a", "d"], ["o"])],
                               [1, 3, 8, 8], ["o"])
        self.assertIn("its output is bounded in two ways", header.words)

    def test_shared_weights(self):
        header = self.exported([self.rounded("x", 0.05, "xr"), self.weight("c", (3, 3, 1, 1)), helper.make_node("Conv", ["xr", "c"], ["y"]),
                                self.rounded("y", 0.1, "a"), helper.make_node("Conv", ["a", "c"], ["o"])], [1, 3, 8, 8], ["o"])
        self.assertIn("nodes that share its weight have inputs of their own", header.words)
        self.assertEqual(re.findall(r"(\w+)\[\d+\] =", header.text), ["model_c_weight", "model_c_weight_scale"])

    def test_gemm(self):
        image, matrix = self.rounded("x", 0.05, "xr"), self.weight("fc", (4, 6))
        scales = numpy_helper.to_array(matrix[0][1]) * np.float32(0.05)
        codes = np.array([-1500, 2**31 - 1, 0, 7], np.int32)
        bias = ([numpy_helper.from_array(codes, "codes"), numpy_helper.from_array(scales, "scales")],
                [helper.make_node("DequantizeLinear", ["codes", "scales"], ["bias"], axis=0)])
        header = self.exported([image, matrix, bias, helper.make_node("Gemm", ["xr", "fc", "bias"], ["o"], transB=1)], [1, 6], ["o"])
        np.testing.assert_allclose(header.array("fc", "bias"), codes, rtol=1e-6)
        header = self.exported([image, matrix, helper.make_node("Gemm", ["xr", "fc"], ["o"], transB=1, alpha=2.0)], [1, 6], ["o"])
        self.assertIn("its Gemm has an alpha", header.words)
        header = self.exported([self.rounded("x", 0.05, "xr"), matrix, helper.make_node("MatMul", ["fc", "xr"], ["o"])], [6, 3], ["o"])
        self.assertIn("its weight is the left side of a product", header.words)

    def test_a_vector_has_no_channels(self):
        vector = ([numpy_helper.from_array(np.ones(6, np.int8), "v.weight_quantized"), numpy_helper.from_array(np.float32(0.01), "v.weight_s")],
                  [helper.make_node("DequantizeLinear", ["v.weight_quantized", "v.weight_s"], ["v"])])
        header = self.exported([self.rounded("x", 0.05, "xr"), vector, helper.make_node("MatMul", ["xr", "v"], ["o"])], [1, 6], ["o"])
        self.assertIn("no axis of its weight counts output channels", header.words)
        self.assertIsNone(header.macro("v", "output_channels"))

    def test_channels_that_are_last_already(self):
        """Behind a Transpose the columns of a Linear have the order of channels that come last, whatever shapes are declared."""
        parts = [self.rounded("x", 0.05, "xr"), self.weight("c", (4, 3, 1, 1)), helper.make_node("Conv", ["xr", "c"], ["y"])]
        for order, source in (([0, 2, 3, 1], "t"), (None, "y")):
            turned = [helper.make_node("Transpose", ["y"], ["t"], perm=order)] if order else []
            matrix = self.weight("fc", (5, 16))
            header = self.exported([*parts, *turned, helper.make_node("Relu", [source], ["r"]), helper.make_node("Flatten", ["r"], ["f"]),
                                    self.rounded("f", 0.1, "fr"), matrix, helper.make_node("Gemm", ["fr", "fc"], ["o"], transB=1)],
                                   [1, 3, 2, 2], ["o"], "--layout", "ohwi", values=[("t", [1, 2, 2, 4]), ("r", [1, 2, 2, 4])] if order else [])
            codes = numpy_helper.to_array(matrix[0][0])
            wanted = codes if order else codes.reshape(5, 4, 4).transpose(0, 2, 1).reshape(5, 16)
            np.testing.assert_array_equal(header.weight("fc"), wanted)

    def test_layers_kept_apart(self):
        """A channel of zeros: the artifact has a Sum of one behind the layer, against fusions, that is no operator of the network."""
        model = onnx.load(MODELS / "model.onnx")
        for constant in model.graph.initializer:
            values = numpy_helper.to_array(constant).copy()
            if constant.name in ("conv1.weight", "conv2.weight"):
                values[2] = 0
            if constant.name in ("conv1.bias", "conv2.bias"):
                values[2] = 0.3
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
        onnx.save(model, self.folder / "zeros.onnx")
        self.static_artifact(self.folder / "zeros.onnx", MODELS / "calib.npy", "dataset.quant_calibration_dataset.scale=0.00392156862745098")
        artifact = self.folder / "out" / "quantized_model_modelopt.onnx"
        self.assertIn("Sum", [node.op_type for node in onnx.load(artifact).graph.node])
        header = self.export(artifact, "--layout", "ohwi")
        for layer in ("conv1", "conv2", "fc1", "fc2"):
            self.assertEqual(header.macro(layer, "has_multiplier"), 1)
        self.assertEqual(header.macro("conv1", "activation_min"), 0)
        self.assertIn("Its input is a flattened image of 16 channels", header.words)

    def test_product_and_addition_kept_apart(self):
        header = self.exported([self.rounded("x", 0.05, "xr"), self.weight("fc", (6, 4), 1), helper.make_node("MatMul", ["xr", "fc"], ["p"]),
                                helper.make_node("Sum", ["p"], ["y"]), ([numpy_helper.from_array(np.ones(4, np.float32), "b")],
                                                                        [helper.make_node("Add", ["y", "b"], ["z"])]),
                                self.rounded("z", 0.1, "zr"), self.weight("d", (4, 3), 1), helper.make_node("MatMul", ["zr", "d"], ["o"])],
                               [1, 6], ["o"])
        self.assertEqual((header.macro("fc", "has_bias"), header.macro("fc", "output_is_int8")), (1, 1))

    def test_a_bias_that_int32_loses(self):
        image, matrix = self.rounded("x", 3, "xr"), self.weight("fc", (4, 6))
        scales = np.array([0.01, 0.01, 1, 0.01], np.float32)
        matrix[0][1].CopyFrom(numpy_helper.from_array(scales, matrix[0][1].name))
        for bias, is_lost in ((1.4, True), (3.01, False)):
            header = self.exported([image, matrix, ([numpy_helper.from_array(np.full(4, bias, np.float32), "b")],
                                                    [helper.make_node("Gemm", ["xr", "fc", "b"], ["y"], transB=1)]),
                                    self.rounded("y", 0.1, "yr"), self.weight("d", (2, 4)), helper.make_node("Gemm", ["yr", "d"], ["o"], transB=1)],
                                   [1, 6], ["o"])
            self.assertEqual("Beware: the bias of output channel 2" in header.words, is_lost)

    def test_transposed_convolutions(self):
        for groups, layout in ((1, "OHWI"), (2, "IOHW")):
            header = self.exported([self.rounded("x", 0.05, "xr"), self.weight("up", (4, 3, 2, 2), 1),
                                    ([numpy_helper.from_array(np.ones(3 * groups, np.float32), "b")],
                                     [helper.make_node("ConvTranspose", ["xr", "up", "b"], ["o"], group=groups)])],
                                   [1, 4, 8, 8], ["o"], "--layout", "ohwi")
            self.assertEqual((header.macro("up", "weight_layout"), header.macro("up", "output_channels")), (layout, 3 * groups))
            self.assertEqual(header.array("up", "bias" if groups == 1 else "bias_float").shape, (3 * groups,))

    def test_zero_points_are_refused(self):
        three = ([numpy_helper.from_array(np.uint8(3), "three")], [])
        said = self.exported([three, self.rounded("x", 0.05, "xr", "three"), self.weight("fc", (4, 6)),
                              helper.make_node("Gemm", ["xr", "fc"], ["o"], transB=1)], [1, 6], ["o"])
        self.assertIn("a tensor is rounded in a way that is not ours", said)


class Command(HeaderTest):
    def test_wrong_words(self):
        self.quantize(WEIGHT_ONLY)
        artifact = self.folder / "out" / "quantized_model_torchao.safetensors"
        for words, said in ((["--format", "c-heade"], 'Did you mean "c-header"'), (["--format", "c-header", "--layout", "ohw"], 'Did you mean "ohwi"'),
                            (["--format", "c-header", "--name", "2x"], "--name"), (["--format", "c-header", "--name", "a__b"], "--name"),
                            (["--format", "float", "--name", "net"], "it goes with --format c-header"),
                            (["--format", "pth", "--layout", "ohwi"], "it goes with --format c-header")):
            with self.subTest(words=words):
                self.assertFails(self.ptq("export", artifact, *words, "-o", "export"), 2, said)
                self.assertFalse((self.folder / "export").exists())
        self.assertFails(self.quantize(WEIGHT_ONLY, "--name", "net"), 2, "it goes with --format c-header")
        self.assertFails(self.ptq("export", LENET, "--format", "c-header", "-o", "export"), 1, "not an artifact")

    def test_no_loader_takes_it(self):
        """So nothing is said of loaders that go by a config.json."""
        (self.folder / "hub").mkdir()
        shutil.copy(LENET, self.folder / "hub")
        self.write("hub/config.json", '{"model_type": "lenet"}')
        for form, is_said in (("safetensors", True), ("c-header", False)):
            run = self.run_ptq("quantize", "-e", WEIGHT_ONLY, "model_path=hub", f"results_dir={form}", "--format", form)
            self.assertEqual("config.json beside the model" in run.stderr, is_said)

    def test_it_is_not_read_back(self):
        self.quantize(WEIGHT_ONLY, "--format", "c-header")
        header = self.folder / "out" / "quantized_model_torchao.h"
        for words in (["inspect", header], ["compare", LENET, header], ["export", header, "--format", "float"]):
            self.assertFails(self.ptq(*words), 1, "a C header, which ptq writes and does not read")


if __name__ == "__main__":
    main()
