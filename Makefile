# SPDX-License-Identifier: Apache-2.0
#
#   make            build/mount.instar and build/instar-cat
#   make demo       mount a fixed VHD (or IMAGE=...) and look around
#   make test       everything, with AddressSanitizer and UndefinedBehaviorSanitizer
#   make coverage   lines of formats/ and detect/ that unit tests and fixtures reach
#   make fuzz       TIME=... WHAT="vpc qcow2": looks for inputs that break what tests/fuzz_*.c say, so many seconds each
#                   (tools/setup fuzz installs clang)
#   make oracle     N=... SEED=...: random images compared with qemu-img
#   make faults     EVERY=... SEED=...: one call fails at a time, every one of them
#   make valgrind   EVERY=...: instar-cat over all fixtures, and a mount
#   make torture    CASES=... SAMPLE=... SEED=...: fixtures truncated and with bits flipped, other places each time, for an hour;
#                   with CASES=0 at every byte, and every bit
#   make soak       many readers of a mount while things go wrong, for minutes
#   make bench      speed and memory against qemu-img, as ratios of one run
#   make fixtures   makes fixtures/ anew (needs qemu-img)
#   make install    DESTDIR=, prefix=, sbindir=, mandir=

CC       ?= cc
BUILD    ?= build
CFLAGS   ?= -O2 -g
WARNINGS  = -Wall -Wextra -Wshadow -Wvla -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
HARDEN    = -fstack-protector-strong -fPIE
VERSION   = 0.1.0

ifeq ($(FUZZ),1)
# The kernel's own structures are used so.
WARNINGS  += -Wno-gnu-variable-sized-type-not-at-end
SANITIZERS = -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifeq ($(SANITIZE),1)
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
FORTIFY = -D_FORTIFY_SOURCE=2
endif

FUSE_CFLAGS = $(shell pkg-config --cflags fuse3)
SANDBOX_LIBS = $(shell pkg-config --libs libseccomp)
FUSE_LIBS   = $(shell pkg-config --libs fuse3)
CORE_LIBS   = $(shell pkg-config --libs zlib libzstd)

ALL_CPPFLAGS = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=312 -DVERSION='"$(VERSION)"' $(FORTIFY) -I. $(CPPFLAGS)
ALL_CFLAGS   = -std=c11 $(WARNINGS) $(HARDEN) $(SANITIZERS) $(CFLAGS)
ALL_LDFLAGS  = -pie -Wl,-z,relro,-z,now $(SANITIZERS) $(LDFLAGS)

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

# All but the daemon: what instar-cat, tests and fuzzers use. Knows no FUSE.
CORE = $(call objects,$(wildcard formats/*.c formats/*/*.c detect/*.c detect/*/*.c fs/tree/*.c))
# The daemon, but for its main().
DAEMON = $(filter-out $(BUILD)/fs/main.o,$(call objects,$(wildcard fs/*.c fs/jobs/*.c fs/sandbox/*.c)))
# Of it, what listens to jobs, for fuzzers.
LISTENER = $(call objects,$(wildcard fs/jobs/*.c fs/sandbox/*.c))
MAKER = $(call objects,tools/maker.c $(filter-out tools/make_bench_%.c,$(wildcard tools/make_*.c)) formats/crc32c.c)
FUZZERS = $(patsubst tests/%.c,$(BUILD)/tests/%,$(filter-out tests/fuzz_replay.c,$(wildcard tests/fuzz_*.c)))
TESTS = $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/test_*.c))

all: $(BUILD)/mount.instar $(BUILD)/instar-cat

$(BUILD)/mount.instar: $(BUILD)/fs/main.o $(DAEMON) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(SANDBOX_LIBS) $(CORE_LIBS)

$(BUILD)/instar-cat: $(BUILD)/tools/instar_cat.o $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/make-image: $(MAKER)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

# The extent stream as qemu-img prints it, for tests/oracle.py.
$(BUILD)/map-image: $(BUILD)/tests/map_image.o $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(BUILD)/tests/support.o $(DAEMON) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(SANDBOX_LIBS) -lcmocka $(CORE_LIBS)

$(BUILD)/tests/test_image-input: $(BUILD)/tests/image-input.o

# Its own front asks the monitor, a hostile one.
$(BUILD)/tests/test_monitor: LDFLAGS += -Wl,--wrap=front_run,--wrap=fuse_session_fd

# A fuzzer replays inputs; with FUZZ=1 it looks for more.
ifeq ($(FUZZ),1)
$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(LISTENER) $(CORE)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(SANDBOX_LIBS) $(CORE_LIBS)

# What is compared with what is told to the fuzzer for the size models alone: it takes half of the time, and images are changed by
# what knows them.
IMAGE_FUZZER = $(call objects,$(wildcard tests/image-*.c) tests/fuzz_image.c)
$(filter-out $(BUILD)/formats/targets/%,$(CORE)) $(IMAGE_FUZZER): SANITIZERS += -fno-sanitize-coverage=trace-cmp

$(BUILD)/tests/fuzz_image: $(IMAGE_FUZZER)
$(BUILD)/tests/fuzz_image: LDFLAGS += -Wl,--wrap=calloc,--wrap=free

# A sum of sizes that wraps around is wrong, though C defines what it is.
$(BUILD)/formats/targets/%.o: SANITIZERS += -fsanitize=unsigned-integer-overflow
else
$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(BUILD)/tests/fuzz_replay.o $(LISTENER) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SANDBOX_LIBS) $(CORE_LIBS)
endif

$(BUILD)/tests/fuzz_image: $(call objects,tests/image-input.c tests/image-checks.c tests/image-streams.c)

# What tests compare other readers with.
$(BUILD)/tests/read-chain: $(BUILD)/tests/read_chain.o $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/tests/measure-target: $(BUILD)/tests/measure_target.o $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

# Damages an image in every way, and looks at all files each time: for tests/torture.py.
$(BUILD)/torture: $(call objects,tests/torture.c tests/torture_cases.c tests/torture_tree.c) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/tests/convert-size: $(BUILD)/tests/convert_size.o $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/fs/%.o: ALL_CPPFLAGS += $(FUSE_CFLAGS)
$(BUILD)/tests/%.o: ALL_CPPFLAGS += $(FUSE_CFLAGS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

.SECONDARY:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# Shows the program at work; IMAGE= takes another image than the fixture.
demo: all
	@tools/look $(BUILD)/mount.instar "$$IMAGE"

test: all $(BUILD)/make-image $(BUILD)/map-image $(BUILD)/hello_ll $(BUILD)/tests/fuzz_image $(BUILD)/tests/test_sandbox $(BUILD)/tests/faults.so $(BUILD)/tests/convert-size $(BUILD)/tests/measure-target
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=build/sanitize test-programs
	@tests/run build/sanitize

test-programs: all $(BUILD)/make-image $(BUILD)/map-image $(BUILD)/make-bench-images $(BUILD)/hello_ll \
	$(BUILD)/tests/read-chain $(BUILD)/tests/measure-target $(BUILD)/tests/convert-size $(BUILD)/tests/faults.so $(BUILD)/torture $(TESTS) $(FUZZERS)

# Which lines of formats/ and detect/ the unit tests and the fixtures reach.
coverage:
	@$(MAKE) --no-print-directory BUILD=build/coverage CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage FORTIFY= unit-tests
	@tests/coverage build/coverage

unit-tests: $(TESTS)

# The size models, and images format by format, from the fixtures on. What grows of them stays in build/fuzz/, for the next time;
# what breaks something is kept there, too, and what it all took in build/fuzz/totals.
TIME ?= 60
WHAT ?=
fuzz:
	@$(MAKE) --no-print-directory CC=clang FUZZ=1 BUILD=build/fuzz fuzz-programs
	@tests/fuzz/run build/fuzz $(TIME) $(WHAT)

fuzz-programs: $(FUZZERS)

# Random images against qemu-img: make oracle N=1000 SEED=7; and random disks that it converts, and
# sets of options that it measures: SOURCES=1000 SETS=5000.
N ?= 300
SEED ?= 1
SOURCES ?= 40
SETS ?= 1000
oracle: all $(BUILD)/map-image $(BUILD)/tests/measure-target $(BUILD)/tests/convert-size
	python3 tests/oracle.py -n $(N) --seed $(SEED) --instar-cat $(BUILD)/instar-cat
	python3 tests/targets.py -n $(SOURCES) --sets $(SETS) --seed $(SEED) --build $(BUILD)
	python3 tests/contents.py --seed $(SEED) --build $(BUILD)
	python3 tests/convert_sizes.py -n $(SOURCES) --seed $(SEED) --build $(BUILD)

# Fixtures cut off and with bits flipped: SEEDS='qcow2/*,vpc/*' are names of fixtures, SIZE the bytes of the largest; of each and
# for each kind of damage (KIND: one of them) at most so many CASES, of which a SAMPLE is compared with qemu-img. What has more
# lengths, or bits of metadata, has so many of them in a row, from a place of chance on: a sample. CASES=0 is all of them, which
# takes a day. SEED chooses the places: without it the time does, and is said, to be given again.
SEEDS ?= *
SIZE ?= 0
KIND ?=
CASES ?= 10000
SAMPLE ?= 8
JOBS ?= 2
torture: all $(BUILD)/torture $(BUILD)/map-image
	python3 tests/torture.py --progress --build $(BUILD) --seeds '$(SEEDS)' --size $(SIZE) $(if $(KIND),--kind $(KIND)) --cases $(CASES) \
		--sample $(SAMPLE) --jobs $(JOBS) $(if $(filter file,$(origin SEED)),,--seed $(SEED))

# Many readers while things go wrong, a minute each.
soak:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=build/sanitize test-programs
	SOAK_SECONDS=60 python3 tests/mount.py --build build/sanitize --module mount_soak

# EVERY=10: of allocations that fail every tenth only; of fixtures every tenth.
EVERY ?= 1
faults:
	@$(MAKE) --no-print-directory SANITIZE=1 BUILD=build/sanitize test-programs
	python3 tests/faults.py --every $(EVERY) --seed $(SEED)

valgrind: all
	python3 tests/valgrind.py --every $(EVERY) --seed $(SEED)

$(BUILD)/tests/faults.so: tests/faults.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O1 -g -fPIC -shared -o $@ $<

bench: all $(BUILD)/make-bench-images $(BUILD)/hello_ll $(BUILD)/static_ll $(BUILD)/time_files $(BUILD)/time_reads
	tools/bench

$(BUILD)/make-bench-images: $(call objects,tools/bench_images.c $(wildcard tools/make_bench_*.c))
	$(CC) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/%_ll: $(BUILD)/tools/%_ll.o $(BUILD)/tools/serve_ll.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FUSE_LIBS)

$(BUILD)/tools/%_ll.o: ALL_CPPFLAGS += $(FUSE_CFLAGS)

$(BUILD)/time_files: $(BUILD)/tools/time_files.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/time_reads: $(call objects,tools/time_reads.c fs/sandbox/sandbox.c fs/sandbox/calls.c detect/files/image-file.c formats/host.c)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SANDBOX_LIBS)

# Images anew, then their expectations: review what changed before you commit it.
fixtures: $(BUILD)/instar-cat $(BUILD)/make-image
	tools/make-fixtures

prefix  ?= /usr/local
sbindir ?= $(prefix)/sbin
bindir  ?= $(prefix)/bin
mandir  ?= $(prefix)/share/man
INSTALL ?= install

# mount(8) looks for helpers in /sbin and /usr/sbin alone: sbindir=/usr/sbin makes `mount -t instar` work.
install: all
	$(INSTALL) -d $(DESTDIR)$(sbindir) $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man8
	$(INSTALL) -m 755 $(BUILD)/mount.instar $(DESTDIR)$(sbindir)/mount.instar
	ln -sf mount.instar $(DESTDIR)$(sbindir)/mount.fuse.instar
	$(INSTALL) -m 755 $(BUILD)/instar-cat $(DESTDIR)$(bindir)/instar-cat
	$(INSTALL) -m 644 fs/mount.instar.8 $(DESTDIR)$(mandir)/man8/mount.instar.8

uninstall:
	rm -f $(DESTDIR)$(sbindir)/mount.instar $(DESTDIR)$(sbindir)/mount.fuse.instar
	rm -f $(DESTDIR)$(bindir)/instar-cat $(DESTDIR)$(mandir)/man8/mount.instar.8

format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

clean:
	rm -rf build

.PHONY: all demo test test-programs coverage unit-tests fuzz fuzz-programs oracle faults valgrind torture soak bench fixtures install uninstall format clean
