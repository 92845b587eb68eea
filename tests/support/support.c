// SPDX-License-Identifier: Apache-2.0
/* Shared by unit tests. */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool runs_as_root(void)
{
    return geteuid() == 0;
}

void require_root(void)
{
    if (!runs_as_root()) {
        fprintf(stderr, "skipped: needs root\n");
        exit(77);
    }
}

unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

int temporary_file(const char *directory)
{
    int fd = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

void sample_begin(struct sample *s)
{
    sample_end(s);
    s->fd = temporary_file("/tmp");
}

void sample_end(struct sample *s)
{
    image_close(s->img);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct sample){.fd = -1};
}

void put(struct sample *s, uint64_t offset, const void *bytes, size_t length)
{
    assert_int_equal(pwrite(s->fd, bytes, length, (off_t)offset), length);
}

void put_text(struct sample *s, uint64_t offset, const char *text)
{
    put(s, offset, text, strlen(text));
}

void put_be(struct sample *s, uint64_t offset, unsigned width, uint64_t value)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> 8 * (width - 1 - i));
    put(s, offset, bytes, width);
}

void put_le(struct sample *s, uint64_t offset, unsigned width, uint64_t value)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < width; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    put(s, offset, bytes, width);
}

void set_size(struct sample *s, uint64_t size)
{
    assert_int_equal(ftruncate(s->fd, (off_t)size), 0);
}

void sample_session(struct sample *s)
{
    image_close(s->img);
    s->img = NULL;
    assert_int_equal(image_open(&s->img, s->fd), 0);
}

int sample_open(struct sample *s, const struct format_driver *driver)
{
    sample_session(s);
    return disk_open(&s->disk, s->img, driver, NULL);
}

void assert_reported(const struct image *img, const char *words)
{
    if (!strstr(image_problems(img), words))
        fail_msg("\"%s\" is not in the problems: %s", words, image_problems(img));
}

void assert_refused(struct sample *s, const struct format_driver *driver, int error,
                    const char *words)
{
    assert_int_equal(sample_open(s, driver), -error);
    assert_reported(s->img, words);
}

static void print_extent(const char *what, const struct extent *e)
{
    print_message("%s: offset %llu length %llu kind %d host %llx part %u flags %u layer %u\n", what,
                  (unsigned long long)e->offset, (unsigned long long)e->length, (int)e->kind,
                  (unsigned long long)e->host, e->file, e->flags, e->layer);
}

void assert_extents(struct sample *s, unsigned want, const struct extent *expected, size_t count)
{
    struct extents stream;
    struct extent e;
    uint64_t offset = 0;

    extents_begin(&stream, &s->disk, want);
    for (size_t i = 0; i < count; i++) {
        bool same;

        assert_int_equal(extents_next(&stream, &e), 1);
        same = e.offset == offset && e.length == expected[i].length && e.kind == expected[i].kind;
        if (want & EXTENTS_WANT_HOST)
            same = same && e.host == expected[i].host && e.flags == expected[i].flags &&
                   e.file == expected[i].file && e.layer == expected[i].layer;
        if (!same) {
            print_extent("is", &e);
            print_extent("not", &expected[i]);
            fail_msg("extent %zu is another", i);
        }
        offset += e.length;
    }
    assert_int_equal(extents_next(&stream, &e), 0);
    assert_int_equal(offset, s->disk.virtual_size);
}

void assert_stream_fails(struct sample *s, unsigned want, int error, const char *words)
{
    struct extents stream;
    struct extent e;
    int more = 1;

    extents_begin(&stream, &s->disk, want);
    while (more == 1)
        more = extents_next(&stream, &e);
    assert_int_equal(more, -error);
    assert_reported(s->img, words);
}

void assert_reference(struct sample *s, size_t n, enum reference_role role, const char *kind,
                      const char *path, size_t length)
{
    const struct reference *r = &s->disk.references[n];

    assert_true(n < s->disk.references_count);
    assert_int_equal(r->role, role);
    assert_string_equal(r->kind, kind);
    assert_int_equal(r->length, length);
    assert_memory_equal(r->path, path, length);
}
