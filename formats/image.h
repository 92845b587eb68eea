/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reading session on one image file: the only way to its bytes.
 *
 * Every read is bounded by the file and by a budget, what lies past the end of the file reads as
 * zeros (as every reader of these formats has it; a driver that must not accept that asks
 * image_require()), memory is taken from the session and goes with it, and what goes wrong is kept
 * in words.
 */
#ifndef FORMATS_IMAGE_H
#define FORMATS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

enum {
    IMAGE_HEAD_BYTES = 512,       /* what head signatures may look at: all that qemu probes */
    IMAGE_TAIL_BYTES = 1024,      /* what tail signatures may look at: as far from the end as the
                                     trailer of a DMG may begin */
    IMAGE_GET_MAX = 1 << 20,      /* the longest piece that image_get() gives */
    IMAGE_TABLE_PIECE = 1 << 20,  /* bytes of a table read at once */
    IMAGE_WINDOWS = 4 << 20,      /* bytes of one window of each of all layers, together */
    IMAGE_DATA_FILES_MAX = 8,     /* parts of one layer that are open at a time */
    IMAGE_WINDOW_MIN = 64 << 10,  /* what each of them gets at least */
    IMAGE_MEMORY_MAX = 16 << 20,  /* bytes of memory of one session and its parts */
    IMAGE_WORK_MAX = 256 << 20,   /* units of image_work() */
    IMAGE_PROBLEMS_MAX = 8 << 10, /* bytes of problems kept; later ones are dropped */

    /* What unpacking counts as work: for a byte of input, of the worst, tables of codes for next to
       nothing; and for what is made of it, up to so many bytes, the most that deflate makes. */
    IMAGE_UNPACK_INPUT_WORK = 100,
    IMAGE_UNPACK_OUTPUT_WORK = 1032,
};

/*
 * Begins a session on fd, which stays the caller's and must stay open. Takes size and allocation of
 * the file once, from fstat(2). Returns 0 or -errno (ENOMEM, fstat's).
 */
int image_open(struct image **img, int fd);

/*
 * Begins a session on another file that is read as a part of what owner tells: a layer, an extent.
 * Budget, memory and problems are the owner's; there what is said stands behind name and ": ". It
 * ends with the owner, if not before. takes_fd: fd is closed with it. is_new: no session of the
 * owner was begun on this file before, so that it adds to what may be read. As image_open().
 */
int image_open_owned(struct image **img, struct image *owner, int fd, bool takes_fd, bool is_new,
                     const char *name);

/* The session that owns all others: img itself, if it is no part. */
struct image *image_root(struct image *img);

/* Which of the sessions of one root it is, from 1 on: no two have the same number. */
unsigned image_number(const struct image *img);

/* Where unpack.c keeps what a session and its parts have one of, in the root's memory; NULL at
 * first. */
struct unpacker **image_unpacker(struct image *img);

/* Ends the session and its parts and frees all its memory. NULL is allowed. */
void image_close(struct image *img);

/* So many layers share the memory for windows; before the first window. */
void image_share_windows(struct image *img, unsigned layers);

/* How many parts of one layer may be open at a time, so that those of all fit in memory. */
unsigned image_data_files_share(const struct image *img);

/*
 * The bytes that a window should have at most, of wanted: a power of two, of at least
 * IMAGE_WINDOW_MIN if so many are wanted.
 */
size_t image_window_share(const struct image *img, size_t wanted);

/* Bytes of the image file. */
uint64_t image_size(const struct image *img);

/* Bytes that the image file occupies (st_blocks * 512). */
uint64_t image_disk_size(const struct image *img);

/* When the image file was modified, in seconds since 1970. */
int64_t image_modified(const struct image *img);

/* Bytes of all files that the session and its parts have been on. */
uint64_t image_total_size(const struct image *img);

/* Bytes read from the image and its parts so far. */
uint64_t image_bytes_read(const struct image *img);

/* Calls tell after each read of the session and its parts: it goes on, however long its tables are.
 */
void image_on_read(struct image *img, void (*on_read)(void *context), void *context);

/* How many reads that took. */
uint64_t image_reads(const struct image *img);

/*
 * Borrows length (at most IMAGE_GET_MAX) bytes at offset, zeros past the end of the file. The bytes
 * live as long as the session and are read once: for headers. Returns 0 or -errno (EIO, ENOMEM,
 * EFBIG), said.
 */
int image_get(struct image *img, uint64_t offset, size_t length, const uint8_t **bytes);

/*
 * Reads length bytes at offset into bytes, zeros past the end of the file: for what is not kept.
 * Returns 0 or -errno (EIO, EFBIG: the budget), said.
 */
int image_read(struct image *img, uint64_t offset, size_t length, uint8_t *bytes);

/*
 * Counts work that is not reading, about a nanosecond each unit; a session has IMAGE_WORK_MAX of
 * it. Returns 0, or EFBIG, said: WHAT takes too long.
 */
int image_work(struct image *img, uint64_t units, const char *what);

/*
 * Gives the session what a walk over all of the guest's bytes takes beyond what there was for
 * tables, in proportion to its files: each of their bytes that the host stores may be unpacked
 * once, whatever it makes, and be read for that, however small the streams are and in whatever
 * order they stand. So honest images of any size pass, and what refers to the same bytes over and
 * over ends with EFBIG.
 */
void image_begin_walk(struct image *img);

/* The first IMAGE_HEAD_BYTES of the file, zeros past its end. As image_get(). */
int image_head(struct image *img, const uint8_t **bytes);

/* The last IMAGE_TAIL_BYTES of the file (of a shorter file: all of it, zeros before). As
 * image_get(). */
int image_tail(struct image *img, const uint8_t **bytes);

/* Whether the file holds all of [offset, offset + length). */
bool image_holds(const struct image *img, uint64_t offset, uint64_t length);

/* 0 if it does, else EUCLEAN, said: "WHAT ... is past the end", or ends there. */
int image_require(struct image *img, uint64_t offset, uint64_t length, const char *what);

/* Notes that it is being said that the file ends too early: false if it was before. One cut takes
 * many structures along, and is said once of those of a header. */
bool image_is_first_truncation(struct image *img);

/*
 * A piece of a table, read in bulk and kept until another piece is asked for: for tables of any
 * length. window_begin() takes capacity bytes of session memory. window_at() gives length (at most
 * the capacity) bytes at offset, zeros past the end of the file, and reads nothing if the window
 * holds them already; else the window then holds just them: ask for as much at once as will be
 * used. Both return 0 or -errno, said.
 */
struct image_window {
    uint64_t offset;
    size_t length, capacity;
    uint8_t *bytes;
};
int image_window_begin(struct image *img, struct image_window *w, size_t capacity);
int image_window_at(struct image *img, struct image_window *w, uint64_t offset, size_t length,
                    const uint8_t **bytes);

/*
 * As window_at(), for walks that take a few bytes at a time: what is not there yet is read with up
 * to ahead bytes (at most the capacity) behind offset.
 */
int image_window_ahead(struct image *img, struct image_window *w, uint64_t offset, size_t length,
                       uint64_t ahead, const uint8_t **bytes);

/*
 * A table of entries of one size, paged through a window: pieces of it lie at fixed places, so that
 * walks in any direction find theirs. Filled in by its owner but for the window, which begins with
 * the first question.
 */
struct image_table {
    uint64_t offset; /* of the first entry, in the file */
    uint64_t entries;
    uint32_t entry_bytes; /* a power of two, at most IMAGE_WINDOW_MIN */
    struct image_window window;
};

/*
 * The entries from number index (< entries) on: *count of them, at least one. The bytes are
 * borrowed until the next question. Returns 0 or -errno, said, as window_at().
 */
int image_table_at(struct image *img, struct image_table *table, uint64_t index,
                   const uint8_t **bytes, uint64_t *count);

/*
 * What the host file system has at offset: *data tells if it is data or a hole, *end where that
 * ends (both beyond offset). At or past the end of the file: a hole without an end (UINT64_MAX). A
 * file system that cannot tell has all data. Neighbouring questions are answered without a system
 * call. Returns 0 or -errno, said.
 */
int image_host_range(struct image *img, uint64_t offset, bool *data, uint64_t *end);

/* Zeroed memory of the session; NULL, said, when there is none or IMAGE_MEMORY_MAX would be passed.
 */
void *image_alloc(struct image *img, size_t size);

/*
 * Says in words what is wrong, once, where it is noticed: format, field, value and rule. Returns
 * -error, so that `return image_fail(img, EUCLEAN, "vpc: block size %u is not a power of two", n);`
 * reads as what it is.
 */
int image_fail(struct image *img, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says in words what is odd although it fails nothing. */
void image_note(struct image *img, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All that was said so far, a line each, each line once; "" if nothing. Escaped: printable UTF-8
 * only. */
const char *image_problems(const struct image *img);

#endif
