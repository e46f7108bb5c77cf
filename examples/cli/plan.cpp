// SPDX-License-Identifier: Apache-2.0
// ptq plan: what would happen to each layer, and why.
#include "calibration.hpp"
#include "command.hpp"
#include "output.hpp"
#include "ptq/config/yaml.hpp"
#include "ptq/formats.hpp"
#include "ptq/report/json.hpp"
#include "ptq/report/text.hpp"

namespace cli {

int run_plan(const options& given) {
  const auto spec = ptq::read_spec(given.spec_file, given.overrides);
  if (!spec) return fail(given, spec.error(), bad_usage);
  if (const auto wanted = require(*spec, "model_path"); !wanted)
    return fail(given, wanted.error(), bad_usage);
  const auto model = ptq::model_file::open_for(*spec);
  if (!model) return fail(given, model.error(), failed);
  auto planned = ptq::match_model(*spec, *model);
  if (!planned) return fail(given, planned.error(), bad_usage);
  ptq::plan& plan = *planned;
  if (const auto moves = model->check(model->own_form(), plan); !moves)
    return fail(given, moves.error(), failed);
  judge_data(*spec, plan);
  if (const auto named = expect_data(*spec, *model, plan); !named)
    plan.warnings.push_back(named.error().what);
  print_notes(plan.notes);
  if (const int code = warn(given, plan.warnings); code != done) return code;
  if (given.json)
    ptq::write_json(plan, print);
  else
    print(ptq::to_text(plan));
  return done;
}

}  // namespace cli
