// SPDX-License-Identifier: Apache-2.0
/* The policy: rules for links, types and owners; and no result depends on files that are not
 * granted. */
#include <sys/wait.h>

#include "tests/support/policy-find.h"

static void test_links_are_not_followed(void **state)
{
    static const char *const names[] = {"to-good",           "to-sub/good",           "absolute",
                                        "to-secret",         "to-nothing-outside",    "loop",
                                        "absolute-out",      "absolute-out-nothing",  "magic/x",
                                        "to-outside/secret", "to-outside/images/good"};

    (void)state;
    begin_policy("follow=beside");
    for (size_t i = 0; i < COUNT(names); i++)
        assert_state(names[i], POLICY_REFUSED, "symbolic link");
    begin_policy(NULL);
    take_path("follow=under:", "images");
    for (size_t i = 0; i < COUNT(names); i++)
        assert_state(names[i], POLICY_REFUSED, "symbolic link");
}

static void test_links_that_stay_inside(void **state)
{
    (void)state;
    begin_policy("follow=beside");
    take("follow-symlinks");
    assert_granted("to-good", "good");
    assert_granted("to-sub/good", "good");
    assert_granted("sub/up-to-good", "good");
    assert_granted("to-sub/up-to-good", "good");
    assert_state("to-secret", POLICY_REFUSED, "leads out");
    assert_state("absolute", POLICY_REFUSED, "leads out");
    assert_state("to-outside/secret", POLICY_REFUSED, "leads out");
    assert_state("to-outside/images/good", POLICY_REFUSED, "leads out");
    assert_state("loop", POLICY_REFUSED, "link");
    assert_state("magic/x", POLICY_REFUSED, NULL);
    begin_policy("follow=under:/proc");
    take("follow-symlinks");
    assert_state("/proc/self/cwd/x", POLICY_REFUSED, NULL);
    assert_state("/proc/self/exe", POLICY_REFUSED, NULL);
    assert_state("/proc/self/fd/0", POLICY_REFUSED, NULL);
    assert_state("/proc/self/root/etc/passwd", POLICY_REFUSED, NULL);
}

/* The result is the same whether or not a file exists that is not granted. */
static void test_existence_is_hidden(void **state)
{
    static const char *const options[] = {NULL, "follow=beside", "follow-symlinks", "any-owner"};

    (void)state;
    begin_policy(NULL);
    for (size_t i = 0; i < COUNT(options); i++) {
        if (options[i])
            take(options[i]);
        assert_same_result("../secret", "../no-such-secret");
        assert_same_result("sub/../../secret", "sub/../../no-such-secret");
        assert_same_result("to-secret", "to-nothing-outside");
        assert_same_result("absolute-out", "absolute-out-nothing");
        assert_same_result("to-outside/secret", "to-outside/no-such-secret");
        assert_same_result("../images-evil/secret", "../images-evil/no-such-file");
        assert_same_result(in_top("secret"), in_top("no-such-secret"));
        assert_same_result(in_top("images-evil/secret"), in_top("images-evil/nothing"));
        assert_same_result("/proc/self/environ", "/proc/self/no-such-file");
        assert_same_result("/dev/zero", "/dev/no-such-device");
        assert_same_result("json:{}", "json:{\"x\":1}");
    }
    take_path("follow=under:", "images");
    assert_same_result(in_top("secret"), in_top("no-such-secret"));
    assert_same_result(in_top("images/../secret"), in_top("images/../no-such-secret"));
    assert_same_result(in_top("images/to-secret"), in_top("images/to-nothing-outside"));
}

static void test_kinds_of_files(void **state)
{
    (void)state;
    begin_policy("follow=beside");
    assert_state("fifo", POLICY_REFUSED, "not a regular file");
    assert_state("socket", POLICY_REFUSED, "not a regular file");
    assert_state("zero", POLICY_REFUSED, "not a regular file");
    assert_state("block", POLICY_REFUSED, "block device");
    assert_state("sub", POLICY_REFUSED, "directory");
    assert_state(".", POLICY_REFUSED, "directory");
    take("blockdev");
    assert_state("zero", POLICY_REFUSED, "not a regular file");
    assert_state("fifo", POLICY_REFUSED, "not a regular file");
    find("block"); /* what that device is depends on the machine */
    assert_int_not_equal(found.state, POLICY_REFUSED);
    assert_int_not_equal(found.state, POLICY_NOT_GRANTED);
}

static void test_owners(void **state)
{
    (void)state;
    begin_policy("follow=beside");
    assert_granted("own", "own");
    assert_granted("callers", "callers");
    assert_granted("good", "good"); /* root's */
    assert_state("theirs", POLICY_REFUSED, "-o any-owner");
    take("any-owner");
    assert_granted("theirs", "theirs");
    begin_policy(NULL);
    take_path("ref=0:", "images/theirs");
    assert_granted("whatever", "theirs");
}

/* A file without read permission is unreadable. */
static void test_unreadable(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        if (setgid(IMAGE_OWNER) || setuid(IMAGE_OWNER))
            _exit(2);
        begin_policy("follow=beside");
        find("closed");
        _exit(found.state == POLICY_UNREADABLE && found.fd < 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_named_files(void **state)
{
    (void)state;
    begin_policy(NULL);
    take_path("ref=0:", "secret");
    take_path("ref=2/0:", "other/base");
    /* The path in the image does not matter then. */
    assert_granted("good", "secret");
    assert_granted("", "secret");
    assert_granted("json:{}", "secret");
    find_bytes("\0\0", 2, false);
    assert_found("NULs", POLICY_GRANTED, "");
    from.layer = 2;
    assert_granted("good", "base");
    from.layer = 1;
    assert_state("good", POLICY_NOT_GRANTED, NULL);
    from.layer = 0;
    begin_policy(NULL);
    take_path("ref=0:", "images/to-secret"); /* the user may name a link */
    assert_granted("x", "secret");
    begin_policy(NULL);
    take_path("ref=0:", "no-such-file");
    assert_state("x", POLICY_MISSING, "No such file");
    begin_policy(NULL);
    take_path("ref=0:", "images/fifo");
    assert_state("x", POLICY_REFUSED, "not a regular file");
}

static void test_nothing_is_left_open(void **state)
{
    unsigned before;

    (void)state;
    begin_policy(NULL);
    before = open_descriptors();
    test_links_that_stay_inside(state);
    test_kinds_of_files(state);
    test_owners(state);
    begin_policy(NULL);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_links_that_stay_inside),
        cmocka_unit_test(test_existence_is_hidden),
        cmocka_unit_test(test_kinds_of_files),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_named_files),
        cmocka_unit_test(test_nothing_is_left_open),
    };

    require_root();
    return cmocka_run_group_tests(tests, begin, end);
}
