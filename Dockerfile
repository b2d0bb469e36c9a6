# syntax=docker/dockerfile:1
# A small image: `docker build -t weir .`; how to run it stands in docs/src/deploying.md.
# The last stage has glibc, CA certificates and Weir; no shell, no package manager. It runs as 65532, writes to
# /var/lib/weir and /tmp only, and has no HEALTHCHECK, since nothing in it could ask: probe /livez and /readyz.
ARG RUST=1.95
ARG PROFILE=dist

FROM docker.io/library/rust:${RUST}-bookworm AS build
ARG PROFILE
# cmake builds zlib-ng, python3 lays the files out. Their versions are those of this Debian; neither reaches the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake python3 \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add wasm32-unknown-unknown
WORKDIR /src
COPY . .
ENV CARGO_TARGET_DIR=/target
RUN --mount=type=cache,target=/target --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --profile "${PROFILE}" --locked --workspace --bin weir \
    && make --no-print-directory plugins WEIR="/target/${PROFILE}/weir" \
    && docs/packaging/dist.py --weir "/target/${PROFILE}/weir" --tree /image

FROM gcr.io/distroless/cc-debian12:nonroot AS image
LABEL org.opencontainers.image.title="Weir" \
      org.opencontainers.image.description="A programmable gateway for LLM APIs" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/usr /usr
COPY --from=build /image/etc/weir /etc/weir
# The ledger, the pepper, the admin token, compiled plugins: a new volume begins as a copy of this folder, with its owner
# and mode. (Copied by its parent, since COPY gives a folder that it makes itself the mode 755.)
COPY --from=build --chown=65532:65532 /image/var/lib /var/lib
ENV WEIR_CONFIG=/etc/weir/weir.yaml
WORKDIR /var/lib/weir
VOLUME ["/var/lib/weir"]
EXPOSE 8080 8081
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/weir"]
CMD ["serve"]
