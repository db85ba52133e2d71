// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/udp_listener.hpp"

#include <cerrno>
#include <cstring>

#include "dns64-svc/core/proxy_header.hpp"

namespace isthmus::dns64 {

namespace {

// A reply leaves from the address that was asked, by whatever interface the routes say; only link-local
// addresses mean something on one interface alone.
void free_of_interface(ReplyPath& path) {
  msghdr header{};
  header.msg_control = path.control.data();
  header.msg_controllen = path.control_size;
  for (auto* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      info.ipi_ifindex = 0;
      std::memcpy(CMSG_DATA(c), &info, sizeof info);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
      std::memcpy(CMSG_DATA(c), &info, sizeof info);
    }
  }
}

}  // namespace

// Buffers and headers of one recvmmsg or sendmmsg call.
struct UdpListener::Batch {
  std::array<std::array<std::uint8_t, kRequestSize>, kBatch> bytes;
  std::array<ReplyPath, kBatch> paths;
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> headers{};

  Batch() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {.iov_base = bytes[i].data(), .iov_len = kRequestSize};
      headers[i].msg_hdr.msg_iov = &vectors[i];
      headers[i].msg_hdr.msg_iovlen = 1;
      headers[i].msg_hdr.msg_name = &paths[i].peer;
    }
  }
};

Result<std::unique_ptr<UdpListener>, std::string> UdpListener::open(const SocketAddress& address,
                                                                    EventLoop& loop, RequestHandler& handler,
                                                                    const AddressList& proxies) {
  auto fd = open_udp(address);
  if (!fd) return failure(fd.error());
  std::unique_ptr<UdpListener> made{
      new UdpListener{std::move(*fd), address.is_wildcard(), loop, handler, proxies}};
  if (!loop.watch(made->fd_.get(), EPOLLIN, *made))
    return failure("cannot watch " + address.to_string() + ": " + std::strerror(errno));
  return made;
}

UdpListener::UdpListener(UniqueFd fd, bool wildcard, EventLoop& loop, RequestHandler& handler,
                         const AddressList& proxies)
    : fd_(std::move(fd)),
      wildcard_(wildcard),
      loop_(loop),
      handler_(handler),
      proxies_(proxies),
      in_(std::make_unique<Batch>()),
      out_(std::make_unique<Batch>()) {}

UdpListener::~UdpListener() {
  stop_reading();
}

void UdpListener::stop_reading() {
  if (reading_) loop_.forget(fd_.get(), *this);
  reading_ = false;
}

void UdpListener::drain() {
  if (!reading_) return;
  for (int i = 0; i < 256 && receive(); ++i) {
  }
  stop_reading();
}

void UdpListener::glance() {
  if (reading_) (void)receive();
}

void UdpListener::on_ready(std::uint32_t /*events*/) {
  // A few batches per turn: other sockets and timers have their turn too.
  for (int i = 0; i < 8 && receive(); ++i) {
  }
}

bool UdpListener::receive() {
  for (std::size_t i = 0; i < kBatch; ++i) {
    auto& header = in_->headers[i].msg_hdr;
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_control = wildcard_ ? in_->paths[i].control.data() : nullptr;
    header.msg_controllen = wildcard_ ? in_->paths[i].control.size() : 0;
    header.msg_flags = 0;
  }
  const int got = recvmmsg(fd_.get(), in_->headers.data(), kBatch, MSG_DONTWAIT, nullptr);
  if (got <= 0) return false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    handler_.expect({in_->bytes[i].data(), in_->headers[i].msg_len},
                    {.address = client_address(in_->paths[i].peer), .transport = Transport::kUdp});
  }
  handler_.expected_all();
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    auto& path = in_->paths[i];
    path.peer_size = in_->headers[i].msg_hdr.msg_namelen;
    path.control_size = static_cast<std::uint32_t>(in_->headers[i].msg_hdr.msg_controllen);
    if (wildcard_) free_of_interface(path);
    ClientInfo client{.address = client_address(path.peer), .transport = Transport::kUdp};
    if (out_count_ == kBatch) flush();
    std::span<const std::uint8_t> request{in_->bytes[i].data(), in_->headers[i].msg_len};
    if (!proxies_.empty() && !read_proxy_header(request, client)) continue;
    const auto size = handler_.handle(request, client, *this, path, out_->bytes[out_count_]);
    // A handler that answers at once has sent nothing else meanwhile: the slot it wrote is still the next.
    if (size != 0) enqueue(path, size);
  }
  flush();
  return got == static_cast<int>(kBatch);
}

bool UdpListener::read_proxy_header(std::span<const std::uint8_t>& request, ClientInfo& client) {
  if (!proxies_.contains(client.address)) return true;
  const auto header = parse_proxy_header(request);
  if (!header) {
    ++proxy_errors_;
    return false;
  }
  request = request.subspan(header->size);
  if (header->client) client.address = *header->client;
  return true;
}

void UdpListener::send(const ReplyPath& path, std::span<const std::uint8_t> reply) {
  if (reply.size() > kRequestSize) return;  // cannot be: the core cuts to max_udp_size
  if (out_count_ == kBatch) flush();
  std::memcpy(out_->bytes[out_count_].data(), reply.data(), reply.size());
  out_->paths[out_count_] = path;
  enqueue(out_->paths[out_count_], reply.size());
}

void UdpListener::enqueue(ReplyPath& path, std::size_t size) {
  auto& header = out_->headers[out_count_].msg_hdr;
  header.msg_name = &path.peer;
  header.msg_namelen = path.peer_size;
  header.msg_control = path.control_size != 0 ? path.control.data() : nullptr;
  header.msg_controllen = path.control_size;
  out_->vectors[out_count_].iov_len = size;
  ++out_count_;
}

void UdpListener::flush() {
  for (std::size_t sent = 0; sent < out_count_;) {
    const int n =
        sendmmsg(fd_.get(), &out_->headers[sent], static_cast<unsigned>(out_count_ - sent), MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    // The first one cannot leave (its peer is unreachable, the buffer is full): it is lost, as UDP may be.
    ++send_failures_;
    ++sent;
  }
  out_count_ = 0;
}

}  // namespace isthmus::dns64
