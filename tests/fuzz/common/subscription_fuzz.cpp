// SPDX-License-Identifier: Apache-2.0
// A hostile controller: frames of [length byte * 4][ControllerMessage] are played against one Subscription.
// Every update must get at most one answer, with its own nonce, and a refused one must leave what runs alone.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/control/subscription.hpp"

using namespace isthmus;

namespace {

ServiceHandlers make_handlers(std::vector<Ipv4Address>& held) {
  ServiceHandlers handlers;
  handlers.on_policy = [](const std::shared_ptr<const Policy>& policy, Version version) -> Applied {
    if (policy->translation_prefixes.empty()) std::abort();  // from_proto() lets none such pass
    if (version.counter % 7 == 3) return failure(Rejection{Rejection::Kind::kNodeCannot, {}});
    return {};
  };
  handlers.on_allocation = [&held](const Allocation& allocation, Version) -> Applied {
    held.clear();
    for (const auto& lease : allocation.addresses) {
      if (!lease.withdrawn) held.push_back(lease.address);
    }
    return {};
  };
  handlers.on_health = [](const HealthySet&, Version) -> Applied { return {}; };
  handlers.leases_held = [&held] { return held; };
  handlers.on_lease_deadlines = [](const std::vector<LeaseDeadline>& deadlines) {
    for (const auto& deadline : deadlines) {
      if (deadline.no_new_mappings > deadline.stop) std::abort();
    }
  };
  return handlers;
}

void check(const v1::ControllerMessage& in, const Subscription::Step& step, const FeedStatus& before,
           const FeedStatus& after) {
  int answers = 0;
  for (const auto& out : step.send) {
    if (out.ByteSizeLong() == 0) std::abort();
    if (!out.has_ack() && !out.has_nack()) continue;
    ++answers;
    if (in.has_policy() && out.has_nack() && out.nack().resource() == v1::POLICY) {
      if (out.nack().nonce() != in.policy().nonce()) std::abort();
      if (after.policy_version != before.policy_version) std::abort();
    }
  }
  if (answers > 3) std::abort();  // a policy may release one waiting allocation and one waiting health set
  if (!in.has_policy() && answers > 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // a line per string that is not UTF-8
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<Ipv4Address> held;
  Subscription subscription{{}, make_handlers(held), std::chrono::seconds{2}};
  TimePoint now{std::chrono::seconds{1}};
  (void)subscription.on_stream_opened(now);
  while (size > 0) {
    const std::size_t length = std::min<std::size_t>(std::size_t{data[0]} * 4, size - 1);
    v1::ControllerMessage message;
    if (message.ParseFromArray(data + 1, static_cast<int>(length))) {
      const auto before = subscription.status();
      const auto step = subscription.on_message(message, now);
      check(message, step, before, subscription.status());
    }
    now += std::chrono::seconds{1};
    if (now >= subscription.next_timer()) (void)subscription.on_timer(now);
    data += 1 + length;
    size -= 1 + length;
  }
  (void)subscription.goodbye();
  return 0;
}
