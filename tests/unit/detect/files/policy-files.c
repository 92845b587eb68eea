// SPDX-License-Identifier: Apache-2.0
/* Which files are opened: links, kinds and owners; and that what is outside is not even looked for.
 */
#include <sys/wait.h>

#include "tests/support/policy-ask.h"

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

/* Nothing tells whether a file is there that is outside of what is granted. */
static void test_existence_is_not_told(void **state)
{
    static const char *const options[] = {NULL, "follow=beside", "follow-symlinks", "any-owner"};

    (void)state;
    begin_policy(NULL);
    for (size_t i = 0; i < COUNT(options); i++) {
        if (options[i])
            take(options[i]);
        assert_alike("../secret", "../no-such-secret");
        assert_alike("sub/../../secret", "sub/../../no-such-secret");
        assert_alike("to-secret", "to-nothing-outside");
        assert_alike("absolute-out", "absolute-out-nothing");
        assert_alike("to-outside/secret", "to-outside/no-such-secret");
        assert_alike("../images-evil/secret", "../images-evil/no-such-file");
        assert_alike(in_top("secret"), in_top("no-such-secret"));
        assert_alike(in_top("images-evil/secret"), in_top("images-evil/nothing"));
        assert_alike("/proc/self/environ", "/proc/self/no-such-file");
        assert_alike("/dev/zero", "/dev/no-such-device");
        assert_alike("json:{}", "json:{\"x\":1}");
    }
    take_path("follow=under:", "images");
    assert_alike(in_top("secret"), in_top("no-such-secret"));
    assert_alike(in_top("images/../secret"), in_top("images/../no-such-secret"));
    assert_alike(in_top("images/to-secret"), in_top("images/to-nothing-outside"));
}

static void test_kinds_of_files(void **state)
{
    (void)state;
    begin_policy("follow=beside");
    assert_state("fifo", POLICY_REFUSED, "not a regular file");
    assert_state("socket", POLICY_REFUSED, "not a regular file");
    assert_state("zero", POLICY_REFUSED, "not a regular file");
    assert_state("block", POLICY_REFUSED, "block device (-o blockdev allows that)");
    assert_state("sub", POLICY_REFUSED, "directory");
    assert_state(".", POLICY_REFUSED, "directory");
    take("blockdev");
    assert_state("zero", POLICY_REFUSED, "not a regular file");
    assert_state("fifo", POLICY_REFUSED, "not a regular file");
    ask("block"); /* what that device is depends on the machine */
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
    assert_state("theirs", POLICY_REFUSED, "belongs to another user");
    take("any-owner");
    assert_granted("theirs", "theirs");
    begin_policy(NULL);
    take_path("ref=0:", "images/theirs");
    assert_granted("whatever", "theirs");
}

/* Who may not read a file is told so, and nothing else. */
static void test_unreadable(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        if (setgid(SOMEBODY) || setuid(SOMEBODY))
            _exit(2);
        begin_policy("follow=beside");
        ask("closed");
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
    /* What the image says does not matter then. */
    assert_granted("good", "secret");
    assert_granted("", "secret");
    assert_granted("json:{}", "secret");
    ask_bytes("\0\0", 2, false);
    assert_found("NULs", POLICY_GRANTED, "");
    from.layer = 2;
    assert_granted("good", "base");
    from.layer = 1;
    assert_state("good", POLICY_NOT_GRANTED, NULL);
    from.layer = 0;
    begin_policy(NULL);
    take_path("ref=0:", "images/to-secret"); /* a link that the user names is meant */
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
        cmocka_unit_test(test_existence_is_not_told),
        cmocka_unit_test(test_kinds_of_files),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_named_files),
        cmocka_unit_test(test_nothing_is_left_open),
    };

    require_root();
    return cmocka_run_group_tests(tests, begin, end);
}
