# SPDX-License-Identifier: Apache-2.0
"""How calibration data reach a graph: as ONNX Runtime computes with them, fed by hand, whatever engine and batch size."""
import itertools
import json
import struct
import zlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

from command import STATIC, CommandTest, main

ort.set_default_logger_severity(3)
DATA = "dataset.quant_calibration_dataset"
N = 12
RANDOM = np.random.default_rng(9)


def numbers(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def given(name, shape, kind=T.FLOAT):
    return h.make_tensor_value_info(name, kind, shape)


class DataTest(CommandTest):
    def save(self, inputs, nodes, width, constants=(), openvino=False):
        """A graph: nodes that make the tensor "f", and a layer "out" that takes it. tiny_engine lacks Selu."""
        constants = [*constants, nh.from_array(numbers(width, 3), "out.weight")]
        nodes = [*nodes, h.make_node("MatMul", ["f", "out.weight"], ["z"], name="out"),
                 h.make_node("Selu" if openvino else "Relu", ["z"], ["y"])]
        graph = h.make_graph(nodes, "g", inputs, [h.make_empty_tensor_value_info("y")], constants)
        graph.output[0].type.tensor_type.elem_type = T.FLOAT
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, self.folder / "model.onnx")
        return model

    def run_on(self, data, *words, axes=None):
        files = {}
        for name, array in data.items():
            np.save(self.folder / f"{name}.npy", array)
            files[name] = str(self.folder / f"{name}.npy")
        spec = STATIC.read_text() + f"\ndataset: {{quant_calibration_dataset: {{inputs: {json.dumps(files)}}}}}\n"
        if axes:
            spec += "ptq: {data: {batch_axis: " + axes + "}}\n"
        self.write("spec.yaml", spec)
        return self.ptq("quantize", "-e", "spec.yaml", "model_path=model.onnx", "results_dir=out", *words)

    def amax(self, run):
        self.assertEqual(run.returncode, 0, run.stderr)
        layers = json.loads((self.folder / "out/quantize_report.json").read_text())["layers"]
        return next(layer["activations"]["amax"] for layer in layers if layer["name"] == "out")

    def expect(self, model, feeds):
        """The largest magnitude of "f" over all feeds, by ONNX Runtime."""
        tapped = onnx.ModelProto()
        tapped.CopyFrom(model)
        tapped.graph.output.append(h.make_empty_tensor_value_info("f"))
        session = ort.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
        return max(float(np.abs(session.run(["f"], feed)[0]).max()) for feed in feeds)

    def engines(self):
        return (False, True) if self.has_openvino() else (False,)


# name: inputs, data (samples first), nodes that make f [.., 5], what ONNX Runtime is fed for all samples or one at a time
STATES, X, MASK, TABLE, GAINS, FRAMES = (numbers(N, 2, 5), numbers(N, 5), np.abs(numbers(N, 7)), numbers(5, 5), numbers(N),
                                         numbers(N, 7, 5))
SECOND = [h.make_node("Transpose", ["h0"], ["t"], perm=[1, 0, 2]), h.make_node("Reshape", ["t", "flat"], ["r"]),
          h.make_node("MatMul", ["r", "second"], ["s"]), h.make_node("Mul", ["x", "s"], ["f"])]
TIMES_MASK = [h.make_node("Reshape", ["mask", "column"], ["m"]), h.make_node("Mul", ["x", "m"], ["f"])]
CONSTANTS = [nh.from_array(np.array([0, 10], np.int64), "flat"), nh.from_array(np.array([0, 0, 1], np.int64), "column"),
             nh.from_array(np.eye(10, 5, -5, np.float32), "second")]


def by_one(feed):
    """What a graph with a batch of one is fed."""
    return lambda: [feed(i) for i in range(N)]


LAYOUTS = {
    "states": ([given("x", ["batch", 5]), given("h0", [2, "batch", 5])], {"x": X, "h0": STATES}, SECOND,
               lambda: [{"x": X, "h0": STATES.transpose(1, 0, 2).copy()}]),
    "states of a graph without names": ([given("x", [None, 5]), given("h0", [2, None, 5])], {"x": X, "h0": STATES}, SECOND,
                                        lambda: [{"x": X, "h0": STATES.transpose(1, 0, 2).copy()}]),
    "time first": ([given("x", ["T", "batch", 5]), given("mask", ["T", "batch"])], {"x": FRAMES, "mask": MASK}, TIMES_MASK,
                   lambda: [{"x": FRAMES.transpose(1, 0, 2).copy(), "mask": MASK.T.copy()}]),
    "a fixed batch": ([given("x", [4, 5]), given("h0", [2, 4, 5])], {"x": X, "h0": STATES}, SECOND,
                      lambda: [{"x": X[i:i + 4], "h0": STATES[i:i + 4].transpose(1, 0, 2).copy()} for i in range(0, N, 4)]),
    "a batch of one": ([given("x", [1, 5]), given("h0", [2, 1, 5])], {"x": X, "h0": STATES}, SECOND,
                       by_one(lambda i: {"x": X[i:i + 1], "h0": STATES[i].reshape(2, 1, 5)})),
    "a table that all share": ([given("x", ["batch", 5]), given("table", [5, 5])], {"x": X, "table": TABLE},
                               [h.make_node("MatMul", ["x", "table"], ["f"])], lambda: [{"x": X, "table": TABLE}]),
    "a table for each": ([given("x", ["batch", 5]), given("table", [5, 5])], {"x": X, "table": numbers(N, 5, 5)},
                         [h.make_node("MatMul", ["x", "table"], ["f"])], None),
    "a number that all share": ([given("x", ["batch", 5]), given("gain", [])], {"x": X, "gain": np.array(3, np.float32)},
                                [h.make_node("Mul", ["x", "gain"], ["f"])], lambda: [{"x": X, "gain": np.array(3, np.float32)}]),
    "a list of one number": ([given("x", ["batch", 5]), given("gain", [])], {"x": X, "gain": np.ones(1, np.float32)},
                             [h.make_node("Mul", ["x", "gain"], ["f"])], lambda: [{"x": X, "gain": np.array(1, np.float32)}]),
    "a number for each": ([given("x", ["batch", 5]), given("gain", [])], {"x": X, "gain": GAINS},
                          [h.make_node("Mul", ["x", "gain"], ["f"])], by_one(lambda i: {"x": X[i:i + 1], "gain": np.array(GAINS[i])})),
}
TABLES = LAYOUTS["a table for each"][1]["table"]
LAYOUTS["a table for each"] = (*LAYOUTS["a table for each"][:3], by_one(lambda i: {"x": X[i:i + 1], "table": TABLES[i]}))


class Axes(DataTest):
    def test_layouts(self):
        for name, (inputs, data, nodes, feeds) in LAYOUTS.items():
            for openvino, (listed, size) in itertools.product(self.engines(), ((inputs, 5), (inputs[::-1], 32))):
                model = self.save(listed, nodes, 5, CONSTANTS, openvino)
                with self.subTest(name, openvino=openvino, first=listed[0].name, batch_size=size):
                    run = self.run_on(data, f"{DATA}.batch_size={size}")
                    self.assertEqual("OpenVINO runs it" in run.stderr, openvino)
                    np.testing.assert_allclose(self.amax(run), self.expect(model, feeds()), rtol=1e-5)

    def test_a_guess_is_said_and_can_be_overruled(self):
        model = self.save([given("x", [None, None, 5]), given("mask", [None, None])], TIMES_MASK, 5, CONSTANTS)
        data = {"x": FRAMES, "mask": MASK}
        run = self.run_on(data)
        self.amax(run)
        self.assertIn("Samples are counted by axis 0 of graph input x [?, ?, 5], axis 0 of graph input mask [?, ?], which is "
                      "a guess. If it is another, give it: ptq: {data: {batch_axis: {x: 0}}}.", run.stderr)
        run = self.run_on(data, f"{DATA}.batch_size=3", axes="{x: 1, mask: 1}")
        expected = self.expect(model, [{"x": FRAMES.transpose(1, 0, 2).copy(), "mask": MASK.T.copy()}])
        np.testing.assert_allclose(self.amax(run), expected, rtol=1e-5)
        self.assertNotIn("guess", run.stderr)
        self.assertIn('data: {batch_axis: {"mask": 1, "x": 1}}', (self.folder / "out/experiment.yaml").read_text())
        again = self.ptq("quantize", "-e", "out/experiment.yaml")
        np.testing.assert_allclose(self.amax(again), expected, rtol=1e-5)
        for axes, code, word in (
                ("{masc: 1}", 2, 'spec.yaml:35:24: ptq.data.batch_axis.masc: the graph has no input "masc"; it has "x", "mask". '
                                 'Did you mean "mask"?'),
                ("{x: 3}", 1, "ptq.data.batch_axis.x: is 3, but the graph input has axes 0 to 2."),
                ("{x: left}", 2, 'ptq.data.batch_axis.x: expected an axis (0, 1, ...) or none, found "left"'),
                ("{x: -1}", 2, "ptq.data.batch_axis.x"),
                ("1", 2, "ptq.data.batch_axis: expected a map")):
            with self.subTest(axes):
                self.assertFails(self.run_on(data, axes=axes), code, word.split("spec.yaml:35:24: ")[-1], "spec.yaml:")

    def test_names_of_no_input(self):
        """An error of the specification: nothing is read or written."""
        self.save([given("x", ["batch", 5]), given("h0", [2, "batch", 5])], SECOND, 5, CONSTANTS)
        for data, axes, word in (({"y": X, "h0": STATES}, None, f'{DATA}.inputs.y: the graph has no input "y"; it has "x", "h0".'),
                                 ({"x": X, "h0": STATES}, "{h1: 1}", 'ptq.data.batch_axis.h1: the graph has no input "h1"')):
            with self.subTest(word):
                self.assertFails(self.run_on(data, axes=axes), 2, "spec.yaml:", word)
                self.assertFalse((self.folder / "out").exists())
                words = ("-e", "spec.yaml", "model_path=model.onnx")
                self.assertFails(self.ptq("calibrate", *words, "-o", "a.ptqcal"), 2, "spec.yaml:", word)
                plan = self.ptq("plan", *words)
                self.assertEqual(plan.returncode, 0, plan.stderr)
                self.assertIn("ptq: warning: ", plan.stderr)
                self.assertIn(word, plan.stderr)

    def test_what_does_not_fit(self):
        self.save([given("x", ["batch", 5]), given("h0", [2, "batch", 5])], SECOND, 5, CONSTANTS)
        run = self.run_on({"x": X, "h0": STATES.transpose(1, 0, 2)})
        self.assertFails(run, 1, 'h0.npy: graph input "h0": it takes [2, ?, 5], but the file holds [2, 12, 5] (the first axis '
                         "of the file counts the samples, axis 1 of the graph input takes them; ptq.data.batch_axis.h0 may name "
                         "another, and only missing dimensions of size 1 are inserted).")
        self.save([given("x", ["n", 5]), given("table", ["rows", 5])],
                  [h.make_node("Transpose", ["table"], ["t"], perm=[1, 0]), h.make_node("MatMul", ["x", "t"], ["f"])], 5)
        run = self.run_on({"x": X, "table": TABLE})
        self.assertFails(run, 1, '"table" has 5 samples, but "x" has 12', "batch_axis: {INPUT: none}")
        self.amax(self.run_on({"x": X, "table": TABLE}, axes="{table: none}"))


class Types(DataTest):
    def graph(self, kind):
        return self.save([given("x", ["n", 5], kind)], [h.make_node("Cast", ["x"], ["f"], to=T.FLOAT)], 5)

    def test_integers_and_booleans_are_right_or_refused(self):
        if not self.has_openvino():
            self.skipTest("Cast needs OpenVINO")
        ones = np.ones((4, 5), np.int64)
        wrong = 'x.npy: sample 2, element [3] does not fit into '
        for kind, value, dtype, expected in (
                (T.BOOL, 1, "bool", 1), (T.BOOL, 1, "uint8", 1), (T.BOOL, 1, "int64", 1),
                (T.BOOL, 255, "uint8", wrong + "bool: it is 255, not 0 or 1. Of a mask: np.save(path, a != 0)."),
                (T.BOOL, -1, "int8", wrong + "bool: it is -1"),
                (T.BOOL, 1, "float32", "it takes bool, but the file holds float32. Convert: np.save(path, a != 0)."),
                (T.INT64, 255, "uint8", 255), (T.UINT8, 255, "int64", 255),
                (T.INT8, 128, "uint8", wrong + "int8: it is 128. Repair the data, or leave the sample out."),
                (T.INT32, 2**31, "uint32", wrong + "int32"), (T.INT64, 2**63, "uint64", wrong + "int64"),
                (T.INT32, 1, "float64", 'it takes int32, but the file holds float64. Convert: np.save(path, a.astype("int32"))'),
                (T.FLOAT16, 65519.99, "float64", 65504), (T.FLOAT16, 65520, "float64", "is NaN or infinite as float16")):
            with self.subTest(value=value, dtype=dtype, kind=kind):
                self.graph(kind)
                data = ones.astype(dtype)
                data[2, 3] = value
                run = self.run_on({"x": data})
                if isinstance(expected, str):
                    self.assertFails(run, 1, expected)
                else:
                    self.assertEqual(self.amax(run), expected)

    def test_scale_mean_and_std_of_integers(self):
        self.graph(T.INT64)
        ids = np.ones((4, 5), np.int64)
        for words in (["scale=2"], ["mean=1"], ["std=[1,1,1,1,2]"]):
            run = self.run_on({"x": ids}, *[f"{DATA}.{word}" for word in words])
            self.assertFails(run, 1, f"{DATA}.{words[0].split('=')[0]}: has no effect: no input of the graph takes "
                             'floats, "x" takes int64, and integers are fed as they are. Remove it.')
        if self.has_openvino():
            self.amax(self.run_on({"x": ids}, f"{DATA}.scale=1"))
        self.save([given("x", ["n", 5]), given("ids", ["n", 5], T.INT64)],
                  [h.make_node("Cast", ["ids"], ["c"], to=T.FLOAT), h.make_node("Mul", ["x", "c"], ["f"])], 5)
        if self.has_openvino():  # the integers stay what they are
            self.assertEqual(self.amax(self.run_on({"x": np.ones((4, 5), np.float32), "ids": 3 * ids}, f"{DATA}.scale=2")), 6)

    def test_recordings_are_taken_as_they_are(self):
        self.graph(T.FLOAT)
        np.savez(self.folder / "r.npz", out=X)
        run = self.ptq("quantize", "-e", STATIC, "model_path=model.onnx", "results_dir=out", f"{DATA}.activations=r.npz",
                       f"{DATA}.scale=2")
        self.assertFails(run, 2, f"{DATA}.scale", "recorded activations")


def png(pixels):
    """The bytes of a PNG file of [height, width, 3]."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">2I5B", pixels.shape[1], pixels.shape[0], 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def resized(pixels, height, width):
    """Bilinear with half-pixel centres: [3, height, width]."""
    def line(values, wanted):
        given = values.shape[0]
        at = np.clip((np.arange(wanted) + 0.5) * given / wanted - 0.5, 0, given - 1)
        low = np.floor(at).astype(int)
        share = (at - low).reshape(-1, 1, 1)
        return values[low] * (1 - share) + values[np.minimum(low + 1, given - 1)] * share
    down = line(pixels.astype(np.float64), height)
    return line(down.transpose(1, 0, 2), width).transpose(2, 1, 0)


class Pictures(DataTest):
    """A TAO file as it is."""

    def setUp(self):
        super().setUp()
        self.save([given("x", ["n", 3, 4, 5])], [h.make_node("Relu", ["x"], ["r"]), h.make_node("Sub", ["r", "x"], ["s"]),
                                                 h.make_node("Sub", ["r", "s"], ["f"])], 5)
        self.pixels = [RANDOM.integers(0, 256, (7, 6, 3)).astype(np.uint8) for _ in range(3)]
        for name, pixels in zip(("a.png", "b/c.png", "d.png"), self.pixels):
            self.write("val/" + name, png(pixels))

    def spec(self, dataset, *, quantize=STATIC, more=""):
        self.write("spec.yaml", quantize.read_text() + "\ndataset:\n" + dataset + more)

    def run_spec(self, *words, command="quantize"):
        return self.ptq(command, "-e", "spec.yaml", "model_path=model.onnx", "results_dir=out", *words)

    def test_the_folder_is_read(self):
        if not self.has_pictures():
            self.skipTest("stb_image is not built in")
        images = np.stack([resized(p, 4, 5) for p in self.pixels])
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        normalized = (images / 255 - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
        augmentation = "  augmentation: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], random_flip: {enable: true}}\n"
        section = "  quant_calibration_dataset: {images_dir: val, batch_size: 2, shuffle: false, num_workers: 4%s}\n"
        for dataset, expected, note in (
                (augmentation + section % "", normalized, "with mean and std of dataset.augmentation and scale 1/255."),
                (section % ", augmentation: {input_mean: [123, 116, 103]}",
                 images - np.array([123, 116, 103]).reshape(3, 1, 1), "quant_calibration_dataset.augmentation."),
                (augmentation + section % ", scale: 0.5", images / 2, "with scale, mean and std of that section."),
                (section % "", images, "x from 0 to 255")):
            with self.subTest(dataset):
                self.spec(dataset)
                run = self.run_spec()
                np.testing.assert_allclose(self.amax(run), np.abs(expected).max(), rtol=1e-6)
                self.assertIn(note, run.stderr)
                self.assertNotIn("Did you mean", run.stderr)
        run = self.ptq("quantize", "-e", "out/experiment.yaml")
        np.testing.assert_allclose(self.amax(run), np.abs(images).max(), rtol=1e-6)
        run = self.run_spec("evaluate.images_dir=val", command="evaluate")
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_an_answer_that_is_no_number_names_the_picture(self):
        if not self.has_pictures():
            self.skipTest("stb_image is not built in")
        self.save([given("x", ["n", 3, 4, 5])], [h.make_node("Div", ["x", "x"], ["q"]), h.make_node("Mul", ["q", "x"], ["f"])], 5)
        self.write("black/b.png", png(np.zeros((4, 5, 3), np.uint8)))
        self.write("black/a.png", png(np.full((4, 5, 3), 9, np.uint8)))
        self.spec("  quant_calibration_dataset: {images_dir: val, scale: 1, mean: -1}\n")
        self.assertEqual(self.run_spec().returncode, 0)
        self.assertFails(self.run_spec("evaluate.images_dir=black", command="evaluate"), 1,
                         f"model.onnx: sample 1 ({self.folder / 'black/b.png'}): output \"y\": [", " is NaN")

    def test_inputs_win_and_no_data_is_needed_for_weights(self):
        self.spec("  quant_calibration_dataset: {images_dir: missing, shuffle: false}\n")
        np.save(self.folder / "x.npy", numbers(2, 3, 4, 5))
        run = self.run_spec(f"{DATA}.inputs=x.npy")
        self.amax(run)
        self.assertIn(f"note: {DATA}.images_dir is not read: inputs stand beside it.", run.stderr)
        weights = self.run_spec("quantize.backend=torchao", "quantize.mode=weight_only_ptq",
                                "quantize.layers=[{module_name: Linear, weights: {dtype: int8}}]")
        self.assertEqual(weights.returncode, 0, weights.stderr)
        self.assertIn(f"warning: {DATA}.images_dir is not read: no layer's activations are quantized.", weights.stderr)
        self.spec("  quant_calibration_dataset: {images_dir: '', batch_size: 4}\n")
        for run in (self.run_spec("quantize.backend=torchao", "quantize.mode=weight_only_ptq",
                                  "quantize.layers=[{module_name: Linear, weights: {dtype: int8}}]"),
                    self.run_spec(command="plan")):
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(f"warning: {DATA} names no data, so it is not used", run.stderr)
        self.assertFails(self.run_spec(), 2, "there are no calibration data", f"{DATA}.inputs=FILE.npy")
        self.spec("  quant_calibration_dataset: {images_dir: missing, shuffle: false}\n")
        plan = self.run_spec(command="plan")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        if self.has_pictures():
            self.assertFails(self.run_spec(), 1, str(self.folder / "missing"), "no such folder.")
        else:
            self.assertIn("libstb-dev", plan.stderr)
            self.assertFails(self.run_spec(), 1, "libstb-dev", "give arrays as inputs")

    def test_several_inputs(self):
        self.save([given("a", ["n", 3, 4, 5]), given("b", ["n", 3, 4, 5])], [h.make_node("Mul", ["a", "b"], ["f"])], 5)
        self.spec("  quant_calibration_dataset: {images_dir: val}\n")
        self.assertFails(self.run_spec(), 2, "spec.yaml:", f"{DATA}.images_dir: pictures feed one graph input, but the graph "
                         'has 2: "a", "b". Give an array for each: inputs: {a: FILE, ...}.')

    def has_pictures(self):
        return "JPEG" in self.ptq("--version").stdout


main()
