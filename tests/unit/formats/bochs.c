// SPDX-License-Identifier: Apache-2.0
/* bochs: detection, the rules of the header, the catalog and the bitmaps. */
#include <errno.h>

#include "detect/detect.h"
#include "tests/support/header-value.h"

enum {
    TYPE = 32,
    SUBTYPE = 48,
    VERSION_AT = 64,
    HEADER = 68,
    CATALOG = 72,
    BITMAP = 76,
    EXTENT = 80,
    DISK_V1 = 84,
    TIMESTAMP = 84,
    DISK = 88,
    CATALOG_AT = 512,
};

#define BIG (64 * KIB) /* an extent of 128 sectors, with a bitmap of 16 bytes in one sector */

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void entry(uint64_t index, uint32_t value)
{
    put_le(&s, CATALOG_AT + 4 * index, 4, value);
}

/* Makes a disk without allocated extents. */
static void make(uint64_t size, uint32_t extent, uint32_t bitmap)
{
    uint64_t entries = (size + extent - 1) / extent;

    sample_begin(&s);
    put_text(&s, 0, "Bochs Virtual HD Image");
    put_text(&s, TYPE, "Redolog");
    put_text(&s, SUBTYPE, "Growing");
    put_le(&s, VERSION_AT, 4, 0x20000);
    put_le(&s, HEADER, 4, CATALOG_AT);
    put_le(&s, CATALOG, 4, entries);
    put_le(&s, BITMAP, 4, bitmap);
    put_le(&s, EXTENT, 4, extent);
    put_le(&s, DISK, 8, size);
    for (uint64_t i = 0; i < entries; i++)
        entry(i, UINT32_MAX);
    set_size(&s, CATALOG_AT + 4 * entries);
}

/* File offset of the bitmap of extent number place, of a disk of 8 extents of BIG. */
static uint64_t bitmap_at(uint64_t place)
{
    return CATALOG_AT + 4 * 8 + place * (512 + BIG);
}

static const struct format_driver *found(void)
{
    struct detection d;

    sample_session(&s);
    assert_int_equal(detect(s.img, NULL, &d), 0);
    return d.driver;
}

static void test_detection(void **state)
{
    static const struct {
        uint64_t at;
        const char *text, *why;
    } others[] = {
        {TYPE, "Redolog!", "type is not"},       {TYPE, "RedologRedologRe", "type is not"},
        {SUBTYPE, "Undoable", "subtype is not"}, {SUBTYPE, "Volatile", "subtype is not"},
        {VERSION_AT, "\1", "version 0x20001"},
    };

    (void)state;
    make(8 * BIG, BIG, 16);
    assert_ptr_equal(found(), &bochs_driver);
    put_le(&s, VERSION_AT, 4, 0x10000);
    assert_ptr_equal(found(), &bochs_driver);
    for (size_t i = 0; i < COUNT(others); i++) {
        make(8 * BIG, BIG, 16);
        put_text(&s, others[i].at, others[i].text);
        assert_ptr_equal(found(), &raw_driver);
        assert_reported(s.img, others[i].why);
        assert_refused(&s, &bochs_driver, EUCLEAN, others[i].why);
    }
    make(8 * BIG, BIG, 16);
    put_text(&s, 22, "!");
    assert_ptr_equal(found(), &raw_driver);
    assert_string_equal(image_problems(s.img), "");
    assert_refused(&s, &bochs_driver, EUCLEAN, "magic at offset 0");
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {EXTENT, 4, 0, EUCLEAN, "extent size 0"},
        {EXTENT, 4, 256, EUCLEAN, "extent size 256"},
        {EXTENT, 4, 65024, EUCLEAN, "extent size 65024"},
        {EXTENT, 4, 16 << 20, EUCLEAN, "extent size 16777216"},
        {EXTENT, 4, UINT32_C(1) << 31, EUCLEAN, "extent size 2147483648"},
        {EXTENT, 4, 32 << 10, EUCLEAN, "catalog of 8 extents of 32768 bytes"},
        {EXTENT, 4, 4 << 20, EUCLEAN, "bitmap size 16"},
        {BITMAP, 4, 0, EUCLEAN, "bitmap size 0"},
        {CATALOG, 4, 7, EUCLEAN, "catalog of 7 extents"},
        {CATALOG, 4, 0, EUCLEAN, "catalog of 0 extents"},
        {CATALOG, 4, 9, EUCLEAN, "catalog (36 bytes at offset 512)"},
        {CATALOG, 4, (1 << 20) + 1, EFBIG, "catalog of 1048577 entries"},
        {CATALOG, 4, UINT32_MAX, EFBIG, "catalog of 4294967295 entries"},
        {HEADER, 4, 513, EUCLEAN, "catalog (32 bytes at offset 513)"},
        {HEADER, 4, UINT32_MAX, EUCLEAN, "catalog (32 bytes at offset 4294967295)"},
        {DISK, 8, 8 * BIG + 512, EUCLEAN, "disk of 524800 bytes"},
        {DISK, 8, UINT64_MAX, EUCLEAN, "disk of 18446744073709551104 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make(8 * BIG, BIG, 16);
        assert_int_equal(sample_open(&s, &bochs_driver), 0);
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &bochs_driver, defects[i].error, defects[i].words);
    }
}

/* Extreme values that are accepted. */
static void test_header_edges(void **state)
{
    (void)state;
    make(8 * BIG, BIG, 16);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_string_equal(s.disk.subformat, "growing");
    put_le(&s, DISK, 8, 7 * BIG + 1023);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_int_equal(s.disk.virtual_size, 7 * BIG + 512);
    put_le(&s, BITMAP, 4, 1); /* rounded up to a sector */
    put_le(&s, EXTENT, 4, 2 << 20);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    put_le(&s, BITMAP, 4, 513);
    put_le(&s, EXTENT, 4, 4 << 20);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    put_le(&s, BITMAP, 4, UINT32_MAX);
    put_le(&s, EXTENT, 4, 8 << 20);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    ASSERT_EXTENTS(&s, 0, ZERO(7 * BIG + 512));
    put_le(&s, CATALOG, 4, 1 << 20);
    set_size(&s, CATALOG_AT + (4 << 20));
    put_le(&s, DISK, 8, UINT64_C(8) << 40);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    put_le(&s, DISK, 8, (UINT64_C(8) << 40) + 512);
    assert_refused(&s, &bochs_driver, EUCLEAN, "catalog of 1048576 extents");
    make(0, BIG, 16);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_int_equal(s.disk.virtual_size, 0);
    put_le(&s, HEADER, 4, 0);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_reported(s.img, "header size 0");
}

/* Extents in the order of the catalog, not of the file; the sectors that their bitmaps have. */
static void test_extents(void **state)
{
    (void)state;
    make(8 * BIG, BIG, 16);
    set_size(&s, bitmap_at(3));
    entry(1, 2);
    entry(2, 0);
    entry(7, 1);
    put(&s, bitmap_at(0), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    put(&s, bitmap_at(2), "\x81\0\xff\xff\x0f", 5);
    put(&s, bitmap_at(1) + 15, "\x80", 1);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, ZERO(BIG), DATA(512, bitmap_at(2) + 512), ZERO(6 * 512),
                   DATA(512, bitmap_at(2) + 512 + 7 * 512), ZERO(8 * 512),
                   DATA(20 * 512, bitmap_at(2) + 512 + 16 * 512), ZERO(92 * 512),
                   DATA(BIG, bitmap_at(0) + 512), ZERO(4 * BIG), ZERO(127 * 512),
                   DATA(512, bitmap_at(1) + BIG));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(BIG), DATA(512, 0), ZERO(6 * 512), DATA(512, 0),
                   ZERO(8 * 512), DATA(20 * 512, 0), ZERO(92 * 512), DATA(BIG, 0),
                   ZERO(4 * BIG + 127 * 512), DATA(512, 0));
}

/* An extent that begins inside a sector. */
static void test_extent_within(void **state)
{
    struct extent e = {.offset = BIG + 3 * 512 + 100, .host = EXTENT_NO_HOST};

    (void)state;
    make(8 * BIG, BIG, 16);
    set_size(&s, bitmap_at(1));
    entry(1, 0);
    put(&s, bitmap_at(0), "\x18", 1);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_int_equal(bochs_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.kind, EXTENT_DATA);
    assert_int_equal(e.length, 1024 - 100);
    assert_int_equal(e.host, bitmap_at(0) + 512 + 3 * 512 + 100);
    e = (struct extent){.offset = 100};
    assert_int_equal(bochs_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
    assert_int_equal(e.kind, EXTENT_ZERO);
    assert_int_equal(e.length, BIG - 100);
}

/* The smallest extents: a bitmap has one bit. Bitmaps are read together, in any order. */
static void test_small_extents(void **state)
{
    (void)state;
    make(4096 * 512, 512, 1);
    set_size(&s, CATALOG_AT + 4 * 4096 + 4096 * 1024);
    for (uint64_t i = 0; i < 4096; i++) {
        entry(i, (uint32_t)(i ^ 1));
        if (i < 4000)
            put(&s, CATALOG_AT + 4 * 4096 + i * 1024, "\1", 1);
    }
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(4000 * 512, 0), ZERO(96 * 512));
}

/* Past the end of the file, bitmaps read as zeros; data is data that cannot be read. */
static void test_past_the_end(void **state)
{
    uint8_t bytes[512];

    (void)state;
    make(8 * BIG, BIG, 16);
    entry(0, 0);
    entry(3, 1);
    entry(5, 1000);
    entry(6, UINT32_MAX - 1);
    put(&s, bitmap_at(0), "\xff", 1);
    set_size(&s, bitmap_at(0) + 512 + 2000);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(8 * 512, bitmap_at(0) + 512), ZERO(BIG - 8 * 512),
                   ZERO(7 * BIG));
    assert_int_equal(disk_read(&s.disk, 1024, bytes, 512), 0);
    assert_int_equal(disk_read(&s.disk, 1536, bytes, 512), -EIO);
    assert_reported(s.img, "guest data");
    assert_int_equal(disk_read(&s.disk, 8 * 512, bytes, 512), 0);
    /* The largest stride and the largest entries: no overflow. */
    put_le(&s, BITMAP, 4, UINT32_MAX);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(8 * 512, 0), ZERO(8 * BIG - 8 * 512));
}

/* More allocated entries than the file has room for. */
static void test_shared_extents(void **state)
{
    (void)state;
    make(8 * BIG, BIG, 16);
    set_size(&s, bitmap_at(2) + 1);
    put(&s, bitmap_at(0), "\xff", 1);
    for (uint64_t i = 0; i < 3; i++)
        entry(i, 0);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    ASSERT_EXTENTS(&s, 0, DATA(8 * 512, 0), ZERO(BIG - 8 * 512), DATA(8 * 512, 0),
                   ZERO(BIG - 8 * 512), DATA(8 * 512, 0), ZERO(BIG - 8 * 512), ZERO(5 * BIG));
    entry(3, 0);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "catalog allocates 4 extents");
    /* An entry past the end of the disk does not count. */
    put_le(&s, DISK, 8, 3 * BIG);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_int_equal(bochs_driver.extent_at(&s.disk, 0, 0, &(struct extent){.offset = 0}), 0);
}

/* A catalog of several pieces; only the last extent is allocated. */
static void test_long_catalog(void **state)
{
    enum { ENTRIES = 600000 };

    (void)state;
    make(UINT64_C(8192) * ENTRIES, 8192, 2);
    entry(ENTRIES - 1, 0);
    put(&s, CATALOG_AT + UINT64_C(4) * ENTRIES, "\xff\xff", 2);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(UINT64_C(8192) * (ENTRIES - 1)), DATA(8192, 0));
    /* Read twice: to count entries, and to walk. */
    assert_true(image_bytes_read(s.img) < 6 * MIB);
}

static void test_fields(void **state)
{
    (void)state;
    make(8 * BIG, BIG, 16);
    put_le(&s, TIMESTAMP, 4, 12345);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_header(&s, "", "magic", "Bochs Virtual HD Image");
    assert_header(&s, "", "type", "Redolog");
    assert_header(&s, "", "subtype", "Growing");
    assert_header(&s, "", "version", "131072");
    assert_header(&s, "", "header", "512");
    assert_header(&s, "", "catalog", "8");
    assert_header(&s, "", "bitmap", "16");
    assert_header(&s, "", "extent", "65536");
    assert_header(&s, "", "timestamp", "12345");
    assert_header(&s, "", "disk", "524288");
    put_le(&s, VERSION_AT, 4, 0x10000);
    put_le(&s, DISK_V1, 8, 12345);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    assert_int_equal(s.disk.virtual_size, 24 * 512);
    assert_header(&s, "", "timestamp", NULL);
    assert_header(&s, "", "disk", "12345");
}

/* With the numbers of a qemu, all is data. */
static void test_qemu(void **state)
{
    const struct open_options options = {.qemu = QEMU_VERSION(7, 2)};

    (void)state;
    make(8 * BIG, BIG, 16);
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &bochs_driver, &options), 0);
    ASSERT_EXTENTS(&s, 0, DATA(8 * BIG, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, ZERO(8 * BIG));
}

/* The file is truncated while it is read. */
static void test_shortened(void **state)
{
    struct extent e = {.offset = 0};

    (void)state;
    make(8 * BIG, BIG, 16);
    assert_int_equal(sample_open(&s, &bochs_driver), 0);
    set_size(&s, 512);
    assert_int_equal(bochs_driver.extent_at(&s.disk, 0, 0, &e), -EIO);
    assert_reported(s.img, "shorter");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection),     cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_header_edges),  cmocka_unit_test(test_extents),
        cmocka_unit_test(test_extent_within), cmocka_unit_test(test_small_extents),
        cmocka_unit_test(test_past_the_end),  cmocka_unit_test(test_shared_extents),
        cmocka_unit_test(test_long_catalog),  cmocka_unit_test(test_fields),
        cmocka_unit_test(test_qemu),          cmocka_unit_test(test_shortened),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
