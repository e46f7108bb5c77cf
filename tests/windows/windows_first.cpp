// SPDX-License-Identifier: Apache-2.0
// What works on Windows, behind <windows.h> as it is: with all its macros, min and max among them.
// clang-format off
#include <windows.h>
// clang-format on

#include "ptq/artifact/model_file.hpp"
#include "ptq/artifact/statistics_file.hpp"
#include "ptq/data/samples.hpp"
#include "ptq/formats/checkpoint/read_artifact.hpp"
#include "ptq/formats/numpy/npy.hpp"
#include "ptq/formats/safetensors/format.hpp"
#include "ptq/formats/safetensors/open.hpp"
#include "ptq/formats/safetensors/writer.hpp"
#include "ptq/ptq.hpp"
#include "ptq/report/quantize_report.hpp"
#include "ptq/report/text.hpp"
