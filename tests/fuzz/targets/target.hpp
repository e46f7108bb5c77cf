// SPDX-License-Identifier: Apache-2.0
/// @file target.hpp What the fuzz targets share. A target is one function over bytes; libFuzzer calls it with
/// bytes of its own making, replay.cpp with those of files.
#ifndef PTQ_TESTS_FUZZ_TARGET_HPP
#define PTQ_TESTS_FUZZ_TARGET_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include "ptq/result.hpp"
#include "support/files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

inline std::span<const std::byte> bytes_of(const std::uint8_t* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};  // NOLINT: text and bytes
}

/// What must hold for every input; a fuzzer keeps the input that ends here.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// Looks at a value, so that reading it is not optimised away: a sanitizer says where it should not have been
/// read.
template <class T>
void look_at(const T& value) {
  [[maybe_unused]] static volatile T seen;
  seen = value;
}

/// An error has words.
template <class Result>
bool succeeded(const Result& made) {
  if (made) return true;
  require(!made.error().what.empty() && made.error().code != ptq::errc::ok, "an error says what is wrong");
  return false;
}

/// A folder of this process, for what is read from or written to files.
inline const std::string& folder() {
  struct owner {
    std::string path = (std::filesystem::temp_directory_path() / "ptq_fuzz_XXXXXX").string();
    owner() { require(::mkdtemp(path.data()) != nullptr, "a folder can be made"); }
    owner(const owner&) = delete;
    ~owner() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const owner made;
  return made.path;
}

}  // namespace fuzz

#endif  // PTQ_TESTS_FUZZ_TARGET_HPP
