// SPDX-License-Identifier: Apache-2.0
/* The header and content passes, over a qcow2 image and a raw one. */
#include "fs/tree/passes.h"

#include <errno.h>

#include "formats/targets/options.h"
#include "fs/tree/conversions.h"
#include "fs/tree/render.h"
#include "tests/support/findings-files.h"
#include "tests/support/qcow2-image.h"

static const struct pass_sink sink;

static struct sample s = {.fd = -1};
static struct layers layers = {.count = 1};

static int end(void **state)
{
    (void)state;
    conversions_close(&findings);
    text_free(&text);
    sample_end(&s);
    return 0;
}

/* Opens the sample, whether or not the driver accepts it. */
static void open_as(const struct format_driver *driver)
{
    int error = sample_open(&s, driver);

    findings = (struct findings){.layers = &layers,
                                 .detection.driver = driver,
                                 .disk = s.disk,
                                 .open_error = error,
                                 .yields = PASS_BIT(PASS_HEADER) | PASS_BIT(PASS_CONTENT)};
}

static void test_header(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    open_as(&qcow2_driver);
    headers_run(&findings, &sink);
    assert_ptr_equal(findings.header, &findings.room.header);
    assert_null(findings.content);
    assert_file("header/version", "3\n");
    assert_file("header/cluster_bits", "16\n");
    assert_file("measure/raw", "required size: 1073741824\nfully allocated size: 1073741824\n");
    assert_file("convert_size/raw", "1073741824\n");
    assert_false(findings.measured[target_row(&qcow2_target)].is_computed);
    assert_false(findings.converted[target_row(&qcow2_target)].is_computed);
}

/* The fields of a header that the driver refuses are shown; sizes fail. */
static void test_refused_header(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_CLUSTER_BITS, 4, 8);
    open_as(&qcow2_driver);
    headers_run(&findings, &sink);
    assert_file("header/cluster_bits", "8\n");
    assert_error("measure/raw", EUCLEAN);
    assert_error("convert_size/raw", EUCLEAN);
}

static void test_not_detected(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    open_as(&qcow2_driver);
    findings.detect_error = findings.open_error = -EIO;
    headers_run(&findings, &sink);
    assert_null(findings.header);
    assert_error("header/version", ENOENT);
    assert_error("measure/raw", EIO);
    assert_error("convert_size/raw", EIO);
}

/* With options only their target's size is computed. */
static void test_options(void **state)
{
    struct option_set set = {.directory = node_by_path("measure"), .target = &luks_target};
    struct reason why;

    (void)state;
    make_qcow2(&s, GIB, 16);
    open_as(&qcow2_driver);
    assert_int_equal(
        target_options_parse(&luks_target, "key-secret=x,cipher-alg=aes-128", &set.options, &why),
        0);
    findings.set = &set;
    headers_run(&findings, &sink);
    assert_null(findings.header);
    assert_file("measure/luks", "required size: 1074794496\nfully allocated size: 1074794496\n");
    assert_false(findings.measured[target_row(&raw_target)].is_computed);
    assert_false(findings.converted[target_row(&luks_target)].is_computed);
}

static void test_content(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    open_as(&qcow2_driver);
    content_run(&findings, &sink);
    assert_file("content", "empty\n");
    assert_error("header/gpt/Signature", ENOENT);
    sample_begin(&s);
    put_text(&s, 512, "EFI PART");
    set_size(&s, MIB);
    open_as(&raw_driver);
    content_run(&findings, &sink);
    assert_file("content", "gpt\n");
    assert_file("header/gpt/Signature", "EFI PART\n");
}

static void test_content_not_opened(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_CLUSTER_BITS, 4, 8);
    open_as(&qcow2_driver);
    content_run(&findings, &sink);
    assert_error("content", EUCLEAN);
    assert_error("header/gpt/Signature", ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_header, end),
        cmocka_unit_test_teardown(test_refused_header, end),
        cmocka_unit_test_teardown(test_not_detected, end),
        cmocka_unit_test_teardown(test_options, end),
        cmocka_unit_test_teardown(test_content, end),
        cmocka_unit_test_teardown(test_content_not_opened, end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
