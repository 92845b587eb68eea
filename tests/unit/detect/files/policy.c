// SPDX-License-Identifier: Apache-2.0
/* The policy: rules for names and directories. */
#include "tests/support/policy-find.h"

static void test_nothing_is_granted_by_default(void **state)
{
    static const char *const names[] = {"good", "sub/good",  "fifo",
                                        "zero", "to-secret", "no-such-file"};

    (void)state;
    begin_policy(NULL);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_state(names[i], POLICY_NOT_GRANTED, "-o follow=beside or -o ref=0:PATH grants it");
    assert_state("/etc/passwd", POLICY_NOT_GRANTED,
                 "-o follow=under:/etc or -o ref=0:PATH grants it");
    assert_state("/passwd", POLICY_NOT_GRANTED, "-o follow=under:/ or -o ref=0:PATH grants it");
    from.layer = 3;
    assert_state("good", POLICY_NOT_GRANTED, "-o ref=3/0:PATH");
    from.layer = 0;
    begin_policy("follow=none");
    assert_state("good", POLICY_NOT_GRANTED, NULL);
    begin_policy("follow-symlinks");
    take("any-owner");
    take("blockdev");
    assert_state("good", POLICY_NOT_GRANTED, NULL);
}

/* Messages contain no bytes of the image that a terminal could interpret. */
static void test_messages(void **state)
{
    char path[1024];

    (void)state;
    begin_policy(NULL);
    assert_state("/a\x1b[2J/x", POLICY_NOT_GRANTED, "-o follow=under:DIR or -o ref=0:PATH");
    assert_state("/a\nb/x", POLICY_NOT_GRANTED, "follow=under:DIR or");
    assert_state("/\xff/x", POLICY_NOT_GRANTED, "follow=under:DIR or");
    assert_state("/\xe2\x80\xae/x", POLICY_NOT_GRANTED, "follow=under:DIR or");
    memset(path, 'p', sizeof path);
    path[0] = path[1022] = '/';
    find_bytes(path, 1023, false);
    assert_found("a long one", POLICY_NOT_GRANTED, "follow=under:DIR or -o ref=0:PATH");
    path[79] = '/';
    find_bytes(path, 110, false);
    path[79] = '\0';
    assert_found("a shorter one", POLICY_NOT_GRANTED, path);
}

static void test_lengths(void **state)
{
    char path[1025];

    (void)state;
    begin_policy("follow=beside");
    assert_state("", POLICY_REFUSED, "no path");
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 ? '/' : '.';
    memcpy(path + 1017, "//good", 6);
    find_bytes(path, 1023, false);
    assert_found("1023 bytes", POLICY_GRANTED, "");
    memcpy(path + 1018, "//good", 6);
    find_bytes(path, 1024, false);
    assert_found("1024 bytes", POLICY_REFUSED, "longer than 1023 bytes");
    find_bytes(path, SIZE_MAX / 2, false);
    assert_found("without an end", POLICY_REFUSED, "longer than 1023 bytes");
    find_bytes("good\0", 5, false);
    assert_found("NUL at the end", POLICY_REFUSED, "NUL");
    find_bytes("good\0../secret", 14, false);
    assert_found("NUL inside", POLICY_REFUSED, "NUL");
    find_bytes("\0", 1, false);
    assert_found("NUL alone", POLICY_REFUSED, "NUL");
    assert_state("go\nod", POLICY_MISSING, "No such file");
    assert_state("\x1b[2Jgood", POLICY_MISSING, "No such file");
    assert_state("\xff\xfe", POLICY_MISSING, "No such file");
}

static void test_protocols(void **state)
{
    static const char *const names[] = {
        "json:{}",     "json:{\"driver\":\"raw\",\"file.filename\":\"/etc/passwd\"}",
        "nbd:unix:/x", "nbd://host/x",
        "fat:/dir",    "fat:rw:/dir",
        "file:good",   "FILE:good",
        "a:",          ":",
        ":good",       "host_device:/dev/sda",
        "1x:good",     "http://h/x",
        "a b:good",    "C:/x"};

    (void)state;
    begin_policy("follow=beside");
    take_path("follow=under:", "images");
    for (size_t i = 0; i < COUNT(names); i++)
        assert_state(names[i], POLICY_REFUSED, "protocol");
    assert_granted("sub/a:b", "good");
    assert_granted("./json:{}", "good");
    assert_granted("./C:/x", "good");
    assert_granted(in_top("images/json:{}"), "good");
}

static void test_windows_paths(void **state)
{
    (void)state;
    begin_policy("follow=beside");
    assert_windows("C:\\x", POLICY_REFUSED, "absolute Windows path");
    assert_windows("C:x", POLICY_REFUSED, "absolute Windows path");
    assert_windows("\\\\server\\share\\x", POLICY_REFUSED, "absolute Windows path");
    assert_windows("\\\\?\\Volume{1}\\x", POLICY_REFUSED, "absolute Windows path");
    assert_windows("\\x", POLICY_REFUSED, "absolute Windows path");
    assert_windows("/etc/passwd", POLICY_REFUSED, "absolute Windows path");
    assert_windows("file://localhost/x", POLICY_REFUSED, "protocol");
    assert_windows("..\\secret", POLICY_REFUSED, "leads out");
    assert_windows("sub\\..\\..\\secret", POLICY_REFUSED, "leads out");
    assert_windows(".\\good", POLICY_GRANTED, "");
    assert_windows("sub\\good", POLICY_GRANTED, "");
    assert_windows("sub/good", POLICY_GRANTED, "");
    /* In other paths a backslash is an ordinary character. */
    assert_granted("back\\slash", "good");
    assert_state("sub\\good", POLICY_MISSING, NULL);
}

static void test_beside(void **state)
{
    char name[300];

    (void)state;
    begin_policy("follow=beside");
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_state(name, POLICY_MISSING, "File name too long");
    assert_granted("good", "good");
    assert_granted("./good", "good");
    assert_granted(".//sub///good", "good");
    assert_granted("sub/../good", "good");
    assert_state("good/", POLICY_MISSING, NULL);
    assert_state("no-such-file", POLICY_MISSING, "No such file");
    assert_state("good/x", POLICY_MISSING, NULL);
    assert_state("..", POLICY_REFUSED, "leads out");
    assert_state("../secret", POLICY_REFUSED, "leads out");
    assert_state("../images/good", POLICY_REFUSED, "leads out");
    assert_state("./../secret", POLICY_REFUSED, "leads out");
    assert_state("sub/../../secret", POLICY_REFUSED, "leads out");
    assert_state("../images-evil/secret", POLICY_REFUSED, "leads out");
    assert_state(in_top("images/good"), POLICY_NOT_GRANTED, "follow=under:");
    assert_state("/etc/passwd", POLICY_NOT_GRANTED, NULL);
}

static void test_under(void **state)
{
    char name[PATH_MAX];

    (void)state;
    begin_policy(NULL);
    take_path("follow=under:", "images");
    assert_granted(in_top("images/good"), "good");
    assert_granted(in_top("images//sub/./good"), "good");
    assert_granted(in_top("images/sub/../good"), "good");
    assert_granted("good", "good");
    assert_granted("sub/good", "good");
    assert_state(in_top("images"), POLICY_NOT_GRANTED, NULL);
    assert_state(in_top("images/"), POLICY_NOT_GRANTED, NULL);
    assert_state(in_top("images/sub"), POLICY_REFUSED, "directory");
    assert_state(in_top("images-evil/secret"), POLICY_NOT_GRANTED, NULL);
    assert_state(in_top("images/../secret"), POLICY_REFUSED, "leads out");
    assert_state(in_top("images/../images-evil/secret"), POLICY_REFUSED, "leads out");
    assert_state(in_top("images/sub/../../secret"), POLICY_REFUSED, "leads out");
    assert_state(in_top("images/no-such-file"), POLICY_MISSING, NULL);
    assert_state("../secret", POLICY_NOT_GRANTED, "-o follow=under:DIR or -o ref=0:PATH");
    assert_state(in_top("secret"), POLICY_NOT_GRANTED, NULL);
    snprintf(name, sizeof name, "/proc/self/root%s", in_top("images/good"));
    assert_state(name, POLICY_NOT_GRANTED, NULL);
}

static void test_several_directories(void **state)
{
    char option[PATH_MAX + 16];
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    begin_policy(NULL);
    assert_int_equal(chdir(top), 0);
    take("follow=under:other");
    snprintf(option, sizeof option, "follow=under:%s/", in_top("link-to-images"));
    take(option);
    assert_int_equal(fchdir(before), 0);
    close(before);
    assert_granted(in_top("other/base"), "base");
    /* By the path that the user gave, and by the path without links. */
    assert_granted(in_top("link-to-images/good"), "good");
    assert_granted(in_top("images/good"), "good");
    assert_state(in_top("secret"), POLICY_NOT_GRANTED, NULL);
    assert_state(in_top("other/../secret"), POLICY_REFUSED, "leads out");
    begin_policy("follow=under:/");
    assert_granted(in_top("secret"), "secret");
    assert_granted(in_top("images/../secret"), "secret");
}

/* Names that lead up from the directory of the image. */
static void test_up_into_a_directory(void **state)
{
    (void)state;
    begin_policy(NULL);
    take_path("follow=under:", "other");
    assert_granted("../other/base", "base");
    assert_granted("./.././/other/./base", "base");
    assert_state("../other/../secret", POLICY_REFUSED, "leads out");
    assert_state("../secret", POLICY_NOT_GRANTED, NULL);
    assert_state("../../../../../../../../etc/passwd", POLICY_NOT_GRANTED, NULL);
    /* A name that follow=beside would refuse may be granted by another option. */
    take("follow=beside");
    assert_granted("good", "good");
    assert_granted("../other/base", "base");
    assert_state("../secret", POLICY_REFUSED, "leads out");
}

/* An image whose directory is the root. */
static void test_root_directory(void **state)
{
    const struct policy_referrer before = from;

    (void)state;
    begin_policy("follow=under:/etc");
    from.directory = "/";
    from.directory_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_state("etc/passwd", POLICY_GRANTED, "");
    assert_state("../etc/passwd", POLICY_GRANTED, "");
    assert_state("root/x", POLICY_NOT_GRANTED, NULL);
    close(from.directory_fd);
    from = before;
}

static void test_nothing_is_left_open(void **state)
{
    unsigned before;

    (void)state;
    begin_policy(NULL);
    before = open_descriptors();
    test_beside(state);
    test_under(state);
    test_windows_paths(state);
    begin_policy(NULL);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_granted_by_default),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_windows_paths),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_under),
        cmocka_unit_test(test_several_directories),
        cmocka_unit_test(test_up_into_a_directory),
        cmocka_unit_test(test_root_directory),
        cmocka_unit_test(test_nothing_is_left_open),
    };

    require_root();
    return cmocka_run_group_tests(tests, begin, end);
}
