# SPDX-License-Identifier: Apache-2.0
"""What is no warning and yet worth knowing: `ptq: note:` on stderr, and "notes" in plans and reports."""
import json
import struct

from command import EXAMPLES, LENET, STATIC, CommandTest, floats, main, npy, openvino_model, safetensors

GRAPHS = EXAMPLES.parent / "tests" / "golden" / "onnx"
LENET_GRAPH = LENET.with_name("model.onnx")
DATA = "dataset.quant_calibration_dataset"


def images(count):
    return npy([count, 1, 28, 28], bytes(range(256)) * (count * 28 * 28 // 256) + bytes(count * 28 * 28 % 256), "|u1")


def halves(first, second, stored):
    """Two numbers as safetensors stores them."""
    if stored == "F16":
        return struct.pack("<2e", first, second)
    whole = floats(first, second)
    return whole[2:4] + whole[6:8] if stored == "BF16" else whole


class NotesTest(CommandTest):
    def notes(self, run):
        """Those that a run said."""
        self.assertEqual(run.returncode, 0, run.stderr)
        start = "ptq: note: "
        return [line.removeprefix(start) for line in run.stderr.splitlines() if line.startswith(start)]

    def report(self):
        return json.loads((self.folder / "out" / "quantize_report.json").read_text())


class Plans(NotesTest):
    """What was not looked into, and what a rule could not do: the same in `plan` and `quantize`, in text and JSON."""

    def test_bodies_and_rules(self):
        for name, rule, wanted in (
            ("bodies", "{module_name: shared, weights: {dtype: int8}}",
             'node "choose" (If): its bodies (5 nodes) are left as they are'),
            ("shared", "{module_name: '*', weights: {dtype: int8}}",
             'quantize.layers[0] "*": 1 of the 6 layers that it matches cannot be quantized; the plan says why.')):
            with self.subTest(name):
                spec = self.write("spec.yaml", f"quantize: {{layers: [{rule}]}}\n")
                words = ["-e", spec, f"model_path={GRAPHS / name}.onnx", "results_dir=out"]
                self.assertEqual(self.notes(self.ptq("plan", *words)), [wanted])
                run = self.ptq("plan", "--json", *words)
                self.assertEqual(json.loads(run.stdout)["notes"], self.notes(run))
                self.assertIn(wanted, self.notes(self.ptq("quantize", *words)))
                run = self.ptq("quantize", "--json", *words)
                self.assertEqual(json.loads(run.stdout)["notes"], self.notes(run))
                self.assertEqual(self.report()["notes"], self.notes(run))

    def test_calibrate(self):
        spec = self.write("spec.yaml", "quantize: {backend: modelopt, mode: static_ptq, "
                                       "layers: [{module_name: '*', activations: {dtype: int8}}]}\n")
        graph = EXAMPLES / "models" / "pitch-transformer" / "model.onnx"
        run = self.ptq("calibrate", "-e", spec, f"model_path={graph}", "-o", "a.ptqcal",
                       f"{DATA}.inputs={graph.with_name('calib.npy')}", f"{DATA}.max_samples=1")
        self.assertIn('quantize.layers[0] "*": 6 of the 20 layers', self.notes(run)[0])

    def test_writer(self):
        spec = "quantize: {layers: [{module_name: head, weights: {dtype: int8}}]}\n"
        run = self.quantize(spec, model=GRAPHS / "shared.onnx")
        wanted = '"table.weight" is quantized and kept as a float tensor too, for node "look_up" (Gather)'
        self.assertIn(wanted, self.notes(run))
        self.assertEqual(self.report()["notes"], self.notes(run))

    def test_nothing_to_say(self):
        self.quantize(STATIC, f"{DATA}.inputs={LENET.with_name('calib.npy')}", model=LENET_GRAPH)
        self.assertEqual(self.report()["notes"], [])


class Weights(NotesTest):
    """Output channels that quantization loses altogether."""

    def lost(self, rows, stored, dtype, *more, backend="{backend: torchao, mode: weight_only_ptq"):
        """What is said of a layer of these rows, each of two equal weights."""
        data = b"".join(halves(row, row, stored) for row in rows)
        model = self.write("model.safetensors", safetensors({"fc.weight": (stored, [len(rows), 2], data)}))
        spec = f"quantize: {backend}, layers: [{{module_name: fc, weights: {{dtype: {dtype}}}}}]}}\n"
        run = self.quantize(spec, *more, model=model)
        notes = [note for note in self.notes(run) if note.startswith('layer "fc": ')]
        self.assertEqual([note for note in self.report()["notes"] if note in notes], notes)
        return "".join(notes)

    def test_scales_that_underflow(self):
        two = "2 of its 4 output channels became all zero"
        rows = (1.0, 0.0, 1.3e-3, -1e-5)
        self.assertIn(two, self.lost(rows, "F16", "fp8_e5m2"))
        self.assertIn("skip_names", self.lost(rows, "F16", "fp8_e5m2"))
        self.assertIn("1 of its 4 output channels", self.lost(rows, "F16", "fp8_e4m3fn"))
        self.assertEqual(self.lost(rows, "F16", "int8"), "")
        self.assertEqual(self.lost(rows, "BF16", "fp8_e5m2"), "")
        self.assertIn(two, self.lost((1.0, 0.0, 1e-39, -1e-38), "BF16", "fp8_e5m2"))
        self.assertIn(two, self.lost((1.0, 0.0, 1e-41, -1e-42), "F32", "fp8_e5m2"))
        self.assertIn(two, self.lost((1.0, 0.0, 1e-8, -1e-39), "F32", "int8"))  # the smallest scale is 2^-23

    def test_scales_that_are_shared(self):
        said = self.lost((1.0, 0.0, 1e-3), "F32", "int8, quant_axis: null", backend="{backend: modelopt, mode: static_ptq")
        self.assertIn("1 of its 3 output channels became all zero", said)
        self.assertIn("weights: {quant_axis: 0}", said)


class Loaders(NotesTest):
    """Who can read the artifact of a checkpoint that lies beside a config.json."""

    def test_config_json(self):
        spec = "quantize: {layers: [{module_name: Linear, weights: {dtype: int8}}]}\n"
        tensors = safetensors({"fc.weight": ("F32", [1, 2], floats(5, 6))})
        self.write("model/model.safetensors", tensors)
        self.assertEqual(self.notes(self.quantize(spec, model="model")), [])
        self.write("model/config.json", '{"model_type": "bert"}')
        self.assertEqual(self.notes(self.quantize(spec, model="model")), [])  # in a form that they know
        spec = spec.replace("int8", "fp8_e5m2")
        for model in ("model", "model/model.safetensors"):
            note, = self.notes(self.quantize(spec, model=model))
            for word in ("config.json", 'layer "fc"', "not fp8_e5m2", "transformers", "vLLM", "codes", "ptq_layers"):
                self.assertIn(word, note)
            self.assertEqual(self.report()["notes"], [note])
            self.assertEqual(json.loads(self.quantize(spec, "--json", model=model).stdout)["notes"], [note])
        nothing = spec.replace("fp8_e5m2", "native")
        self.assertEqual(self.notes(self.quantize(nothing, model="model")), [])


class Data(NotesTest):
    def setUp(self):
        super().setUp()
        whole = LENET_GRAPH.read_bytes()
        self.fixed = self.write("fixed.onnx", whole.replace(b"\x12\x01N", b"\x08\x8a\x00"))  # dim_param "N": dim_value 10
        self.assertEqual(whole.count(b"\x12\x01N"), 2)

    def words(self, *more, model=LENET_GRAPH):
        return ["-e", STATIC, f"model_path={model}", "results_dir=out", *more]

    def test_evaluate(self):
        data = self.write("x.npy", npy([64, 28, 28], bytes(64 * 28 * 28), "|u1"))
        run = self.ptq("quantize", *self.words(f"{DATA}.inputs={LENET.with_name('calib.npy')}"))
        self.assertEqual(run.returncode, 0, run.stderr)
        inserted = 'Graph input "input": samples of shape [28, 28] are taken as [1, 28, 28].'
        self.assertEqual(self.notes(self.ptq("evaluate", *self.words(f"evaluate.inputs={data}"))), [inserted])

        run = self.ptq("quantize", *self.words(f"{DATA}.inputs={data}", model=self.fixed))
        left = "The last 4 of 64 samples do not fill a batch of the graph and are left out."
        self.assertIn(left, self.notes(run))
        run = self.ptq("evaluate", *self.words(f"evaluate.inputs={data}", model=self.fixed))
        self.assertIn("samples           60\n", run.stdout)
        self.assertEqual(self.notes(run), [inserted, "The graph takes 10 samples at a time.", left])

    def test_too_few_samples(self):
        data = self.write("x.npy", images(7))
        self.assertFails(self.ptq("quantize", *self.words(f"{DATA}.inputs={data}", model=self.fixed)), 1,
                         f"{data}: the graph takes 10 samples at a time, but there are 7.")

    def test_calibration_with_the_data_of_evaluate(self):
        data = LENET.with_name("calib.npy")
        words = self.words(f"evaluate.inputs={data}")
        for run in (self.ptq("plan", *words), self.ptq("calibrate", *words), self.ptq("quantize", *words)):
            self.assertTrue(any("calibrated with the data of evaluate" in note for note in self.notes(run)), run.stderr)
        self.assertIn("the data of evaluate", self.report()["notes"][0])
        self.assertEqual(self.notes(self.ptq("plan", *words, f"{DATA}.inputs={data}")), [])

    def test_openvino_and_why(self):
        if not self.has_openvino():
            self.skipTest("OpenVINO is not built in")
        model = self.write("selu.onnx", openvino_model("lenet-digits", b"Relu"))
        run = self.ptq("quantize", *self.words(f"{DATA}.inputs={self.write('x.npy', images(4))}", model=model))
        self.assertRegex(self.notes(run)[0], rf"^{model}: tiny_engine lacks Selu( \(node .*\))?\. OpenVINO runs it, not tiny_engine\.$")


if __name__ == "__main__":
    main()
