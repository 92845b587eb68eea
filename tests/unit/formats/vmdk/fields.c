// SPDX-License-Identifier: Apache-2.0
/* vmdk: header fields of each kind of extent, both copies, and the keys of descriptors. */
#include "tests/support/vmdk-image.h"

#include <string.h>

#include "formats/fields.h"

static char value[FIELD_TEXT_MAX];

/* The field of the image has that value, whether or not the image opens. */
static void assert_value(const char *directory, const char *name, const char *expected)
{
    sample_open(&s, &vmdk_driver);
    assert_int_equal(header_value(&s.disk, directory, name, value), 0);
    assert_string_equal(value, expected);
}

static void assert_no_value(const char *directory, const char *name)
{
    sample_open(&s, &vmdk_driver);
    assert_int_equal(header_value(&s.disk, directory, name, value), -ENOENT);
}

static void test_hosted(void **state)
{
    (void)state;
    make_sparse(1);
    put_le(&s, 8, 4, 0x8003000f);
    put_le(&s, 72, 1, 1);
    put_le(&s, 77, 2, 7);
    assert_value("", "magicNumber", "4b444d56");
    assert_value("", "version", "1");
    assert_value("", "flags",
                 "newline-test redundant-grain-table zeroed-grain-gte compressed markers bit-3 "
                 "bit-31");
    assert_value("", "capacity", "4096");
    assert_value("", "grainSize", "8");
    assert_value("", "descriptorOffset", "1");
    assert_value("", "descriptorSize", "20");
    assert_value("", "numGTEsPerGT", "512");
    assert_value("", "rgdOffset", "0");
    assert_value("", "gdOffset", "32");
    assert_value("", "overHead", "21");
    assert_value("", "uncleanShutdown", "1");
    assert_value("", "singleEndLineChar", "10");
    assert_value("", "nonEndLineChar", "32");
    assert_value("", "doubleEndLineChar1", "13");
    assert_value("", "doubleEndLineChar2", "10");
    assert_value("", "compressAlgorithm", "7");
    assert_no_value("copy", "version");
    assert_no_value("", "numSectors");
    assert_no_value("volatile", "magic");
}

static void test_footer(void **state)
{
    (void)state;
    make_sparse(1);
    put_le(&s, 56, 8, UINT64_MAX);
    put_text(&s, 1001 * SECTOR, "KDMV");
    put_le(&s, 1001 * SECTOR + 12, 8, 7);
    set_size(&s, 1003 * SECTOR - 1);
    assert_value("", "capacity", "7");
    assert_value("copy", "capacity", "4096");
    assert_value("copy", "gdOffset", "18446744073709551615");
    put_text(&s, 1001 * SECTOR, "X");
    assert_value("", "capacity", "4096");
    assert_no_value("copy", "capacity");
    set_size(&s, 20);
    assert_int_equal(header_value(&s.disk, "", "capacity", value), 0);
    sample_open(&s, &vmdk_driver);
    assert_int_equal(header_value(&s.disk, "", "version", value), 0);
    assert_int_equal(header_value(&s.disk, "", "grainSize", value), -EUCLEAN);
    assert_reported(s.img, "grainSize");
}

static void test_cowd(void **state)
{
    (void)state;
    make_cowd(1);
    put_text(&s, 32, "parent");
    put_text(&s, 1064, "name");
    put_text(&s, 1124, "words\n");
    put_le(&s, 1648, 4, 1);
    assert_value("", "magicNumber", "434f5744");
    assert_value("", "flags", "bit-0 bit-1");
    assert_value("", "numSectors", "32768");
    assert_value("", "grainSize", "8");
    assert_value("", "gdOffset", "4");
    assert_value("", "numGDEntries", "1");
    assert_value("", "parentFileName", "parent");
    assert_value("", "name", "name");
    assert_value("", "description", "words\\x0a");
    assert_value("", "uncleanShutdown", "1");
    assert_no_value("", "capacity");
    assert_no_value("descriptor", "CID");
    put(&s, SECTOR, flat, sizeof flat);
    assert_value("descriptor", "CID", "12345678");
}

static void test_sesparse(void **state)
{
    (void)state;
    make_sesparse(1);
    put_le(&s, SECTOR + 24, 8, 1);
    assert_value("", "magic", "bebafeca00000000");
    assert_value("", "version", "8589934593");
    assert_value("", "capacity", "32768");
    assert_value("", "grains_offset", "1024");
    assert_value("volatile", "magic", "fecafeca00000000");
    assert_value("volatile", "replay_journal", "1");
    assert_no_value("descriptor", "CID");
    put_le(&s, 80, 8, UINT64_MAX);
    assert_no_value("volatile", "magic");
    put_le(&s, 80, 8, 1 << 20);
    sample_open(&s, &vmdk_driver);
    assert_int_equal(header_value(&s.disk, "volatile", "magic", value), -EUCLEAN);
}

static void test_descriptor(void **state)
{
    static const char more[] = "RW 16 FLAT \"a\" 0\r\n# RW 1\n\tRDONLY 8 ZERO\n"
                               "parentFileNameHint=\"a\x1b\"\nddb.uuid.image=\"x\"\n"
                               "ddb.adapterType = \"ide\"\nddb.uuid = \"60 00\"\n";

    (void)state;
    sample_begin(&s);
    put_text(&s, 0, flat);
    assert_no_value("descriptor", "extents");
    put_text(&s, sizeof flat - 1, more);
    assert_value("descriptor", "version", "1");
    assert_value("descriptor", "CID", "12345678");
    assert_value("descriptor", "parentCID", "ffffffff");
    assert_value("descriptor", "createType", "monolithicFlat");
    assert_value("descriptor", "extents", "RW 16 FLAT \"a\" 0; RDONLY 8 ZERO");
    assert_value("descriptor", "parentFileNameHint", "a\\x1b");
    assert_value("descriptor", "ddb.adapterType", "ide");
    assert_value("descriptor", "ddb.uuid", "60 00");
    assert_value("descriptor", "ddb.uuid.image", "x");
    assert_no_value("descriptor", "ddb.comment");
    assert_no_value("descriptor", "encoding");
    assert_no_value("", "version");
}

/* A descriptor is shown wherever it is, even if it cannot be used. */
static void test_embedded(void **state)
{
    static const char other[] = "CID=1\nparentCID=2\n";

    (void)state;
    make_sparse(1);
    assert_value("descriptor", "createType", "monolithicSparse");
    put(&s, 100 * SECTOR, other, sizeof other);
    put_le(&s, 28, 8, 100);
    assert_value("descriptor", "CID", "1");
    assert_no_value("descriptor", "createType");
    put_le(&s, 28, 8, UINT64_MAX);
    assert_value("descriptor", "CID", "12345678");
    put(&s, SECTOR, "", 1);
    assert_no_value("descriptor", "CID");
    put_le(&s, 28, 8, 1);
    put(&s, SECTOR, "CID=3\n", 7);
    assert_value("descriptor", "CID", "3");
}

/* Long values are truncated. */
static void test_long_values(void **state)
{
    static char line[40 << 10];

    (void)state;
    sample_begin(&s);
    memset(line, 'x', sizeof line - 2);
    memcpy(line, "version=1\nCID=", 14);
    line[sizeof line - 2] = '\n';
    put_text(&s, 0, line);
    for (unsigned i = 0; i < 2000; i++)
        put_text(&s, sizeof line - 1 + 20 * i, "RW 8 FLAT \"abcd\" 0\n");
    sample_open(&s, &vmdk_driver);
    assert_int_equal(header_value(&s.disk, "descriptor", "CID", value), 0);
    assert_int_equal(strlen(value), FIELD_TEXT_MAX - 1);
    assert_int_equal(header_value(&s.disk, "descriptor", "extents", value), 0);
    assert_true(strlen(value) < FIELD_TEXT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosted),      cmocka_unit_test(test_footer),
        cmocka_unit_test(test_cowd),        cmocka_unit_test(test_sesparse),
        cmocka_unit_test(test_descriptor),  cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_long_values),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
