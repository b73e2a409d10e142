#!/bin/sh
# Every feature of the library builds alone, without a warning, and so does none.
set -eu
cd "$(dirname "$0")/.."
for features in "" listing compress tls http2 tower websocket cli listing,compress tls,http2; do
    echo "features: ${features:-none}"
    RUSTFLAGS="${RUSTFLAGS:-} -D warnings" \
        "${CARGO:-cargo}" check --quiet --locked -p salver --no-default-features --features "$features"
done
