// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/fact.hpp"

#include <algorithm>
#include <new>

#include "common/net/big_endian.hpp"

namespace isthmus::dns64 {

FactPtr Fact::make(const Fields& fields, std::span<const std::uint8_t> body) {
  void* memory = ::operator new(sizeof(Fact) + body.size());
  auto* fact = new (memory) Fact{fields};
  std::memcpy(static_cast<std::uint8_t*>(memory) + sizeof(Fact), body.data(), body.size());
  return FactPtr{fact};
}

void Fact::destroy(const Fact* fact) {
  fact->~Fact();
  ::operator delete(const_cast<Fact*>(fact));
}

RecordWalk::RecordWalk(const Fact& fact, Fact::PartIndex part)
    : fact_(&fact),
      position_(part == Fact::kAnswer ? fact.question_end() : fact.fields().parts[part - 1].end),
      left_(fact.fields().parts[part].count) {}

bool RecordWalk::next(StoredRecord& record) {
  if (left_ == 0) return false;
  --left_;
  // No checks: fact_from_response wrote these bytes.
  const auto body = fact_->body();
  std::size_t at = position_;
  record.owner_at = at;
  while (body[at] != 0 && body[at] < 0xc0) at += body[at] + 1U;
  at += body[at] == 0 ? 1U : 2U;
  record.type = load_be16(&body[at]);
  record.ttl = load_be32(&body[at + 4]);
  record.rdata_at = at + 10;
  record.rdata = body.subspan(at + 10, load_be16(&body[at + 8]));
  position_ = record.end = record.rdata_at + record.rdata.size();
  return true;
}

Name stored_name(const Fact& fact, std::size_t body_offset) {
  const auto body = fact.body();
  Name name;
  std::size_t at = body_offset;
  for (;;) {
    while (body[at] >= 0xc0) at = (std::size_t{load_be16(&body[at])} & 0x3fff) - kHeaderSize;
    if (body[at] == 0) return name;
    if (!name.append_label(body.subspan(at + 1, body[at]))) return name;
    at += body[at] + 1U;
  }
}

Name final_owner(const Fact& fact) {
  StoredRecord record;
  RecordWalk walk{fact, Fact::kAnswer};
  std::size_t target = 0;
  for (unsigned i = 0; i < fact.fields().chain_count && walk.next(record); ++i)
    if (record.type == rr::kCname) target = record.rdata_at;
  return stored_name(fact, target);
}

}  // namespace isthmus::dns64
