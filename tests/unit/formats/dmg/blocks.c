// SPDX-License-Identifier: Apache-2.0
/* dmg: block tables, their chunks, and how chunks are found. */
#include <errno.h>

#include "tests/support/dmg-image.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void test_kinds(void **state)
{
    (void)state;
    MAKE_DMG(&s, 45, {DMG_ZERO, 0, 5, 0, 0}, {DMG_RAW, 5, 4, 512, 2048}, {DMG_IGNORE, 9, 6, 0, 0},
             {DMG_COMMENT, 0, 99, 0, 0}, {DMG_ZLIB, 15, 5, 2560, 10}, {DMG_ADC, 20, 5, 0, 1},
             {DMG_BZIP2, 25, 5, 0, 1}, {DMG_LZFSE, 30, 5, 0, 1}, {DMG_LZMA, 35, 5, 0, 1},
             {DMG_RAW, 40, 5, 100, 2560}, {DMG_TERMINATOR, 45, 0, 0, 0});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_int_equal(s.disk.virtual_size, 45 * 512);
    assert_null(s.disk.subformat);
#define PACKED                                                                                     \
    {.length = 5 * 512, .kind = EXTENT_DATA, .host = EXTENT_NO_HOST, .flags = EXTENT_COMPRESSED}
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, ZERO(5 * 512), DATA(2048, 512), ZERO(6 * 512), PACKED,
                   PACKED, PACKED, PACKED, PACKED, DATA(5 * 512, 100));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(5 * 512), DATA(2048, 0), ZERO(6 * 512),
                   DATA(30 * 512, 0));
    assert_string_equal(image_problems(s.img), "");
}

static void test_subformats(void **state)
{
    static const struct {
        uint32_t first, second;
        const char *name;
    } pairs[] = {
        {DMG_RAW, DMG_ZERO, NULL},       {DMG_RAW, DMG_ZLIB, "UDZO"},
        {DMG_ADC, DMG_RAW, "UDCO"},      {DMG_BZIP2, DMG_BZIP2, "UDBZ"},
        {DMG_LZFSE, DMG_IGNORE, "ULFO"}, {DMG_ZERO, DMG_LZMA, "ULMO"},
        {DMG_ZLIB, DMG_LZFSE, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        MAKE_DMG(&s, 2, {pairs[i].first, 0, 1, 0, 512}, {pairs[i].second, 1, 1, 0, 512});
        assert_int_equal(sample_open(&s, &dmg_driver), 0);
        if (pairs[i].name)
            assert_string_equal(s.disk.subformat, pairs[i].name);
        else
            assert_null(s.disk.subformat);
    }
    /* Two kinds, and then the first one again. */
    MAKE_DMG(&s, 3, {DMG_ZLIB, 0, 1, 0, 1}, {DMG_ADC, 1, 1, 0, 1}, {DMG_ZLIB, 2, 1, 0, 1});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_null(s.disk.subformat);
}

/* Chunks that are refused when the disk is opened. */
static void test_refused(void **state)
{
    static const struct {
        struct dmg_entry entry;
        int error;
        const char *words;
    } defects[] = {
        {{DMG_ZLIB, 0, 131072, 0, 64 << 20}, 0, ""},
        {{DMG_ZLIB, 0, 131073, 0, 1}, EFBIG, "chunk 1: SectorCount 131073"},
        {{DMG_RAW, 0, 131073, 0, 1}, EFBIG, "chunk 1: SectorCount 131073"},
        {{0x1234, 0, 131073, 0, 1}, EFBIG, "chunk 1: SectorCount 131073"},
        {{DMG_RAW, 0, UINT64_MAX, 0, 1}, EFBIG, "SectorCount 18446744073709551615"},
        {{DMG_ZLIB, 0, 1, 0, (64 << 20) + 1}, EFBIG, "chunk 1: CompressedLength 67108865"},
        {{DMG_ZERO, 0, 1, 0, (64 << 20) + 1}, EFBIG, "chunk 1: CompressedLength 67108865"},
        {{DMG_ZERO, 0, 1, 0, UINT64_MAX}, EFBIG, "CompressedLength 18446744073709551615"},
        {{DMG_ZERO, 0, INT64_MAX / 512, 0, 0}, 0, ""},
        {{DMG_ZERO, 0, INT64_MAX / 512 + 1, 0, 0}, EUCLEAN, "SectorCount 18014398509481984"},
        {{DMG_ZERO, 1, UINT64_MAX, 0, 0}, EUCLEAN, "SectorCount 18446744073709551615"},
        {{DMG_ZERO, UINT64_MAX, 1, 0, 0}, EUCLEAN, "SectorNumber 18446744073709551615"},
        {{DMG_ZERO, 0, 1, UINT64_MAX, 0}, 0, ""},
        {{DMG_RAW, 0, 1, UINT64_MAX, 0}, EUCLEAN, "CompressedOffset 18446744073709551615"},
        {{DMG_RAW, 0, 1, INT64_MAX - (64 << 20), 0}, 0, ""},
        {{DMG_RAW, 0, 1, INT64_MAX - (64 << 20) + 1, 0},
         EUCLEAN,
         "CompressedOffset 9223372036787666944"},
        {{DMG_TERMINATOR, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, 0, ""},
        {{DMG_COMMENT, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        MAKE_DMG(&s, 8, {DMG_COMMENT, 0, 0, 0, 0}, defects[i].entry);
        assert_int_equal(sample_open(&s, &dmg_driver), -defects[i].error);
        assert_reported(s.img, defects[i].words);
    }
    for (uint32_t behind = 0; behind < 2; behind++) {
        MAKE_DMG(&s, 8, {DMG_TERMINATOR, 0, 0, 0, 0},
                 {behind ? DMG_TERMINATOR : DMG_ZERO, 0, 8, 0, 0});
        assert_refused(&s, &dmg_driver, EUCLEAN, "entry 1 follows the terminator");
    }
}

/* Wrong positions of chunks: the disk opens, but guest bytes cannot be read. */
static void test_geometry(void **state)
{
    (void)state;
    MAKE_DMG(&s, 8, {DMG_ZERO, 0, 5, 0, 0}, {DMG_ZERO, 4, 4, 0, 0});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "chunk 1 begins at sector 4");
    MAKE_DMG(&s, 8, {DMG_ZERO, 4, 4, 0, 0}, {DMG_ZERO, 0, 4, 0, 0});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "chunk 1 begins at sector 0");
    MAKE_DMG(&s, 8, {DMG_ZERO, 0, 9, 0, 0});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "chunk 0 ends at sector 9");
    /* Chunks without sectors may be anywhere. */
    MAKE_DMG(&s, 8, {DMG_ZERO, 0, 4, 0, 0}, {DMG_RAW, 0, 0, 0, 0}, {DMG_RAW, 77, 0, 0, 0},
             {DMG_ZERO, 4, 4, 0, 0});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(4096));
}

/* Sectors that no chunk covers: the extents before them are returned, and those after them, if the
 * stream seeks there. */
static void test_gaps(void **state)
{
    struct extents stream;
    struct extent e;

    (void)state;
    MAKE_DMG(&s, 20, {DMG_ZERO, 1, 4, 0, 0}, {DMG_ZERO, 6, 4, 0, 0});
    for (uint64_t gap = 0; gap < 3; gap++) {
        assert_int_equal(sample_open(&s, &dmg_driver), 0);
        extents_begin(&stream, &s.disk, 0);
        assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
        assert_reported(s.img, "sector 0 is in no chunk");
        extents_seek(&stream, 512);
        assert_int_equal(extents_next(&stream, &e), 1);
        assert_int_equal(e.length, 4 * 512);
        assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
        assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
        assert_reported(s.img, "sector 5 is in no chunk");
        extents_seek(&stream, 7 * 512 + 100);
        assert_int_equal(extents_next(&stream, &e), 1);
        assert_int_equal(e.length, 3 * 512 - 100);
        assert_int_equal(extents_next(&stream, &e), -EUCLEAN);
        assert_reported(s.img, "sector 10 is in no chunk");
    }
    /* No chunk at all. */
    MAKE_DMG(&s, 1, {DMG_TERMINATOR, 0, 0, 0, 0});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "sector 0 is in no chunk");
}

static void test_bad_chunks(void **state)
{
    (void)state;
    MAKE_DMG(&s, 16, {DMG_ZERO, 0, 8, 0, 0}, {DMG_RAW, 8, 8, 0, 4095});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "chunk 1: CompressedLength 4095");
    MAKE_DMG(&s, 16, {DMG_ZERO, 0, 8, 0, 0}, {3, 8, 8, 0, 4096});
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_stream_fails(&s, 0, ENOTSUP, "chunk 1 has unknown type 0x3");
}

/* Makes three tables, the second empty, with different starts; the third begins at sector last. */
static void make_tables(uint64_t last)
{
    const struct dmg_entry entries[] = {{DMG_RAW, 1, 2, 100, 1024}, {DMG_TERMINATOR, 3, 0, 0, 0}};
    char text[4096] = PLIST_HEAD BLKX_HEAD;

    sample_begin(&s);
    for (uint64_t i = 0; i < 3; i++) {
        size_t length;
        uint8_t *mish = mish_of(entries, i == 1 ? 0 : 2, &length);
        char *base64;

        number_be(mish + MISH_SECTOR, 8, i < 2 ? i : last);
        number_be(mish + MISH_DATA_OFFSET, 8, 1000 * i);
        base64 = base64_of(mish, length);
        strcat(text, "<dict><key>Name</key><string>a</string><key>Data</key><data>");
        strcat(strcat(text, base64), "</data></dict>");
        free(base64);
        free(mish);
    }
    strcat(text, BLKX_TAIL);
    put_list(&s, text, 5);
    put_be(&s, DMG_LIST_AT + strlen(text) + KOLY_DATA_FORK_OFFSET, 8, 10);
}

static void test_tables(void **state)
{
    struct extent e;

    (void)state;
    make_tables(2);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_stream_fails(&s, 0, EUCLEAN, "sector 0 is in no chunk");
    assert_int_equal(dmg_driver.extent_at(&s.disk, 512, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.host, 110);
    assert_int_equal(dmg_driver.extent_at(&s.disk, 3 * 512 + 7, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.host, 2117);
    assert_int_equal(e.length, 1024 - 7);
    make_tables(UINT64_MAX);
    assert_refused(&s, &dmg_driver, EUCLEAN, "table sector 18446744073709551615");
}

/* A table may be longer than its NumberOfBlockChunks by less than an entry, and not shorter. */
static void test_table_length(void **state)
{
    static const struct {
        size_t length;
        uint32_t chunks;
        int error;
        const char *words;
    } tables[] = {
        {MISH_BYTES + 40, 1, 0, ""},
        {MISH_BYTES + 79, 1, 0, ""},
        {MISH_BYTES, 0, 0, ""},
        {MISH_BYTES + 39, 0, 0, ""},
        {MISH_BYTES + 40, 0, EUCLEAN, "entry 0 is more than"},
        {MISH_BYTES + 80, 1, EUCLEAN, "entry 1 is more than"},
        {MISH_BYTES + 39, 1, EUCLEAN, "ends before entry 0"},
        {MISH_BYTES + 40, 2, EUCLEAN, "ends before entry 1"},
        {MISH_BYTES + 40, UINT32_MAX, EUCLEAN, "4294967294 more"},
        {MISH_BYTES - 1, 0, EUCLEAN, "block table of 203 bytes"},
        {4, 0, EUCLEAN, "block table of 4 bytes"},
        {3, 0, EUCLEAN, "entry of blkx"},
        {0, 0, EUCLEAN, "entry of blkx"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(tables); i++) {
        const struct dmg_entry entries[] = {{DMG_ZERO, 0, 8, 0, 0}, {DMG_TERMINATOR, 8, 0, 0, 0}};
        char text[4096] = PLIST_HEAD BLKX_HEAD "<dict><key>Data</key><data>";
        size_t length;
        uint8_t *mish = mish_of(entries, 2, &length);
        char *base64;

        number_be(mish + MISH_CHUNKS, 4, tables[i].chunks);
        base64 = base64_of(mish, tables[i].length);
        strcat(strcat(strcat(text, base64), "</data></dict>"), BLKX_TAIL);
        free(base64);
        free(mish);
        sample_begin(&s);
        put_list(&s, text, 8);
        assert_int_equal(sample_open(&s, &dmg_driver), -tables[i].error);
        assert_reported(s.img, tables[i].words);
    }
}

/* A table outside blkx, which qemu would use. */
static void test_elsewhere(void **state)
{
    (void)state;
    sample_begin(&s);
    put_list(&s, "<plist><data>bWlzaA==</data></plist>", 8);
    assert_refused(&s, &dmg_driver, EUCLEAN, "not in blkx");
    put_list(&s, "<plist><data>bWlzag==</data></plist>", 8);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
}

static void test_fork(void **state)
{
    const struct dmg_entry entries[] = {{DMG_ZERO, 0, 8, 0, 0}, {DMG_TERMINATOR, 8, 0, 0, 0}};
    size_t length;
    uint8_t *mish = mish_of(entries, 2, &length);

    (void)state;
    sample_begin(&s);
    put_be(&s, 0, 4, 16);
    put_be(&s, 8, 4, 4 + 7 + 4 + length);
    put_be(&s, 16, 4, 7); /* not a table */
    put_be(&s, 16 + 4 + 7, 4, length);
    put(&s, 16 + 4 + 7 + 4, mish, length);
    put_koly(&s, 1000, 0, 0, 8);
    put_be(&s, 1000 + KOLY_RSRC_LENGTH, 8, 1000);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    ASSERT_EXTENTS(&s, 0, ZERO(4096));
    /* Shorter than any table. */
    put_be(&s, 8, 4, 4 + 7 + 4 + 203);
    put_be(&s, 16 + 4 + 7, 4, 203);
    assert_refused(&s, &dmg_driver, EUCLEAN, "block table of 203 bytes");
    free(mish);
}

/* Many chunks, requested in any order, are found without reading all chunks before them. */
static void test_many(void **state)
{
    enum { MANY = 50000 };
    struct dmg_entry *entries = calloc(MANY, sizeof *entries);
    uint64_t seed = 1, before;
    struct extent e;

    (void)state;
    assert_non_null(entries);
    for (uint64_t i = 0; i < MANY; i++)
        entries[i] = (struct dmg_entry){DMG_RAW, 3 * i, 3, 10000 * i, 1536};
    make_dmg(&s, 3 * MANY, entries, MANY);
    free(entries);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(dmg_driver.extent_at(&s.disk, 1536 * i, EXTENTS_WANT_HOST, &e), 0);
        assert_int_equal(e.host, 10000 * i);
    }
    assert_true(image_bytes_read(s.img) < 3 * image_size(s.img));
    before = image_bytes_read(s.img);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t offset;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        offset = (seed >> 20) % (1536u * MANY);
        assert_int_equal(dmg_driver.extent_at(&s.disk, offset, EXTENTS_WANT_HOST, &e), 0);
        assert_int_equal(e.host, offset / 1536 * 10000 + offset % 1536);
        assert_int_equal(e.length, 1536 - offset % 1536);
    }
    assert_true(image_bytes_read(s.img) - before < 200 * 192 * KIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),     cmocka_unit_test(test_subformats),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_gaps),      cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_tables),    cmocka_unit_test(test_table_length),
        cmocka_unit_test(test_elsewhere), cmocka_unit_test(test_fork),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
