# The gateway alone, for production. It writes nothing but temporary files: run it with a read-only root and a /tmp.
#
#   docker build --build-arg VERSION=0.2.0 --tag billing-gateway .
#   docker run --read-only --tmpfs /tmp --env-file .env --publish 127.0.0.1:8000:8000 billing-gateway

FROM node:22-bookworm-slim AS graphiql
# Whichever Python Debian has will do: it only unpacks files whose hashes are in the script.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY gateway/graphql/ide/assets.py ./
RUN python3 assets.py

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /app && /app/bin/pip install --require-hashes --requirement requirements.lock
COPY . .
COPY --from=graphiql /src/static gateway/graphql/ide/static
# Here is no git to read the version from. What has built it stays behind: the image needs no installer.
ARG VERSION=0.0.0
RUN SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION /app/bin/pip install --no-deps --no-build-isolation . \
  && /app/bin/pip uninstall --yes editables hatch-vcs hatchling setuptools setuptools-scm vcs-versioning pip

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin gateway
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
