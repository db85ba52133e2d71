// SPDX-License-Identifier: Apache-2.0
// fact_from_response: from an upstream answer in wire form to a Fact.
#include <algorithm>
#include <array>
#include <vector>

#include "common/net/big_endian.hpp"
#include "dns64-svc/core/fact.hpp"
#include "dns64-svc/core/wire/message_writer.hpp"
#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64 {
namespace {

// CNAMEs and DNAMEs together: unbound follows 11 CNAMEs, each may have a DNAME before it.
constexpr std::size_t kMaxChain = 24;
// RFC 2308 §7.1 and RFC 9520 §3.2 allow up to 5 min; unbound keeps bogus data 60 s.
constexpr std::uint32_t kMaxBogusTtl = 60;
constexpr std::uint32_t kFailureTtl = 5;
// A negative answer without SOA may not be kept (RFC 2308 §5); a few seconds only spare a busy upstream.
constexpr std::uint32_t kNoSoaTtl = 5;

bool is_proof(std::uint16_t type) {
  return type == rr::kRrsig || type == rr::kNsec || type == rr::kNsec3;
}

struct Piece {
  RecordView view;
  Name owner;
  bool taken = false;
};

// RFC 2181 §8: a TTL with the top bit set counts as 0.
std::uint32_t sane_ttl(std::uint32_t ttl, std::uint32_t cap) {
  return ttl >> 31 != 0 ? 0 : std::min(ttl, cap);
}

// The RDATA with its names uncompressed, in `out`. Nothing when it does not have its type's form.
bool expand_rdata(std::span<const std::uint8_t> message, const RecordView& record,
                  std::vector<std::uint8_t>& out) {
  out.clear();
  const auto layout = rdata_layout(record.type);
  if (layout.names == 0) {
    out.assign(record.rdata.begin(), record.rdata.end());
    if (record.type == rr::kA) return record.rdata.size() == 4;
    if (record.type == rr::kAaaa) return record.rdata.size() == 16;
    return true;
  }
  const std::size_t end = record.rdata_at + record.rdata.size();
  const auto readable = message.first(end);
  std::size_t at = record.rdata_at + layout.fixed;
  for (int i = 0; layout.strings && i < 3 && at < end; ++i) at += message[at] + 1U;  // NAPTR
  if (at > end) return false;
  out.assign(message.begin() + static_cast<std::ptrdiff_t>(record.rdata_at),
             message.begin() + static_cast<std::ptrdiff_t>(at));
  for (unsigned i = 0; i < layout.names; ++i) {
    const auto name = Name::read(readable, at);
    if (!name) return false;
    out.insert(out.end(), name->view().begin(), name->view().end());
  }
  if (end - at != layout.tail) return false;
  out.insert(out.end(), message.begin() + static_cast<std::ptrdiff_t>(at),
             message.begin() + static_cast<std::ptrdiff_t>(end));
  return true;
}

class Builder {
 public:
  Builder(const MessageView& message, const FactOrigin& origin, const FactLimits& limits)
      : message_(message), origin_(origin), limits_(limits), buffer_(kMaxMessageSize), writer_(buffer_) {}

  Result<FactPtr, WireError> build();

 private:
  std::optional<WireError> collect();
  std::optional<WireError> follow_chain();
  std::optional<WireError> write_answer();
  std::optional<WireError> write_part(Fact::PartIndex part, Section section, bool proofs);
  std::optional<WireError> write(Section section, Piece& piece);
  void end_part(Fact::PartIndex part, Section section, std::uint16_t before);
  void find_negative_ttl();
  // Once the answer part is written.
  [[nodiscard]] bool is_negative() const { return fields_.parts[Fact::kAnswer].count == fields_.chain_count; }

  const MessageView& message_;
  const FactOrigin& origin_;
  const FactLimits& limits_;
  std::vector<std::uint8_t> buffer_;
  MessageWriter writer_;
  std::vector<Piece> pieces_;
  std::vector<std::size_t> chain_;  // indices of pieces, in order
  std::vector<Name> chain_names_;   // every owner an answer record may have
  std::vector<std::uint8_t> rdata_;
  Name final_;
  std::uint32_t ttl_ = 0xffffffff;
  Fact::Fields fields_;
};

std::optional<WireError> Builder::collect() {
  auto cursor = message_.records();
  while (const auto record = cursor.next()) {
    if (record->type == rr::kOpt || record->klass != kClassIn) continue;
    if (pieces_.size() == limits_.max_records) return WireError::kTooManyRecords;
    std::size_t at = record->owner_at;
    auto owner = Name::read(message_.bytes(), at);
    if (!owner) return owner.error();
    pieces_.push_back({*record, *owner, false});
  }
  return cursor.error();
}

// RFC 1034 §3.6.2, RFC 6672 §3: from the question's name along CNAMEs, each perhaps made by the DNAME above
// it. The records may stand in any order; we keep them in the order of the chain. A question for CNAME itself
// is not led on, but the DNAME that made the CNAME, which alone is signed, belongs to the answer; so does one
// that makes none since the name would be too long (RFC 6672 §2.2: YXDOMAIN).
std::optional<WireError> Builder::follow_chain() {
  final_ = message_.question_name();
  chain_names_.push_back(final_);
  const auto type = message_.question_type();
  const bool too_long = message_.header().rcode() == rcode::kYxDomain;
  const auto find = [&](auto matches) {
    return std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece& p) {
      return p.view.section == Section::kAnswer && !p.taken && matches(p);
    });
  };
  for (;;) {
    const auto dname = find([&](const Piece& p) {
      return p.view.type == rr::kDname && p.owner.size() < final_.size() &&
             is_at_or_below(final_.view(), p.owner.view());
    });
    const auto cname = find([&](const Piece& p) {
      return p.view.type == rr::kCname && equal_names(p.owner.view(), final_.view());
    });
    if (cname == pieces_.end() && !too_long) return std::nullopt;
    if (chain_.size() + 2 > kMaxChain) return WireError::kChainTooLong;
    if (dname != pieces_.end()) {
      dname->taken = true;
      chain_.push_back(static_cast<std::size_t>(dname - pieces_.begin()));
      chain_names_.push_back(dname->owner);
    }
    if (cname == pieces_.end() || type == rr::kCname) return std::nullopt;
    cname->taken = true;
    chain_.push_back(static_cast<std::size_t>(cname - pieces_.begin()));
    std::size_t at = cname->view.rdata_at;
    auto target = Name::read(message_.bytes(), at);
    if (!target) return target.error();
    final_ = *target;
    chain_names_.push_back(final_);
  }
}

std::optional<WireError> Builder::write(Section section, Piece& piece) {
  piece.taken = true;
  if (!expand_rdata(message_.bytes(), piece.view, rdata_)) return WireError::kBadRdata;
  // RFC 2308 §5, RFC 9077 §3: the SOA and the proofs of a denial live no longer than it.
  const bool denies = section == Section::kAuthority && is_negative();
  const auto cap = denies ? std::min(limits_.max_ttl, limits_.max_negative_ttl) : limits_.max_ttl;
  const auto ttl = sane_ttl(piece.view.ttl, cap);
  ttl_ = std::min(ttl_, ttl);
  if (!writer_.record(section, piece.owner.view(), piece.view.type, kClassIn, ttl, rdata_))
    return WireError::kTooLarge;
  return std::nullopt;
}

void Builder::end_part(Fact::PartIndex part, Section section, std::uint16_t before) {
  fields_.parts[part] = {static_cast<std::uint16_t>(writer_.size() - kHeaderSize),
                         static_cast<std::uint16_t>(writer_.count(section) - before)};
}

std::optional<WireError> Builder::write_answer() {
  for (const auto index : chain_)
    if (const auto error = write(Section::kAnswer, pieces_[index])) return error;
  fields_.chain_count = static_cast<std::uint8_t>(chain_.size());
  fields_.final_at = static_cast<std::uint16_t>(writer_.size() - kHeaderSize);
  // RFC 2308 §2.1, RFC 6604 §3: a name error is about the end of the chain. Records that come with it
  // contradict it; kept, they would reach clients past all that looks at answers (RFC 6147 §5.1.4).
  const bool exists = message_.header().rcode() == rcode::kNoError;
  for (auto& piece : pieces_) {
    if (!exists) break;
    if (piece.view.section != Section::kAnswer || piece.taken || piece.view.type != message_.question_type())
      continue;
    if (!equal_names(piece.owner.view(), final_.view())) continue;
    if (const auto error = write(Section::kAnswer, piece)) return error;
  }
  end_part(Fact::kAnswer, Section::kAnswer, 0);
  writer_.freeze_targets();  // the promise of fact.hpp: pointers lead into question and answer only
  return std::nullopt;
}

std::optional<WireError> Builder::write_part(Fact::PartIndex part, Section section, bool proofs) {
  const auto before = writer_.count(section);
  const bool negative = is_negative();
  for (auto& piece : pieces_) {
    if (piece.view.section != section || piece.taken || is_proof(piece.view.type) != proofs) continue;
    if (section == Section::kAnswer &&
        std::none_of(chain_names_.begin(), chain_names_.end(),
                     [&](const Name& n) { return equal_names(n.view(), piece.owner.view()); }))
      continue;
    // RFC 6147 §5.4 and every resolver: one SOA, and only in a negative answer; NS in authority is chatter.
    if (section == Section::kAuthority && !proofs && !(piece.view.type == rr::kSoa && negative)) continue;
    if (section == Section::kAuthority && !proofs && fields_.has_soa) continue;
    if (const auto error = write(section, piece)) return error;
    if (piece.view.type == rr::kSoa) fields_.has_soa = true;
  }
  end_part(part, section, before);
  return std::nullopt;
}

// RFC 2308 §5: the smaller of the SOA's TTL and its MINIMUM field.
void Builder::find_negative_ttl() {
  for (const auto& piece : pieces_) {
    if (piece.view.section != Section::kAuthority || piece.view.type != rr::kSoa || !piece.taken) continue;
    const auto minimum = load_be32(piece.view.rdata.data() + piece.view.rdata.size() - 4);
    fields_.negative_ttl = std::min({sane_ttl(piece.view.ttl, limits_.max_ttl),
                                     sane_ttl(minimum, limits_.max_ttl), limits_.max_negative_ttl});
    return;
  }
}

Result<FactPtr, WireError> Builder::build() {
  const auto first_error = [](std::initializer_list<std::optional<WireError>> steps) {
    for (const auto& step : steps)
      if (step) return step;
    return std::optional<WireError>{};
  };
  if (const auto error = collect()) return failure(*error);
  if (const auto error = follow_chain()) return failure(*error);
  Name key = message_.question_name();
  key.fold();
  writer_.question(key.view(), message_.question_type(), kClassIn);
  // Braces evaluate in order; after an error the rest is wasted work on a rare path.
  const auto error = first_error({write_answer(), write_part(Fact::kAuthority, Section::kAuthority, false)});
  if (error) return failure(*error);
  find_negative_ttl();
  // Additional TTLs do not decide how long the fact is fresh.
  const auto answer_ttl = ttl_;
  if (const auto e = write_part(Fact::kAdditional, Section::kAdditional, false)) return failure(*e);
  ttl_ = answer_ttl;
  // MessageWriter only counts: that the parts are out of message order does not matter to it.
  if (const auto e = write_part(Fact::kAnswerDnssec, Section::kAnswer, true)) return failure(*e);
  if (const auto e = write_part(Fact::kAuthorityDnssec, Section::kAuthority, true)) return failure(*e);

  fields_.type = message_.question_type();
  fields_.group = origin_.group;
  fields_.rcode = message_.header().rcode();
  fields_.security = origin_.security;
  fields_.ede = origin_.ede;
  fields_.name_size = static_cast<std::uint8_t>(key.size());
  fields_.received = to_seconds(origin_.now);
  if (is_negative()) ttl_ = std::min(ttl_, fields_.has_soa ? fields_.negative_ttl : kNoSoaTtl);
  if (fields_.security == Security::kBogus) ttl_ = std::min(ttl_, kMaxBogusTtl);
  fields_.ttl = std::min(ttl_, limits_.max_ttl);
  return Fact::make(fields_, writer_.written().subspan(kHeaderSize));
}

}  // namespace

Result<FactPtr, WireError> fact_from_response(std::span<const std::uint8_t> wire, const FactOrigin& origin,
                                              const FactLimits& limits) {
  const auto message = MessageView::parse(wire);
  if (!message) return failure(message.error());
  if (!message->header().is_response()) return failure(WireError::kNotAResponse);
  if (message->question_class() != kClassIn) return failure(WireError::kQuestionMismatch);
  const auto code = message->header().rcode();
  if (code != rcode::kNoError && code != rcode::kNxDomain && code != rcode::kYxDomain) {
    Name key = message->question_name();
    key.fold();
    return failure_fact(key.view(), message->question_type(), origin, code, kFailureTtl);
  }
  return Builder{*message, origin, limits}.build();
}

FactPtr failure_fact(NameView name, std::uint16_t type, const FactOrigin& origin, std::uint16_t code,
                     std::uint32_t ttl_seconds) {
  std::array<std::uint8_t, kMaxNameSize + 4> body;
  fold_case(name, body.data());
  store_be16(&body[name.size()], type);
  store_be16(&body[name.size() + 2], kClassIn);
  Fact::Fields fields;
  fields.type = type;
  fields.group = origin.group;
  fields.rcode = code;
  fields.security = origin.security;
  fields.ede = origin.ede;
  fields.name_size = static_cast<std::uint8_t>(name.size());
  fields.received = to_seconds(origin.now);
  fields.ttl = ttl_seconds;
  fields.failure = true;
  const auto end = static_cast<std::uint16_t>(name.size() + 4);
  fields.final_at = end;
  for (auto& part : fields.parts) part.end = end;
  return Fact::make(fields, {body.data(), end});
}

}  // namespace isthmus::dns64
