// SPDX-License-Identifier: Apache-2.0
/* dmg: the search for the trailer, its fields and rules, and guest bytes. */
#include <errno.h>
#include <zlib.h>

#include "detect/detect.h"
#include "formats/fields.h"
#include "tests/support/dmg-image.h"

static struct sample s = {.fd = -1};

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

/* A disk of 8 sectors of zeros. */
static void make_zeros(void)
{
    MAKE_DMG(&s, 8, {DMG_ZERO, 0, 8, 0, 0}, {DMG_TERMINATOR, 8, 0, 0, 0});
    sample_session(&s);
}

static void assert_detected(bool is_dmg, uint64_t offset)
{
    struct detection d;

    sample_session(&s);
    assert_int_equal(detect(s.img, NULL, &d), 0);
    assert_string_equal(d.driver->name, is_dmg ? "dmg" : "raw");
    if (offset) {
        assert_string_equal(d.candidates[0].driver->name, "dmg");
        assert_int_equal(d.candidates[0].offset, offset);
        assert_true(d.candidates[0].is_accepted == is_dmg);
    } else {
        assert_int_equal(d.count, 1);
    }
}

/* The trailer may begin 1023 to 512 bytes before the end of the file, rounded up to sectors. */
static void test_trailer_places(void **state)
{
    static const struct {
        uint64_t size, at; /* 0: not found */
        bool found;
    } places[] = {
        {10240, 10240 - 512, true},   {10240, 10240 - 513, true}, {10240, 10240 - 1023, true},
        {10240, 10240 - 1024, false}, {10239, 10239 - 512, true}, {10239, 10240 - 1023, true},
        {10239, 10240 - 1024, false}, {9729, 9729 - 512, true},   {9729, 9729 - 513, false},
        {9728, 9728 - 1023, true},    {8192, 6000, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        sample_begin(&s);
        put_text(&s, 0, "<plist/>");
        put_koly(&s, places[i].at, 0, 8, 0);
        set_size(&s, places[i].size);
        assert_detected(places[i].found, places[i].found ? places[i].at : 0);
        assert_int_equal(sample_open(&s, &dmg_driver), places[i].found ? 0 : -EUCLEAN);
        if (!places[i].found)
            assert_reported(s.img, "no trailer");
    }
}

/* Files that are hardly larger than the trailer, or smaller. */
static void test_small_files(void **state)
{
    (void)state;
    for (uint64_t before = 8; before < 600; before += 73) {
        sample_begin(&s);
        put_text(&s, 0, "<plist/>");
        put_koly(&s, before, 0, 8, 0);
        assert_detected(true, before);
        assert_int_equal(sample_open(&s, &dmg_driver), 0);
    }
    sample_begin(&s);
    put_koly(&s, 0, 0, 8, 0);
    assert_detected(true, 0);
    assert_refused(&s, &dmg_driver, EUCLEAN, "resource fork (0 bytes at offset 0)");
    set_size(&s, 511);
    assert_detected(false, 0);
    assert_refused(&s, &dmg_driver, EUCLEAN, "no trailer");
    set_size(&s, 0);
    assert_refused(&s, &dmg_driver, EUCLEAN, "no trailer");
}

/* The signature alone is not enough, unless the format is given. */
static void test_unsure(void **state)
{
    uint64_t at;

    (void)state;
    make_zeros();
    at = koly_of(&s);
    put_be(&s, at + KOLY_HEADER_SIZE, 4, 511);
    assert_detected(false, at);
    assert_reported(s.img, "HeaderSize");
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    /* A truncated trailer. */
    make_zeros();
    at = koly_of(&s);
    put(&s, at, "\0\0\0\0", 4);
    at = (at + 511) / 512 * 512;
    put_koly(&s, at, 0, 0, 0);
    set_size(&s, at + 511);
    assert_detected(false, at);
    assert_refused(&s, &dmg_driver, EUCLEAN, "trailer (512 bytes");
    /* A signature in front of the trailer does not matter. */
    make_zeros();
    at = koly_of(&s);
    put_koly(&s, at + 20, DMG_LIST_AT, at - DMG_LIST_AT, 8);
    put(&s, at, "koly\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    set_size(&s, (at + 20 + 512 + 511) / 512 * 512);
    assert_detected(true, at + 20);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_int_equal(s.disk.virtual_size, 8 * 512);
}

static void test_rules(void **state)
{
    uint64_t at;

    (void)state;
    make_zeros();
    at = koly_of(&s);
    {
        const struct defect defects[] = {
            {KOLY_SECTOR_COUNT, 8, UINT64_MAX, EFBIG, "SectorCount 18446744073709551615"},
            {KOLY_SECTOR_COUNT, 8, DISK_BYTES_MAX / 512 + 1, EFBIG,
             "SectorCount 18014398507384833"},
            {KOLY_SECTOR_COUNT, 8, DISK_BYTES_MAX / 512, 0, ""},
            {KOLY_SECTOR_COUNT, 8, 0, 0, ""},
            {KOLY_DATA_FORK_OFFSET, 8, at, 0, ""},
            {KOLY_DATA_FORK_OFFSET, 8, at + 1, EUCLEAN, "DataForkOffset"},
            {KOLY_DATA_FORK_OFFSET, 8, UINT64_MAX, EUCLEAN, "DataForkOffset 18446744073709551615"},
            {KOLY_RSRC_OFFSET, 8, at - 1, 0, ""},
            {KOLY_RSRC_OFFSET, 8, at, EUCLEAN, "resource fork (0 bytes"},
            {KOLY_RSRC_LENGTH, 8, at + 1, EUCLEAN, "resource fork"},
            {KOLY_RSRC_LENGTH, 8, UINT64_MAX, EUCLEAN, "resource fork (18446744073709551615 bytes"},
            {KOLY_RSRC_LENGTH, 8, 1, EUCLEAN, "resource data of 0 bytes"},
            {KOLY_XML_OFFSET, 8, at, EUCLEAN, "property list"},
            {KOLY_XML_OFFSET, 8, UINT64_MAX, EUCLEAN, "bytes at offset 18446744073709551615"},
            {KOLY_XML_OFFSET, 8, DMG_LIST_AT + 1, EUCLEAN, "bytes at offset 4097"},
            {KOLY_XML_LENGTH, 8, 0, EUCLEAN, "XMLLength 0"},
            {KOLY_XML_LENGTH, 8, UINT64_MAX, EUCLEAN, "property list (18446744073709551615 bytes"},
            {KOLY_SEGMENT_NUMBER, 4, 1, 0, ""},
            {KOLY_SEGMENT_NUMBER, 4, 2, ENOTSUP, "SegmentNumber 2"},
        };

        for (size_t i = 0; i < COUNT(defects); i++) {
            make_zeros();
            put_be(&s, at + defects[i].at, defects[i].width, defects[i].value);
            assert_int_equal(sample_open(&s, &dmg_driver), -defects[i].error);
            assert_reported(s.img, defects[i].words);
        }
    }
}

/* Lists of 16 MiB, the maximum, and larger ones. */
static void test_list_sizes(void **state)
{
    static char blanks[1 << 20];
    uint64_t most = 16 * MIB;

    (void)state;
    memset(blanks, ' ', sizeof blanks);
    sample_begin(&s);
    for (uint64_t i = 0; i <= 16; i++)
        put(&s, i * MIB, blanks, sizeof blanks);
    put_text(&s, 0, "<plist/>");
    put_koly(&s, 17 * MIB, 0, most, 0);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    put_be(&s, 17 * MIB + KOLY_XML_LENGTH, 8, most + 1);
    assert_refused(&s, &dmg_driver, EFBIG,
                   "dmg: property list of 16777217 bytes is larger than 16777216");
    put_be(&s, 17 * MIB + KOLY_XML_LENGTH, 8, 8);
    put_be(&s, 17 * MIB + KOLY_RSRC_LENGTH, 8, most + 1);
    assert_refused(&s, &dmg_driver, EFBIG, "resource fork of 16777217 bytes");
}

static void test_fields(void **state)
{
    char value[FIELD_TEXT_MAX];
    uint64_t at;

    (void)state;
    make_zeros();
    at = koly_of(&s);
    put_be(&s, at + 12, 4, 0x15);
    put_be(&s, at + 64, 8, 0x123456789abc4def);
    put_be(&s, at + 64 + 8, 8, 0x8123456789abcdef);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_int_equal(header_value(&s.disk, "", "Signature", value), 0);
    assert_string_equal(value, "koly");
    assert_int_equal(header_value(&s.disk, "", "Flags", value), 0);
    assert_string_equal(value, "flattened internet-enabled bit-4");
    assert_int_equal(header_value(&s.disk, "", "SegmentID", value), 0);
    assert_string_equal(value, "12345678-9abc-4def-8123-456789abcdef");
    assert_int_equal(header_value(&s.disk, "", "XMLOffset", value), 0);
    assert_string_equal(value, "4096");
    assert_int_equal(header_value(&s.disk, "", "SectorCount", value), 0);
    assert_string_equal(value, "8");
    assert_int_equal(header_value(&s.disk, "", "Checksum", value), 0);
    assert_int_equal(strlen(value), 256);
    /* Fields of an image that is refused, and of one without a trailer. */
    put_be(&s, at + KOLY_XML_LENGTH, 8, 0);
    assert_refused(&s, &dmg_driver, EUCLEAN, "XMLLength 0");
    assert_int_equal(header_value(&s.disk, "", "XMLLength", value), 0);
    assert_string_equal(value, "0");
    put_be(&s, at, 4, 0);
    assert_refused(&s, &dmg_driver, EUCLEAN, "no trailer");
    assert_int_equal(header_value(&s.disk, "", "XMLLength", value), -ENOENT);
}

/* Guest bytes from all kinds of chunks. */
static void test_content(void **state)
{
    uint8_t guest[16 * 512], packed[8192], bytes[sizeof guest];
    uLongf length = sizeof packed;

    (void)state;
    for (size_t i = 0; i < sizeof guest; i++)
        guest[i] = (uint8_t)(i / 30);
    memset(guest + 3 * 512, 0, 512);
    assert_int_equal(compress(packed, &length, guest + 4 * 512, 8 * 512), Z_OK);
    assert_true(length < 512);
    MAKE_DMG(&s, 17, {DMG_RAW, 0, 3, 0, 1536}, {DMG_ZERO, 3, 1, 0, 0},
             {DMG_ZLIB, 4, 8, 3584, length}, {DMG_RAW, 12, 4, 1536, 2048}, {DMG_LZMA, 16, 1, 0, 1});
    put(&s, 0, guest, 1536);
    put(&s, 1536, guest + 12 * 512, 2048);
    put(&s, 3584, packed, length);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_int_equal(disk_read(&s.disk, 0, bytes, sizeof guest), 0);
    assert_memory_equal(bytes, guest, sizeof guest);
    assert_int_equal(disk_read(&s.disk, 9 * 512 + 3, bytes, 1000), 0);
    assert_memory_equal(bytes, guest + 9 * 512 + 3, 1000);
    assert_int_equal(disk_read(&s.disk, 4 * 512 + 511, bytes, 2), 0);
    assert_memory_equal(bytes, guest + 4 * 512 + 511, 2);
    assert_int_equal(disk_read(&s.disk, 16 * 512, bytes, 1), -ENOTSUP);
    assert_reported(s.img, "chunk 4 has type 0x80000008");
}

/* Repeated reads far inside a chunk do not decompress the whole chunk each time. */
static void test_far_content(void **state)
{
    enum { SECTORS = 6001, BYTES = SECTORS * 512 };
    uint8_t *guest = malloc(2 * BYTES), *packed = malloc(BYTES), bytes[100 << 10];
    uLongf length = BYTES;
    uint64_t seed = 1, before, list_length;

    (void)state;
    assert_non_null(guest);
    assert_non_null(packed);
    for (size_t i = 0; i < BYTES; i++)
        guest[i] = guest[BYTES + i] = (uint8_t)(i / 1000 * 7);
    assert_int_equal(compress(packed, &length, guest, BYTES), Z_OK);
    assert_true(length < MIB);
    /* The data of the chunks after the list, and another trailer after it. */
    MAKE_DMG(&s, 2 * SECTORS, {DMG_ZLIB, 0, SECTORS, MIB, length},
             {DMG_ZLIB, SECTORS, SECTORS, MIB, length});
    sample_session(&s);
    list_length = koly_of(&s) - DMG_LIST_AT;
    put(&s, MIB, packed, length);
    put_koly(&s, 2 * MIB, DMG_LIST_AT, list_length, 2 * SECTORS);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t offset;
        size_t n;

        if (i % 10 == 0) /* the work of one session is limited */
            assert_int_equal(sample_open(&s, &dmg_driver), 0);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        n = 1 + (seed >> 33) % (i % 2 ? 100 : sizeof bytes);
        offset = (seed >> 20) % (2 * BYTES - n);
        assert_int_equal(disk_read(&s.disk, offset, bytes, n), 0);
        assert_memory_equal(bytes, guest + offset, n);
    }
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    assert_int_equal(disk_read(&s.disk, BYTES - 5, bytes, 2), 0);
    before = image_bytes_read(s.img);
    for (unsigned i = 1; i < 100; i++) {
        assert_int_equal(disk_read(&s.disk, BYTES - 10 * i, bytes, 10), 0);
        assert_memory_equal(bytes, guest + BYTES - 10 * i, 10);
    }
    assert_true(image_bytes_read(s.img) - before < 2 * length + 64 * KIB);
    free(guest);
    free(packed);
}

static void test_broken_content(void **state)
{
    static const uint8_t guest[512] = "a";
    uint8_t packed[1024], bytes[1024];
    uLongf length = sizeof packed;

    (void)state;
    assert_int_equal(compress(packed, &length, guest, sizeof guest), Z_OK);
    MAKE_DMG(&s, 6, {DMG_ZLIB, 0, 2, 0, length}, {DMG_ZLIB, 2, 1, 0, length / 2},
             {DMG_ZLIB, 3, 1, 1000, 100}, {DMG_ZLIB, 4, 1, MIB, 100}, {DMG_RAW, 5, 1, MIB, 512});
    put(&s, 0, packed, length);
    assert_int_equal(sample_open(&s, &dmg_driver), 0);
    /* Streams that are too short, truncated, and not zlib. */
    assert_int_equal(disk_read(&s.disk, 0, bytes, 512), -EUCLEAN);
    assert_int_equal(disk_read(&s.disk, 0, bytes, 1024), -EUCLEAN);
    assert_reported(s.img, "zlib chunk at offset 0");
    assert_int_equal(disk_read(&s.disk, 2 * 512, bytes, 512), -EUCLEAN);
    assert_int_equal(disk_read(&s.disk, 3 * 512, bytes, 512), -EUCLEAN);
    /* Data past the end of the file. */
    assert_int_equal(disk_read(&s.disk, 4 * 512, bytes, 512), -EIO);
    assert_int_equal(disk_read(&s.disk, 5 * 512, bytes, 512), -EIO);
}

/* With the numbers of qemu all is data, even if chunks overlap. */
static void test_as_qemu(void **state)
{
    const struct open_options options = {.qemu = QEMU_VERSION(7, 2)};

    (void)state;
    MAKE_DMG(&s, 8, {DMG_ZERO, 0, 4, 0, 0}, {DMG_ZERO, 3, 4, 0, 0});
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &dmg_driver, &options), 0);
    ASSERT_EXTENTS(&s, 0, DATA(4096, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trailer_places), cmocka_unit_test(test_small_files),
        cmocka_unit_test(test_unsure),         cmocka_unit_test(test_rules),
        cmocka_unit_test(test_list_sizes),     cmocka_unit_test(test_fields),
        cmocka_unit_test(test_content),        cmocka_unit_test(test_far_content),
        cmocka_unit_test(test_broken_content), cmocka_unit_test(test_as_qemu),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
