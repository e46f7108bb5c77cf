// SPDX-License-Identifier: Apache-2.0
/// @file wire.hpp The fields of a protobuf message, one after the other, with their bytes.
#ifndef PTQ_FORMATS_ONNX_WIRE_HPP
#define PTQ_FORMATS_ONNX_WIRE_HPP

#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ptq::inline v0_1 {
namespace detail {

inline constexpr const char* no_field = "this is no protobuf field. Is the file an ONNX model?";
inline constexpr const char* cut_short = "a field runs past the end of its message. Is the file complete?";

/// Where reading stands, and why it ended early. The first failure stays, and nothing is read after it.
struct wire_state {
  const char* at = nullptr;       ///< the start of a field
  const char* message = "";       ///< the kind of message it belongs to
  const char* failure = nullptr;  ///< in words; none so far if null
  bool is_enough =
      false;  ///< what was read has a fault of form: no more is read, so that faults take no memory

  void fail(const char* text) noexcept {
    if (failure == nullptr) failure = text;
  }
};

/// Runs what calls protozero, whose exceptions end here.
template <class F>
void read_wire(wire_state& state, F&& f) {
  try {
    f();
  } catch (const protozero::end_of_buffer_exception&) {
    state.fail(cut_short);
  } catch (const protozero::exception&) {
    state.fail(no_field);
  }
}

/// What is asked of a field in vain is empty or 0, and the state says why.
struct wire_field {
  wire_state* state = nullptr;
  protozero::pbf_tag_type tag = 0;
  protozero::pbf_wire_type type = protozero::pbf_wire_type::unknown;
  std::uint64_t number = 0;  ///< of a varint or fixed field: its bits
  std::string_view payload;  ///< of a length-delimited field
  std::string_view raw;      ///< the whole field, tag included

  bool expect(protozero::pbf_wire_type wanted) const {
    if (type != wanted) state->fail(no_field);
    return type == wanted;
  }

  std::string_view bytes() const {
    return expect(protozero::pbf_wire_type::length_delimited) ? payload : std::string_view();
  }
  std::string text() const { return std::string(bytes()); }
  std::int64_t integer() const {
    return expect(protozero::pbf_wire_type::varint) ? static_cast<std::int64_t>(number) : 0;
  }
  std::int32_t integer32() const { return static_cast<std::int32_t>(integer()); }
  float real() const {
    return expect(protozero::pbf_wire_type::fixed32)
               ? std::bit_cast<float>(static_cast<std::uint32_t>(number))
               : 0.0F;
  }

  /// Calls f(value) for each value of a repeated varint field, packed or not.
  template <class F>
  void for_each_varint(F&& f) const {
    if (type != protozero::pbf_wire_type::length_delimited) return f(static_cast<std::uint64_t>(integer()));
    const char* at = payload.data();
    const char* const end = at + payload.size();
    read_wire(*state, [&] {
      while (at != end) f(protozero::decode_varint(&at, end));
    });
  }

  /// The little-endian bytes of a repeated fixed field, packed or not, appended.
  template <class Byte>
  void append_fixed(std::size_t size, std::vector<Byte>& out) const {
    std::string_view from = payload;
    if (type != protozero::pbf_wire_type::length_delimited) {
      if (!expect(size == 4 ? protozero::pbf_wire_type::fixed32 : protozero::pbf_wire_type::fixed64)) return;
      from = raw.substr(raw.size() - size);
    }
    if (from.size() % size != 0) return state->fail(no_field);
    for (const char c : from) out.push_back(static_cast<Byte>(c));
  }
};

/// The next field of a message. False at its end, and where reading failed.
inline bool read_field(protozero::pbf_reader& reader, wire_state& state, wire_field& field) {
  bool is_read = false;
  read_wire(state, [&] {
    const char* const start = reader.data().data();
    if (!reader.next()) return;
    field = {&state, reader.tag(), reader.wire_type(), 0, {}, {}};
    switch (field.type) {
      case protozero::pbf_wire_type::varint:
        field.number = reader.get_uint64();
        break;
      case protozero::pbf_wire_type::fixed64:
        field.number = reader.get_fixed64();
        break;
      case protozero::pbf_wire_type::fixed32:
        field.number = reader.get_fixed32();
        break;
      default: {
        // protozero keeps 32 bits of a length.
        const char* at = reader.data().data();
        if (protozero::decode_varint(&at, at + reader.length()) > reader.length())
          return state.fail(cut_short);
        const protozero::data_view view = reader.get_view();
        field.payload = {view.data(), view.size()};
        break;
      }
    }
    field.raw = {start, static_cast<std::size_t>(reader.data().data() - start)};
    is_read = true;
  });
  return is_read;
}

/// Calls f(field) for each field of a message, until something fails or is enough.
template <class F>
void for_each_field(std::string_view message, wire_state& state, const char* kind, F&& f) {
  protozero::pbf_reader reader(message.data(), message.size());
  wire_field field;
  while (state.failure == nullptr && !state.is_enough) {
    state.at = reader.data().data();
    state.message = kind;
    if (!read_field(reader, state, field)) return;
    f(field);
  }
}

}  // namespace detail
}  // namespace ptq::inline v0_1

#endif  // PTQ_FORMATS_ONNX_WIRE_HPP
