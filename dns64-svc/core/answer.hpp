// SPDX-License-Identifier: Apache-2.0
// How a query is answered from what is known of it: the order of decisions of RFC 6147. Made for one event of
// one query; keeps nothing.
#pragma once

#include <array>
#include <span>

#include "dns64-svc/core/ipv4only_arpa.hpp"
#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/reply.hpp"
#include "dns64-svc/core/service_binding.hpp"

namespace isthmus::dns64 {

// What rests on a failed lookup must not live long, in seconds.
inline constexpr std::uint32_t kFailedAaaaCap = 30;

class Answerer {
 public:
  Answerer(Query& query, const Context& context, std::span<std::uint8_t> buffer)
      : query_(query), request_(query.request_), context_(context), buffer_(buffer) {}

  [[nodiscard]] Step run();
  [[nodiscard]] Step slip();
  static void settle(Query::Slot& slot, FactPtr fact, bool checking_disabled, TimePoint now);
  static void fail(Query::Slot& slot, ResolveFailure why, TimePoint now);

 private:
  // The order of decisions.
  [[nodiscard]] Step answer();
  [[nodiscard]] bool is_ours(LocalName local) const;
  [[nodiscard]] Step answer_local(LocalName local);
  [[nodiscard]] Step answer_any();
  [[nodiscard]] Step answer_cookie_only();
  [[nodiscard]] Step answer_aaaa();
  [[nodiscard]] Step answer_from_a(const Query::Slot& aaaa, bool excluded, bool always);
  [[nodiscard]] Step synthesize(const Query::Slot& aaaa, const Query::Slot& a, Outcome outcome);
  [[nodiscard]] Step answer_ptr(Ipv4Address embedded);
  [[nodiscard]] Step answer_service_binding();
  [[nodiscard]] Step with_hints(const Query::Slot& binding, const Name& target);
  [[nodiscard]] std::span<const std::uint8_t> hints_from(const Binding& binding, BindingRoom& hints);
  [[nodiscard]] Step pass(Outcome outcome);

  // What is known.
  [[nodiscard]] Query::Slot& look(std::uint8_t index, const Name& name, std::uint16_t type);
  [[nodiscard]] Step pending();

  // Replies.
  // kNone: neither signatures, nor proofs, nor AD, for an answer that is not what was signed.
  enum class Proofs : std::uint8_t { kNone, kAsStored };
  [[nodiscard]] Step resolved(const Query::Slot& slot, Outcome outcome, Proofs proofs = Proofs::kAsStored);
  [[nodiscard]] Step filtered(const Query::Slot& slot, Outcome outcome);
  [[nodiscard]] Step failed(const Query::Slot& slot, Outcome outcome);
  // RFC 8914 §4.1: "other" comes with a text.
  [[nodiscard]] Step refuse(Outcome outcome, std::uint16_t code, std::uint16_t error = ede::kNone,
                            std::string_view text = {});
  void add_additional(ReplyBuilder& reply, const Fact& fact, const TtlRule& ttl) const;
  [[nodiscard]] Step done(ReplyBuilder& reply, Outcome outcome, ReplyBuilder::Ending ending);

  // Values for the decisions.
  [[nodiscard]] bool client_validates() const {
    return request_.edns.dnssec_ok && request_.checking_disabled();
  }
  [[nodiscard]] bool has_prefix() const;
  [[nodiscard]] bool serves_client(const RuntimePrefix& prefix) const {
    return prefix.serves(query_.subject(), query_.subject_known());
  }
  [[nodiscard]] bool guards_rebinding() const;
  [[nodiscard]] bool is_private(const ClientAddress& address) const;
  // The RDATA without what rebinding protection withholds: whole, less some hints (then in `room`), or
  // nothing.
  using Given = std::optional<std::span<const std::uint8_t>>;
  [[nodiscard]] Given without_private(const StoredRecord& record, BindingRoom& room) const;
  [[nodiscard]] static bool is_whole(const StoredRecord& record, const Given& given) {
    return given && given->data() == record.rdata.data();
  }
  [[nodiscard]] bool is_excluded(const StoredRecord& record) const;
  [[nodiscard]] DomainRule rule_for(const Fact& fact) const;
  [[nodiscard]] std::size_t withheld_count(const Fact& fact) const;
  [[nodiscard]] bool is_enough_without_aaaa(const Query::Slot& a) const;
  [[nodiscard]] TtlRule ttl_rule(const Query::Slot& slot) const;
  // The policy's limit on how old a fact may get, whatever it was when the fact was made.
  [[nodiscard]] std::uint32_t longest_life(const Fact& fact) const;
  [[nodiscard]] std::uint32_t longest_ttl(const Fact& fact) const;  // by the policy that runs now
  [[nodiscard]] std::uint32_t local_ttl() const;                    // of the names that are answered here
  [[nodiscard]] std::uint32_t synthesis_ttl_cap(const Query::Slot& aaaa) const;
  void note_what_is_known() const;  // for `explain`
  [[nodiscard]] bool usable(Ipv4Address server4, const RuntimePrefix& prefix) const;
  void note(std::string_view section, std::string_view text) const {
    if (context_.trace != nullptr) context_.trace->push_back({section, std::string{text}});
  }

  Query& query_;
  const Request& request_;
  const Context& context_;
  std::span<std::uint8_t> buffer_;
  const RuntimeView* view_ = nullptr;
  std::uint16_t first_prefix_ = 0xffff;
  std::array<Ask, 2> asks_;
  std::uint8_t ask_count_ = 0;
  std::array<Ask, 2> refreshes_;  // worth it; claimed when there is a reply that can carry them
  std::uint8_t refresh_count_ = 0;
};

}  // namespace isthmus::dns64
