# The server in a container: docker compose up   (a GPU: see compose.gpu.yaml)
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 1000 avatar

WORKDIR /app

# requirements-voices.txt adds a better local voice, requirements-gpu.txt the network for CUDA, requirements-cluster.txt
# what web servers and nodes of a cluster need; several are separated by blanks
ARG REQUIREMENTS=requirements.txt
COPY requirements*.txt ./
RUN for file in ${REQUIREMENTS}; do echo "-r ${file}"; done > wanted.txt && pip install --no-cache-dir -r wanted.txt

COPY --chown=avatar app.py pyproject.toml ./
COPY --chown=avatar pipeline pipeline
COPY --chown=avatar precomputed precomputed
COPY --chown=avatar examples examples
RUN mkdir -p results models && chown avatar results models

USER 1000
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=5000 \
    MODELS_DIR=/app/models \
    PYTHONUNBUFFERED=1
EXPOSE 5000
VOLUME ["/app/results", "/app/models"]
# with API_KEYS set, 401 is the answer of a server that is well
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['GRADIO_SERVER_PORT']), timeout=4); c.request('GET', '/api/v2/status'); raise SystemExit(c.getresponse().status not in (200, 401))"]
CMD ["python", "app.py"]
