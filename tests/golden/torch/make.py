#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make.py: writes the files of this folder again, with PyTorch 2.13 and safetensors 0.8.

Each .pth has a twin .safetensors with the same tensors as PyTorch sees them: contiguous copies. What safetensors has no type
for is in the twin as bytes. model_legacy.pth is examples/models/lenet-digits/model.pth in the container before 1.6.
"""
import argparse
import collections
import pathlib

import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
torch.manual_seed(0)


def plain(tensor):
    tensor = tensor.detach().contiguous().clone()
    return tensor.reshape(-1).view(torch.uint8) if tensor.dtype == torch.complex128 else tensor


def write(name, checkpoint, tensors, legacy=True):
    torch.save(checkpoint, here / f"{name}.pth")
    if legacy:
        torch.save(checkpoint, here / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)
    save_file({key: plain(value) for key, value in tensors.items()}, here / f"{name}.safetensors")


numbers = torch.randn(2, 3) * 50
types = {str(dtype).removeprefix("torch."): numbers.to(dtype) for dtype in (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz, torch.int64, torch.int32, torch.int16, torch.int8, torch.complex64, torch.complex128)}
types |= {str(dtype).removeprefix("torch."): numbers.abs().to(dtype)
          for dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.float8_e8m0fnu)}
write("types", types, types)

base = torch.randn(4, 6)
views = collections.OrderedDict()
views["whole"] = base
views["transposed"] = base.t()
views["row"] = base[2]
views["column"] = base[:, 3]
views["block"] = base[1:3, 2:5]
views["every_other"] = base[::2, 1::2]
views["diagonal"] = base.diagonal()
views["tied"] = base
views["expanded"] = base[:, :1].expand(4, 5)
views["one_row_of_many"] = base[1:2].expand(3, 6)
views["scalar"] = torch.tensor(2.5)
views["empty"] = torch.empty(0, 3)
views["ones"] = torch.randn(1, 5, 1).transpose(0, 2)
views["convolution"] = torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last)
views["parameter"] = torch.nn.Parameter(torch.randn(3, 2).half().t())
marked = torch.nn.Parameter(torch.randn(2))
marked.note = 1
views["with_state"] = marked
subclass = torch.randn(2)
subclass.note = 1
views["with_attribute"] = subclass
views["nine_axes"] = torch.randn(1, 2, 1, 1, 2, 1, 1, 1, 2)
write("views", views, views)

strided = {"fc.weight": torch.randn(6, 4).t(), "fc.bias": torch.randn(8)[::2], "table": torch.randn(3, 2).t(),
           "conv.weight": torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)}
write("strided", strided, strided, legacy=False)

model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
weights = model.state_dict()
optimizer = torch.optim.Adam(model.parameters())
model(torch.randn(5, 4)).sum().backward()
optimizer.step()
weights = {key: value.clone() for key, value in model.state_dict().items()}
nested = {"epoch": 3, "best": 0.5, "args": argparse.Namespace(lr=0.1, name="x"), "classes": ["a", "b"], "seen": {1, 2}, "big": 10**30,
          "rng_state": torch.get_rng_state()[:8], "optimizer": optimizer.state_dict(),
          "ema": {"module": {key: value + 1 if value.is_floating_point() else value for key, value in weights.items()}},
          "state_dict": model.state_dict()}
write("nested", nested, weights)
for protocol in (3, 4, 5):
    torch.save(nested, here / f"nested_protocol{protocol}.pth", pickle_protocol=protocol)
