# spiked: build, test, bench, install. `make help` lists the targets; V=1 shows the commands.
PREFIX ?= /usr/local
BUILD  ?= build
CC     ?= gcc
PYTHON ?= /usr/bin/python3
SAN    ?=
VERSION := $(shell cat VERSION)

Q := $(if $(V),,@)
pkg = $(shell pkg-config $(1) $(2) 2>/dev/null)

CFLAGS  ?= -O2 -g
CFLAGS  += -std=c11 -D_GNU_SOURCE -fPIC -ffp-contract=off -fno-math-errno -Wall -Wextra -Wshadow -Wvla -Werror=vla -Wstrict-prototypes -Wno-format-zero-length \
	   -Wmissing-prototypes -I. -DSPIKED_VERSION='"$(VERSION)"' $(SAN)
LDFLAGS += $(SAN)
arch    := $(shell uname -m)

# A kernel file *_simd.c is one body compiled once for each instruction set; ISA names the variant (kernels/isa.h).
ISAS := c $(if $(filter x86_64,$(arch)),avx2 avx512)
march_avx2   := -march=x86-64-v3
march_avx512 := -march=x86-64-v4 -mprefer-vector-width=512

src = $(filter-out %_simd.c,$(wildcard $(1)/*.c))
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
simd_objs    := $(foreach f,$(wildcard kernels/*_simd.c),$(foreach i,$(ISAS),$(BUILD)/$(f:_simd.c=).$(i).o))
kernel_objs  := $(call obj,$(call src,kernels) $(call src,kernels/compiler)) $(simd_objs)
protocol_objs := $(call obj,$(call src,protocol))
daemon_objs  := $(call obj,$(call src,daemon) $(call src,daemon/recording) $(call src,daemon/recording/raw) $(call src,daemon/operations))
helper_objs  := $(call obj,$(call src,daemon/helper))
client_objs  := $(call obj,$(call src,clients/c))
cli_objs     := $(call obj,$(call src,clients/cli))
unit_objs    := $(call obj,$(call src,tests/unit))
check_objs   := $(call obj,$(call src,tests/check))

daemon_main  := $(BUILD)/daemon/main.o
llvm_config  ?= llvm-config-19
llvm_libs     = $(shell $(llvm_config) --ldflags 2>/dev/null) -lLLVM-19 -lmvec
daemon_libs   = $(call pkg,--libs,libuv jansson libdeflate liblz4 libzstd blosc) -linih $(llvm_libs) -fopenmp -lm -lpthread
helper_libs   = $(call pkg,--libs,hdf5 jansson) $(call pkg,--libs,libseccomp) -lm

all: $(BUILD)/spiked $(BUILD)/spiked-h5 $(BUILD)/spikectl $(BUILD)/libspiked.so $(BUILD)/libspiked.a ## build everything
.PHONY: all
.DEFAULT_GOAL := all

$(BUILD)/spiked: $(daemon_objs) $(kernel_objs) $(protocol_objs)
	$(call link,$(daemon_libs))
$(BUILD)/spiked-h5: $(helper_objs) $(protocol_objs)
	$(call link,$(helper_libs))
$(BUILD)/spikectl: $(cli_objs) $(BUILD)/libspiked.a
	$(call link,-lnanomsg $(call pkg,--libs,jansson) -lm -lpthread)
$(BUILD)/libspiked.a: $(client_objs) $(protocol_objs)
	@echo "  AR    $@"
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/libspiked.so: $(client_objs) $(protocol_objs)
	$(call link,-shared -Wl$(comma)-soname$(comma)libspiked.so.1 -lnanomsg $(call pkg,--libs,jansson) -lpthread)
$(BUILD)/check: $(check_objs) $(kernel_objs) $(protocol_objs)
	$(call link,$(call pkg,--libs,jansson) $(llvm_libs) -fopenmp -lm)
$(BUILD)/unit: $(unit_objs) $(filter-out $(daemon_main),$(daemon_objs)) $(kernel_objs) $(client_objs) $(protocol_objs)
	$(call link,-lcunit -lnanomsg $(daemon_libs))

$(BUILD)/harness.so: $(BUILD)/tests/compiler/harness.o $(kernel_objs) $(protocol_objs)
	$(call link,-shared $(call pkg,--libs,jansson) $(llvm_libs) -fopenmp -lm -lpthread)

comma := ,
define link
	@echo "  LINK  $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(1)
endef
define compile
	@mkdir -p $(@D)
	@echo "  CC    $<$(if $(1), ($(1)))"
	$(Q)$(CC) $(CFLAGS) $(2) -MMD -MP -c -o $@ $<
endef

$(BUILD)/kernels/%.c.o: kernels/%_simd.c
	$(call compile,c,-O3 -DISA=c)
$(BUILD)/kernels/%.avx2.o: kernels/%_simd.c
	$(call compile,avx2,-O3 $(march_avx2) -DISA=avx2)
$(BUILD)/kernels/%.avx512.o: kernels/%_simd.c
	$(call compile,avx512,-O3 $(march_avx512) -DISA=avx512)
$(BUILD)/daemon/helper/%.o: daemon/helper/%.c
	$(call compile,,$(call pkg,--cflags,hdf5))
$(BUILD)/kernels/compiler/%.o: kernels/compiler/%.c
	$(call compile,,-isystem $(shell $(llvm_config) --includedir 2>/dev/null))
$(BUILD)/%.o: %.c
	$(call compile,,$(if $(filter daemon/% tests/compiler/%,$<),-fopenmp))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

deps-%:
	@tests/install-deps $*
demo: deps-demo ## generate a recording with known spikes, detect, score, draw a picture
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(PYTHON) clients/python/examples/demo.py --build $(BUILD)
test: deps-test ## all short tests: kernels, units, sanitizers, end to end, clients
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/check $(BUILD)/unit
	$(Q)$(MAKE) --no-print-directory check-kernels check-unit check-layers check-compiler
	$(Q)$(MAKE) --no-print-directory asan
	$(Q)$(MAKE) --no-print-directory check-clients
check-kernels: $(BUILD)/check ## kernel tests; CHECK='--seed 7 name*' chooses
	$(BUILD)/check $(CHECK)
check-unit: all $(BUILD)/unit ## unit tests
	$(BUILD)/unit
check-layers: ## who includes whom
	$(Q)$(PYTHON) tests/layers.py
check-compiler: $(BUILD)/harness.so ## the compiler without a daemon: machine code = interpreter = NumPy; CASES=400 SEED=1
	SPIKED_BUILD=$(abspath $(BUILD)) SPIKED_CASES=$(or $(CASES),400) SPIKED_SEED=$(or $(SEED),1) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -q -p no:cacheprovider tests/compiler $(PYTEST)
test-long: deps-test ## many more random programs (100,000 of each kind; an hour), then make test
	$(Q)$(MAKE) --no-print-directory check-compiler CASES=$(or $(CASES),100000)
	$(Q)$(MAKE) --no-print-directory check-flips
	$(Q)$(MAKE) --no-print-directory test
check-clients: all ## end-to-end tests with the Python, C, shell and Octave clients
	SPIKED_BUILD=$(abspath $(BUILD)) SPIKED_BINARY=$(abspath $(BUILD))/spiked PYTHONPATH=clients/python PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON) -m pytest -q -p no:cacheprovider tests/e2e $(PYTEST)
san_flags := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
asan: ## kernel and unit tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SAN="$(san_flags)" all $(BUILD)/asan/check $(BUILD)/asan/unit
	$(BUILD)/asan/check
	$(BUILD)/asan/unit
check-flips: ## damaged recordings of every layout against a daemon with sanitizers; FLIPS=200 of each, SEED=1
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SAN="$(san_flags)" all
	SPIKED_BINARY=$(abspath $(BUILD))/asan/spiked $(PYTHON) tests/recording/flips.py --flips $(or $(FLIPS),200) --seed $(or $(SEED),1)
bench: deps-bench ## side by side with SciPy, NumPy, h5py, NumExpr and Numba, as ratios
	$(Q)$(MAKE) --no-print-directory all $(BUILD)/check $(BUILD)/bench_roundtrip
	$(Q)SPIKED_BUILD=$(abspath $(BUILD)) PYTHONPATH=clients/python $(PYTHON) tests/bench/bench.py $(BENCH)
	$(Q)$(MAKE) --no-print-directory bench-compiler
	$(Q)$(MAKE) --no-print-directory bench-detect
bench-compiler: deps-bench all ## the part against NumExpr and Numba
	$(Q)SPIKED_BUILD=$(abspath $(BUILD)) PYTHONPATH=clients/python $(PYTHON) tests/bench/bench_compiler.py $(BENCH)
bench-detect: deps-test all ## detection in files against SpikeInterface (needs PyPI)
	$(Q)SPIKED_BUILD=$(abspath $(BUILD)) tests/interop/run $(BUILD) tests/bench/bench_detect.py $(BENCH)
groundtruth: deps-demo all ## scores of every detector on generated recordings, as a table
	$(Q)SPIKED_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/groundtruth/table.py $(GROUNDTRUTH)
interop: deps-test all ## read results with pynwb and SpikeInterface, in a virtual environment (needs PyPI)
	$(Q)SPIKED_BUILD=$(abspath $(BUILD)) tests/interop/run $(BUILD)
$(BUILD)/bench_roundtrip: $(BUILD)/tests/bench/roundtrip.o $(BUILD)/libspiked.a
	$(call link,-lnanomsg $(call pkg,--libs,jansson) -lpthread)

install: all ## install below PREFIX (DESTDIR for packaging)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/etc \
		$(DESTDIR)$(PREFIX)/share/doc/spiked $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/spiked
	install -m 755 $(BUILD)/spiked $(BUILD)/spiked-h5 $(BUILD)/spikectl $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BUILD)/libspiked.so $(DESTDIR)$(PREFIX)/lib/libspiked.so.1
	ln -sf libspiked.so.1 $(DESTDIR)$(PREFIX)/lib/libspiked.so
	install -m 644 $(BUILD)/libspiked.a $(DESTDIR)$(PREFIX)/lib
	install -m 644 clients/c/spiked.h $(DESTDIR)$(PREFIX)/include
	install -m 644 config/spiked.conf $(DESTDIR)$(PREFIX)/etc
	install -m 644 config/spiked.service $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 README.md LICENSE CHANGELOG.md protocol/SPEC.md $(DESTDIR)$(PREFIX)/share/doc/spiked
	cp -r clients/python clients/matlab $(DESTDIR)$(PREFIX)/share/spiked
format: ## clang-format what has changed
	git diff --name-only HEAD -- '*.c' '*.h' | xargs -r clang-format -i
.PHONY: demo test test-long check-flips check-kernels check-unit check-layers check-compiler check-clients asan bench bench-compiler bench-detect groundtruth interop install format

help: ## list the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-14s %s\n",$$1,$$2}' $(MAKEFILE_LIST)
clean: ## remove everything that was built
	rm -rf $(BUILD)
.PHONY: help clean
