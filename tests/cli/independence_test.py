# SPDX-License-Identifier: Apache-2.0
"""Statistics depend on the values that were seen and on nothing else; memory does not depend on how many there were."""
import ast
import json
import pathlib
import random
import re
import resource
import struct
import subprocess
import time

from command import CommandTest, EXAMPLES, LENET, PTQ, STATIC, floats, main, npy, npz, openvino_model

BATCHES = (1, 7, 32, 256)


class samples_of:
    """The samples of an NPY file, each as bytes."""

    def __init__(self, path):
        data = path.read_bytes()
        end = 10 + struct.unpack("<H", data[8:10])[0]
        header = ast.literal_eval(data[10:end].decode())
        self.descr, self.shape = header["descr"], header["shape"][1:]
        size = (len(data) - end) // header["shape"][0]
        self.samples = [data[at : at + size] for at in range(end, len(data), size)]

    def npy(self, samples):
        return npy([len(samples), *self.shape], b"".join(samples), self.descr)


class Independence(CommandTest):
    def statistics(self, model, key, file, batch=32):
        self.layers(model, key, file, batch)
        return (self.folder / "made.ptqcal").read_bytes()

    def layers(self, model, key, file, batch=32):
        """What is said of them; made.ptqcal holds it all."""
        run = self.ptq("calibrate", "--json", "-e", STATIC, f"model_path={model}", "-o", "made.ptqcal",
                       f"dataset.quant_calibration_dataset.{key}={file}",
                       f"dataset.quant_calibration_dataset.batch_size={batch}")
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)["layers"]

    def check(self, model, key, samples, write):
        """write(samples): the path of a file that holds them."""
        whole = self.statistics(model, key, write(samples))
        for batch in BATCHES:
            self.assertEqual(self.statistics(model, key, write(samples), batch), whole, f"batch size {batch}")
        shuffled = samples[:]
        random.Random(1).shuffle(shuffled)
        self.assertNotEqual(shuffled, samples)
        self.assertEqual(self.statistics(model, key, write(shuffled)), whole, "shuffled")
        self.assertNotEqual(self.statistics(model, key, write(samples[:-1])), whole)
        for parts in range(1, 5):
            files = []
            for part in range(parts):
                data = self.statistics(model, key, write(shuffled[part::parts]), batch=5)
                files.insert(0, self.write(f"part{part}.ptqcal", data))
            run = self.ptq("merge", "-o", "merged.ptqcal", *files)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual((self.folder / "merged.ptqcal").read_bytes(), whole, f"{parts} parts")

    def test_models(self):
        for name in ("lenet-digits", "pitch-transformer"):
            with self.subTest(name):
                folder = EXAMPLES / "models" / name
                data = samples_of(folder / "calib.npy")
                self.check(folder / "model.onnx", "inputs", data.samples,
                           lambda samples: self.write("inputs.npy", data.npy(samples)))

    def test_recorded_activations(self):
        shapes = {"conv1": [1, 6, 6], "conv2": [8, 3, 3], "fc1": [256], "fc2": [64]}
        numbers = random.Random(2)
        samples = [{name: floats(*[numbers.gauss(0, i + 1) for _ in range(length)])
                    for name, length in (("conv1", 36), ("conv2", 72), ("fc1", 256), ("fc2", 64))}
                   for i in range(270)]

        def write(some):
            return self.write("recorded.npz", npz({name: npy([len(some), *shape], b"".join(s[name] for s in some))
                                                   for name, shape in shapes.items()}))

        self.check(LENET, "activations", samples, write)

    def test_openvino(self):
        """It may sum in another order in another batch, so its statistics need not be the same to the last bit."""
        if not self.has_openvino():
            self.skipTest("OpenVINO is not built in")
        for name, operator in (("lenet-digits", b"Relu"), ("pitch-transformer", b"Gelu")):
            with self.subTest(name):
                model = self.write("model.onnx", openvino_model(name, operator))
                data = samples_of(EXAMPLES / "models" / name / "calib.npy")
                whole = self.layers(model, "inputs", self.write("inputs.npy", data.npy(data.samples)))
                runs = [(batch, data.samples) for batch in BATCHES]
                runs += [(batch, random.Random(batch).sample(data.samples, len(data.samples))) for batch in BATCHES]
                largest = 0
                for batch, samples in runs:
                    found = self.layers(model, "inputs", self.write("inputs.npy", data.npy(samples)), batch)
                    for one, other in zip(whole, found, strict=True):
                        self.assertEqual((one["name"], one["count"]), (other["name"], other["count"]))
                        largest = max(largest, abs(other["absmax"] / one["absmax"] - 1))
                print(f"{name} by OpenVINO: the ranges of {len(whole)} layers differ by at most {largest:.1e}")
                self.assertLessEqual(largest, 1e-5)
                fewer = self.layers(model, "inputs", self.write("inputs.npy", data.npy(data.samples[:-1])))
                self.assertNotEqual(fewer, whole)


class Memory(CommandTest):
    def command(self, model, file):
        return ("calibrate", "--json", "-e", STATIC, f"model_path={model}", "-o", "m.ptqcal",
                f"dataset.quant_calibration_dataset.inputs={file}")

    def inputs(self):
        """256 samples, and 25600."""
        data = samples_of(LENET.with_name("calib.npy"))
        return self.write("few.npy", data.npy(data.samples)), self.write("many.npy", data.npy(data.samples * 100))

    @staticmethod
    def samples_seen(said):
        return json.loads(said)["layers"][0]["count"] // 784

    def samples_within(self, limit, file):
        """The samples that a calibration sees with no more than `limit` bytes of memory of its own; 0 where it fails."""
        run = self.ptq(*self.command(LENET.with_name("model.onnx"), file),
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
        return self.samples_seen(run.stdout) if run.returncode == 0 else 0

    def test_does_not_grow_with_the_samples(self):
        """The kernel counts anonymous memory against RLIMIT_DATA, so its peak is the least limit that suffices."""
        few, many = self.inputs()
        too_little, enough = 0, 1 << 28
        while enough - too_little > 1 << 12:
            middle = (too_little + enough) // 2
            if self.samples_within(middle, few) == 256:
                enough = middle
            else:
                too_little = middle
        print(f"peak anonymous memory: {enough / 1e6:.2f} MB with 256 samples, at most 5 % more with 25600")
        self.assertEqual(self.samples_within(enough * 105 // 100, many), 25600)

    def resident_peak(self, model, file, samples):
        """In KB, seen every millisecond."""
        process = subprocess.Popen([PTQ, *map(str, self.command(model, file))], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            held = re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(held[1]) if held else 0)
            time.sleep(0.001)
        with process.stdout as said:
            self.assertEqual(self.samples_seen(said.read()), samples)
        return peak

    def test_does_not_grow_with_the_samples_of_openvino(self):
        """Most of what counts against RLIMIT_DATA are the stacks of its threads, so here it counts what was touched."""
        if not self.has_openvino():
            self.skipTest("OpenVINO is not built in")
        model = self.write("model.onnx", openvino_model("lenet-digits", b"Relu"))
        few, many = self.inputs()
        least = max(self.resident_peak(model, few, 256) for _ in range(5))  # from run to run it differs by 4 %
        most = self.resident_peak(model, many, 25600)
        print(f"peak anonymous memory through OpenVINO: {least} KB with 256 samples, {most} KB with 25600")
        self.assertLessEqual(most, least * 1.05)


if __name__ == "__main__":
    main()
