// SPDX-License-Identifier: Apache-2.0
/*
 * Data and holes: lists of extents, single lookups in any order and lseek(2) must agree, on files
 * with holes, with hundreds of extents, and with preallocated ranges that were never written.
 */
#include "formats/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/support.h"

enum { BLOCK = 4096, RANGES_MAX = 4096 };

/* The ranges of a file, alternating data and holes: their ends, and the kind of the first. */
struct ranges {
    bool first_is_data;
    size_t count;
    uint64_t ends[RANGES_MAX];
};

static struct sample s = {.fd = -1};
static struct host host;

static uint64_t size_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

static void add_range(struct ranges *r, bool data, uint64_t end)
{
    bool last_is_data = (r->count & 1) ? r->first_is_data : !r->first_is_data;

    if (!r->count)
        r->first_is_data = data;
    else if (data == last_is_data)
        r->count--;
    assert_true(r->count < RANGES_MAX);
    r->ends[r->count++] = end;
}

/* The ranges by lseek(2), up to the end of the file. */
static void by_lseek(int fd, struct ranges *r)
{
    uint64_t size = size_of(fd);

    r->count = 0;
    for (uint64_t at = 0; at < size;) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA);
        bool is_data = data == (off_t)at;
        off_t next = is_data ? lseek(fd, (off_t)at, SEEK_HOLE) : data;

        at = next < 0 ? size : (uint64_t)next;
        add_range(r, is_data, at);
    }
}

/* The ranges by host_range(), in order. */
static void by_host(int fd, bool no_lists, struct ranges *r)
{
    uint64_t size = size_of(fd);

    r->count = 0;
    host_begin(&host, fd, size);
    host.no_lists = no_lists;
    for (uint64_t at = 0; at < size;) {
        uint64_t end;
        bool data;

        assert_int_equal(host_range(&host, at, &data, &end), 0);
        assert_true(end > at);
        assert_true(!data || end <= size);
        at = end < size ? end : size;
        add_range(r, data, at);
    }
}

static void assert_same(const struct ranges *a, const struct ranges *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->first_is_data, b->first_is_data);
    for (size_t i = 0; i < a->count; i++)
        assert_int_equal(a->ends[i], b->ends[i]);
}

/* Whether offset is data in r, and where its range ends. */
static bool data_at(const struct ranges *r, uint64_t offset, uint64_t *end)
{
    size_t i = 0;

    while (r->ends[i] <= offset)
        i++;
    *end = r->ends[i];
    return (i & 1) ? !r->first_is_data : r->first_is_data;
}

/* Lookups in random order, in a list or not. */
static void assert_same_at_random(int fd, const struct ranges *expected)
{
    uint64_t size = size_of(fd);

    for (unsigned i = 0; i < 3000; i++) {
        uint64_t at = (uint64_t)random() % size, end, expected_end;
        bool data;

        /* Sometimes a few in order, for which it reads lists. */
        for (unsigned k = 0; k < 1 + i % 7 && at < size; k++) {
            assert_int_equal(host_range(&host, at, &data, &end), 0);
            assert_int_equal(data, data_at(expected, at, &expected_end));
            assert_true(end > at);
            assert_true((end < size ? end : size) <= expected_end);
            at = end;
        }
    }
}

/* The sum of all holes. */
static void assert_holes(const struct ranges *expected)
{
    uint64_t holes = 0, at = 0;

    for (size_t i = 0; i < expected->count; at = expected->ends[i++])
        if (expected->first_is_data == ((i & 1) != 0))
            holes += expected->ends[i] - at;
    assert_int_equal(host_holes(&host), holes);
}

static void assert_all_agree(int fd)
{
    static struct ranges kernel, listed, asked;

    by_lseek(fd, &kernel);
    by_host(fd, true, &asked);
    assert_same(&asked, &kernel);
    by_host(fd, false, &listed);
    assert_same(&listed, &kernel);
    assert_holes(&kernel);
    assert_same_at_random(fd, &kernel);
}

/* Whether the file system lists extents. */
static bool has_lists(int fd)
{
    struct fiemap map = {.fm_length = FIEMAP_MAX_OFFSET};

    return ioctl(fd, FS_IOC_FIEMAP, &map) == 0;
}

/* Lists are read for lookups in order, not for a single one. */
static void assert_lists(int fd)
{
    uint64_t range_end;
    bool data;

    if (!has_lists(fd))
        return;
    host_begin(&host, fd, size_of(fd));
    assert_int_equal(host_range(&host, 5 * BLOCK, &data, &range_end), 0);
    assert_int_equal(host_range(&host, 99 * BLOCK, &data, &range_end), 0);
    assert_int_equal(host.count, 0);
    assert_int_equal(host_range(&host, range_end, &data, &range_end), 0);
    assert_int_equal(host.count, HOST_EXTENTS);
    assert_false(host.no_lists);
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_past_the_end(void **state)
{
    uint64_t range_end = 7;
    bool data = true;

    (void)state;
    sample_begin(&s);
    host_begin(&host, s.fd, 0);
    assert_int_equal(host_range(&host, 0, &data, &range_end), 0);
    assert_false(data);
    assert_true(range_end == UINT64_MAX);
    put_text(&s, 0, "x");
    host_begin(&host, s.fd, 1);
    assert_int_equal(host_range(&host, 0, &data, &range_end), 0);
    assert_true(data);
    assert_int_equal(range_end, 1);
    assert_int_equal(host_range(&host, 1, &data, &range_end), 0);
    assert_false(data);
    assert_true(range_end == UINT64_MAX);
    assert_int_equal(host_range(&host, UINT64_MAX, &data, &range_end), 0);
    assert_false(data);
}

/* Holes at both ends, data at both ends, all data, no data; sizes that are not whole blocks. */
static void test_shapes(void **state)
{
    static const struct {
        uint64_t size, blocks[4];
    } shapes[] = {
        {1, {0}},
        {64 * KIB, {0}},
        {64 * KIB + 1, {0, 3, 4, 15}},
        {64 * KIB + 1, {1, 2, 5, 16}},
        {64 * KIB - 1, {15, 15, 15, 15}},
        {16 * KIB, {0, 1, 2, 3}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++) {
        sample_begin(&s);
        for (size_t k = 0; k < 4; k++)
            if (i != 1)
                put_text(&s, shapes[i].blocks[k] * BLOCK, "x");
        set_size(&s, shapes[i].size);
        assert_all_agree(s.fd);
        assert_int_equal(fsync(s.fd), 0);
        assert_all_agree(s.fd);
    }
}

/* As many extents as a list holds, one less, one more, and many more. */
static void test_many_extents(void **state)
{
    static const unsigned counts[] = {HOST_EXTENTS - 1, HOST_EXTENTS, HOST_EXTENTS + 1,
                                      3 * HOST_EXTENTS + 1};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        sample_begin(&s);
        for (unsigned k = 0; k < counts[i]; k++)
            put_text(&s, (1 + 2 * (uint64_t)k) * BLOCK, "x");
        assert_all_agree(s.fd);
        assert_int_equal(fsync(s.fd), 0);
        assert_all_agree(s.fd);
        if (counts[i] > 2 * HOST_EXTENTS)
            assert_lists(s.fd);
        /* The same with a hole at the end. */
        set_size(&s, 2 * (uint64_t)counts[i] * BLOCK + MIB);
        assert_all_agree(s.fd);
    }
}

static void preallocate(uint64_t offset, uint64_t length)
{
    assert_int_equal(fallocate(s.fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length), 0);
}

/* Whether a preallocated range is data depends on what was written or read just before. */
static void test_unwritten(void **state)
{
    char byte;

    (void)state;
    sample_begin(&s);
    set_size(&s, 4 * MIB + 100);
    preallocate(0, MIB);
    preallocate(2 * MIB, MIB);
    assert_int_equal(fsync(s.fd), 0);
    assert_all_agree(s.fd);
    put_text(&s, 64 * KIB, "x");
    put_text(&s, 2 * MIB + 5 * BLOCK, "x");
    assert_all_agree(s.fd);
    assert_int_equal(fsync(s.fd), 0);
    assert_all_agree(s.fd);
    assert_int_equal(pread(s.fd, &byte, 1, 2 * MIB + 512 * KIB), 1);
    assert_all_agree(s.fd);
    assert_int_equal(posix_fadvise(s.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_all_agree(s.fd);
    /* Preallocated past the end of the file. */
    preallocate(4 * MIB, MIB);
    assert_all_agree(s.fd);
}

static void test_many_unwritten(void **state)
{
    (void)state;
    sample_begin(&s);
    set_size(&s, 2400 * BLOCK);
    for (uint64_t k = 0; k < 600; k++) {
        preallocate(4 * k * BLOCK, 2 * BLOCK);
        if (k % 3 == 0)
            put_text(&s, 4 * k * BLOCK + BLOCK, "x");
    }
    assert_all_agree(s.fd);
    assert_int_equal(fsync(s.fd), 0);
    assert_all_agree(s.fd);
}

/* A file system without lists, and a file without holes. */
static void test_without_lists(void **state)
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    for (unsigned k = 0; k < 400; k++)
        assert_int_equal(pwrite(fd, "x", 1, (off_t)(2 * k + 1) * BLOCK), 1);
    assert_all_agree(fd);
    assert_true(host.no_lists);
    close(fd);
}

static void test_cannot_seek(void **state)
{
    uint64_t range_end = 0;
    int pipe_fds[2];
    bool data = false;

    (void)state;
    assert_int_equal(pipe(pipe_fds), 0);
    host_begin(&host, pipe_fds[0], 1000);
    assert_int_equal(host_range(&host, 10, &data, &range_end), 0);
    assert_true(data);
    assert_int_equal(range_end, 1000);
    assert_int_equal(host_holes(&host), 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_past_the_end),   cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_many_extents),   cmocka_unit_test(test_unwritten),
        cmocka_unit_test(test_many_unwritten), cmocka_unit_test(test_without_lists),
        cmocka_unit_test(test_cannot_seek),
    };

    srandom(1);
    return cmocka_run_group_tests(tests, NULL, end);
}
