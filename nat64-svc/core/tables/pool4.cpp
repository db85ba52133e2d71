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
  for (const auto& wanted : runtime.addresses) {
    std::uint32_t number = find(wanted.address);
    if (number == kNone) {
      number = static_cast<std::uint32_t>(addresses_.size());
      addresses_.push_back({});
      Address& a = addresses_.back();
      a.address = wanted.address;
      a.ports = runtime.pools[wanted.pool].ports;
      a.owners = wanted.owners;
      a.block_of.assign(65536 / block_size_, kNone);
      const auto at = std::ranges::lower_bound(by_address_, wanted.address, {},
                                               [&](std::uint32_t n) { return addresses_[n].address; });
      by_address_.insert(at, number);
    }
    addresses_[number].active = true;
    addresses_[number].open = !wanted.withdrawn;
  }
  active_ = 0;
  std::uint32_t blocks = 0;  // that this worker may have at once
  std::uint32_t all = 0;
  for (const auto& a : addresses_) {
    if (a.active) ++active_;
    if (a.active) all += a.owners->blocks();
    blocks += a.active ? a.owners->blocks() : a.used_blocks;
  }
  const std::uint32_t workers = runtime.options.workers;
  blocks_total_ = all / workers + (worker_ < all % workers ? 1 : 0);
  // Room for every block, so that a packet never allocates.
  const auto extra = blocks > blocks_.size() ? blocks - blocks_.size() : 0;
  for (std::size_t i = 0; i < extra; ++i)
    free_blocks_.push_back(static_cast<std::uint32_t>(blocks_.size() + i));
  blocks_.resize(blocks_.size() + extra);
  bitmaps_.resize(blocks_.size() * kProtocols * words_);
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
// they last), else on any with a free block. Where to begin is left to chance.
std::uint32_t Pool4::take_block(const Subscriber& subscriber, std::uint32_t subscriber_number,
                                std::uint64_t random) {
  if (subscriber.address != kNone) {
    const auto block = take_block_of(subscriber.address, subscriber_number, random);
    if (block != kNone) return block;
  }
  const std::size_t n = addresses_.size();
  for (std::size_t i = 0; i < std::min(n, kAddressesTried); ++i) {
    const auto number = static_cast<std::uint32_t>((random % n + i) % n);
    const auto& owners = *addresses_[number].owners;
    if (owners.free_blocks() != owners.blocks()) continue;
    const auto block = take_block_of(number, subscriber_number, random >> 8);
    if (block != kNone) return block;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto block =
        take_block_of(static_cast<std::uint32_t>((random % n + i) % n), subscriber_number, random >> 8);
    if (block != kNone) return block;
  }
  return kNone;
}

std::uint32_t Pool4::take_block_of(std::uint32_t address, std::uint32_t subscriber_number,
                                   std::uint64_t random) {
  Address& a = addresses_[address];
  const auto claimed = a.open ? a.owners->claim(worker_, random) : std::nullopt;
  if (!claimed) return kNone;
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
  const Address& a = addresses_[blocks_[block].address];
  const std::uint32_t first = blocks_[block].number * block_size_;
  for (const auto& s : statics_) {
    const std::uint32_t offset = s.public4.port - first;
    if (s.public4.address == a.address && s.public4.port >= first && offset < block_size_)
      bitmap(block, s.protocol)[offset / 64] |= std::uint64_t{1} << offset % 64;
  }
}

void Pool4::reserve_static_ports() {
  for (const auto& a : addresses_) {
    for (const auto block : a.block_of) {
      if (block != kNone) reserve_statics(block);
    }
  }
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
                                                 Protocol protocol, std::uint16_t port6,
                                                 std::uint64_t random) {
  // RFC 4787 REQ-4: parity for UDP (RTP beside RTCP) while it lasts.
  for (const bool parity : {true, false}) {
    if (parity && protocol != Protocol::kUdp) continue;
    for (std::uint32_t b = subscriber.first_block; b != kNone; b = blocks_[b].next) {
      if (!addresses_[blocks_[b].address].open) continue;
      const auto offset = pick_port(b, protocol, port6, parity, random);
      if (offset != kNone) return granted(b, protocol, offset, kNone);
    }
  }
  if (subscriber.blocks >= max_blocks_) return failure(DropReason::kBlockLimit);
  return allocate_in_new_block(subscriber, subscriber_number, protocol, port6, random);
}

Pool4::Grant Pool4::granted(std::uint32_t block, Protocol protocol, std::uint32_t offset,
                            std::uint32_t fresh) {
  Block& b = blocks_[block];
  ++b.used[static_cast<std::size_t>(protocol)];
  const auto port = static_cast<std::uint16_t>(b.number * block_size_ + offset);
  return {{addresses_[b.address].address, port}, fresh};
}

// Static mappings may have every port of a block. Such blocks are kept aside while others are tried.
Result<Pool4::Grant, DropReason> Pool4::allocate_in_new_block(Subscriber& subscriber,
                                                              std::uint32_t subscriber_number,
                                                              Protocol protocol, std::uint16_t port6,
                                                              std::uint64_t random) {
  std::array<std::uint32_t, 8> full;
  std::size_t aside = 0;
  std::uint32_t block = kNone;
  std::uint32_t offset = kNone;
  while (offset == kNone && aside < full.size()) {
    block = take_block(subscriber, subscriber_number, random >> 8);
    if (block == kNone) break;
    offset = pick_port(block, protocol, port6, protocol == Protocol::kUdp, random);
    if (offset == kNone) offset = pick_port(block, protocol, port6, false, random);
    if (offset == kNone) full[aside++] = block;
  }
  for (std::size_t i = 0; i < aside; ++i) give_back(full[i]);
  if (offset == kNone) {
    const bool any_open = std::ranges::any_of(addresses_, [](const Address& a) { return a.open; });
    return failure(any_open ? DropReason::kPoolExhausted : DropReason::kNoPoolAddress);
  }
  blocks_[block].next = subscriber.first_block;
  subscriber.first_block = block;
  subscriber.address = blocks_[block].address;
  ++subscriber.blocks;
  return granted(block, protocol, offset, block);
}

// A static mapping has it, or will as soon as what is dynamic there has ended.
bool Pool4::is_reserved(Protocol protocol, const TransportAddress4& public4) const {
  const auto key = [](const StaticMapping& m) { return std::pair{m.public4, m.protocol}; };
  return std::ranges::binary_search(statics_, std::pair{public4, protocol}, {}, key);
}

std::uint32_t Pool4::release(Subscriber& subscriber, Protocol protocol, const TransportAddress4& public4) {
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
  free_block(subscriber, block);
  return block;
}

void Pool4::free_block(Subscriber& subscriber, std::uint32_t block) {
  std::uint32_t* link = &subscriber.first_block;
  while (*link != block && *link != kNone) link = &blocks_[*link].next;
  if (*link == block) *link = blocks_[block].next;
  --subscriber.blocks;
  give_back(block);
}

void Pool4::give_back(std::uint32_t block) {
  const Block& b = blocks_[block];
  Address& a = addresses_[b.address];
  a.block_of[b.number] = kNone;
  a.owners->give_back(b.number);
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
