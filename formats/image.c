// SPDX-License-Identifier: Apache-2.0
/*
 * The reading session: files, reads, memory and problems. It never maps a file, because a
 * truncation would raise SIGBUS, and allocates only what its caller asks for, up to a limit.
 */
#include "image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "budget.h"
#include "checked.h"
#include "escape.h"
#include "host.h"

enum {
    PROBLEM_BYTES = 512, /* the longest problem, before escaping: a byte may become four ("\x0a") */
};

/* A block of session memory. */
struct block {
    struct block *next;
    max_align_t bytes[];
};

/* Bytes that image_get() has returned. */
struct piece {
    struct piece *next;
    uint64_t offset;
    size_t length;
    const uint8_t *bytes;
};

/* What the sessions of one root share. */
struct common {
    struct budget budget;
    unsigned sessions;              /* begun so far */
    void (*on_read)(void *context); /* NULL: none */
    void *on_read_context;
    struct unpacker *unpacker;
    size_t memory;
    unsigned layers; /* they share the memory for windows */
    size_t problems_length;
    char problems[IMAGE_PROBLEMS_MAX];
};

struct image {
    int fd;
    bool takes_fd, is_new; /* is_new: no session was on this file before */
    bool is_truncation_reported;
    uint64_t size, disk_size;
    int64_t modified;
    struct common *common;
    unsigned number;
    struct image *owner;        /* NULL: this is the root */
    struct image *owned;        /* a list of the sessions that this one owns */
    struct image *next, **link; /* in the owner's list; link: the pointer to this one */
    const char *name;           /* prefix of its problems; NULL: the root */
    struct block *blocks;
    size_t memory;
    struct piece *pieces;
    struct host host;
};

/* fstat(2) does not return the size of a block device. Returns 0 or -errno. */
static int find_size(int fd, const struct stat *st, uint64_t *size)
{
    off_t end = S_ISBLK(st->st_mode) ? lseek(fd, 0, SEEK_END) : st->st_size;

    *size = (uint64_t)end;
    return end < 0 ? -errno : 0;
}

/* Begins a session without its struct common. */
static int begin(struct image **out, int fd)
{
    struct stat st;
    struct image *img;
    uint64_t size = 0;
    int error = host_stat(fd, &st);

    *out = NULL;
    if (!error)
        error = find_size(fd, &st, &size);
    if (error)
        return error;
    img = calloc(1, sizeof *img);
    if (!img)
        return -ENOMEM;
    img->fd = fd;
    img->size = size;
    img->disk_size = (uint64_t)st.st_blocks * 512;
    img->modified = st.st_mtim.tv_sec;
    host_begin(&img->host, fd, size);
    *out = img;
    return 0;
}

int image_open(struct image **out, int fd)
{
    int error = begin(out, fd);

    if (error)
        return error;
    (*out)->common = calloc(1, sizeof *(*out)->common);
    if (!(*out)->common) {
        free(*out);
        *out = NULL;
        return -ENOMEM;
    }
    (*out)->common->layers = 1;
    (*out)->number = ++(*out)->common->sessions;
    (*out)->is_new = true;
    budget_add_file(&(*out)->common->budget, (*out)->size);
    return 0;
}

/* Copies the name into the session's memory. */
static int take_name(struct image *img, const char *name)
{
    size_t length = strlen(name);
    char *copy = image_alloc(img, length + 1);

    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, length + 1);
    img->name = copy;
    return 0;
}

int image_open_owned(struct image **out, struct image *owner, int fd, bool takes_fd, bool is_new,
                     const char *name)
{
    struct image *img;
    int error = begin(&img, fd);

    *out = NULL;
    if (error) {
        if (takes_fd)
            close(fd);
        return error;
    }
    img->takes_fd = takes_fd;
    img->common = owner->common;
    img->number = ++img->common->sessions;
    img->owner = owner;
    img->next = owner->owned;
    img->link = &owner->owned;
    if (img->next)
        img->next->link = &img->next;
    owner->owned = img;
    error = take_name(img, name);
    if (error) {
        image_close(img);
        return error;
    }
    img->is_new = is_new;
    if (is_new)
        budget_add_file(&img->common->budget, img->size);
    *out = img;
    return 0;
}

struct image *image_root(struct image *img)
{
    while (img->owner)
        img = img->owner;
    return img;
}

unsigned image_number(const struct image *img)
{
    return img->number;
}

struct unpacker **image_unpacker(struct image *img)
{
    return &img->common->unpacker;
}

void image_close(struct image *img)
{
    if (!img)
        return;
    while (img->owned)
        image_close(img->owned);
    if (img->owner) {
        *img->link = img->next;
        if (img->next)
            img->next->link = img->link;
    }
    while (img->blocks) {
        struct block *block = img->blocks;

        img->blocks = block->next;
        free(block);
    }
    img->common->memory -= img->memory;
    if (!img->owner)
        free(img->common);
    if (img->takes_fd)
        close(img->fd);
    free(img);
}

void image_share_windows(struct image *img, unsigned layers)
{
    img->common->layers = layers;
}

unsigned image_data_files_share(const struct image *img)
{
    unsigned share = 2 * IMAGE_DATA_FILES_MAX / img->common->layers;

    return share > IMAGE_DATA_FILES_MAX ? IMAGE_DATA_FILES_MAX : share ? share : 1;
}

size_t image_window_share(const struct image *img, size_t wanted)
{
    size_t share = IMAGE_WINDOWS;

    while (share > wanted ||
           (share > IMAGE_WINDOW_MIN && share > IMAGE_WINDOWS / img->common->layers))
        share /= 2;
    return share;
}

uint64_t image_size(const struct image *img)
{
    return img->size;
}

bool image_is_first_truncation(struct image *img)
{
    bool first = !img->is_truncation_reported;

    img->is_truncation_reported = true;
    return first;
}

uint64_t image_disk_size(const struct image *img)
{
    return img->disk_size;
}

int64_t image_modified(const struct image *img)
{
    return img->modified;
}

uint64_t image_total_size(const struct image *img)
{
    return img->common->budget.total_size;
}

uint64_t image_bytes_read(const struct image *img)
{
    return img->common->budget.bytes_read;
}

void image_on_read(struct image *img, void (*on_read)(void *context), void *context)
{
    img->common->on_read = on_read;
    img->common->on_read_context = context;
}

uint64_t image_reads(const struct image *img)
{
    return img->common->budget.reads;
}

void *image_alloc(struct image *img, size_t size)
{
    struct block *block;

    if (size > IMAGE_MEMORY_MAX || img->common->memory + size > IMAGE_MEMORY_MAX) {
        image_fail(img, EFBIG, "needs more than %d MiB of memory", IMAGE_MEMORY_MAX >> 20);
        return NULL;
    }
    block = calloc(1, sizeof *block + size);
    if (!block) {
        image_fail(img, ENOMEM, "out of memory");
        return NULL;
    }
    img->memory += size;
    img->common->memory += size;
    block->next = img->blocks;
    img->blocks = block;
    return block->bytes;
}

void image_begin_walk(struct image *img)
{
    img->common->budget.walks++;
}

/* Reads length bytes at offset, which the file had when the session began. */
static int read_inside(struct image *img, uint64_t offset, size_t length, uint8_t *bytes)
{
    if (!budget_may_read(&img->common->budget, length))
        return image_fail(img, EFBIG,
                          "reads more than the file holds: its tables refer to each other");
    while (length) {
        ssize_t n = pread(img->fd, bytes, length, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return image_fail(img, EIO, "cannot read %zu bytes at offset %llu: %s", length,
                              (unsigned long long)offset, strerror(errno));
        if (n == 0)
            return image_fail(img, EIO, "the file has become shorter than %llu bytes",
                              (unsigned long long)img->size);
        bytes += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
        img->common->budget.bytes_read += (uint64_t)n;
        img->common->budget.reads++;
        if (img->common->on_read)
            img->common->on_read(img->common->on_read_context);
    }
    return 0;
}

int image_read(struct image *img, uint64_t offset, size_t length, uint8_t *bytes)
{
    size_t inside = 0;

    if (offset < img->size)
        inside = (size_t)min_u64(length, img->size - offset);
    memset(bytes + inside, 0, length - inside);
    return inside ? read_inside(img, offset, inside, bytes) : 0;
}

/* Adds up the holes of the files of all open sessions. A file system that does not report holes has
 * none. */
static void count_holes(struct image *img)
{
    if (img->is_new)
        img->common->budget.holes += host_holes(&img->host);
    for (struct image *owned = img->owned; owned; owned = owned->next)
        count_holes(owned);
}

int image_work(struct image *img, uint64_t units, const char *what)
{
    struct budget *budget = &img->common->budget;

    budget_add_work(budget, units);
    if (budget_wants_holes(budget)) {
        budget->knows_holes = true;
        count_holes(image_root(img));
    }
    if (budget_has_work(budget))
        return 0;
    return image_fail(img, EFBIG, "%s takes too long", what);
}

static const struct piece *piece_find(const struct image *img, uint64_t offset, size_t length)
{
    for (const struct piece *p = img->pieces; p; p = p->next)
        if (offset >= p->offset && offset - p->offset <= p->length &&
            length <= p->length - (offset - p->offset))
            return p;
    return NULL;
}

int image_get(struct image *img, uint64_t offset, size_t length, const uint8_t **bytes)
{
    const struct piece *known = piece_find(img, offset, length);
    struct piece *piece;
    uint8_t *buffer;
    int error;

    if (known) {
        *bytes = known->bytes + (offset - known->offset);
        return 0;
    }
    if (length > IMAGE_GET_MAX)
        return image_fail(img, EFBIG, "%zu bytes at offset %llu are more than are read at once",
                          length, (unsigned long long)offset);
    piece = image_alloc(img, sizeof *piece);
    buffer = image_alloc(img, length ? length : 1);
    if (!piece || !buffer)
        return -ENOMEM;
    error = image_read(img, offset, length, buffer);
    if (error)
        return error;
    *piece = (struct piece){img->pieces, offset, length, buffer};
    img->pieces = piece;
    *bytes = buffer;
    return 0;
}

int image_host_range(struct image *img, uint64_t offset, bool *data, uint64_t *end)
{
    int error = host_range(&img->host, offset, data, end);

    if (error)
        return image_fail(img, -error, "cannot ask the file system for holes at offset %llu: %s",
                          (unsigned long long)offset, strerror(-error));
    return 0;
}

/* Writes the names of the session and its owners, the outermost first, each with ": ". Returns the
 * bytes written, less than size. */
static size_t write_names(const struct image *img, char *out, size_t size)
{
    size_t used;
    int length;

    if (!img->owner)
        return 0;
    used = write_names(img->owner, out, size);
    length = snprintf(out + used, size - used, "%s: ", img->name);
    return length < 0 ? used : min_u64(used + (size_t)length, size - 1);
}

/* Adds a line to the problems unless it is there or does not fit. */
static void __attribute__((format(printf, 2, 0)))
add_problem(struct image *img, const char *format, va_list args)
{
    struct common *common = img->common;
    char words[PROBLEM_BYTES], line[4 * PROBLEM_BYTES];
    size_t used = write_names(img, words, sizeof words / 2), n;
    int length = vsnprintf(words + used, sizeof words - used, format, args);

    if (length < 0)
        return;
    used += (size_t)length;
    if (used >= sizeof words)
        memcpy(words + sizeof words - 4, "...", 4);
    n = escape_line(line, sizeof line - 1, words, min_u64(used, sizeof words - 1));
    line[n++] = '\n';
    line[n] = '\0';
    for (const char *p = common->problems; *p; p = strchr(p, '\n') + 1)
        if (strncmp(p, line, n) == 0)
            return;
    if (common->problems_length + n >= sizeof common->problems)
        return;
    memcpy(common->problems + common->problems_length, line, n + 1);
    common->problems_length += n;
}

int image_fail(struct image *img, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_problem(img, format, args);
    va_end(args);
    return -error;
}

void image_note(struct image *img, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_problem(img, format, args);
    va_end(args);
}

const char *image_problems(const struct image *img)
{
    return img->common->problems;
}
