// SPDX-License-Identifier: Apache-2.0
// Nat64Status.Capture: taps in all workers for as long as the caller listens.
#include <chrono>
#include <thread>

#include "nat64-svc/shell/capture/capture_tap.hpp"
#include "nat64-svc/shell/capture/pcapng.hpp"
#include "nat64-svc/shell/status/read_request.hpp"
#include "nat64-svc/shell/status/status_service.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::chrono::milliseconds kEvery{20};
constexpr std::size_t kChunk = 256 << 10;
constexpr std::uint32_t kSnapDefault = 256, kSnapMost = 9216;
constexpr std::uint32_t kSecondsDefault = 60, kSecondsMost = 3600;
constexpr std::uint64_t kPacketsDefault = 1000;

// Taps in the workers; taken out again whatever happens.
class Taps {
 public:
  Taps(Gateway& gateway, const CaptureFilter& filter, std::uint32_t snap) : gateway_(gateway) {
    for (std::size_t i = 0; i < gateway.workers().size(); ++i)
      taps_.push_back(std::make_shared<CaptureTap>(filter, snap));
  }
  ~Taps() {
    for (std::size_t i = 0; i < taps_.size(); ++i) (void)gateway_.workers()[i]->set_tap(nullptr);
  }
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;

  [[nodiscard]] bool open() {
    for (std::size_t i = 0; i < taps_.size(); ++i) {
      if (!gateway_.workers()[i]->set_tap(taps_[i])) return false;
    }
    return true;
  }
  [[nodiscard]] std::uint64_t lost() const {
    std::uint64_t sum = 0;
    for (const auto& tap : taps_) sum += tap->lost();
    return sum;
  }
  [[nodiscard]] std::vector<std::shared_ptr<CaptureTap>>& all() { return taps_; }

 private:
  Gateway& gateway_;
  std::vector<std::shared_ptr<CaptureTap>> taps_;
};

std::string comment_of(const CapturedPacket& packet, std::size_t worker) {
  std::string text = "worker " + std::to_string(worker);
  if (packet.stage == CaptureStage::kMade) return text + ": made here";
  if (packet.stage == CaptureStage::kAfter)
    return text + (packet.verdict.action == Verdict::Action::kReply ? ": our answer" : ": translated");
  text += ": " + std::string(kVerdictNames[packet.verdict.action]);
  if (packet.verdict.action == Verdict::Action::kDrop || packet.verdict.action == Verdict::Action::kReply)
    text += " " + std::string(kDropReasonNames[packet.verdict.reason]);
  return text;
}

void append(std::string& out, const CapturedPacket& packet, std::size_t worker, Duration wall_ahead) {
  const auto at = packet.at.time_since_epoch() + wall_ahead;
  pcapng::add(out, {.unix_nanoseconds = static_cast<std::uint64_t>(at.count()),
                    .length = packet.length,
                    .bytes = packet.bytes,
                    .outbound = packet.stage != CaptureStage::kBefore,
                    .comment = comment_of(packet, worker)});
}

}  // namespace

grpc::Status StatusService::Capture(grpc::ServerContext* context, const v1::CaptureRequest* request,
                                    grpc::ServerWriter<v1::CaptureChunk>* writer) {
  const auto filter = read_filter(*request);
  if (!filter) return {grpc::StatusCode::INVALID_ARGUMENT, filter.error()};
  const auto or_default = [](std::uint64_t value, std::uint64_t otherwise) {
    return value == 0 ? otherwise : value;
  };
  const auto snap = static_cast<std::uint32_t>(or_default(request->snap_length(), kSnapDefault));
  const auto seconds = or_default(request->max_seconds(), kSecondsDefault);
  const auto most = or_default(request->max_packets(), kPacketsDefault);
  if (snap > kSnapMost || seconds > kSecondsMost)
    return {grpc::StatusCode::INVALID_ARGUMENT, "snap_length: at most " + std::to_string(kSnapMost) +
                                                    "; max_seconds: at most " + std::to_string(kSecondsMost)};
  if (capturing_.exchange(true))
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "another capture runs: one at a time"};
  struct Free {
    std::atomic<bool>& busy;
    ~Free() { busy.store(false); }
  } free{capturing_};
  Taps taps(gateway_, *filter, snap);
  if (!taps.open())
    return {grpc::StatusCode::UNAVAILABLE, "a worker does not answer: is nat64-svc stopping?"};

  v1::CaptureChunk chunk;
  pcapng::begin(*chunk.mutable_pcapng(), snap, node_id_);
  if (!writer->Write(chunk)) return grpc::Status::CANCELLED;
  const auto wall_ahead =
      std::chrono::duration_cast<Duration>(wall_now().time_since_epoch()) - boot_now().time_since_epoch();
  const auto deadline = boot_now() + std::chrono::seconds{seconds};
  std::uint64_t packets = 0;
  CapturedPacket packet;
  while (!context->IsCancelled() && !stopping_.load()) {
    // Looked at before the rings: what they hold still counts.
    const bool last = boot_now() >= deadline || packets >= most;
    chunk.Clear();
    for (std::size_t worker = 0; worker < taps.all().size(); ++worker) {
      while (chunk.pcapng().size() < kChunk && taps.all()[worker]->take(packet)) {
        if (packet.stage == CaptureStage::kBefore && packets == most) break;
        if (packet.stage == CaptureStage::kBefore) ++packets;
        append(*chunk.mutable_pcapng(), packet, worker, wall_ahead);
      }
    }
    chunk.set_packets(packets);
    chunk.set_lost(taps.lost());
    if ((!chunk.pcapng().empty() || last) && !writer->Write(chunk)) return grpc::Status::CANCELLED;
    if (last) break;
    std::this_thread::sleep_for(kEvery);
  }
  return grpc::Status::OK;
}

}  // namespace isthmus::nat64
