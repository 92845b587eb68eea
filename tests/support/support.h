/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by unit tests: cmocka, and images that are written byte by byte to unnamed files. */
#ifndef TESTS_SUPPORT_SUPPORT_H
#define TESTS_SUPPORT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "formats/disk.h"
#include "formats/extents.h"
#include "formats/format.h"
#include "formats/image.h"
#include "formats/reference.h"

#define KIB          UINT64_C(1024)
#define MIB          (1024 * KIB)
#define GIB          (1024 * MIB)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* An image under test. */
struct sample {
    int fd; /* of the file; -1: none yet */
    struct image *img;
    struct disk disk;
};

/* A wrong value at an offset, and the error and key of the message that it causes. */
struct defect {
    uint64_t at;
    unsigned width;
    uint64_t value;
    int error;
    const char *words;
};

/* Whether the test may make devices, files of other users and mounts; others skip() what needs
 * that. */
bool runs_as_root(void);

/* For main(): ends a program whose tests all need root, with the status that counts as skipped. */
void require_root(void);

unsigned open_descriptors(void);

/* A new empty unnamed file in that directory. */
int temporary_file(const char *directory);

/* Ends the sample, and gives it a new empty file. */
void sample_begin(struct sample *s);
void sample_end(struct sample *s);

/* Writes to the file. put_be(), put_le(): width bytes of value, big or little endian. */
void put(struct sample *s, uint64_t offset, const void *bytes, size_t length);
void put_text(struct sample *s, uint64_t offset, const char *text);
void put_be(struct sample *s, uint64_t offset, unsigned width, uint64_t value);
void put_le(struct sample *s, uint64_t offset, unsigned width, uint64_t value);
void set_size(struct sample *s, uint64_t size);

/* Begins a new session on the file. */
void sample_session(struct sample *s);

/* Begins a new session and opens the file as that format. Returns as disk_open(). */
int sample_open(struct sample *s, const struct format_driver *driver);

/* The problems of the image contain the words. */
void assert_reported(const struct image *img, const char *words);

/* Opening the file as that format fails with the error, and a message that contains the words. */
void assert_refused(struct sample *s, const struct format_driver *driver, int error,
                    const char *words);

/*
 * The stream of the open sample yields exactly these extents: length and kind, and with
 * EXTENTS_WANT_HOST also host, file, flags and layer. Offsets follow from the lengths.
 */
void assert_extents(struct sample *s, unsigned want, const struct extent *expected, size_t count);
#define ASSERT_EXTENTS(s, want, ...)                                                               \
    assert_extents(s, want, (const struct extent[]){__VA_ARGS__},                                  \
                   COUNT(((const struct extent[]){__VA_ARGS__})))

/* The stream of the open sample fails with the error, and a message that contains the words. */
void assert_stream_fails(struct sample *s, unsigned want, int error, const char *words);

/* An extent, for ASSERT_EXTENTS(). */
#define DATA(length_, host_)                                                                       \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_DATA, .host = (host_)                                  \
    }
#define HOST_DATA(length_, host_)                                                                  \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_DATA, .host = (host_), .flags = EXTENT_HOST_HOLES      \
    }
#define FILE_DATA(length_, host_, file_)                                                           \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_DATA, .host = (host_), .file = (file_)                 \
    }
/* Data and holes of the file of reference file_ - 1, whose holes count. */
#define FLAT_DATA(length_, host_, file_)                                                           \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_DATA, .host = (host_), .file = (file_),                \
        .flags = EXTENT_HOST_HOLES                                                                 \
    }
#define FLAT_HOLE(length_, host_, file_)                                                           \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_ZERO, .host = (host_), .file = (file_),                \
        .flags = EXTENT_HOST_HOLES                                                                 \
    }
#define ZERO(length_)                                                                              \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_ZERO, .host = EXTENT_NO_HOST                           \
    }
#define HOLE(length_)                                                                              \
    {                                                                                              \
        .length = (length_), .kind = EXTENT_HOLE, .host = EXTENT_NO_HOST                           \
    }

/* Asserts reference n of the open image; its path has length bytes. */
void assert_reference(struct sample *s, size_t n, enum reference_role role, const char *kind,
                      const char *path, size_t length);

/* The same with a path without NULs. */
#define ASSERT_REFERENCE(n, role, kind, path)                                                      \
    assert_reference(&s, n, role, kind, path, strlen(path))

#endif
