// SPDX-License-Identifier: Apache-2.0
/* The measure and scan passes, over disks whose allocation is known. */
#include "fs/tree/measures.h"

#include <errno.h>

#include "fs/tree/passes.h"
#include "fs/tree/render.h"
#include "tests/support/findings-files.h"

static struct sample s = {.fd = -1};
static int bitmaps_answer;

static int fake_bitmaps(struct disk *disk, uint64_t cluster_size, uint64_t *bytes)
{
    (void)disk;
    *bytes = 3 * cluster_size;
    return bitmaps_answer;
}

/* An open raw image of 8 MiB that holds data at 0 and at 64 KiB, 4 KiB each. */
static int begin(void **state)
{
    (void)state;
    open_raw_sample(&s);
    findings = (struct findings){.detection.driver = &raw_driver,
                                 .disk = s.disk,
                                 .yields = PASS_BIT(PASS_HEADER) | PASS_BIT(PASS_MEASURE) |
                                           PASS_BIT(PASS_SCAN)};
    return 0;
}

static int end(void **state)
{
    (void)state;
    text_free(&text);
    sample_end(&s);
    return 0;
}

/* Runs both passes anew, the scan over all extents. */
static void run(void)
{
    static const struct pass_sink sink;

    memset(&findings.room, 0, sizeof findings.room);
    measures_compute(&findings, PASS_HEADER, findings.open_error);
    measures_run_all(&findings, &sink);
}

static void test_sizes(void **state)
{
    (void)state;
    run();
    assert_file("allocated_size", "8192\n");
    assert_file("measure/raw", "required size: 8388608\nfully allocated size: 8388608\n");
    assert_file("measure/qcow2", "required size: 458752\nfully allocated size: 8716288\n");
    assert_file("measure/luks", "required size: 10457088\nfully allocated size: 10457088\n");
    assert_file("measure/vmdk", "required size: 196608\nfully allocated size: 8454144\n");
    assert_file("measure/vpc", "required size: 2100224\nfully allocated size: 10490880\n");
    assert_file("measure/vhdx", "required size: 16777216\nfully allocated size: 16777216\n");
    assert_file("measure/vdi", "required size: 1049600\nfully allocated size: 8389632\n");
    assert_file("measure/qed", "required size: 720896\nfully allocated size: 8978432\n");
    assert_file("measure/parallels", "required size: 2097152\nfully allocated size: 9437184\n");
    assert_file("measure/qcow", "required size: 16384\nfully allocated size: 8409088\n");
}

/* Targets whose size does not depend on the data need the headers alone. */
static void test_not_opened(void **state)
{
    (void)state;
    findings.open_error = -EIO;
    run();
    assert_error("measure/luks", EIO);
    assert_error("measure/vmdk", EIO);
    assert_error("measure/qcow", EIO);
    assert_error("allocated_size", EIO);
}

static void assert_bitmaps(int answer, const char *qcow2)
{
    static struct format_driver fake;

    fake = raw_driver;
    fake.bitmaps_size = fake_bitmaps;
    findings.disk.driver = &fake;
    bitmaps_answer = answer;
    run();
    if (qcow2)
        assert_file("measure/qcow2", qcow2);
    else
        assert_error("measure/qcow2", EUCLEAN);
    assert_file("measure/raw", "required size: 8388608\nfully allocated size: 8388608\n");
}

/* The line exists if the image may have bitmaps, and only for targets that keep them. */
static void test_bitmaps(void **state)
{
    (void)state;
    assert_bitmaps(1,
                   "required size: 458752\nfully allocated size: 8716288\nbitmaps size: 196608\n");
    assert_bitmaps(0, "required size: 458752\nfully allocated size: 8716288\n");
    assert_bitmaps(-EUCLEAN, NULL);
}

static void test_too_large(void **state)
{
    (void)state;
    findings.disk.virtual_size = UINT64_C(1) << 63;
    run();
    assert_error("measure/qcow2", EFBIG);
    assert_reported(s.img, "9223372036854775808");
    assert_file("measure/raw",
                "required size: 9223372036854775808\nfully allocated size: 9223372036854775808\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, begin, end),
        cmocka_unit_test_setup_teardown(test_not_opened, begin, end),
        cmocka_unit_test_setup_teardown(test_bitmaps, begin, end),
        cmocka_unit_test_setup_teardown(test_too_large, begin, end),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
