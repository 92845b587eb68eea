# SPDX-License-Identifier: Apache-2.0
#
# Tests; included by the Makefile. tests/README.md describes the suites.
#
#   make check      unit tests and fixtures, without sanitizers; TEST=vhd: the unit tests with that in their path, and the
#                   fixtures of that format
#   make test       everything that needs no desktop, with AddressSanitizer and UndefinedBehaviorSanitizer
#   make coverage   lines of formats/ and detect/ that unit tests and fixtures reach
#   make fuzz       TIME=... WHAT="vpc qcow2": libFuzzer, so many seconds each (tools/setup fuzz installs clang)
#   make oracle     N=... SEED=...: random images compared with qemu-img
#   make faults     EVERY=... SEED=...: makes one call fail per run, for each call
#   make valgrind   EVERY=...: instar-cat over all fixtures, and a mount, under valgrind
#   make torture    CASES=... SAMPLE=... SEED=...: fixtures truncated and with bits flipped, at random places, for an hour; with
#                   CASES=0 at every byte and bit
#   make soak       many readers of a mount during failures, for minutes

UNIT_TESTS = $(patsubst %.c,$(BUILD)/%,$(shell find tests/unit -name '*.c'))
FUZZERS    = $(patsubst %,$(BUILD)/tests/fuzz/%,frames image targets)
ORACLES    = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/oracle/*.c))
# The part of the daemon that parses the frames of jobs, for fuzzers.
RECEIVER   = $(call objects,$(wildcard fs/jobs/*.c fs/sandbox/*.c))

$(BUILD)/tests/%.o: ALL_CPPFLAGS += $(FUSE_CFLAGS)

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/tests/support/support.o $(DAEMON) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(SANDBOX_LIBS) -lcmocka $(CORE_LIBS)

$(BUILD)/tests/unit/fuzz/image-input: $(BUILD)/tests/fuzz/image-input.o

# The test has a hostile front of its own.
$(BUILD)/tests/unit/fs/monitor: override LDFLAGS += -Wl,--wrap=front_run,--wrap=fuse_session_fd

# A fuzzer replays inputs; with FUZZ=1 it is libFuzzer.
ifeq ($(FUZZ),1)
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(RECEIVER) $(CORE)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(SANDBOX_LIBS) $(CORE_LIBS)

# Comparisons are traced in the size models only: tracing takes half of the time, and the mutator of images has its own values.
IMAGE_FUZZER = $(call objects,$(wildcard tests/fuzz/image*.c))
$(filter-out $(BUILD)/formats/targets/%,$(CORE)) $(IMAGE_FUZZER): SANITIZERS += -fno-sanitize-coverage=trace-cmp

$(BUILD)/tests/fuzz/image: $(IMAGE_FUZZER)
$(BUILD)/tests/fuzz/image: override LDFLAGS += -Wl,--wrap=calloc,--wrap=free

# Sums of sizes must not wrap around, although C defines the result.
$(BUILD)/formats/targets/%.o: SANITIZERS += -fsanitize=unsigned-integer-overflow
else
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(RECEIVER) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SANDBOX_LIBS) $(CORE_LIBS)
endif

# Without libFuzzer: no mutator, and the usual memory.
$(BUILD)/tests/fuzz/image: $(call objects,$(filter-out tests/fuzz/image.c tests/fuzz/image-mut% tests/fuzz/image-memory.c,$(wildcard tests/fuzz/image*.c)))

# Programs whose output is compared with that of qemu-img and libvhdi.
$(ORACLES): $(BUILD)/tests/oracle/%: $(BUILD)/tests/oracle/%.o $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

# For tests/torture/run.py.
$(BUILD)/tests/torture/torture: $(call objects,$(wildcard tests/torture/*.c)) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/tests/faults/faults.so: tests/faults/faults.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O1 -g -fPIC -shared -o $@ $<

test: all $(BUILD)/make-image $(BUILD)/hello-ll $(ORACLES) $(BUILD)/tests/fuzz/image $(BUILD)/tests/faults/faults.so $(UNIT_TESTS)
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=build/sanitize test-programs
	@tests/run build/sanitize

test-programs: all $(BUILD)/make-image $(BUILD)/make-bench-images $(BUILD)/hello-ll $(ORACLES) $(BUILD)/tests/faults/faults.so \
	$(BUILD)/tests/torture/torture $(UNIT_TESTS) $(FUZZERS)

unit-tests: $(UNIT_TESTS)

# Builds with all processors unless -j is given; without TEST also the programs of the other suites, so that they keep compiling.
check:
	@$(MAKE) -s $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) check-programs
	@tests/check $(BUILD) $(TEST)

check-programs: $(if $(TEST),$(shell tests/unit-programs $(BUILD) $(TEST)) $(BUILD)/tests/unit/fixtures,all test-programs)

coverage:
	@$(MAKE) -s BUILD=build/coverage CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage FORTIFY= unit-tests
	@tests/coverage build/coverage

# build/fuzz/ keeps the corpus for the next run, inputs that break something, and the totals of all runs.
TIME ?= 60
WHAT ?=
fuzz:
	@$(MAKE) --no-print-directory CC=clang FUZZ=1 BUILD=build/fuzz fuzz-programs
	@tests/fuzz/run build/fuzz $(TIME) $(WHAT)

fuzz-programs: $(FUZZERS)

# SOURCES: random disks that qemu-img converts; SETS: option sets that it measures.
N ?= 300
SEED ?= 1
SOURCES ?= 40
SETS ?= 1000
oracle: all $(ORACLES)
	python3 tests/oracle/run.py -n $(N) --seed $(SEED) --build $(BUILD)
	python3 tests/oracle/targets.py -n $(SOURCES) --sets $(SETS) --seed $(SEED) --build $(BUILD)
	python3 tests/oracle/contents.py --seed $(SEED) --build $(BUILD)
	python3 tests/oracle/convert-sizes.py -n $(SOURCES) --seed $(SEED) --build $(BUILD)

# SEEDS='qcow2/*,vpc/*': names of fixtures; SIZE: their largest size in bytes. For each fixture and kind of damage (KIND: only one) at
# most CASES consecutive lengths or bits of metadata, from a random one on, of which SAMPLE are compared with qemu-img. CASES=0: all of
# them, for a day. SEED chooses the places; by default the time, which the run prints.
SEEDS ?= *
SIZE ?= 0
KIND ?=
CASES ?= 10000
SAMPLE ?= 8
JOBS ?= 2
torture: all $(BUILD)/tests/torture/torture $(BUILD)/tests/oracle/map-image
	python3 tests/torture/run.py --progress --build $(BUILD) --seeds '$(SEEDS)' --size $(SIZE) $(if $(KIND),--kind $(KIND)) --cases $(CASES) \
		--sample $(SAMPLE) --jobs $(JOBS) $(if $(filter file,$(origin SEED)),,--seed $(SEED))

soak:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=build/sanitize test-programs
	SOAK_SECONDS=60 python3 tests/mount/run.py --build build/sanitize --module mount.soak

# EVERY=10: every tenth allocation, every tenth fixture.
EVERY ?= 1
faults:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=build/sanitize test-programs
	python3 tests/faults/run.py --every $(EVERY) --seed $(SEED)

valgrind: all
	python3 tests/faults/valgrind.py --every $(EVERY) --seed $(SEED)

.PHONY: check check-programs test test-programs coverage unit-tests fuzz fuzz-programs oracle faults valgrind torture soak
