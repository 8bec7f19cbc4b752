# The gateway as an image: one static binary and the certificates of the public CAs, for a user that is not root and a
# root file system that is read-only. `make image` builds it. It wants no BuildKit, and all that it begins with is an
# argument, so that it can be built where nothing can be pulled.

ARG GO_IMAGE=golang:1.26

# What the binary is put on: nothing. The time zones are in the binary.
ARG BASE_IMAGE=scratch

# Where the nomad binary for the command raw comes from, such as hashicorp/nomad:2.0. That binary is linked against
# glibc, so it needs another BASE_IMAGE too, such as gcr.io/distroless/base-debian12. Without: no raw.
ARG NOMAD_IMAGE=none

# An image without a nomad binary. A stage has to hold something.
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
RUN CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 GOFLAGS= GOEXPERIMENT= go build -trimpath -buildvcs=false -ldflags "-s -w -X main.stamp=${VERSION}" -o /image/usr/local/bin/nomadctld . \
	&& mkdir -p /empty /image/etc/ssl/certs /image/etc/nomadctld /image/tmp \
	&& chmod 1777 /image/tmp \
	&& cp -L /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/
# The whole image, because a COPY of one file that is not there fails.
COPY --from=nomad / /nomad/
RUN for nomad in /nomad/usr/local/bin/nomad /nomad/usr/bin/nomad /nomad/bin/nomad; do \
		if test -f "$nomad"; then cp "$nomad" /image/usr/local/bin/; break; fi; \
	done

FROM ${BASE_IMAGE}
ARG VERSION=unknown
LABEL org.opencontainers.image.title="nomadctld" \
	org.opencontainers.image.description="An SSH gateway between teams and their Nomad clusters" \
	org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.licenses="MIT"
COPY --from=build /image/ /
# For a volume: what restart --full keeps, and the audit log if it is a file.
COPY --from=build --chown=65532:65532 /empty /var/lib/nomadctld
# nomadctld says what to mount.
ENV NOMADCTLD_CONTAINER=1
USER 65532:65532
EXPOSE 2222
STOPSIGNAL SIGTERM
# It finds the configuration in /etc/nomadctld only; with -config elsewhere, give docker run a --health-cmd of your own.
HEALTHCHECK --interval=30s --timeout=10s --start-period=15s CMD ["/usr/local/bin/nomadctld", "health"]
ENTRYPOINT ["/usr/local/bin/nomadctld"]
