// SPDX-License-Identifier: Apache-2.0
// Questions about the state that change nothing: what WorkerState::make_bib() and make_session() would say
// now, and who holds a block of ports. For explain.cpp and inspect.cpp.
#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/worker_state.hpp"

namespace isthmus::nat64 {
std::optional<Refusal> WorkerState::would_refuse_bib(Protocol protocol, const TransportAddress6& client6,
                                                     TimePoint now) const {
  if (runtime->pools.empty()) return exhausted(DropReason::kNoPoolAddress);
  const auto prefix = subscriber_prefix(*runtime, client6.address);
  const auto number = subscribers_.find(prefix);
  if (number == kNone && !subscribers_.has_room(prefix, most_per_64(*runtime)))
    return exhausted(DropReason::kSubscriberLimit);
  if (const auto reason = number == kNone ? std::nullopt : at_limit(subscribers_[number], now))
    return exhausted(*reason);
  const auto reason = pool.would_refuse(number == kNone ? nullptr : &subscribers_[number], protocol);
  if (reason) return exhausted(*reason);
  if (tables.bibs().used() >= tables.bibs().capacity()) return exhausted(DropReason::kSessionLimit);
  return std::nullopt;
}

std::optional<Refusal> WorkerState::would_refuse_session(std::uint32_t bib, const TransportAddress6& client6,
                                                         TimePoint now) const {
  const auto prefix = subscriber_prefix(*runtime, client6.address);
  const auto number = subscribers_.find(prefix);
  // A static mapping has a subscriber only while it has sessions; a new BIB entry made sure of its own.
  if (number == kNone && bib != kNone && !runtime->pools.empty() &&
      !subscribers_.has_room(prefix, most_per_64(*runtime)))
    return exhausted(DropReason::kSubscriberLimit);
  if (const auto reason = number == kNone ? std::nullopt : at_limit(subscribers_[number], now))
    return exhausted(*reason);
  if (tables.sessions().used() >= runtime->nat64.max_sessions ||
      tables.sessions().used() >= tables.sessions().capacity())
    return exhausted(DropReason::kSessionLimit);
  return std::nullopt;
}

std::optional<DropReason> Pool4::would_refuse(const Subscriber* subscriber, Protocol protocol) const {
  const std::size_t p = static_cast<std::size_t>(protocol);
  const auto has_free_port = [&](std::uint32_t block) {
    const std::uint64_t* bits = &bitmaps_[(std::size_t{block} * kProtocols + p) * words_];
    for (std::uint32_t i = 0; i < words_; ++i) {
      if (~bits[i] != 0) return true;
    }
    return false;
  };
  for (std::uint32_t b = subscriber == nullptr ? kNone : subscriber->first_block; b != kNone;
       b = blocks_[b].next) {
    if (addresses_[blocks_[b].address].open && has_free_port(b)) return std::nullopt;
  }
  if (subscriber != nullptr && open_blocks(*subscriber) >= max_blocks_) return DropReason::kBlockLimit;
  bool any_open = false;
  for (const auto& a : addresses_) {
    if (a.open && a.owners->free_blocks() > 0) return std::nullopt;
    any_open = any_open || a.open;
  }
  return any_open ? DropReason::kPoolExhausted : DropReason::kNoPoolAddress;
}

std::uint32_t Pool4::block_at(const TransportAddress4& public4) const {
  const std::uint32_t number = find(public4.address);
  if (number == kNone) return kNone;
  const std::uint32_t block = addresses_[number].block_of[public4.port / block_size_];
  return block;
}

std::optional<std::pair<Ipv6Prefix, Pool4::Ports>> WorkerState::block_holder(
    const TransportAddress4& public4) const {
  const auto block = pool.block_at(public4);
  if (!runtime || runtime->pools.empty() || block == kNone) return std::nullopt;
  const auto& subscriber = subscribers_[pool.holder_of(block)];
  return std::pair{Ipv6Prefix{subscriber.prefix, runtime->pools.front().subscribers.prefix_length},
                   pool.ports_of(block)};
}

}  // namespace isthmus::nat64
