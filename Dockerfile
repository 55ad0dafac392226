# One image with every Parley program (docs/decisions/0026: why one). The process is the command: `parley-edge`, `parley-router` …
# It has the programs and the libraries they are linked with, all of Debian 13, and nothing else: no shell, no package manager.
#
#   docker build -t parley .
#   docker run --rm parley parleyctl --help
#   docker build --target build -t parley:build .    the stage that compiles; `make test-debian13` runs the unit tests in it
FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc libc6-dev make pkg-config protobuf-compiler protobuf-c-compiler libprotobuf-c-dev librdkafka-dev libpq-dev \
        libhiredis-dev libjansson-dev libcmocka-dev libsodium-dev libmicrohttpd-dev libssl-dev libedit-dev libxxhash-dev \
        libcurl4-openssl-dev uthash-dev python3-minimal ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The same source and the same packages give the same bytes: no build path, no time, no order of a directory.
ARG SOURCE_DATE_EPOCH=0
# What parley_build_info says; there is no .git here to ask.
ARG REVISION=unknown
RUN flags="-ffile-prefix-map=/src=. -ffile-prefix-map=/build=build" \
    && make -j"$(nproc)" B=/build CFLAGS="$flags" programs \
    && make B=/build CFLAGS="$flags" install-programs DESTDIR=/out prefix=/usr \
    && strip /out/usr/bin/* && rm -rf /out/usr/include /out/usr/lib \
    && compose/image/root /out /out/usr/bin/* \
    && find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Parley" \
      org.opencontainers.image.description="Instant messaging backend on Kafka" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="debian:trixie-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/ /
USER 10001:10001
WORKDIR /deploy
ENV PATH=/usr/bin LANG=C.UTF-8 PARLEY_CONFIG=/deploy/parley.json
STOPSIGNAL SIGTERM
CMD ["parleyctl", "--help"]
