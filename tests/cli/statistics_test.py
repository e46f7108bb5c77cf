# SPDX-License-Identifier: Apache-2.0
"""calibrate, merge, inspect and quantize --statistics: what they print, write and refuse."""
import json
import signal
import subprocess
import time

from command import CommandTest, EXAMPLES, LENET, PTQ, STATIC, WEIGHT_ONLY, floats, main, npy, npz, safetensors

LENET_GRAPH = LENET.with_name("model.onnx")
CALIBRATION_DATA = LENET.with_name("calib.npy")
ARTIFACT = "quantized_model_modelopt.onnx"


class StatisticsTest(CommandTest):
    def calibrate(self, *more, data=CALIBRATION_DATA, model=LENET_GRAPH):
        return self.ptq("calibrate", "-e", STATIC, f"model_path={model}",
                        f"dataset.quant_calibration_dataset.inputs={data}", *more)

    def statistics(self, name="a.ptqcal", *more, **where):
        run = self.calibrate("-o", name, *more, **where)
        self.assertEqual(run.returncode, 0, run.stderr)
        return self.folder / name

    def names(self):
        return sorted(p.name for p in self.folder.iterdir())


class Commands(StatisticsTest):
    def test_calibrate_says_what_it_saw(self):
        run = self.calibrate("-o", "a.ptqcal")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, r"(?m)^layer +values +largest$")
        self.assertRegex(run.stdout, r"(?m)^conv1 +200704 +255$")
        self.assertIn(f"statistics: {self.folder / 'a.ptqcal'}", run.stdout)
        self.assertEqual(self.names(), ["a.ptqcal"])

        printed = json.loads(self.calibrate("-o", "b.ptqcal", "--json").stdout)
        self.assertEqual(printed["statistics"], str(self.folder / "b.ptqcal"))
        self.assertEqual([l["name"] for l in printed["layers"]], ["conv1", "conv2", "fc1", "fc2"])
        self.assertEqual(printed["layers"][0], {"name": "conv1", "count": 200704, "absmax": 255.0})
        self.assertIn(printed["model"], run.stdout)

    def test_calibrate_writes_to_results_dir_by_default(self):
        run = self.calibrate("results_dir=some/where")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([p.name for p in (self.folder / "some/where").iterdir()], ["statistics.ptqcal"])
        self.assertFails(self.calibrate(), 2, "results_dir")

    def test_the_file_is_safetensors(self):
        data = self.statistics().read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        about = json.loads(header.pop("__metadata__")["ptq_statistics"])
        self.assertEqual(sorted(about), ["exponents", "model", "version"])
        self.assertEqual(about["exponents"]["conv1"], 8)  # 255 < 2^8
        self.assertEqual({n: (t["dtype"], t["shape"]) for n, t in header.items() if n.startswith("fc1.")},
                         {"fc1.counts": ("U64", [4096]), "fc1.absmax": ("F32", []), "fc1.count": ("U64", [])})

    def test_inspect(self):
        file = self.statistics()
        self.assertRegex(self.ptq("inspect", file).stdout, r"(?m)^conv1 +200704 +255$")
        self.assertEqual(json.loads(self.ptq("inspect", "--json", file).stdout)["statistics"], str(file))

    def test_merge_adds_up(self):
        self.statistics()
        parts = [self.write(f"{n}.ptqcal", (self.folder / "a.ptqcal").read_bytes()) for n in range(3)]
        run = self.ptq("merge", "-o", "all.ptqcal", *parts)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, r"(?m)^conv1 +602112 +255$")
        self.assertEqual(self.ptq("merge", "-o", "b.ptqcal", "a.ptqcal").returncode, 0)
        self.assertEqual((self.folder / "b.ptqcal").read_bytes(), (self.folder / "a.ptqcal").read_bytes())

    def test_quantize_with_statistics_is_quantize_with_data(self):
        for algorithm in ("minmax", "entropy"):
            with self.subTest(algorithm=algorithm):
                chosen = f"quantize.algorithm={algorithm}"
                run = self.quantize(STATIC, chosen, f"dataset.quant_calibration_dataset.inputs={CALIBRATION_DATA}",
                                    model=LENET_GRAPH)
                self.assertEqual(run.returncode, 0, run.stderr)
                artifact = (self.folder / "out" / ARTIFACT).read_bytes()
                report = json.loads((self.folder / "out" / "quantize_report.json").read_text())
                (self.folder / "out" / ARTIFACT).unlink()

                run = self.quantize(STATIC, chosen, "--statistics", self.statistics(), model=LENET_GRAPH)
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertEqual((self.folder / "out" / ARTIFACT).read_bytes(), artifact)
                self.assertEqual(json.loads((self.folder / "out" / "quantize_report.json").read_text()), report)
                self.assertEqual(report["layers"][0]["activations"]["algorithm"], algorithm)

    def test_recorded_activations_in_every_format(self):
        arrays = {"fc1": [2, 256], "fc2": [2, 64]}
        values = {name: floats(*[i / 7 for i in range(shape[0] * shape[1])]) for name, shape in arrays.items()}
        spec = self.write("spec.yaml", "quantize: {backend: modelopt, mode: static_ptq, layers: [{module_name: Linear, "
                                       "weights: {dtype: int8}, activations: {dtype: int8}}]}\n")
        written = []
        for name, data in (("r.npz", npz({n: npy(s, values[n]) for n, s in arrays.items()})),
                           ("r.safetensors", safetensors({n: ("F32", s, values[n]) for n, s in arrays.items()}))):
            run = self.ptq("calibrate", "-e", spec, f"model_path={LENET}", "-o", "r.ptqcal",
                           f"dataset.quant_calibration_dataset.activations={self.write(name, data)}")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertRegex(run.stdout, r"(?m)^fc1 +512 +73$")
            written.append((self.folder / "r.ptqcal").read_bytes())
        self.assertEqual(written[0], written[1])


class Refusals(StatisticsTest):
    def test_another_model(self):
        file = self.statistics()
        other = EXAMPLES / "models" / "pitch-transformer" / "model.onnx"
        run = self.quantize(STATIC, "--statistics", file, model=other)
        self.assertFails(run, 1, str(file), "another model")
        self.assertEqual(self.written(), ["out/status.json"])
        self.statistics("b.ptqcal", model=other, data=other.with_name("calib.npy"))
        run = self.ptq("merge", "-o", "all.ptqcal", "a.ptqcal", "b.ptqcal")
        self.assertFails(run, 1, str(self.folder / "b.ptqcal"), "another model")
        self.assertEqual(self.names(), ["a.ptqcal", "b.ptqcal", "out"])

    def test_a_layer_is_missing(self):
        file = self.statistics("a.ptqcal", 'quantize.skip_names=["fc2"]')
        run = self.quantize(STATIC, "--statistics", file, model=LENET_GRAPH)
        self.assertFails(run, 1, str(file), 'no statistics of layer "fc2"', "Calibrate again")

    def test_parts_with_other_layers(self):
        self.statistics()
        self.statistics("b.ptqcal", 'quantize.skip_names=["fc2"]')
        for parts in (("a.ptqcal", "b.ptqcal"), ("b.ptqcal", "a.ptqcal")):
            self.assertFails(self.ptq("merge", "-o", "all.ptqcal", *parts), 1, str(self.folder / "b.ptqcal"),
                             'no statistics of layer "fc2"', str(self.folder / "a.ptqcal"), "the same rules")

    def test_damaged(self):
        good = self.statistics().read_bytes()
        length = int.from_bytes(good[:8], "little")
        in_counts = good[: 8 + length + 5000] + b"\1" + good[8 + length + 5001 :]
        renamed = good.replace(b"ptq_statistics", b"PTQ_statistics")
        for name, data, words in (("cut", good[:-1], ["cut off"]), ("header", good[:60], ["cut off"]),
                                  ("counts", in_counts, ["contradict each other", "calibrate again"]),
                                  ("renamed", renamed, ["ptq_statistics", "ptq calibrate"])):
            with self.subTest(name):
                bad = self.write("bad.ptqcal", data)
                self.assertFails(self.quantize(STATIC, "--statistics", bad, model=LENET_GRAPH), 1, str(bad), *words)
                self.assertFails(self.ptq("merge", "-o", "all.ptqcal", "a.ptqcal", bad), 1, str(bad), *words)
                self.assertFalse((self.folder / "all.ptqcal").exists())

    def test_other_files(self):
        self.statistics()
        for data, look in ((b"", "an empty file"), (LENET.read_bytes(), 'a safetensors file without the metadata key'),
                           (LENET_GRAPH.read_bytes(), "an ONNX model"), (CALIBRATION_DATA.read_bytes(), "a NumPy array"),
                           (WEIGHT_ONLY.read_bytes(), "text")):
            with self.subTest(look):
                other = self.write("other.ptqcal", data)
                for run in (self.quantize(STATIC, "--statistics", other, model=LENET_GRAPH),
                            self.ptq("merge", "-o", "all.ptqcal", "a.ptqcal", other)):
                    self.assertFails(run, 1, f"{other}: this is not a file of statistics (.ptqcal): it looks like {look}",
                                     "`ptq calibrate`")
                    self.assertNotIn("8 bytes", run.stderr)
        self.assertFails(self.ptq("merge", "-o", "all.ptqcal", STATIC), 1, f"{STATIC}: ", "it looks like a YAML file.")
        self.assertFails(self.ptq("merge", "-o", "/proc/all.ptqcal", "a.ptqcal"), 1, "/proc takes no new files")

    def test_nowhere(self):
        self.assertFails(self.quantize(STATIC, "--statistics", "nowhere.ptqcal", model=LENET_GRAPH), 1,
                         str(self.folder / "nowhere.ptqcal"), "no such file")
        self.assertFails(self.ptq("merge", "-o", "all.ptqcal", "nowhere.ptqcal"), 1, "no such file")
        self.assertEqual(self.ptq("merge", "-o", "all.ptqcal").returncode, 2)
        self.assertEqual(self.ptq("merge", "nowhere.ptqcal").returncode, 2)

    def test_output_is_seen_to_before_the_data(self):
        run = self.calibrate("-o", "missing/a.ptqcal", data="nowhere.npy")
        self.assertFails(run, 1, str(self.folder / "missing"), "does not exist")
        (self.folder / "taken.ptqcal").mkdir()
        self.assertFails(self.calibrate("-o", "taken.ptqcal", data="nowhere.npy"), 1, "taken.ptqcal", "folder")
        self.assertEqual(self.names(), ["taken.ptqcal"])

    def test_no_activations(self):
        run = self.ptq("calibrate", "-e", WEIGHT_ONLY, f"model_path={LENET}", "-o", "a.ptqcal")
        self.assertFails(run, 2, str(WEIGHT_ONLY), "nothing to calibrate", "modelopt", "activations")
        run = self.quantize(WEIGHT_ONLY, "--statistics", "unread.ptqcal")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("warning: ptq.calibration.statistics (--statistics): ", run.stderr)
        self.assertFails(self.quantize(WEIGHT_ONLY, "--statistics", "unread.ptqcal", "--strict"), 2, "--statistics")

    def test_data_that_are_not_read(self):
        run = self.quantize(STATIC, "--statistics", self.statistics(),
                            "dataset.quant_calibration_dataset.inputs=unread.npy", model=LENET_GRAPH)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("note: dataset.quant_calibration_dataset is not read: ", run.stderr)

    def test_no_data(self):
        run = self.ptq("calibrate", "-e", STATIC, f"model_path={LENET_GRAPH}", "-o", "a.ptqcal")
        self.assertFails(run, 2, "static.yaml", "quant_calibration_dataset.inputs=", "quant_calibration_dataset.activations=")

    def test_no_graph(self):
        run = self.calibrate("-o", "a.ptqcal", model=LENET)
        self.assertFails(run, 1, str(LENET), ".onnx", "quant_calibration_dataset.activations=")
        self.assertEqual(self.names(), [])


class Interruption(StatisticsTest):
    def test_ctrl_c(self):
        """The older file stays as it was, or the new one is there whole; nothing else is left."""
        older = self.statistics().read_bytes()
        image = CALIBRATION_DATA.read_bytes()[-256 * 784 :]
        many = self.write("many.npy", npy([25600, 1, 28, 28], image * 100, "|u1"))
        stopped = 0
        for wait in (0.02, 0.1, 0.3):
            process = subprocess.Popen(
                [PTQ, "calibrate", "-e", STATIC, f"model_path={LENET_GRAPH}", "-o", "a.ptqcal",
                 f"dataset.quant_calibration_dataset.inputs={many}"],
                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            self.assertEqual(self.names(), ["a.ptqcal", "many.npy"])
            if process.returncode == 0:  # it was quicker than we were
                continue
            self.assertEqual(process.returncode, -signal.SIGINT)
            self.assertEqual((self.folder / "a.ptqcal").read_bytes(), older)
            stopped += "interrupted" in said
        self.assertGreater(stopped, 0)


if __name__ == "__main__":
    main()
