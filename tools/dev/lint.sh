# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev lint [--all]: style and static checks; --all runs clang-tidy on every file, not only on those changed since main.

LINT_FAILED=''

lint_step() {  # WHAT REMEDY COMMAND...
  local what=$1 remedy=$2
  shift 2
  say "lint: $what"
  "$@" || {
    LINT_FAILED="$LINT_FAILED $what;"
    note "to mend it: $remedy"
  }
}

tracked() { git ls-files --cached --others --exclude-standard -- "$@"; }

warn_long_files() {
  local file lines
  while read -r file; do
    lines=$(wc -l < "$file")
    [ "$lines" -le 400 ] || note "long: $file has $lines lines (400 is the aim)"
  done < <(tracked '*.cpp' '*.hpp' '*.c' '*.py' '*.sh')
}

# The commands of preset dev without what only GCC knows.
commands_for_clang() {
  mkdir -p build/tidy
  sed -E 's/ -(mmemcpy-strategy=|Wduplicated-|Wlogical-op|Wno-maybe-uninitialized|Wno-stringop-|Wno-restrict|fpch-preprocess)[^ "]*//g;
          s/ -include [^ "]*cmake_pch\.hxx//g' build/dev/compile_commands.json > build/tidy/compile_commands.json
}

tidy() {
  local files=() file
  if [ "${1:-}" = --all ]; then
    mapfile -t files < <(tracked 'common/*.cpp' 'nat64-svc/*.cpp' 'dns64-svc/*.cpp' 'controller/*.cpp' 'isthmusctl/*.cpp')
  else
    mapfile -t files < <({ git diff --name-only HEAD~1; git ls-files --others --exclude-standard; } | grep '\.cpp$' | grep -v '^tests/' | sort -u)
  fi
  commands_for_clang
  for file in "${files[@]}"; do [ -e "$file" ] && printf '%s\0' "$PWD/$file"; done \
    | xargs -0 -r run-clang-tidy-19 -quiet -p build/tidy -j "$(nproc)" > "$LOGS/tidy.log" 2>&1 \
    || { grep -E 'error:|warning:' "$LOGS/tidy.log" | sort -u | head -40; return 1; }
}

dev_lint() {
  local cpp shell yaml
  need_packages build test lint
  configure dev
  mapfile -t cpp < <(tracked '*.cpp' '*.hpp' '*.c')
  mapfile -t shell < <(printf 'dev\n.ci/run\n'; tracked '*.sh')
  mapfile -t yaml < <(tracked '*.yaml' '*.yml' | grep -v '/templates/' || true)
  lint_step "formatting" "clang-format-19 -i FILES" clang-format-19 --dry-run --Werror "${cpp[@]}"
  lint_step "shell scripts" "see shellcheck's own advice" shellcheck -x "${shell[@]}"
  [ "${#yaml[@]}" = 0 ] || lint_step "YAML" "yamllint's line says what" yamllint -s -c tools/dev/yamllint.yaml "${yaml[@]}"
  lint_step "dependency rule" "docs/architecture.md tells which directory may use which" \
    /usr/bin/python3 tools/dev/check_dependencies.py
  lint_step "paths in the documentation" "correct the document" /usr/bin/python3 tools/dev/check_docs_paths.py
  lint_step "tests and functions in the ledgers" "correct docs/rfc*.md" /usr/bin/python3 tools/dev/check_ledgers.py
  say "compiling generated headers for clang-tidy"
  compile dev
  lint_step "clang-tidy" "mend the finding; a NOLINT needs its reason beside it" tidy "$@"
  warn_long_files
  [ -z "$LINT_FAILED" ] || die "lint found something:$LINT_FAILED" "see above"
  note "nothing to complain about"
}
