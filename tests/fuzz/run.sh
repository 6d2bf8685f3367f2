#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh SECONDS [TARGET...]: builds the fuzz targets with clang (libFuzzer, ASan, UBSan) and runs each for that long. Needs clang.
# $FUZZ_DIR (default build/fuzz) keeps programs, corpus and what was found; $SEED (default 1) is libFuzzer's.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:?usage: run.sh SECONDS [TARGET...]}
shift
[ $# -gt 0 ] || set -- sp message config params helper_reply codecs raw sparse parse program
dir=${FUZZ_DIR:-build/fuzz}
sources_sp="protocol/sp.c"
sources_message="protocol/message.c protocol/dtype.c protocol/error.c protocol/status.c"
sources_config="daemon/config.c"
sources_params="daemon/params.c daemon/preprocess.c protocol/error.c protocol/status.c"
sources_helper_reply="daemon/recording/helper_reply.c $sources_message"
sources_codecs="daemon/recording/codecs.c $(echo daemon/recording/codec_*.c) daemon/recording/filters.c"
libs_codecs="$(pkg-config --libs libdeflate liblz4 libzstd blosc)"
sources_raw="daemon/recording/raw/side.c daemon/recording/raw/probe.c daemon/recording/raw/spikeglx.c daemon/recording/raw/open_ephys.c protocol/error.c protocol/status.c"
sources_sparse="daemon/recording/sparse.c $sources_message"
sources_parse="kernels/compiler/arena.c kernels/compiler/source.c kernels/compiler/lex.c kernels/compiler/lex_literal.c kernels/compiler/parse.c
	kernels/compiler/parse_expression.c kernels/compiler/parse_statement.c protocol/error.c protocol/status.c"
# Every file of the compiler; functions.c names 512-bit vectors, which gcc compiles for any machine. clang 14 has no _Float16 and no CMPLX.
sources_program="$(echo kernels/compiler/*.c | sed 's|kernels/compiler/functions.c||') kernels/executor.c kernels/isa.c protocol/dtype.c protocol/error.c
	protocol/status.c $dir/functions.o"
flags_program="-I$(llvm-config-19 --includedir) -mavx2 -mf16c -Wno-psabi -D_Float16=__fp16 -include tests/fuzz/complex.h"
libs_program="$(llvm-config-19 --ldflags) -lLLVM-19 -lmvec -lpthread"
flags="-std=c11 -D_GNU_SOURCE -DSPIKED_VERSION=\"$(cat VERSION)\" -O1 -g -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"
mkdir -p "$dir"
gcc -std=c11 -D_GNU_SOURCE -O1 -I. -c -o "$dir/functions.o" kernels/compiler/functions.c
/usr/bin/env python3 tests/fuzz/seeds.py "$dir/seeds"
for target in "$@"; do
	eval "sources=\$sources_$target more=\"\${flags_$target:-}\" libs=\"\${libs_$target:-}\""
	mkdir -p "$dir/corpus/$target" "$dir/found/$target"
	# shellcheck disable=SC2086
	clang $flags $more -o "$dir/fuzz_$target" "tests/fuzz/fuzz_$target.c" $sources $(pkg-config --libs jansson) $libs -linih -lm
	echo "== $target"
	"$dir/fuzz_$target" -max_total_time="$seconds" -seed="${SEED:-1}" -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=8192 -print_final_stats=1 \
		-artifact_prefix="$dir/found/$target/" "$dir/corpus/$target" "$dir/seeds/$target" >"$dir/$target.log" 2>&1 || {
		tail -60 "$dir/$target.log"
		echo "$target: found something, see $dir/found/$target and $dir/$target.log" >&2
		exit 1
	}
	grep -E 'stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)|^#[0-9]+.*DONE' "$dir/$target.log"
done
