// SPDX-License-Identifier: Apache-2.0
/// @file globals.hpp The functions and classes that checkpoints may name. None is ever called: each stands
/// for data here.
#ifndef PTQ_FORMATS_TORCH_GLOBALS_HPP
#define PTQ_FORMATS_TORCH_GLOBALS_HPP

#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "ptq/numeric/element_type.hpp"

namespace ptq::inline v0_1 {

/// What a name stands for.
enum class torch_role : unsigned char {
  mapping,         ///< makes a dict
  tensor,          ///< makes a tensor: storage, offset, shape, strides, ...
  typed_tensor,    ///< the same of a storage without a type: the seventh argument is the type
  parameter,       ///< is the tensor that it is given
  subclass,        ///< a tensor from a function, a class and the function's arguments
  foreign_tensor,  ///< a tensor that is no block of numbers
  storage,         ///< a type of storages
  dtype,           ///< a type of elements
  inert,           ///< something that is no tensor: it is left out
};

struct torch_global {
  std::string_view module;
  std::string_view name;
  torch_role role;
  element_type type = element_type::unknown;  ///< of storages and dtypes; unknown of a storage of bytes

  std::string qualified_name() const { return std::string(module).append(".").append(name); }
};

inline constexpr torch_global torch_globals[] = {
    {"collections", "OrderedDict", torch_role::mapping},
    {"collections", "defaultdict", torch_role::mapping},
    {"torch._utils", "_rebuild_tensor", torch_role::tensor},
    {"torch._utils", "_rebuild_tensor_v2", torch_role::tensor},
    {"torch._utils", "_rebuild_tensor_v3", torch_role::typed_tensor},
    {"torch._utils", "_rebuild_parameter", torch_role::parameter},
    {"torch._utils", "_rebuild_parameter_with_state", torch_role::parameter},
    {"torch._tensor", "_rebuild_from_type_v2", torch_role::subclass},
    {"torch._utils", "_rebuild_sparse_tensor", torch_role::foreign_tensor},
    {"torch._utils", "_rebuild_qtensor", torch_role::foreign_tensor},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", torch_role::foreign_tensor},
    {"torch", "DoubleStorage", torch_role::storage, element_type::float64},
    {"torch", "FloatStorage", torch_role::storage, element_type::float32},
    {"torch", "HalfStorage", torch_role::storage, element_type::float16},
    {"torch", "BFloat16Storage", torch_role::storage, element_type::bfloat16},
    {"torch", "LongStorage", torch_role::storage, element_type::int64},
    {"torch", "IntStorage", torch_role::storage, element_type::int32},
    {"torch", "ShortStorage", torch_role::storage, element_type::int16},
    {"torch", "CharStorage", torch_role::storage, element_type::int8},
    {"torch", "ByteStorage", torch_role::storage, element_type::uint8},
    {"torch", "BoolStorage", torch_role::storage, element_type::boolean},
    {"torch", "ComplexFloatStorage", torch_role::storage, element_type::complex64},
    {"torch", "ComplexDoubleStorage", torch_role::storage, element_type::complex128},
    {"torch", "QInt8Storage", torch_role::storage, element_type::int8},
    {"torch", "QUInt8Storage", torch_role::storage, element_type::uint8},
    {"torch", "QInt32Storage", torch_role::storage, element_type::int32},
    {"torch", "UntypedStorage", torch_role::storage},
    {"torch.storage", "UntypedStorage", torch_role::storage},
    {"torch", "float64", torch_role::dtype, element_type::float64},
    {"torch", "float32", torch_role::dtype, element_type::float32},
    {"torch", "float16", torch_role::dtype, element_type::float16},
    {"torch", "bfloat16", torch_role::dtype, element_type::bfloat16},
    {"torch", "float8_e4m3fn", torch_role::dtype, element_type::fp8_e4m3fn},
    {"torch", "float8_e5m2", torch_role::dtype, element_type::fp8_e5m2},
    {"torch", "float8_e4m3fnuz", torch_role::dtype, element_type::fp8_e4m3fnuz},
    {"torch", "float8_e5m2fnuz", torch_role::dtype, element_type::fp8_e5m2fnuz},
    {"torch", "float8_e8m0fnu", torch_role::dtype, element_type::fp8_e8m0},
    {"torch", "int64", torch_role::dtype, element_type::int64},
    {"torch", "int32", torch_role::dtype, element_type::int32},
    {"torch", "int16", torch_role::dtype, element_type::int16},
    {"torch", "int8", torch_role::dtype, element_type::int8},
    {"torch", "uint64", torch_role::dtype, element_type::uint64},
    {"torch", "uint32", torch_role::dtype, element_type::uint32},
    {"torch", "uint16", torch_role::dtype, element_type::uint16},
    {"torch", "uint8", torch_role::dtype, element_type::uint8},
    {"torch", "bool", torch_role::dtype, element_type::boolean},
    {"torch", "complex64", torch_role::dtype, element_type::complex64},
    {"torch", "complex128", torch_role::dtype, element_type::complex128},
    {"torch", "complex32", torch_role::dtype, element_type::other},
    {"torch", "float4_e2m1fn_x2", torch_role::dtype, element_type::other},
    {"torch", "Tensor", torch_role::inert},
    {"torch.nn.parameter", "Parameter", torch_role::inert},
    {"torch", "Size", torch_role::inert},
    {"torch", "device", torch_role::inert},
    {"torch", "per_tensor_affine", torch_role::inert},
    {"torch", "per_channel_affine", torch_role::inert},
    {"torch.serialization", "_get_layout", torch_role::inert},
    {"collections", "Counter", torch_role::inert},
    {"argparse", "Namespace", torch_role::inert},
    {"pathlib", "PosixPath", torch_role::inert},
    {"_codecs", "encode", torch_role::inert},
    {"numpy", "dtype", torch_role::inert},
    {"numpy", "ndarray", torch_role::inert},
    {"numpy.core.multiarray", "scalar", torch_role::inert},
    {"numpy.core.multiarray", "_reconstruct", torch_role::inert},
    {"numpy._core.multiarray", "scalar", torch_role::inert},
    {"numpy._core.multiarray", "_reconstruct", torch_role::inert},
    {"__builtin__", "set", torch_role::inert},
    {"__builtin__", "frozenset", torch_role::inert},
    {"__builtin__", "bytearray", torch_role::inert},
    {"__builtin__", "complex", torch_role::inert},
    {"__builtin__", "list", torch_role::inert},
    {"__builtin__", "dict", torch_role::inert},
    {"__builtin__", "int", torch_role::inert},
    {"__builtin__", "float", torch_role::inert},
};

/// Its place among `torch_globals`. Python 3 calls `builtins` what files call `__builtin__`.
constexpr std::optional<std::size_t> find_torch_global(std::string_view module,
                                                       std::string_view name) noexcept {
  if (module == "builtins") module = "__builtin__";
  for (std::size_t i = 0; i < std::size(torch_globals); ++i)
    if (torch_globals[i].name == name && torch_globals[i].module == module) return i;
  return {};
}

/// PyTorch's name of a type: "float32", "float8_e4m3fn".
constexpr const char* torch_word(element_type type) noexcept {
  for (const torch_global& known : torch_globals)
    if (known.role == torch_role::dtype && known.type == type && type != element_type::other)
      return known.name.data();
  return name_of(type);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_GLOBALS_HPP
