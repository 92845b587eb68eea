// SPDX-License-Identifier: Apache-2.0
/* qcow2: header extensions, and the external data file that one of them names. */
#include "tests/support/qcow2-image.h"

enum {
    CLUSTER = 65536,
    BITMAPS = 0x23852875,
    LUKS = 0x0537be77,
    DATA_FILE = 0x44415441,
    FIRST = 104
};

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* Writes the header of an extension. Returns the offset of its data. */
static uint64_t extension(uint64_t at, uint32_t type, uint32_t length)
{
    put_be(&s, at, 4, type);
    put_be(&s, at + 4, 4, length);
    return at + 8;
}

static void test_unknown(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    extension(FIRST, 0x12345678, 5);
    extension(FIRST + 16, 0xffffffff, 16);
    extension(FIRST + 40, 0, 0);
    extension(FIRST + 48, 1, UINT32_MAX); /* after the end marker */
    reopen(&s);
    /* The end marker has a length, too, which is checked as in qemu. */
    extension(FIRST + 40, 0, CLUSTER - FIRST - 48);
    reopen(&s);
    extension(FIRST + 40, 0, CLUSTER - FIRST - 47);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header extension 0x00000000 ");
    extension(FIRST + 40, 1, UINT32_MAX);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header extension 0x00000001 (4294967295");
}

/* Extensions end where the backing file's name begins, or with the first cluster. */
static void test_room(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    extension(FIRST, 1, CLUSTER - FIRST - 8);
    reopen(&s);
    extension(FIRST, 1, CLUSTER - FIRST - 7);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header extension 0x00000001 (65425");
    put_be(&s, Q_BACKING_OFFSET, 8, 205);
    extension(FIRST, 1, 205 - FIRST - 8);
    reopen(&s);
    extension(FIRST, 1, 205 - FIRST - 7);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header extension 0x00000001 (94");
    /* No room for the header of one. */
    put_be(&s, Q_BACKING_OFFSET, 8, FIRST + 7);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "offset 111");
    put_be(&s, Q_BACKING_OFFSET, 8, FIRST + 8);
    extension(FIRST, 1, 0);
    reopen(&s);
    put_be(&s, Q_BACKING_OFFSET, 8, FIRST);
    extension(FIRST, 1, UINT32_MAX);
    reopen(&s);
}

/* Any number of extensions is accepted, and each of their bytes is read once. */
static void test_many(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    for (uint64_t i = 0; i < 300; i++)
        extension(FIRST + 24 * i, 1, 12);
    reopen(&s);
    assert_true(image_bytes_read(s.img) <= 16384);
    extension(FIRST + 24 * 300, 1, CLUSTER);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "(65536 bytes at offset 7312)");
    /* As many as fit in the first cluster. */
    make_qcow2(&s, GIB, 16);
    for (uint64_t at = FIRST; at < CLUSTER; at += 8)
        extension(at, 1, 0);
    reopen(&s);
    assert_true(image_bytes_read(s.img) <= CLUSTER + 8192);
}

static void test_version_2(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_VERSION, 4, 2);
    put(&s, 72, (uint8_t[64]){0}, 64);
    extension(72, BITMAPS, 24);
    extension(104, 1, UINT32_MAX);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "header extension 0x00000001");
    extension(104, 0, 0);
    reopen(&s);
    assert_string_equal(image_problems(s.img), "");
}

static void test_data_file(void **state)
{
    uint8_t byte;

    (void)state;
    make_qcow2(&s, GIB, 16);
    put_text(&s, extension(FIRST, DATA_FILE, 6), "da\x1bta.raw");
    reopen(&s);
    assert_int_equal(s.disk.references_count, 0);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 2);
    reopen(&s);
    ASSERT_REFERENCE(0, REFERENCE_DATA, "data file", "da\x1bta.");
    assert_string_equal(s.disk.references[0].format, "raw");
    /* Holes can be read without the data file. */
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(GIB));
    assert_int_equal(disk_read(&s.disk, 0, &byte, 1), 0);
    put_be(&s, CLUSTER, 8, 4 * CLUSTER);
    put_be(&s, 4 * CLUSTER, 8, Q_COPIED);
    reopen(&s);
    assert_int_equal(disk_read(&s.disk, 0, &byte, 1), -EACCES);
    assert_reported(s.img, "data file \"da\\x1bta.\"");
    /* The feature bit alone makes a reference, without a name. */
    extension(FIRST, 1, 6);
    reopen(&s);
    ASSERT_REFERENCE(0, REFERENCE_DATA, "data file", "");
    assert_int_equal(disk_read(&s.disk, 0, &byte, 1), -EACCES);
    assert_reported(s.img, "the data file (external data file name");
}

static void test_data_file_long_name(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 2);
    extension(FIRST, DATA_FILE, 50000);
    put(&s, FIRST + 8, memset((char[1100]){0}, '\n', 1100), 1100);
    reopen(&s);
    assert_int_equal(s.disk.references[0].length, 1023);
}

static void test_data_file_twice(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 2);
    extension(FIRST, DATA_FILE, 0);
    extension(FIRST + 8, DATA_FILE, 8);
    assert_refused(&s, &qcow2_driver, EUCLEAN,
                   "qcow2: a second external data file name at offset 120");
}

/* The name of the backing file's format. */
static void test_backing_format(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    extension(FIRST, 0xe2792aca, 15);
    reopen(&s);
    extension(FIRST, 0xe2792aca, 16);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "backing file format name of 16");
}

static void test_luks(void **state)
{
    (void)state;
    for (uint32_t method = 0; method <= 2; method++) {
        make_qcow2(&s, GIB, 16);
        extension(FIRST, LUKS, 16);
        put_be(&s, Q_CRYPT, 4, method);
        if (method == 2)
            reopen(&s);
        else
            assert_refused(&s, &qcow2_driver, EUCLEAN,
                           method ? "crypt_method 1" : "crypt_method 0");
    }
    for (uint32_t length = 15; length <= 17; length += 2) {
        extension(FIRST, LUKS, length);
        assert_refused(&s, &qcow2_driver, EUCLEAN, length == 15 ? "length 15" : "length 17");
    }
}

/* The autoclear bit raw-external-data requires a data file. */
static void test_data_file_raw(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_AUTOCLEAR, 8, 2);
    assert_refused(&s, &qcow2_driver, EUCLEAN, "raw-external-data");
    put_be(&s, Q_INCOMPATIBLE, 8, 1 << 2);
    reopen(&s);
    put_be(&s, Q_INCOMPATIBLE, 8, 0);
    put_be(&s, Q_VERSION, 4, 2);
    put(&s, 72, (uint8_t[8]){0}, 8);
    reopen(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),        cmocka_unit_test(test_room),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_data_file),      cmocka_unit_test(test_data_file_long_name),
        cmocka_unit_test(test_backing_format), cmocka_unit_test(test_luks),
        cmocka_unit_test(test_data_file_raw),  cmocka_unit_test(test_data_file_twice),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
