// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/tables/pool4.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace isthmus::nat64 {

void Pool4::configure(const Runtime& runtime) {
  worker_ = runtime.options.worker;
  statics_ = runtime.static_mappings;
  for (auto& a : addresses_) a.active = a.open = false;
  if (!runtime.pools.empty()) {
    const auto& s = runtime.pools.front().subscribers;  // make_runtime: the same in all pools
    block_size_ = s.ports_per_block;
    max_blocks_ = s.max_blocks;
    words_ = std::max(1U, block_size_ / 64);
  }
  const auto ports_of_wanted = [&](const RuntimeAddress& w) { return runtime.pools[w.pool].ports; };
  for (const auto& wanted : runtime.addresses) {
    const auto number = find(wanted.address);
    if (number != kNone) addresses_[number].active = addresses_[number].ports == ports_of_wanted(wanted);
  }
  forget_unused_addresses();
  for (const auto& wanted : runtime.addresses) {
    auto number = find(wanted.address);
    if (number == kNone) number = add_address(wanted, ports_of_wanted(wanted));
    addresses_[number].active = true;
    addresses_[number].open = !wanted.withdrawn;
  }
  active_ = 0;
  std::uint32_t all = 0;
  for (const auto& a : addresses_) {
    if (a.active) ++active_;
    if (a.active) all += a.owners->blocks();
  }
  const std::uint32_t workers = runtime.options.workers;
  blocks_total_ = all / workers + (worker_ < all % workers ? 1 : 0);
  make_room();
}

std::uint32_t Pool4::add_address(const RuntimeAddress& wanted, PortRange ports) {
  auto number = static_cast<std::uint32_t>(addresses_.size());
  if (unused_numbers_.empty()) {
    addresses_.push_back({});
  } else {
    number = unused_numbers_.back();
    unused_numbers_.pop_back();
  }
  Address& a = addresses_[number];
  a.address = wanted.address;
  a.ports = ports;
  a.owners = wanted.owners;
  a.block_of.assign(65536 / block_size_, kNone);
  const auto at = std::ranges::lower_bound(by_address_, wanted.address, {},
                                           [&](std::uint32_t n) { return addresses_[n].address; });
  by_address_.insert(at, number);
  return number;
}

// A subscriber may still prefer the number: it then gets its next block from another address, as it would.
void Pool4::forget_unused_addresses() {
  std::erase_if(by_address_, [&](std::uint32_t number) {
    if (addresses_[number].active || addresses_[number].used_blocks != 0) return false;
    addresses_[number] = {};
    unused_numbers_.push_back(number);
    return true;
  });
}

// For every block that this worker may have at once, so that a packet never allocates.
void Pool4::make_room() {
  std::uint32_t blocks = 0;
  for (const auto& a : addresses_) blocks += a.active ? a.owners->blocks() : a.used_blocks;
  const auto extra = blocks > blocks_.size() ? blocks - blocks_.size() : 0;
  for (std::size_t i = 0; i < extra; ++i)
    free_blocks_.push_back(static_cast<std::uint32_t>(blocks_.size() + i));
  blocks_.resize(blocks_.size() + extra);
  bitmaps_.resize(blocks_.size() * kProtocols * words_);
}

std::vector<Ipv4Address> Pool4::that_change_ports(const Runtime& runtime) const {
  std::vector<Ipv4Address> all;
  for (const auto& wanted : runtime.addresses) {
    const auto number = find(wanted.address);
    if (number != kNone && addresses_[number].used_blocks != 0 &&
        addresses_[number].ports != runtime.pools[wanted.pool].ports)
      all.push_back(wanted.address);
  }
  return all;
}

std::uint32_t Pool4::find(Ipv4Address address) const {
  const auto at = std::ranges::lower_bound(by_address_, address, {},
                                           [&](std::uint32_t n) { return addresses_[n].address; });
  return at != by_address_.end() && addresses_[*at].address == address ? *at : kNone;
}

bool Pool4::is_active(Ipv4Address address) const {
  const auto number = find(address);
  return number != kNone && addresses_[number].active;
}

std::uint64_t* Pool4::bitmap(std::uint32_t block, Protocol protocol) {
  return &bitmaps_[(std::size_t{block} * kProtocols + static_cast<std::size_t>(protocol)) * words_];
}

// On the address that the subscriber has, else on one that nobody uses (an address of its own for each, while
// they last), else on any with a free block that has rested. One that has not only when there is no other, or
// no other on the subscriber's address: that it keeps its address weighs more. Where to begin is left to
// chance.
std::uint32_t Pool4::take_block(const Subscriber& subscriber, std::uint32_t subscriber_number,
                                std::uint64_t random, TimePoint now) {
  const auto take = [&](std::uint32_t number, std::uint64_t start) {
    const Address& a = addresses_[number];
    return a.open ? enter_block(number, a.owners->claim(worker_, start, now), subscriber_number) : kNone;
  };
  const auto take_oldest = [&](std::uint32_t number) {
    const Address& a = addresses_[number];
    return a.open ? enter_block(number, a.owners->claim_oldest(worker_), subscriber_number) : kNone;
  };
  if (subscriber.address != kNone) {
    auto block = take(subscriber.address, random);
    if (block == kNone && subscriber.blocks != 0) block = take_oldest(subscriber.address);
    if (block != kNone) return block;
  }
  const std::size_t n = addresses_.size();
  const auto nth = [&](std::size_t i) { return static_cast<std::uint32_t>((random % n + i) % n); };
  for (std::size_t i = 0; i < std::min(n, kAddressesTried); ++i) {
    const Address& a = addresses_[nth(i)];
    if (!a.open || a.owners->free_blocks() != a.owners->blocks()) continue;
    if (const auto block = take(nth(i), random >> 8); block != kNone) return block;
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (const auto block = take(nth(i), random >> 8); block != kNone) return block;
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (const auto block = take_oldest(nth(i)); block != kNone) return block;
  }
  return kNone;
}

std::uint32_t Pool4::enter_block(std::uint32_t address, std::optional<std::uint32_t> claimed,
                                 std::uint32_t subscriber_number) {
  if (!claimed) return kNone;
  Address& a = addresses_[address];
  const std::uint32_t block = free_blocks_.back();
  free_blocks_.pop_back();
  a.block_of[*claimed] = block;
  ++a.used_blocks;
  ++blocks_used_;
  blocks_[block] = {subscriber_number, kNone, address, static_cast<std::uint16_t>(*claimed), {}};
  reserve_ports(block);
  return block;
}

// Ports outside the pool's range and those of static mappings are never given out.
void Pool4::reserve_ports(std::uint32_t block) {
  const Address& a = addresses_[blocks_[block].address];
  const std::uint32_t first = blocks_[block].number * block_size_;
  for (std::size_t p = 0; p < kProtocols; ++p) {
    std::uint64_t* bits = bitmap(block, static_cast<Protocol>(p));
    std::fill_n(bits, words_, 0);
    for (std::uint32_t i = 0; i < words_ * 64; ++i) {
      if (i >= block_size_ || first + i < a.ports.first || first + i > a.ports.last)
        bits[i / 64] |= std::uint64_t{1} << i % 64;
    }
  }
  reserve_statics(block);
}

void Pool4::reserve_statics(std::uint32_t block) {
  const Ipv4Address address = addresses_[blocks_[block].address].address;
  const auto first = static_cast<std::uint16_t>(blocks_[block].number * block_size_);
  auto s = std::ranges::lower_bound(statics_, TransportAddress4{address, first}, {}, &StaticMapping::public4);
  for (; s != statics_.end() && s->public4.address == address; ++s) {
    const std::uint32_t offset = s->public4.port - std::uint32_t{first};
    if (offset >= block_size_) break;
    bitmap(block, s->protocol)[offset / 64] |= std::uint64_t{1} << offset % 64;
  }
}

void Pool4::reserve_static_ports() {
  visit_used([&](std::uint32_t block) { reserve_statics(block); });
}

void Pool4::free_static_port(Protocol protocol, const TransportAddress4& public4) {
  const auto block = block_at(public4);
  if (block == kNone || is_reserved(protocol, public4)) return;
  const Address& a = addresses_[blocks_[block].address];
  if (public4.port < a.ports.first || public4.port > a.ports.last) return;
  const std::uint32_t offset = public4.port % block_size_;
  bitmap(block, protocol)[offset / 64] &= ~(std::uint64_t{1} << offset % 64);
}

// A random free port of the block as an offset; kNone when there is none (of that parity).
std::uint32_t Pool4::pick_port(std::uint32_t block, Protocol protocol, std::uint16_t port6, bool parity,
                               std::uint64_t random) {
  const std::uint64_t wanted = !parity            ? ~std::uint64_t{0}
                               : (port6 & 1) != 0 ? 0xaaaaaaaaaaaaaaaa
                                                  : 0x5555555555555555;
  std::uint64_t* bits = bitmap(block, protocol);
  const auto start = static_cast<std::uint32_t>(random % words_);
  const auto rotate = static_cast<int>(random >> 32 & 63);
  for (std::uint32_t i = 0; i < words_; ++i) {
    const std::uint32_t word = (start + i) % words_;
    const std::uint64_t free = ~bits[word] & wanted;
    if (free == 0) continue;
    const auto bit = static_cast<std::uint32_t>((std::countr_zero(std::rotr(free, rotate)) + rotate) & 63);
    bits[word] |= std::uint64_t{1} << bit;
    return word * 64 + bit;
  }
  return kNone;
}

Result<Pool4::Grant, DropReason> Pool4::allocate(Subscriber& subscriber, std::uint32_t subscriber_number,
                                                 Protocol protocol, std::uint16_t port6, std::uint64_t random,
                                                 TimePoint now) {
  // RFC 4787 REQ-4: parity for UDP (RTP beside RTCP) while it lasts.
  for (const bool parity : {true, false}) {
    if (parity && protocol != Protocol::kUdp) continue;
    for (std::uint32_t b = subscriber.first_block; b != kNone; b = blocks_[b].next) {
      if (!addresses_[blocks_[b].address].open) continue;
      const auto offset = pick_port(b, protocol, port6, parity, random);
      if (offset != kNone) return Grant{use_port(b, protocol, offset)};
    }
  }
  if (open_blocks(subscriber) >= max_blocks_) return failure(DropReason::kBlockLimit);
  return allocate_in_new_block(subscriber, subscriber_number, protocol, port6, random, now);
}

// Those at addresses that drain do not count, or a subscriber at its limit could open nothing until their
// end.
std::uint32_t Pool4::open_blocks(const Subscriber& subscriber) const {
  std::uint32_t n = 0;
  for (std::uint32_t b = subscriber.first_block; b != kNone; b = blocks_[b].next)
    n += addresses_[blocks_[b].address].open ? 1U : 0U;
  return n;
}

TransportAddress4 Pool4::use_port(std::uint32_t block, Protocol protocol, std::uint32_t offset) {
  Block& b = blocks_[block];
  ++b.used[static_cast<std::size_t>(protocol)];
  const auto port = static_cast<std::uint16_t>(b.number * block_size_ + offset);
  return {addresses_[b.address].address, port};
}

// Static mappings may have every port of a block. Such blocks are kept aside while others are tried.
Result<Pool4::Grant, DropReason> Pool4::allocate_in_new_block(Subscriber& subscriber,
                                                              std::uint32_t subscriber_number,
                                                              Protocol protocol, std::uint16_t port6,
                                                              std::uint64_t random, TimePoint now) {
  std::array<std::uint32_t, 8> full;
  std::size_t aside = 0;
  std::uint32_t block = kNone;
  std::uint32_t offset = kNone;
  while (offset == kNone && aside < full.size()) {
    block = take_block(subscriber, subscriber_number, random >> 8, now);
    if (block == kNone) break;
    offset = pick_port(block, protocol, port6, protocol == Protocol::kUdp, random);
    if (offset == kNone) offset = pick_port(block, protocol, port6, false, random);
    if (offset == kNone) full[aside++] = block;
  }
  for (std::size_t i = 0; i < aside; ++i) {
    const Block& b = blocks_[full[i]];
    addresses_[b.address].owners->give_back_unused(b.number);
    forget_block(full[i]);
  }
  if (offset == kNone) {
    const bool any_open = std::ranges::any_of(addresses_, [](const Address& a) { return a.open; });
    return failure(any_open ? DropReason::kPoolExhausted : DropReason::kNoPoolAddress);
  }
  blocks_[block].next = subscriber.first_block;
  subscriber.first_block = block;
  subscriber.address = blocks_[block].address;
  ++subscriber.blocks;
  const Block& b = blocks_[block];
  return Grant{use_port(block, protocol, offset), block,
               addresses_[b.address].owners->has_rested(b.number, now)};
}

// A static mapping has it, or will as soon as what is dynamic there has ended.
bool Pool4::is_reserved(Protocol protocol, const TransportAddress4& public4) const {
  const auto key = [](const StaticMapping& m) { return std::pair{m.public4, m.protocol}; };
  return std::ranges::binary_search(statics_, std::pair{public4, protocol}, {}, key);
}

std::uint32_t Pool4::release(Subscriber& subscriber, Protocol protocol, const TransportAddress4& public4,
                             TimePoint now) {
  const std::uint32_t number = find(public4.address);
  if (number == kNone) return kNone;
  Address& a = addresses_[number];
  const std::uint32_t block = a.block_of[public4.port / block_size_];
  if (block == kNone) return kNone;
  Block& b = blocks_[block];
  const std::uint32_t offset = public4.port % block_size_;
  if (!is_reserved(protocol, public4))
    bitmap(block, protocol)[offset / 64] &= ~(std::uint64_t{1} << offset % 64);
  --b.used[static_cast<std::size_t>(protocol)];
  if (std::ranges::any_of(b.used, [](std::uint16_t n) { return n != 0; })) return kNone;
  free_block(subscriber, block, now);
  return block;
}

void Pool4::free_block(Subscriber& subscriber, std::uint32_t block, TimePoint now) {
  std::uint32_t* link = &subscriber.first_block;
  while (*link != block && *link != kNone) link = &blocks_[*link].next;
  if (*link == block) *link = blocks_[block].next;
  --subscriber.blocks;
  const Block& b = blocks_[block];
  addresses_[b.address].owners->give_back(b.number, now);
  forget_block(block);
}

// What the owners say is up to the caller.
void Pool4::forget_block(std::uint32_t block) {
  const Block& b = blocks_[block];
  Address& a = addresses_[b.address];
  a.block_of[b.number] = kNone;
  --a.used_blocks;
  --blocks_used_;
  free_blocks_.push_back(block);
}

Pool4::Ports Pool4::ports_of(std::uint32_t block) const {
  const Block& b = blocks_[block];
  const Address& a = addresses_[b.address];
  const std::uint32_t first = b.number * block_size_;
  return {a.address, static_cast<std::uint16_t>(std::max<std::uint32_t>(first, a.ports.first)),
          static_cast<std::uint16_t>(std::min<std::uint32_t>(first + block_size_ - 1, a.ports.last))};
}

}  // namespace isthmus::nat64
