// SPDX-License-Identifier: Apache-2.0
/* What files contain, from facts made by hand. */
#include "fs/tree/render.h"

#include <errno.h>
#include <string.h>

#include "tests/support/support.h"

static struct facts facts;
static struct status status;
static struct text text, problems;

static int bitmaps_answer;

static int fake_bitmaps(struct disk *disk, uint64_t cluster_size, uint64_t *bytes)
{
    (void)disk;
    *bytes = 3 * cluster_size;
    return bitmaps_answer;
}

static const struct format_driver fake_driver = {.name = "fake", .bitmaps_size = fake_bitmaps};

/* An 8 MiB disk, of which two clusters of 64 KiB hold data. */
static int begin(void **state)
{
    (void)state;
    text_free(&text);
    text_free(&problems);
    facts = (struct facts){.status = &status, .detection.driver = &raw_driver};
    facts.disk = (struct disk){.driver = &raw_driver, .virtual_size = 8 * MIB};
    for (size_t i = 0; targets[i]; i++)
        target_counts_want(&facts.counts, i, targets[i], &targets[i]->defaults, 8 * MIB);
    for (size_t i = 0; i < facts.counts.used; i++)
        facts.counts.counts[i].touched = facts.counts.counts[i].unit < MIB ? 2 : 1;
    facts.allocated = 8192;
    status = (struct status){.image = "/tmp/x.img", .options = "ro", .problems = &problems};
    return 0;
}

static int end(void **state)
{
    (void)state;
    text_free(&text);
    text_free(&problems);
    return 0;
}

static void assert_file(const char *path, const char *expected)
{
    const struct node *node = node_by_path(path);

    text_free(&text);
    assert_non_null(node);
    assert_int_equal(node->render(&facts, &(struct place){.node = node}, &text), 0);
    assert_int_equal(text.error, 0);
    text_add(&text, "%c", '\0');
    assert_string_equal(text.bytes, expected);
}

static void assert_error(const char *path, int error)
{
    const struct node *node = node_by_path(path);

    text_free(&text);
    assert_int_equal(node->render(&facts, &(struct place){.node = node}, &text), -error);
}

static void test_header(void **state)
{
    (void)state;
    assert_file("format", "raw\n");
    assert_file("virtual_size", "8388608\n");
    assert_error("subformat", ENOENT);
    facts.disk.subformat = "dynamic";
    assert_file("subformat", "dynamic\n");
    facts.disk.virtual_size = UINT64_MAX;
    assert_file("virtual_size", "18446744073709551615\n");
    facts.disk.virtual_size = 0;
    assert_file("virtual_size", "0\n");
}

/* What is known is told although the image cannot be opened; the rest says why not. */
static void test_not_opened(void **state)
{
    (void)state;
    facts.open_error = facts.measure_error = facts.scan_error = -EUCLEAN;
    assert_file("format", "raw\n");
    assert_error("virtual_size", EUCLEAN);
    assert_error("subformat", EUCLEAN);
    facts.disk.subformat = "v3";
    assert_file("subformat", "v3\n");
    assert_error("measure/raw", EUCLEAN);
    assert_error("measure/raw.json", EUCLEAN);
    assert_error("measure/qcow2", EUCLEAN);
    assert_error("measure/qcow2.json", EUCLEAN);
    assert_error("allocated_size", EUCLEAN);
}

static void test_not_detected(void **state)
{
    (void)state;
    facts.detection.driver = NULL;
    facts.detect_error = facts.open_error = facts.measure_error = facts.scan_error = -EIO;
    assert_error("format", EIO);
    assert_error("candidates", EIO);
    assert_error("virtual_size", EIO);
}

/* A walk that fails takes with it only what needs it. */
static void test_not_scanned(void **state)
{
    (void)state;
    facts.measure_error = facts.scan_error = -EACCES;
    assert_file("virtual_size", "8388608\n");
    assert_file("measure/raw", "required size: 8388608\nfully allocated size: 8388608\n");
    assert_error("measure/qcow2", EACCES);
    assert_error("measure/qcow2.json", EACCES);
    assert_error("allocated_size", EACCES);
}

static void test_content(void **state)
{
    (void)state;
    facts.content.name = "gpt";
    assert_file("content", "gpt\n");
    facts.content_error = -EACCES;
    assert_error("content", EACCES);
}

/* Fields of the guest's structures: those that were found. */
static void test_content_fields(void **state)
{
    static const uint8_t header[92] = "EFI PART\0\0\1\0\x5c\0\0";

    (void)state;
    for (size_t i = 0; i < CONTENT_SECTIONS; i++)
        facts.content.sections[i].error = -ENOENT;
    facts.content.sections[CONTENT_GPT] =
        (struct header_found){.bytes = header, .length = 92, .inside = 92};
    facts.content.sections[CONTENT_GPT_BACKUP].error = -EACCES;
    assert_file("header/gpt/Signature", "EFI PART\n");
    assert_file("header/gpt/Revision", "65536\n");
    assert_error("header/mbr/signature", ENOENT);
    assert_error("header/iso9660/volume_identifier", ENOENT);
    assert_error("header/gpt_backup/Signature", EACCES);
    /* Where the disk cannot be read, nothing is known to be there. */
    facts.content_error = -EACCES;
    assert_error("header/gpt/Signature", ENOENT);
    assert_error("header/gpt_backup/Signature", ENOENT);
}

/* Fields of the format's own headers, also where the driver refuses them. */
static void test_header_fields(void **state)
{
    static const uint8_t header[104] = "QFI\xfb\0\0\0\3";

    (void)state;
    assert_error("header/version", ENOENT); /* raw */
    facts.disk.driver = &qcow2_driver;
    for (size_t i = 0; qcow2_driver.sections[i].fields; i++)
        facts.header[i].error = -ENOENT;
    facts.header[0] = (struct header_found){.bytes = header, .length = 104, .inside = 103};
    assert_file("header/version", "3\n");
    assert_file("header/incompatible_features", "none\n");
    assert_error("header/header_length", EUCLEAN);
    assert_error("header/compression_type", ENOENT);
    facts.open_error = -ENOTSUP;
    assert_file("header/version", "3\n");
    facts.header[0].error = -EIO;
    assert_error("header/version", EIO);
    facts.detect_error = -EIO;
    assert_error("header/version", ENOENT);
}

static void test_candidates(void **state)
{
    (void)state;
    assert_file("candidates", "");
    facts.detection.candidates[0] =
        (struct candidate){.driver = &qcow2_driver, .accepted = true, .why = {"not said"}};
    facts.detection.candidates[1] =
        (struct candidate){.driver = &vhd_driver, .offset = UINT64_MAX, .why = {"too late"}};
    facts.detection.count = 2;
    assert_file("candidates", "qcow2 0 accepted\nvpc 18446744073709551615 too late\n");
}

static void test_measure(void **state)
{
    (void)state;
    assert_file("measure/raw", "required size: 8388608\nfully allocated size: 8388608\n");
    assert_file("measure/raw.json",
                "{\n    \"required\": 8388608,\n    \"fully-allocated\": 8388608\n}\n");
    assert_file("measure/qcow2", "required size: 458752\nfully allocated size: 8716288\n");
    assert_file("measure/qcow2.json",
                "{\n    \"required\": 458752,\n    \"fully-allocated\": 8716288\n}\n");
    assert_file("allocated_size", "8192\n");
}

/* Each target has its own units of those that were counted. */
static void test_measure_targets(void **state)
{
    (void)state;
    assert_file("measure/luks", "required size: 10457088\nfully allocated size: 10457088\n");
    assert_file("measure/vmdk", "required size: 196608\nfully allocated size: 8454144\n");
    assert_file("measure/vpc", "required size: 2100224\nfully allocated size: 10490880\n");
    assert_file("measure/vhdx", "required size: 16777216\nfully allocated size: 16777216\n");
    assert_file("measure/vdi", "required size: 1049600\nfully allocated size: 8389632\n");
    assert_file("measure/qed", "required size: 720896\nfully allocated size: 8978432\n");
    assert_file("measure/parallels", "required size: 2097152\nfully allocated size: 9437184\n");
    assert_file("measure/qcow", "required size: 16384\nfully allocated size: 8409088\n");
    facts.measure_error = -EUCLEAN;
    assert_error("measure/vmdk", EUCLEAN);
    assert_file("measure/qcow", "required size: 16384\nfully allocated size: 8409088\n");
    facts.scan_error = -EACCES;
    assert_error("measure/qcow", EACCES);
    facts.open_error = -EIO;
    assert_error("measure/luks", EIO);
}

/* The line is there if the image may bring bitmaps, and only for targets that keep them. */
static void test_measure_bitmaps(void **state)
{
    (void)state;
    facts.disk.driver = &fake_driver;
    bitmaps_answer = 1;
    assert_file("measure/qcow2",
                "required size: 458752\nfully allocated size: 8716288\nbitmaps size: 196608\n");
    assert_file("measure/qcow2.json", "{\n    \"bitmaps\": 196608,\n    \"required\": 458752,\n    "
                                      "\"fully-allocated\": 8716288\n}\n");
    assert_file("measure/raw", "required size: 8388608\nfully allocated size: 8388608\n");
    bitmaps_answer = 0;
    assert_file("measure/qcow2", "required size: 458752\nfully allocated size: 8716288\n");
    bitmaps_answer = -EUCLEAN;
    assert_error("measure/qcow2", EUCLEAN);
    assert_error("measure/qcow2.json", EUCLEAN);
    assert_file("measure/raw", "required size: 8388608\nfully allocated size: 8388608\n");
}

static void test_measure_too_large(void **state)
{
    struct sample s = {.fd = -1};

    (void)state;
    sample_begin(&s);
    sample_session(&s);
    facts.disk.img = s.img;
    facts.disk.virtual_size = UINT64_C(1) << 63;
    assert_error("measure/qcow2", EFBIG);
    assert_said(s.img, "raw: as a qcow2 image: a disk of 9223372036854775808 bytes is too large");
    sample_end(&s);
    assert_file("measure/raw",
                "required size: 9223372036854775808\nfully allocated size: 9223372036854775808\n");
}

static void test_status(void **state)
{
    (void)state;
    status.file_size = UINT64_MAX;
    status.disk_size = 4096;
    status.bytes_read = 1024;
    assert_file("file_size", "18446744073709551615\n");
    assert_file("disk_size", "4096\n");
    assert_file("status/bytes_read", "1024\n");
    assert_file("status/options", "ro\n");
    assert_file("status/version", VERSION "\n");
    assert_file("problems", "");
    text_add(&problems, "one\ntwo\n");
    assert_file("problems", "one\ntwo\n");
}

/* A file's name may be anything; what is printed of it is one line. */
static void test_image(void **state)
{
    char path[4096], *escaped;

    (void)state;
    assert_file("status/image", "/tmp/x.img\n");
    status.image = "/tmp/a\nb\xff\\.img";
    assert_file("status/image", "/tmp/a\\x0ab\\xff\\x5c.img\n");
    memset(path, '\n', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    status.image = path;
    text_free(&text);
    assert_int_equal(render_image(&facts, &(struct place){.node = nodes}, &text), 0);
    escaped = text.bytes;
    assert_int_equal(text.length, 4 * 4095 + 1);
    assert_memory_equal(escaped + text.length - 5, "\\x0a\n", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_header, begin),
        cmocka_unit_test_setup(test_not_opened, begin),
        cmocka_unit_test_setup(test_not_detected, begin),
        cmocka_unit_test_setup(test_not_scanned, begin),
        cmocka_unit_test_setup(test_content, begin),
        cmocka_unit_test_setup(test_content_fields, begin),
        cmocka_unit_test_setup(test_header_fields, begin),
        cmocka_unit_test_setup(test_candidates, begin),
        cmocka_unit_test_setup(test_measure, begin),
        cmocka_unit_test_setup(test_measure_targets, begin),
        cmocka_unit_test_setup(test_measure_bitmaps, begin),
        cmocka_unit_test_setup(test_measure_too_large, begin),
        cmocka_unit_test_setup(test_status, begin),
        cmocka_unit_test_setup(test_image, begin),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, end);
}
