#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""load.py PTQ: by hand, with PyTorch 2.13 and NumPy: what `ptq` writes as .pth, PyTorch loads.

In a folder of its own it quantizes examples/models/lenet-digits/model.pth and types.pth of this folder to each dtype. Each
artifact must load by torch.load(weights_only=True), mapped and not, as a dict of plain tensors whose codes and scales are
those of the safetensors artifact. The float form must load into the network, equal codes * scales bit for bit, and give
the accuracy that it prints, which `ptq evaluate` prints of the same rules on model.onnx.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch

HERE = pathlib.Path(__file__).resolve().parent
LENET = HERE.parents[2] / "examples" / "models" / "lenet-digits"
PTQ = pathlib.Path(sys.argv[1]).resolve()


def run(*arguments):
    done = subprocess.run([PTQ, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def safetensors(path):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (about, raw[8 + size + about["data_offsets"][0]:8 + size + about["data_offsets"][1]]) for name, about in header.items()}


def bytes_of(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 8, 5)
        self.conv2 = torch.nn.Conv2d(8, 16, 5)
        self.fc1 = torch.nn.Linear(256, 64)
        self.fc2 = torch.nn.Linear(64, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for dtype in ("int8", "fp8_e4m3fn", "fp8_e5m2"):
        rule = f'[{{module_name: "*", weights: {{dtype: {dtype}}}}}]'
        spec = folder / "spec.yaml"
        spec.write_text(f"quantize: {{backend: torchao, mode: weight_only_ptq, layers: {rule}}}\n")
        common = ("-e", spec, f"model_path={LENET / 'model.pth'}", f"results_dir={folder}")
        for form in ("pth", "safetensors", "float"):
            run("quantize", *common, "--format", form)
        stored = safetensors(folder / "quantized_model_torchao.safetensors")
        for mapped in (False, True):
            loaded = torch.load(folder / "quantized_model_torchao.pth", weights_only=True, mmap=mapped)
            assert type(loaded).__name__ == "OrderedDict" and loaded.keys() == stored.keys()
            for name, tensor in loaded.items():
                assert type(tensor) is torch.Tensor and list(tensor.shape) == stored[name][0]["shape"]
                assert bytes_of(tensor) == stored[name][1], name
        floats = torch.load(folder / "float_model_torchao.pth", weights_only=True)
        original = torch.load(LENET / "model.pth", weights_only=True)
        assert list(floats) == list(original)
        for name, tensor in floats.items():
            scale = loaded.get(name + "_scale")
            wanted = original[name] if scale is None else loaded[name].float() * scale
            assert torch.equal(tensor, wanted) and tensor.dtype == original[name].dtype, name
        network = Network()
        network.load_state_dict(floats)
        images = torch.from_numpy(numpy.load(LENET / "test_images.npy").astype("float32"))[:, None] / 255
        labels = torch.from_numpy(numpy.load(LENET / "test_labels.npy").astype("int64"))
        with torch.no_grad():
            right = (network(images).argmax(1) == labels).sum().item()
        print(f"{dtype}: {len(loaded)} tensors equal; float form: {right} of {len(labels)} right")
    for name in ("views", "strided", "nested"):
        run("quantize", *common[:2], f"model_path={HERE / name}.pth", f"results_dir={folder / name}", "--format", "float")
        torch.load(folder / name / "float_model_torchao.pth", weights_only=True)
    print("views, strided, nested: loaded")
