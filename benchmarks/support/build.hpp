// SPDX-License-Identifier: Apache-2.0
// What a figure was measured with: it says little without.
#ifndef BENCHMARKS_SUPPORT_BUILD_HPP
#define BENCHMARKS_SUPPORT_BUILD_HPP

#include <sys/utsname.h>

#include <fstream>
#include <string>

/// Whether figures of this build say anything.
#if defined(__OPTIMIZE__) && defined(NDEBUG)
inline constexpr bool is_measurable = true;
#else
inline constexpr bool is_measurable = false;
#endif

inline constexpr const char* not_measurable_text =
    "built without optimisation, or with assertions. Use -DCMAKE_BUILD_TYPE=Release.";

/// As /proc/cpuinfo names it; else the machine's architecture.
inline std::string cpu_text() {
  std::ifstream about("/proc/cpuinfo");
  for (std::string line; std::getline(about, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  struct utsname machine{};
  return ::uname(&machine) == 0 ? static_cast<const char*>(machine.machine) : "unknown";
}

/// Build type, flags, compiler and CPU; and whether the figures are worth nothing.
inline std::string build_text() {
  const std::string verdict =
      is_measurable ? "" : std::string("NOT TO BE QUOTED: ") + not_measurable_text + "\n";
  return verdict + "build: " + PTQ_BUILD_TYPE + ", flags: " + PTQ_BUILD_FLAGS + ", compiler: " + __VERSION__ +
         ", CPU: " + cpu_text() + "\n";
}

#endif  // BENCHMARKS_SUPPORT_BUILD_HPP
