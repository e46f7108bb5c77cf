// SPDX-License-Identifier: Apache-2.0
// Each operator against ONNX Runtime.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "engine/goldens.hpp"

namespace {

const std::string folder = PTQ_GOLDEN_DIR "/engine/";

struct golden_case {
  const char* name;
  std::size_t integer_layers = 0;
};

}  // namespace

TEST_CASE("operators answer as ONNX Runtime does") {
  for (const golden_case& c : std::vector<golden_case>{{"add"},
                                                       {"arithmetic"},
                                                       {"gelu"},
                                                       {"flatten"},
                                                       {"flatten_all"},
                                                       {"reshape"},
                                                       {"transpose"},
                                                       {"transpose_perm"},
                                                       {"softmax"},
                                                       {"layer_norm"},
                                                       {"layer_norm_no_bias"},
                                                       {"reduce_mean"},
                                                       {"reduce_mean_keep"},
                                                       {"reduce_mean_all"},
                                                       {"reduce_mean_13"},
                                                       {"max_pool"},
                                                       {"max_pool_1d"},
                                                       {"conv"},
                                                       {"conv_groups"},
                                                       {"conv_1d"},
                                                       {"gemm"},
                                                       {"gemm_transposed"},
                                                       {"matmul"},
                                                       {"weight_only_e4m3fn"},
                                                       {"weight_only_e5m2"},
                                                       {"int8_conv", 1},
                                                       {"int8_conv_1d", 1},
                                                       {"int8_gemm", 1},
                                                       {"int8_gemm_plain", 1},
                                                       {"int8_matmul", 1}}) {
    CAPTURE(c.name);
    tiny::engine engine = load_engine(folder + c.name + ".onnx");
    CHECK(engine.integer_layers() == c.integer_layers);
    const float_array x = read_array(folder + c.name + ".npz", "x");
    CHECK(relative_error(answers(engine, x.view()), read_array(folder + c.name + ".npz", "y").values) < 2e-6);
  }
}

TEST_CASE("codes and what they decode to are ONNX Runtime's, bit for bit") {
  for (const char* name : {"quantize_uint8", "quantize_int8_axis", "quantize_e4m3fn", "quantize_e5m2"}) {
    CAPTURE(name);
    tiny::engine engine = load_engine(folder + name + ".onnx");
    const float_array x = read_array(folder + name + ".npz", "x");
    CHECK(answers(engine, x.view()) == read_array(folder + name + ".npz", "y").values);
  }
}
