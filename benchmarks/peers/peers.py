#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py LIBRARY [--rounds N] [--check]: ptq beside other programs that quantize, on the same arrays.

Single-threaded, in memory that is there before (where the other program can write into it), interleaved: each round runs
everybody; medians of the rounds, and whether the codes (or values) are the same. LIBRARY is what CMake's target
ptq_peer makes. NumPy and ml_dtypes are needed; ONNX Runtime, PyTorch and TorchAO take part where they are installed.
--check: small arrays, one round, and every code must be as it should.
"""
import argparse
import ctypes
import importlib
import statistics
import sys
import time
import warnings

import ml_dtypes
import numpy

SIZES = {"L2": 512, "DRAM": 4096}  # square matrices: 1 MiB and 64 MiB of floats
PEERS = ("NumPy, ml_dtypes", "ONNX Runtime", "PyTorch", "TorchAO")
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


class Ptq:
    """The library by its C functions."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)

    def call(self, name, *arguments):
        """What calls a function with these arguments; they are made for C once, not in each call."""
        kinds = {str: lambda word: ctypes.c_char_p(word.encode()), numpy.ndarray: lambda array: ctypes.c_void_p(array.ctypes.data),
                 int: ctypes.c_size_t}
        function, given = getattr(self.library, f"ptq_peer_{name}"), [kinds[type(one)](one) for one in arguments]

        def call():
            if function(*given) != 0:
                sys.exit(f"ptq_peer_{name} refused")
        call.arguments = arguments  # C holds addresses alone
        return call

    def quantize(self, dtype, backend, values, codes, scales):
        """By the scales of the rows."""
        return self.call("quantize", dtype, backend, values, *values.shape, codes, scales)

    def quantize_by(self, dtype, backend, values, codes, scale):
        """By one scale that is given."""
        return self.call("quantize_by", dtype, backend, values, *values.shape, codes, scale)

    def dequantize(self, dtype, codes, scale, values):
        return self.call("dequantize", dtype, codes, scale, *values.shape, values)


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
        """Medians. Each starts with what it needs in the caches, not with what its neighbour left there."""
        times = {name: [] for name in self.calls}
        repeats = {name: max(1, round(LONG_ENOUGH / max(seconds(call), 1e-6))) for name, call in self.calls.items()}
        for _ in range(rounds):
            for name, call in self.calls.items():
                call()
                times[name].append(seconds(call, repeats[name]))
        return {name: statistics.median(taken) for name, taken in times.items()}


def encode_work(ptq, dtype, values, size):
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
    return work


def decode_work(ptq, dtype, values, size):
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


def works(ptq, sizes):
    generator = numpy.random.default_rng(1)
    for size, side in sizes.items():
        values = (0.05 * generator.standard_normal((side, side))).astype(numpy.float32)
        for dtype in CODES:
            yield encode_work(ptq, dtype, values, size)
            yield decode_work(ptq, dtype, values, size)
        if torch:
            for dtype in ("int8", "fp8_e4m3fn"):
                yield weight_work(ptq, dtype, values, size)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    there = [f"{module.__name__} {module.__version__}" for module in (numpy, ml_dtypes, onnxruntime, torch) if module]
    if torchao:
        there.append(f"torchao {importlib.import_module('torchao').__version__}")
    print(f"{', '.join(there)}; one thread each\n\n| ptq is faster by | in | ptq, Gelem/s | {' | '.join(PEERS)} |")
    print(f"| --- | --- | --- |{' --- |' * len(PEERS)}")
    wrong = []
    for work in works(Ptq(given.library), {"L1": 64} if given.check else SIZES):
        taken = work.run(1 if given.check else given.rounds)
        cells = [f"{taken[name] / taken['ptq']:.2g}" if name in taken else "" for name in PEERS]
        print(f"| {work.title} | {work.size} | {work.count / taken['ptq'] / 1e9:.3g} | {' | '.join(cells)} |", flush=True)
        wrong += [f"{work.title}, {work.size}: {100 * work.same(name):.4g} % of {name}'s codes are ptq's"
                  for name in taken if work.same(name) < 1]
    print("\n" + ("\n".join(wrong) or "All codes and values are the same."))
    if given.check and wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
