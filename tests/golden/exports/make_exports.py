# SPDX-License-Identifier: Apache-2.0
"""Makes the models of this folder: three small PyTorch modules, each as both exporters of PyTorch write it.

  pip install torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2; python make_exports.py

Per module NAME: NAME_dynamo.onnx (torch.onnx.export(dynamo=True)), NAME_script.onnx (dynamo=False, the TorchScript
exporter), NAME.npz (calibration and test inputs, the logits of PyTorch) and modules.json (name -> class, as
named_modules() has them). Inputs and targets are random, from fixed seeds; some steps of training make all weights differ,
for the exporters join equal ones.
"""
import json
import pathlib

import numpy as np
import onnx
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent


class Cnn(nn.Module):
    """Convolution, batch normalisation, pooling: the exporters fold the normalisation into the convolution."""

    shape = (1, 12, 12)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.body = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.LeakyReLU(0.1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.pool(self.body(self.stem(x))).flatten(1))


class Transformer(nn.Module):
    shape = (6, 12)

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(12, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


class Recurrent(nn.Module):
    shape = (7, 8)

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 16, batch_first=True)
        self.project = nn.Linear(16, 24)
        self.head = nn.Linear(24, 10)

    def forward(self, x):
        return self.head(torch.relu(self.project(self.rnn(x)[0][:, -1])))


def export(module, path, sample, dynamo):
    if dynamo:
        batch = torch.export.Dim("batch")
        torch.onnx.export(module, (sample,), path, dynamo=True, input_names=["x"], output_names=["y"],
                          dynamic_shapes=({0: batch},), external_data=False, verbose=False)
        model = onnx.load(path)
        for node in model.graph.node:  # stack traces hold paths of the machine and are most of the file
            kept = [p for p in node.metadata_props if p.key in ("pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy")]
            del node.metadata_props[:]
            node.metadata_props.extend(kept)
        onnx.save(model, path)
    else:
        torch.onnx.export(module, (sample,), path, dynamo=False, opset_version=17, input_names=["x"],
                          output_names=["y"], dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})


def main():
    modules = {}
    for seed, (name, kind) in enumerate({"cnn": Cnn, "transformer": Transformer, "recurrent": Recurrent}.items()):
        torch.manual_seed(seed)
        module = kind()
        calibration, test = torch.randn(64, *kind.shape), torch.randn(64, *kind.shape)
        optimizer = torch.optim.Adam(module.parameters(), 0.01)
        for _ in range(20):
            loss = nn.functional.cross_entropy(module(torch.randn(64, *kind.shape)), torch.randint(10, (64,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        module.eval()
        with torch.no_grad():
            logits = module(test)
        for dynamo in (True, False):
            export(module, str(HERE / f"{name}_{'dynamo' if dynamo else 'script'}.onnx"), calibration[:2], dynamo)
        np.savez(HERE / f"{name}.npz", calibration=calibration.numpy(), test=test.numpy(), logits=logits.numpy())
        modules[name] = {n: type(m).__name__ for n, m in module.named_modules() if n}
    (HERE / "modules.json").write_text(json.dumps(modules, indent=1, sort_keys=True) + "\n")


main()
