#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py LIBRARY [--rounds N] [--check]: ptq beside other programs that quantize, on the same arrays.

Single-threaded, in memory that is there before (where the other program can write into it), interleaved: each round runs
everybody; medians of the rounds, and whether the codes (or values) are the same. LIBRARY is what CMake's target
ptq_peer makes. NumPy and ml_dtypes are needed; ONNX Runtime, PyTorch and TorchAO take part where they are installed, and
XNNPACK and Eigen where their libraries lie beside LIBRARY. Who does not is named.
--check: small arrays, one round, and every code must be as it should.
"""
import argparse
import ctypes
import importlib
import statistics
import sys
import time
import warnings
from pathlib import Path

import ml_dtypes
import numpy

SIZES = {"L2": 512, "DRAM": 4096}  # square matrices: 1 MiB and 64 MiB of floats
WHERE = {  # who takes part, and what has them
    "NumPy, ml_dtypes": "PyPI's numpy and ml-dtypes", "ONNX Runtime": "PyPI's onnx and onnxruntime", "PyTorch": "PyPI's torch",
    "TorchAO": "PyPI's torchao", "XNNPACK": "Debian 12's libxnnpack-dev and libpthreadpool-dev, and a new configuring",
    "Eigen": "Debian's libeigen3-dev, and a new configuring"}
GOALS = {**{(f"float32 → {fp8}", "NumPy, ml_dtypes"): 40 for fp8 in ("fp8_e4m3fn", "fp8_e5m2")},
         **{(f"{fp8} → float32", "NumPy, ml_dtypes"): 13 for fp8 in ("fp8_e4m3fn", "fp8_e5m2")},
         **{(f"weight → {dtype} per row, scales too", peer): 10 for dtype in ("int8", "fp8_e4m3fn") for peer in ("PyTorch", "TorchAO")}}
CODES = {"int8": numpy.int8, "fp8_e4m3fn": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}
LONG_ENOUGH = 5e-4  # seconds, to be timed
LARGEST = {"int8": 127, "fp8_e4m3fn": 448, "fp8_e5m2": 57344}


def optional(name):
    """A module, or None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        return None


onnx, onnxruntime = optional("onnx"), optional("onnxruntime")
torch, torchao = optional("torch"), optional("torchao.quantization")
if torch:
    torch.set_num_threads(1)
warnings.simplefilter("ignore")  # what is to be removed some day is timed while it is there


class Library:
    """C functions whose names begin like their library's."""

    def __init__(self, path):
        self.library, self.prefix = ctypes.CDLL(path), Path(path).stem.removeprefix("lib")

    def function(self, name, *arguments):
        """A function and its arguments, which are made for C once, not in each call."""
        kinds = {str: lambda word: ctypes.c_char_p(word.encode()), numpy.ndarray: lambda array: ctypes.c_void_p(array.ctypes.data),
                 int: ctypes.c_size_t, numpy.float32: ctypes.c_float, ctypes.c_void_p: lambda address: address}
        return getattr(self.library, f"{self.prefix}_{name}"), [kinds[type(one)](one) for one in arguments]

    def call(self, name, *arguments):
        """What calls it."""
        function, given = self.function(name, *arguments)

        def call():
            if function(*given) != 0:
                raise RuntimeError(f"{self.prefix}_{name} refused")
        call.arguments = arguments  # C holds addresses alone
        return call


class Ptq(Library):
    """The library by its C functions."""

    def quantize(self, dtype, backend, values, codes, scales):
        """By the scales of the rows."""
        return self.call("quantize", dtype, backend, values, *values.shape, codes, scales)

    def quantize_by(self, dtype, backend, values, codes, scale):
        """By one scale that is given."""
        return self.call("quantize_by", dtype, backend, values, *values.shape, codes, scale)

    def dequantize(self, dtype, codes, scale, values):
        return self.call("dequantize", dtype, codes, scale, *values.shape, values)


class Xnnpack(Library):
    """Its operators are made once."""

    def made(self, name, source, scale, target):
        function, given = self.function(name, source, source.size, scale, target)
        function.restype = ctypes.c_void_p
        operator = ctypes.c_void_p(function(*given))
        if not operator:
            raise RuntimeError(f"{self.prefix}_{name} refused")
        call = self.call("run", operator)
        call.arrays = source, target
        return call


def beside(path, kind, name):
    """A library that was built with ptq's, or None."""
    found = Path(path).with_name(f"lib{name}.so")
    return kind(str(found)) if found.is_file() else None


def onnx_call(operator, values, scale, target, code_type):
    """ONNX Runtime runs a graph of one operator, its input and output bound before."""
    kind = onnx.helper.np_dtype_to_tensor_dtype
    initializers = [onnx.numpy_helper.from_array(numpy.float32(scale), "scale"),
                    onnx.numpy_helper.from_array(numpy.zeros((), code_type), "zero")]
    node = onnx.helper.make_node(operator, ["x", "scale", "zero"], ["y"])
    graph = onnx.helper.make_graph([node], "one", [onnx.helper.make_tensor_value_info("x", kind(values.dtype), values.shape)],
                                   [onnx.helper.make_tensor_value_info("y", kind(target.dtype), values.shape)], initializers)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for bind, name, array in ((binding.bind_input, "x", values), (binding.bind_output, "y", target)):
        bind(name, "cpu", 0, kind(array.dtype), array.shape, array.ctypes.data)
    return lambda: session.run_with_iobinding(binding)


def torch_of(array):
    """The same memory as a tensor."""
    types = {numpy.dtype(numpy.int8): None, numpy.dtype(numpy.float32): None,
             numpy.dtype(ml_dtypes.float8_e4m3fn): torch.float8_e4m3fn, numpy.dtype(ml_dtypes.float8_e5m2): torch.float8_e5m2}
    other = types[array.dtype]
    return torch.from_numpy(array) if other is None else torch.from_numpy(array.view(numpy.uint8)).view(other)


def seconds(call, repeats=1):
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats


class Work:
    """What everybody does, and where each writes."""

    def __init__(self, title, size, count, target):
        self.title, self.size, self.count, self.target = title, size, count, target
        self.calls, self.results = {}, {}

    def add(self, name, make, result=None):
        """`make` gets an array of its own to write to and gives the call; or the call returns its result."""
        try:
            own = numpy.zeros_like(self.target)
            call = make(own)
            made = call()
            self.results[name] = result(made) if result else own
            self.calls[name] = call
        except Exception as problem:  # a peer may lack what others have: that is worth a line, and no more
            print(f"{self.title}, {self.size}: {name} takes no part: {str(problem).splitlines()[0]}", file=sys.stderr)

    def same(self, name):
        """The part of the codes that are ptq's."""
        ours, theirs = (self.results[one].view(numpy.uint8) for one in ("ptq", name))
        return float(numpy.mean(ours == theirs))

    def run(self, rounds):
        """Seconds of each round. Each starts with what it needs in the caches, not with what its neighbour left there."""
        times = {name: [] for name in self.calls}
        repeats = {name: max(1, round(LONG_ENOUGH / max(seconds(call), 1e-6))) for name, call in self.calls.items()}
        for _ in range(rounds):
            for name, call in self.calls.items():
                call()
                times[name].append(seconds(call, repeats[name]))
        return times


def encode_work(ptq, eigen, dtype, values, size):
    """Codes by a scale that is given: divide, round, saturate."""
    scale = numpy.float32(0.3 / LARGEST[dtype])
    scales = numpy.array([scale])
    work = Work(f"float32 → {dtype}", size, values.size, numpy.zeros(values.shape, CODES[dtype]))
    quotients = numpy.empty_like(values)
    most = numpy.float32(LARGEST[dtype])

    def by_numpy(codes):
        def call():
            numpy.divide(values, scale, out=quotients)
            if dtype == "int8":
                numpy.rint(quotients, out=quotients)
            numpy.clip(quotients, -most - (dtype == "int8"), most, out=quotients)
            numpy.copyto(codes, quotients, casting="unsafe")
        return call

    def by_torch(codes):
        source, target = torch_of(values), torch_of(codes)
        room = torch.empty_like(source)

        def call():
            torch.div(source, float(scale), out=room)
            if dtype == "int8":
                room.round_()
            target.copy_(room.clamp_(float(-most - (dtype == "int8")), float(most)))
        return call

    work.add("ptq", lambda codes: ptq.quantize_by(dtype, "modelopt", values, codes, scales))
    work.add("NumPy, ml_dtypes", by_numpy)
    if onnxruntime:
        work.add("ONNX Runtime", lambda codes: onnx_call("QuantizeLinear", values, scale, codes, CODES[dtype]))
    if torch:
        work.add("PyTorch", by_torch)
    if eigen and dtype == "int8":
        work.add("Eigen", lambda codes: eigen.call("quantize", values, values.size, scale, codes))
    return work


def reciprocal_work(ptq, xnnpack, eigen, values, size):
    """int8 codes by the reciprocal of a scale that is given."""
    scale = numpy.float32(0.3 / LARGEST["int8"])
    scales = numpy.array([scale])
    work = Work("float32 → int8, by reciprocal", size, values.size, numpy.zeros(values.shape, numpy.int8))
    work.add("ptq", lambda codes: ptq.quantize_by("int8", "torchao", values, codes, scales))
    if xnnpack:
        work.add("XNNPACK", lambda codes: xnnpack.made("quantize", values, scale, codes))
    if eigen:
        work.add("Eigen", lambda codes: eigen.call("quantize_by_reciprocal", values, values.size, scale, codes))
    return work


def decode_work(ptq, xnnpack, eigen, dtype, values, size):
    scale = numpy.float32(0.3 / LARGEST[dtype])
    scales = numpy.array([scale])
    codes = numpy.zeros(values.shape, CODES[dtype])
    ptq.quantize_by(dtype, "modelopt", values, codes, scales)()
    work = Work(f"{dtype} → float32", size, values.size, numpy.zeros_like(values))

    def by_numpy(target):
        def call():
            numpy.copyto(target, codes, casting="unsafe")
            numpy.multiply(target, scale, out=target)
        return call

    def by_torch(target):
        source, own = torch_of(codes), torch_of(target)
        return lambda: own.copy_(source).mul_(float(scale))

    work.add("ptq", lambda target: ptq.dequantize(dtype, codes, scales, target))
    work.add("NumPy, ml_dtypes", by_numpy)
    if onnxruntime:
        work.add("ONNX Runtime", lambda target: onnx_call("DequantizeLinear", codes, scale, target, CODES[dtype]))
    if torch:
        work.add("PyTorch", by_torch)
    if xnnpack and dtype == "int8":
        work.add("XNNPACK", lambda target: xnnpack.made("dequantize", codes, scale, target))
    if eigen and dtype == "int8":
        work.add("Eigen", lambda target: eigen.call("dequantize", codes, codes.size, scale, target))
    return work


def weight_work(ptq, dtype, values, size):
    """A whole weight: scales of the rows and codes, as TorchAO makes them of a Linear layer."""
    work = Work(f"weight → {dtype} per row, scales too", size, values.size, numpy.zeros(values.shape, CODES[dtype]))
    scales = numpy.zeros(values.shape[0], numpy.float32)
    work.add("ptq", lambda codes: ptq.quantize(dtype, "torchao", values, codes, scales))
    weight = torch.from_numpy(values)
    if torchao:
        config = torchao.Int8WeightOnlyConfig() if dtype == "int8" else torchao.Float8WeightOnlyConfig()

        def by_torchao(_):
            def call():
                layer = torch.nn.Linear(1, 1, bias=False)
                layer.weight = torch.nn.Parameter(weight, requires_grad=False)
                layer.in_features, layer.out_features = values.shape[1], values.shape[0]
                torchao.quantize_(layer, config)
                return layer.weight.qdata
            return call
        work.add("TorchAO", by_torchao, lambda made: made.view(torch.uint8).numpy().view(CODES[dtype]))
    if dtype == "int8":
        def per_channel(_):
            def call():
                found = weight.abs().amax(dim=1) / 127.5
                return torch.quantize_per_channel(weight, found, torch.zeros_like(found), 0, torch.qint8).int_repr()
            return call
        work.add("PyTorch", per_channel, lambda made: made.numpy())
    return work


def works(ptq, xnnpack, eigen, sizes):
    generator = numpy.random.default_rng(1)
    for size, side in sizes.items():
        values = (0.05 * generator.standard_normal((side, side))).astype(numpy.float32)
        if xnnpack or eigen:
            yield reciprocal_work(ptq, xnnpack, eigen, values, size)
        for dtype in CODES:
            yield encode_work(ptq, eigen, dtype, values, size)
            yield decode_work(ptq, xnnpack, eigen, dtype, values, size)
        if torch:
            for dtype in ("int8", "fp8_e4m3fn"):
                yield weight_work(ptq, dtype, values, size)


def cell(work, taken, name):
    """How many times ptq is faster, with half the distance of the quartiles where it is wide, and the goal."""
    if name not in taken:
        return ""
    ratios = sorted(theirs / ours for theirs, ours in zip(taken[name], taken["ptq"]))
    middle, quarter = statistics.median(ratios), len(ratios) // 4
    wide = (ratios[-1 - quarter] - ratios[quarter]) / 2 / middle
    goal = GOALS.get((work.title, name))
    return (f"{middle:.2g}" if middle < 9.95 else f"{middle:.0f}") + (f" ± {100 * wide:.0f} %" if wide >= 0.05 else "") + (f" (goal {goal})" if goal else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    ptq, xnnpack, eigen = Ptq(given.library), beside(given.library, Xnnpack, "xnnpack_peer"), beside(given.library, Library, "eigen_peer")
    there = [f"{module.__name__} {module.__version__}" for module in (numpy, ml_dtypes, onnxruntime, torch) if module]
    if torchao:
        there.append(f"torchao {importlib.import_module('torchao').__version__}")
    takes_part = dict(zip(WHERE, (numpy, onnx and onnxruntime, torch, torchao, xnnpack, eigen)))
    for name in (name for name, part in takes_part.items() if not part):
        print(f"{name} takes no part: it is {WHERE[name]}", file=sys.stderr)
    peers = [name for name, part in takes_part.items() if part]
    print(f"{', '.join(there)}; one thread each\n\n| ptq is faster by | in | ptq, Gelem/s | {' | '.join(peers)} |")
    print(f"| --- | --- | --- |{' --- |' * len(peers)}")
    wrong = []
    for work in works(ptq, xnnpack, eigen, {"L1": 64} if given.check else SIZES):
        taken = work.run(1 if given.check else given.rounds)
        speed = work.count / statistics.median(taken["ptq"]) / 1e9
        print(f"| {work.title} | {work.size} | {speed:.3g} | {' | '.join(cell(work, taken, name) for name in peers)} |", flush=True)
        wrong += [f"{work.title}, {work.size}: {100 * work.same(name):.4g} % of {name}'s codes are ptq's"
                  for name in taken if work.same(name) < 1]
    print("\n" + ("\n".join(wrong) or "All codes and values are the same."))
    if given.check and wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
