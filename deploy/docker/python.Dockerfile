# An application of Python. From the repository's root:
#     docker build -f deploy/docker/python.Dockerfile -t salver-python .
# and in the application's own Dockerfile:
#     FROM salver-python
#     COPY . /app
#     RUN pip install --no-cache-dir -r requirements.txt
#     CMD ["shop.wsgi:application", "--workers", "auto"]
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv python3-dev cmake && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /build && /build/bin/pip install --no-cache-dir "maturin==1.*"
WORKDIR /src
COPY . .
RUN /build/bin/maturin build --release --locked --manifest-path crates/salver-py/Cargo.toml --out /wheels

FROM python:3.13-slim-bookworm
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -rf /wheels && useradd --system --uid 65532 salver
ENV PYTHONUNBUFFERED=1 SALVER_BIND=0.0.0.0:8000 SALVER_METRICS=0.0.0.0:9090 SALVER_ACCESS_LOG=- SALVER_CONTROL_SOCKET=off
USER 65532:65532
WORKDIR /app
EXPOSE 8000 9090
ENTRYPOINT ["salver"]
CMD ["app:app"]
