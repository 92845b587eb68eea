// SPDX-License-Identifier: Apache-2.0
/* raw: whole sectors, and holes of the host file. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/support.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_virtual_size(void **state)
{
    static const uint64_t sizes[][2] = {{0, 0},     {1, 512},    {511, 512},
                                        {512, 512}, {513, 1024}, {MIB - 1, MIB}};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        sample_begin(&s);
        set_size(&s, sizes[i][0]);
        assert_int_equal(sample_open(&s, &raw_driver), 0);
        assert_int_equal(s.disk.virtual_size, sizes[i][1]);
        assert_null(s.disk.subformat);
        assert_null(s.disk.backing_reference);
        assert_int_equal(image_bytes_read(s.img), 0);
    }
}

/* Files in memory: the largest that qemu opens, and the largest there is. */
static void test_largest(void **state)
{
    (void)state;
    sample_end(&s);
    s.fd = memfd_create("image", MFD_CLOEXEC);
    set_size(&s, DISK_BYTES_MAX);
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    assert_true(s.disk.virtual_size == DISK_BYTES_MAX);
    ASSERT_EXTENTS(&s, 0, ZERO(DISK_BYTES_MAX));
    set_size(&s, DISK_BYTES_MAX - 511);
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    assert_true(s.disk.virtual_size == DISK_BYTES_MAX);
    set_size(&s, DISK_BYTES_MAX + 1);
    assert_refused(
        &s, &raw_driver, EFBIG,
        "raw: file size 9223372035781033985 is over the largest disk, 2^63 - 2^30 bytes");
    set_size(&s, INT64_MAX);
    assert_refused(&s, &raw_driver, EFBIG, "raw:");
}

static void test_extents(void **state)
{
    (void)state;
    sample_begin(&s);
    set_size(&s, 1);
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST,
                   {.length = 512, .kind = EXTENT_ZERO, .host = 0, .flags = EXTENT_HOST_HOLES});
    put_text(&s, 0, "x");
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    /* The padding of the last sector is not in the file. */
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOST_DATA(1, 0),
                   {.length = 511, .kind = EXTENT_ZERO, .host = 1, .flags = EXTENT_HOST_HOLES});
    put_text(&s, MIB, "x");
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    ASSERT_EXTENTS(&s, 0, DATA(4096, 0), ZERO(MIB - 4096), DATA(1, 0), ZERO(511));
    set_size(&s, 2 * MIB);
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(4096, 0), ZERO(MIB - 4096), DATA(4096, 0),
                   ZERO(MIB - 4096));
    assert_int_equal(image_bytes_read(s.img), 0);
}

static void test_empty(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    sample_begin(&s);
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    extents_begin(&stream, &s.disk, 0);
    assert_int_equal(extents_next(&stream, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_virtual_size),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_extents),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
