// SPDX-License-Identifier: Apache-2.0
/* The text of files, from findings made by hand. */
#include "fs/tree/render.h"

#include <errno.h>
#include <string.h>

#include "tests/support/findings-files.h"

/* Findings about a disk of 8 MiB; sizes are known for the target qcow2 only. */
static int begin(void **state)
{
    struct measured *m = &findings.room.measured[target_row(&qcow2_target)];

    (void)state;
    text_free(&text);
    findings = (struct findings){.detection.driver = &raw_driver,
                                 .disk = {.driver = &raw_driver, .virtual_size = 8 * MIB},
                                 .header = &findings.room.header,
                                 .content = &findings.room.content,
                                 .scan = &findings.room.scan,
                                 .measured = findings.room.measured};
    *m = (struct measured){.is_computed = true, .size = {1000, 2000}};
    findings.room.scan.allocated = 8192;
    return 0;
}

static int end(void **state)
{
    (void)state;
    text_free(&text);
    return 0;
}

static void test_header(void **state)
{
    (void)state;
    assert_file("format", "raw\n");
    assert_file("virtual_size", "8388608\n");
    assert_error("subformat", ENOENT);
    findings.disk.subformat = "dynamic";
    assert_file("subformat", "dynamic\n");
    findings.disk.virtual_size = UINT64_MAX;
    assert_file("virtual_size", "18446744073709551615\n");
    findings.disk.virtual_size = 0;
    assert_file("virtual_size", "0\n");
}

/* What is known is shown even if the image cannot be opened. */
static void test_not_opened(void **state)
{
    (void)state;
    findings.open_error = -EUCLEAN;
    assert_file("format", "raw\n");
    assert_error("virtual_size", EUCLEAN);
    assert_error("subformat", EUCLEAN);
    findings.disk.subformat = "v3";
    assert_file("subformat", "v3\n");
}

static void test_not_detected(void **state)
{
    (void)state;
    findings.detection.driver = NULL;
    findings.detect_error = findings.open_error = -EIO;
    assert_error("format", EIO);
    assert_error("candidates", EIO);
    assert_error("virtual_size", EIO);
}

static void test_allocated(void **state)
{
    (void)state;
    assert_file("allocated_size", "8192\n");
    assert_int_equal(text.number, 8192);
    findings.room.scan.error = -EACCES;
    assert_error("allocated_size", EACCES);
}

static void test_measure(void **state)
{
    struct measured *m = &findings.room.measured[target_row(&qcow2_target)];

    (void)state;
    assert_file("measure/qcow2", "required size: 1000\nfully allocated size: 2000\n");
    assert_file("measure/qcow2.json",
                "{\n    \"required\": 1000,\n    \"fully-allocated\": 2000\n}\n");
    m->has_bitmaps = true;
    m->bitmaps = 30;
    assert_file("measure/qcow2",
                "required size: 1000\nfully allocated size: 2000\nbitmaps size: 30\n");
    assert_file("measure/qcow2.json", "{\n    \"bitmaps\": 30,\n    \"required\": 1000,\n"
                                      "    \"fully-allocated\": 2000\n}\n");
    m->error = -EUCLEAN;
    assert_error("measure/qcow2", EUCLEAN);
    assert_error("measure/qcow2.json", EUCLEAN);
}

static void test_content(void **state)
{
    (void)state;
    findings.room.content.content.name = "gpt";
    assert_file("content", "gpt\n");
    findings.room.content.error = -EACCES;
    assert_error("content", EACCES);
}

/* Fields of the guest's structures exist if the structure was found. */
static void test_content_fields(void **state)
{
    static const uint8_t header[92] = "EFI PART\0\0\1\0\x5c\0\0";

    (void)state;
    for (size_t i = 0; i < CONTENT_SECTIONS; i++)
        findings.room.content.content.sections[i].error = -ENOENT;
    findings.room.content.content.sections[CONTENT_GPT] =
        (struct header_found){.bytes = header, .length = 92, .inside = 92};
    findings.room.content.content.sections[CONTENT_GPT_BACKUP].error = -EACCES;
    assert_file("header/gpt/Signature", "EFI PART\n");
    assert_file("header/gpt/Revision", "65536\n");
    assert_error("header/mbr/signature", ENOENT);
    assert_error("header/iso9660/volume_identifier", ENOENT);
    assert_error("header/gpt_backup/Signature", EACCES);
    /* If the disk cannot be read, no field is known to exist. */
    findings.room.content.error = -EACCES;
    assert_error("header/gpt/Signature", ENOENT);
    assert_error("header/gpt_backup/Signature", ENOENT);
}

/* Fields of the format's headers, also if the driver refuses the image. */
static void test_header_fields(void **state)
{
    static const uint8_t header[104] = "QFI\xfb\0\0\0\3";

    (void)state;
    assert_error("header/version", ENOENT); /* raw */
    findings.disk.driver = &qcow2_driver;
    for (size_t i = 0; qcow2_driver.sections[i].fields; i++)
        findings.room.header.sections[i].error = -ENOENT;
    findings.room.header.sections[0] =
        (struct header_found){.bytes = header, .length = 104, .inside = 103};
    assert_file("header/version", "3\n");
    assert_file("header/incompatible_features", "none\n");
    assert_error("header/header_length", EUCLEAN);
    assert_error("header/compression_type", ENOENT);
    findings.open_error = -ENOTSUP;
    assert_file("header/version", "3\n");
    findings.room.header.sections[0].error = -EIO;
    assert_error("header/version", EIO);
    findings.detect_error = -EIO;
    assert_error("header/version", ENOENT);
}

static void test_candidates(void **state)
{
    (void)state;
    assert_file("candidates", "");
    findings.detection.candidates[0] =
        (struct candidate){.driver = &qcow2_driver, .is_accepted = true, .why = {"not printed"}};
    findings.detection.candidates[1] =
        (struct candidate){.driver = &vhd_driver, .offset = UINT64_MAX, .why = {"too late"}};
    findings.detection.count = 2;
    assert_file("candidates", "qcow2 0 accepted\nvpc 18446744073709551615 too late\n");
}

/* Files of references/0: what the image has, and what became of the reference. */
static void test_references(void **state)
{
    struct reference reference = {.role = REFERENCE_BACKING,
                                  .kind = "backing file",
                                  .source = "backing_file_offset",
                                  .path = "a\nb",
                                  .length = 3};
    struct grant grant = {.state = GRANT_REFUSED, .why = (char[]){"another owner"}};

    (void)state;
    assert_int_equal(count_references(&findings), 0);
    findings.disk.references = &reference;
    findings.disk.references_count = 1;
    findings.chain.files[0].grants = &grant;
    assert_int_equal(count_references(&findings), 1);
    assert_file("references/#/kind", "backing file\n");
    assert_file("references/#/source", "backing_file_offset\n");
    assert_file("references/#/path", "a\\x0ab\n");
    assert_error("references/#/format", ENOENT);
    assert_file("references/#/state", "refused\n");
    assert_file("references/#/reason", "another owner\n");
    assert_error("references/#/resolved", ENOENT);
    grant = (struct grant){.state = GRANT_OPENED, .resolved = (char[]){"/images/base"}};
    assert_file("references/#/state", "granted\n");
    assert_error("references/#/reason", ENOENT);
    assert_file("references/#/resolved", "/images/base\n");
    findings.disk.backing_error = -EUCLEAN;
    assert_file("references/#/state", "unfit\n");
    findings.detect_error = -EIO;
    assert_int_equal(count_references(&findings), 0);
}

/* The image has changed: its references are not those for which grants were decided. */
static void test_changed_references(void **state)
{
    struct reference reference = {.kind = "extent", .source = "extent 1", .path = ""};

    (void)state;
    findings.disk.references = &reference;
    findings.disk.references_count = 1;
    assert_error("references/#/path", ENOENT);
    assert_file("references/#/state", "changed\n");
    assert_file("references/#/reason", "the references differ from those of the image when it was "
                                       "mounted, or could not be read then\n");
    assert_error("references/#/resolved", ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_header, begin),
        cmocka_unit_test_setup(test_not_opened, begin),
        cmocka_unit_test_setup(test_not_detected, begin),
        cmocka_unit_test_setup(test_allocated, begin),
        cmocka_unit_test_setup(test_measure, begin),
        cmocka_unit_test_setup(test_content, begin),
        cmocka_unit_test_setup(test_content_fields, begin),
        cmocka_unit_test_setup(test_header_fields, begin),
        cmocka_unit_test_setup(test_candidates, begin),
        cmocka_unit_test_setup(test_references, begin),
        cmocka_unit_test_setup(test_changed_references, begin),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, end);
}
