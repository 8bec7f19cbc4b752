# The gateway's image: a static binary and the certificates of the public CAs. It runs as a user other than root, and
# can run on a read-only root file system. `make image` builds it. BuildKit is not needed. All base images are
# arguments, so that the image can be built without access to a registry.

ARG GO_IMAGE=golang:1.26

# The base of the final image: empty. The time zones are in the binary.
ARG BASE_IMAGE=scratch

# An image with the nomad binary for the command raw, such as hashicorp/nomad:2.0. That binary is linked against glibc,
# so it also needs another BASE_IMAGE, such as gcr.io/distroless/base-debian12. Default: no nomad binary, so no raw.
ARG NOMAD_IMAGE=none

# An image without a nomad binary. A stage must not be empty.
FROM scratch AS none
WORKDIR /none

FROM ${NOMAD_IMAGE} AS nomad

FROM ${GO_IMAGE} AS build
ARG GOPROXY=https://proxy.golang.org,direct
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
# The flags are those of `make dist`.
RUN CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 GOFLAGS= GOEXPERIMENT= \
		go build -trimpath -buildvcs=false -ldflags "-s -w -X nomadctld/internal/cli.stamp=${VERSION}" \
		-o /image/usr/local/bin/nomadctld . \
	&& mkdir -p /empty /image/etc/ssl/certs /image/etc/nomadctld /image/tmp \
	&& chmod 1777 /image/tmp \
	&& cp -L /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/
# COPY fails if a file does not exist, so this copies the whole image.
COPY --from=nomad / /nomad/
RUN for nomad in /nomad/usr/local/bin/nomad /nomad/usr/bin/nomad /nomad/bin/nomad; do \
		if test -f "$nomad"; then cp "$nomad" /image/usr/local/bin/; break; fi; \
	done

FROM ${BASE_IMAGE}
ARG VERSION=unknown
LABEL org.opencontainers.image.title="nomadctld" \
	org.opencontainers.image.description="SSH gateway to Nomad" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.licenses="MIT"
COPY --from=build /image/ /
# Mount a volume here for the jobs that restart --full saves, and for the audit log if it is a file.
COPY --from=build --chown=65532:65532 /empty /var/lib/nomadctld
# With this, nomadctld prints what to mount if it finds no configuration.
ENV NOMADCTLD_CONTAINER=1
USER 65532:65532
EXPOSE 2222
STOPSIGNAL SIGTERM
# It reads the configuration in /etc/nomadctld. If you use -config, pass your own --health-cmd to docker run.
HEALTHCHECK --interval=30s --timeout=10s --start-period=15s CMD ["/usr/local/bin/nomadctld", "health"]
ENTRYPOINT ["/usr/local/bin/nomadctld"]
