// SPDX-License-Identifier: Apache-2.0
/// @file opcodes.hpp The opcodes of Python's pickles, and the names by which messages call those that are
/// refused.
///
/// Source: the standard library's pickletools, protocols 0 to 5.
#ifndef PTQ_FORMATS_TORCH_OPCODES_HPP
#define PTQ_FORMATS_TORCH_OPCODES_HPP

#include <cstdint>
#include <string>

#include "ptq/text/printable.hpp"

namespace ptq::inline v0_1 {

enum class pickle_opcode : unsigned char {
  mark = '(',
  stop = '.',
  pop = '0',
  pop_mark = '1',
  dup = '2',
  none = 'N',
  new_true = 0x88,
  new_false = 0x89,
  binint = 'J',
  binint1 = 'K',
  binint2 = 'M',
  long1 = 0x8a,
  long4 = 0x8b,
  binfloat = 'G',
  binstring = 'T',
  short_binstring = 'U',
  binunicode = 'X',
  short_binunicode = 0x8c,
  binunicode8 = 0x8d,
  binbytes = 'B',
  short_binbytes = 'C',
  binbytes8 = 0x8e,
  bytearray8 = 0x96,
  empty_tuple = ')',
  tuple = 't',
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  empty_list = ']',
  list = 'l',
  append = 'a',
  appends = 'e',
  empty_dict = '}',
  dict = 'd',
  setitem = 's',
  setitems = 'u',
  empty_set = 0x8f,
  additems = 0x90,
  frozenset = 0x91,
  global = 'c',
  stack_global = 0x93,
  reduce = 'R',
  newobj = 0x81,
  build = 'b',
  binpersid = 'Q',
  binput = 'q',
  long_binput = 'r',
  memoize = 0x94,
  binget = 'h',
  long_binget = 'j',
  proto = 0x80,
  frame = 0x95,
  // known by their names alone
  inst = 'i',
  obj = 'o',
};

/// "EXT1"; "0xff" where Python has no such opcode either.
inline std::string pickle_opcode_name(std::uint8_t code) {
  struct named_opcode {
    std::uint8_t code;
    const char* name;
  };
  constexpr named_opcode refused[] = {
      {'i', "INST"},   {'o', "OBJ"},     {0x92, "NEWOBJ_EX"},   {0x82, "EXT1"},
      {0x83, "EXT2"},  {0x84, "EXT4"},   {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
      {'P', "PERSID"}, {'I', "INT"},     {'L', "LONG"},         {'F', "FLOAT"},
      {'S', "STRING"}, {'V', "UNICODE"}, {'p', "PUT"},          {'g', "GET"}};
  for (const named_opcode& one : refused)
    if (one.code == code) return one.name;
  return "0x" + detail::hex_digits(code, 2);
}

}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_TORCH_OPCODES_HPP
