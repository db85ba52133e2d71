// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/dnstap.hpp"

#include <fstrm.h>

#include <cstdlib>
#include <cstring>

#include "dnstap/dnstap.pb.h"

namespace isthmus::dns64 {

namespace {

constexpr std::string_view kContentType = "protobuf:dnstap.Dnstap";
constexpr unsigned kQueueSize = 4096;  // frames per worker; a power of two
constexpr unsigned kReopenAfter = 5;   // seconds

fstrm_writer* writer_over(fstrm_rdwr* stream) {
  auto* options = fstrm_writer_options_init();
  (void)fstrm_writer_options_add_content_type(options, kContentType.data(), kContentType.size());
  auto* writer = stream == nullptr ? nullptr : fstrm_writer_init(options, &stream);
  fstrm_writer_options_destroy(&options);
  return writer;
}

dnstap::SocketProtocol protocol_of(Transport transport) {
  switch (transport) {
    case Transport::kTcp:
      return dnstap::TCP;
    case Transport::kTls:
      return dnstap::DOT;
    case Transport::kHttps:
      return dnstap::DOH;
    case Transport::kUdp:
    case Transport::kCount:
      break;
  }
  return dnstap::UDP;
}

void set_client(dnstap::Message& message, const ClientInfo& client) {
  if (const auto* v6 = std::get_if<Ipv6Address>(&client.address)) {
    message.set_socket_family(dnstap::INET6);
    message.set_query_address(v6->bytes().data(), v6->bytes().size());
  } else {
    std::array<std::uint8_t, 4> v4{};
    std::get<Ipv4Address>(client.address).store(v4.data());
    message.set_socket_family(dnstap::INET);
    message.set_query_address(v4.data(), v4.size());
  }
  message.set_socket_protocol(protocol_of(client.transport));
}

struct Moment {
  std::uint64_t seconds;
  std::uint32_t nanoseconds;
};
Moment moment(std::chrono::system_clock::time_point at) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  return {static_cast<std::uint64_t>(ns / 1'000'000'000), static_cast<std::uint32_t>(ns % 1'000'000'000)};
}

}  // namespace

class Dnstap::Tap final : public QueryTap {
 public:
  Tap(Dnstap& owner, fstrm_iothr_queue* queue) : owner_(owner), queue_(queue) {
    frame_.set_identity(owner.identity_);
    frame_.set_version("isthmus dns64-svc " ISTHMUS_VERSION);
    frame_.set_type(dnstap::Dnstap::MESSAGE);
  }
  void on_request(std::span<const std::uint8_t> request, const ClientInfo& client) override {
    auto& message = fresh(dnstap::Message::CLIENT_QUERY, client);
    set_query_time(message, std::chrono::system_clock::now());
    message.set_query_message(request.data(), request.size());
    submit();
  }
  void on_reply(const AnsweredQuery& query) override {
    auto& message = fresh(dnstap::Message::CLIENT_RESPONSE, query.client);
    const auto now = std::chrono::system_clock::now();
    set_query_time(message, now - query.took);
    const auto at = moment(now);
    message.set_response_time_sec(at.seconds);
    message.set_response_time_nsec(at.nanoseconds);
    message.set_response_message(query.reply.data(), query.reply.size());
    submit();
  }

 private:
  dnstap::Message& fresh(dnstap::Message::Type type, const ClientInfo& client) {
    auto& message = *frame_.mutable_message();
    message.Clear();
    message.set_type(type);
    set_client(message, client);
    return message;
  }
  static void set_query_time(dnstap::Message& message, std::chrono::system_clock::time_point at) {
    const auto asked = moment(at);
    message.set_query_time_sec(asked.seconds);
    message.set_query_time_nsec(asked.nanoseconds);
  }
  void submit() {
    const auto size = frame_.ByteSizeLong();
    void* bytes = std::malloc(size);
    if (bytes != nullptr && frame_.SerializeToArray(bytes, static_cast<int>(size)) &&
        fstrm_iothr_submit(owner_.thread_, queue_, bytes, size, done_with, &owner_) == fstrm_res_success)
      return;
    std::free(bytes);
    owner_.lost_.fetch_add(1, std::memory_order_relaxed);
  }
  // By libfstrm's thread, when it has written the frame, has failed to, or has nobody to write it to.
  static void done_with(void* bytes, void* owner) {
    std::free(bytes);
    auto& dnstap = *static_cast<Dnstap*>(owner);
    if (!dnstap.stream_.is_open()) dnstap.lost_.fetch_add(1, std::memory_order_relaxed);
  }

  Dnstap& owner_;
  fstrm_iothr_queue* queue_;
  dnstap::Dnstap frame_;
};

Result<std::unique_ptr<Dnstap>, std::string> Dnstap::open(const std::string& target, std::string identity,
                                                          unsigned workers) {
  const auto collector = CollectorStream::parse(target);
  if (!collector) return failure("--dnstap " + target + " is neither unix:/PATH nor tcp:ADDRESS:PORT");
  std::unique_ptr<Dnstap> made{new Dnstap{*collector, std::move(identity)}};
  auto* writer = writer_over(made->stream_.rdwr());
  auto* options = fstrm_iothr_options_init();
  fstrm_iothr_options_set_num_input_queues(options, workers);
  fstrm_iothr_options_set_input_queue_size(options, kQueueSize);
  fstrm_iothr_options_set_queue_model(options, FSTRM_IOTHR_QUEUE_MODEL_SPSC);
  fstrm_iothr_options_set_reopen_interval(options, kReopenAfter);
  if (writer != nullptr) made->thread_ = fstrm_iothr_init(options, &writer);
  fstrm_iothr_options_destroy(&options);
  if (made->thread_ == nullptr) {
    fstrm_writer_destroy(&writer);
    return failure(std::string{"dnstap cannot start its thread: out of memory"});
  }
  return made;
}

Dnstap::~Dnstap() {
  patience_.end_soon();
  fstrm_iothr_destroy(&thread_);
}

std::unique_ptr<QueryTap> Dnstap::tap_of(unsigned worker) {
  return std::make_unique<Tap>(*this, fstrm_iothr_get_input_queue_idx(thread_, worker));
}

}  // namespace isthmus::dns64
