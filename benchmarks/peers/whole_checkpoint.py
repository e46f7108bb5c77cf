#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""whole_checkpoint.py PTQ [--rounds N] [--folder FOLDER]: int8 weights of a checkpoint of MiniLM's size (90 MB, random), by
`ptq quantize` and by TorchAO's and PyTorch's own calls of a module with the same layers.

Whole processes, from the file to a file, interleaved, on all cores; medians, with half the distance of the quartiles. Of
the others the quantizing alone is told, too: beside the whole process of ptq. Needs numpy; torch and torchao take part where
they are installed. A FOLDER in memory keeps the disk out of it (ptq waits for one, the others do not).

whole_checkpoint.py --make FILE: writes the checkpoint, and that is all.
"""
import argparse
import importlib.util
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy

WIDTH, WIDE, LAYERS, WORDS = 384, 1536, 6, 30522
SHAPES = {"embeddings.word_embeddings.weight": (WORDS, WIDTH), **{
    f"encoder.layer.{i}.{name}.weight": shape for i in range(LAYERS) for name, shape in (
        *((f"attention.{part}", (WIDTH, WIDTH)) for part in ("self.query", "self.key", "self.value", "output.dense")),
        ("intermediate.dense", (WIDE, WIDTH)), ("output.dense", (WIDTH, WIDE)))}}
SPEC = """quantize:
  backend: torchao
  mode: weight_only_ptq
  layers:
    - module_name: Linear
      weights: {dtype: int8}
"""
PEERS = {"TorchAO": "torchao", "PyTorch": "torch"}


def make_checkpoint(path):
    generator, header, at = numpy.random.default_rng(1), {}, 0
    for name, shape in SHAPES.items():
        size = 4 * int(numpy.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in SHAPES.values():
            file.write((0.05 * generator.standard_normal(shape)).astype(numpy.float32).tobytes())


def tensors_of(path):
    """The tensors of a file, mapped."""
    types = {"F32": numpy.float32, "I8": numpy.int8}
    mapped = numpy.memmap(path, mode="c")
    size = struct.unpack("<Q", mapped[:8].tobytes())[0]
    header = json.loads(mapped[8:8 + size].tobytes())
    header.pop("__metadata__", None)
    return {name: mapped[8 + size + begin:8 + size + end].view(types[about["dtype"]]).reshape(about["shape"])
            for name, about in header.items() for begin, end in [about["data_offsets"]]}


def module_of(tensors):
    """A module with these weights, by their names."""
    import torch
    layers = {}
    for name, values in tensors.items():
        weight = torch.from_numpy(values)
        if "embeddings" in name:
            layer = torch.nn.Embedding.from_pretrained(weight)
        else:
            layer = torch.nn.utils.skip_init(torch.nn.Linear, weight.shape[1], weight.shape[0], bias=False)
            layer.weight = torch.nn.Parameter(weight, requires_grad=False)
        layers[name.removesuffix(".weight").replace(".", "/")] = layer
    return torch.nn.ModuleDict(layers)


def quantize_by_torchao(module):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_
    quantize_(module, Int8WeightOnlyConfig())
    return module, {name: layer.weight.qdata for name, layer in module.items() if hasattr(layer.weight, "qdata")}


def quantize_by_pytorch(module):
    import torch
    from torch.ao import quantization
    how = {torch.nn.Linear: quantization.per_channel_dynamic_qconfig}
    done = quantization.quantize_dynamic(module, how, dtype=torch.qint8, inplace=True)
    return done, {name: layer.weight().int_repr() for name, layer in done.items() if callable(layer.weight)}


def run_peer(peer, model, target, artifact):
    """In a process of its own: quantizes and saves. Prints what the quantizing took and, where there is an artifact of
    ptq, the part of its codes that are the same."""
    import torch
    module = module_of(tensors_of(model))
    begin = time.perf_counter()
    module, codes = {"TorchAO": quantize_by_torchao, "PyTorch": quantize_by_pytorch}[peer](module)
    told = {"seconds": time.perf_counter() - begin}
    torch.save(module.state_dict(), target)
    if artifact:
        ours = tensors_of(artifact)
        same = [numpy.mean(ours[name.replace("/", ".") + ".weight"] == theirs.numpy()) for name, theirs in codes.items()]
        told |= {"layers": len(same), "same": float(numpy.mean(same))}
    print(json.dumps(told))


def finished(command):
    """What a process prints, and its seconds."""
    begin = time.perf_counter()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout, time.perf_counter() - begin


def told(times, ours):
    """A median with its spread, and how many times ours it is."""
    ordered, quarter = sorted(times), len(times) // 4
    middle = statistics.median(times)
    return (f"{1e3 * middle:.0f} ms ± {50 * (ordered[-1 - quarter] - ordered[quarter]) / middle:.0f} % "
            f"| {middle / statistics.median(ours):.3g}")


def main():
    if sys.argv[1:2] == ["--peer"]:
        return run_peer(*sys.argv[2:5], sys.argv[5] if len(sys.argv) > 5 else None)
    if sys.argv[1:2] == ["--make"]:
        return make_checkpoint(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("ptq")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where all is written")
    given = parser.parse_args()
    peers = [peer for peer, package in PEERS.items() if importlib.util.find_spec(package)]
    for peer in (peer for peer in PEERS if peer not in peers):
        print(f"{peer} takes no part: it is PyPI's {PEERS[peer]}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        model, spec, artifact = folder / "model.safetensors", folder / "spec.yaml", folder / "ptq"
        make_checkpoint(model)
        spec.write_text(SPEC)
        ours = [os.path.abspath(given.ptq), "quantize", "-e", spec, f"model_path={model}", f"results_dir={artifact}"]
        theirs = {peer: [sys.executable, __file__, "--peer", peer, model, folder / peer] for peer in peers}
        finished(ours)  # caches are warm from here on
        written = next(artifact.glob("*.safetensors"))
        checks = {peer: json.loads(finished([*command, written])[0]) for peer, command in theirs.items()}
        whole, alone = {peer: [] for peer in ("ptq", *peers)}, {peer: [] for peer in peers}
        for _ in range(given.rounds):
            shutil.rmtree(artifact)  # each writes new files
            whole["ptq"].append(finished(ours)[1])
            for peer, command in theirs.items():
                (folder / peer).unlink()
                said, took = finished(command)
                whole[peer].append(took)
                alone[peer].append(json.loads(said)["seconds"])
    size = sum(4 * numpy.prod(shape) for shape in SHAPES.values())
    print(f"| int8 weights of a checkpoint of {size / 1e6:.0f} MB | time | times that of ptq |\n| --- | --- | --- |")
    print(f"| ptq quantize, whole process | {told(whole['ptq'], whole['ptq'])} |")
    for peer in peers:
        print(f"| {peer}, whole process | {told(whole[peer], whole['ptq'])} |")
        print(f"| {peer}, quantizing alone | {told(alone[peer], whole['ptq'])} |")
    for peer, check in checks.items():
        print(f"\n{peer}: {100 * check['same']:.4g} % of the codes of {check['layers']} layers are ptq's", end="")
    print()


if __name__ == "__main__":
    main()
