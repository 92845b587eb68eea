# SPDX-License-Identifier: Apache-2.0
#
#   make            build/mount.instar and build/instar-cat
#   make demo       mounts a fixed VHD (or IMAGE=...) and shows some files
#   make check      unit tests, fixtures and rules of structure; TEST=vhd: only those of that name. tests/tests.mk: other tests
#   make bench      speed and memory in comparison with qemu-img
#   make fixtures   makes the files of fixtures/ again (needs qemu-img)
#   make install    DESTDIR=, prefix=, sbindir=, mandir=

CC       ?= cc
BUILD    ?= build
CFLAGS   ?= -O2 -g
WARNINGS  = -Wall -Wextra -Wshadow -Wvla -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Werror
HARDEN    = -fstack-protector-strong -fPIE
VERSION   = 0.1.0

ifeq ($(FUZZ),1)
# Structures of the kernel end in flexible arrays, which clang reports when they are embedded.
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

# Everything without FUSE: for instar-cat, tests and fuzzers.
CORE = $(call objects,$(wildcard formats/*.c formats/*/*.c detect/*.c detect/*/*.c fs/tree/*.c))
# The daemon without its main().
DAEMON = $(filter-out $(BUILD)/fs/main.o,$(call objects,$(wildcard fs/*.c fs/jobs/*.c fs/sandbox/*.c)))
MAKER = $(call objects,tools/maker.c $(filter-out tools/make-bench-%.c,$(wildcard tools/make-*.c)) formats/crc32c.c)

all: $(BUILD)/mount.instar $(BUILD)/instar-cat

$(BUILD)/mount.instar: $(BUILD)/fs/main.o $(DAEMON) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(SANDBOX_LIBS) $(CORE_LIBS)

$(BUILD)/instar-cat: $(BUILD)/tools/instar-cat.o $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/make-image: $(MAKER)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LIBS)

$(BUILD)/fs/%.o: ALL_CPPFLAGS += $(FUSE_CFLAGS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

.SECONDARY:

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# IMAGE=...: another image than a fixture.
demo: all
	@tools/look $(BUILD)/mount.instar "$$IMAGE"

include tests/tests.mk

bench: all $(BUILD)/make-bench-images $(BUILD)/hello-ll $(BUILD)/static-ll $(BUILD)/time-files $(BUILD)/time-reads
	tools/bench

$(BUILD)/make-bench-images: $(call objects,tools/bench-images.c $(wildcard tools/make-bench-*.c))
	$(CC) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/%-ll: $(BUILD)/tools/%-ll.o $(BUILD)/tools/serve-ll.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(FUSE_LIBS)

$(BUILD)/tools/%-ll.o: ALL_CPPFLAGS += $(FUSE_CFLAGS)

$(BUILD)/time-files: $(BUILD)/tools/time-files.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/time-reads: $(BUILD)/tools/time-reads.o $(RECEIVER) $(CORE)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SANDBOX_LIBS) $(CORE_LIBS)

# Makes images and expectations: review the changes before you commit them.
fixtures: $(BUILD)/instar-cat $(BUILD)/make-image
	tools/make-fixtures

prefix  ?= /usr/local
sbindir ?= $(prefix)/sbin
bindir  ?= $(prefix)/bin
mandir  ?= $(prefix)/share/man
INSTALL ?= install

# mount(8) searches helpers only in /sbin and /usr/sbin: sbindir=/usr/sbin makes `mount -t instar` work.
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

.PHONY: all demo bench fixtures install uninstall format clean
