# An image that serves heads of a lake, read-only and not as root. docs/start/install.md says how to run it.
#   docker build -t matlake .
#   docker run --rm -p 127.0.0.1:8080:8080 -v "$PWD/lake:/lake:ro" matlake gap
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY requirements-serve.lock ./
RUN python -m venv /opt/matlake
RUN /opt/matlake/bin/python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-serve.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY matlake ./matlake
RUN /opt/matlake/bin/python -m pip install --no-cache-dir --no-deps .
RUN /opt/matlake/bin/python -m pip check

FROM python:${PYTHON}-slim
COPY --from=build /opt/matlake /opt/matlake
ENV PATH=/opt/matlake/bin:$PATH \
    HOME=/tmp \
    MATLAKE_LAKE=/lake \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["matlake", "serve", "--host", "0.0.0.0", "--port", "8080"]
CMD ["--help"]
