// SPDX-License-Identifier: Apache-2.0
// Writing one reply into the caller's buffer: the client's id and question as it wrote them, parts of facts
// copied with their TTLs counted down, the OPT record, and the size limit of the transport.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/net/byte_writer.hpp"
#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/fact.hpp"
#include "dns64-svc/core/request.hpp"

namespace isthmus::dns64 {

// How stored TTLs become those of the reply.
struct TtlRule {
  std::uint32_t age = 0;           // seconds since the fact was received
  std::uint32_t cap = 0xffffffff;  // seconds
  std::uint32_t at_least = 0;      // seconds, within the cap
  [[nodiscard]] static TtlRule fresh(std::uint32_t age) { return {.age = age}; }
  // RFC 8767 §4: 30 s whatever is stored.
  [[nodiscard]] static TtlRule stale() { return {.age = 0xffffffff, .at_least = 30}; }
  [[nodiscard]] std::uint32_t operator()(std::uint32_t stored) const {
    const std::uint32_t left = stored > age ? stored - age : 0;
    return std::min(std::max(left, at_least), cap);
  }
};

class ReplyBuilder {
 public:
  // Writes the question; ok() is false when not even that has room.
  ReplyBuilder(const Request& request, const ClientInfo& client, std::span<std::uint8_t> buffer);
  [[nodiscard]] bool ok() const { return out_.ok(); }

  // Copies stored bytes [begin, end) of `fact`, which hold `count` records. All or nothing. Answer bytes keep
  // their place only when copied first and from the question on (fact.hpp).
  [[nodiscard]] bool copy(const Fact& fact, std::size_t begin, std::size_t end, std::uint16_t count,
                          Section section, const TtlRule& ttl);
  [[nodiscard]] bool copy(const Fact& fact, Fact::PartIndex part, Section section, const TtlRule& ttl);
  // One record whose owner is the stored (perhaps compressed) owner of `like`.
  [[nodiscard]] bool record_like(const Fact& fact, const StoredRecord& like, std::uint16_t type,
                                 std::uint32_t ttl, std::span<const std::uint8_t> rdata, Section section);
  // One record of the question's name, or of any uncompressed name.
  [[nodiscard]] bool record(std::uint16_t type, std::uint32_t ttl, std::span<const std::uint8_t> rdata);
  [[nodiscard]] bool record(NameView owner, std::uint16_t type, std::uint32_t ttl,
                            std::span<const std::uint8_t> rdata, Section section);
  // Leaves only the question, and TC set (RFC 2181 §9): what was left out would be missed.
  void truncate();
  [[nodiscard]] bool is_truncated() const { return truncated_; }

  struct Ending {
    std::uint16_t rcode = 0;
    bool authenticated = false;
    std::uint16_t ede = ede::kNone;
    std::string_view ede_text = {};  // RFC 8914 §2, short; only for replies without records: no room is kept
    std::span<const std::uint8_t> cookie = {};  // whole option, 24 bytes, or none
    const ClientSubnet* subnet = nullptr;  // RFC 7871: for whom the answer is, when it was chosen by that
  };
  // Writes OPT (if the client speaks EDNS) and the header; the size of the reply, 0 when it does not fit.
  [[nodiscard]] std::size_t finish(const Ending& ending);
  [[nodiscard]] std::uint32_t least_ttl() const { return least_ttl_; }
  [[nodiscard]] std::uint16_t count(Section section) const {
    return counts_[static_cast<std::size_t>(section)];
  }

 private:
  [[nodiscard]] bool settle(std::size_t start, Section section, std::uint16_t count);
  void write_opt(const Ending& ending);

  const Request& request_;
  const ClientInfo& client_;
  ByteWriter out_;  // up to the limit less the room for OPT
  std::span<std::uint8_t> whole_;
  std::size_t question_end_ = 0;
  std::uint16_t counts_[3] = {0, 0, 0};
  std::uint32_t least_ttl_ = 0xffffffff;
  bool truncated_ = false;
};

}  // namespace isthmus::dns64
