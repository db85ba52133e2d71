// SPDX-License-Identifier: Apache-2.0
// dnstap (https://dnstap.info): every request and reply as Frame Streams to a Unix or TCP socket, by
// libfstrm, whose thread connects (and connects again) and writes. A worker never waits: what the queue does
// not take, or what finds no collector, is lost and counted.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "common/base/result.hpp"
#include "dns64-svc/shell/collector_stream.hpp"
#include "dns64-svc/shell/query_tap.hpp"

struct fstrm_iothr;

namespace isthmus::dns64 {

class Dnstap final : public QueryTaps {
 public:
  // `target`: "unix:/run/collector.sock" or "tcp:127.0.0.1:6000". The error is a sentence with the remedy; a
  // collector that is not there yet is none.
  [[nodiscard]] static Result<std::unique_ptr<Dnstap>, std::string> open(const std::string& target,
                                                                         std::string identity,
                                                                         unsigned workers);
  ~Dnstap() override;
  [[nodiscard]] std::unique_ptr<QueryTap> tap_of(unsigned worker) override;
  [[nodiscard]] std::uint64_t lost() const override { return lost_.load(std::memory_order_relaxed); }

 private:
  class Tap;
  Dnstap(const SocketAddress& collector, std::string identity)
      : stream_(collector, patience_), identity_(std::move(identity)) {}
  Patience patience_;
  CollectorStream stream_;
  fstrm_iothr* thread_ = nullptr;
  std::string identity_;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace isthmus::dns64
