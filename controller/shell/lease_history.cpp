// SPDX-License-Identifier: Apache-2.0
// Admin.LeaseHistory: who held an address when, for abuse requests. Read from the store, not from the core.
#include "controller/shell/admin_service.hpp"
#include "controller/store/ledger.hpp"

namespace isthmus::controller {
namespace {

void set_ms(google::protobuf::Timestamp& out, std::int64_t ms) {
  out.set_seconds(ms / 1000);
  out.set_nanos(static_cast<std::int32_t>(ms % 1000 * 1000000));
}

grpc::Status answer(Store* store, const std::string& text, v1::LeaseHistoryResponse& response) {
  const auto address = Ipv4Address::parse(text);
  if (!address) return {grpc::StatusCode::INVALID_ARGUMENT, "\"" + text + "\" is not an IPv4 address"};
  if (store == nullptr) return {grpc::StatusCode::FAILED_PRECONDITION, "this controller keeps nothing"};
  const auto tenures = lease_history(*store, *address);
  if (!tenures) return {grpc::StatusCode::UNAVAILABLE, tenures.error().message};
  for (const auto& tenure : *tenures) {
    auto* out = response.add_tenures();
    out->set_address(tenure.address());
    out->set_node_id(tenure.holder().node_id());
    out->set_machine(tenure.holder().machine());
    set_ms(*out->mutable_from(), tenure.from_ms());
    if (tenure.to_ms() != 0) set_ms(*out->mutable_to(), tenure.to_ms());
  }
  return grpc::Status::OK;
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::LeaseHistory(grpc::CallbackServerContext* context,
                                                     const v1::LeaseHistoryRequest* request,
                                                     v1::LeaseHistoryResponse* response) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(answer(hub_.store(), request->address(), *response));
  return reactor;
}

}  // namespace isthmus::controller
