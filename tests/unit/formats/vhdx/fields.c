// SPDX-License-Identifier: Apache-2.0
/* vhdx: the header fields, wherever they are and whether or not the image opens; the disk as qemu
 * sees it. */
#include "tests/support/header-fields.h"
#include "tests/support/vhdx-image.h"

#include <string.h>

static void put_utf16(uint64_t at, const char *text)
{
    for (; *text; at += 2)
        put_le(&s, at, 2, (uint8_t)*text++);
}

/* Puts a pair of the locator: the key at offset at, the value behind it. */
static void put_pair(unsigned n, uint64_t at, const char *key, const char *value)
{
    uint64_t pair = LOCATOR + 20 + 12 * n;

    put_utf16(LOCATOR + at, key);
    put_utf16(LOCATOR + at + 2 * strlen(key), value);
    put_le(&s, pair, 4, at);
    put_le(&s, pair + 4, 4, at + 2 * strlen(key));
    put_le(&s, pair + 8, 2, 2 * strlen(key));
    put_le(&s, pair + 10, 2, 2 * strlen(value));
}

/* A differencing disk whose locator has two pairs. */
static void make_child(void)
{
    make_vhdx(&s, 16 * MIB, MIB, 512);
    put_le(&s, PARAMETERS + 4, 4, 2);
    put_le(&s, METADATA + 10, 2, 6);
    put_item(&s, 5, 0x454db30ba8d35f2d, 0x0cab3448d8d3f7ab, 64, 1000);
    put_guid(&s, LOCATOR, 0x4a81d19eb04aefb7, 0x135944e9b82589b7);
    put_le(&s, LOCATOR + 18, 2, 2);
    put_pair(0, 100, "parent_linkage", "{12}");
    put_pair(1, 300, "relative_path", ".\\p.vhdx");
}

static void test_headers(void **state)
{
    (void)state;
    make_vhdx(&s, 16 * MIB, MIB, 512);
    put_guid(&s, HEADER2 + 16, 0x7766554433221100, 0xffeeddccbbaa9988);
    put_guid(&s, HEADER2 + 32, 1, 2);
    put_le(&s, HEADER2 + 64, 2, 0);
    seal_all(&s);
    open_whatever(&s, &vhdx_driver);
    ASSERT_FIELDS(&s, "", "Signature", "head", "SequenceNumber", "2", "FileWriteGuid",
                  "33221100-5544-7766-8899-aabbccddeeff", "DataWriteGuid",
                  "00000001-0000-0000-0200-000000000000", "LogGuid",
                  "00000000-0000-0000-0000-000000000000", "LogVersion", "0", "Version", "1",
                  "LogLength", "1048576", "LogOffset", "1048576");
    ASSERT_FIELDS(&s, "copy", "Signature", "head", "SequenceNumber", "1", "Version", "1");
    assert_string_equal(image_problems(s.img), "");
    /* The other header is current. */
    put_le(&s, HEADER1 + 8, 8, UINT64_MAX);
    seal_all(&s);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "", "SequenceNumber", "18446744073709551615");
    assert_field(&s, "copy", "SequenceNumber", "2");
    /* Its checksum is wrong. */
    put_le(&s, HEADER1 + 4, 4, 4294967295);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "", "SequenceNumber", "2");
    ASSERT_FIELDS(&s, "copy", "SequenceNumber", "18446744073709551615", "Checksum", "4294967295");
    /* Neither is valid: the first one is shown as current. */
    put_text(&s, HEADER2, "h\x01");
    assert_refused(&s, &vhdx_driver, EUCLEAN, "neither header");
    ASSERT_FIELDS(&s, "", "SequenceNumber", "18446744073709551615", "Signature", "head");
    ASSERT_FIELDS(&s, "copy", "SequenceNumber", "2", "Signature", "h\\x01ad");
}

static void test_identifier(void **state)
{
    (void)state;
    make_vhdx(&s, 16 * MIB, MIB, 512);
    put_utf16(8, "QEMU v7\x1b");
    open_whatever(&s, &vhdx_driver);
    ASSERT_FIELDS(&s, "file_type_identifier", "Signature", "vhdxfile", "Creator", "QEMU v7\\x1b");
    /* A text of 256 characters without a NUL. */
    for (uint64_t i = 0; i < 257; i++)
        put_le(&s, 8 + 2 * i, 2, 'a');
    open_whatever(&s, &vhdx_driver);
    {
        char value[FIELD_TEXT_MAX];

        assert_int_equal(header_value(&s.disk, "file_type_identifier", "Creator", value), 0);
        assert_int_equal(strlen(value), 256);
    }
}

static void test_regions(void **state)
{
    (void)state;
    make_vhdx(&s, 16 * MIB, MIB, 512);
    put_text(&s, REGIONS + 65536, "REGI");
    put_le(&s, REGIONS + 65536 + 8, 4, UINT32_MAX);
    put_guid(&s, REGIONS + 65536 + 16 + 32 * 2046, 0x4200f6232dc27766, 0x084afd9b5e11649d);
    put_le(&s, REGIONS + 65536 + 16 + 32 * 2046 + 16, 8, 12345);
    put_guid(&s, REGIONS + 65536 + 16 + 32 * 2047, 0x4b9a47908b7ca206, 0x6e880f055f57feb8);
    open_whatever(&s, &vhdx_driver);
    ASSERT_FIELDS(&s, "region", "Signature", "regi", "EntryCount", "2", "BAT_FileOffset", "2097152",
                  "BAT_Length", "2097152", "BAT_Required", "1", "Metadata_FileOffset", "4194304",
                  "Metadata_Length", "1048576", "Metadata_Required", "1");
    ASSERT_FIELDS(&s, "region_copy", "Signature", "REGI", "Checksum", "0", "EntryCount",
                  "4294967295", "BAT_FileOffset", "12345", "BAT_Length", "0", "BAT_Required", "0");
    /* Entry 2047 would be behind the table, whatever the count is. */
    assert_field_fails(&s, "region_copy", "Metadata_FileOffset", ENOENT);
    /* Reserved bits are ignored. */
    put_le(&s, REGIONS + 16 + 28, 4, 0xfffffffe);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "region", "BAT_Required", "0");
    assert_reported(s.img, "checksum");
}

static void test_metadata(void **state)
{
    (void)state;
    make_vhdx(&s, 16 * MIB, MIB, 512);
    put_guid(&s, ITEMS_AT + 16, 0x7766554433221100, 0xffeeddccbbaa9988);
    open_whatever(&s, &vhdx_driver);
    ASSERT_FIELDS(&s, "metadata", "Signature", "metadata", "EntryCount", "5", "BlockSize",
                  "1048576", "LeaveBlocksAllocated", "0", "HasParent", "0", "VirtualDiskSize",
                  "16777216", "VirtualDiskId", "33221100-5544-7766-8899-aabbccddeeff",
                  "LogicalSectorSize", "512", "PhysicalSectorSize", "4096");
    assert_field_fails(&s, "parent_locator", "LocatorType", ENOENT);
    put_le(&s, PARAMETERS + 4, 4, 0xfffffffd);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "metadata", "LeaveBlocksAllocated", "1");
    assert_field(&s, "metadata", "HasParent", "0");
    assert_string_equal(s.disk.subformat, "fixed");
}

/* Items that are missing, too short or outside, and missing tables. */
static void test_metadata_refused(void **state)
{
    (void)state;
    make_vhdx(&s, 16 * MIB, MIB, 512);
    put_le(&s, PARAMETERS, 4, 513);
    put_le(&s, METADATA + 32 + 32, 1, 0);                   /* the size has an unknown GUID */
    put_le(&s, METADATA + 32 + 32 * 2 + 20, 4, 15);         /* the id is too short */
    put_le(&s, METADATA + 32 + 32 * 3 + 16, 4, UINT32_MAX); /* the sector size is past the end */
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "metadata", "BlockSize", "513");
    assert_field_fails(&s, "metadata", "VirtualDiskSize", ENOENT);
    assert_field_fails(&s, "metadata", "VirtualDiskId", ENOENT);
    assert_field_fails(&s, "metadata", "LogicalSectorSize", EUCLEAN);
    assert_field(&s, "metadata", "PhysicalSectorSize", "4096");
    put_le(&s, METADATA + 10, 2, UINT16_MAX);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "metadata", "EntryCount", "65535");
    put_le(&s, REGIONS + 64, 8, UINT64_MAX);
    open_whatever(&s, &vhdx_driver);
    assert_field_fails(&s, "metadata", "Signature", EUCLEAN);
    assert_field_fails(&s, "metadata", "BlockSize", EUCLEAN);
    put_le(&s, REGIONS + 8, 4, 0);
    open_whatever(&s, &vhdx_driver);
    assert_field_fails(&s, "metadata", "Signature", ENOENT);
    assert_field_fails(&s, "metadata", "BlockSize", ENOENT);
    set_size(&s, 8);
    open_whatever(&s, &vhdx_driver);
    assert_field_fails(&s, "", "Signature", EUCLEAN);
    assert_field_fails(&s, "copy", "Signature", EUCLEAN);
    assert_field_fails(&s, "region", "Signature", EUCLEAN);
    assert_field_fails(&s, "region", "BAT_Length", ENOENT);
    assert_field_fails(&s, "file_type_identifier", "Creator", EUCLEAN);
}

static void test_locator(void **state)
{
    (void)state;
    make_child();
    open_whatever(&s, &vhdx_driver);
    assert_string_equal(s.disk.subformat, "differencing");
    ASSERT_FIELDS(&s, "parent_locator", "LocatorType", "b04aefb7-d19e-4a81-b789-25b8e9445913",
                  "KeyValueCount", "2", "parent_linkage", "{12}", "relative_path", ".\\x5cp.vhdx");
    assert_field_fails(&s, "parent_locator", "absolute_win32_path", ENOENT);
    assert_field_fails(&s, "parent_locator", "parent_linkage2", ENOENT);
    assert_stream_fails(&s, 0, EACCES, "parent \".\\p.vhdx\"");
}

static void test_locator_refused(void **state)
{
    (void)state;
    make_child();
    /* More pairs than there is room for. Pairs that are not inside the locator are skipped. */
    put_le(&s, LOCATOR + 18, 2, UINT16_MAX);
    put_le(&s, LOCATOR + 20, 4, UINT32_MAX);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "parent_locator", "KeyValueCount", "65535");
    assert_field_fails(&s, "parent_locator", "parent_linkage", ENOENT);
    assert_field(&s, "parent_locator", "relative_path", ".\\x5cp.vhdx");
    put_le(&s, LOCATOR + 32 + 4, 4, UINT32_MAX);
    open_whatever(&s, &vhdx_driver);
    assert_field_fails(&s, "parent_locator", "relative_path", ENOENT);
    /* A value that ends with the locator, and one byte later. */
    put_le(&s, LOCATOR + 32 + 4, 4, 984);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "parent_locator", "relative_path", "");
    put_le(&s, LOCATOR + 32 + 4, 4, 985);
    open_whatever(&s, &vhdx_driver);
    assert_field_fails(&s, "parent_locator", "relative_path", ENOENT);
    /* A locator that is too short for its header, has only the header, is past the end of the file.
     */
    put_le(&s, METADATA + 32 + 32 * 5 + 20, 4, 19);
    open_whatever(&s, &vhdx_driver);
    assert_field_fails(&s, "parent_locator", "LocatorType", ENOENT);
    put_le(&s, METADATA + 32 + 32 * 5 + 20, 4, 20);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "parent_locator", "KeyValueCount", "65535");
    assert_field_fails(&s, "parent_locator", "relative_path", ENOENT);
    put_le(&s, METADATA + 32 + 32 * 5 + 20, 4, UINT32_MAX);
    open_whatever(&s, &vhdx_driver);
    assert_field(&s, "parent_locator", "KeyValueCount", "65535");
    put_le(&s, METADATA + 32 + 32 * 5 + 16, 4, UINT32_MAX);
    open_whatever(&s, &vhdx_driver);
    assert_field_fails(&s, "parent_locator", "LocatorType", EUCLEAN);
}

/* As a version of qemu, all of the disk is data, except with host offsets. */
static void test_opaque_to_qemu(void **state)
{
    const struct open_options old = {.qemu = QEMU_VERSION(7, 2)},
                              new = {.qemu = QEMU_VERSION(10, 0)};

    (void)state;
    make_vhdx(&s, 16 * MIB + 512, MIB, 512);
    set_size(&s, 7 * MIB);
    set_block(&s, 0, 6, 5);
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &vhdx_driver, NULL), 0);
    ASSERT_EXTENTS(&s, EXTENTS_WANT_JOINED, DATA(MIB, 0), HOLE(15 * MIB + 512));
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &vhdx_driver, &old), 0);
    ASSERT_EXTENTS(&s, 0, DATA(16 * MIB + 512, 0));
    ASSERT_EXTENTS(&s, EXTENTS_WANT_HOST | EXTENTS_WANT_JOINED, DATA(MIB, 5 * MIB),
                   HOLE(15 * MIB + 512));
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &vhdx_driver, &new), 0);
    ASSERT_EXTENTS(&s, 0, DATA(16 * MIB + 512, 0));
    /* Blocks of a missing parent still fail. */
    make_child();
    sample_session(&s);
    assert_int_equal(disk_open(&s.disk, s.img, &vhdx_driver, &old), 0);
    assert_stream_fails(&s, 0, EACCES, "parent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),         cmocka_unit_test(test_identifier),
        cmocka_unit_test(test_regions),         cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_locator),         cmocka_unit_test(test_metadata_refused),
        cmocka_unit_test(test_locator_refused), cmocka_unit_test(test_opaque_to_qemu),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
