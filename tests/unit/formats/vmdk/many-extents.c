// SPDX-License-Identifier: Apache-2.0
/* vmdk: time and memory that descriptors with very many extents take. */
#include "tests/support/vmdk-extents.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Opens a descriptor of that many extents of one sector, in one file or in a file each. */
static int open_many(unsigned count, bool one_file)
{
    char *text = calloc(1, 2 << 20);
    size_t length = 0;
    double begin = seconds();
    int error;

    assert_non_null(text);
    for (unsigned i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, 40, "RW 1 FLAT \"d-f%05u.vmdk\" %u\n",
                                   one_file ? 0 : i, i % 16);
    error = open_lines(flat, text);
    print_message("%u lines opened in %.3f s\n", count, seconds() - begin);
    assert_true(seconds() - begin < 1);
    free(text);
    return error;
}

/* Walks all extents, without and with host offsets, and reads some of them. */
static void assert_scan(unsigned count)
{
    struct extents stream;
    struct extent e;
    unsigned seen = 0;
    double begin = seconds();

    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA((uint64_t)count * SECTOR, 0));
    print_message("%u extents walked in %.3f s\n", count, seconds() - begin);
    extents_begin(&stream, &s.disk, EXTENTS_WANT_HOST);
    while (extents_next(&stream, &e) == 1)
        if (e.file != ++seen || e.host != (seen - 1) % 16 * SECTOR)
            fail_msg("extent %u is in file %u at %llu", seen, e.file, (unsigned long long)e.host);
    assert_int_equal(seen, count);
    for (unsigned i = 0; i < count; i += 1001)
        assert_sector(i, (uint8_t)(i % 16));
    /* At least half of the memory is left. */
    assert_non_null(image_alloc(s.img, IMAGE_MEMORY_MAX / 2));
}

static void test_20000_in_one_file(void **state)
{
    (void)state;
    grant(0, numbered_file(16));
    for (size_t i = 1; i < 20000; i++)
        grant_same(i, 0);
    assert_int_equal(open_many(20000, true), 0);
    assert_scan(20000);
    assert_int_equal(granted_files.opened, 1);
}

static void test_20000_files(void **state)
{
    unsigned before = open_descriptors();

    (void)state;
    grant(0, numbered_file(16));
    for (size_t i = 1; i < 20000; i++)
        grant_copy(i, 0);
    assert_int_equal(open_many(20000, false), 0);
    assert_scan(20000);
    assert_true(granted_files.opened >= 40000);
    assert_true(open_descriptors() <= before + 10);
}

static void test_most(void **state)
{
    (void)state;
    assert_int_equal(open_many(32768, true), 0);
    assert_int_equal(s.disk.virtual_size, 32768 * SECTOR);
    assert_int_equal(s.disk.references_count, 32768);
    assert_int_equal(open_many(32769, true), -EFBIG);
    assert_reported(s.img, "vmdk: the descriptor has more than 32768 extents");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_20000_in_one_file),
        TEST(test_20000_files),
        TEST(test_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
