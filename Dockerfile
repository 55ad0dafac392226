# One image with every Parley program (docs/decisions/0026: why one). The process is the command: `parley-edge`, `parley-router` …
#
#   docker build -t parley .
#   docker run --rm parley parleyctl --help
FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc libc6-dev make pkg-config protobuf-compiler protobuf-c-compiler libprotobuf-c-dev librdkafka-dev libpq-dev \
        libhiredis-dev libjansson-dev libcmocka-dev libsodium-dev libmicrohttpd-dev libssl-dev libedit-dev libxxhash-dev \
        libcurl4-openssl-dev uthash-dev python3-minimal \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The same source gives the same bytes: no build path, no time.
RUN make -j"$(nproc)" B=/build CFLAGS="-ffile-prefix-map=/src=. -ffile-prefix-map=/build=build" programs \
    && make B=/build CFLAGS="-ffile-prefix-map=/src=. -ffile-prefix-map=/build=build" install DESTDIR=/out prefix=/usr \
    && strip /out/usr/bin/* && rm -rf /out/usr/include /out/usr/lib/*.a \
    && install -d -m 700 -o 10001 -g 10001 /out/deploy

FROM debian:trixie-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Parley" \
      org.opencontainers.image.description="Instant messaging backend on Kafka" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
RUN apt-get update && apt-get install -y --no-install-recommends \
        librdkafka1 libprotobuf-c1 libpq5 libhiredis1.1.0 libjansson4 libsodium23 libmicrohttpd12t64 libssl3t64 libedit2 \
        libxxhash0 libcurl4t64 \
    && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache \
    && groupadd -g 10001 parley && useradd -u 10001 -g 10001 -d /nonexistent -s /usr/sbin/nologin parley
COPY --from=build /out/ /
USER 10001:10001
WORKDIR /deploy
ENV PARLEY_CONFIG=/deploy/parley.json
STOPSIGNAL SIGTERM
CMD ["parleyctl", "--help"]
