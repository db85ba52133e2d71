#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds kube-apiserver, -controller-manager, -scheduler, -proxy and kubelet 1.20.2 from Debian 12's source package
# "kubernetes", the newest in Debian whose vendor/ is complete. Prints the directory that holds the five programs.
# Takes 5-10 minutes on two cores, once: later calls find them in the cache.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/isthmus/kubernetes-1.20.2
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

mkdir -p "$cache"
exec 9> "$cache.lock"
flock 9 # two checkouts that test at once build it once
if [ -e "$cache/complete" ]; then
  echo "$cache"
  exit
fi

# exec 9>&- in a child: nothing that outlives this script may hold the lock
work=$(mktemp -d "${TMPDIR:-/tmp}/isthmus-kubernetes.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

# Source packages are fetched with an apt state of our own: the system's sources stay as they are.
mkdir -p apt/lists/partial apt/cache/archives/partial apt/parts
sed 's/^Types: deb$/Types: deb-src/' "${DEBIAN_SOURCES:-/etc/apt/sources.list.d/debian.sources}" > apt/parts/src.sources
: > apt/sources.list
apt_options=(-o "Dir::State::lists=$work/apt/lists" -o "Dir::Etc::sourcelist=$work/apt/sources.list"
  -o "Dir::Etc::sourceparts=$work/apt/parts" -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root)
{
  apt-get "${apt_options[@]}" update -qq
  apt-get "${apt_options[@]}" source --download-only -qq kubernetes
  apt-get download -qq golang-github-modern-go-reflect2-dev
} >&2

# GOPATH mode: the modules file of this version does not agree with its own vendor/ directory.
export GOPATH=$work/gopath GO111MODULE=off GOPROXY=off GOFLAGS='' CGO_ENABLED=0 GOCACHE=$work/gocache
export PATH=/usr/lib/go-1.19/bin:$PATH
source=$GOPATH/src/k8s.io/kubernetes
mkdir -p "$source"
tar xzf kubernetes_*.orig.tar.gz -C "$source" --strip-components=1

# The vendored reflect2 1.0.1 crashes under Go 1.18 and later at the first custom resource: Debian's 1.0.2 instead.
dpkg -x golang-github-modern-go-reflect2-dev_*.deb reflect2
reflect2=$source/vendor/github.com/modern-go/reflect2
rm -rf "$reflect2"
cp -r reflect2/usr/share/gocode/src/github.com/modern-go/reflect2 "$reflect2"
rm -f "$reflect2"/*_test.go
cd "$source"

# The generated OpenAPI file is not part of the source; it is made as upstream's Makefile makes it.
go build -o "$work/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg staging/src/k8s.io cmd \
  | grep -vE '_test.go|/testdata/|zz_generated|code-generator|sample-|/vendor/|_examples' | xargs -n1 dirname | sort -u \
  | sed -e 's,^staging/src/,k8s.io/kubernetes/vendor/,' -e 's,^pkg,k8s.io/kubernetes/pkg,' -e 's,^cmd,k8s.io/kubernetes/cmd,' \
  | paste -sd,)
"$work/openapi-gen" --logtostderr -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
  -h hack/boilerplate/boilerplate.generatego.txt -r "$work/violations.txt" -o "$GOPATH/src" >&2

flags='-s -w'
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  variable=k8s.io/kubernetes/vendor/$package
  flags+=" -X $variable.gitVersion=v1.20.2 -X $variable.gitMajor=1 -X $variable.gitMinor=20 -X $variable.gitTreeState=archive"
  flags+=" -X $variable.gitCommit=debian -X $variable.buildDate=2021-01-13T00:00:00Z"
done
for program in "${programs[@]}"; do
  SECONDS=0
  go build -o "$cache/$program" -ldflags "$flags" "k8s.io/kubernetes/cmd/$program" >&2
  echo "built $program in $SECONDS s" >&2
done
"$cache/kube-apiserver" --version >&2
touch "$cache/complete"
echo "$cache"
