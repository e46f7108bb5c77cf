# SPDX-License-Identifier: Apache-2.0
"""Standard streams that the caller has closed: no file gets their numbers, so nothing that is printed goes into one."""
import itertools
import subprocess

from command import EXAMPLES, LENET, PTQ, CommandTest, main

STREAMS = {"<&-": "stdin", ">&-": "stdout", "2>&-": "stderr"}
SHARED = EXAMPLES.parent / "tests" / "golden" / "onnx" / "shared.onnx"


class ClosedStreams(CommandTest):
    def run_closed(self, closed, results_dir, model):
        command = [PTQ, "quantize", "-e", "spec.yaml", f"model_path={model}", f"results_dir={results_dir}"]
        return subprocess.run(["sh", "-c", f'"$@" {" ".join(closed)}', "sh", *map(str, command)], cwd=self.folder,
                              capture_output=True, text=True, timeout=60)

    def test_every_combination(self):
        """The graph's artifact is open while a note is printed, that a weight is kept as floats too."""
        self.write("spec.yaml", "quantize: {layers: [{module_name: '*', weights: {dtype: int8}}]}\n")
        for model in (LENET, SHARED):
            self.assertEqual(self.run_closed([], "whole", model).returncode, 0)
            names = ["quantize_report.json", "quantized_model_torchao" + model.suffix]
            for count in range(1, 4):
                for closed in itertools.combinations(STREAMS, count):
                    with self.subTest(model=model.name, closed=closed):
                        run = self.run_closed(closed, "out", model)
                        self.assertEqual(run.returncode, 1 if ">&-" in closed else 0)  # the summary did not arrive
                        if ">&-" in closed and "2>&-" not in closed:
                            self.assertIn("ptq: error: standard output: ", run.stderr)
                        for name in names:
                            self.assertEqual((self.folder / "out" / name).read_bytes(),
                                             (self.folder / "whole" / name).read_bytes(), name)


if __name__ == "__main__":
    main()
