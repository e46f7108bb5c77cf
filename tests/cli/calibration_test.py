# SPDX-License-Identifier: Apache-2.0
"""Calibration under attack: every odd input ends in an error that names the place, or in a stated result."""
import json
import math

from command import CommandTest, EXAMPLES, LENET, STATIC, floats, main, npy, npz, safetensors

LENET_GRAPH = LENET.with_name("model.onnx")
ARTIFACT = "out/quantized_model_modelopt.onnx"
PIXELS = 28 * 28


def images(count, **changes):
    """Grey images; changes: {"at_<index of a pixel>": value}."""
    values = [(i * 37 % 256) / 255 for i in range(count * PIXELS)]
    for key, value in changes.items():
        values[int(key.removeprefix("at_"))] = value
    return npy([count, 1, 28, 28], floats(*values))


class CalibrationTest(CommandTest):
    def quantize_with(self, data, *more, name="data.npy", key="inputs", model=LENET_GRAPH):
        file = self.write(name, data)
        return self.quantize(STATIC, f"dataset.quant_calibration_dataset.{key}={file}", *more, model=model)

    def refuses(self, data, *words, name="data.npy", **more):
        run = self.quantize_with(data, name=name, **more)
        self.assertFails(run, 1, str(self.folder / name), *words)
        self.assertEqual(self.written(), ["out/status.json"])
        status = json.loads((self.folder / "out/status.json").read_text())
        self.assertEqual(status["status"], "FAILURE")
        self.assertIn(words[0], status["message"])


class Refusals(CalibrationTest):
    def test_not_finite(self):
        for bad in (float("nan"), float("inf"), float("-inf")):
            self.refuses(images(40, **{f"at_{35 * PIXELS + 30}": bad}), "sample 35", "element [0, 1, 2]", "NaN or infinite",
                         "Repair the data")

    def test_overflow_inside_the_model(self):
        """The data are finite; the layer that first sees an infinity is named, with the sample it comes from."""
        huge = {f"at_{35 * PIXELS + i}": 3e38 for i in range(PIXELS)}
        self.refuses(images(40, **huge), "sample 35", 'layer "fc1"', "input[0, 0] is NaN")

    def test_not_finite_in_a_recording(self):
        arrays = {"conv1": [4, 1, 28, 28], "conv2": [4, 8, 12, 12], "fc1": [4, 256], "fc2": [4, 64]}

        def recording(names):
            values = {n: [0.25] * (a * b if len(s) == 2 else 4 * s[1] * s[2] * s[3])
                      for n, s in arrays.items() for a, b in [s[:2]]}
            values["fc2"][3 * 64 + 8] = float("nan")
            return safetensors({n: ("F32", arrays[n], floats(*values[n])) for n in names})

        more = {"name": "r.safetensors", "key": "activations", "model": LENET}
        self.refuses(recording(arrays), "sample 3", 'layer "fc2"', "element [8]", **more)
        self.refuses(recording(["conv1", "conv2", "fc1"]), 'no array "fc2"', "Record the inputs of every layer", **more)

    def test_recording_of_something_else(self):
        """A wrong shape is refused; what belongs to no layer is said."""
        shapes = {"conv1": [4, 1, 28, 28], "conv2": [4, 8, 12, 12], "fc1": [4, 256], "fc2": [4, 64]}

        def recording(**changed):
            return npz({n: npy(s, floats(*[0.25] * math.prod(s))) for n, s in {**shapes, **changed}.items()})

        more = {"name": "r.npz", "key": "activations", "model": LENET}
        self.refuses(recording(fc1=[4, 200]), 'layer "fc1"', "[4, 200]", "[64, 256]", "must be 256", **more)
        self.refuses(recording(conv2=[4, 12, 12, 12]), 'layer "conv2"', "[4, 12, 12, 12]", "must be 8 times", **more)
        run = self.quantize_with(recording(fc_1=[1], fc3=[1]), **more)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("r.npz: 2 arrays are not read, as no layer has their names; the first is", run.stderr)

    def test_more_memory_than_there_is(self):
        """Ranges need only what feeds the layer; outputs need all that its padding asks for."""
        graph = EXAMPLES.parent / "tests" / "golden" / "engine" / "huge_pads.onnx"
        data = npy([1, 1, 4, 4], floats(*range(16)))
        self.assertEqual(self.quantize_with(data, model=graph).returncode, 0)
        self.assertFails(self.ptq("evaluate", "-e", STATIC, f"model_path={graph}", "results_dir=out",
                                  "evaluate.inputs=data.npy"), 1, "there is not enough memory for this model")

    def test_empty(self):
        self.refuses(npy([0, 1, 28, 28], b""), "there are no samples")
        self.refuses(b"", "the file is empty")
        self.refuses(b"1 2 3 4 5 6", "not a data file", ".npy", ".npz", ".safetensors")

    def test_wrong_input(self):
        """A name that the graph lacks and one that is lacking end in the same way, at their place in the file."""
        static = STATIC.read_text()
        line = static.count("\n") + 1
        two_inputs = EXAMPLES.parent / "tests" / "golden" / "engine" / "number_first.onnx"
        for model, inputs, *words in (
                (LENET_GRAPH, "{inptu: x.npy}", ":55: dataset.quant_calibration_dataset.inputs.inptu: the graph has no input",
                 'Did you mean "input"?'),
                (two_inputs, "{x: x.npy}", ":47: dataset.quant_calibration_dataset.inputs: no file is given for the graph's input",
                 '"gain"')):
            with self.subTest(inputs):
                spec = self.write("spec.yaml", f"{static}dataset: {{quant_calibration_dataset: {{inputs: {inputs}}}}}\n")
                self.assertFails(self.quantize(spec, model=model), 2, f"{spec}:{line}{words[0]}", *words[1:])
        spec = self.write("spec.yaml", f"{static}dataset: {{quant_calibration_dataset: {{inputs: x.npy}}}}\n"
                                       "evaluate:\n  inputs: {inptu: x.npy}\n")
        self.write("x.npy", images(1))
        self.assertEqual(self.quantize(spec, model=LENET_GRAPH).returncode, 0)
        run = self.ptq("evaluate", "-e", spec, f"model_path={LENET_GRAPH}", "results_dir=out")
        self.assertFails(run, 2, f"spec.yaml:{line + 2}:19: evaluate.inputs.inptu: the graph has no input")

    def test_wrong_shape_and_type(self):
        self.refuses(npy([4, 28, 29], bytes(4 * 4 * 28 * 29)), "[?, 1, 28, 28]", "[4, 28, 29]")
        self.refuses(npy([], floats(1)), "single number", "first axis")
        self.refuses(npy([2, 1, 28, 28], bytes(2 * 8 * PIXELS), "<c8"), "<c8", "Convert")

    def test_truncated(self):
        self.refuses(images(40)[:-100], "truncated")
        whole = npz({"input": images(40)})
        self.refuses(whole[: len(whole) // 2], "ZIP", name="data.npz")
        damaged = whole[:600] + bytes([whole[600] ^ 255]) + whole[601:]
        self.refuses(damaged, 'array "input"', "damaged", name="data.npz")
        whole = safetensors({"input": ("F32", [4, 1, 28, 28], bytes(16 * PIXELS))})
        self.refuses(whole[:-4], "cut off", name="data.safetensors")

    def test_no_data(self):
        run = self.quantize(STATIC, model=LENET_GRAPH)
        self.assertFails(run, 2, "static.yaml", "no calibration data", "dataset.quant_calibration_dataset.inputs=")
        self.assertEqual(self.written(), [])

    def test_no_data_yet(self):
        """A plan needs none; it says in the same words what quantizing will need."""
        spec = self.write("spec.yaml", "quantize: {backend: modelopt, mode: static_ptq, layers: "
                                       "[{module_name: Linear, activations: {dtype: int8}}]}")
        plan = ["plan", "-e", spec, f"model_path={LENET_GRAPH}"]
        error = self.quantize(spec, model=LENET_GRAPH).stderr
        run = self.ptq(*plan)
        self.assertEqual((run.returncode, run.stderr), (0, error.replace("error", "warning", 1)))
        self.assertFails(self.ptq(*plan, "--strict"), 2, "no calibration data", "1 warning.")
        run = self.ptq(*plan, "--json")
        self.assertIn("no calibration data", json.loads(run.stdout)["warnings"][0])
        run = self.ptq(*plan, "dataset.quant_calibration_dataset.inputs=x.npy", "--strict")
        self.assertEqual((run.returncode, run.stderr), (0, ""))


class StatedResults(CalibrationTest):
    def activations(self, data, algorithm, *said):
        """What the report says of each layer's activations; `said` are the words of the only note."""
        run = self.quantize_with(data, f"quantize.algorithm={algorithm}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stderr.count("ptq: note: "), 1 if said else 0, run.stderr)
        for word in said:
            self.assertIn(word, run.stderr)
        report = json.loads((self.folder / "out/quantize_report.json").read_text())
        found = {l["name"]: l["activations"] for l in report["layers"] if l["activations"]["dtype"] == "int8"}
        self.assertEqual({a["algorithm"] for a in found.values()}, {algorithm})
        return found

    def test_all_zero(self):
        for algorithm in ("minmax", "entropy"):
            found = self.activations(npy([8, 1, 28, 28], bytes(8 * 4 * PIXELS)), algorithm)
            self.assertEqual((found["conv1"]["amax"], found["conv1"]["reason"]), (0, "only zeros were seen"))
            self.assertGreater(found["fc2"]["amax"], 0)  # the biases

    def test_constant(self):
        for algorithm in ("minmax", "entropy"):
            found = self.activations(npy([8, 1, 28, 28], floats(*[0.5] * 8 * PIXELS)), algorithm)
            self.assertEqual((found["conv1"]["amax"], found["conv1"]["clipped_share"]), (0.5, 0))

    def test_one_outlier(self):
        """It is kept, nothing becomes infinite behind it, and it is said what it does to the other values."""
        for algorithm in ("minmax", "entropy"):
            found = self.activations(images(8, at_5=1e30), algorithm, 'layer "conv1": amax is 1e+30, but all but 0.016 % of',
                                     "0 or below 3.7e+27; so it is with 2 more layers.", "look for an outlier")
            self.assertAlmostEqual(found["conv1"]["amax"] / 1e30, 1, places=6)
            self.assertEqual(found["conv1"]["reason"], "all but 0.016 % of the values are 0 or below 3.7e+27")
            self.assertIsNone(found["fc2"]["reason"])
            for layer in found.values():
                self.assertLess(layer["amax"], 1e31)

    def test_one_outlier_by_other_ways(self):
        """Statistics tell of it wherever they come from. It is no fault of the specification, so --strict lets it pass."""
        spec = self.write("spec.yaml", "quantize: {backend: modelopt, mode: static_ptq, layers: "
                                       "[{module_name: fc1, activations: {dtype: int8}}]}")
        said = 'ptq: note: layer "fc1": amax is 400, but all but 0.098 % of the values are 0 or below 1.5. Unless'
        values = [(i * 37 % 256) / 255 for i in range(4 * 256)]
        values[300] = 400
        data = self.write("r.npz", npz({"fc1": npy([4, 256], floats(*values))}))
        recorded = f"dataset.quant_calibration_dataset.activations={data}"
        statistics = self.folder / "made.ptqcal"
        run = self.ptq("calibrate", "--strict", "-e", spec, f"model_path={LENET}", recorded, "-o", statistics)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(said, run.stderr)
        for more in ((recorded,), ("--statistics", statistics)):
            run = self.quantize(spec, "--strict", *more)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(said, run.stderr)
        # Clipped, the other values have codes. So they have in fp8, whose numbers are small, too.
        for more in (("ptq.calibration.algorithm=percentile", "ptq.calibration.percentile=99"),
                     ("ptq.calibration.algorithm=percentile", "ptq.calibration.percentile=99.9"),
                     ("quantize.layers.0.activations.dtype=fp8_e4m3fn",), ("quantize.layers.0.activations.dtype=fp8_e5m2",)):
            run = self.quantize(spec, recorded, *more)
            self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_subnormal(self):
        for algorithm in ("minmax", "entropy"):
            found = self.activations(npy([8, 1, 28, 28], floats(*[1e-45] * 8 * PIXELS)), algorithm,
                                     'layer "conv1": amax is 1.401e-45, but its scale would be 0, so it is 1 and all codes are 0. Such numbers')
            self.assertEqual(found["conv1"]["amax"], 2.0**-149)
            self.assertIn("its scale would be 0", found["conv1"]["reason"])
            found = self.activations(npy([8, 1, 28, 28], floats(*[1e-37] * 8 * PIXELS)), algorithm,
                                     'layer "conv1": amax is 1e-37, but its scale is subnormal. Such numbers')
            self.assertIn("its scale is subnormal", found["conv1"]["reason"])


if __name__ == "__main__":
    main()
