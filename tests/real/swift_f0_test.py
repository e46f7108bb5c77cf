# SPDX-License-Identifier: Apache-2.0
"""swift_f0_test.py PTQ: a pitch detector (PyPI package swift-f0) keeps its pitch, quantized.

Harmonic tones of known pitch, at several levels and in noise: the share of frames whose pitch is within 50 cents may fall
by half a point with int8. Calibrated on other tones, which OpenVINO runs. At every level of ONNX Runtime the share is that
of the level that changes nothing; only static int8 runs in other kernels there, which round biases to int32.
"""
import pathlib
import tempfile

import numpy as np
import swift_f0

from real_model import LEVELS, evaluate, needs_openvino, quantize, session

MODEL = pathlib.Path(swift_f0.__file__).parent / "model.onnx"
RATE = swift_f0.core.SAMPLE_RATE
CENTS = 50
MOST_POINTS_LOST = 0.5
MOST_POINTS_BETWEEN_LEVELS = {("modelopt", "int8"): 0.2}
ONE_FRAME = 0.02  # of 5,900


def tones(count, seed):
    """(count, one second) of sound and its pitches: 60 to 1200 Hz, -40 to -3 dB, in noise 15 to 50 dB below."""
    random = np.random.default_rng(seed)
    time = np.arange(RATE) / RATE
    pitches = 60 * 2 ** (np.log2(20) * (np.arange(count) + random.random(count)) / count)
    sounds = np.zeros((count, RATE), np.float32)
    for sound, pitch in zip(sounds, pitches):
        harmonics = [k for k in range(1, 9) if k * pitch < RATE / 2]
        tone = sum(random.uniform(0.3, 1) / k * np.sin(2 * np.pi * (k * pitch * time + random.random())) for k in harmonics)
        tone *= 10 ** (random.uniform(-40, -3) / 20) / np.abs(tone).max()
        noise = tone.std() * 10 ** (-random.uniform(15, 50) / 20)
        sound[:] = tone + noise * random.standard_normal(RATE)
    return sounds, pitches


def share_in_tune(detector, sounds, pitches):
    """In percent of all frames."""
    found = np.array([detector.detect(sound, RATE).pitch_hz for sound in sounds])
    return 100 * np.mean(np.abs(1200 * np.log2(found / pitches[:, None])) <= CENTS)


def main(folder):
    sounds, _ = tones(64, seed=1)
    calibration = folder / "calibration.npz"
    count = len(sounds)
    np.savez(calibration, audio=sounds, fmin=np.full(count, swift_f0.core.FMIN, np.float32),
             fmax=np.full(count, swift_f0.core.FMAX, np.float32))
    sounds, pitches = tones(96, seed=2)
    detector = swift_f0.SwiftF0()
    expected = share_in_tune(detector, sounds, pitches)
    print(f"float           {expected:.2f} % of frames within {CENTS} cents")
    assert expected > 90
    for backend, mode, inputs in (("torchao", "weight_only_ptq", None), ("modelopt", "static_ptq", calibration)):
        for dtype in ("int8", "fp8_e4m3fn", "fp8_e5m2"):
            artifact, layers = quantize(MODEL, folder, backend, mode, inputs, dtype=dtype)
            shares = {}
            for level in LEVELS:
                detector.session = session(artifact, level)
                shares[level] = share_in_tune(detector, sounds, pitches)
            measured = evaluate(folder, MODEL, backend, calibration)
            share = shares["DISABLE_ALL"]
            print(f"{backend:8} {dtype:10} {[round(float(s), 2) for s in shares.values()]} %, {len(layers)} layers; pitch {measured['sqnr_db']:.1f} dB by ptq evaluate")
            assert dtype != "int8" or share >= expected - MOST_POINTS_LOST, (backend, share, expected)
            most = MOST_POINTS_BETWEEN_LEVELS.get((backend, dtype), ONE_FRAME)
            assert all(abs(other - share) <= most for other in shares.values()), (backend, dtype, shares)


if __name__ == "__main__":
    needs_openvino()
    with tempfile.TemporaryDirectory() as work:
        main(pathlib.Path(work))
