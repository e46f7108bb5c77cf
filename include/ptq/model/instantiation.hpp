// SPDX-License-Identifier: Apache-2.0
/// @file instantiation.hpp The templated kernels of one dtype and arithmetic behind run-time words.
#ifndef PTQ_MODEL_INSTANTIATION_HPP
#define PTQ_MODEL_INSTANTIATION_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "ptq/backend/concept.hpp"
#include "ptq/backend/recipe.hpp"
#include "ptq/detail/platform.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/error.hpp"
#include "ptq/kernels/scalar.hpp"
#include "ptq/policies.hpp"
#include "ptq/quantize/error_metrics.hpp"
#include "ptq/quantize/quantize.hpp"
#include "ptq/tensor/any_view.hpp"

namespace ptq::inline v0_1 {

/// A row of the table that run-time dispatch looks up. Codes are untyped here: `code_size` bytes each.
struct instantiation {
  const char* dtype = nullptr;
  const char* backend = nullptr;
  std::size_t code_size = 0;
  recipe numbers;
  representable limits{};

  void (*prepare)(const float* scales, std::size_t n, float* factors) = nullptr;
  void (*encode_run)(const float* values, std::size_t n, float scale, void* codes) = nullptr;
  void (*encode_each)(const float* values, std::size_t n, const float* factors, void* codes) = nullptr;
  void (*decode_run)(const void* codes, std::size_t n, float scale, float* values) = nullptr;
  void (*decode_each)(const void* codes, std::size_t n, const float* scales, float* values) = nullptr;
};

namespace detail {
inline namespace PTQ_BUILD {

template <dtype D, backend B>
constexpr instantiation make_instantiation() {
  using storage = typename D::storage;
  constexpr arithmetic how = recipe_of<D, B>.how;
  return {D::name,
          B::name,
          sizeof(storage),
          recipe_of<D, B>,
          representable_range<D>(),
          &typed_encoder<D, how>::prepare,
          [](const float* values, std::size_t n, float scale, void* codes) {
            kernels::encode_run<D, how>(values, n, scale, static_cast<storage*>(codes));
          },
          [](const float* values, std::size_t n, const float* factors, void* codes) {
            kernels::encode_each<D, how>(values, n, factors, static_cast<storage*>(codes));
          },
          [](const void* codes, std::size_t n, float scale, float* values) {
            kernels::decode_run<D>(static_cast<const storage*>(codes), n, scale, values);
          },
          [](const void* codes, std::size_t n, const float* scales, float* values) {
            kernels::decode_each<D>(static_cast<const storage*>(codes), n, scales, values);
          }};
}

/// Writes codes through an instantiation: `typed_encoder` for run time.
struct untyped_encoder {
  const instantiation* how;
  std::byte* codes;

  void prepare(const float* scales, std::size_t n, float* factors) const { how->prepare(scales, n, factors); }
  void run(const float* values, std::size_t n, float scale, std::size_t at) const {
    how->encode_run(values, n, scale, codes + at * how->code_size);
  }
  void each(const float* values, std::size_t n, const float* factors, std::size_t at) const {
    how->encode_each(values, n, factors, codes + at * how->code_size);
  }
};

/// Reads codes through an instantiation: `typed_decoder` for run time.
struct untyped_decoder {
  const instantiation* how;
  const std::byte* codes;

  void run(std::size_t at, std::size_t n, float scale, float* values) const {
    how->decode_run(codes + at * how->code_size, n, scale, values);
  }
  void each(std::size_t at, std::size_t n, const float* scales, float* values) const {
    how->decode_each(codes + at * how->code_size, n, scales, values);
  }
};

}  // namespace PTQ_BUILD
}  // namespace detail

inline namespace PTQ_BUILD {

/// The instantiation for two words, if the bundle has both policies. `modelopt.pytorch` and `modelopt.onnx`
/// are names of modelopt, so a backend word may go on after a dot.
template <class Policies = builtin>
std::optional<instantiation> find_instantiation(std::string_view dtype_word, std::string_view backend_word) {
  std::optional<instantiation> found;
  backend_word = backend_word.substr(0, backend_word.find('.'));
  detail::for_each_type(typename Policies::dtypes{}, [&]<class D>(detail::type_tag<D>) {
    if (dtype_word != D::name) return;
    detail::for_each_type(typename Policies::backends{}, [&]<class B>(detail::type_tag<B>) {
      if (backend_word == B::name) found = detail::make_instantiation<D, B>();
    });
  });
  return found;
}

/// `quantize` with a dtype and a backend that are known at run time.
///
/// @param tensor a tensor of floating-point elements
/// @param codes  `how.code_size` bytes for each element; written in the source's memory order
///               (`dense_strides`)
/// @return as the other `quantize`, with size_mismatch counting codes
inline status quantize(const any_view& tensor, const instantiation& how, std::span<std::byte> codes,
                       std::span<float> scales, granularity grain) {
  if (tensor.misfits) return {errc::size_mismatch, tensor.size()};
  return visit(tensor, [&]<class T>(tensor_view<const T> view) {
    return detail::quantize_view<T>(view, how.numbers, grain, detail::untyped_encoder{&how, codes.data()},
                                    codes.size() / how.code_size, scales);
  });
}

/// `fake_quantize` with a dtype and a backend that are known at run time.
///
/// @param scale for all values; those beyond it saturate
inline void fake_quantize(std::span<float> values, const instantiation& how, float scale) noexcept {
  alignas(std::max_align_t) std::byte codes[detail::block_size * sizeof(double)];
  PTQ_ASSERT(how.code_size <= sizeof(double));
  for (std::size_t first = 0; first < values.size(); first += detail::block_size) {
    const auto block = values.subspan(first, (std::min)(detail::block_size, values.size() - first));
    how.encode_run(block.data(), block.size(), scale, codes);
    how.decode_run(codes, block.size(), scale, block.data());
  }
}

}  // namespace PTQ_BUILD
}  // namespace ptq::inline v0_1

#endif  // PTQ_MODEL_INSTANTIATION_HPP
