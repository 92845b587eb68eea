// SPDX-License-Identifier: Apache-2.0
/* The options of the policy: valid ones, invalid ones, and their description, which can be parsed
 * again. */
#include <errno.h>

#include "fs/tree/image-options.h"
#include "tests/support/policy-files.h"

static struct policy policy;
static struct reason why;

static int begin(void **state)
{
    (void)state;
    make_top();
    make_directory("images");
    make_directory("a,b\\c");
    make_file("file", "");
    make_link("link", "images");
    return 0;
}

static int end(void **state)
{
    (void)state;
    policy_end(&policy);
    remove_top();
    return 0;
}

static void take(const char *option)
{
    why.words[0] = '\0';
    if (policy_take(&policy, option, &why) != 1)
        fail_msg("%s: %s", option, why.words);
}

static void assert_bad(const char *option, const char *key)
{
    why.words[0] = '\0';
    assert_int_equal(policy_take(&policy, option, &why), -EINVAL);
    if (!strstr(why.words, key) || strncmp(why.words, option, strlen(option)) != 0)
        fail_msg("%s: %s", option, why.words);
}

/* Returns the options in force, without the leading comma; the caller frees it. */
static char *describe(const struct policy *p)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    policy_describe(p, out);
    fclose(out);
    assert_true(!*text || *text == ',');
    memmove(text, text + (*text == ','), strlen(text + (*text == ',')) + 1);
    return text;
}

static void assert_described(const char *expected)
{
    char *text = describe(&policy);

    assert_string_equal(text, expected);
    free(text);
}

static void test_no_options_of_the_policy(void **state)
{
    static const char *const others[] = {"",
                                         "follow",
                                         "ref",
                                         "depth",
                                         "followx=none",
                                         "Follow=none",
                                         "follow-symlinks=on",
                                         "follow-symlink",
                                         "any-ownership",
                                         "blockdev=1",
                                         "format=raw",
                                         "backing=none",
                                         "ro"};

    (void)state;
    policy_end(&policy);
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(policy_take(&policy, others[i], &why), 0);
    assert_described("");
}

static void test_follow(void **state)
{
    (void)state;
    policy_end(&policy);
    assert_bad("follow=", "under:DIR");
    assert_bad("follow=all", "under:DIR");
    assert_bad("follow=anything", "under:DIR");
    assert_bad("follow=under", "under:DIR");
    assert_bad("follow=beside:x", "under:DIR");
    assert_bad("follow=Beside", "under:DIR");
    assert_bad("follow=beside ", "under:DIR");
    assert_bad("follow=under:", "directory");
    assert_bad("follow=under:/no/such/directory", "No such file");
    policy_end(&policy);
    take("follow=none");
    assert_described("");
    take("follow=beside");
    take("follow=beside");
    assert_described("follow=beside");
}

static void test_none_takes_back(void **state)
{
    unsigned before;

    (void)state;
    policy_end(&policy);
    before = open_descriptors();
    take("follow=beside");
    take("follow=under:/etc");
    take("ref=0:/etc/passwd");
    take("follow=none");
    assert_described("ref=0:/etc/passwd");
    assert_int_equal(open_descriptors(), before);
    take("follow=under:/etc");
    assert_described("follow=under:/etc,ref=0:/etc/passwd");
}

static void test_directories(void **state)
{
    char option[PATH_MAX + 16];
    unsigned before;

    (void)state;
    policy_end(&policy);
    before = open_descriptors();
    snprintf(option, sizeof option, "follow=under:%s", in_top("file"));
    assert_bad(option, "Not a directory");
    policy_end(&policy);
    snprintf(option, sizeof option, "follow=under:%s", in_top("link"));
    take(option);
    assert_string_equal(policy.under[0].given, in_top("link"));
    assert_string_equal(policy.under[0].path, in_top("images"));
    for (unsigned i = 1; i < POLICY_UNDER_MAX; i++)
        take(option);
    assert_bad(option, "limit of 16");
    assert_int_equal(policy.under_count, POLICY_UNDER_MAX);
    policy_end(&policy);
    assert_int_equal(open_descriptors(), before);
}

static void test_files(void **state)
{
    static const char *const bad[] = {"ref=",       "ref=:",      "ref=0",
                                      "ref=0:",     "ref=:x",     "ref=x:y",
                                      "ref=-1:x",   "ref=+1:x",   "ref= 1:x",
                                      "ref=1 :x",   "ref=0x1:x",  "ref=4294967296:x",
                                      "ref=1/:x",   "ref=/1:x",   "ref=1//2:x",
                                      "ref=1/-2:x", "ref=64/0:x", "ref=1/2/3:x",
                                      "ref=1/2",    "ref=1/2:",   "ref=99999999999999999999999:x"};

    (void)state;
    policy_end(&policy);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i], "ref=LAYER/N:PATH");
    assert_int_equal(policy.files_count, 0);
    take("ref=0:/x");
    take("ref=4294967295:/y:z");
    take("ref=63/7:/no/such/file");
    assert_described("ref=0:/x,ref=4294967295:/y:z,ref=63/7:/no/such/file");
    assert_int_equal(policy.files[2].layer, 63);
    assert_int_equal(policy.files[2].reference, 7);
    for (size_t i = policy.files_count; i < POLICY_FILES_MAX; i++)
        take("ref=1:/x");
    assert_bad("ref=1:/x", "limit of 64");
}

/* Relative paths are made absolute when the option is parsed. */
static void test_relative_paths(void **state)
{
    char expected[2 * PATH_MAX];
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    policy_end(&policy);
    assert_int_equal(chdir(top), 0);
    take("follow=under:images");
    take("ref=0:x/../file");
    assert_int_equal(fchdir(before), 0);
    close(before);
    snprintf(expected, sizeof expected, "follow=under:%s,ref=0:%s", in_top("images"),
             in_top("x/../file"));
    assert_described(expected);
}

static void test_depth_and_format(void **state)
{
    static const char *const bad[] = {"depth=",   "depth=0",  "depth=65",
                                      "depth=-1", "depth=+1", "depth=1x",
                                      "depth= 1", "depth=x",  "depth=18446744073709551617"};

    (void)state;
    policy_end(&policy);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_bad(bad[i], "1 to 64");
    assert_bad("backing-format=", "not a known format");
    assert_bad("backing-format=RAW", "not a known format");
    assert_bad("backing-format=auto", "not a known format");
    assert_bad("backing-format=file", "not a known format");
    take("depth=64");
    take("depth=1");
    take("backing-format=raw");
    take("backing-format=qcow2");
    assert_described("backing-format=qcow2,depth=1");
    assert_ptr_equal(policy.backing_format, &qcow2_driver);
}

static void test_flags(void **state)
{
    (void)state;
    policy_end(&policy);
    take("blockdev");
    take("any-owner");
    take("follow-symlinks");
    assert_true(policy.blockdev && policy.any_owner && policy.follow_symlinks);
    assert_described("follow-symlinks,any-owner,blockdev");
    policy_end(&policy);
    assert_described("");
}

/* The description, parsed as -o, gives the same description, also with commas and backslashes in
 * paths. */
static void test_round_trip(void **state)
{
    struct image_options options = {.open = {.format = NULL}};
    char option[PATH_MAX + 32], *text, *again;

    (void)state;
    policy_end(&policy);
    take("follow=beside");
    take("depth=7");
    take("any-owner");
    take("ref=3/1:/a,b\\c\\\\d,,e=f:g \n\x1b\xff");
    take("ref=0:/\\");
    snprintf(option, sizeof option, "follow=under:%s", in_top("a,b\\c"));
    take(option);
    text = describe(&policy);
    assert_non_null(strstr(text, "a\\,b\\\\c"));
    assert_int_equal(image_options_take_list(&options, text, &why), 1);
    again = describe(&options.policy);
    assert_string_equal(again, text);
    assert_string_equal(options.policy.files[0].path, policy.files[0].path);
    assert_string_equal(options.policy.under[0].path, policy.under[0].path);
    free(text);
    free(again);
    image_options_end(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_options_of_the_policy),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_none_takes_back),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_relative_paths),
        cmocka_unit_test(test_depth_and_format),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
