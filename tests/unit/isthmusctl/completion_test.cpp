// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/completion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

namespace isthmus {
namespace {

using testing::HasSubstr;
using testing::Not;

// What bash offers after `line`, whose last word is being typed.
std::string offered(const std::string& script, const std::string& line) {
  const auto path = testing::TempDir() + "isthmusctl.bash";
  std::ofstream{path} << script;
  const std::string command = "bash -c 'source " + path + "; COMP_WORDS=(" + line +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _isthmusctl; echo ${COMPREPLY[*]}'";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe{::popen(command.c_str(), "r"), &::pclose};
  std::array<char, 4096> text{};
  const auto size = std::fread(text.data(), 1, text.size(), pipe.get());
  return {text.data(), size};
}

TEST(BashCompletion, OffersSubcommandsThenTheirFlagsAndThoseAbove) {
  CLI::App app{"test"};
  std::string controller, output, name;
  app.add_option("--controller", controller);
  auto* get = app.add_subcommand("get");
  get->add_option("-o,--output", output);
  auto* nodes = get->add_subcommand("nodes");
  nodes->add_option("--name", name);
  app.add_subcommand("validate");
  const auto script = bash_completion(app);

  EXPECT_THAT(offered(script, "isthmusctl v"), HasSubstr("validate"));
  EXPECT_THAT(offered(script, "isthmusctl v"), Not(HasSubstr("get")));
  EXPECT_THAT(offered(script, "isthmusctl get --"), HasSubstr("--output"));
  EXPECT_THAT(offered(script, "isthmusctl get --"), HasSubstr("--controller"));
  EXPECT_THAT(offered(script, "isthmusctl get n"), HasSubstr("nodes"));
  EXPECT_THAT(offered(script, "isthmusctl get nodes --n"), HasSubstr("--name"));
}

}  // namespace
}  // namespace isthmus
