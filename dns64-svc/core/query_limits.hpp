// SPDX-License-Identifier: Apache-2.0
// The rates that one worker allows. The kernel spreads a client's queries over the workers by a hash of its
// ports, so each worker has its share of every limit.
#pragma once

#include <array>
#include <cstdint>

#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/rate_limit.hpp"

namespace isthmus::dns64 {

class QueryLimits {
 public:
  // Refusals per second to one network over UDP, of all workers: enough for a person who looks for the
  // mistake, no use as a reflector.
  static constexpr std::uint32_t kRefusalsPerSecond = 20;
  // Answers under one zone, whatever their names, for each that a name may have. What a wildcard makes of
  // random names cannot be told from names that exist (an unsigned zone does not say), but has an end here.
  static constexpr std::uint32_t kNamesOfZone = 10;

  // `responses_per_second`: equal ones towards one network over UDP, of all workers; 0: no limit.
  QueryLimits(unsigned workers, std::uint32_t responses_per_second, const HashKey& key);

  // Queries of one client, of all workers; 0: no limit. Over UDP, where anybody can send in a client's name,
  // and over all other transports they are counted apart.
  void limit_clients(std::uint32_t queries_per_second);
  [[nodiscard]] bool allows(const ClientInfo& client, TimePoint now) {
    return clients_[client.transport == Transport::kUdp ? 0 : 1].allows(client.address, now);
  }
  // A reply over UDP to an address that may be forged. A refusal has nothing smaller to send instead.
  [[nodiscard]] ResponseVerdict judge(const Query& query, const Step& reply, TimePoint now);

 private:
  [[nodiscard]] std::uint32_t share_of(std::uint32_t rate) const;

  std::uint32_t workers_;
  HashKey key_;
  std::uint32_t client_rate_ = 0;           // of clients_
  std::array<ClientRateLimit, 2> clients_;  // over UDP, over streams
  ResponseRateLimit responses_;
  ResponseRateLimit zones_;  // answers with data
  ResponseRateLimit refusals_;
};

}  // namespace isthmus::dns64
