# One small image: the static program and nothing else. Any builder can build it, the one without BuildKit included, so: no
# "# syntax=" line (it would be pulled), no RUN --mount, no here-documents, no COPY --link.
FROM golang:1.26.8 AS build
WORKDIR /src
# The modules first: they change rarely, and the layer is kept as long as they don't.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/kvorum ./cmd/kvorum && mkdir /out/data /out/haproxy

FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kvorum" \
      org.opencontainers.image.description="A sharded, replicated, linearizable key-value store with an HTTP API" \
      org.opencontainers.image.source="https://github.com/kvorum/kvorum" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/kvorum /kvorum
# A fresh named volume takes its owner from the folder it is mounted on; without these it would be root's. 99 is the user
# of HAProxy's images, with whom the router shares a folder.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=99:99 /out/haproxy /var/lib/haproxy
USER 65532:65532
EXPOSE 8080 7080
ENTRYPOINT ["/kvorum"]
CMD ["--help"]
