// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/inspect.hpp"

#include <algorithm>

namespace isthmus::nat64 {
namespace {

template <class Wanted, class Value>
bool contains(const std::optional<Wanted>& wanted, const Value& value) {
  return !wanted || wanted->contains(value);
}
template <class Value>
bool equals(const std::optional<Value>& wanted, const Value& value) {
  return !wanted || *wanted == value;
}

MappingView view_of(const Bib& b) {
  return {b.protocol, {b.client6, b.port6}, {b.public4, b.port4}, b.is_static, b.sessions};
}

bool matches(const Filter& f, const MappingView& m) {
  return equals(f.protocol, m.protocol) && contains(f.client6, m.client6.address) &&
         equals(f.port6, m.client6.port) && contains(f.public4, m.public4.address) &&
         equals(f.port4, m.public4.port);
}

bool matches(const Filter& f, const SessionView& s) {
  return matches(f, MappingView{s.six.protocol, s.six.client6, s.four.public4}) &&
         contains(f.server4, s.four.server4.address) && equals(f.server_port, s.four.server4.port);
}

// view(number): the record, if it is one that counts.
template <class View, class Look>
Page<View> walk(std::uint32_t touched, std::uint32_t from, std::uint32_t visit, std::uint32_t most,
                Look&& look) {
  Page<View> page;
  const std::uint32_t end = from > touched ? touched : from + std::min(visit, touched - from);
  std::uint32_t at = from;
  for (; at < end && page.items.size() < most; ++at) {
    if (auto item = look(at)) page.items.push_back(*item);
  }
  if (at < touched) page.next = at;
  return page;
}

}  // namespace

Page<MappingView> list_mappings(const WorkerState& state, const Filter& filter, std::uint32_t from,
                                std::uint32_t visit, std::uint32_t most) {
  const auto& bibs = state.tables.bibs();
  return walk<MappingView>(bibs.touched(), from, visit, most, [&](std::uint32_t n) {
    const Bib& b = bibs[n];
    std::optional<MappingView> view;
    if (b.live() && matches(filter, view_of(b))) view = view_of(b);
    return view;
  });
}

Page<SessionView> list_sessions(const WorkerState& state, const Filter& filter, std::uint32_t from,
                                std::uint32_t visit, std::uint32_t most, TimePoint now) {
  const auto& sessions = state.tables.sessions();
  return walk<SessionView>(sessions.touched(), from, visit, most, [&](std::uint32_t n) {
    std::optional<SessionView> view;
    const Session& s = sessions[n];
    if (!s.live()) return view;
    view = SessionView{s.tuple6(), s.tuple4(), s.state(), s.hairpin(), {}};
    if (!matches(filter, *view)) return std::optional<SessionView>{};
    view->expires_in = std::max(Duration{}, Duration{state.due(s) - now});
    return view;
  });
}

std::optional<MappingView> find_mapping(const WorkerState& state, Protocol protocol,
                                        const TransportAddress4& public4) {
  const auto number = state.tables.find_bib(protocol, public4);
  if (number == kNone) return std::nullopt;
  return view_of(state.tables.bibs()[number]);
}

std::optional<MappingView> find_mapping(const WorkerState& state, Protocol protocol,
                                        const TransportAddress6& client6) {
  const auto number = state.tables.find_bib(protocol, client6);
  if (number == kNone) return std::nullopt;
  return view_of(state.tables.bibs()[number]);
}

std::optional<BlockView> find_block(const WorkerState& state, const TransportAddress4& public4) {
  const auto holder = state.block_holder(public4);
  if (!holder) return std::nullopt;
  return BlockView{holder->first, {holder->second.address, holder->second.first}, holder->second.last};
}

}  // namespace isthmus::nat64
