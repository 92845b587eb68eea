// SPDX-License-Identifier: Apache-2.0
/* Content: each structure at its offset and next to it, and disks that cannot be read. */
#include "detect/content.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/scripted-disk.h"

enum { ISO = 32768, LAST = 8 * 1024 * 1024 - 512, LAST_4K = 8 * 1024 * 1024 - 4096 };

static struct content content;
static char value[FIELD_TEXT_MAX];

/* A raw disk of 8 MiB of zeros. */
static int begin(void **state)
{
    (void)state;
    sample_begin(&s);
    set_size(&s, 8 * MIB);
    return 0;
}

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static int find_content(void)
{
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    memset(&content, 0xff, sizeof content);
    return content_detect(&s.disk, &content);
}

/* The content has that name, and no problem is reported. */
static void assert_content(const char *name)
{
    assert_int_equal(find_content(), 0);
    assert_string_equal(content.name, name);
    assert_string_equal(image_problems(s.img), "");
}

static int get_value(const char *directory, const char *name)
{
    return header_field(content_sections, content.sections, directory, name, value);
}

static void assert_value(const char *directory, const char *name, const char *expected)
{
    assert_int_equal(get_value(directory, name), 0);
    assert_string_equal(value, expected);
}

/* Exactly these structures are found. A letter each: mbr, gpt, b for gpt_backup, iso9660. */
static void assert_sections(const char *there)
{
    static const char letters[] = "mgbi";

    for (size_t i = 0; i < CONTENT_SECTIONS; i++) {
        const char *directory = content_sections[i].directory;
        int expected = strchr(there, letters[i]) ? 0 : -ENOENT;

        if (get_value(directory, content_sections[i].fields[0].name) != expected)
            fail_msg("%s is%s there", directory, expected ? "" : " not");
    }
}

static void put_signature(uint64_t sector)
{
    put(&s, sector + 510, "\x55\xaa", 2);
}

/* Writes partition entry n (from 0) of the MBR at offset sector. */
static void put_partition(uint64_t sector, unsigned n, uint8_t boot, uint8_t type, uint32_t start,
                          uint32_t count)
{
    uint64_t at = sector + 446 + 16 * n;

    put_le(&s, at, 1, boot);
    put_le(&s, at + 4, 1, type);
    put_le(&s, at + 8, 4, start);
    put_le(&s, at + 12, 4, count);
}

/* Writes a header at that offset of the disk. */
static void put_gpt(uint64_t at, uint64_t my, uint64_t alternate)
{
    put_text(&s, at, "EFI PART");
    put_le(&s, at + 8, 4, 0x10000);
    put_le(&s, at + 12, 4, 92);
    put_le(&s, at + 24, 8, my);
    put_le(&s, at + 32, 8, alternate);
}

static void test_empty(void **state)
{
    static const uint64_t sizes[] = {0, 1, 511, 512, 513, 4096, 8191, 8192, 34816, 34817, 131072};

    (void)state;
    assert_content("empty");
    assert_sections("");
    for (size_t i = 0; i < COUNT(sizes); i++) {
        set_size(&s, sizes[i]);
        assert_content("empty");
    }
    /* A byte behind the examined 128 KiB. */
    set_size(&s, MIB);
    put_text(&s, 128 * KIB, "x");
    assert_content("empty");
}

/* A byte anywhere in the first 128 KiB: it may be the label of a volume group, the superblock of
 * ext4 or btrfs ... */
static void test_unknown(void **state)
{
    static const uint64_t places[] = {0,          511,   512,     1080,         4086,
                                      8191,       8192,  ISO - 1, ISO + 1,      ISO + 2047,
                                      ISO + 2048, 65600, 65536,   128 * KIB - 1};

    for (size_t i = 0; i < COUNT(places); i++) {
        begin(state);
        put_text(&s, places[i], "x");
        assert_content("unknown");
        assert_sections("");
    }
    /* The last byte of a short disk. */
    begin(state);
    set_size(&s, 512);
    put_text(&s, 511, "x");
    assert_content("unknown");
}

static void test_mbr(void **state)
{
    (void)state;
    put_signature(0);
    assert_content("unknown");
    put_partition(0, 2, 0x80, 0x83, 2048, 4096);
    put_le(&s, 440, 4, 0xcafebabe);
    assert_content("mbr");
    assert_sections("m");
    assert_value("mbr", "disk_signature", "3405691582");
    assert_value("mbr", "partition3_boot_indicator", "128");
    assert_value("mbr", "partition3_type", "131");
    assert_value("mbr", "partition3_starting_lba", "2048");
    assert_value("mbr", "partition3_size_in_lba", "4096");
    assert_value("mbr", "partition1_type", "0");
    assert_value("mbr", "signature", "43605");
    assert_int_equal(get_value("mbr", "partition5_type"), -ENOENT);
    put_partition(0, 0, 0, 7, 63, 100);
    assert_content("mbr");
    /* A used entry with an invalid boot indicator. */
    put_partition(0, 3, 1, 7, 63, 100);
    assert_content("unknown");
    assert_sections("");
    /* The bytes of an unused entry do not matter. */
    put_partition(0, 3, 1, 0, 63, 100);
    assert_content("mbr");
    put(&s, 510, "\xaa\x55", 2);
    assert_content("unknown");
    /* A disk of one sector. */
    put_signature(0);
    set_size(&s, 512);
    assert_content("mbr");
}

/* The boot sector of a file system has the signature of an MBR, and text or code instead of
 * entries. */
static void test_boot_sector(void **state)
{
    (void)state;
    put(&s, 0, "\xeb\x3c\x90mkfs.fat", 11);
    put_text(&s, 54, "FAT16   ");
    put_signature(0);
    assert_content("unknown");
    for (uint64_t at = 446; at < 508; at += 31)
        put_text(&s, at, "This is not a bootable disk. Ins");
    put_signature(0);
    assert_content("unknown");
    assert_sections("");
}

static void test_gpt(void **state)
{
    (void)state;
    put_signature(0);
    put_partition(0, 0, 0, 0xee, 1, 16383);
    put_gpt(512, 1, 16383);
    put(&s, 512 + 56, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", 16);
    put_gpt(LAST, 16383, 1);
    assert_content("gpt");
    assert_sections("mgb");
    assert_value("gpt", "Signature", "EFI PART");
    assert_value("gpt", "Revision", "65536");
    assert_value("gpt", "HeaderSize", "92");
    assert_value("gpt", "MyLBA", "1");
    assert_value("gpt", "AlternateLBA", "16383");
    assert_value("gpt", "DiskGUID", "04030201-0605-0807-090a-0b0c0d0e0f10");
    assert_value("gpt_backup", "MyLBA", "16383");
    /* The protective MBR is not needed. */
    put(&s, 0, (uint8_t[512]){0}, 512);
    assert_content("gpt");
    assert_sections("gb");
    /* One wrong byte in the signature. */
    put(&s, 512, "EFI PARX", 8);
    assert_content("unknown");
    assert_sections("b");
}

static void test_gpt_4k(void **state)
{
    (void)state;
    put_gpt(4096, 1, 2047);
    put_gpt(LAST_4K, 2047, 1);
    assert_content("gpt");
    assert_sections("gb");
    assert_value("gpt", "AlternateLBA", "2047");
    assert_value("gpt_backup", "MyLBA", "2047");
    /* With headers for both sector sizes, 512 bytes are taken. */
    put_gpt(512, 1, 9);
    assert_content("gpt");
    assert_value("gpt", "AlternateLBA", "9");
    assert_sections("g");
}

/* The backup is at AlternateLBA, as on a disk that has grown since, or else in the last sector. */
static void test_backup_places(void **state)
{
    static const uint64_t wrong[] = {0,     1,          2,          5000,
                                     16384, UINT32_MAX, UINT64_MAX, UINT64_MAX / 512};

    (void)state;
    put_gpt(512, 1, 777);
    put_gpt(777 * 512, 777, 1);
    assert_content("gpt");
    assert_value("gpt_backup", "MyLBA", "777");
    put_gpt(LAST, 16383, 1);
    assert_content("gpt");
    assert_value("gpt_backup", "MyLBA", "777");
    for (size_t i = 0; i < COUNT(wrong); i++) {
        put_le(&s, 512 + 32, 8, wrong[i]);
        assert_content("gpt");
        assert_value("gpt_backup", "MyLBA", "16383");
    }
    put(&s, LAST, "XFI PART", 8);
    assert_content("gpt");
    assert_sections("g");
}

/* There is no first header. */
static void test_backup_alone(void **state)
{
    (void)state;
    put_gpt(LAST, 16383, 1);
    assert_content("empty");
    assert_sections("b");
    begin(state);
    put_gpt(LAST_4K, 2047, 1);
    assert_content("empty");
    assert_sections("b");
    assert_value("gpt_backup", "MyLBA", "2047");
}

/* Disks whose size is not a multiple of a sector, or too small for the headers. */
static void test_small_disks(void **state)
{
    (void)state;
    put_gpt(512, 1, 1);
    for (uint64_t size = 0; size < 1700; size += 53) {
        set_size(&s, size);
        put_text(&s, 512, "EFI PART");
        assert_int_equal(find_content(), 0);
        assert_string_equal(content.name, "gpt");
    }
    /* The first header is not its own backup. */
    set_size(&s, 1024);
    assert_content("gpt");
    assert_sections("g");
    begin(state);
    put_gpt(4096, 1, 5);
    set_size(&s, 4096 + 92);
    assert_content("gpt");
    assert_sections("g");
}

static void test_iso(void **state)
{
    (void)state;
    put(&s, ISO, "\1CD001\1", 7);
    put_text(&s, ISO + 8, "LINUX                           ");
    put_text(&s, ISO + 40, "My Disc 1                       ");
    put(&s, ISO + 80, "\x39\x30\0\0\0\0\x30\x39", 8);
    put(&s, ISO + 128, "\0\x08\x08\0", 4);
    put_text(&s, ISO + 813, "2026010203040506");
    assert_content("iso9660");
    assert_sections("i");
    assert_value("iso9660", "volume_descriptor_type", "1");
    assert_value("iso9660", "standard_identifier", "CD001");
    assert_value("iso9660", "system_identifier", "LINUX");
    assert_value("iso9660", "volume_identifier", "My Disc 1");
    assert_value("iso9660", "volume_space_size", "12345");
    assert_value("iso9660", "logical_block_size", "2048");
    assert_value("iso9660", "volume_creation_date", "2026010203040506");
    /* An ISO image with partition tables, which boots from disks as well. */
    put_signature(0);
    put_partition(0, 0, 0x80, 0x17, 0, 4096);
    put_gpt(512, 1, 16383);
    assert_content("iso9660");
    assert_sections("mgi");
    put(&s, ISO + 1, "CD002", 5);
    assert_content("gpt");
}

static void test_luks(void **state)
{
    (void)state;
    put(&s, 0, "LUKS\xba\xbe\0\1", 8);
    assert_content("luks");
    assert_sections("");
    put(&s, 0, "LUKS\xba\xbf\0\1", 8);
    assert_content("unknown");
}

/* The guest's bytes are in a file that is not granted: an error, never zeros. */
static void test_below(void **state)
{
    (void)state;
    PLAY(8 * MIB, DATA(65536, 0), HOLE(8 * MIB - 65536));
    s.disk.backing_reference = &base;
    put_text(&s, 0, "x");
    assert_int_equal(content_detect(&s.disk, &content), 0);
    assert_string_equal(content.name, "unknown");
    /* Nothing else is read from the backing image. */
    assert_sections("");
    assert_string_equal(image_problems(s.img), "");
    /* Zeros so far: whether the disk is empty depends on the backing image. */
    put(&s, 0, "\0", 1);
    assert_int_equal(content_detect(&s.disk, &content), -EACCES);
    assert_reported(s.img, "in a file that is not granted");
}

static void test_below_at_once(void **state)
{
    (void)state;
    PLAY(8 * MIB, DATA(4096, 0), HOLE(8 * MIB - 4096));
    s.disk.backing_reference = &base;
    assert_int_equal(content_detect(&s.disk, &content), -EACCES);
    /* Without a backing image, holes are zeros. */
    s.disk.backing_reference = NULL;
    assert_int_equal(content_detect(&s.disk, &content), 0);
    assert_string_equal(content.name, "empty");
}

/* With a first header, a backup that cannot be read is an error of the backup only. */
static void test_backup_below(void **state)
{
    (void)state;
    PLAY(8 * MIB, DATA(65536, 0), HOLE(8 * MIB - 65536));
    s.disk.backing_reference = &base;
    put_gpt(512, 1, 16383);
    assert_int_equal(content_detect(&s.disk, &content), 0);
    assert_string_equal(content.name, "gpt");
    assert_value("gpt", "MyLBA", "1");
    assert_int_equal(get_value("gpt_backup", "MyLBA"), -EACCES);
    assert_reported(s.img, "base.img");
}

static void test_unreadable(void **state)
{
    (void)state;
    PLAY(8 * MIB, {.length = 8 * MIB, .kind = (enum extent_kind)FAILS, .flags = EUCLEAN});
    assert_int_equal(content_detect(&s.disk, &content), -EUCLEAN);
    assert_reported(s.img, "scripted: fails at 0");
}

/* Without a first header, a last sector that cannot be read is not an error. */
static void test_unreadable_end(void **state)
{
    (void)state;
    PLAY(8 * MIB, ZERO(MIB), {.length = 7 * MIB, .kind = (enum extent_kind)FAILS, .flags = EIO});
    assert_int_equal(content_detect(&s.disk, &content), 0);
    assert_string_equal(content.name, "empty");
    assert_sections("");
}

static void test_encrypted(void **state)
{
    (void)state;
    PLAY(8 * MIB, DATA(8 * MIB, 0));
    s.disk.is_encrypted = true;
    assert_int_equal(content_detect(&s.disk, &content), -ENOTSUP);
    assert_reported(s.img, "encrypted");
}

/* Compressed units are decoded only a few times. */
static void test_economy(void **state)
{
    (void)state;
    PLAY(MIB, {.length = MIB, .flags = EXTENT_COMPRESSED});
    assert_int_equal(content_detect(&s.disk, &content), 0);
    assert_string_equal(content.name, "unknown");
    assert_true(script.calls <= 3);
    assert_int_equal(image_bytes_read(s.img), 0);
}

#define TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_unknown),
        TEST(test_mbr),
        TEST(test_boot_sector),
        TEST(test_gpt),
        TEST(test_gpt_4k),
        TEST(test_backup_alone),
        TEST(test_backup_places),
        TEST(test_small_disks),
        TEST(test_iso),
        TEST(test_luks),
        TEST(test_below),
        TEST(test_backup_below),
        TEST(test_below_at_once),
        TEST(test_unreadable),
        TEST(test_encrypted),
        TEST(test_unreadable_end),
        TEST(test_economy),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
