// SPDX-License-Identifier: Apache-2.0
/// @file torch_bytes.hpp Makes checkpoints of PyTorch, opcode by opcode and entry by entry: those that no
/// program would write, too.
#ifndef PTQ_TESTS_SUPPORT_TORCH_BYTES_HPP
#define PTQ_TESTS_SUPPORT_TORCH_BYTES_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace torch_bytes {

inline std::string little(std::uint64_t value, int width) {  // of any width: zeros follow
  std::string text;
  for (int i = 0; i < width; ++i, value >>= 8) text += static_cast<char>(value & 0xff);
  return text;
}

// ---- pickles

inline std::string proto() {
  return "\x80\x02";
}
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string text(std::string_view word) {
  return "X" + little(word.size(), 4) + std::string(word);
}
inline std::string integer(std::uint64_t value) {
  return "\x8a\x08" + little(value, 8);
}
inline std::string counts(const std::vector<std::uint64_t>& values) {
  std::string made = "(";
  for (const std::uint64_t value : values) made += integer(value);
  return made + "t";
}

struct tensor {
  std::string key = "0";
  std::uint64_t stored = 6;  ///< elements of the storage
  std::uint64_t offset = 0;
  std::vector<std::uint64_t> shape{2, 3};
  std::vector<std::uint64_t> strides{3, 1};
  std::string storage = "FloatStorage";

  std::string pickled() const {
    return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", storage) +
           text(key) + text("cpu") + integer(stored) + "tQ" + integer(offset) + counts(shape) +
           counts(strides) + "\x89" + global("collections", "OrderedDict") + ")RtR";
  }
};

/// A dict of one tensor.
inline std::string pickle_of(const tensor& one, std::string_view name = "a") {
  return proto() + "}" + text(name) + one.pickled() + "s.";
}

// ---- the zip container

/// CRC-32, bit by bit.
inline std::uint32_t crc_of(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc % 2 == 0 ? 0 : 0xedb88320);
  }
  return ~crc;
}

struct entry {
  std::string name;
  std::string data;
  std::string local_name = name;  ///< where the entry lies
  std::uint64_t size = data.size();
  int method = 0;
};

inline std::string zip(const std::vector<entry>& entries) {
  std::string file;
  std::string directory;
  for (const entry& one : entries) {
    directory += "PK\1\2" + little(0, 6) + little(static_cast<std::uint64_t>(one.method), 2) + little(0, 4) +
                 little(crc_of(one.data), 4) + little(one.size, 4) + little(one.size, 4) +
                 little(one.name.size(), 2) + little(0, 12) + little(file.size(), 4) + one.name;
    file += "PK\3\4" + little(0, 22) + little(one.local_name.size(), 2) + little(0, 2) + one.local_name +
            one.data;
  }
  return file + directory + "PK\5\6" + little(0, 4) + little(entries.size(), 2) + little(entries.size(), 2) +
         little(directory.size(), 4) + little(file.size(), 4) + little(0, 2);
}

inline std::string archive(const std::string& pickle, const std::string& storage = std::string(24, 'x')) {
  return zip({{"m/data.pkl", pickle}, {"m/data/0", storage}, {"m/byteorder", "little"}});
}

// ---- the container before it

inline std::string legacy_head() {
  return "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + proto() + "M\xe9\x03." + proto() +
         "}" + text("little_endian") + "\x88s.";
}
inline std::string legacy(const std::string& pickle, std::uint64_t count = 6,
                          const std::string& storage = std::string(24, 'x')) {
  return legacy_head() + pickle + proto() + "]" + text("0") + "a." + little(count, 8) + storage;
}

}  // namespace torch_bytes

#endif  // PTQ_TESTS_SUPPORT_TORCH_BYTES_HPP
