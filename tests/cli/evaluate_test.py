# SPDX-License-Identifier: Apache-2.0
"""What evaluate compares: binary answers, maps, time-major outputs, numbers, several outputs; what is no number."""
import json

import numpy as np
import onnx
import onnxruntime
from command import STATIC, CommandTest, main
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(3)


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def node(op, operands, made, **attributes):
    return helper.make_node(op, operands, [made], name=made, **attributes)


class Evaluate(CommandTest):
    def model(self, nodes, weights, taken, given):
        """taken: the shape of input x; given: {output: shape}."""
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(nodes, "g", [value("x", taken)], [value(*output) for output in given.items()],
                                  [numpy_helper.from_array(w, name) for name, w in weights.items()])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), self.folder / "m.onnx")

    def quantize_on(self, samples):
        """Calibrated on the samples; then what ONNX Runtime answers of model and artifact."""
        np.save(self.folder / "x.npy", samples)
        self.words = ["-e", STATIC, "model_path=m.onnx", "results_dir=out"]
        run = self.ptq("quantize", *self.words, "dataset.quant_calibration_dataset.inputs=x.npy")
        self.assertEqual(run.returncode, 0, run.stderr)

    def answers(self, samples):
        np.save(self.folder / "x.npy", samples)
        sessions = [onnxruntime.InferenceSession(str(self.folder / path), providers=["CPUExecutionProvider"])
                    for path in ("m.onnx", "out/quantized_model_modelopt.onnx")]
        return [session.run(None, {"x": samples}) for session in sessions]

    def evaluate(self, *words, **arrays):
        """The JSON; arrays: settings that are files."""
        for name, array in arrays.items():
            np.save(self.folder / f"{name}.npy", array)
        run = self.ptq("evaluate", "--json", *self.words, "evaluate.inputs=x.npy", *words,
                       *[f"evaluate.{name}={name}.npy" for name in arrays])
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def refused(self, code, *said, words=(), **arrays):
        for name, array in arrays.items():
            np.save(self.folder / f"{name}.npy", array)
        self.assertFails(self.ptq("evaluate", *self.words, "evaluate.inputs=x.npy", *words,
                                  *[f"evaluate.{name}={name}.npy" for name in arrays]), code, *said)

    def test_not_a_number(self):
        """Of small samples the codes are 0, and so is what they are divided by."""
        self.model([node("MatMul", ["x", "fc.weight"], "h"), node("Div", ["h", "h"], "y")],
                   {"fc.weight": np.eye(4, dtype=np.float32)}, ["n", 4], {"y": ["n", 4]})
        samples = np.ones((6, 4), np.float32)
        samples[3:] = 1e-6
        self.quantize_on(samples)
        for batch in (1, 4):
            self.refused(1, "out/quantized_model_modelopt.onnx: sample 3: output \"y\": [", " is NaN",
                         words=[f"evaluate.batch_size={batch}"])

    def test_one_value(self):
        """A probability is above 0.5 or not, a logit above 0; without labels only a probability is an answer."""
        weights = {"fc.weight": normal(6, 2), "pick.weight": np.array([[1], [0]], np.float32), "b": np.array([0.3], np.float32)}
        samples = 3 * normal(200, 6)
        for limit, nodes in ((0.5, [node("Softmax", ["h"], "p"), node("MatMul", ["p", "pick.weight"], "y")]),
                             (0, [node("MatMul", ["h", "pick.weight"], "p"), node("Add", ["p", "b"], "y")])):
            self.model([node("MatMul", ["x", "fc.weight"], "h"), *nodes], weights, ["n", 6], {"y": ["n", 1]})
            self.quantize_on(samples / 100)  # so that many answers change
            (expected,), (found,) = ([outputs[0][:, 0] > limit] for outputs in self.answers(samples))
            labels = expected.copy()
            labels[::7] ^= True
            made = self.evaluate(labels=labels.astype(np.int64))
            self.assertAlmostEqual(made["agreement"], np.mean(expected == found), delta=0.01)
            self.assertAlmostEqual(made["float_top1"], np.mean(expected == labels))
            self.assertAlmostEqual(made["quantized_top1"], np.mean(found == labels), delta=0.01)
            self.assertLess(made["agreement"], 0.98)
            self.assertEqual((made["outputs"][0]["task"], made["outputs"][0]["threshold"]), ("binary", limit))
            alone = self.evaluate()
            self.assertEqual(alone["agreement"], made["agreement"] if limit else None)
            self.assertEqual(self.evaluate("evaluate.task=binary")["agreement"], made["agreement"])
            self.assertIsNone(self.evaluate("evaluate.task=regression")["agreement"])
        self.refused(1, "labels.npy: sample 1: the label is 2, but the model has 2 classes", "from 0 to 1", "regression",
                     labels=np.full(200, 2) - (np.arange(200) == 0))
        text = self.ptq("evaluate", *self.words, "evaluate.inputs=x.npy").stdout
        self.assertIn("compared          y [N, 1]: numbers; evaluate.task=binary decides at 0", text)
        self.assertNotIn("agreement", text)
        self.assertRegex(text, r"largest error     \d")

    def test_maps(self):
        self.model([node("Conv", ["x", "fc.weight"], "y")], {"fc.weight": normal(3, 2, 1, 1)}, ["n", 2, 4, 4], {"y": ["n", 3, 4, 4]})
        samples = normal(30, 2, 4, 4)
        self.quantize_on(samples / 4)
        (expected,), (found,) = ([outputs[0].argmax(1)] for outputs in self.answers(samples))
        made = self.evaluate(labels=expected)
        self.assertAlmostEqual(made["agreement"], np.mean(expected == found), delta=0.01)
        self.assertEqual((made["float_top1"], made["outputs"][0]["class_axis"], made["outputs"][0]["answers"]), (1, 1, 480))
        wrong = expected.copy()
        wrong[5, 0, 2] = 3
        self.refused(1, "labels.npy: sample 5, answer 2 of 16: the label is 3", "from 0 to 2", labels=wrong)
        self.refused(1, "labels.npy: ", "[30, 2, 2], 4 a sample", "16 answers a sample", labels=expected[:, :2, :2])
        self.refused(1, "29 labels for 30 samples", labels=expected[:29])
        self.assertEqual(self.evaluate(labels=expected.reshape(30, 16))["float_top1"], 1)  # in a row
        by_row = np.mean(self.answers(samples)[0][0].argmax(2) == self.answers(samples)[1][0].argmax(2))
        self.assertAlmostEqual(self.evaluate("evaluate.class_axis=-2")["agreement"], by_row, delta=0.01)

    def test_shape_of_labels(self):
        """As many labels as answers, in another order, would be compared with the answers of other places."""
        self.model([node("Conv", ["x", "fc.weight"], "y")], {"fc.weight": normal(3, 2, 1, 1)}, ["n", 2, 2, 4], {"y": ["n", 3, 2, 4]})
        samples = normal(20, 2, 2, 4)
        self.quantize_on(samples)
        labels = self.answers(samples)[0][0].argmax(1)
        self.assertEqual(self.evaluate(labels=labels)["float_top1"], 1)
        self.refused(1, "labels.npy: they are [20, 4, 2], but", "has answers of the shape [2, 4]", labels=labels.reshape(20, 4, 2))

    def test_outputs_without_samples(self):
        """Of a batch at once: numbers compare whatever their number, labels do not. Selu is OpenVINO's, which runs whole batches."""
        if "OpenVINO" not in self.ptq("--version").stdout:
            self.skipTest("OpenVINO is not built in")
        hidden = [node("MatMul", ["x", "fc.weight"], "h"), node("Selu", ["h"], "s")]
        samples = normal(7, 6)
        labels = np.arange(7) % 4
        self.model([*hidden, node("ReduceMean", ["s"], "y", axes=[0], keepdims=0)], {"fc.weight": normal(6, 4)}, ["n", 6], {"y": [4]})
        self.quantize_on(samples)
        self.refused(1, "labels.npy: they are [7], but the output y [4]", "answers 3 samples at once. Set evaluate.batch_size=1",
                     words=["evaluate.batch_size=3"], labels=labels)
        self.assertEqual(self.evaluate("evaluate.batch_size=1", labels=labels)["outputs"][0]["answers"], 7)
        self.model([*hidden, node("Reshape", ["s", "shape"], "y")], {"fc.weight": normal(6, 8), "shape": np.array([-1, 4])}, ["n", 6],
                   {"y": ["boxes", 4]})
        self.quantize_on(samples)
        (expected,), (found,) = self.answers(samples)
        for batch in (2, 3, 4, 32):  # 4 is as long as a box, and the last batch is shorter
            made = self.evaluate(f"evaluate.batch_size={batch}")
            self.assertEqual((made["outputs"][0]["task"], made["outputs"][0]["batch_axis"]), ("regression", None))
            self.assertAlmostEqual(made["max_abs_error"], np.abs(expected - found).max(), delta=1e-3)
        self.refused(1, "output \"y\": its shape", "differs from batch to batch", "evaluate.task=regression",
                     words=["evaluate.batch_size=3", "evaluate.task=classification"])

    def test_one_answer_a_sample(self):
        """[N], as integers and as numbers; the last batch is shorter."""
        if "OpenVINO" not in self.ptq("--version").stdout:
            self.skipTest("OpenVINO is not built in")
        samples = normal(20, 6)
        for last in (node("ArgMax", ["s"], "y", axis=1, keepdims=0), node("ReduceMax", ["s"], "y", axes=[1], keepdims=0)):
            self.model([node("MatMul", ["x", "fc.weight"], "h"), node("Selu", ["h"], "s"), last], {"fc.weight": normal(6, 4)}, ["n", 6],
                       {"y": ["n"]})
            if last.op_type == "ArgMax":
                model = onnx.load(self.folder / "m.onnx")
                model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
                onnx.save(model, self.folder / "m.onnx")
            self.quantize_on(samples)
            answers = self.answers(samples)[0][0]
            labels = answers if last.op_type == "ArgMax" else answers > 0
            for batch in (1, 7, 32):
                made = self.evaluate(f"evaluate.batch_size={batch}", labels=labels)
                self.assertEqual((made["float_top1"], made["outputs"][0]["answers"]), (1, 20))

    def test_an_axis_as_long_as_the_batch(self):
        """Two steps, and batches of two: what the graph declares tells them apart; else the shorter last batch does, or nothing is said."""
        if "OpenVINO" not in self.ptq("--version").stdout:
            self.skipTest("OpenVINO is not built in")
        samples = normal(7, 6)
        for steps in (2, None):
            self.model([node("MatMul", ["x", "fc.weight"], "h"), node("Selu", ["h"], "s"), node("Reshape", ["s", "shape"], "r"),
                        node("Transpose", ["r"], "y", perm=[1, 0, 2])], {"fc.weight": normal(6, 10), "shape": np.array([-1, 2, 5])},
                       ["n", 6], {"y": [steps, None, 5]})
            self.quantize_on(samples)
            labels = self.answers(samples)[0][0].argmax(2).T.copy()
            for batch in (1, 3, 5, 32, *([2] if steps else [])):
                made = self.evaluate(f"evaluate.batch_size={batch}", labels=labels)
                self.assertEqual((made["float_top1"], made["outputs"][0]["batch_axis"]), (1, 1))
        self.refused(1, "differs from batch to batch", words=["evaluate.batch_size=2"], labels=labels)

    def test_time_major(self):
        self.model([node("MatMul", ["x", "fc.weight"], "l"), node("Transpose", ["l"], "y", perm=[1, 0, 2])], {"fc.weight": normal(6, 4)},
                   ["n", 5, 6], {"y": [5, "n", 4]})
        samples = normal(35, 5, 6)
        self.quantize_on(samples / 4)
        (expected,), (found,) = ([outputs[0].argmax(2)] for outputs in self.answers(samples))
        for batch in (1, 5, 7, 32):
            made = self.evaluate(f"evaluate.batch_size={batch}", labels=expected.T.copy())
            self.assertAlmostEqual(made["agreement"], np.mean(expected == found), delta=0.01)
            self.assertEqual(made["float_top1"], 1)
            self.assertEqual([made["outputs"][0][key] for key in ("batch_axis", "class_axis", "answers")], [1, 2, 175])

    def test_several_outputs(self):
        self.model([node("MatMul", ["x", "fc.weight"], "logits"), node("MatMul", ["x", "box.weight"], "boxes")],
                   {"fc.weight": normal(6, 4), "box.weight": normal(6, 3)}, ["n", 6], {"logits": ["n", 4], "boxes": ["n", 3]})
        samples = normal(40, 6)
        self.quantize_on(samples)
        made = self.evaluate("evaluate.task={boxes: regression}")
        self.assertEqual([(row["name"], row["task"]) for row in made["outputs"]], [("logits", "classification"), ("boxes", "regression")])
        self.assertEqual(made["agreement"], made["outputs"][0]["agreement"])
        self.assertIsNone(made["outputs"][1]["agreement"])
        reference, quantized = self.answers(samples)
        for row, x, y in zip(made["outputs"], reference, quantized):
            self.assertAlmostEqual(row["sqnr_db"], 10 * np.log10(np.sum(x ** 2) / np.sum((x - y) ** 2)), delta=0.1)
            self.assertAlmostEqual(row["max_abs_error"], np.abs(x - y).max(), delta=1e-3)
        text = self.ptq("evaluate", *self.words, "evaluate.inputs=x.npy").stdout
        self.assertRegex(text, r"logits +\[N, 4\]: the largest of 4 along axis 1 ")
        self.refused(2, "evaluate.inputs.y: the graph has no input \"y\"; it has \"x\".", words=["evaluate.inputs={y: x.npy}"])
        self.refused(2, "evaluate.task.box: the graph has no output \"box\"", "Did you mean \"boxes\"?", words=["evaluate.task={box: binary}"])
        self.refused(2, "evaluate.task: unknown word \"clasification\"", "Did you mean \"classification\"?", words=["evaluate.task=clasification"])
        self.refused(1, "evaluate.class_axis: is 2, but the output \"logits\" has axes 0 to 1", words=["evaluate.class_axis=2"])
        self.refused(1, "evaluate.class_axis: is 0", "counts samples along it", words=["evaluate.class_axis=0"])
        self.refused(2, "evaluate.class_axis: expected an axis", words=["evaluate.class_axis=last"])

    def test_dead_output(self):
        self.model([node("MatMul", ["x", "fc.weight"], "y")], {"fc.weight": np.zeros((6, 4), np.float32)}, ["n", 6], {"y": ["n", 4]})
        self.quantize_on(normal(10, 6))
        made = self.evaluate()
        self.assertEqual((made["agreement"], made["sqnr_db"], made["max_abs_error"]), (1, None, 0))


if __name__ == "__main__":
    main()
