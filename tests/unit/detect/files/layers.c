// SPDX-License-Identifier: Apache-2.0
/* The files of a chain: which are opened, held open, and refused. */
#include "tests/support/layers-grant.h"

static void test_image_alone(void **state)
{
    struct layers *l = &layers;

    (void)state;
    begin_at("image", NULL);
    assert_int_equal(l->count, 1);
    assert_string_equal(l->items[0].path, in_top("image"));
    assert_string_equal(l->items[0].directory, top);
    grant_all(0, NULL, 0);
    assert_int_equal(l->items[0].grants_count, 0);
    GRANT(0, backing("second", "raw"));
    assert_grant(0, 0, GRANT_NONE, "-o follow=beside");
    assert_int_equal(l->count, 1);
    layers_end(l);
    assert_int_equal(layers_begin(l, in_top("no-such-file"), false), -ENOENT);
    layers_end(l);
    assert_int_equal(layers_begin(l, top, false), -EISDIR);
    layers_end(l);
}

static void test_next_layer(void **state)
{
    (void)state;
    begin_at("image", "follow=beside");
    GRANT(0, backing("base/deep", "qcow2"));
    assert_grant(0, 0, GRANT_OPENED, NULL);
    assert_int_equal(layers.count, 2);
    assert_ptr_equal(layers.items[1].format, &qcow2_driver);
    assert_string_equal(layers.items[1].path, in_top("base/deep"));
    assert_string_equal(layers.items[1].directory, in_top("base"));
    /* Its references are resolved in its own directory, and must not lead out of it. */
    GRANT(1, backing("deeper", "raw"));
    assert_grant(1, 0, GRANT_OPENED, NULL);
    assert_int_equal(layers.count, 3);
    GRANT(2, backing("../second", "raw"));
    assert_grant(2, 0, GRANT_REFUSED, "leads out");
    assert_int_equal(layers.count, 3);
}

/* References of a layer that was opened by a link are resolved in the directory of the link. */
static void test_layer_by_a_link(void **state)
{
    struct reason why;

    (void)state;
    begin_at("image", "follow=beside");
    policy_take(&layers.policy, "follow-symlinks", &why);
    GRANT(0, backing("link", "qcow2"));
    assert_grant(0, 0, GRANT_OPENED, NULL);
    assert_string_equal(layers.items[1].path, in_top("base/deep"));
    assert_string_equal(layers.items[1].directory, top);
    GRANT(1, backing("second", "raw"));
    assert_grant(1, 0, GRANT_OPENED, NULL);
}

static void test_formats(void **state)
{
    struct reason why;

    (void)state;
    begin_at("image", "follow=beside");
    GRANT(0, backing("second", NULL));
    assert_grant(0, 0, GRANT_REFUSED, "-o backing-format=FMT");
    begin_at("image", "follow=beside");
    GRANT(0, backing("second", "nonsense"));
    assert_grant(0, 0, GRANT_REFUSED, "not known");
    begin_at("image", "follow=beside");
    policy_take(&layers.policy, "backing-format=vmdk", &why);
    GRANT(0, backing("second", NULL));
    assert_grant(0, 0, GRANT_OPENED, NULL);
    assert_ptr_equal(layers.items[1].format, &vmdk_driver);
    /* The option does not override the image. */
    GRANT(1, backing("third", "raw"));
    assert_ptr_equal(layers.items[2].format, &raw_driver);
    begin_at("image", "follow=beside");
    policy_take(&layers.policy, "backing-format=raw", &why);
    GRANT(0, backing("second", "host_device"));
    assert_grant(0, 0, GRANT_REFUSED, "not known");
    assert_int_equal(layers.count, 1);
}

static void test_cycles(void **state)
{
    (void)state;
    begin_at("image", "follow=beside");
    GRANT(0, backing("image", "qcow2"));
    assert_grant(0, 0, GRANT_REFUSED, "the image itself");
    begin_at("image", "follow=beside");
    GRANT(0, backing("same", "qcow2")); /* another name of the same file */
    assert_grant(0, 0, GRANT_REFUSED, "the image itself");
    begin_at("image", "follow=beside");
    GRANT(0, backing("second", "qcow2"));
    GRANT(1, backing("same", "qcow2"));
    assert_grant(1, 0, GRANT_REFUSED, "the image itself");
    begin_at("image", "follow=beside");
    GRANT(0, backing("second", "qcow2"));
    GRANT(1, backing("third", "qcow2"));
    GRANT(2, backing("second", "qcow2"));
    assert_grant(2, 0, GRANT_REFUSED, "above it");
    begin_at("image", "follow=beside");
    GRANT(0, data_file("image"), data_file("second"));
    assert_grant(0, 0, GRANT_REFUSED, "the image itself");
    assert_grant(0, 1, GRANT_OPENED, NULL);
    assert_int_equal(layers.count, 1);
}

static void test_depth(unsigned most, const char *option)
{
    char name[32];
    struct reason why;

    begin_at("image", "follow=beside");
    if (option)
        policy_take(&layers.policy, option, &why);
    for (unsigned i = 0; i < most; i++) {
        snprintf(name, sizeof name, "deep-%u", i);
        make_file(name, "x");
        GRANT(i, backing(name, "qcow2"));
        if (i + 1 < most)
            assert_grant(i, 0, GRANT_OPENED, NULL);
        else
            assert_grant(i, 0, GRANT_REFUSED, "-o depth=N");
    }
    assert_int_equal(layers.count, most);
}

static void test_depths(void **state)
{
    (void)state;
    test_depth(16, NULL);
    test_depth(1, "depth=1");
    test_depth(2, "depth=2");
    test_depth(64, "depth=64");
}

static void test_several_ways_below(void **state)
{
    char option[512];

    (void)state;
    begin_at("image", "follow=under:/");
    GRANT(0, backing(in_top("second"), "vpc"), backing("no-such-file", "vpc"),
          backing("third", "vpc"), backing("base/deep", "vpc"));
    assert_grant(0, 0, GRANT_UNUSED, "another path");
    assert_grant(0, 1, GRANT_MISSING, "No such file");
    assert_grant(0, 2, GRANT_OPENED, NULL);
    assert_grant(0, 3, GRANT_UNUSED, "another path");
    assert_int_equal(layers.count, 2);
    assert_string_equal(layers.items[1].path, in_top("third"));
    begin_at("image", "follow=under:/");
    GRANT(0, backing(in_top("second"), "vpc"), backing("no-such-file", "vpc"));
    assert_grant(0, 0, GRANT_OPENED, NULL);
    assert_grant(0, 1, GRANT_MISSING, NULL);
    /* A path to the image itself is refused, and the next path is tried. */
    begin_at("image", "follow=beside");
    GRANT(0, backing("image", "vpc"), backing("second", "vpc"));
    assert_grant(0, 0, GRANT_REFUSED, "the image itself");
    assert_grant(0, 1, GRANT_OPENED, NULL);
    /* A path that the user gives comes first. */
    snprintf(option, sizeof option, "ref=1:%s", in_top("third"));
    begin_at("image", option);
    GRANT(0, backing("second", "vpc"), backing("/no/such/file", "vpc"));
    assert_grant(0, 0, GRANT_UNUSED, "another path");
    assert_grant(0, 1, GRANT_OPENED, NULL);
    assert_string_equal(layers.items[1].path, in_top("third"));
}

static void test_aside(void **state)
{
    struct reference aside = data_file("second");

    (void)state;
    aside.role = REFERENCE_OTHER;
    begin_at("image", "follow=beside");
    GRANT(0, aside, data_file("third"));
    assert_grant(0, 0, GRANT_UNUSED, "no guest data");
    assert_grant(0, 1, GRANT_OPENED, NULL);
    assert_int_equal(layers_open_data_file(&layers, 0, 0), -EACCES);
}

static const char *file_name(size_t n)
{
    static char name[32];

    snprintf(name, sizeof name, "file-%zu", n);
    return name;
}

enum { FILES = 40 };

static void grant_files(void)
{
    struct reference_list list = {.items = NULL};

    begin_at("image", "follow=beside");
    for (size_t i = 0; i < FILES; i++) {
        struct reference r = data_file(file_name(i));

        make_file(r.path, r.path);
        assert_int_equal(reference_list_add(&list, &r), 0);
    }
    assert_int_equal(layers_grant(&layers, 0, &list), 0);
    reference_list_end(&list);
}

static void test_files_held(void **state)
{
    unsigned before;

    (void)state;
    layers_end(&layers);
    before = open_descriptors();
    grant_files();
    /* The image, its directory, and the held files. */
    assert_int_equal(open_descriptors() - before, 2 + LAYERS_DATA_FILES_HELD);
    assert_true(layers.has_data_files_to_open);
    for (size_t i = 0; i < FILES; i++) {
        char bytes[32] = "";
        int fd = layers_open_data_file(&layers, 0, i);

        assert_grant(0, i, GRANT_OPENED, NULL);
        assert_int_equal(layers.items[0].grants[i].number, i);
        assert_int_equal(layers.items[0].grants[i].fd >= 0, i < LAYERS_DATA_FILES_HELD);
        assert_true(fd >= 0);
        assert_true(pread(fd, bytes, sizeof bytes - 1, 0) > 0);
        assert_string_equal(bytes, file_name(i));
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        close(fd);
    }
    layers_end(&layers);
    assert_int_equal(open_descriptors(), before);
}

static void replace(size_t n, const char *by)
{
    assert_int_equal(rename(in_top(by), in_top(file_name(n))), 0);
}

static void test_files_that_are_replaced(void **state)
{
    (void)state;
    grant_files();
    make_file("new", "another file");
    replace(35, "new");
    assert_int_equal(layers_open_data_file(&layers, 0, 35), -ESTALE);
    unlink(in_top(file_name(36)));
    assert_int_equal(layers_open_data_file(&layers, 0, 36), -ENOENT);
    make_link("new-link", "file-0");
    replace(37, "new-link");
    assert_int_equal(layers_open_data_file(&layers, 0, 37), -ELOOP);
    unlink(in_top(file_name(38)));
    assert_int_equal(mkfifo(in_top(file_name(38)), 0644), 0);
    assert_int_equal(layers_open_data_file(&layers, 0, 38), -ENODEV);
    /* The same file, but its owner has changed. */
    if (runs_as_root()) {
        assert_int_equal(chown(in_top(file_name(39)), 4242, 0), 0);
        assert_int_equal(layers_open_data_file(&layers, 0, 39), -ESTALE);
    }
    assert_true(layers_open_data_file(&layers, 0, 34) >= 0);
}

/* Requests come from jobs and may be for any number. */
static void test_invalid_requests(void **state)
{
    (void)state;
    begin_at("image", "follow=beside");
    GRANT(0, data_file("second"), backing("third", "raw"), data_file("no-such-file"));
    assert_int_equal(layers_open_data_file(&layers, 0, 1), -EACCES);
    assert_int_equal(layers_open_data_file(&layers, 0, 2), -EACCES);
    assert_int_equal(layers_open_data_file(&layers, 0, 3), -EACCES);
    assert_int_equal(layers_open_data_file(&layers, 0, SIZE_MAX), -EACCES);
    assert_int_equal(layers_open_data_file(&layers, 1, 0), -EACCES);
    assert_int_equal(layers_open_data_file(&layers, LAYERS_MAX, 0), -EACCES);
    assert_int_equal(layers_open_data_file(&layers, UINT32_MAX, 0), -EACCES);
}

static void test_one_file_many_times(void **state)
{
    struct reference_list list = {.items = NULL};
    unsigned before;

    (void)state;
    begin_at("image", "follow=beside");
    before = open_descriptors();
    for (size_t i = 0; i < 1000; i++) {
        struct reference r = data_file(i % 3 == 0 ? "second" : i % 3 == 1 ? "./second" : "third");

        assert_int_equal(reference_list_add(&list, &r), 0);
    }
    assert_int_equal(layers_grant(&layers, 0, &list), 0);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(layers.items[0].grants[i].number, i % 3 == 2 ? 2 : 0);
    assert_int_equal(open_descriptors() - before, 2);
    assert_false(layers.has_data_files_to_open);
    reference_list_end(&list);
}

/* References to the same files again and again, with others between them. */
static void test_repeated_files(void **state)
{
    struct reference_list list = {.items = NULL};
    char name[16];

    (void)state;
    begin_at("image", "follow=beside");
    for (size_t i = 0; i < 400; i++) {
        struct reference r;

        snprintf(name, sizeof name, "file%zu", i % 40);
        if (i < 40)
            close(open(in_top(name), O_CREAT | O_WRONLY, 0600));
        r = data_file(name);
        assert_int_equal(reference_list_add(&list, &r), 0);
    }
    assert_int_equal(layers_grant(&layers, 0, &list), 0);
    for (size_t i = 0; i < 400; i++)
        assert_int_equal(layers.items[0].grants[i].number, i % 40);
    reference_list_end(&list);
}

static void test_fingerprint(void **state)
{
    const struct reference decided[] = {backing("second", "raw"), data_file("third")};
    struct reference others[2];

    (void)state;
    begin_at("image", "follow=beside");
    GRANT(0, decided[0], decided[1]);
    assert_ptr_equal(layers_grants(&layers, 0, decided, 2), layers.items[0].grants);
    assert_null(layers_grants(&layers, 0, decided, 1));
    assert_null(layers_grants(&layers, 0, decided, 0));
    for (unsigned i = 0; i < 6; i++) {
        memcpy(others, decided, sizeof others);
        switch (i) {
        case 0:
            others[0].path = "secone";
            break;
        case 1:
            others[0].format = NULL;
            break;
        case 2:
            others[0].format = "qcow2";
            break;
        case 3:
            others[1].role = REFERENCE_OTHER;
            break;
        case 4:
            others[1].length--;
            break;
        default:
            others[0] = decided[1];
            others[1] = decided[0];
        }
        assert_null(layers_grants(&layers, 0, others, 2));
    }
    /* A boundary between two names that has moved. */
    begin_at("image", NULL);
    GRANT(0, data_file("ab"), data_file("c"));
    others[0] = data_file("a");
    others[1] = data_file("bc");
    assert_null(layers_grants(&layers, 0, others, 2));
}

/* Grants the references; expected: the advice, or NULL for none. */
static void assert_advice(const char *expected, const struct reference *references, size_t count)
{
    struct reference_list list = {.items = NULL};
    char words[1024] = "";

    for (size_t i = 0; i < count; i++)
        reference_list_add(&list, &references[i]);
    assert_int_equal(layers_grant(&layers, 0, &list), 0);
    assert_int_equal(layers_advise(&layers, 0, &list, words, sizeof words), expected != NULL);
    assert_string_equal(words, expected ? expected : "");
    reference_list_end(&list);
}

#define ADVICE(expected, ...)                                                                      \
    assert_advice(expected, (const struct reference[]){__VA_ARGS__},                               \
                  COUNT(((const struct reference[]){__VA_ARGS__})))

static void test_advice(void **state)
{
    (void)state;
    begin_at("image", NULL);
    assert_advice(NULL, NULL, 0);
    begin_at("image", NULL);
    ADVICE("the backing file \"second\" is not opened (not-granted): -o follow=beside or -o "
           "ref=0:PATH grants it",
           backing("second", "raw"));
    begin_at("image", NULL);
    ADVICE("the extent \"a\\x1b[2J\\x0ab\" (one of 2) is not opened (not-granted): -o "
           "follow=beside or -o ref=0:PATH grants it",
           data_file("a\x1b[2J\nb"), data_file("c"));
    begin_at("image", "follow=beside");
    ADVICE("the extent \"c\" is not opened (missing): No such file or directory",
           data_file("second"), data_file("c"));
    begin_at("image", "follow=beside");
    ADVICE("the backing file \"json:{}\" is not opened (refused): the path begins with a protocol "
           "(json:, nbd:...), which is never followed",
           backing("json:{}", "raw"));
    /* A missing path to an image that was opened by another path does not matter. */
    begin_at("image", "follow=beside");
    ADVICE(NULL, backing("/no/such/file", "vpc"), backing("second", "vpc"));
}

static void test_list_limits(void **state)
{
    struct reference_list list = {.items = NULL};
    struct reference r = data_file("x");

    (void)state;
    for (size_t i = 0; i < REFERENCES_MAX; i++)
        assert_int_equal(reference_list_add(&list, &r), 0);
    assert_int_equal(reference_list_add(&list, &r), -EFBIG);
    assert_int_equal(list.count, REFERENCES_MAX);
    reference_list_end(&list);
    assert_int_equal(list.count, 0);
    r.path = calloc(1, 1 << 20);
    r.length = 1 << 20;
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(reference_list_add(&list, &r), 0);
    r.length = 1;
    assert_int_equal(reference_list_add(&list, &r), -EFBIG);
    r.length = 0;
    assert_int_equal(reference_list_add(&list, &r), 0);
    free((char *)(uintptr_t)r.path);
    reference_list_end(&list);
}

static void test_names_of_states(void **state)
{
    (void)state;
    assert_string_equal(grant_state_name(GRANT_NONE), "not-granted");
    assert_string_equal(grant_state_name(GRANT_REFUSED), "refused");
    assert_string_equal(grant_state_name(GRANT_MISSING), "missing");
    assert_string_equal(grant_state_name(GRANT_UNREADABLE), "unreadable");
    assert_string_equal(grant_state_name(GRANT_UNUSED), "unused");
    assert_string_equal(grant_state_name(GRANT_OPENED), "granted");
    for (enum grant_state i = GRANT_NONE; i <= GRANT_OPENED; i++)
        assert_int_equal(grant_is_lost(&(struct grant){.state = i}),
                         i == GRANT_MISSING || i == GRANT_UNREADABLE);
}

/* Each remote device counts once; none if all are local. */
static void test_devices(void **state)
{
    static struct layers many = {.count = 3};

    (void)state;
    for (unsigned i = 0; i < LAYERS_MAX; i++)
        many.items[i].st.st_dev = 1 + i / 2;
    assert_int_equal(layers_devices(&many), 0);
    many.storage = STORAGE_REMOTE;
    assert_int_equal(layers_devices(&many), 2);
    many.count = LAYERS_MAX;
    assert_int_equal(layers_devices(&many), (LAYERS_MAX + 1) / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_alone),
        cmocka_unit_test(test_next_layer),
        cmocka_unit_test(test_layer_by_a_link),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_depths),
        cmocka_unit_test(test_several_ways_below),
        cmocka_unit_test(test_aside),
        cmocka_unit_test(test_files_held),
        cmocka_unit_test(test_files_that_are_replaced),
        cmocka_unit_test(test_invalid_requests),
        cmocka_unit_test(test_one_file_many_times),
        cmocka_unit_test(test_repeated_files),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_list_limits),
        cmocka_unit_test(test_names_of_states),
        cmocka_unit_test(test_devices),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
