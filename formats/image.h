/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reading session on one image file: the only way to its bytes.
 *
 * Every read is bounded by the file and by a budget. Bytes past the end of the file read as zeros,
 * as all readers of these formats assume; a driver that must not accept that calls
 * image_require(). Memory is allocated from the session and freed with it.
 *
 * Errors are returned as -errno. An error that is "reported" also has its sentence in
 * image_problems(): callers pass it on unchanged.
 */
#ifndef FORMATS_IMAGE_H
#define FORMATS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

enum {
    IMAGE_HEAD_BYTES = 512,  /* for signatures at the head: as many as qemu probes */
    IMAGE_TAIL_BYTES = 1024, /* for signatures at the tail: the trailer of a DMG may begin so far
                                before the end */
    IMAGE_GET_MAX = 1 << 20, /* the longest piece that image_get() returns */
    IMAGE_TABLE_PIECE = 1 << 20,  /* bytes of a table that are read at once */
    IMAGE_WINDOWS = 4 << 20,      /* bytes of one window of each layer, all layers together */
    IMAGE_DATA_FILES_MAX = 8,     /* data files of one layer that are open at a time */
    IMAGE_WINDOW_MIN = 64 << 10,  /* bytes of a window, however many layers there are */
    IMAGE_MEMORY_MAX = 16 << 20,  /* bytes of memory of a session and those it owns */
    IMAGE_PROBLEMS_MAX = 8 << 10, /* bytes of problems kept; later ones are dropped */
};

/*
 * Begins a session on fd, which remains the caller's and must stay open until image_close(). Size
 * and allocation of the file are taken once, from fstat(2). Returns 0 or -errno (ENOMEM, fstat's).
 */
int image_open(struct image **img, int fd);

/*
 * Begins a session on another file that belongs to owner's image: a layer or a data file. Budget,
 * memory and problems are shared with the owner; problems of this file are prefixed with name and
 * ": ". The session ends with the owner's, if not before. takes_fd: fd is closed with the session,
 * also if this fails. is_new: the owner had no session on this file before, so its size is added to
 * the budget. Returns as image_open().
 */
int image_open_owned(struct image **img, struct image *owner, int fd, bool takes_fd, bool is_new,
                     const char *name);

/* The session that owns all others; img itself if it has no owner. */
struct image *image_root(struct image *img);

/* The number of the session, from 1 on, unique among those of one root. */
unsigned image_number(const struct image *img);

/* Where unpack.c keeps its one unpacker for all sessions of a root, in the root's memory; NULL at
 * first. */
struct unpacker **image_unpacker(struct image *img);

/* Ends the session and those it owns, and frees their memory. img may be NULL. */
void image_close(struct image *img);

/* Sets how many layers share the memory for windows. To be called before the first window. */
void image_share_windows(struct image *img, unsigned layers);

/* How many data files of one layer may be open at a time, so that those of all layers fit in
 * memory. */
unsigned image_data_files_share(const struct image *img);

/*
 * The capacity that a window should have of the bytes wanted: a power of two, and at least
 * IMAGE_WINDOW_MIN if that many are wanted.
 */
size_t image_window_share(const struct image *img, size_t wanted);

/* Bytes of the image file. */
uint64_t image_size(const struct image *img);

/* Bytes that the image file occupies (st_blocks * 512). */
uint64_t image_disk_size(const struct image *img);

/* When the image file was modified, in seconds since 1970. */
int64_t image_modified(const struct image *img);

/* Bytes of all files that the sessions of the root are or were on. */
uint64_t image_total_size(const struct image *img);

/* Bytes read so far by all sessions of the root, and the number of reads. */
uint64_t image_bytes_read(const struct image *img);
uint64_t image_reads(const struct image *img);

/* Sets a function that is called after each read of any session of the root: a sign of progress
 * while long tables are read. NULL: none. */
void image_on_read(struct image *img, void (*on_read)(void *context), void *context);

/*
 * Returns length (at most IMAGE_GET_MAX) bytes at offset, zeros past the end of the file. They are
 * read once and live as long as the session: for headers. Returns 0 or -errno (EIO, ENOMEM, EFBIG),
 * reported.
 */
int image_get(struct image *img, uint64_t offset, size_t length, const uint8_t **bytes);

/*
 * Reads length bytes at offset into bytes, zeros past the end of the file: for bytes that are not
 * kept. Returns 0 or -errno (EIO; EFBIG: the budget), reported.
 */
int image_read(struct image *img, uint64_t offset, size_t length, uint8_t *bytes);

/*
 * Counts work other than reading, in units of about a nanosecond, against the budget (budget.h).
 * Returns 0, or -EFBIG, reported: "WHAT takes too long".
 */
int image_work(struct image *img, uint64_t units, const char *what);

/*
 * Extends the budget for a walk over all guest data, in proportion to the files: each of their
 * bytes that the host stores may be decompressed once, whatever it expands to, and be read for
 * that, however small the streams are and in whatever order they are stored. Honest images of any
 * size pass; one that refers to the same bytes over and over ends with EFBIG.
 */
void image_begin_walk(struct image *img);

/* Returns the first IMAGE_HEAD_BYTES of the file, zeros past its end. As image_get(). */
int image_head(struct image *img, const uint8_t **bytes);

/* Returns the last IMAGE_TAIL_BYTES of the file; a shorter file is preceded by zeros. As
 * image_get(). */
int image_tail(struct image *img, const uint8_t **bytes);

/* Whether the file holds all of [offset, offset + length). */
bool image_holds(const struct image *img, uint64_t offset, uint64_t length);

/* Returns 0 if the file holds all of [offset, offset + length), else -EUCLEAN, reported: "WHAT ...
 * is past the end" or "ends past the end". */
int image_require(struct image *img, uint64_t offset, uint64_t length, const char *what);

/* Returns true the first time only: a file that is cut short lacks many structures of the header,
 * and one report is enough. */
bool image_is_first_truncation(struct image *img);

/*
 * A piece of a table, read in bulk and kept until another piece is needed: for tables of any
 * length. image_window_begin() allocates capacity bytes of session memory. image_window_at()
 * returns length (at most the capacity) bytes at offset, zeros past the end of the file. It reads
 * nothing if the window holds them; else the window then holds exactly these, so ask for as much at
 * once as will be used. Both return 0 or -errno, reported.
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
 * As image_window_at(), for walks that take a few bytes at a time: if the window has to be read, it
 * is read with up to ahead bytes (at most the capacity) from offset on.
 */
int image_window_ahead(struct image *img, struct image_window *w, uint64_t offset, size_t length,
                       uint64_t ahead, const uint8_t **bytes);

/*
 * A table of entries of one size, paged through a window. Pages are aligned, so that walks in any
 * direction hit the same ones. The owner fills in all but the window, which is allocated by the
 * first image_table_at().
 */
struct image_table {
    uint64_t offset; /* of the first entry, in the file */
    uint64_t entries;
    uint32_t entry_bytes; /* a power of two, at most IMAGE_WINDOW_MIN */
    struct image_window window;
};

/*
 * Returns the entries from number index (less than entries) on: *count of them, at least one. The
 * bytes are valid until the next call. Returns 0 or -errno, reported, as image_window_at().
 */
int image_table_at(struct image *img, struct image_table *table, uint64_t index,
                   const uint8_t **bytes, uint64_t *count);

/*
 * What the host file system stores at offset: *data is whether it is data or a hole, *end where
 * that ends (beyond offset). At or past the end of the file: a hole without an end (UINT64_MAX). A
 * file system that does not report holes has only data. Questions about the last range are answered
 * without a system call. Returns 0 or -errno, reported.
 */
int image_host_range(struct image *img, uint64_t offset, bool *data, uint64_t *end);

/* Allocates zeroed memory that lives as long as the session. NULL, reported: there is none, or
 * IMAGE_MEMORY_MAX would be exceeded. */
void *image_alloc(struct image *img, size_t size);

/*
 * Reports what is wrong, once, where it is noticed: format, field, value and rule. Returns -error,
 * for use as `return image_fail(img, EUCLEAN, "vpc: block size %u is not a power of two", n);`.
 */
int image_fail(struct image *img, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reports what is unusual although it makes nothing fail. */
void image_note(struct image *img, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All that was reported so far, a line each, without repetitions; "" if nothing. Escaped: printable
 * UTF-8 only. */
const char *image_problems(const struct image *img);

#endif
