# SPDX-License-Identifier: Apache-2.0
"""The commands of the README and of the command's own page, as they stand there, on that page's specification."""
import os
import re
import shutil
import subprocess

from command import PTQ, CommandTest, EXAMPLES, LENET, STATIC, WEIGHT_ONLY, main

PAGES = [EXAMPLES.parent / "README.md", EXAMPLES / "cli/README.md"]


def blocks(language):
    return [block for page in PAGES
            for block in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)]


class Readme(CommandTest):
    def setUp(self):
        super().setUp()
        (self.folder / "examples").symlink_to(EXAMPLES)
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "ptq").symlink_to(PTQ)
        for name in ("model.safetensors", "model.onnx"):
            shutil.copy(LENET.with_name(name), self.folder)
        for name in ("a.npy", "b.npy"):
            shutil.copy(LENET.with_name("calib.npy"), self.folder / name)
        self.write("module_types.json", '{"fc1": "Linear"}')

    def assertRuns(self, commands):
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        run = subprocess.run(["bash", "-euc", commands], cwd=self.folder, capture_output=True, text=True, timeout=60,
                             env={**os.environ, "PATH": path})
        self.assertEqual(run.returncode, 0, run.stderr)

    def setUpSpecification(self):
        specification, = (block for block in blocks("yaml") if block.startswith("quantize:"))
        return self.write("spec.yaml", specification)

    def test_specification(self):
        """It runs as it stands."""
        spec = self.setUpSpecification()
        for command in ("plan", "quantize"):
            run = self.ptq(command, "--strict", "-e", spec)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertNotIn("warning", run.stderr)
        self.assertIn("fp8_e4m3fn", run.stdout)
        self.assertIn("int8", run.stdout)

    def test_shipped_specifications(self):
        """They warn of nothing on the shipped models."""
        for model in sorted((EXAMPLES / "models").iterdir()):
            for name in ("model.onnx", "model.safetensors"):
                run = self.ptq("plan", "--strict", "-e", WEIGHT_ONLY, f"model_path={model / name}")
                self.assertEqual((run.returncode, run.stderr), (0, ""))
            run = self.ptq("plan", "--strict", "-e", STATIC, f"model_path={model / 'model.onnx'}",
                           f"dataset.quant_calibration_dataset.inputs={model / 'calib.npy'}")
            self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_every_command(self):
        self.setUpSpecification()
        commands = [block for block in blocks("sh") if re.search(r"^ptq ", block, re.MULTILINE)]
        self.assertGreaterEqual(len(commands), 4)
        for block in commands:
            with self.subTest(block):
                if "b.ptqcal" in block:  # the other machine's part
                    calibrate = next(line for line in block.splitlines() if line.startswith("ptq calibrate"))
                    self.assertRuns(calibrate.replace("a.ptqcal", "b.ptqcal").replace("a.npy", "b.npy"))
                self.assertRuns(block)


if __name__ == "__main__":
    main()
