// SPDX-License-Identifier: Apache-2.0
/// @file toy_engine.hpp An engine whose tensors a test makes up, and samples for it.
#ifndef PTQ_TESTS_ENGINE_TOY_ENGINE_HPP
#define PTQ_TESTS_ENGINE_TOY_ENGINE_HPP

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ptq/data/samples.hpp"
#include "ptq/engine/concept.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "support/temporary_folder.hpp"

namespace test {

/// A tensor and the memory behind it.
class made_tensor {
 public:
  template <class T>
  made_tensor(ptq::element_type type, const std::vector<T>& values, const ptq::tensor_shape& shape)
      : made_tensor(type, values, shape, ptq::row_major(shape), 0) {}
  /// @param first the element whose indices are all 0
  template <class T>
  made_tensor(ptq::element_type type, const std::vector<T>& values, const ptq::tensor_shape& shape,
              const ptq::tensor_strides& strides, std::size_t first)
      : bytes_(values.size() * sizeof(T)),
        type_(type),
        shape_(shape),
        strides_(strides),
        first_(first * sizeof(T)) {
    std::memcpy(bytes_.data(), values.data(), bytes_.size());
  }

  ptq::any_view view() const { return {bytes_.data() + first_, type_, shape_, strides_}; }

 private:
  std::vector<std::byte> bytes_;
  ptq::element_type type_;
  ptq::tensor_shape shape_;
  ptq::tensor_strides strides_;
  std::size_t first_;
};

using floats = std::vector<float>;

/// Rows of floats.
inline made_tensor rows_of(const floats& values, std::size_t width) {
  return {ptq::element_type::float32, values, {values.size() / width, width}};
}

/// A graph with the input x [n, 2], run a batch at a time.
class toy_engine {
 public:
  using maker = std::function<made_tensor(const floats& x)>;  // x: of all samples, row after row

  std::span<const ptq::graph_input> inputs() const { return inputs_; }
  std::span<const std::string> outputs() const { return outputs_; }

  template <ptq::array_sink Sink>
  ptq::result<void> run(std::span<const ptq::named_array> given, std::span<const std::string> wanted,
                        Sink&& sink) {
    ++runs;
    if (fails) return *fails;
    const ptq::any_view& x = given[0].array;
    const float* const first = x.as<float>().data;
    const floats values(first, first + x.size());
    const std::size_t piece = is_alone ? 2 : values.size();
    for (std::size_t at = 0; at < values.size(); at += piece) {
      const floats part(values.begin() + static_cast<std::ptrdiff_t>(at),
                        values.begin() + static_cast<std::ptrdiff_t>(at + piece));
      for (const std::string& name : wanted) {
        const made_tensor made = makes.at(name)(part);
        const std::string& called = renames.contains(name) ? renames.at(name) : name;
        if (auto taken = sink(ptq::named_array{called, made.view()}); !taken) return taken;
      }
    }
    return {};
  }

  std::map<std::string, maker> makes;          // the tensors, and how
  bool is_alone = false;                       // a sample at a time
  std::map<std::string, std::string> renames;  // what it calls tensors, if it errs
  std::optional<ptq::error> fails;
  std::size_t runs = 0;

 private:
  std::vector<ptq::graph_input> inputs_{{"x", ptq::element_type::float32, {{std::nullopt, 2}}, {"n", ""}}};
  std::vector<std::string> outputs_{"y"};
};

/// One that says whether it runs samples alone.
class telling_engine : public toy_engine {
 public:
  bool makes_samples_alone() const { return is_alone; }
};

/// Samples [n, 2] in a file.
class toy_samples {
 public:
  explicit toy_samples(const floats& values, std::size_t batch = 4) {
    const ptq::tensor_shape shape{values.size() / 2, 2};
    REQUIRE(ptq::write_npy(path(), {values.data(), ptq::element_type::float32, shape}));
    config.inputs[""] = path();
    config.batch_size = batch;
  }

  std::string path() const { return folder_ / "x.npy"; }

  ptq::samples open() const {
    auto opened = ptq::samples::open(config, toy_engine().inputs(), ptq::list<ptq::npy>());
    INFO(opened.error().what);
    REQUIRE(opened);
    return *std::move(opened);
  }

  ptq::data_config config;

 private:
  temporary_folder folder_;
};

/// Samples [i, 1].
inline floats counting(std::size_t samples) {
  floats values;
  for (std::size_t i = 0; i < samples; ++i) values.insert(values.end(), {static_cast<float>(i), 1.0F});
  return values;
}

inline bool says(const ptq::error& found, ptq::errc code, const std::string& what) {
  CHECK(found.what == what);
  return found.code == code;
}

}  // namespace test

#endif  // PTQ_TESTS_ENGINE_TOY_ENGINE_HPP
