// SPDX-License-Identifier: Apache-2.0
// One worker's part of the IPv4 pool (RFC 6146 §2), divided into blocks of ports for subscribers: paired
// pooling (RFC 4787 REQ-2), a random port inside the block (RFC 6056), parity kept for UDP where possible
// (RFC 4787 REQ-4). One block serves all three protocols. Blocks that nobody uses belong to no worker and
// rest before the next subscriber gets them: BlockOwners.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/net/keyed_hash.hpp"
#include "nat64-svc/core/counters.hpp"
#include "nat64-svc/core/drop_reason.hpp"
#include "nat64-svc/core/event_record.hpp"
#include "nat64-svc/core/runtime.hpp"
#include "nat64-svc/core/tables/subscriber.hpp"

namespace isthmus::nat64 {

struct Block {
  std::uint32_t subscriber = kNone;
  std::uint32_t next = kNone;
  std::uint32_t address = 0;
  std::uint16_t number = 0;
  std::array<std::uint16_t, kProtocols> used{};
};

class Pool4 {
 public:
  // Takes over the runtime's addresses. Those that are gone stay until their last port is given back; whoever
  // calls has ended what is mapped at those that change their ports.
  void configure(const Runtime& runtime);
  // Addresses with blocks in use that have another range of ports in `runtime`, sorted.
  [[nodiscard]] std::vector<Ipv4Address> that_change_ports(const Runtime& runtime) const;
  // Keeps the ports of static mappings out of blocks that are in use already.
  void reserve_static_ports();
  // The port of a mapping that is static no more and that no BIB entry has.
  void free_static_port(Protocol protocol, const TransportAddress4& public4);

  // A free port for the subscriber, a new block if need be. Takes at most max_blocks at addresses that do not
  // drain.
  // Refusals: kNoPoolAddress, kPoolExhausted, kBlockLimit.
  struct Grant {
    TransportAddress4 public4;
    std::uint32_t new_block = kNone;  // to be logged
    // False: the block was given back a short while ago, and there is no other, or no other on the address
    // that the subscriber has.
    bool rested = true;
  };
  [[nodiscard]] Result<Grant, DropReason> allocate(Subscriber& subscriber, std::uint32_t subscriber_number,
                                                   Protocol protocol, std::uint16_t port6,
                                                   std::uint64_t random, TimePoint now);
  // What allocate() would refuse now; null: a subscriber yet unknown. In foresight.cpp.
  [[nodiscard]] std::optional<DropReason> would_refuse(const Subscriber* subscriber, Protocol protocol) const;
  // Gives a port back (those of static mappings stay reserved); the number of the block that became free with
  // it, or kNone.
  std::uint32_t release(Subscriber& subscriber, Protocol protocol, const TransportAddress4& public4,
                        TimePoint now);

  [[nodiscard]] bool contains(Ipv4Address address) const { return find(address) != kNone; }
  // In the runtime, withdrawn or not.
  [[nodiscard]] bool is_active(Ipv4Address address) const;
  struct Ports {
    Ipv4Address address;
    std::uint16_t first;
    std::uint16_t last;
  };
  [[nodiscard]] Ports ports_of(std::uint32_t block) const;
  // The block in use in which the port lies, or kNone; and the subscriber that holds it.
  [[nodiscard]] std::uint32_t block_at(const TransportAddress4& public4) const;
  [[nodiscard]] std::uint32_t holder_of(std::uint32_t block) const { return blocks_[block].subscriber; }
  template <class Visit>
  void visit_used(Visit&& visit) const {
    for (const auto& a : addresses_) {
      for (const auto block : a.block_of)
        if (block != kNone) visit(block);
    }
  }
  [[nodiscard]] std::uint32_t blocks_used() const { return blocks_used_; }
  // This worker's even share of all blocks; no limit to it. The shares of all workers add up to all.
  [[nodiscard]] std::uint32_t blocks_total() const { return blocks_total_; }
  [[nodiscard]] std::uint32_t addresses() const { return active_; }

 private:
  struct Address {
    Ipv4Address address;
    PortRange ports;
    bool active = false;
    bool open = false;                    // takes new mappings
    std::uint32_t used_blocks = 0;        // by this worker
    std::shared_ptr<BlockOwners> owners;  // of all workers
    std::vector<std::uint32_t> block_of;  // by block number: index into blocks_; kNone: not this worker's
  };

  [[nodiscard]] std::uint32_t find(Ipv4Address address) const;
  std::uint32_t add_address(const RuntimeAddress& wanted, PortRange ports);
  void forget_unused_addresses();
  void make_room();
  [[nodiscard]] std::uint32_t take_block(const Subscriber& subscriber, std::uint32_t subscriber_number,
                                         std::uint64_t random, TimePoint now);
  [[nodiscard]] std::uint32_t enter_block(std::uint32_t address, std::optional<std::uint32_t> claimed,
                                          std::uint32_t subscriber_number);
  [[nodiscard]] std::uint32_t pick_port(std::uint32_t block, Protocol protocol, std::uint16_t port6,
                                        bool parity, std::uint64_t random);
  void reserve_ports(std::uint32_t block);
  void reserve_statics(std::uint32_t block);
  [[nodiscard]] bool is_reserved(Protocol protocol, const TransportAddress4& public4) const;
  [[nodiscard]] Result<Grant, DropReason> allocate_in_new_block(Subscriber& subscriber,
                                                                std::uint32_t subscriber_number,
                                                                Protocol protocol, std::uint16_t port6,
                                                                std::uint64_t random, TimePoint now);
  [[nodiscard]] std::uint32_t open_blocks(const Subscriber& subscriber) const;
  [[nodiscard]] TransportAddress4 use_port(std::uint32_t block, Protocol protocol, std::uint32_t offset);
  void free_block(Subscriber& subscriber, std::uint32_t block, TimePoint now);
  void forget_block(std::uint32_t block);
  [[nodiscard]] std::uint64_t* bitmap(std::uint32_t block, Protocol protocol);

  // In search of an unused address: a node's pool whole, and a bound for a gateway's.
  static constexpr std::size_t kAddressesTried = 4096;
  std::uint16_t worker_ = 0;
  std::uint32_t block_size_ = 256;
  std::uint32_t max_blocks_ = 8;
  std::uint32_t words_ = 4;         // of a bitmap
  std::vector<Address> addresses_;  // stable numbers; without owners: a number to be used again
  std::vector<std::uint32_t> unused_numbers_;
  std::vector<std::uint32_t> by_address_;  // sorted by address
  std::vector<Block> blocks_;
  std::vector<std::uint64_t> bitmaps_;
  std::vector<std::uint32_t> free_blocks_;
  std::vector<StaticMapping> statics_;  // sorted by public4, protocol
  std::uint32_t blocks_used_ = 0;
  std::uint32_t blocks_total_ = 0;
  std::uint32_t active_ = 0;
};

}  // namespace isthmus::nat64
