// SPDX-License-Identifier: Apache-2.0
/* parallels: both magics, the rules of the header and of the format extension, and the table. */
#include "tests/support/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/fields.h"
#include "tests/support/unit-map-check.h"

enum {
    VERSION_AT = 16,
    TRACKS = 28,
    ENTRIES = 32,
    SECTORS = 36,
    IN_USE = 44,
    FLAGS = 52,
    EXT_OFF = 56,
    BAT_AT = 64,

    EXTENSION_AT = 1 << 20,
    FEATURE_AT = EXTENSION_AT + 24,
    BITMAP_AT = FEATURE_AT + 24,

    TRACKS_MAX = 4186127,
    FEATURES_MAX = 256,
};

#define OLD             "WithoutFreeSpace"
#define EXTENDED        "WithouFreSpacExt"
#define EXTENSION_MAGIC UINT64_C(0xab234cef23dcea87)
#define BITMAP_MAGIC    UINT64_C(0x20385fae252cb34a)
#define SECTORS_MAX     (DISK_BYTES_MAX / 512)

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void entry(uint64_t index, uint32_t value)
{
    put_le(&s, BAT_AT + 4 * index, 4, value);
}

/* Makes an image of this many clusters of tracks sectors, none allocated. */
static void make_parallels(const char *magic, uint32_t tracks, uint32_t clusters)
{
    sample_begin(&s);
    put_text(&s, 0, magic);
    put_le(&s, VERSION_AT, 4, 2);
    put_le(&s, TRACKS, 4, tracks);
    put_le(&s, ENTRIES, 4, clusters);
    put_le(&s, SECTORS, 8, (uint64_t)tracks * clusters);
    set_size(&s, 64 * KIB);
}

static void open_parallels(void)
{
    assert_int_equal(sample_open(&s, &parallels_driver), 0);
}

/* Returns the probe's result for the file, and its reason. */
static int probe(struct reason *why)
{
    *why = (struct reason){""};
    sample_session(&s);
    return parallels_driver.probe(s.img, &parallels_driver.signatures[0], why);
}

static void test_probe(void **state)
{
    struct reason why;

    (void)state;
    make_parallels(EXTENDED, 2048, 4);
    assert_int_equal(probe(&why), 1);
    put_le(&s, VERSION_AT, 4, 3);
    assert_int_equal(probe(&why), 0);
    assert_string_equal(why.words, "version 3 is not 2");
    assert_refused(&s, &parallels_driver, ENOTSUP, "version 3");
    put_text(&s, 0, "WithoutFreeSpacf");
    assert_refused(&s, &parallels_driver, EUCLEAN, "magic at offset 0");
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {VERSION_AT, 4, 1, ENOTSUP, "version 1"},
        {TRACKS, 4, 0, EUCLEAN, "tracks 0"},
        {TRACKS, 4, TRACKS_MAX + 1, EFBIG, "tracks 4186128"},
        {TRACKS, 4, UINT32_MAX, EFBIG, "tracks 4294967295"},
        {ENTRIES, 4, 0x20000000, EFBIG, "nb_bat_entries 536870912"},
        {ENTRIES, 4, UINT32_MAX, EFBIG, "nb_bat_entries 4294967295"},
    };
    static const char *const magics[] = {OLD, EXTENDED};

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++)
        for (size_t k = 0; k < COUNT(magics); k++) {
            make_parallels(magics[k], 2048, 4);
            open_parallels();
            put_le(&s, defects[i].at, defects[i].width, defects[i].value);
            assert_refused(&s, &parallels_driver, defects[i].error, defects[i].words);
        }
}

static void test_sizes(void **state)
{
    (void)state;
    make_parallels(EXTENDED, 2048, 4);
    put_le(&s, SECTORS, 8, 0);
    open_parallels();
    assert_int_equal(s.disk.virtual_size, 0);
    put_le(&s, SECTORS, 8, SECTORS_MAX);
    open_parallels();
    assert_int_equal(s.disk.virtual_size, DISK_BYTES_MAX);
    ASSERT_EXTENTS(&s, 0, HOLE(4 * MIB), HOLE(DISK_BYTES_MAX - 4 * MIB));
    put_le(&s, SECTORS, 8, SECTORS_MAX + 1);
    assert_refused(&s, &parallels_driver, EFBIG, "nb_sectors 18014398507384833");
    put_le(&s, SECTORS, 8, UINT64_MAX);
    assert_refused(&s, &parallels_driver, EFBIG, "nb_sectors 18446744073709551615");
    /* With the old magic only 32 bits count. */
    put_text(&s, 0, OLD);
    open_parallels();
    assert_int_equal(s.disk.virtual_size, UINT64_C(0xffffffff) * 512);
    put_le(&s, SECTORS, 8, UINT64_C(1) << 32);
    open_parallels();
    assert_int_equal(s.disk.virtual_size, 0);
}

/* Fields that are reported or ignored, but change nothing. */
static void test_oddities(void **state)
{
    (void)state;
    make_parallels(EXTENDED, 2048, 4);
    entry(1, 5);
    put_le(&s, IN_USE, 4, 0x312e3276);
    put_le(&s, FLAGS, 4, 2);
    put_le(&s, 48, 4, UINT32_MAX); /* data_off */
    open_parallels();
    assert_string_equal(image_problems(s.img), "");
    assert_string_equal(s.disk.subformat, EXTENDED);
    put_le(&s, IN_USE, 4, 0x746f6e59);
    put_le(&s, FLAGS, 4, 3);
    open_parallels();
    assert_reported(s.img, "in_use 0x746f6e59");
    assert_reported(s.img, "empty-image");
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(MIB), DATA(MIB, 5 * MIB), HOLE(2 * MIB));
    put_text(&s, 0, OLD);
    open_parallels();
    assert_string_equal(s.disk.subformat, OLD);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, HOLE(MIB), DATA(MIB, 5 * 512), HOLE(2 * MIB));
}

static void test_extended(void **state)
{
    (void)state;
    make_parallels(EXTENDED, 2048, 9);
    put_le(&s, SECTORS, 8, 8 * 2048 + 1);
    entry(0, 2);
    entry(1, 3);
    entry(2, 1);
    entry(5, UINT32_MAX);
    entry(7, 1);
    entry(8, 2);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(2 * MIB, 2 * MIB), DATA(MIB, MIB), HOLE(2 * MIB),
                   DATA(MIB, UINT32_MAX * MIB), HOLE(MIB), DATA(MIB + 512, MIB));
    ASSERT_EXTENTS(&s, 0, DATA(3 * MIB, 0), HOLE(2 * MIB), DATA(MIB, 0), HOLE(MIB),
                   DATA(MIB + 512, 0));
}

/* Entries in sectors: clusters are contiguous if their entries differ by a cluster. */
static void test_old(void **state)
{
    const uint64_t cluster = UINT64_C(63) * 512;

    (void)state;
    make_parallels(OLD, 63, 7);
    entry(0, 1);
    entry(1, 64);
    entry(2, 127);
    entry(3, 128);
    entry(5, UINT32_MAX - 62);
    entry(6, UINT32_MAX);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(3 * cluster, 512), DATA(cluster, 128 * 512),
                   HOLE(cluster), DATA(cluster, (UINT32_MAX - UINT64_C(62)) * 512),
                   DATA(cluster, UINT32_MAX * UINT64_C(512)));
    open_parallels();
    ASSERT_EXTENTS(&s, 0, DATA(4 * cluster, 0), HOLE(cluster), DATA(2 * cluster, 0));
}

/* No run wraps from the largest entry to 0. */
static void test_entry_wrap(void **state)
{
    (void)state;
    make_parallels(OLD, 2048, 2);
    entry(0, UINT32_MAX - 2046);
    entry(1, 1);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(MIB, (UINT32_MAX - UINT64_C(2046)) * 512),
                   DATA(MIB, 512));
}

static void test_extent_within(void **state)
{
    struct extent e = {.offset = MIB + 1000, .host = EXTENT_NO_HOST};

    (void)state;
    make_parallels(EXTENDED, 2048, 5);
    entry(1, 7);
    entry(2, 3);
    open_parallels();
    assert_int_equal(parallels_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.host, 7 * MIB + 1000);
    assert_int_equal(e.length, MIB - 1000);
    assert_int_equal(parallels_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
    assert_int_equal(e.length, 2 * MIB - 1000);
    assert_int_equal(parallels_driver.extent_at(&s.disk, 3 * MIB + 1, 0, &e), 0);
    assert_int_equal(e.kind, EXTENT_HOLE);
    assert_int_equal(e.length, 2 * MIB - 1);
}

/* Clusters of the largest size. */
static void test_largest_clusters(void **state)
{
    const uint64_t cluster = TRACKS_MAX * UINT64_C(512);

    (void)state;
    make_parallels(EXTENDED, TRACKS_MAX, 3);
    entry(0, UINT32_MAX);
    entry(1, 1);
    entry(2, 2);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(cluster, UINT32_MAX * cluster),
                   DATA(2 * cluster, cluster));
}

/* Clusters past the end of the BAT, or of a file that ends in it, are not allocated. */
static void test_short_table(void **state)
{
    (void)state;
    make_parallels(EXTENDED, 2048, 8);
    for (uint64_t i = 0; i < 8; i++)
        entry(i, 1);
    put_le(&s, ENTRIES, 4, 3);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(3 * MIB, 0), HOLE(5 * MIB));
    put_le(&s, ENTRIES, 4, 0x1fffffff);
    set_size(&s, BAT_AT + 5); /* one byte of the second entry; the others read as zeros */
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(2 * MIB, 0), HOLE(6 * MIB));
    set_size(&s, BAT_AT + 4);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(MIB, 0), HOLE(7 * MIB));
    set_size(&s, BAT_AT);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(8 * MIB));
    set_size(&s, 40);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(8 * MIB));
}

/* A BAT of several pieces, of 256 Ki entries each. */
static void test_long_table(void **state)
{
    enum { PIECE = 256 << 10, COUNT_OF = 2 * PIECE + 7 };

    (void)state;
    make_parallels(EXTENDED, 1, COUNT_OF);
    set_size(&s, 4 * MIB);
    entry(PIECE, 1);
    entry(2 * PIECE, 2);
    entry(2 * PIECE + 6, 3);
    open_parallels();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, HOLE(PIECE * UINT64_C(512)), DATA(512, 0),
                   HOLE((PIECE - 1) * UINT64_C(512)), DATA(512, 0), HOLE(5 * 512), DATA(512, 0));
    assert_true(image_bytes_read(s.img) < 3 * MIB);
}

static void test_shortened(void **state)
{
    struct extent e = {.offset = MIB};

    (void)state;
    make_parallels(EXTENDED, 2048, 8);
    open_parallels();
    set_size(&s, BAT_AT);
    assert_int_equal(parallels_driver.extent_at(&s.disk, e.offset, 0, &e), -EIO);
    assert_reported(s.img, "shorter");
}

/* Makes an image of clusters of 64 KiB, with a dirty bitmap in a format extension. */
static void make_extension(void)
{
    make_parallels(EXTENDED, 128, 16);
    set_size(&s, 2 * MIB);
    put_le(&s, EXT_OFF, 8, EXTENSION_AT / 512);
    put_le(&s, EXTENSION_AT, 8, EXTENSION_MAGIC);
    put_be(&s, EXTENSION_AT + 8, 8, 0x0123456789abcdef);
    put_le(&s, FEATURE_AT, 8, BITMAP_MAGIC);
    put_le(&s, FEATURE_AT + 16, 4, 40);
    put_le(&s, BITMAP_AT, 8, 2048);
    put_le(&s, BITMAP_AT + 24, 4, 128);
    put_le(&s, BITMAP_AT + 28, 4, 1);
}

static void test_extension_rules(void **state)
{
    static const struct defect defects[] = {
        {EXTENSION_AT, 1, 0, EUCLEAN, "magic 0xab234cef23dcea00"},
        {EXT_OFF, 8, 1 << 20, EUCLEAN, "format extension (24 bytes at offset 536870912)"},
        {EXT_OFF, 8, UINT64_C(1) << 54, EUCLEAN, "ext_off 18014398509481984"},
        {EXT_OFF, 8, UINT64_C(1) << 55, EUCLEAN, "ext_off 36028797018963968"},
        {EXT_OFF, 8, (UINT64_C(1) << 55) + 2048, EUCLEAN, "ext_off 36028797018966016"},
        {EXT_OFF, 8, UINT64_MAX, EUCLEAN, "ext_off 18446744073709551615"},
        {FEATURE_AT, 1, 0, ENOTSUP, "magic 0x20385fae252cb300"},
        {FEATURE_AT + 8, 8, 1, ENOTSUP, "flags 0x1"},
        {FEATURE_AT + 16, 4, 31, EUCLEAN, "dirty bitmap data_size 31"},
        {FEATURE_AT + 16, 4, 39, EUCLEAN, "l1_size 1"},
        {FEATURE_AT + 16, 4, 65536 - 48, EUCLEAN, "no end of features"},
        {FEATURE_AT + 16, 4, 65536 - 48 - 23, EUCLEAN, "no end of features"},
        {FEATURE_AT + 16, 4, 65536 - 47, EUCLEAN, "data_size 65489"},
        {FEATURE_AT + 16, 4, UINT32_MAX, EUCLEAN, "data_size 4294967295"},
        {BITMAP_AT, 8, 2047, EUCLEAN, "dirty bitmap size 2047"},
        {BITMAP_AT + 24, 4, 0, EUCLEAN, "granularity 0"},
        {BITMAP_AT + 24, 4, 3, EUCLEAN, "granularity 3"},
        {BITMAP_AT + 24, 4, 1 << 23, EUCLEAN, "granularity 8388608"},
        {BITMAP_AT + 28, 4, 2, EUCLEAN, "l1_size 2"},
        {BITMAP_AT + 28, 4, UINT32_MAX, EUCLEAN, "l1_size 4294967295"},
        {BITMAP_AT + 40 + 8, 8, 1, ENOTSUP, "flags 0x1"}, /* of the end of features */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_extension();
        open_parallels();
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &parallels_driver, defects[i].error, defects[i].words);
    }
}

static void test_extension_edges(void **state)
{
    (void)state;
    make_extension();
    put_le(&s, FEATURE_AT + 16, 4, 65536 - 48 - 24);
    open_parallels();
    put_le(&s, FEATURE_AT + 16, 4, 33);
    put_le(&s, BITMAP_AT + 28, 4, 0);
    put_le(&s, BITMAP_AT + 24, 4, 1 << 22);
    open_parallels();
    put_text(&s, 0, OLD);
    open_parallels();
    /* The maximum number of features, including the end. */
    for (uint64_t i = 0; i < FEATURES_MAX - 1; i++) {
        put_le(&s, FEATURE_AT + 56 * i, 8, BITMAP_MAGIC);
        put_le(&s, FEATURE_AT + 56 * i + 16, 4, 32);
        put_le(&s, BITMAP_AT + 56 * i, 8, 2048);
        put_le(&s, BITMAP_AT + 56 * i + 24, 8, 1);
    }
    put_le(&s, FEATURE_AT + UINT64_C(56) * (FEATURES_MAX - 1), 8, 0);
    put_le(&s, FEATURE_AT + UINT64_C(56) * (FEATURES_MAX - 1) + 16, 4, 0);
    open_parallels();
    put_le(&s, FEATURE_AT + UINT64_C(56) * (FEATURES_MAX - 1), 8, BITMAP_MAGIC);
    put_le(&s, FEATURE_AT + UINT64_C(56) * (FEATURES_MAX - 1) + 16, 4, 32);
    put_le(&s, BITMAP_AT + UINT64_C(56) * (FEATURES_MAX - 1), 8, 2048);
    put_le(&s, BITMAP_AT + UINT64_C(56) * (FEATURES_MAX - 1) + 24, 8, 1);
    assert_refused(&s, &parallels_driver, EFBIG,
                   "parallels: format extension has more than 256 features");
}

static void assert_field(const char *directory, const char *name, const char *value)
{
    static char text[FIELD_TEXT_MAX];

    assert_int_equal(header_value(&s.disk, directory, name, text), 0);
    assert_string_equal(text, value);
}

static void test_fields(void **state)
{
    static char text[FIELD_TEXT_MAX];

    (void)state;
    make_extension();
    put_le(&s, 20, 4, 16);
    put_le(&s, FLAGS, 4, 5);
    open_parallels();
    assert_field("", "magic", EXTENDED);
    assert_field("", "version", "2");
    assert_field("", "heads", "16");
    assert_field("", "tracks", "128");
    assert_field("", "nb_bat_entries", "16");
    assert_field("", "nb_sectors", "2048");
    assert_field("", "flags", "empty-image bit-2");
    assert_field("", "ext_off", "2048");
    assert_field("extension", "magic", "12331784794653125255");
    assert_field("extension", "check_sum", "0123456789abcdef0000000000000000");
    /* No extension, one beyond any file, and one past the end of this file. */
    put_le(&s, EXT_OFF, 8, 0);
    open_parallels();
    assert_int_equal(header_value(&s.disk, "extension", "magic", text), -ENOENT);
    put_le(&s, EXT_OFF, 8, UINT64_C(1) << 55);
    assert_refused(&s, &parallels_driver, EUCLEAN, "ext_off 36028797018963968");
    assert_int_equal(header_value(&s.disk, "extension", "magic", text), -ENOENT);
    put_le(&s, EXT_OFF, 8, UINT64_C(1) << 50);
    assert_refused(&s, &parallels_driver, EUCLEAN, "format extension (24 bytes");
    assert_int_equal(header_value(&s.disk, "extension", "magic", text), -EUCLEAN);
}

static void test_content(void **state)
{
    uint8_t bytes[8];

    (void)state;
    make_parallels(EXTENDED, 128, 4);
    set_size(&s, MIB);
    entry(0, 2);
    entry(1, 1);
    put_text(&s, 64 * KIB, "behind");
    put_text(&s, 192 * KIB - 4, "edge");
    open_parallels();
    assert_int_equal(disk_read(&s.disk, 64 * KIB - 4, bytes, 8), 0);
    assert_memory_equal(bytes, "edgebehi", 8);
    assert_int_equal(disk_read(&s.disk, 128 * KIB, bytes, 8), 0);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
    entry(0, 1000);
    open_parallels();
    assert_int_equal(disk_read(&s.disk, 0, bytes, 8), -EIO);
}

/* In bulk: tables of all cluster sizes, and one that ends before the disk. */
static void test_bulk(void **state)
{
    (void)state;
    srand(2);
    for (uint32_t tracks = 1; tracks < 5000; tracks = 3 * tracks + 1) {
        make_parallels(tracks % 2 ? OLD : EXTENDED, tracks, 3000);
        for (uint32_t i = 0; i < 3000; i++)
            entry(i, random_bit(i) ? 1 + (uint32_t)rand() : 0);
        put_le(&s, ENTRIES, 4, 2900);
        open_parallels();
        assert_bulk(&s, UINT64_C(100) * tracks * 512);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_oddities),
        cmocka_unit_test(test_extended),
        cmocka_unit_test(test_old),
        cmocka_unit_test(test_entry_wrap),
        cmocka_unit_test(test_extent_within),
        cmocka_unit_test(test_short_table),
        cmocka_unit_test(test_largest_clusters),
        cmocka_unit_test(test_long_table),
        cmocka_unit_test(test_shortened),
        cmocka_unit_test(test_extension_rules),
        cmocka_unit_test(test_extension_edges),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_content),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
