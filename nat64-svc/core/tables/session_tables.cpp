// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/tables/session_tables.hpp"

namespace isthmus::nat64 {
SessionTables::SessionTables(std::uint32_t max_sessions, HashKey key, std::pmr::memory_resource* memory)
    : key_(key),
      memory_(memory),
      sessions_(max_sessions, memory),
      bibs_(max_sessions, memory),
      by_tuple6_(max_sessions, memory),
      by_tuple4_(max_sessions, memory),
      bib_by_client6_(max_sessions, memory),
      bib_by_public4_(max_sessions, memory) {}

std::uint64_t SessionTables::hash(Protocol p, const TransportAddress6& a) const {
  return keyed_hash(key_, a.address.high(), a.address.low(), tuple_ports(p, a.port, 0));
}
std::uint64_t SessionTables::hash(Protocol p, const TransportAddress4& a) const {
  return keyed_hash(key_, a.address.value(), tuple_ports(p, a.port, 0));
}

std::uint64_t SessionTables::peer_hash(std::uint32_t bib, Ipv4Address server4) const {
  return keyed_hash(key_, bib, server4.value());
}

void SessionTables::index_peers(bool on) {
  if (!on) {
    by_peer_.reset();
  } else if (!by_peer_) {
    by_peer_.emplace(sessions_.capacity(), memory_);
    for (std::uint32_t n = 0; n < sessions_.touched(); ++n) {
      if (sessions_[n].live()) by_peer_->insert(peer_hash(sessions_[n].bib, sessions_[n].server4), n);
    }
  }
}

bool SessionTables::has_peer(std::uint32_t bib, Ipv4Address server4) const {
  return by_peer_ && by_peer_->find(peer_hash(bib, server4), [&](std::uint32_t n) {
    return sessions_[n].bib == bib && sessions_[n].server4 == server4;
  }) != kNone;
}

std::uint32_t SessionTables::find_by_hash(const Tuple6& tuple) const {
  return by_tuple6_.find(hash(tuple), [&](std::uint32_t n) { return sessions_[n].is(tuple); });
}
std::uint32_t SessionTables::find_by_hash(const Tuple4& tuple) const {
  return by_tuple4_.find(hash(tuple), [&](std::uint32_t n) { return sessions_[n].is(tuple); });
}
std::uint32_t SessionTables::find_bib(Protocol protocol, const TransportAddress6& client6) const {
  return bib_by_client6_.find(hash(protocol, client6), [&](std::uint32_t n) {
    const Bib& b = bibs_[n];
    return b.client6 == client6.address && b.port6 == client6.port && b.protocol == protocol;
  });
}
std::uint32_t SessionTables::find_bib(Protocol protocol, const TransportAddress4& public4) const {
  return bib_by_public4_.find(hash(protocol, public4), [&](std::uint32_t n) {
    const Bib& b = bibs_[n];
    return b.public4 == public4.address && b.port4 == public4.port && b.protocol == protocol;
  });
}

std::uint32_t SessionTables::add_bib(Protocol protocol, const TransportAddress6& client6,
                                     const TransportAddress4& public4) {
  const std::uint32_t number = bibs_.take();
  if (number == kNone) return kNone;
  Bib& b = bibs_[number];
  b.client6 = client6.address;
  b.port6 = client6.port;
  b.public4 = public4.address;
  b.port4 = public4.port;
  b.protocol = protocol;
  bib_by_client6_.insert(hash(protocol, client6), number);
  bib_by_public4_.insert(hash(protocol, public4), number);
  return number;
}

void SessionTables::remove_bib(std::uint32_t number) {
  const auto hash6 = [&](std::uint32_t n) {
    const Bib& b = bibs_[n];
    return hash(b.protocol, TransportAddress6{b.client6, b.port6});
  };
  const auto hash4 = [&](std::uint32_t n) {
    const Bib& b = bibs_[n];
    return hash(b.protocol, TransportAddress4{b.public4, b.port4});
  };
  bib_by_client6_.erase(hash6(number), number, hash6);
  bib_by_public4_.erase(hash4(number), number, hash4);
  bibs_.give_back(number);
}

std::uint32_t SessionTables::add_session(std::uint32_t bib, const TransportAddress6& server6,
                                         const TransportAddress4& server4) {
  const std::uint32_t number = sessions_.take();
  if (number == kNone) return kNone;
  Bib& b = bibs_[bib];
  Session& s = sessions_[number];
  s.client6 = b.client6;
  s.port6 = b.port6;
  s.public4 = b.public4;
  s.port4 = b.port4;
  s.server6 = server6.address;
  s.server4 = server4.address;
  s.server_port = server4.port;
  s.set_protocol(b.protocol);
  s.bib = bib;
  ++b.sessions;
  by_tuple6_.insert(hash(s.tuple6()), number);
  by_tuple4_.insert(hash(s.tuple4()), number);
  if (by_peer_) by_peer_->insert(peer_hash(bib, s.server4), number);
  return number;
}

void SessionTables::remove_session(std::uint32_t number) {
  const Session& s = sessions_[number];
  by_tuple6_.erase(hash(s.tuple6()), number, [&](std::uint32_t n) { return hash(sessions_[n].tuple6()); });
  by_tuple4_.erase(hash(s.tuple4()), number, [&](std::uint32_t n) { return hash(sessions_[n].tuple4()); });
  if (by_peer_) {
    by_peer_->erase(peer_hash(s.bib, s.server4), number,
                    [&](std::uint32_t n) { return peer_hash(sessions_[n].bib, sessions_[n].server4); });
  }
  --bibs_[s.bib].sessions;
  sessions_.give_back(number);
}

void SessionTables::change_server6(std::uint32_t number, const Ipv6Address& server6) {
  Session& s = sessions_[number];
  by_tuple6_.erase(hash(s.tuple6()), number, [&](std::uint32_t n) { return hash(sessions_[n].tuple6()); });
  s.server6 = server6;
  by_tuple6_.insert(hash(s.tuple6()), number);
}

}  // namespace isthmus::nat64
