// SPDX-License-Identifier: Apache-2.0
// Packets cut into fragments and put together again, independent of the code under test.
#pragma once

#include <algorithm>
#include <map>

#include "common/net/big_endian.hpp"
#include "common/net/checksum.hpp"
#include "tests/support/packet_builder.hpp"

namespace isthmus::test {

// Fragments of at most `chunk` bytes of payload (a multiple of 8) of a whole packet without options or
// extension headers.
inline std::vector<Bytes> cut_into_fragments(const Bytes& whole, std::size_t chunk, std::uint32_t id) {
  const bool v6 = whole[0] >> 4 == 6;
  const auto header = static_cast<std::ptrdiff_t>(v6 ? 40 : 20);
  std::vector<Bytes> out;
  const std::size_t payload = whole.size() - static_cast<std::size_t>(header);
  for (std::size_t at = 0; at < payload; at += chunk) {
    const std::size_t n = std::min(chunk, payload - at);
    const bool more = at + n < payload;
    Bytes piece(whole.begin(), whole.begin() + header);
    if (v6) {
      piece[6] = 44;
      store_be16(&piece[4], static_cast<std::uint16_t>(8 + n));
      piece.resize(48);
      piece[40] = whole[6];
      store_be16(&piece[42], static_cast<std::uint16_t>(at | (more ? 1 : 0)));
      store_be32(&piece[44], id);
    } else {
      store_be16(&piece[2], static_cast<std::uint16_t>(20 + n));
      store_be16(&piece[4], static_cast<std::uint16_t>(id));
      store_be16(&piece[6], static_cast<std::uint16_t>((more ? 0x2000 : 0) | at / 8));
      store_be16(&piece[10], 0);
      store_be16(&piece[10], finish(sum_bytes(std::span{piece}.first(20))));
    }
    const auto from = whole.begin() + header + static_cast<std::ptrdiff_t>(at);
    piece.insert(piece.end(), from, from + static_cast<std::ptrdiff_t>(n));
    out.push_back(std::move(piece));
  }
  return out;
}

// The whole packet, or nothing when a piece is missing or they do not belong together.
inline Bytes put_together(const std::vector<Bytes>& fragments) {
  std::map<std::size_t, Bytes> by_offset;
  std::size_t length = 0;
  for (const auto& f : fragments) {
    const bool v6 = f[0] >> 4 == 6;
    if (v6 && f[6] != 44) return {};
    const std::size_t header = v6 ? 48 : 20;
    const std::uint16_t field = load_be16(&f[v6 ? 42 : 6]);
    const std::size_t offset = v6 ? field & 0xfff8U : std::size_t{field & 0x1fffU} * 8;
    const bool more = v6 ? (field & 1) != 0 : (field & 0x2000) != 0;
    by_offset[offset] = Bytes(f.begin() + static_cast<std::ptrdiff_t>(header), f.end());
    if (!more) length = offset + f.size() - header;
  }
  if (by_offset.empty() || !by_offset.contains(0)) return {};
  const auto& first = fragments.front();
  const bool v6 = first[0] >> 4 == 6;
  Bytes whole(first.begin(), first.begin() + (v6 ? 40 : 20));
  const std::size_t header = whole.size();
  for (const auto& [offset, bytes] : by_offset) {
    if (whole.size() - header != offset) return {};
    whole.insert(whole.end(), bytes.begin(), bytes.end());
  }
  if (whole.size() - header != length) return {};
  if (v6) {
    whole[6] = first[40];
    store_be16(&whole[4], static_cast<std::uint16_t>(length));
  } else {
    store_be16(&whole[2], static_cast<std::uint16_t>(whole.size()));
    store_be16(&whole[6], 0);
    store_be16(&whole[10], 0);
    store_be16(&whole[10], finish(sum_bytes(std::span{whole}.first(20))));
  }
  return whole;
}

}  // namespace isthmus::test
