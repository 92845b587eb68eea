// SPDX-License-Identifier: Apache-2.0
/* Tasks: which files each one yields, with which text or error, and what it reports. */
#include "fs/tree/run.h"

#include <errno.h>
#include <string.h>

#include "formats/targets/options.h"
#include "tests/support/qcow2-image.h"

/* What the sink received, by node. */
struct emitted {
    bool seen;
    int error;
    char text[256];
};

static struct sample s = {.fd = -1};
static struct emitted emitted[NODES_MAX];
static struct pass_report report;
static uint32_t references; /* the count; UINT32_MAX: not received */
static uint64_t progress;
static int stop_after; /* the sink fails at this file; 0: never */

static int end(void **state)
{
    (void)state;
    sample_end(&s);
    return 0;
}

static int collect(void *context, const struct place *place, int error, const struct text *text)
{
    struct emitted *e = &emitted[node_index(place->node)];

    assert_ptr_equal(context, &emitted);
    assert_false(e->seen);
    assert_true(text->length < sizeof e->text);
    e->seen = true;
    e->error = error;
    if (text->length)
        memcpy(e->text, text->bytes, text->length);
    return stop_after && --stop_after == 0 ? -EPIPE : 0;
}

static int count(void *context, const struct place *directory, uint32_t entries)
{
    (void)context;
    if (strcmp(directory->node->path, "references") == 0)
        references = entries;
    return 0;
}

/* Progress never goes back, and not past the end of the disk. */
static int take_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    assert_true(done >= progress && done <= total);
    progress = done;
    return 0;
}

static int run_task(const struct task *task, const struct option_set *set,
                    const struct format_driver *given)
{
    const struct pass_sink sink = {
        .context = &emitted, .file = collect, .count = count, .progress = take_progress};
    static struct layers layers;

    layers = (struct layers){.count = 1, .items[0].fd = s.fd};
    references = UINT32_MAX;
    progress = 0;
    memset(emitted, 0, sizeof emitted);
    memset(&report, 0xff, sizeof report);
    return task_run(task, set, &layers, &(const struct open_options){.format = given}, &sink,
                    &report);
}

static int run(enum pass_id pass, const struct format_driver *given)
{
    return run_task(&(struct task){.pass = pass}, NULL, given);
}

static const struct emitted *file(const char *path)
{
    return &emitted[node_index(node_by_path(path))];
}

static void assert_file(const char *path, const char *text)
{
    assert_true(file(path)->seen);
    assert_int_equal(file(path)->error, 0);
    assert_string_equal(file(path)->text, text);
}

static void assert_error(const char *path, int error)
{
    assert_true(file(path)->seen);
    assert_int_equal(file(path)->error, -error);
}

/* The report has one line, with the key. */
static void assert_problem(const char *key)
{
    assert_non_null(strstr(report.problems, key));
    assert_ptr_equal(strchr(report.problems, '\n'), report.problems + strlen(report.problems) - 1);
}

/* The files of these passes were emitted, and no others. */
static void assert_passes(unsigned yields)
{
    for (const struct node *n = nodes; n->path; n++)
        if (!n->is_numbered && emitted[node_index(n)].seen != (yields >> n->pass & 1 && n->render))
            fail_msg("%s was %s", n->path, emitted[node_index(n)].seen ? "emitted" : "not emitted");
}

/* All conversions are computed by one walk over the data. */
static void test_data(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    assert_int_equal(run(PASS_DATA, NULL), 0);
    assert_passes(1 << PASS_DATA);
    assert_file("convert_size/qcow2", "196624\n");
    assert_file("convert_size/vdi", "4608\n");
    assert_file("convert_size/qcow2.json", "{\n    \"size\": 196624,\n    \"files\": [\n        {\n"
                                           "            \"name\": \"image.qcow2\",\n            "
                                           "\"size\": 196624\n        }\n    ]\n}\n");
    assert_string_equal(report.problems, "");
}

/* The two files of the set were emitted, and no others. */
static void assert_only(const char *path)
{
    for (const struct node *n = nodes; n->path; n++)
        if (emitted[node_index(n)].seen !=
            (strncmp(n->path, path, strlen(path)) == 0 &&
             (!n->path[strlen(path)] || strcmp(n->path + strlen(path), ".json") == 0)))
            fail_msg("%s was %s", n->path, emitted[node_index(n)].seen ? "emitted" : "not emitted");
}

static void test_sets(void **state)
{
    struct option_set set = {.directory = node_by_path("measure"),
                             .target = target_by_name("qcow2")};
    const struct task walk = {.pass = PASS_MEASURE, .set = 1},
                      header = {.pass = PASS_HEADER, .set = 1};
    struct reason why;

    (void)state;
    make_qcow2(&s, GIB, 16);
    assert_int_equal(target_options_parse(set.target, "cluster_size=4k", &set.options, &why), 0);
    assert_int_equal(run_task(&walk, &set, NULL), 0);
    assert_only("measure/qcow2");
    assert_file("measure/qcow2",
                "required size: 2637824\nfully allocated size: 1076379648\nbitmaps size: 0\n");
    set.target = target_by_name("luks");
    assert_int_equal(
        target_options_parse(set.target, "key-secret=x,cipher-alg=aes-128", &set.options, &why), 0);
    assert_int_equal(run_task(&header, &set, NULL), 0);
    assert_only("measure/luks");
    /* A fixed size: no table is read. */
    set.target = target_by_name("vpc");
    assert_int_equal(
        target_options_parse(set.target, "subformat=fixed,force_size", &set.options, &why), 0);
    assert_int_equal(run_task(&walk, &set, NULL), 0);
    assert_only("measure/vpc");
    assert_file("measure/vpc", "required size: 1073742336\nfully allocated size: 1073742336\n");
}

static void test_header(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    assert_int_equal(run(PASS_HEADER, NULL), 0);
    assert_passes(1 << PASS_HEADER);
    assert_file("format", "qcow2\n");
    assert_file("subformat", "v3\n");
    assert_file("virtual_size", "1073741824\n");
    assert_file("measure/raw", "required size: 1073741824\nfully allocated size: 1073741824\n");
    assert_string_equal(report.problems, "");
    assert_true(report.bytes_read > 0 && report.bytes_read < 10000);
    assert_file("header/version", "3\n");
    assert_file("header/cluster_bits", "16\n");
    assert_error("header/nb_snapshots", 0);
}

/* The content pass yields its own files and those of the header pass. */
static void test_content(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    assert_int_equal(run(PASS_CONTENT, NULL), 0);
    assert_passes(1 << PASS_HEADER | 1 << PASS_CONTENT);
    assert_file("content", "empty\n");
    assert_error("header/mbr/signature", ENOENT);
    assert_error("header/gpt/MyLBA", ENOENT);
    assert_file("header/version", "3\n");
    sample_begin(&s);
    put_text(&s, 512, "EFI PART");
    set_size(&s, MIB);
    assert_int_equal(run(PASS_CONTENT, NULL), 0);
    assert_file("content", "gpt\n");
    assert_file("header/gpt/Signature", "EFI PART\n");
    assert_error("header/gpt_backup/Signature", ENOENT);
    assert_error("header/version", ENOENT);
    assert_string_equal(report.problems, "");
}

/* The fields of a header that the driver refuses are shown; the content is an error. */
static void test_content_not_opened(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_CLUSTER_BITS, 4, 8);
    assert_int_equal(run(PASS_CONTENT, NULL), 0);
    assert_error("content", EUCLEAN);
    assert_error("header/mbr/signature", ENOENT);
    assert_file("header/cluster_bits", "8\n");
    assert_problem("cluster_bits 8");
}

/* A file that ends within its header: fields before its end are shown, and there is one problem. */
static void test_short_header(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    set_size(&s, 50);
    assert_int_equal(run(PASS_HEADER, NULL), 0);
    assert_file("header/l1_size", "2\n");
    assert_error("header/refcount_table_offset", EUCLEAN);
    assert_problem("72 bytes");
}

/* 4 KiB of data every 16 KiB, in the first two clusters of 64 KiB: the measure pass skips all but
 * the first in each. */
static void make_raw(void)
{
    sample_begin(&s);
    for (unsigned i = 0; i < 8; i++)
        put_text(&s, 16 * KIB * i, "x");
    set_size(&s, MIB);
}

static void test_measure(void **state)
{
    (void)state;
    make_raw();
    assert_int_equal(run(PASS_MEASURE, NULL), 0);
    assert_passes(1 << PASS_MEASURE);
    assert_file("measure/qcow2", "required size: 458752\nfully allocated size: 1376256\n");
    /* If it skipped nothing, it yields the files of the scan pass, too. */
    sample_begin(&s);
    set_size(&s, MIB);
    assert_int_equal(run(PASS_MEASURE, NULL), 0);
    assert_passes(1 << PASS_MEASURE | 1 << PASS_SCAN);
    assert_file("allocated_size", "0\n");
}

static void test_scan(void **state)
{
    (void)state;
    make_raw();
    assert_int_equal(run(PASS_SCAN, NULL), 0);
    assert_passes(1 << PASS_MEASURE | 1 << PASS_SCAN);
    assert_file("allocated_size", "32768\n");
    assert_file("measure/qcow2", "required size: 458752\nfully allocated size: 1376256\n");
}

static void test_allocated(void **state)
{
    (void)state;
    make_qcow2(&s, 10 * 65536, 16);
    put_be(&s, 65536, 8, 4 * 65536);
    put_be(&s, 4 * 65536, 8, 16 * 65536);
    put_be(&s, 4 * 65536 + 8, 8, Q_ZERO);
    put_be(&s, 4 * 65536 + 9 * 8, 8, Q_COMPRESSED | 1);
    assert_int_equal(run(PASS_SCAN, NULL), 0);
    assert_file("allocated_size", "131072\n");
    assert_file("measure/qcow2",
                "required size: 458752\nfully allocated size: 983040\nbitmaps size: 0\n");
}

/* A bad header: the format keeps its name, files that need the header fail, and the problem is
 * reported. */
static void test_bad_header(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, Q_CLUSTER_BITS, 4, 8);
    assert_int_equal(run(PASS_HEADER, NULL), 0);
    assert_file("format", "qcow2\n");
    assert_file("candidates", "qcow2 0 accepted\n");
    assert_error("virtual_size", EUCLEAN);
    assert_error("measure/raw", EUCLEAN);
    assert_problem("cluster_bits 8");
    assert_int_equal(run(PASS_SCAN, NULL), 0);
    assert_error("allocated_size", EUCLEAN);
    assert_error("measure/qcow2", EUCLEAN);
}

/* A bad table: the header pass does not read it. */
static void test_bad_table(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    put_be(&s, 65536, 8, 4 * 65536 + 512);
    assert_int_equal(run(PASS_HEADER, NULL), 0);
    assert_file("virtual_size", "1073741824\n");
    assert_string_equal(report.problems, "");
    assert_int_equal(run(PASS_MEASURE, NULL), 0);
    assert_error("measure/qcow2", EUCLEAN);
    assert_problem("L2 table offset");
    assert_int_equal(run(PASS_SCAN, NULL), 0);
    assert_error("allocated_size", EUCLEAN);
}

/*
 * A bad entry behind data, within one cluster of the target: the measure pass skips it, the scan
 * pass fails. measure/ has the same text from both.
 */
static void test_same_answer(void **state)
{
    static const char answer[] =
        "required size: 393216\nfully allocated size: 393216\nbitmaps size: 0\n";

    (void)state;
    make_qcow2(&s, 65536, 12);
    put_be(&s, 4096, 8, 4 * 4096);
    put_be(&s, 4 * 4096, 8, 16 * 4096);
    put_be(&s, 4 * 4096 + 8, 8, 17 * 4096 + 512);
    assert_int_equal(run(PASS_MEASURE, NULL), 0);
    assert_file("measure/qcow2", answer);
    assert_false(file("allocated_size")->seen);
    assert_int_equal(run(PASS_SCAN, NULL), 0);
    assert_file("measure/qcow2", answer);
    assert_error("allocated_size", EUCLEAN);
}

static void test_given(void **state)
{
    (void)state;
    make_qcow2(&s, GIB, 16);
    assert_int_equal(run(PASS_HEADER, &raw_driver), 0);
    assert_file("format", "raw\n");
    assert_file("virtual_size", "8388608\n");
    assert_error("subformat", ENOENT);
    assert_file("candidates", "qcow2 0 the format was given as raw\n");
    assert_int_equal(run(PASS_HEADER, &vhd_driver), 0);
    assert_file("format", "vpc\n");
    assert_error("virtual_size", EUCLEAN);
}

/* An error of the sink ends the task at once. */
static void test_emit_fails(void **state)
{
    size_t count = 0;

    (void)state;
    make_raw();
    stop_after = 2;
    assert_int_equal(run(PASS_HEADER, NULL), -EPIPE);
    for (size_t i = 0; i < NODES_MAX; i++)
        count += emitted[i].seen;
    assert_int_equal(count, 2);
}

static void test_no_session(void **state)
{
    int fd = s.fd;

    (void)state;
    s.fd = -1;
    assert_int_equal(run(PASS_HEADER, NULL), -EBADF);
    assert_passes(0);
    assert_string_equal(report.problems, "");
    assert_int_equal(report.bytes_read, 0);
    s.fd = fd;
}

/* Findings that inspect(), a pass of this test, was given. */
static struct {
    bool ran, has_header, has_content, has_scan;
    bool whole_has_header, whole_has_content;
} seen;

static void inspect(struct findings *f, const struct pass_sink *sink)
{
    (void)sink;
    seen.ran = true;
    seen.has_header = f->header;
    seen.has_content = f->content;
    seen.has_scan = f->scan;
    seen.whole_has_header = f->whole && f->whole->header;
    seen.whole_has_content = f->whole && f->whole->content;
}

/* A pass over a layer gets the findings of the passes that it needs, of its own view and of the
 * whole image, and no others. */
static void test_needs(void **state)
{
    const struct pass pass = {.needs = PASS_BIT(PASS_HEADER) | PASS_BIT(PASS_CONTENT),
                              .needs_whole = PASS_BIT(PASS_HEADER),
                              .yields = 0,
                              .run = inspect};
    const struct task task = {.view = view_named(VIEW_LAYER, 0), .pass = PASS_SCAN};
    const struct pass_sink sink = {.file = collect, .count = count};
    struct layers layers = {.count = 1};

    (void)state;
    make_qcow2(&s, GIB, 16);
    layers.items[0].fd = s.fd;
    memset(emitted, 0, sizeof emitted);
    assert_int_equal(pass_run(&pass, &task, NULL, &layers,
                              &(const struct open_options){.name = NULL}, &sink, &report),
                     0);
    assert_true(seen.ran && seen.has_header && seen.has_content);
    assert_false(seen.has_scan);
    assert_true(seen.whole_has_header);
    assert_false(seen.whole_has_content);
    assert_passes(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),         cmocka_unit_test(test_data),
        cmocka_unit_test(test_header),       cmocka_unit_test(test_measure),
        cmocka_unit_test(test_scan),         cmocka_unit_test(test_allocated),
        cmocka_unit_test(test_bad_header),   cmocka_unit_test(test_bad_table),
        cmocka_unit_test(test_same_answer),  cmocka_unit_test(test_given),
        cmocka_unit_test(test_emit_fails),   cmocka_unit_test(test_no_session),
        cmocka_unit_test(test_content),      cmocka_unit_test(test_content_not_opened),
        cmocka_unit_test(test_short_header), cmocka_unit_test(test_needs),
    };

    nodes_begin();
    return cmocka_run_group_tests(tests, NULL, end);
}
