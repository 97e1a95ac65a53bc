# The controller: Python, git and CA certificates, as a user without rights.
# It writes to /tmp and to the Git cache only, so the root file system may be read-only.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY rollouts rollouts
COPY analysis analysis
RUN python -m venv --without-pip /opt/rollouts \
    && pip --python /opt/rollouts/bin/python install --no-cache-dir .

FROM python:3.13-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/rollouts /opt/rollouts
RUN mkdir -p /var/cache/rollouts && chown 65532:65532 /var/cache/rollouts
ENV PATH=/opt/rollouts/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["rollouts"]
CMD ["controller"]
