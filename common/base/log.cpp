// SPDX-License-Identifier: Apache-2.0
#include "common/base/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <utility>

namespace isthmus {
namespace {

void append_json_text(spdlog::memory_buf_t& out, spdlog::string_view_t text) {
  for (const char c : text) {
    switch (c) {
      case '"':
      case '\\':
        out.push_back('\\');
        out.push_back(c);
        break;
      case '\n':
        out.push_back('\\');
        out.push_back('n');
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out.push_back(c);
        }
    }
  }
}

// {"time":"2026-01-02T03:04:05.678Z","level":"info","program":"nat64-svc","thread":12,"message":"..."}
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& out) override {
    time_.format(msg, out);
    fmt::format_to(std::back_inserter(out), R"(,"level":"{}","program":")", level_name(msg.level));
    append_json_text(out, msg.logger_name);
    fmt::format_to(std::back_inserter(out), R"(","thread":{},"message":")", msg.thread_id);
    append_json_text(out, msg.payload);
    out.push_back('"');
    out.push_back('}');
    out.push_back('\n');
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }

 private:
  static std::string_view level_name(spdlog::level::level_enum level) {
    const auto name = spdlog::level::to_string_view(level);
    return {name.data(), name.size()};
  }
  spdlog::pattern_formatter time_{R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ")", spdlog::pattern_time_type::utc, ""};
};

constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 9> kLevels{
    {{"trace", spdlog::level::trace},
     {"debug", spdlog::level::debug},
     {"info", spdlog::level::info},
     {"warning", spdlog::level::warn},
     {"warn", spdlog::level::warn},
     {"error", spdlog::level::err},
     {"err", spdlog::level::err},
     {"critical", spdlog::level::critical},
     {"off", spdlog::level::off}}};

}  // namespace

Result<void, std::string> set_up_log(std::string_view program, const LogOptions& options) {
  const auto* level = std::find_if(kLevels.begin(), kLevels.end(),
                                   [&](const auto& entry) { return entry.first == options.level; });
  if (level == kLevels.end()) {
    return failure("log level \"" + options.level +
                   "\" is unknown: choose trace, debug, info, warning, error, critical or off");
  }
  if (options.format != "text" && options.format != "json") {
    return failure("log format \"" + options.format + "\" is unknown: choose text or json");
  }
  auto logger = std::make_shared<spdlog::logger>(std::string{program},
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (options.format == "json") {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n: %v", spdlog::pattern_time_type::utc);
  }
  logger->set_level(level->second);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

std::optional<std::uint64_t> LogLimit::pass(TimePoint now) {
  if (last_ && now - *last_ < interval_) {
    ++held_back_;
    return std::nullopt;
  }
  last_ = now;
  return std::exchange(held_back_, 0);
}

}  // namespace isthmus
