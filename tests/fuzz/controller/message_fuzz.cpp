// SPDX-License-Identifier: Apache-2.0
// Any bytes that a service may send, as the stream takes them: read as a message, checked and bounded at the
// door, then told to the control plane.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "common/config/wire.hpp"
#include "controller/core/control_plane.hpp"
#include "controller/shell/convert.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::controller;

constexpr SessionId kSession = 1;

void hear(const v1::ServiceMessage& message, ControlPlane& plane, TimePoint now) {
  switch (message.body_case()) {
    case v1::ServiceMessage::kHello: {
      const auto hello = hello_from_proto(message.hello(), "peer");
      if (!hello && hello.error().empty()) std::abort();  // refused without saying why
      if (hello) plane.on_hello(kSession, *hello, now);
      return;
    }
    case v1::ServiceMessage::kAck:
      if (const auto resource = resource_from_proto(message.ack().resource()))
        plane.on_ack(kSession, *resource, message.ack().nonce(), from_proto(message.ack().running()), now);
      return;
    case v1::ServiceMessage::kNack:
      if (const auto resource = resource_from_proto(message.nack().resource()))
        plane.on_nack(kSession, *resource, message.nack().nonce(), from_proto(message.nack().running()),
                      kind_from_proto(message.nack().kind()),
                      violations_from_proto(message.nack().violations()), now);
      return;
    case v1::ServiceMessage::kLeaseRenewal:
      return plane.on_renewal(kSession, message.lease_renewal().sequence(),
                              addresses_from_proto(message.lease_renewal().addresses()), now);
    case v1::ServiceMessage::kReport:
      return plane.on_report(kSession, report_from_proto(message.report()), now);
    case v1::ServiceMessage::kGoodbye:
      return plane.on_goodbye(kSession, addresses_from_proto(message.goodbye().addresses_released()), now);
    case v1::ServiceMessage::kNeedChunks:
    case v1::ServiceMessage::BODY_NOT_SET:
      return;
  }
}

std::shared_ptr<const Policy> policy() {
  auto p = std::make_shared<Policy>();
  p->pools.resize(1);
  p->pools[0].name = "public";
  p->pools[0].addresses = {Ipv4Prefix{Ipv4Address{203, 0, 113, 4}, 30}};
  return p;
}

}  // namespace

// Each message is preceded by its length in one byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  TimePoint now{std::chrono::seconds{1000}};
  ControlPlane plane{Settings{.adopt_grace = Duration{0}}, 5, now};
  plane.set_policy(policy(), now);
  while (size > 1) {
    const auto length = std::min<std::size_t>(data[0], size - 1);
    v1::ServiceMessage message;
    if (message.ParseFromArray(data + 1, static_cast<int>(length))) hear(message, plane, now);
    data += 1 + length;
    size -= 1 + length;
    now += std::chrono::milliseconds{300};
    plane.settle(now);
    (void)plane.take();
    if (plane.services().size() > 255) std::abort();
  }
  return 0;
}
