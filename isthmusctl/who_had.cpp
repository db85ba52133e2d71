// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/who_had.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace isthmus {

std::optional<std::string> record_time(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00";
  if (text.size() < kForm.size() + 1 || text.back() != 'Z') return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return std::nullopt;
  }
  std::string out(text.substr(0, kForm.size()));
  auto fraction = text.substr(kForm.size(), text.size() - kForm.size() - 1);
  if (!fraction.empty() && (fraction.front() != '.' || fraction.size() > 4 || fraction.size() == 1 ||
                            fraction.find_first_not_of("0123456789", 1) != std::string_view::npos))
    return std::nullopt;
  out += fraction.empty() ? std::string(".") : std::string(fraction);
  return out.append(kForm.size() + 4 - out.size(), '0') + "Z";
}

void WhoHad::add(std::string_view line) {
  ++lines_;
  if (line.empty()) return;
  const auto json = nlohmann::json::parse(line, nullptr, false);
  const auto text = [&](const char* key) {
    const auto at = json.find(key);
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string{};
  };
  if (!json.is_object() || text("event").empty() || text("time").empty()) {
    ++unreadable_;
    return;
  }
  Record record{text("time"), text("node"), text("event"), text("subscriber"), text("protocol"), lines_};
  if (record.event != "service_started" && record.event != "service_stopped") {
    const auto first = json.find("first_port");
    const auto last = json.find("last_port");
    if (first == json.end() || last == json.end() || !first->is_number_unsigned() ||
        !last->is_number_unsigned())
      return;
    if (text("public4") != public4_.address.to_string() || public4_.port < first->get<std::uint64_t>() ||
        public4_.port > last->get<std::uint64_t>())
      return;
  }
  records_.push_back(std::move(record));
}

std::vector<Holding> WhoHad::answer() {
  std::ranges::sort(records_, [](const Record& a, const Record& b) {
    return a.time != b.time ? a.time < b.time : a.number < b.number;
  });
  std::vector<Holding> all;
  const auto end_everywhere = [&](const Record& record, auto&& concerns, bool certain) {
    for (auto& h : all) {
      if (!h.until.empty() || !concerns(h)) continue;
      h.until = record.time;
      h.certain = certain;
    }
  };
  const auto end = [&](const Record& record, auto&& concerns, bool certain) {
    end_everywhere(record, [&](const Holding& h) { return h.node == record.node && concerns(h); }, certain);
  };
  for (const auto& r : records_) {
    if (r.event == "service_started") {
      end(r, [](const Holding&) { return true; }, false);
    } else if (r.event == "service_stopped") {
      end(r, [](const Holding&) { return true; }, true);
    } else if (r.event == "block_freed") {
      end(r, [&](const Holding& h) { return h.subscriber == r.subscriber && h.protocol.empty(); }, true);
    } else if (r.event == "static_freed") {
      end(
          r, [&](const Holding& h) { return h.subscriber == r.subscriber && h.protocol == r.protocol; },
          true);
    }
    // A port is in one block: the one before has ended, on a node that died too.
    if (r.event == "block_taken")
      end_everywhere(r, [](const Holding& h) { return h.protocol.empty(); }, false);
    if (r.event == "block_taken" || r.event == "static_used") {
      all.push_back({r.node, r.subscriber, r.protocol, r.time, {}, true});
    }
  }
  std::erase_if(all, [&](const Holding& h) { return h.from > at_ || (!h.until.empty() && h.until <= at_); });
  return all;
}

}  // namespace isthmus
