// SPDX-License-Identifier: Apache-2.0
// Any bytes as an upstream answer: they give an error or a fact, and the fact can be walked and answered
// from.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "dns64-svc/core/fact.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/presentation.hpp"

using namespace isthmus;
using namespace isthmus::dns64;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes{data, size};
  if (const auto message = MessageView::parse(bytes)) {
    auto cursor = message->records();
    while (const auto record = cursor.next())
      if (record->rdata_at + record->rdata.size() > size) std::abort();
  }
  for (const auto& line : answer_lines(bytes))
    for (const char c : line)
      if (c < ' ' || c > '~') std::abort();  // safe to print, whatever came
  const TimePoint now{std::chrono::seconds{1000}};
  const auto made = fact_from_response(bytes, {.now = now}, {.max_records = 256});
  if (!made) return 0;
  const Fact& fact = **made;
  std::size_t count = 0;
  for (unsigned part = 0; part < Fact::kParts; ++part) {
    StoredRecord record;
    for (RecordWalk walk{fact, static_cast<Fact::PartIndex>(part)}; walk.next(record); ++count) {
      if (record.end > fact.body().size()) std::abort();
      (void)stored_name(fact, record.owner_at);
    }
  }
  (void)final_owner(fact);
  if (fact.fields().chain_count > fact.fields().parts[Fact::kAnswer].count) std::abort();
  return count > 256 ? 1 : 0;
}
