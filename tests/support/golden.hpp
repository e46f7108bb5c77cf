// SPDX-License-Identifier: Apache-2.0
/// @file golden.hpp Reads the groups of tests/golden: their index and their arrays.
#ifndef PTQ_TESTS_SUPPORT_GOLDEN_HPP
#define PTQ_TESTS_SUPPORT_GOLDEN_HPP

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "support/json.hpp"

namespace test {

inline std::string read_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) give_up("cannot open " + path);
  std::string text;
  char buffer[65536];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  return text;
}

/// The elements of a `.npy` file of version 1.0 in C order. `descr` is the type the file must have, as in
/// "<f4".
template <class T>
std::vector<T> read_npy(const std::string& path, const std::string& descr) {
  const std::string text = read_file(path);
  if (text.size() < 10 || text.compare(0, 8, std::string("\x93NUMPY\x01\x00", 8)) != 0)
    give_up(path + " is not an npy file of version 1.0");
  const std::size_t header = static_cast<unsigned char>(text[8]) + 256u * static_cast<unsigned char>(text[9]);
  if (text.substr(10, header).find("'descr': '" + descr + "', 'fortran_order': False") == std::string::npos)
    give_up(path + " does not hold " + descr + " in C order");
  std::vector<T> elements((text.size() - 10 - header) / sizeof(T));
  std::memcpy(elements.data(), text.data() + 10 + header, elements.size() * sizeof(T));
  return elements;
}

/// One group of cases.
class golden_group {
 public:
  explicit golden_group(const std::string& name)
      : folder_(PTQ_GOLDEN_DIR "/" + name + "/"),
        index_(json_reader(read_file(folder_ + "index.json")).value()) {}

  const std::vector<json>& cases() const { return index_["cases"].items; }

  const json& operator[](const std::string& name) const {
    for (const json& one : cases())
      if (one["name"].word == name) return one;
    give_up("no case " + name);
  }

  /// The elements of an array that the index describes as {file, dtype, shape}.
  template <class T>
  std::vector<T> array(const json& described) const {
    static const std::vector<std::pair<std::string, std::string>> types{
        {"float32", "<f4"}, {"int64", "<i8"}, {"int32", "<i4"}, {"uint32", "<u4"},
        {"uint16", "<u2"},  {"int8", "|i1"},  {"uint8", "|u1"}};
    for (const auto& [dtype, descr] : types)
      if (described["dtype"].word == dtype && descr.back() - '0' == static_cast<int>(sizeof(T)))
        return read_npy<T>(folder_ + described["file"].word, descr);
    give_up(described["file"].word + ": dtype " + described["dtype"].word);
  }

  static std::vector<std::size_t> shape(const json& described) {
    std::vector<std::size_t> extents;
    for (const json& extent : described["shape"].items) extents.push_back(extent.number());
    return extents;
  }

 private:
  std::string folder_;
  json index_;
};

}  // namespace test

#endif  // PTQ_TESTS_SUPPORT_GOLDEN_HPP
