// SPDX-License-Identifier: Apache-2.0
/// @file formats.hpp The built-in formats. A new one is a folder in formats/ and a line here.
#ifndef PTQ_FORMATS_HPP
#define PTQ_FORMATS_HPP

#include "ptq/artifact/model_file.hpp"
#include "ptq/detail/type_list.hpp"
#include "ptq/formats/c_header/artifact.hpp"
#include "ptq/formats/compressed_tensors/artifact.hpp"
#include "ptq/formats/float_artifact.hpp"
#include "ptq/formats/modelopt_hf/artifact.hpp"
#include "ptq/formats/numpy/format.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/numpy/npz.hpp"
#include "ptq/formats/onnx/format.hpp"
#include "ptq/formats/safetensors/artifact.hpp"
#include "ptq/formats/safetensors/data.hpp"
#include "ptq/formats/safetensors/format.hpp"
#include "ptq/formats/torch/artifact.hpp"
#include "ptq/formats/torch/format.hpp"

namespace ptq::inline v0_1 {

/// Of models, and of artifacts that are read back. The last that recognises a file opens it: those that look
/// into files come behind those that go by names. The first opens what none recognises, or says what it is.
using model_formats = list<safetensors_format,  //
                           onnx_format,         //
                           torch_format,        //
                           npz_format>;

/// What they are quantized into.
using artifact_formats = list<safetensors_artifact,         //
                              onnx_artifact,                //
                              torch_artifact,               //
                              float_artifact,               //
                              compressed_tensors_artifact,  //
                              modelopt_hf_artifact,         //
                              c_header_artifact>;

/// A model or artifact of any of them.
using model_file = basic_model_file<model_formats, artifact_formats>;

/// Of calibration and evaluation data.
using data_formats = list<npy,  //
                          npz,  //
                          safetensors>;

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_HPP
