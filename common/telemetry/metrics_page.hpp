// SPDX-License-Identifier: Apache-2.0
// Builds a Prometheus exposition from values read at scrape time: hot paths keep plain per-worker counters,
// and a scrape sums them here. Thin over prometheus-cpp's MetricFamily and TextSerializer.
#pragma once

#include <prometheus/metric_family.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/telemetry/http_endpoint.hpp"

namespace isthmus {

class MetricsPage {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Samples of one name may be added in any order; help is taken from the first.
  void counter(std::string_view name, std::string_view help, Labels labels, double value);
  void gauge(std::string_view name, std::string_view help, Labels labels, double value);
  // `buckets` are (upper bound, count in this bucket alone); the +Inf bucket and the cumulation are added
  // here.
  void histogram(std::string_view name, std::string_view help, Labels labels,
                 const std::vector<std::pair<double, std::uint64_t>>& buckets, std::uint64_t overflow,
                 double sum);

  [[nodiscard]] std::string text() const;
  [[nodiscard]] HttpReply reply() const;  // with the exposition content type

 private:
  prometheus::ClientMetric& sample(std::string_view name, std::string_view help, prometheus::MetricType type,
                                   Labels labels);
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace isthmus
