// SPDX-License-Identifier: Apache-2.0
// BIB and session table (RFC 6146 §3.1, §3.2) with their four indexes. Keeps them consistent with each other;
// who may be in them is decided elsewhere.
#pragma once

#include <memory_resource>
#include <optional>

#include "common/net/keyed_hash.hpp"
#include "nat64-svc/core/tables/session.hpp"
#include "nat64-svc/core/tables/slab.hpp"
#include "nat64-svc/core/tables/timer_wheel.hpp"
#include "nat64-svc/core/verdict.hpp"

namespace isthmus::nat64 {

class SessionTables {
 public:
  SessionTables(std::uint32_t max_sessions, HashKey key, std::pmr::memory_resource* memory);

  // `hint`: a number that may be the one (candidate()); any number and kNone are right.
  [[nodiscard]] std::uint32_t find(const Tuple6& tuple, std::uint32_t hint = kNone) const {
    return hint < sessions_.touched() && sessions_[hint].is(tuple) ? hint : find_by_hash(tuple);
  }
  [[nodiscard]] std::uint32_t find(const Tuple4& tuple, std::uint32_t hint = kNone) const {
    return hint < sessions_.touched() && sessions_[hint].is(tuple) ? hint : find_by_hash(tuple);
  }
  // For bursts, in three steps a packet apart, so that none waits for memory: the slot of the index is
  // fetched, the session that it names is fetched, find() compares it.
  [[nodiscard]] std::uint64_t prefetch6(const TupleWords& tuple) const {
    const auto h = hash6(tuple);
    by_tuple6_.prefetch(h);
    return h;
  }
  [[nodiscard]] std::uint64_t prefetch4(const TupleWords& tuple) const {
    const auto h = hash4(tuple);
    by_tuple4_.prefetch(h);
    return h;
  }
  // The same ahead of what opens or ends a flow: all the places that will be looked at, none waited for.
  void prefetch_bib6(const TupleWords& t) const {
    bib_by_client6_.prefetch(keyed_hash(key_, t.client.high, t.client.low, client_port(t)));
  }
  void prefetch_bib4(const TupleWords& t) const {
    bib_by_public4_.prefetch(keyed_hash(key_, t.client.high, client_port(t)));
  }
  void prefetch_new(const Tuple4& tuple) const {
    by_tuple4_.prefetch(hash(tuple));
    bib_by_public4_.prefetch(hash(tuple.protocol, tuple.public4));
  }
  void prefetch_removal(std::uint32_t number) const {
    const Session& s = sessions_[number];
    fetch_ahead(&bibs_[s.bib]);
    by_tuple6_.prefetch(hash(s.tuple6()));
    bib_by_client6_.prefetch(hash(s.protocol(), TransportAddress6{s.client6, s.port6}));
    prefetch_new(s.tuple4());
  }
  [[nodiscard]] std::uint32_t candidate(Side from, std::uint64_t hash) const {
    const auto number = (from == Side::kV6 ? by_tuple6_ : by_tuple4_).candidate(hash);
    if (number != kNone) fetch_ahead(&sessions_[number]);
    return number;
  }
  [[nodiscard]] std::uint32_t find_bib(Protocol protocol, const TransportAddress6& client6) const;
  [[nodiscard]] std::uint32_t find_bib(Protocol protocol, const TransportAddress4& public4) const;

  // Address-dependent filtering (§3.5.1.2) asks whether the binding has any session with the server's
  // address. The index for it exists only while such filtering is on: turning it on walks all sessions.
  void index_peers(bool on);
  [[nodiscard]] bool has_peer(std::uint32_t bib, Ipv4Address server4) const;

  // kNone when the table is full. The caller has looked before that no equal one exists.
  [[nodiscard]] std::uint32_t add_bib(Protocol protocol, const TransportAddress6& client6,
                                      const TransportAddress4& public4);
  void remove_bib(std::uint32_t number);
  // Counts the session in its BIB entry. The caller arms its timer.
  [[nodiscard]] std::uint32_t add_session(std::uint32_t bib, const TransportAddress6& server6,
                                          const TransportAddress4& server4);
  void remove_session(std::uint32_t number);  // the caller has taken it off the wheel
  // The same session seen through another translation prefix.
  void change_server6(std::uint32_t number, const Ipv6Address& server6);

  [[nodiscard]] Slab<Session>& sessions() { return sessions_; }
  [[nodiscard]] const Slab<Session>& sessions() const { return sessions_; }
  [[nodiscard]] Slab<Bib>& bibs() { return bibs_; }
  [[nodiscard]] const Slab<Bib>& bibs() const { return bibs_; }

 private:
  [[nodiscard]] std::uint32_t find_by_hash(const Tuple6& tuple) const;
  [[nodiscard]] std::uint32_t find_by_hash(const Tuple4& tuple) const;
  [[nodiscard]] std::uint64_t hash6(const TupleWords& t) const {
    const std::uint64_t client = mix(t.client.high ^ key_.k0, t.client.low ^ key_.k1);
    const std::uint64_t server = mix(t.server.high ^ key_.k1, t.server.low ^ key_.k0);
    return mix(client ^ key_.k1, server ^ key_.k0 ^ t.ports);
  }
  [[nodiscard]] std::uint64_t hash4(const TupleWords& t) const {
    return keyed_hash(key_, t.client.high << 32 | t.server.high, t.ports);
  }
  [[nodiscard]] std::uint64_t hash(const Tuple6& t) const { return hash6(words_of(t)); }
  [[nodiscard]] std::uint64_t hash(const Tuple4& t) const { return hash4(words_of(t)); }
  [[nodiscard]] std::uint64_t hash(Protocol p, const TransportAddress6& a) const;
  [[nodiscard]] std::uint64_t hash(Protocol p, const TransportAddress4& a) const;

  // The ports of a tuple without the server's.
  [[nodiscard]] static std::uint64_t client_port(const TupleWords& t) {
    return t.ports & ~std::uint64_t{0xffff00};
  }

  [[nodiscard]] std::uint64_t peer_hash(std::uint32_t bib, Ipv4Address server4) const;

  HashKey key_;
  std::pmr::memory_resource* memory_;
  Slab<Session> sessions_;
  Slab<Bib> bibs_;
  FlatIndex by_tuple6_;
  FlatIndex by_tuple4_;
  FlatIndex bib_by_client6_;
  FlatIndex bib_by_public4_;
  std::optional<FlatIndex> by_peer_;
};

}  // namespace isthmus::nat64
