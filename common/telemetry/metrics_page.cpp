// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/metrics_page.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>

namespace isthmus {

prometheus::ClientMetric& MetricsPage::sample(std::string_view name, std::string_view help,
                                              prometheus::MetricType type, Labels labels) {
  auto family = std::ranges::find_if(families_, [&](const auto& f) { return f.name == name; });
  if (family == families_.end()) {
    families_.push_back({std::string{name}, std::string{help}, type, {}});
    family = std::prev(families_.end());
  }
  auto& metric = family->metric.emplace_back();
  for (const auto& [key, value] : labels) metric.label.push_back({std::string{key}, std::string{value}});
  return metric;
}

void MetricsPage::counter(std::string_view name, std::string_view help, Labels labels, double value) {
  sample(name, help, prometheus::MetricType::Counter, labels).counter.value = value;
}

void MetricsPage::gauge(std::string_view name, std::string_view help, Labels labels, double value) {
  sample(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

void MetricsPage::histogram(std::string_view name, std::string_view help, Labels labels,
                            const std::vector<std::pair<double, std::uint64_t>>& buckets,
                            std::uint64_t overflow, double sum) {
  auto& histogram = sample(name, help, prometheus::MetricType::Histogram, labels).histogram;
  std::uint64_t cumulative = 0;
  for (const auto& [bound, count] : buckets) {
    cumulative += count;
    histogram.bucket.push_back({cumulative, bound});
  }
  cumulative += overflow;
  histogram.bucket.push_back({cumulative, std::numeric_limits<double>::infinity()});
  histogram.sample_count = cumulative;
  histogram.sample_sum = sum;
}

std::string MetricsPage::text() const {
  return prometheus::TextSerializer{}.Serialize(families_);
}

HttpReply MetricsPage::reply() const {
  return {200, "text/plain; version=0.0.4; charset=utf-8", text()};
}

}  // namespace isthmus
