# SPDX-License-Identifier: Apache-2.0
# One image per program, built from this source and Debian's packages only:
#   docker build --target nat64-svc --build-arg REVISION=$(git rev-parse HEAD) -t isthmus/nat64-svc:0.1.0 .
# Targets: controller, nat64-svc, dns64-svc, isthmusctl; `symbols` holds what was stripped, for gdb and perf.
# All run with a read-only root; state goes to /var/lib/isthmus, which wants a volume where it must survive.
# `PROGRAM health` asks the running program in the same container whether it serves: for HEALTHCHECK and exec probes.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS tools
WORKDIR /src
ENV DEBIAN_FRONTEND=noninteractive CCACHE_BASEDIR=/src CCACHE_NOHASHDIR=true CCACHE_SLOPPINESS=pch_defines,time_macros
COPY tools/dev/packages.txt tools/dev/
RUN apt-get update \
 && sed -n '/^\[build\]/,/^\[/{/^[a-z0-9]/p}' tools/dev/packages.txt | xargs apt-get install -y --no-install-recommends
COPY tools/build-libunbound.sh tools/
COPY tools/libunbound tools/libunbound
RUN tools/build-libunbound.sh

FROM tools AS build
COPY . .
# A cache of compiled objects can be given from outside: buildah bud --volume ~/.cache/ccache:/root/.cache/ccache
ARG PRESET=release
RUN cmake --preset ${PRESET} -DISTHMUS_TESTS=OFF -DISTHMUS_BENCH=OFF \
 && cmake --build build/${PRESET} --target isthmus-controller nat64-svc dns64-svc isthmusctl
# Symbols apart; and for each program the packages of the shared libraries that it loads.
RUN mkdir -p /out/symbols && for program in build/${PRESET}/bin/*; do \
      name=$(basename "$program"); \
      objcopy --only-keep-debug --compress-debug-sections "$program" "/out/symbols/$name.debug"; \
      strip --strip-unneeded -o "/out/$name" "$program"; \
      (cd /out/symbols && objcopy --add-gnu-debuglink="$name.debug" "/out/$name"); \
      ldd "$program" | awk '$3 ~ /^\// { print $3 }' | while read -r library; do \
        file=$(readlink -f "$library"); \
        dpkg -S "*/$(basename "$(dirname "$file")")/$(basename "$file")"; done | cut -d: -f1 | sort -u > "/out/$name.packages"; \
    done

FROM scratch AS symbols
COPY --from=build /out/symbols /

FROM ${BASE} AS runtime
LABEL org.opencontainers.image.vendor="Isthmus" org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
RUN mkdir -p /var/lib/isthmus && chown 65532:65532 /var/lib/isthmus
VOLUME /var/lib/isthmus

FROM runtime AS controller
LABEL org.opencontainers.image.title="isthmus-controller" \
      org.opencontainers.image.description="Control plane of Isthmus: policy, address leases, health"
COPY --from=build /out/isthmus-controller.packages /tmp/packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/packages
# With isthmusctl beside it: kubectl exec ... -- isthmusctl get nodes
COPY --from=build /out/isthmus-controller /out/isthmusctl /usr/bin/
USER 65532:65532
EXPOSE 7400/tcp 9400/tcp
ENTRYPOINT ["/usr/bin/isthmus-controller"]
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

# Root with NET_ADMIN, NET_RAW, BPF, PERFMON and IPC_LOCK (never privileged), in the network namespace that it translates for.
FROM runtime AS nat64-svc
LABEL org.opencontainers.image.title="nat64-svc" \
      org.opencontainers.image.description="Stateful NAT64 (RFC 6146, RFC 7915) on AF_XDP sockets"
COPY --from=build /out/nat64-svc.packages /tmp/packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/packages
COPY --from=build /out/nat64-svc /usr/bin/
EXPOSE 9464/tcp
ENTRYPOINT ["/usr/bin/nat64-svc"]
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

# Any user. Port 53 wants NET_BIND_SERVICE or the sysctl net.ipv4.ip_unprivileged_port_start; the chart uses 1053 instead.
FROM runtime AS dns64-svc
LABEL org.opencontainers.image.title="dns64-svc" \
      org.opencontainers.image.description="DNS64 resolver (RFC 6147)"
COPY --from=build /out/dns64-svc.packages /tmp/packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends ca-certificates < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/packages
COPY --from=build /out/dns64-svc /usr/bin/
USER 65532:65532
EXPOSE 53/udp 53/tcp 9465/tcp
ENTRYPOINT ["/usr/bin/dns64-svc"]
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

FROM runtime AS isthmusctl
LABEL org.opencontainers.image.title="isthmusctl" \
      org.opencontainers.image.description="Operator's command line of Isthmus"
COPY --from=build /out/isthmusctl.packages /tmp/packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /tmp/packages
COPY --from=build /out/isthmusctl /usr/bin/
USER 65532:65532
ENTRYPOINT ["/usr/bin/isthmusctl"]
ARG VERSION=0.1.0 REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
