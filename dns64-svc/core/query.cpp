// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/query.hpp"

#include "dns64-svc/core/answer.hpp"

namespace isthmus::dns64 {

Step Query::start(std::span<const std::uint8_t> bytes, const ClientInfo& client, const Context& context,
                  std::span<std::uint8_t> reply) {
  client_ = client;
  if (const auto reason = parse_request(bytes, request_)) {
    Step step;
    step.drop = *reason;
    return step;
  }
  identify(context);
  return run(context, reply);
}

Step Query::start(const Request& request, const ClientInfo& client, const Context& context,
                  std::span<std::uint8_t> reply) {
  request_ = request;
  client_ = client;
  identify(context);
  return run(context, reply);
}

void Query::identify(const Context& context) {
  const auto& edns = request_.edns;
  subject_ = client_.address;
  if (context.forwarders != nullptr && edns.subnet && context.forwarders->contains(client_.address)) {
    answers_for_subnet_ = true;
    if (const auto behind = edns.subnet->client()) {
      subject_ = *behind;
      subject_known_ = edns.subnet->source_length;
    }
  }
  proven_ = client_.transport != Transport::kUdp;
  if (proven_ || context.cookies == nullptr || edns.cookie_size == 0) return;
  proven_ = context.cookies->check(std::span{edns.cookie}.first(edns.cookie_size), client_.address,
                                   context.wall_seconds) == CookieVerdict::kValid;
}

Step Query::slip(const Context& context, std::span<std::uint8_t> reply) {
  return Answerer{*this, context, reply}.slip();
}

Step Query::run(const Context& context, std::span<std::uint8_t> reply) {
  auto step = Answerer{*this, context, reply}.run();
  step.from_cache = !started_ && step.kind == Step::Kind::kReply;
  started_ = true;
  return step;
}

// What was asked before the policy changed may come when the slot waits for something else.
Query::Slot* Query::waiting_for(std::uint8_t ask) {
  auto& slot = slots_[ask % std::size(slots_)];
  return slot.ask == ask ? &slot : nullptr;
}

Step Query::on_fact(std::uint8_t slot, FactPtr fact, const Context& context, std::span<std::uint8_t> reply) {
  if (auto* waiting = waiting_for(slot); waiting != nullptr && fact) {
    // Replies copy a fact's bytes under the client's spelling of the same name: nothing else may get in.
    const bool matches = fact->type() == waiting->type &&
                         (!waiting->own_name || (fact->name().size() == request_.name.size() &&
                                                 equal_names(fact->name(), request_.name.view())));
    if (matches)
      Answerer::settle(*waiting, std::move(fact), request_.checking_disabled(), context.now);
    else
      Answerer::fail(*waiting, ResolveFailure::kInternal, context.now);
  }
  return run(context, reply);
}

Step Query::on_failure(std::uint8_t slot, ResolveFailure why, const Context& context,
                       std::span<std::uint8_t> reply) {
  if (auto* waiting = waiting_for(slot)) Answerer::fail(*waiting, why, context.now);
  return run(context, reply);
}

Step Query::on_deadline(Deadline deadline, const Context& context, std::span<std::uint8_t> reply) {
  if (deadline == Deadline::kAaaa) {
    aaaa_is_overdue_ = true;  // what that means is for the Answerer to say
    return run(context, reply);
  }
  given_up_ = ResolveFailure::kTimeout;
  for (auto& slot : slots_)
    if (slot.state == Slot::State::kAsked) Answerer::fail(slot, ResolveFailure::kTimeout, context.now);
  return run(context, reply);
}

Step Query::on_refusal(const Context& context, std::span<std::uint8_t> reply) {
  given_up_ = ResolveFailure::kBusy;
  for (auto& slot : slots_)
    if (slot.state == Slot::State::kAsked) Answerer::fail(slot, ResolveFailure::kBusy, context.now);
  return run(context, reply);
}

}  // namespace isthmus::dns64
