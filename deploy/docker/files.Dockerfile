# Files: a static program on an empty image. From the repository's root:
#     docker build -f deploy/docker/files.Dockerfile -t salver .
#     docker run -p 8000:8000 -v "$PWD/public:/srv:ro" salver
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base cmake perl
WORKDIR /src
COPY . .
# musl links statically; the extension for Python is no part of this image.
RUN cargo build --release --locked -p salver-cli && strip target/release/salver

FROM scratch
COPY --from=build /src/target/release/salver /salver
# No shell, no package, nobody's files: a user by number.
USER 65532:65532
WORKDIR /srv
EXPOSE 8000 9090
# As process 1 salver has a supervisor, which reaps and passes TERM on.
ENTRYPOINT ["/salver"]
CMD ["--bind", "0.0.0.0:8000", "--metrics", "0.0.0.0:9090", "--access-log", "-", "--control-socket", "off", "/srv"]
