// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/nft.hpp"

#include <nftables/libnftables.h>

#include <cstdio>

namespace isthmus::nat64 {

Result<std::unique_ptr<Nft>, std::string> Nft::open() {
  nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
  if (context == nullptr) return failure(std::string("nftables cannot be used: out of memory"));
  std::unique_ptr<Nft> self(new Nft(context));
  if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0) {
    return failure(std::string("nftables cannot be used: out of memory"));
  }
  return self;
}

Nft::~Nft() {
  nft_ctx_free(context_);
}

Result<std::string, std::string> Nft::run(const std::string& commands) {
  if (nft_run_cmd_from_buffer(context_, commands.c_str()) == 0)
    return std::string(nft_ctx_get_output_buffer(context_));
  std::string words = nft_ctx_get_error_buffer(context_);
  (void)nft_ctx_get_output_buffer(context_);  // empties it
  if (const auto end = words.find('\n'); end != std::string::npos) words.resize(end);
  return failure(std::move(words));
}

Result<std::string, std::string> Nft::ask(const std::string& command) {
  nft_ctx_output_set_flags(context_, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE);
  auto answer = run(command);
  nft_ctx_output_set_flags(context_, 0);
  return answer;
}

}  // namespace isthmus::nat64
