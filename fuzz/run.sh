#!/bin/sh
# ./run.sh SECONDS [TARGET…]: builds the fuzz targets and runs each for SECONDS, guided by coverage.
#
# Needs cargo, a stable rustc and a C++ compiler (libfuzzer-sys brings libFuzzer's source). What is found is kept in
# corpus/TARGET; an input that fails is left in artifacts/TARGET, and the script ends with 1.
set -eu

seconds=${1:?usage: run.sh SECONDS [TARGET…]}
shift
cd "$(dirname "$0")"
host=$(rustc -vV | sed -n 's/^host: //p')

# What cargo-fuzz passes without a sanitizer. `--target` keeps the flags from build scripts, which cannot link with them.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --release --quiet --target "$host" --target-dir target

[ $# -gt 0 ] || set -- $(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml | grep -v '^salver-fuzz$')
failed=
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    echo "== $target"
    "target/$host/release/$target" -max_total_time="$seconds" -rss_limit_mb=512 -malloc_limit_mb=64 -timeout=5 \
        -max_len=4096 -print_final_stats=1 -verbosity=0 -artifact_prefix="artifacts/$target/" "corpus/$target" ||
        failed="$failed $target"
    echo "corpus: $(ls "corpus/$target" | wc -l) inputs"
done
[ -z "$failed" ] || { echo "fuzzing found faults in:$failed (inputs in fuzz/artifacts)" >&2; exit 1; }
