// SPDX-License-Identifier: Apache-2.0
/// @file data_formats.hpp The formats that calibration and evaluation data may have.
#ifndef PTQ_CLI_DATA_FORMATS_HPP
#define PTQ_CLI_DATA_FORMATS_HPP

#include "ptq/detail/type_list.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "ptq/formats/safetensors/data.hpp"

namespace cli {

using data_formats = ptq::list<ptq::npy, ptq::npz, ptq::safetensors>;

}  // namespace cli

#endif  // PTQ_CLI_DATA_FORMATS_HPP
