// SPDX-License-Identifier: Apache-2.0
// A Fact: what was resolved about one (name, type, resolver group), class IN. Immutable, shared by all
// workers, one allocation. It knows nothing of views, prefixes, DO, CD or policy: those act when a reply is
// written.
//
// The records are kept as the body of a DNS message (what follows the 12 header bytes), so that offset `o` of
// a message is byte `o - 12` of the body and most replies are copied, not built:
//
//   question | answer | authority | additional | answer, DNSSEC | authority, DNSSEC
//
// Every compression pointer leads into the question or the answer part. Each reply starts with those two at
// their place, so the other parts can be moved or left out (RRSIG, NSEC, NSEC3 for clients without DO) as
// they are. The answer is in order: CNAMEs and DNAMEs from the question's name on, then the final RRset.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <utility>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/name.hpp"
#include "dns64-svc/core/wire/wire_error.hpp"

namespace isthmus::dns64 {

enum class Security : std::uint8_t { kInsecure, kBogus, kSecure };  // libunbound's `sec` in this order

class Fact;

// A counted reference. Facts are shared between threads; the count is the only thing in them that changes,
// with the marks below.
class FactPtr {
 public:
  FactPtr() = default;
  explicit FactPtr(const Fact* adopted) : fact_(adopted) {}  // takes over one reference
  FactPtr(const FactPtr& other);
  [[nodiscard]] static FactPtr share(const Fact* fact);  // adds a reference
  FactPtr(FactPtr&& other) noexcept : fact_(std::exchange(other.fact_, nullptr)) {}
  FactPtr& operator=(FactPtr other) noexcept {
    std::swap(fact_, other.fact_);
    return *this;
  }
  ~FactPtr();
  [[nodiscard]] const Fact* get() const { return fact_; }
  [[nodiscard]] const Fact* operator->() const { return fact_; }
  [[nodiscard]] const Fact& operator*() const { return *fact_; }
  explicit operator bool() const { return fact_ != nullptr; }
  [[nodiscard]] const Fact* release() { return std::exchange(fact_, nullptr); }

 private:
  const Fact* fact_ = nullptr;
};

// Seconds of TimePoint, enough for 136 years of uptime.
[[nodiscard]] constexpr std::uint32_t to_seconds(TimePoint t) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count());
}

class Fact {
 public:
  struct Part {
    std::uint16_t end = 0;    // body offset behind the part
    std::uint16_t count = 0;  // records in it
  };
  enum PartIndex : std::uint8_t { kAnswer, kAuthority, kAdditional, kAnswerDnssec, kAuthorityDnssec, kParts };

  struct Fields {
    std::uint16_t type = 0;
    std::uint16_t group = 0;  // resolver group (ResolverGroups)
    std::uint16_t rcode = 0;
    Security security = Security::kInsecure;
    std::uint16_t ede = ede::kNone;  // extended error that came with it
    std::uint8_t name_size = 0;
    std::uint8_t chain_count = 0;    // CNAMEs and DNAMEs before the final RRset, which may itself be a CNAME
    std::uint16_t final_at = 0;      // body offset of the first record of the final RRset (or answer's end)
    std::uint32_t received = 0;      // seconds, to_seconds()
    std::uint32_t ttl = 0;           // seconds from `received` that it is fresh
    std::uint32_t negative_ttl = 0;  // RFC 2308 §5, of the SOA; 0 when there was none
    bool has_soa = false;
    bool failure = false;  // not an answer but the memory that there was none (RFC 9520)
    Part parts[kParts];
  };

  // The body is copied. For fact_from_response and tests.
  [[nodiscard]] static FactPtr make(const Fields& fields, std::span<const std::uint8_t> body);
  Fact(const Fact&) = delete;
  Fact& operator=(const Fact&) = delete;

  [[nodiscard]] const Fields& fields() const { return fields_; }
  [[nodiscard]] std::uint16_t type() const { return fields_.type; }
  [[nodiscard]] std::uint16_t rcode() const { return fields_.rcode; }
  [[nodiscard]] Security security() const { return fields_.security; }
  [[nodiscard]] bool is_failure() const { return fields_.failure; }
  [[nodiscard]] std::span<const std::uint8_t> body() const {
    return {bytes(), fields_.parts[kAuthorityDnssec].end};
  }
  [[nodiscard]] NameView name() const { return {bytes(), fields_.name_size}; }  // lower case
  [[nodiscard]] std::uint16_t question_end() const {
    return static_cast<std::uint16_t>(fields_.name_size + 4);
  }
  // The bytes of a part; `count` in fields().parts.
  [[nodiscard]] std::span<const std::uint8_t> part(PartIndex index) const {
    const std::size_t begin = index == kAnswer ? question_end() : fields_.parts[index - 1].end;
    return {bytes() + begin, fields_.parts[index].end - begin};
  }
  [[nodiscard]] std::uint16_t final_count() const {
    return static_cast<std::uint16_t>(fields_.parts[kAnswer].count - fields_.chain_count);
  }
  [[nodiscard]] bool is_positive() const { return fields_.rcode == rcode::kNoError && final_count() != 0; }
  [[nodiscard]] bool is_nodata() const {
    return fields_.rcode == rcode::kNoError && final_count() == 0 && !fields_.failure;
  }

  // The name does not exist, or cannot: the DNAME above it would make it too long (RFC 6672 §2.2).
  [[nodiscard]] bool is_name_error() const {
    return !fields_.failure && (fields_.rcode == rcode::kNxDomain || fields_.rcode == rcode::kYxDomain);
  }

  [[nodiscard]] bool is_fresh(std::uint32_t now) const { return age(now) < fields_.ttl; }
  // Each worker reads the clock for itself: another's fact may be from a moment that is still to come here.
  [[nodiscard]] std::uint32_t age(std::uint32_t now) const {
    return now > fields_.received ? now - fields_.received : 0;
  }
  [[nodiscard]] std::uint32_t remaining(std::uint32_t now) const {
    return is_fresh(now) ? fields_.ttl - age(now) : 0;
  }
  [[nodiscard]] std::size_t memory() const { return sizeof(Fact) + body().size(); }

  // Marks that change; relaxed, a lost update only costs a little precision.
  // How often it answered, up to 255: tells popular names, and what the cache may evict.
  void touch() const {
    const auto hits = hits_.load(std::memory_order_relaxed);
    if (hits < 255) hits_.store(static_cast<std::uint8_t>(hits + 1), std::memory_order_relaxed);
    if (!recent_.load(std::memory_order_relaxed)) recent_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] unsigned hits() const { return hits_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool take_recent() const {  // for the cache's clock hand
    if (!recent_.load(std::memory_order_relaxed)) return false;
    recent_.store(false, std::memory_order_relaxed);
    return true;
  }
  // True for one caller until `now` + 10 s: who refreshes it.
  [[nodiscard]] bool claim_refresh(std::uint32_t now, std::uint32_t again_after = 10) const {
    auto next = next_refresh_.load(std::memory_order_relaxed);
    return now >= next &&
           next_refresh_.compare_exchange_strong(next, now + again_after, std::memory_order_relaxed);
  }

  // RFC 8767 §5: after a failure the stale data serves at once for 30 s before upstream is tried again.
  void hold_after_failure(std::uint32_t now) const {
    next_refresh_.store(now + 30, std::memory_order_relaxed);
    failing_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_held(std::uint32_t now) const {
    return failing_.load(std::memory_order_relaxed) && now < next_refresh_.load(std::memory_order_relaxed);
  }

 private:
  friend class FactPtr;
  explicit Fact(const Fields& fields) : fields_(fields) {}
  [[nodiscard]] const std::uint8_t* bytes() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
  static void destroy(const Fact* fact);

  mutable std::atomic<std::uint32_t> references_{1};
  mutable std::atomic<std::uint32_t> next_refresh_{0};
  mutable std::atomic<std::uint8_t> hits_{0};
  mutable std::atomic<bool> recent_{false};
  mutable std::atomic<bool> failing_{false};
  Fields fields_;
};

inline FactPtr::FactPtr(const FactPtr& other) : fact_(other.fact_) {
  if (fact_ != nullptr) fact_->references_.fetch_add(1, std::memory_order_relaxed);
}
inline FactPtr FactPtr::share(const Fact* fact) {
  fact->references_.fetch_add(1, std::memory_order_relaxed);
  return FactPtr{fact};
}
inline FactPtr::~FactPtr() {
  if (fact_ != nullptr && fact_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
    Fact::destroy(fact_);
}

// Limits that the policy sets on what is kept (Dns64Limits).
struct FactLimits {
  std::uint32_t max_ttl = 86400;          // seconds
  std::uint32_t max_negative_ttl = 3600;  // seconds
  std::size_t max_records = 1024;
};

struct FactOrigin {
  std::uint16_t group = 0;
  Security security = Security::kInsecure;
  std::uint16_t ede = ede::kNone;
  TimePoint now;
};

// Takes an upstream answer apart and keeps what belongs: the chain from the question's name in order, the
// final RRset, the SOA of a negative answer, the proofs. Whatever else the message holds is left out. Its id
// is not looked at (libunbound gives 0). SERVFAIL, REFUSED and the like become failure facts; NXDOMAIN and
// YXDOMAIN are answers.
[[nodiscard]] Result<FactPtr, WireError> fact_from_response(std::span<const std::uint8_t> wire,
                                                            const FactOrigin& origin,
                                                            const FactLimits& limits);

// The memory that (name, type) could not be resolved (RFC 9520 §3.2: kept from 1 s to 5 min).
[[nodiscard]] FactPtr failure_fact(NameView name, std::uint16_t type, const FactOrigin& origin,
                                   std::uint16_t rcode = rcode::kServFail, std::uint32_t ttl_seconds = 5);

// One record of a part, as stored (owner perhaps compressed, TTL not yet aged).
struct StoredRecord {
  std::size_t owner_at = 0;  // body offset
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::size_t rdata_at = 0;  // body offset
  std::span<const std::uint8_t> rdata;
  std::size_t end = 0;
};

// Walks records of a fact's part: for (RecordWalk w(fact, Fact::kAnswer); w.next(r);) ...
class RecordWalk {
 public:
  RecordWalk(const Fact& fact, Fact::PartIndex part);
  [[nodiscard]] bool next(StoredRecord& record);

 private:
  const Fact* fact_;
  std::size_t position_;
  std::uint16_t left_;
};

// The whole name at a body offset of `fact`.
[[nodiscard]] Name stored_name(const Fact& fact, std::size_t body_offset);
// Owner of the final RRset: the end of the chain. The question's name when there is no chain.
[[nodiscard]] Name final_owner(const Fact& fact);
// True when `matches` any name whose records the fact holds: the question's, those of the chain, and those in
// the additional section. `matches(NameView)`: names may be in any case.
template <class Match>
[[nodiscard]] bool speaks_of(const Fact& fact, const Match& matches) {
  if (matches(fact.name())) return true;
  const auto any_owner = [&](Fact::PartIndex part) {
    StoredRecord record;
    for (RecordWalk walk{fact, part}; walk.next(record);)
      if (matches(stored_name(fact, record.owner_at).view())) return true;
    return false;
  };
  if (fact.fields().chain_count != 0 && (any_owner(Fact::kAnswer) || matches(final_owner(fact).view())))
    return true;
  return fact.fields().parts[Fact::kAdditional].count != 0 && any_owner(Fact::kAdditional);
}

}  // namespace isthmus::dns64
