# The service and the command line in one image: `serve` by default, `index` with the same image.
#
#   docker build -f docker/service.Dockerfile -t niteru .
#
# PyPI's torch for Linux brings a GPU's libraries along, some gigabytes. For the small one, pass the
# index of CPU wheels that PyTorch's installation page names:
#   --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim AS build

ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
# Of pyproject.toml, with commas between them; compose.milvus.yaml has milvus as well.
ARG EXTRAS=parquet
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /build
RUN python -m venv /venv
# Torch by itself and first: its layer is the large one and changes least.
COPY constraints.txt ./
RUN /venv/bin/pip install --constraint constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY models ./models
COPY indexer ./indexer
COPY service ./service
RUN /venv/bin/pip install --constraint constraints.txt ".[${EXTRAS}]"


FROM python:3.11-slim

# A fixed number, so that the owner of a mounted folder can be named: chown 10001.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin niteru \
    && install --directory --owner niteru /store
COPY --from=build /venv /venv
WORKDIR /app
# Readable by that user whatever the umask of the checkout was.
COPY --chmod=755 weights ./weights

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001
VOLUME /store
EXPOSE 8000

# Ready, not only alive: the weights and the index have to answer.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]

ENTRYPOINT ["niteru"]
# Within the container; what can be reached from outside, `--publish` decides.
CMD ["serve", "--store", "/store", "--host", "0.0.0.0", "--port", "8000"]
