// SPDX-License-Identifier: Apache-2.0
/* The data pass, over disks whose data is known. */
#include "fs/tree/conversions.h"

#include <errno.h>

#include "formats/targets/options.h"
#include "fs/tree/passes.h"
#include "fs/tree/render.h"
#include "tests/support/findings-files.h"

static struct sample s = {.fd = -1};
static struct layers layers;
static uint64_t progress;
static int progress_error;

static int take_progress(void *context, uint64_t done, uint64_t total)
{
    assert_ptr_equal(context, &findings);
    assert_int_equal(total, findings.disk.virtual_size);
    assert_true(done >= progress && done <= total);
    progress = done;
    return progress_error;
}

static const struct pass_sink sink = {.context = &findings, .progress = take_progress};

/* An open raw image of 8 MiB that holds data at 0 and at 64 KiB. */
static int begin(void **state)
{
    (void)state;
    open_raw_sample(&s);
    layers = (struct layers){.count = 1};
    progress = 0;
    progress_error = 0;
    findings = (struct findings){.layers = &layers,
                                 .detection.driver = &raw_driver,
                                 .disk = s.disk,
                                 .yields = PASS_BIT(PASS_HEADER) | PASS_BIT(PASS_DATA)};
    return 0;
}

static int end(void **state)
{
    (void)state;
    conversions_close(&findings);
    text_free(&text);
    sample_end(&s);
    return 0;
}

static void run_header(void)
{
    conversions_begin(&findings, PASS_HEADER);
    conversions_finish(&findings, PASS_HEADER, 0);
}

/* The sizes of the files that `qemu-img convert` 7.2 writes. */
static void test_data(void **state)
{
    (void)state;
    conversions_run(&findings, &sink);
    assert_file("convert_size/qcow2", "458752\n");
    assert_file("convert_size/vmdk", "196608\n");
    assert_file("convert_size/vpc", "2100224\n");
    assert_file("convert_size/vhdx", "16777216\n");
    assert_file("convert_size/vdi", "1049600\n");
    assert_file("convert_size/qed", "720896\n");
    assert_file("convert_size/parallels", "2097152\n");
    assert_file("convert_size/qcow", "16384\n");
    assert_int_equal(progress, 8 * MIB);
    assert_false(findings.converted[target_row(&raw_target)].is_computed);
}

/* Sizes that do not depend on the data: no walk is needed. */
static void test_header(void **state)
{
    (void)state;
    run_header();
    assert_file("convert_size/raw", "8388608\n");
    assert_file("convert_size/luks", "10457088\n");
    assert_false(findings.converted[target_row(&qcow2_target)].is_computed);
}

/* With options only the conversion to their target is computed. */
static void test_options(void **state)
{
    struct option_set set = {.directory = node_by_path("convert_size"), .target = &qcow2_target};
    struct reason why;

    (void)state;
    assert_int_equal(
        target_options_parse_conversion(&qcow2_target, "cluster_size=2M", &set.options, &why), 0);
    findings.set = &set;
    conversions_run(&findings, &sink);
    assert_file("convert_size/qcow2", "12582912\n");
    assert_false(findings.converted[target_row(&vdi_target)].is_computed);
}

static void assert_name(const char *path, const char *name)
{
    struct converted *c = &findings.room.converted[target_row(&raw_target)];
    char copy[64];

    conversions_close(&findings);
    memset(&findings.room, 0, sizeof findings.room);
    if (path)
        strcpy(copy, path);
    layers.items[0].path = path ? copy : NULL;
    run_header();
    assert_string_equal(c->name, name);
}

static void test_names(void **state)
{
    (void)state;
    assert_name(NULL, "image.raw");
    assert_name("/images/disk.vhd", "disk.raw");
    assert_name("/images/disk", "disk.raw");
    assert_name("/images/disk.2024.vhd", "disk.2024.raw");
    assert_name("/images/.disk", ".disk.raw");
    layers.items[0].path = NULL;
}

static void test_not_opened(void **state)
{
    (void)state;
    findings.open_error = -EUCLEAN;
    run_header();
    conversions_run(&findings, &sink);
    assert_error("convert_size/raw", EUCLEAN);
    assert_error("convert_size/qcow2", EUCLEAN);
    assert_error("convert_size/qcow2.json", EUCLEAN);
    assert_int_equal(progress, 0);
}

/* An error of the walk is that of all sizes that depend on the data. */
static void test_walk_fails(void **state)
{
    (void)state;
    progress_error = -EPIPE;
    run_header();
    conversions_run(&findings, &sink);
    assert_error("convert_size/qcow2", EPIPE);
    assert_error("convert_size/vdi", EPIPE);
    assert_file("convert_size/raw", "8388608\n");
}

/* A target that cannot hold the disk fails; the others do not. */
static void test_too_large(void **state)
{
    (void)state;
    set_size(&s, 3072 * GIB);
    assert_int_equal(sample_open(&s, &raw_driver), 0);
    findings.disk = s.disk;
    conversions_run(&findings, &sink);
    assert_error("convert_size/vpc", EFBIG);
    assert_reported(s.img, "2040 GiB");
    assert_file("convert_size/qed", "720896\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_data, begin, end),
        cmocka_unit_test_setup_teardown(test_header, begin, end),
        cmocka_unit_test_setup_teardown(test_options, begin, end),
        cmocka_unit_test_setup_teardown(test_names, begin, end),
        cmocka_unit_test_setup_teardown(test_not_opened, begin, end),
        cmocka_unit_test_setup_teardown(test_walk_fails, begin, end),
        cmocka_unit_test_setup_teardown(test_too_large, begin, end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
