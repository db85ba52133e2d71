// SPDX-License-Identifier: Apache-2.0
// Why a reply is what it is: one value per reply, for metrics, the query log and tests.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"

namespace isthmus::dns64 {

enum class Outcome : std::uint8_t {
  // AAAA was synthesized, because ...
  kSynthesized,              // RFC 6147 §5.1.6: no AAAA exists
  kSynthesizedExcludedAaaa,  // §5.1.4: all real AAAA are in the exclusion set
  kSynthesizedAlways,        // the policy says to ignore real AAAA
  kSynthesizedAaaaFailed,    // §5.1.2, §5.1.3: the AAAA lookup failed
  // AAAA was not synthesized, because ...
  kRealAaaa,         // §5.1.1: there are real ones
  kNxDomain,         // §5.1.2: the name does not exist
  kNoA,              // §5.1.6: there is no A either
  kAFailed,          // §5.1.6: the A lookup failed
  kAaaaFailed,       // the AAAA lookup failed, and the view passes errors or there is no A
  kNeverSynthesize,  // the policy names the domain
  kDnssecOk,         // §5.5: DO and CD are set, the client validates
  kBogus,            // §5.5: data that fails validation
  kNoPrefix,         // no prefix of the view is for this client
  kNoUsableA,        // every A is excluded, non-global, or in no prefix's range
  // Other questions
  kPassed,          // another type: as resolved
  kOtherClass,      // RFC 6147 §5.1: only IN; answered NOTIMP
  kIpv4OnlyArpa,    // RFC 7050, RFC 8880
  kPtrSynthesized,  // §5.3.1: CNAME into in-addr.arpa
  kPtrUnavailable,  // §5.3.1: under a prefix, but no PTR there
  kAnyRefused,      // RFC 8482: minimal answer to ANY
  kHintsAdded,      // HTTPS/SVCB with a synthesized ipv6hint
  kFailed,          // the lookup failed
  kStale,           // RFC 8767
  kRebinding,       // answers with private addresses were withheld
  // Refusals
  kNoView,  // the client is in no view
  kFormErr,
  kNotImp,
  kBadVers,
  kBadCookie,
  kCookieOnly,  // RFC 7873 §5.4: a question for a cookie
  kSlipped,     // response rate limiting: answered with TC
  kOverloaded,  // our own limits: not looked up
  kCount
};
inline constexpr EnumNames<Outcome> kOutcomeNames{{"synthesized",
                                                   "synthesized_excluded_aaaa",
                                                   "synthesized_always",
                                                   "synthesized_aaaa_failed",
                                                   "real_aaaa",
                                                   "nxdomain",
                                                   "no_a",
                                                   "a_failed",
                                                   "aaaa_failed",
                                                   "never_synthesize",
                                                   "dnssec_ok",
                                                   "bogus",
                                                   "no_prefix",
                                                   "no_usable_a",
                                                   "passed",
                                                   "other_class",
                                                   "ipv4only_arpa",
                                                   "ptr_synthesized",
                                                   "ptr_unavailable",
                                                   "any_refused",
                                                   "hints_added",
                                                   "failed",
                                                   "stale",
                                                   "rebinding",
                                                   "no_view",
                                                   "formerr",
                                                   "notimp",
                                                   "badvers",
                                                   "badcookie",
                                                   "cookie_only",
                                                   "slipped",
                                                   "overloaded"}};

// Said without a look at any data: who asks must ask otherwise.
[[nodiscard]] constexpr bool is_refusal(Outcome outcome) {
  return outcome == Outcome::kNoView || outcome == Outcome::kFormErr || outcome == Outcome::kNotImp ||
         outcome == Outcome::kBadVers || outcome == Outcome::kOtherClass;
}

}  // namespace isthmus::dns64
