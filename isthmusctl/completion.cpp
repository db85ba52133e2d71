// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/completion.hpp"

namespace isthmus {
namespace {

void add_flags(std::string& words, const CLI::App& app) {
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) words += " --" + name;
    for (const auto& name : option->get_snames()) words += " -" + name;
  }
}

// One case per command: its subcommands and flags, and the flags of everything above it, which are accepted
// anywhere.
void add_cases(std::string& out, const CLI::App& app, const std::string& path, const std::string& inherited) {
  std::string words;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    words += " " + sub->get_name();
  std::string flags = inherited;
  add_flags(flags, app);
  out += "    \"" + path + "\") words=\"" + words + flags + "\" ;;\n";
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    add_cases(out, *sub, path + " " + sub->get_name(), flags);
  }
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string cases;
  add_cases(cases, app, "isthmusctl", "");
  return "# isthmusctl completion for bash: source <(isthmusctl completion bash)\n"
         "_isthmusctl() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} path=isthmusctl words='' i next\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    next=\"$path ${COMP_WORDS[i]}\"\n"
         "    case \" $_isthmusctl_paths \" in *\"|$next|\"*) path=$next ;; esac\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases +
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
         "}\n" +
         [&] {
           std::string paths = "_isthmusctl_paths='";
           std::string_view rest{cases};
           while (true) {
             const auto open = rest.find("    \"");
             if (open == std::string_view::npos) break;
             rest.remove_prefix(open + 5);
             paths += "|" + std::string{rest.substr(0, rest.find('"'))} + "| ";
           }
           return paths + "'\n";
         }() +
         "complete -o default -F _isthmusctl isthmusctl\n";
}

}  // namespace isthmus
