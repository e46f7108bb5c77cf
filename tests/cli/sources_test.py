# SPDX-License-Identifier: Apache-2.0
"""What a run reads is never written over, by whatever name: the command refuses and changes nothing."""
import json
import os
import shutil

from command import CommandTest, LENET, STATIC, WEIGHT_ONLY, floats, main, safetensors

LENET_GRAPH = LENET.with_name("model.onnx")
CALIBRATION_DATA = LENET.with_name("calib.npy")
ARTIFACT = "out/quantized_model_torchao.safetensors"


class SourcesTest(CommandTest):
    def content(self):
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}

    def assertRefused(self, path, *words, run):
        before = self.content()
        self.assertFails(run(), 2, str(self.folder / path), *words)
        self.assertEqual(self.content(), before)

    def copy(self, file, name):
        (self.folder / name).parent.mkdir(exist_ok=True)
        return shutil.copyfile(file, self.folder / name)


class Quantize(SourcesTest):
    def test_the_model_has_the_artifact_s_name(self):
        self.assertRefused(ARTIFACT, "model_path", "another results_dir",
                           run=lambda model=self.copy(LENET, ARTIFACT): self.quantize(WEIGHT_ONLY, model=model))

    def test_links(self):
        model = self.copy(LENET, "model.safetensors")
        (self.folder / "out").mkdir()
        for link in (os.symlink, os.link):
            with self.subTest(link.__name__):
                link(model, self.folder / ARTIFACT)
                self.assertRefused(ARTIFACT, "model_path", run=lambda: self.quantize(WEIGHT_ONLY, model=model))
                (self.folder / ARTIFACT).unlink()
        (self.folder / "other").symlink_to("out")
        model = self.copy(LENET, ARTIFACT)
        self.assertRefused("other/" + ARTIFACT[4:], "model_path",
                           run=lambda: self.quantize(WEIGHT_ONLY, "results_dir=other", model=model))

    def test_a_shard_has_the_artifact_s_name(self):
        self.write(ARTIFACT, safetensors({"one.weight": ("F32", [2, 2], floats(1, -2, 3, 4))}))
        index = self.write("out/model.safetensors.index.json",
                           json.dumps({"weight_map": {"one.weight": ARTIFACT[4:]}}))
        self.assertRefused(ARTIFACT, "model_path", run=lambda: self.quantize(WEIGHT_ONLY, model=index))

    def test_data_have_the_name_of_a_report(self):
        data = self.copy(CALIBRATION_DATA, "out/status.json")
        setting = "dataset.quant_calibration_dataset.inputs"
        self.assertRefused("out/status.json", setting,
                           run=lambda: self.quantize(STATIC, f"{setting}={data}", model=LENET_GRAPH))

    def test_the_specification_is_experiment_yaml(self):
        spec = self.copy(WEIGHT_ONLY, "out/experiment.yaml")
        self.assertRefused("out/experiment.yaml", "the specification that was given", "Rename",
                           run=lambda: self.quantize(spec))

    def test_a_written_experiment_yaml_runs_again_in_its_place(self):
        self.assertEqual(self.quantize(WEIGHT_ONLY).returncode, 0)
        before = self.content()
        run = self.ptq("quantize", "-e", "out/experiment.yaml")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.content(), before)
        self.assertRefused("out/experiment.yaml", "the specification that was given",
                           run=lambda: self.ptq("quantize", "-e", "out/experiment.yaml", "quantize.skip_names=[fc1]"))


class Statistics(SourcesTest):
    def calibrate(self, output, model=LENET_GRAPH, data=CALIBRATION_DATA):
        return self.ptq("calibrate", "-e", STATIC, f"model_path={model}", "-o", output,
                        f"dataset.quant_calibration_dataset.inputs={data}")

    def test_calibrate_onto_what_it_reads(self):
        model, data = self.copy(LENET_GRAPH, "model.onnx"), self.copy(CALIBRATION_DATA, "calib.npy")
        (self.folder / "link.ptqcal").symlink_to("calib.npy")
        for output in ("model.onnx", "./calib.npy", "link.ptqcal"):
            with self.subTest(output):
                self.assertRefused(output.removeprefix("./"), "does not hold statistics", "-o FILE.ptqcal",
                                   run=lambda: self.calibrate(output, model, data))

    def test_merge_onto_something_else(self):
        self.assertEqual(self.calibrate("a.ptqcal").returncode, 0)
        for other in (self.copy(LENET, "model.safetensors"), self.write("notes.txt", "mine")):
            self.assertRefused(other, "does not hold statistics",
                               run=lambda: self.ptq("merge", "-o", other, "a.ptqcal"))

    def test_older_statistics_and_empty_files_are_replaced(self):
        self.write("a.ptqcal", "")
        for _ in range(2):
            run = self.calibrate("a.ptqcal")
            self.assertEqual(run.returncode, 0, run.stderr)
        self.write("b.ptqcal", "")
        self.copy(self.folder / "a.ptqcal", "copy.ptqcal")
        for _ in range(2):
            run = self.ptq("merge", "-o", "b.ptqcal", "a.ptqcal", "copy.ptqcal")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertRegex(run.stdout, r"(?m)^conv1 +401408 +255$")

    def test_merge_onto_a_part(self):
        self.assertEqual(self.calibrate("a.ptqcal").returncode, 0)
        (self.folder / "link.ptqcal").symlink_to("a.ptqcal")
        for output in ("a.ptqcal", "link.ptqcal"):
            self.assertRefused(output, "one of the parts", "twice",
                               run=lambda: self.ptq("merge", "-o", output, "a.ptqcal"))

    def test_a_part_twice(self):
        self.assertEqual(self.calibrate("a.ptqcal").returncode, 0)
        (self.folder / "link.ptqcal").symlink_to("a.ptqcal")
        os.link(self.folder / "a.ptqcal", self.folder / "second.ptqcal")
        for name in ("a.ptqcal", "./a.ptqcal", "link.ptqcal", "second.ptqcal"):
            with self.subTest(name):
                self.assertFails(self.ptq("merge", "-o", "all.ptqcal", "a.ptqcal", name), 2,
                                 f"{self.folder / name.removeprefix('./')}: this part is given twice", "Give it once.")
                self.assertFalse((self.folder / "all.ptqcal").exists())

    def test_a_folder_that_cannot_be(self):
        """Its name is too long to be resolved: the files that are read do not lie in it."""
        run = self.quantize(WEIGHT_ONLY, "results_dir=" + "x" * 300)
        self.assertFails(run, 1, "results_dir cannot be made", "File name too long")


if __name__ == "__main__":
    main()
