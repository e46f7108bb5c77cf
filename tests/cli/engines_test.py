# SPDX-License-Identifier: Apache-2.0
"""Which engine runs a model, and what the command says where none does."""
import json

from command import EXAMPLES, STATIC, CommandTest, floats, main, npy, safetensors

GOLDEN = EXAMPLES.parent / "tests" / "golden" / "engine"
DATA = "dataset.quant_calibration_dataset"
X = npy([8, 4], floats(*range(32)))


class Engines(CommandTest):
    def run_model(self, command, name, *words):
        return self.ptq(command, "-e", STATIC, f"model_path={GOLDEN / f'{name}.onnx'}", "results_dir=out", *words)

    def test_operators_that_no_engine_has(self):
        data = self.write("x.npy", X)
        run = self.run_model("quantize", "foreign", f"{DATA}.inputs={data}")
        lacking = ["foreign.onnx: tiny_engine lacks org.example.Fold (node \"fold\"), org.example.Unfold."]
        lacking.append("OpenVINO lacks org.example.Fold, org.example.Unfold." if self.has_openvino()
                       else "OpenVINO, which covers more, is not built in; examples/quickstart.sh --with-openvino")
        self.assertFails(run, 1, *lacking, f"{DATA}.activations=FILE.npz", "weight_only_ptq")
        self.assertFalse((self.folder / "out" / "quantized_model_modelopt.onnx").exists())

    def test_recordings_and_weights_only_run_no_engine(self):
        recorded = self.write("recorded.safetensors", safetensors({"fc": ("F32", [8, 4], floats(*range(32)))}))
        run = self.run_model("quantize", "foreign", f"{DATA}.activations={recorded}")
        self.assertEqual(run.returncode, 0, run.stderr)
        run = self.run_model("quantize", "foreign", "quantize.backend=torchao", "quantize.mode=weight_only_ptq")
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_openvino_runs_the_rest(self):
        """Dropout is no operator of tiny_engine. A layer that leads to no output is run, too, and calibrated."""
        if not self.has_openvino():
            self.skipTest("OpenVINO is not built in")
        data = self.write("x.npy", X)
        run = self.run_model("quantize", "dropout", f"{DATA}.inputs={data}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("OpenVINO runs it", run.stderr)
        report = json.loads((self.folder / "out/quantize_report.json").read_text())
        self.assertIn("unused", [layer["name"] for layer in report["layers"] if layer["activations"]["amax"]])
        run = self.run_model("evaluate", "dropout", f"evaluate.inputs={data}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("agreement         100.00 %", run.stdout)

    def test_a_graph_that_was_moved(self):
        """tiny_engine runs it after as before: the axes of ReduceMean are an input now."""
        data = self.write("x.npy", npy([8, 3], floats(*range(24))))
        spec = "quantize: {layers: [{module_name: w, weights: {dtype: fp8_e4m3fn}}]}\n"
        graph = GOLDEN.parent / "onnx" / "opset13_reduce_mean.onnx"
        run = self.quantize(spec, model=graph)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("operator set 13 is now 21, which fp8_e4m3fn needs; 1 node was rewritten", run.stderr)
        run = self.ptq("evaluate", "-e", "spec.yaml", f"model_path={graph}", "results_dir=out", f"evaluate.inputs={data}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("OpenVINO", run.stderr)

    def test_what_tiny_engine_sees_only_when_it_runs(self):
        """It has MaxPool, but not with ceil_mode."""
        data = self.write("x.npy", npy([8, 1, 3, 3], floats(*range(72))))
        run = self.run_model("quantize", "ceil_mode", f"{DATA}.inputs={data}")
        if not self.has_openvino():
            self.assertFails(run, 1, "ceil_mode = 1. OpenVINO, which covers more, is not built in", "weight_only_ptq")
            return
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stderr.count("ceil_mode = 1. OpenVINO runs it, not tiny_engine."), 1)
        report = json.loads((self.folder / "out/quantize_report.json").read_text())
        self.assertEqual(report["layers"][-1]["activations"]["amax"], 71)
        run = self.run_model("evaluate", "ceil_mode", f"evaluate.inputs={data}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("agreement         100.00 %", run.stdout)

    def test_an_input_that_is_a_number(self):
        """It comes first, and does not tell how many samples there are."""
        self.write("x.npy", X)
        self.write("gain.npy", npy([8], floats(*[2.0] * 8)))
        inputs = "{x: x.npy, gain: gain.npy}"
        run = self.run_model("quantize", "number_first", f"{DATA}.inputs={inputs}")
        self.assertEqual(run.returncode, 0, run.stderr)
        run = self.run_model("evaluate", "number_first", f"evaluate.inputs={inputs}")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("samples           8", run.stdout)
        self.write("gain.npy", npy([8], floats(*[2.0] * 7, 3e38)))
        run = self.run_model("quantize", "number_first", f"{DATA}.inputs={inputs}")
        self.assertFails(run, 1, "sample 7", 'layer "fc": its input[0, 0] is infinite', "activations: {dtype: native}")
        self.write("gain.npy", npy([8], floats(*[2.0] * 7, 1e36)))
        run = self.run_model("quantize", "number_first", f"{DATA}.inputs={inputs}")
        self.assertFails(run, 1, "sample 7", 'layer "fc": its input[0, 0] is 2.8e+37, beyond 1e36')


if __name__ == "__main__":
    main()
