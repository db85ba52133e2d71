# One image per program:  docker build --target nat64-svc -t isthmus/nat64-svc .
# Targets: controller, nat64-svc, dns64-svc, isthmusctl. The base is the distribution that the packages are from.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY tools ./tools
RUN apt-get update \
 && sed -n '/^\[build\]/,/^\[/{/^[a-z0-9]/p}' tools/dev/packages.txt \
    | DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends
RUN tools/build-libunbound.sh
COPY . .
RUN cmake --preset release -DISTHMUS_BENCH=OFF \
 && cmake --build build/release --target isthmus-controller nat64-svc dns64-svc isthmusctl
# Beside each program, the packages of the shared libraries that it loads.
RUN mkdir /out && for program in build/release/bin/*; do \
      name=$(basename "$program"); strip -o "/out/$name" "$program"; \
      ldd "$program" | awk '$3 ~ /^\// { print $3 }' | while read -r library; do \
        dpkg -S "*/$(basename "$(readlink -f "$library")")"; done | cut -d: -f1 | sort -u > "/out/$name.packages"; \
    done

FROM ${BASE} AS runtime
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*

FROM runtime AS controller
COPY --from=build /out/isthmus-controller /usr/bin/
COPY --from=build /out/isthmus-controller.packages /tmp/packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
USER 65532
ENTRYPOINT ["/usr/bin/isthmus-controller"]

# Needs NET_ADMIN, NET_RAW, BPF, PERFMON and IPC_LOCK, and the host's network.
FROM runtime AS nat64-svc
COPY --from=build /out/nat64-svc /usr/bin/
COPY --from=build /out/nat64-svc.packages /tmp/packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
ENTRYPOINT ["/usr/bin/nat64-svc"]

# Needs NET_BIND_SERVICE for port 53.
FROM runtime AS dns64-svc
COPY --from=build /out/dns64-svc /usr/bin/
COPY --from=build /out/dns64-svc.packages /tmp/packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
ENTRYPOINT ["/usr/bin/dns64-svc"]

FROM runtime AS isthmusctl
COPY --from=build /out/isthmusctl /usr/bin/
COPY --from=build /out/isthmusctl.packages /tmp/packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
USER 65532
ENTRYPOINT ["/usr/bin/isthmusctl"]
