// SPDX-License-Identifier: Apache-2.0
// The doors for runs against integers, as the FPU is after a reset and with subnormals flushed to zero.
#include "semihosting.hpp"
#include "support/run_checks.hpp"
#include "support/subnormals.hpp"

extern "C" int main() {
  int wrong = test::wrong_in_runs(200);
  if (test::flush_subnormals(true)) wrong += test::wrong_in_runs(200);
  semihosting::print(wrong);
  semihosting::print(" wrong\n");
  return wrong == 0 ? 0 : 1;
}
