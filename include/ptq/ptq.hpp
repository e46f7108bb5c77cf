// SPDX-License-Identifier: Apache-2.0
/// @file ptq.hpp Everything that needs no third party.
#ifndef PTQ_PTQ_HPP
#define PTQ_PTQ_HPP

#include "ptq/adaptors/std_vector.hpp"
#include "ptq/concepts.hpp"
#include "ptq/config/overrides.hpp"
#include "ptq/config/reader.hpp"
#include "ptq/config/spec.hpp"
#include "ptq/config/to_yaml.hpp"
#include "ptq/config/validate.hpp"
#include "ptq/config/words.hpp"
#include "ptq/core.hpp"
#include "ptq/engine/accuracy.hpp"
#include "ptq/io/array.hpp"
#include "ptq/io/checkpoint.hpp"
#include "ptq/io/data_file.hpp"
#include "ptq/io/descriptor.hpp"
#include "ptq/io/mapped_file.hpp"
#include "ptq/io/npy.hpp"
#include "ptq/io/output_file.hpp"
#include "ptq/io/path.hpp"
#include "ptq/io/recorded.hpp"
#include "ptq/io/samples.hpp"
#include "ptq/io/scalars.hpp"
#include "ptq/io/stored_tensor.hpp"
#include "ptq/io/zip.hpp"
#include "ptq/model/apply.hpp"
#include "ptq/model/artifact.hpp"
#include "ptq/model/calibration.hpp"
#include "ptq/model/layers_of.hpp"
#include "ptq/model/match.hpp"
#include "ptq/quantize/error.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/report/table.hpp"
#include "ptq/result.hpp"

#endif  // PTQ_PTQ_HPP
