// SPDX-License-Identifier: Apache-2.0
// Who looks on while a worker answers: the query log and dnstap. Called in the worker's thread, so neither
// may block: what cannot be taken at once is lost and counted.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "dns64-svc/core/query.hpp"

namespace isthmus::dns64 {

struct AnsweredQuery {
  const Request& request;
  const ClientInfo& client;
  const Step& step;
  std::span<const std::uint8_t> reply;
  Duration took;
  const std::shared_ptr<const Dns64Runtime>& runtime;  // what step.view and step.prefix are indices of
};

class QueryTap {
 public:
  virtual ~QueryTap() = default;
  virtual void on_request(std::span<const std::uint8_t> request, const ClientInfo& client) = 0;
  virtual void on_reply(const AnsweredQuery& query) = 0;
};

// Makes the tap of each worker.
class QueryTaps {
 public:
  virtual ~QueryTaps() = default;
  [[nodiscard]] virtual std::unique_ptr<QueryTap> tap_of(unsigned worker) = 0;
  [[nodiscard]] virtual std::uint64_t lost() const = 0;  // from any thread
};

}  // namespace isthmus::dns64
