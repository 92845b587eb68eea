// SPDX-License-Identifier: Apache-2.0
/* qcow2: images whose clusters are in an external data file, each at its guest offset. */
#include "tests/support/qcow2-image.h"

#include "tests/support/granted-files.h"

enum { BITS = 16, CLUSTER = 1 << BITS, L1 = CLUSTER, REFCOUNTS = 3 * CLUSTER, L2 = 4 * CLUSTER };

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    grant_nothing();
    return 0;
}

/* An image of that many clusters, with one L2 table and a data file without a name. */
static void make(uint64_t clusters, uint64_t features)
{
    make_qcow2(&s, clusters * CLUSTER, BITS);
    put_be(&s, L1, 8, Q_COPIED | L2);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 2 | features);
}

static void entry(uint64_t index, uint64_t value)
{
    put_be(&s, L2 + 8 * index, 8, value);
}

static void extended(uint64_t index, uint64_t value, uint32_t zeros, uint32_t data)
{
    put_be(&s, L2 + 16 * index, 8, value);
    put_be(&s, L2 + 16 * index + 8, 8, (uint64_t)zeros << 32 | data);
}

/* Opens the image with the granted files. */
static void open_granted(void)
{
    reopen(&s);
    s.disk.granted = &granted;
}

/* A data file of that size. The first byte of cluster n is n + 1 for the first three clusters. */
static int data_file(uint64_t size)
{
    struct sample data = {.fd = -1};

    sample_begin(&data);
    set_size(&data, size);
    for (uint64_t i = 0; i < 3; i++)
        put_be(&data, i * CLUSTER, 1, i + 1);
    return sample_take(&data);
}

/* Host offset 0 means data at offset 0 if the COPIED bit is set, else a hole. */
static void test_kinds(void **state)
{
    (void)state;
    make(8, 0);
    entry(0, Q_COPIED);
    entry(1, Q_COPIED | CLUSTER);
    entry(2, 2 * CLUSTER);
    entry(4, Q_COPIED | 4 * CLUSTER | Q_ZERO);
    entry(5, Q_ZERO);
    entry(6, Q_COPIED | 6 * CLUSTER);
    open_granted();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FILE_DATA(3 * CLUSTER, 0, 1), HOLE(CLUSTER),
                   {.length = CLUSTER, .kind = EXTENT_ZERO, .host = 4 * CLUSTER, .file = 1},
                   ZERO(CLUSTER), FILE_DATA(CLUSTER, 6 * CLUSTER, 1), HOLE(CLUSTER));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(3 * CLUSTER, 0), HOLE(CLUSTER), ZERO(2 * CLUSTER),
                   DATA(CLUSTER, 0), HOLE(CLUSTER));
    entry(0, 0);
    entry(4, Q_COPIED | Q_ZERO); /* zeros without a host cluster */
    open_granted();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(CLUSTER), FILE_DATA(2 * CLUSTER, CLUSTER, 1),
                   HOLE(CLUSTER), ZERO(2 * CLUSTER), FILE_DATA(CLUSTER, 6 * CLUSTER, 1),
                   HOLE(CLUSTER));
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(granted_files.opened, 0);
}

static void test_read(void **state)
{
    uint8_t got[2];

    (void)state;
    make(5, 0);
    entry(0, Q_COPIED);
    entry(2, Q_COPIED | 2 * CLUSTER);
    entry(3, Q_COPIED | 3 * CLUSTER);
    grant(0, data_file(3 * CLUSTER + 1));
    open_granted();
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(disk_read(&s.disk, i * CLUSTER, got, 1), 0);
        assert_int_equal(got[0], i == 0 || i == 2 ? i + 1 : 0);
    }
    assert_int_equal(granted_files.opened, 1);
    assert_int_equal(disk_read(&s.disk, 3 * CLUSTER, got, 2), -EIO);
    assert_reported(s.img, "data file \"\": qcow2: guest data at offset 196608");
}

static void assert_bad(uint64_t index, uint64_t value, const char *words)
{
    struct extents stream;
    struct extent e;

    make(5, 0);
    entry(0, Q_COPIED);
    entry(1, Q_COPIED | CLUSTER);
    entry(index, value);
    for (unsigned want = 0; want <= EXTENTS_WANT_HOST; want++) {
        open_granted();
        extents_begin(&stream, &s.disk, want);
        assert_int_equal(extents_next(&stream, &e), 1);
        assert_int_equal(e.length, 2 * CLUSTER);
        assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
        assert_reported(s.img, words);
        extents_skip(&stream, 3 * CLUSTER);
        assert_int_equal(extents_next(&stream, &e), 1);
    }
}

/* As in qemu, clusters before the bad one are read. */
static void test_bad_places(void **state)
{
    (void)state;
    assert_bad(2, Q_COPIED | 3 * CLUSTER, "guest offset 131072 is at offset 196608");
    assert_bad(2, Q_COPIED, "guest offset 131072 is at offset 0");
    assert_bad(2, Q_COPIED | 3 * CLUSTER | Q_ZERO, "guest offset 131072 is at offset 196608");
    assert_bad(2, Q_COMPRESSED | 5, "guest offset 131072 is compressed");
    assert_bad(2, Q_COPIED | (2 * CLUSTER + 512), "L2 entry 0x8000000000020200");
}

static void test_subclusters(void **state)
{
    enum { SUB = CLUSTER / 32 };

    (void)state;
    make(4, 1 << 4);
    extended(0, Q_COPIED, 0x80000000, 1);
    extended(1, Q_COPIED | CLUSTER, 0, 0);
    extended(2, 0, 1, 0);
    extended(3, Q_COPIED | 3 * CLUSTER, 0, UINT32_MAX);
    open_granted();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FILE_DATA(SUB, 0, 1),
                   {.length = 30 * SUB, .kind = EXTENT_HOLE, .host = SUB, .file = 1},
                   {.length = SUB, .kind = EXTENT_ZERO, .host = 31 * SUB, .file = 1},
                   {.length = CLUSTER, .kind = EXTENT_HOLE, .host = CLUSTER, .file = 1}, ZERO(SUB),
                   HOLE(31 * SUB), FILE_DATA(CLUSTER, 3 * CLUSTER, 1));
    extended(0, 0, 0, 1);
    open_granted();
    assert_stream_fails(&s, 0, EUCLEAN, "L2 entry 0x0000000000000000");
    extended(0, Q_COPIED, 1, 1);
    open_granted();
    assert_stream_fails(&s, 0, EUCLEAN, "L2 entry 0x8000000000000000");
    extended(0, CLUSTER, 0, 0);
    open_granted();
    assert_stream_fails(&s, 0, EUCLEAN, "guest offset 0 is at offset 65536");
}

/* If many more clusters are in use than the image file occupies, holes of the data file are zeros.
 */
static void test_holes(void **state)
{
    (void)state;
    make(6, 0);
    for (uint64_t i = 0; i < 100; i++)
        put_be(&s, REFCOUNTS + 2 * i, 2, 1);
    for (uint64_t i = 0; i < 6; i++)
        entry(i, Q_COPIED | i * CLUSTER);
    open_granted();
    assert_stream_fails(&s, 0, EACCES, "the data file");
    grant(0, data_file(6 * CLUSTER));
    open_granted();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, FLAT_DATA(4096, 0, 1), FLAT_HOLE(CLUSTER - 4096, 4096, 1),
                   FLAT_DATA(4096, CLUSTER, 1), FLAT_HOLE(CLUSTER - 4096, CLUSTER + 4096, 1),
                   FLAT_DATA(4096, 2 * CLUSTER, 1),
                   FLAT_HOLE(4 * CLUSTER - 4096, 2 * CLUSTER + 4096, 1));
    grant_nothing();
    grant(0, data_file(3 * CLUSTER)); /* past its end is a hole, too */
    open_granted();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(4096, 0), ZERO(CLUSTER - 4096), DATA(4096, 0),
                   ZERO(CLUSTER - 4096), DATA(4096, 0), ZERO(4 * CLUSTER - 4096));
}

/* The bit of a raw data file changes nothing: unmapped clusters are holes, not read from that file.
 */
static void test_raw(void **state)
{
    (void)state;
    make(3, 0);
    put_be(&s, Q_AUTOCLEAR, 8, 2);
    entry(1, Q_COPIED | CLUSTER);
    open_granted();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(CLUSTER), FILE_DATA(CLUSTER, CLUSTER, 1),
                   HOLE(CLUSTER));
}

#define TEST(function) cmocka_unit_test_teardown(function, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kinds),       TEST(test_read),  TEST(test_bad_places),
        TEST(test_subclusters), TEST(test_holes), TEST(test_raw),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
