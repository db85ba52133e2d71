// SPDX-License-Identifier: Apache-2.0
// A RequestHandler for listeners' tests: answers at once, later, or never, as the first byte of the request's
// id says.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "dns64-svc/shell/channel.hpp"

namespace isthmus::dns64 {

struct FakeHandler final : RequestHandler {
  static constexpr std::uint8_t kAtOnce = 'a';  // the request is its own reply
  static constexpr std::uint8_t kLater = 'l';
  static constexpr std::uint8_t kNever = 'n';

  struct Waiting {
    Channel* channel;
    ReplyPath path;
    std::vector<std::uint8_t> request;
  };
  std::vector<Waiting> waiting;
  std::optional<ClientAddress> served;  // none: all are
  std::vector<ClientInfo> clients;
  std::vector<std::vector<std::uint8_t>> requests;

  std::size_t handle(std::span<const std::uint8_t> request, const ClientInfo& client, Channel& channel,
                     const ReplyPath& path, std::span<std::uint8_t> reply) override {
    clients.push_back(client);
    requests.emplace_back(request.begin(), request.end());
    switch (request.empty() ? kNever : request[0]) {
      case kAtOnce:
        std::copy(request.begin(), request.end(), reply.begin());
        return request.size();
      case kLater:
        waiting.push_back({&channel, path, requests.back()});
        return 0;
      default:
        channel.abandon(path, DropReason::kRateLimited);
        return 0;
    }
  }
  [[nodiscard]] bool serves(const ClientAddress& client) const override {
    return !served || *served == client;
  }
  void answer(std::size_t index) {
    waiting[index].channel->send(waiting[index].path, waiting[index].request);
  }
};

}  // namespace isthmus::dns64
