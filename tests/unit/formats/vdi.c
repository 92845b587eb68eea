// SPDX-License-Identifier: Apache-2.0
/* vdi: the rules of the header, its fields, and every kind of entry of the block map. */
#include "tests/support/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/fields.h"
#include "tests/support/unit-map-check.h"

enum {
    SIGNATURE = 64,
    VERSION_AT = 68,
    HEADER_SIZE = 72,
    IMAGE_TYPE = 76,
    OFFSET_BMAP = 340,
    OFFSET_DATA = 344,
    SECTOR_SIZE = 360,
    DISK_SIZE = 368,
    BLOCK_SIZE = 376,
    BLOCK_EXTRA = 380,
    BLOCKS_IN_IMAGE = 384,
    UUID_IMAGE = 392,
    UUID_LAST_SNAP = 408,
    UUID_LINK = 424,
    UUID_PARENT = 440,
    MAP_AT = 512,

    DYNAMIC = 1,
    STATIC = 2,
};

#define BLOCKS_MAX 0x1fffff80
#define DISCARDED  UINT32_C(0xfffffffe)
#define UNUSED     UINT32_MAX

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static void entry(uint64_t index, uint32_t value)
{
    put_le(&s, MAP_AT + 4 * index, 4, value);
}

/* Makes an image of this many blocks, none allocated: a header and a map. */
static void make_vdi(uint32_t type, uint32_t blocks)
{
    sample_begin(&s);
    put_text(&s, 0, "<<< text >>>\n");
    put_le(&s, SIGNATURE, 4, 0xbeda107f);
    put_le(&s, VERSION_AT, 4, 0x10001);
    put_le(&s, HEADER_SIZE, 4, 400);
    put_le(&s, IMAGE_TYPE, 4, type);
    put_le(&s, OFFSET_BMAP, 4, MAP_AT);
    put_le(&s, OFFSET_DATA, 4, MIB);
    put_le(&s, SECTOR_SIZE, 4, 512);
    put_le(&s, DISK_SIZE, 8, blocks * MIB);
    put_le(&s, BLOCK_SIZE, 4, MIB);
    put_le(&s, BLOCKS_IN_IMAGE, 4, blocks);
    set_size(&s, MIB);
    for (uint32_t i = 0; i < blocks; i++)
        entry(i, UNUSED);
}

static void open_vdi(void)
{
    assert_int_equal(sample_open(&s, &vdi_driver), 0);
}

static void test_header_rules(void **state)
{
    static const struct defect defects[] = {
        {SIGNATURE, 4, 0xbeda107e, EUCLEAN, "signature 0xbeda107e"},
        {VERSION_AT, 4, 1, ENOTSUP, "version 0.1"},
        {VERSION_AT, 4, 0x10000, ENOTSUP, "version 1.0"},
        {VERSION_AT, 4, 0x10002, ENOTSUP, "version 1.2"},
        {OFFSET_BMAP, 4, 513, EUCLEAN, "offset_bmap 513"},
        {OFFSET_BMAP, 4, MIB, EUCLEAN, "block map (16 bytes at offset 1048576)"},
        {OFFSET_BMAP, 4, 0xfffffe00, EUCLEAN, "block map (16 bytes at offset 4294966784)"},
        {OFFSET_DATA, 4, MIB + 1, EUCLEAN, "offset_data 1048577"},
        {SECTOR_SIZE, 4, 0, ENOTSUP, "sector_size 0"},
        {SECTOR_SIZE, 4, 4096, ENOTSUP, "sector_size 4096"},
        {BLOCK_SIZE, 4, 0, ENOTSUP, "block_size 0"},
        {BLOCK_SIZE, 4, MIB / 2, ENOTSUP, "block_size 524288"},
        {BLOCK_SIZE, 4, 2 * MIB, ENOTSUP, "block_size 2097152"},
        {BLOCKS_IN_IMAGE, 4, 0, EUCLEAN, "blocks_in_image 0"},
        {BLOCKS_IN_IMAGE, 4, 3, EUCLEAN, "blocks_in_image 3"},
        {BLOCKS_IN_IMAGE, 4, BLOCKS_MAX + 1, EFBIG, "blocks_in_image 536870785"},
        {DISK_SIZE, 8, 4 * MIB + 1, EUCLEAN, "disk_size 4194305"},
        {DISK_SIZE, 8, BLOCKS_MAX * MIB + 1, EFBIG, "disk_size 562949819203585"},
        {DISK_SIZE, 8, UINT64_MAX, EFBIG, "disk_size 18446744073709551615"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(defects); i++) {
        make_vdi(DYNAMIC, 4);
        open_vdi();
        put_le(&s, defects[i].at, defects[i].width, defects[i].value);
        assert_refused(&s, &vdi_driver, defects[i].error, defects[i].words);
    }
}

/* Extreme values that are accepted, and fields that are ignored. */
static void test_header_edges(void **state)
{
    (void)state;
    make_vdi(DYNAMIC, 4);
    put_le(&s, BLOCKS_IN_IMAGE, 4, BLOCKS_MAX);
    put_le(&s, HEADER_SIZE, 4, 0);
    open_vdi();
    assert_string_equal(image_problems(s.img), "");
    assert_int_equal(s.disk.virtual_size, 4 * MIB);
    assert_string_equal(s.disk.subformat, "dynamic");
    ASSERT_EXTENTS(&s, 0, ZERO(4 * MIB));
    /* The file must hold the entries that the disk needs; not the others. */
    set_size(&s, MAP_AT + 16);
    open_vdi();
    set_size(&s, MAP_AT + 15);
    assert_refused(&s, &vdi_driver, EUCLEAN, "block map");
    /* The largest disk needs a map of 2 GiB. */
    put_le(&s, DISK_SIZE, 8, BLOCKS_MAX * MIB);
    assert_refused(&s, &vdi_driver, EUCLEAN, "block map");
    set_size(&s, MAP_AT + UINT64_C(4) * BLOCKS_MAX);
    open_vdi();
    assert_int_equal(s.disk.virtual_size, BLOCKS_MAX * MIB);
    /* An empty disk needs no map. */
    put_le(&s, DISK_SIZE, 8, 0);
    set_size(&s, 500);
    open_vdi();
    assert_int_equal(s.disk.virtual_size, 0);
}

static void test_odd_sizes(void **state)
{
    (void)state;
    make_vdi(DYNAMIC, 4);
    put_le(&s, DISK_SIZE, 8, 1);
    open_vdi();
    assert_int_equal(s.disk.virtual_size, 512);
    put_le(&s, DISK_SIZE, 8, 4 * MIB - 511);
    open_vdi();
    assert_int_equal(s.disk.virtual_size, 4 * MIB);
}

static void test_types(void **state)
{
    static const struct {
        uint32_t type;
        const char *name, *words;
    } types[] = {
        {0, "dynamic", "image_type 0"},
        {1, "dynamic", ""},
        {2, "static", ""},
        {3, "undo", "image_type 3"},
        {4, "differencing", "image_type 4"},
        {5, "dynamic", "image_type 5"},
        {UINT32_MAX, "dynamic", "image_type 4294967295"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        make_vdi(types[i].type, 2);
        open_vdi();
        assert_string_equal(s.disk.subformat, types[i].name);
        if (*types[i].words)
            assert_reported(s.img, types[i].words);
        else
            assert_string_equal(image_problems(s.img), "");
        /* With a parent, no type is reported. */
        put_le(&s, UUID_PARENT, 4, 1);
        open_vdi();
        assert_string_equal(s.disk.subformat, types[i].name);
        assert_int_equal(s.disk.references_count, 1);
        assert_string_equal(image_problems(s.img), "");
    }
}

static void test_blocks(void **state)
{
    (void)state;
    make_vdi(DYNAMIC, 9);
    put_le(&s, DISK_SIZE, 8, 8 * MIB + 512);
    entry(0, 1);
    entry(1, 2);
    entry(2, 0);
    entry(3, DISCARDED);
    entry(5, DISCARDED - 1);
    entry(7, 0);
    entry(8, 1);
    open_vdi();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(2 * MIB, 2 * MIB), DATA(MIB, MIB), ZERO(2 * MIB),
                   DATA(MIB, MIB + UINT64_C(0xfffffffd) * MIB), ZERO(MIB), DATA(MIB + 512, MIB));
    ASSERT_EXTENTS(&s, 0, DATA(3 * MIB, 0), ZERO(2 * MIB), DATA(MIB, 0), ZERO(MIB),
                   DATA(MIB + 512, 0));
}

/* An extent that begins inside a block. */
static void test_extent_within(void **state)
{
    struct extent e = {.offset = MIB + 1000, .host = EXTENT_NO_HOST};

    (void)state;
    make_vdi(DYNAMIC, 4);
    entry(1, 7);
    entry(2, 3);
    open_vdi();
    assert_int_equal(vdi_driver.extent_at(&s.disk, e.offset, EXTENTS_WANT_HOST, &e), 0);
    assert_int_equal(e.host, 8 * MIB + 1000);
    assert_int_equal(e.length, MIB - 1000);
    assert_int_equal(vdi_driver.extent_at(&s.disk, e.offset, 0, &e), 0);
    assert_int_equal(e.length, 2 * MIB - 1000);
    assert_int_equal(vdi_driver.extent_at(&s.disk, 3 * MIB + 1, 0, &e), 0);
    assert_int_equal(e.kind, EXTENT_ZERO);
    assert_int_equal(e.length, MIB - 1);
}

/* Holes of the host file are zeros. */
static void test_static(void **state)
{
    (void)state;
    make_vdi(STATIC, 5);
    for (uint32_t i = 0; i < 4; i++)
        entry(i, i);
    put_text(&s, MIB + 64 * KIB, "data");
    put_text(&s, 3 * MIB, "data");
    set_size(&s, 3 * MIB + 4 * KIB);
    open_vdi();
    ASSERT_EXTENTS(
        &s, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED,
        {.length = 64 * KIB, .kind = EXTENT_ZERO, .host = MIB, .flags = EXTENT_HOST_HOLES},
        HOST_DATA(4 * KIB, MIB + 64 * KIB),
        {.length = 2 * MIB - 68 * KIB,
         .kind = EXTENT_ZERO,
         .host = MIB + 68 * KIB,
         .flags = EXTENT_HOST_HOLES},
        HOST_DATA(2 * MIB, 3 * MIB), /* most of it past the end of the file */
        ZERO(MIB));
    /* Blocks out of order: no run crosses them, even if host offsets are not requested. */
    entry(0, 2);
    entry(2, 0);
    open_vdi();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(4 * KIB, 0), ZERO(2 * MIB + 60 * KIB),
                   DATA(4 * KIB, 0), ZERO(3 * MIB - 68 * KIB));
}

/* Extra bytes before each block: adjacent blocks are not contiguous. */
static void test_block_extra(void **state)
{
    (void)state;
    make_vdi(DYNAMIC, 3);
    put_le(&s, BLOCK_EXTRA, 4, 512);
    entry(0, 0);
    entry(1, 1);
    entry(2, DISCARDED - 1);
    open_vdi();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(MIB, MIB + 512), DATA(MIB, 2 * MIB + 1024),
                   DATA(MIB, MIB + 512 + UINT64_C(0xfffffffd) * (MIB + 512)));
    ASSERT_EXTENTS(&s, 0, DATA(3 * MIB, 0));
    put_le(&s, BLOCK_EXTRA, 4, UINT32_MAX);
    open_vdi();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST, DATA(MIB, MIB + UINT32_MAX),
                   DATA(MIB, 2 * MIB + UINT64_C(2) * UINT32_MAX),
                   DATA(MIB, MIB + UINT32_MAX + UINT64_C(0xfffffffd) * (MIB + UINT32_MAX)));
}

/* A map of several pieces, of 256 Ki entries each. */
static void test_long_table(void **state)
{
    enum { PIECE = 256 << 10, ENTRIES = 2 * PIECE + 7 };

    (void)state;
    make_vdi(DYNAMIC, 1);
    put_le(&s, DISK_SIZE, 8, ENTRIES * MIB);
    put_le(&s, BLOCKS_IN_IMAGE, 4, ENTRIES);
    set_size(&s, 4 * MIB); /* all entries but the first are 0 */
    entry(PIECE, UNUSED);
    entry(2 * PIECE, DISCARDED);
    entry(2 * PIECE + 6, UNUSED);
    open_vdi();
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, ZERO(MIB), DATA((PIECE - 1) * MIB, 0), ZERO(MIB),
                   DATA((PIECE - 1) * MIB, 0), ZERO(MIB), DATA(5 * MIB, 0), ZERO(MIB));
    assert_true(image_bytes_read(s.img) < 3 * MIB);
}

/* The file is truncated while it is read. */
static void test_shortened(void **state)
{
    struct extent e = {.offset = MIB};

    (void)state;
    make_vdi(DYNAMIC, 8);
    open_vdi();
    set_size(&s, 512);
    assert_int_equal(vdi_driver.extent_at(&s.disk, e.offset, 0, &e), -EIO);
    assert_reported(s.img, "shorter");
}

static void test_content(void **state)
{
    uint8_t bytes[8];

    (void)state;
    make_vdi(DYNAMIC, 3);
    entry(0, 1);
    entry(1, 0);
    put_text(&s, MIB, "behind");
    put_text(&s, 3 * MIB - 4, "edge");
    open_vdi();
    assert_int_equal(disk_read(&s.disk, MIB - 4, bytes, 8), 0);
    assert_memory_equal(bytes, "edgebehi", 8);
    assert_int_equal(disk_read(&s.disk, 2 * MIB, bytes, 8), 0);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0", 8);
    entry(0, 7);
    open_vdi();
    assert_int_equal(disk_read(&s.disk, 0, bytes, 8), -EIO);
}

static void assert_field(const char *name, const char *value)
{
    static char text[FIELD_TEXT_MAX];

    assert_int_equal(header_value(&s.disk, "", name, text), 0);
    assert_string_equal(text, value);
}

static void test_fields(void **state)
{
    static const uint8_t uuid[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    static char text[FIELD_TEXT_MAX];

    (void)state;
    make_vdi(DYNAMIC, 8);
    put(&s, UUID_IMAGE, uuid, 16);
    put_le(&s, 80, 4, 0x102);
    put_text(&s, 84, "a disk");
    put_le(&s, 388, 4, 77);
    open_vdi();
    assert_field("text", "<<< text >>>\\x0a");
    assert_field("version", "65537");
    assert_field("image_type", "1");
    assert_field("image_flags", "zero-expand bit-1");
    assert_field("description", "a disk");
    assert_field("disk_size", "8388608");
    assert_field("blocks_allocated", "77");
    assert_field("uuid_image", "00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert_field("lchs_sector_size", "0");
    /* A header that ends before the LCHS fields, and one that ends inside them. */
    put_le(&s, HEADER_SIZE, 4, 384);
    open_vdi();
    assert_field("uuid_parent", "00000000-0000-0000-0000-000000000000");
    assert_int_equal(header_value(&s.disk, "", "lchs_cylinders", text), -ENOENT);
    put_le(&s, HEADER_SIZE, 4, 399);
    open_vdi();
    assert_field("lchs_sectors", "0");
    assert_int_equal(header_value(&s.disk, "", "lchs_sector_size", text), -ENOENT);
    put_le(&s, HEADER_SIZE, 4, UINT32_MAX);
    open_vdi();
    assert_field("lchs_sector_size", "0");
    /* Fields of an image that is refused. */
    put_le(&s, UUID_PARENT, 4, 0x11223344);
    put_le(&s, SECTOR_SIZE, 4, 513);
    assert_refused(&s, &vdi_driver, ENOTSUP, "sector_size 513");
    assert_field("uuid_parent", "11223344-0000-0000-0000-000000000000");
}

/* Any bit in either UUID means a parent, whatever the type. It has no path. */
static void test_parent(void **state)
{
    static const struct {
        uint64_t at;
        const char *source;
    } cases[] = {{UUID_LINK, "uuid_link"},
                 {UUID_LINK + 15, "uuid_link"},
                 {UUID_PARENT, "uuid_parent"},
                 {UUID_PARENT + 15, "uuid_parent"}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        make_vdi(i % 2 ? DYNAMIC : 4, 2);
        put_le(&s, cases[i].at, 1, 0x80);
        open_vdi();
        assert_int_equal(s.disk.references_count, 1);
        ASSERT_REFERENCE(0, REFERENCE_BACKING, "parent", "");
        assert_string_equal(s.disk.backing_reference->source, cases[i].source);
        assert_string_equal(s.disk.backing_reference->format, "vdi");
        assert_string_equal(image_problems(s.img), "");
        assert_stream_fails(&s, 0, EACCES, cases[i].source);
    }
    /* Both UUIDs: one parent. */
    put_le(&s, UUID_LINK, 1, 1);
    open_vdi();
    assert_int_equal(s.disk.references_count, 1);
    assert_string_equal(s.disk.backing_reference->source, "uuid_link");
}

/* A free block is the parent's; a block of zeros is not. */
static void test_blocks_of_a_child(void **state)
{
    (void)state;
    make_vdi(4, 7);
    set_size(&s, 3 * MIB);
    put_le(&s, UUID_LINK, 1, 1);
    entry(1, DISCARDED);
    entry(2, DISCARDED);
    entry(3, 1);
    entry(6, 0);
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &vdi_driver, &(struct open_options){.alone = true}),
                     0);
    ASSERT_EXTENTS(&s, 0, HOLE(MIB), ZERO(2 * MIB), DATA(MIB, 0), HOLE(2 * MIB), DATA(MIB, 0));
}

/*
 * Puts a child, with these first bytes of uuid_link and uuid_parent, above an image of uuid_image 1
 * and uuid_last_snap 2. Returns what disk_set_backing() returned.
 */
static int put_below(uint8_t link, uint8_t modified)
{
    static struct sample below = {.fd = -1};
    int error;

    make_vdi(DYNAMIC, 2);
    set_size(&s, 3 * MIB);
    put_le(&s, UUID_IMAGE, 1, 1);
    put_le(&s, UUID_LAST_SNAP, 1, 2);
    entry(1, 0);
    sample_end(&below);
    below = s;
    s = (struct sample){.fd = -1};
    assert_int_equal(sample_open(&below, &vdi_driver), 0);
    make_vdi(4, 2);
    put_le(&s, UUID_LINK, 1, link);
    put_le(&s, UUID_PARENT, 1, modified);
    open_vdi();
    error = disk_set_backing(&s.disk, &below.disk, NULL);
    if (error)
        assert_stream_fails(&s, 0, -error, "-o any-parent");
    assert_int_equal(
        disk_set_backing(&s.disk, &below.disk, &(struct open_options){.any_parent = true}), 0);
    ASSERT_EXTENTS(&s, 0, ZERO(MIB), DATA(MIB, 0));
    if (!error) {
        assert_int_equal(sample_open(&below, &raw_driver), 0);
        assert_int_equal(disk_set_backing(&s.disk, &below.disk, NULL), -EUCLEAN);
        assert_reported(s.img, "vdi: the parent is raw, not vdi; -o any-parent accepts it anyway");
    }
    sample_end(&below);
    return error;
}

static void test_identity(void **state)
{
    (void)state;
    assert_int_equal(put_below(1, 0), 0);
    assert_int_equal(put_below(1, 2), 0);
    assert_int_equal(put_below(0, 2), 0);
    assert_int_equal(put_below(3, 2), -EUCLEAN);
    assert_reported(s.img, "uuid_link is 00000003-0000-0000-0000-000000000000");
    assert_int_equal(put_below(1, 3), -EUCLEAN);
    /* In full: no fixture grants a parent with another UUID. */
    assert_reported(s.img,
                    "vdi: uuid_last_snap of the parent is 00000002-0000-0000-0000-000000000000, "
                    "but uuid_parent is 00000003-0000-0000-0000-000000000000; -o any-parent "
                    "accepts it anyway");
}

/* In bulk: more entries than a map and a piece of table have units, and an odd size of the disk. */
static void test_bulk(void **state)
{
    static const uint32_t others[] = {UNUSED, DISCARDED};

    (void)state;
    make_vdi(DYNAMIC, 70000);
    put_le(&s, DISK_SIZE, 8, 70000 * MIB - 512);
    srand(1);
    for (uint32_t i = 0; i < 70000; i++)
        entry(i, random_bit(i) ? i : others[rand() % 2]);
    open_vdi();
    assert_bulk(&s, MIB - 512);
    make_vdi(STATIC, 10);
    open_vdi();
    assert_bulk(&s, 10 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_header_edges),
        cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_extent_within),
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_block_extra),
        cmocka_unit_test(test_long_table),
        cmocka_unit_test(test_shortened),
        cmocka_unit_test(test_parent),
        cmocka_unit_test(test_blocks_of_a_child),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_fields),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
