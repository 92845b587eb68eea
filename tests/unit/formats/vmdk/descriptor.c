// SPDX-License-Identifier: Apache-2.0
/* vmdk: descriptors: probing, which follows qemu, and the disk that their lines describe. */
#include "formats/vmdk/text.h"
#include "tests/support/vmdk-image.h"

#include <stdio.h>
#include <string.h>

static const char unknown[] = "version=1\nparentCID=ffffffff\ncreateType=\"monolithic\"\n";

static int probe(const char *text)
{
    static const struct signature any = {HEAD, 0, "", 0};
    struct reason why = {""};

    sample_begin(&s);
    put_text(&s, 0, text);
    sample_session(&s);
    return vmdk_driver.probe(s.img, &any, &why);
}

static void test_probe(void **state)
{
    char comment[540];

    (void)state;
    assert_int_equal(probe("# Disk DescriptorFile\nversion=1\n"), 1);
    assert_int_equal(probe("version=3\r\n"), 1);
    assert_int_equal(probe("  \n \r\n#x\nversion=2\n"), 1);
    assert_int_equal(probe("\nversion=1\n"), 0);
    assert_int_equal(probe("version=1"), 0);
    assert_int_equal(probe("version=1\r"), 0);
    assert_int_equal(probe("version=4\n"), 0);
    assert_int_equal(probe(" version=1\n"), 0);
    assert_int_equal(probe("encoding=\"x\"\nversion=1\n"), 0);
    assert_int_equal(probe("#"), 0);
    assert_int_equal(probe(" "), 0);
    assert_int_equal(probe("x"), 0);
    for (size_t last = 505; last < 530; last++) { /* the line must end in the first 512 bytes */
        memset(comment, '#', sizeof comment);
        comment[last - 11] = '\n';
        memcpy(comment + last - 10, "version=1\n", 11);
        assert_int_equal(probe(comment), last <= 512);
    }
}

/* Text with the title of a descriptor, which qemu reads as raw. */
static void test_probe_title(void **state)
{
    (void)state;
    assert_int_equal(probe("# Disk DescriptorFile\n\nversion=1\n"), 1);
    assert_int_equal(probe("# Disk DescriptorFile\nencoding=\"x\"\nversion=3\n"), 1);
    assert_int_equal(probe("# Disk DescriptorFile\r\nencoding=\"x\"\r\nversion=1\r\n"), 1);
    assert_int_equal(probe("# Disk DescriptorFile\nencoding=\"x\"\nversion=4\n"), 0);
    assert_int_equal(probe("# Disk DescriptorFile\nencoding=\"x\"\nversion=1"), 0);
    assert_int_equal(probe("# Disk DescriptorFile\nx version=1\n"), 0);
    assert_int_equal(probe("# Disk DescriptorFile"), 0);
    assert_int_equal(probe("# Disk Descriptor\n\nversion=1\n"), 0);
    assert_int_equal(probe(" # Disk DescriptorFile\n\nversion=1\n"), 0);
}

/* Opens the text behind the usual first lines. 0 or -errno. */
static int open_text(const char *text)
{
    sample_begin(&s);
    put_text(&s, 0, flat);
    put_text(&s, sizeof flat - 1, text);
    return sample_open(&s, &vmdk_driver);
}

static void test_descriptor(void **state)
{
    (void)state;
    assert_int_equal(open_text("RW 16 FLAT \"a\" 0\nRW 8 FLAT \"b\" 0\n"), 0);
    assert_int_equal(s.disk.virtual_size, 24 * SECTOR);
    ASSERT_REFERENCE(0, REFERENCE_DATA, "extent", "a");
    ASSERT_REFERENCE(1, REFERENCE_DATA, "extent", "b");
    assert_stream_fails(&s, 0, EACCES, "extent \"a\"");
    /* Empty lines are skipped, CR and tabs are blanks, the last line may lack its end. */
    assert_int_equal(open_text("\n\n\tRW\t16  FLAT \"../a b\" 0\r\nRW 8 VMFS \"b\""), 0);
    assert_int_equal(s.disk.virtual_size, 24 * SECTOR);
    ASSERT_REFERENCE(0, REFERENCE_DATA, "extent", "../a b");
    assert_int_equal(
        open_text("RDONLY 16 FLAT \"a\" 0\nNOACCESS 4\nRW 8 ZERO\nRW 0 FLAT \"a\" 0\n"), 0);
    assert_int_equal(s.disk.virtual_size, 0);
    assert_int_equal(s.disk.references_count, 0);
    assert_reported(s.img, "ZERO extents");
}

static void test_bad_descriptors(void **state)
{
    static const struct {
        const char *text;
        int error;
        const char *key;
    } bad[] = {
        {"RW 8 FLAT \"a\"\n", EUCLEAN, "'RW 8 FLAT \"a\"'"},
        {"RW 8 FLAT \"a\" -1\n", EUCLEAN, "\"a\" -1"},
        {"RW 8 SPARSE \"a\" 0\n", EUCLEAN, "SPARSE \"a\" 0"},
        {"RW 8 FLAT \"a 0\n", EUCLEAN, "\"a 0"},
        {"RW 8 FLAT a 0\n", EUCLEAN, "FLAT a 0"},
        {"RW 8 FLAT \"\" 0\n", EUCLEAN,
         "'RW 8 FLAT \"\" 0': the file name is empty or longer than 4095 bytes"},
        {"RW -8 FLAT \"a\" 0\n", EUCLEAN, "RW -8"},
        {"RW 0x8 FLAT \"a\" 0\n", EUCLEAN, "RW 0x8"},
        {"RW\n", EUCLEAN, "'RW'"},
        {"RW 99999999999999999999999 FLAT \"a\" 0\n", EUCLEAN, "RW 9999999"},
        {"RW 18014398509481984 FLAT \"a\" 0\n", EFBIG, "RW 18014398509481984"},
        {"RW 18014398507384832 FLAT \"a\" 0\nRW 1 FLAT \"a\" 0\n", EFBIG, "'RW 1 "},
        {"RW 8 VMFSRDM \"a\"\n", ENOTSUP, "VMFSRDM"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        open_text(bad[i].text);
        assert_refused(&s, &vmdk_driver, bad[i].error, bad[i].key);
    }
    sample_begin(&s);
    put_text(&s, 0, "x");
    assert_refused(&s, &vmdk_driver, EUCLEAN,
                   "vmdk: the file begins neither with an extent header (KDMV, COWD) nor with a "
                   "descriptor");
    put_text(&s, 0, unknown);
    assert_refused(&s, &vmdk_driver, ENOTSUP, "createType \"monolithic\"");
    put(&s, 0, "version=1\nparentCID=ffffffff\0", 29);
    assert_refused(&s, &vmdk_driver, EUCLEAN, "createType");
    put(&s, 0, "createType=\"monolithicFlat\"\n\0", 29);
    assert_refused(&s, &vmdk_driver, EUCLEAN, "parentCID");
}

static void test_long_parent_name(void **state)
{
    static char text[5000] = "parentFileNameHint=\"";

    (void)state;
    memset(text + strlen(text), 'x', 4096);
    strcat(text, "\"\n");
    open_text(text);
    assert_refused(&s, &vmdk_driver, EUCLEAN,
                   "vmdk: parentFileNameHint has 4096 bytes, more than 4095");
}

/* Types that qemu does not open: all extents count, as specified. */
static void test_other_types(void **state)
{
    static const char custom[] = DESCRIPTOR("custom");
    static const char lines[] = "RW 8 ZERO\nRDONLY 16 FLAT \"a\" 0\nNOACCESS 4\n";

    (void)state;
    sample_begin(&s);
    put_text(&s, 0, custom);
    put_text(&s, sizeof custom - 1, lines);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_string_equal(s.disk.subformat, "custom");
    assert_int_equal(s.disk.virtual_size, 28 * SECTOR);
    ASSERT_REFERENCE(0, REFERENCE_DATA, "extent", "a");
    set_size(&s, sizeof custom - 1 + 10);
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.references_count, 0);
    ASSERT_EXTENTS(&s, 0, ZERO(8 * SECTOR));
    put_text(&s, sizeof custom - 1, "NOACCESS 4");
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    assert_int_equal(s.disk.references_count, 1);
    put_text(&s, sizeof custom - 1, "RW -4 ZERO");
    assert_refused(&s, &vmdk_driver, EUCLEAN, "RW -4");
    put_text(&s, sizeof custom - 1, "RW 36028797018963968 ZERO");
    assert_refused(&s, &vmdk_driver, EFBIG, "RW 36028797018963968");
}

/* The parent is checked by its content ID, if both IDs are known. */
static void test_check_parent(void **state)
{
    static const struct {
        const char *parent, *child;
        const char *key; /* NULL: the parent is accepted */
    } cases[] = {
        {"CID=1234abcd\n", "parentCID=1234ABCD\n", NULL},
        {"CID=0000beef\n", "parentCID=beef\n", NULL},
        {"CID=1234abcd\n", "parentCID=1234abce\n", "1234abcd"},
        {"CID=1234abcd\n", "parentCID=ffffffff\n", "ffffffff"},
        {"", "parentCID=1234abcd\n", NULL},
        {"CID=123456789\n", "parentCID=23456789\n", NULL},
    };
    static const char first[] = "version=1\ncreateType=\"monolithicFlat\"\n";
    struct sample parent = {.fd = -1};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        sample_begin(&parent);
        put_text(&parent, 0, first);
        put_text(&parent, sizeof first - 1, "parentCID=ffffffff\n");
        put_text(&parent, sizeof first + 18, cases[i].parent);
        sample_begin(&s);
        put_text(&s, 0, first);
        put_text(&s, sizeof first - 1, "parentFileNameHint=\"b\"\n");
        put_text(&s, sizeof first + 22, cases[i].child);
        assert_int_equal(sample_open(&parent, &vmdk_driver), 0);
        assert_int_equal(sample_open(&s, &vmdk_driver), 0);
        assert_int_equal(disk_set_backing(&s.disk, &parent.disk, NULL),
                         cases[i].key ? -EUCLEAN : 0);
        if (cases[i].key)
            assert_reported(s.img, cases[i].key);
    }
    assert_int_equal(sample_open(&parent, &raw_driver), 0);
    assert_int_equal(disk_set_backing(&s.disk, &parent.disk, NULL), -EUCLEAN);
    assert_reported(s.img, "vmdk: the parent is raw, not vmdk; -o any-parent accepts it anyway");
    sample_end(&parent);
}

/* Content IDs that do not begin with a digit fail, as in qemu. */
static void test_content_ids(void **state)
{
    static const char *const bad[] = {"CID=none\nparentCID=ffffffff\n", "CID=1\nparentCID=\n",
                                      "CID=\nparentCID=ffffffff\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        sample_begin(&s);
        put_text(&s, 0, "version=1\ncreateType=\"monolithicFlat\"\n");
        put_text(&s, sizeof "version=1\ncreateType=\"monolithicFlat\"\n" - 1, bad[i]);
        assert_refused(&s, &vmdk_driver, EUCLEAN, "CID \"");
    }
}

/* A reference to a file that holds no guest bytes. */
static void test_change_tracking(void **state)
{
    (void)state;
    assert_int_equal(open_text("RW 8 ZERO\nchangeTrackPath=\"a-ctk.vmdk\"\n"), 0);
    assert_int_equal(s.disk.references_count, 1);
    ASSERT_REFERENCE(0, REFERENCE_OTHER, "change tracking", "a-ctk.vmdk");
    assert_string_equal(s.disk.references[0].source, "changeTrackPath");
    assert_null(s.disk.backing_reference);
    assert_int_equal(open_text("changeTrackPath=\"\"\n"), 0);
    assert_int_equal(s.disk.references_count, 0);
    make_sparse(1);
    put_text(&s, SECTOR + sizeof base - 1, "changeTrackPath = a-ctk.vmdk\n");
    assert_int_equal(sample_open(&s, &vmdk_driver), 0);
    ASSERT_REFERENCE(0, REFERENCE_OTHER, "change tracking", "a-ctk.vmdk");
}

static void test_flat_names(void **state)
{
    static const char *const good[] = {"disk-flat.vmdk", "-flat.vmdk", "a-f001.vmdk",
                                       "a-f1234.vmdk"};
    static const char *const bad[] = {
        "disk.vmdk",  ".vmdk",       "flat.vmdk", "disk-flat.vmd",  "vmdk",     "",
        "a-f01.vmdk", "a-s001.vmdk", "f001.vmdk", "a-f001.vmdk.gz", "001.vmdk", "disk-flat.VMDK"};
    struct reason why;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(vmdk_driver.is_extent_file_name(good[i], &why));
    assert_non_null(strstr(why.words, "flat extent"));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(vmdk_driver.is_extent_file_name(bad[i], &why));
}

static void test_many_extents(void **state)
{
    static char text[1 << 20];
    size_t length = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++)
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "RW 8 FLAT \"disk-f%05u.vmdk\" 0\n", i);
    assert_int_equal(open_text(text), 0);
    assert_int_equal(s.disk.virtual_size, 20000 * 8 * SECTOR);
}

/* What exceeds the longest descriptor is ignored, which is noted. */
static void test_long_text(void **state)
{
    static char text[VMDK_DESCRIPTOR_MAX + 64];
    const char extent[] = "\nRW 8 FLAT \"disk-flat.vmdk\" 0\n";

    (void)state;
    strcpy(text, extent);
    memset(text + strlen(text), '#', VMDK_DESCRIPTOR_MAX - strlen(extent) - (sizeof flat - 1));
    assert_int_equal(open_text(text), 0);
    assert_int_equal(s.disk.virtual_size, 8 * SECTOR);
    assert_string_equal(image_problems(s.img), "");
    strcat(text, extent);
    assert_int_equal(open_text(text), 0);
    assert_int_equal(s.disk.virtual_size, 8 * SECTOR);
    assert_reported(s.img, "1048575 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),        cmocka_unit_test(test_probe_title),
        cmocka_unit_test(test_descriptor),   cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_flat_names),   cmocka_unit_test(test_bad_descriptors),
        cmocka_unit_test(test_many_extents), cmocka_unit_test(test_check_parent),
        cmocka_unit_test(test_content_ids),  cmocka_unit_test(test_change_tracking),
        cmocka_unit_test(test_long_text),    cmocka_unit_test(test_long_parent_name),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
