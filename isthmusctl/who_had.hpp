// SPDX-License-Identifier: Apache-2.0
// Who had a public address and port at a time, from the event records that nat64-svc wrote. Pure: lines in,
// an answer out. Times are UTC as in the records, "2026-01-31T12:00:00.123Z": they compare as text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/transport_address.hpp"

namespace isthmus {

// "2026-01-31T12:00:00Z", with or without milliseconds, to the form of the records.
[[nodiscard]] std::optional<std::string> record_time(std::string_view text);

struct Holding {
  std::string node;
  std::string subscriber;
  std::string protocol;  // of a static mapping; empty: all, it is a block
  std::string from;      // when it was taken
  std::string until;     // empty: no record says that it ended
  bool certain = true;   // false: the service began anew or another got the block, so it ended then or before
};

class WhoHad {
 public:
  WhoHad(TransportAddress4 public4, std::string at) : public4_(public4), at_(std::move(at)) {}

  // The lines of all files, in any order. Lines about something else are passed over, those that are no
  // records are counted.
  void add(std::string_view line);
  // Who had it at that time: of a block one, of static mappings one for each protocol. More only when records
  // are lost or clocks differ.
  [[nodiscard]] std::vector<Holding> answer();
  [[nodiscard]] std::uint64_t unreadable() const { return unreadable_; }

 private:
  struct Record {
    std::string time, node, event, subscriber, protocol;
    std::uint64_t number;  // of the line: equal times keep their order
  };
  TransportAddress4 public4_;
  std::string at_;
  std::vector<Record> records_;
  std::uint64_t lines_ = 0;
  std::uint64_t unreadable_ = 0;
};

}  // namespace isthmus
