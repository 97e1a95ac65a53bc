# The controller: Python, git, gpg, ssh, kustomize, helm, sops and CA certificates, as a user without rights.
# It writes to /tmp and to the Git cache only, so the root file system may be read-only.

# kustomize, helm and sops as the sandbox pins them.
FROM golang:1.26 AS tools
WORKDIR /src
COPY rollouts/sandbox/tools tools
RUN for tool in kustomize=sigs.k8s.io/kustomize/kustomize/v5 helm=helm.sh/helm/v4/cmd/helm sops=github.com/getsops/sops/v3/cmd/sops; do \
      CGO_ENABLED=0 go build -C "tools/${tool%%=*}" -mod=readonly -trimpath -ldflags '-s -w' \
        -o "/opt/tools/${tool%%=*}" "${tool#*=}" || exit 1; \
    done

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY rollouts rollouts
COPY analysis analysis
RUN python -m venv --without-pip /opt/rollouts \
    && pip --python /opt/rollouts/bin/python install --no-cache-dir . \
    && find /opt/rollouts -type d -name tests -prune -exec rm -rf {} +

FROM python:3.13-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git gnupg openssh-client \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/rollouts /opt/rollouts
COPY --from=tools /opt/tools /usr/local/bin
RUN mkdir -p /var/cache/rollouts && chown 65532:65532 /var/cache/rollouts
ENV PATH=/opt/rollouts/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["rollouts"]
CMD ["controller"]
