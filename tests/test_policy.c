// SPDX-License-Identifier: Apache-2.0
/* Which names are followed: every rule, and that what is not granted is not even looked for. */
#include "detect/policy.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "policy-files.h"

enum { SOMEBODY = 4242, SOMEBODY_ELSE = 4243, THE_CALLER = 4244 };

static struct policy policy;
static struct policy_referrer from = {.directory_fd = -1};
static struct policy_file_found found = {.fd = -1};

static void make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_top(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void make_nodes(void)
{
    assert_int_equal(mkfifo(in_top("images/fifo"), 0644), 0);
    make_socket("images/socket");
    assert_int_equal(mknod(in_top("images/zero"), S_IFCHR | 0644, makedev(1, 5)), 0);
    assert_int_equal(mknod(in_top("images/block"), S_IFBLK | 0644, makedev(7, 0)), 0);
    make_file("images/theirs", "theirs");
    assert_int_equal(chown(in_top("images/theirs"), SOMEBODY_ELSE, 0), 0);
    make_file("images/callers", "callers");
    assert_int_equal(chown(in_top("images/callers"), THE_CALLER, 0), 0);
    make_file("images/own", "own");
    assert_int_equal(chown(in_top("images/own"), SOMEBODY, 0), 0);
    make_file("images/closed", "closed");
    assert_int_equal(chmod(in_top("images/closed"), 0), 0);
}

static void make_links(void)
{
    make_link("images/to-good", "good");
    make_link("images/to-sub", "sub");
    make_link("images/sub/up-to-good", "../good");
    make_link("images/to-secret", "../secret");
    make_link("images/to-nothing-outside", "../no-such-secret");
    make_link("images/absolute", in_top("images/good"));
    make_link("images/absolute-out", in_top("secret"));
    make_link("images/absolute-out-nothing", in_top("no-such-secret"));
    make_link("images/to-outside", "..");
    make_link("images/loop", "loop");
    make_link("images/magic", "/proc/self/cwd");
    make_link("link-to-images", "images");
}

static int begin(void **state)
{
    (void)state;
    make_top();
    make_directory("images");
    make_directory("images/sub");
    make_directory("images/C:");
    make_directory("images-evil");
    make_directory("other");
    make_file("secret", "secret");
    make_file("images-evil/secret", "secret");
    make_file("other/base", "base");
    make_file("images/good", "good");
    make_file("images/sub/good", "good");
    make_file("images/sub/a:b", "good");
    make_file("images/C:/x", "good");
    make_file("images/json:{}", "good");
    make_file("images/back\\slash", "good");
    make_nodes();
    make_links();
    from = (struct policy_referrer){
        .directory = strdup(in_top("images")),
        .directory_fd = open(in_top("images"), O_PATH | O_DIRECTORY | O_CLOEXEC),
        .owner = SOMEBODY,
    };
    return 0;
}

static void take(const char *option)
{
    struct reason why;

    if (policy_take(&policy, option, &why) != 1)
        fail_msg("%s: %s", option, why.words);
}

static void take_path(const char *option, const char *name)
{
    char words[PATH_MAX + 64];

    snprintf(words, sizeof words, "%s%s", option, in_top(name));
    take(words);
}

static void forget(void)
{
    free(found.name);
    if (found.fd >= 0)
        close(found.fd);
    found = (struct policy_file_found){.fd = -1};
}

static void begin_policy(const char *option)
{
    forget();
    policy_end(&policy);
    policy.caller = THE_CALLER;
    if (option)
        take(option);
}

static void ask_bytes(const char *path, size_t length, bool is_windows)
{
    const struct reference reference = {.role = REFERENCE_BELOW,
                                        .kind = "backing file",
                                        .path = path,
                                        .length = length,
                                        .is_windows = is_windows};

    forget();
    assert_int_equal(policy_find(&policy, &from, 0, &reference, &found), 0);
    /* A descriptor is there just where the file is granted, and it can only be read. */
    assert_int_equal(found.fd >= 0, found.state == POLICY_GRANTED);
    if (found.fd >= 0) {
        assert_int_equal(fcntl(found.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(found.fd, F_GETFD), FD_CLOEXEC);
    } else {
        assert_true(found.why.words[0]);
    }
}

static void ask(const char *path)
{
    ask_bytes(path, strlen(path), false);
}

static void assert_found(const char *path, enum policy_state state, const char *words)
{
    if (found.state != state || (words && !strstr(found.why.words, words)))
        fail_msg("%s: state %d, words \"%s\"", path, (int)found.state, found.why.words);
}

static void assert_state(const char *path, enum policy_state state, const char *words)
{
    ask(path);
    assert_found(path, state, words);
}

static void assert_windows(const char *path, enum policy_state state, const char *words)
{
    ask_bytes(path, strlen(path), true);
    assert_found(path, state, words);
}

/* The file is granted, and is the one that holds the text. */
static void assert_granted(const char *path, const char *text)
{
    char bytes[64] = "";

    assert_state(path, POLICY_GRANTED, "");
    assert_true(pread(found.fd, bytes, sizeof bytes - 1, 0) >= 0);
    assert_string_equal(bytes, text);
}

/* Two names get the same answer, in state and words. */
static void assert_alike(const char *one, const char *other)
{
    struct policy_file_found first;

    ask(one);
    first = found;
    assert_int_not_equal(first.state, POLICY_GRANTED);
    ask(other);
    assert_int_equal(found.state, first.state);
    assert_string_equal(found.why.words, first.why.words);
}

static int end(void **state)
{
    (void)state;
    begin_policy(NULL);
    free((char *)(uintptr_t)from.directory);
    close(from.directory_fd);
    remove_top();
    return 0;
}

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

/* What is said has no bytes of the image that a terminal would take for something else. */
static void test_words(void **state)
{
    char path[1024];

    (void)state;
    begin_policy(NULL);
    assert_state("/a\x1b[2J/x", POLICY_NOT_GRANTED,
                 "-o follow=under:DIR or -o ref=0:PATH grants it");
    assert_state("/a\nb/x", POLICY_NOT_GRANTED, "follow=under:DIR or");
    assert_state("/\xff/x", POLICY_NOT_GRANTED, "follow=under:DIR or");
    assert_state("/\xe2\x80\xae/x", POLICY_NOT_GRANTED, "follow=under:DIR or");
    memset(path, 'p', sizeof path);
    path[0] = path[1022] = '/';
    ask_bytes(path, 1023, false);
    assert_found("a long one", POLICY_NOT_GRANTED, "follow=under:DIR or -o ref=0:PATH grants it");
    path[79] = '/';
    ask_bytes(path, 110, false);
    path[79] = '\0';
    assert_found("a shorter one", POLICY_NOT_GRANTED, path);
}

static void test_lengths(void **state)
{
    char path[1025];

    (void)state;
    begin_policy("follow=beside");
    assert_state("", POLICY_REFUSED, "does not tell a path");
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 ? '/' : '.';
    memcpy(path + 1017, "//good", 6);
    ask_bytes(path, 1023, false);
    assert_found("1023 bytes", POLICY_GRANTED, "");
    memcpy(path + 1018, "//good", 6);
    ask_bytes(path, 1024, false);
    assert_found("1024 bytes", POLICY_REFUSED, "longer than 1023 bytes");
    ask_bytes(path, SIZE_MAX / 2, false);
    assert_found("without an end", POLICY_REFUSED, "longer than 1023 bytes");
    ask_bytes("good\0", 5, false);
    assert_found("NUL at the end", POLICY_REFUSED, "NUL");
    ask_bytes("good\0../secret", 14, false);
    assert_found("NUL inside", POLICY_REFUSED, "NUL");
    ask_bytes("\0", 1, false);
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
        assert_state(names[i], POLICY_REFUSED, "begins with a protocol");
    assert_granted("sub/a:b", "good");
    assert_granted("./json:{}", "good");
    assert_granted("./C:/x", "good");
    assert_granted(in_top("images/json:{}"), "good");
}

static void test_windows_paths(void **state)
{
    (void)state;
    begin_policy("follow=beside");
    assert_windows("C:\\x", POLICY_REFUSED, "absolute one of Windows");
    assert_windows("C:x", POLICY_REFUSED, "absolute one of Windows");
    assert_windows("\\\\server\\share\\x", POLICY_REFUSED, "absolute one of Windows");
    assert_windows("\\\\?\\Volume{1}\\x", POLICY_REFUSED, "absolute one of Windows");
    assert_windows("\\x", POLICY_REFUSED, "absolute one of Windows");
    assert_windows("/etc/passwd", POLICY_REFUSED, "absolute one of Windows");
    assert_windows("file://localhost/x", POLICY_REFUSED, "protocol");
    assert_windows("..\\secret", POLICY_REFUSED, "leads out");
    assert_windows("sub\\..\\..\\secret", POLICY_REFUSED, "leads out");
    assert_windows(".\\good", POLICY_GRANTED, "");
    assert_windows("sub\\good", POLICY_GRANTED, "");
    assert_windows("sub/good", POLICY_GRANTED, "");
    /* Elsewhere a backslash is a character of a name. */
    assert_granted("back\\slash", "good");
    assert_state("sub\\good", POLICY_MISSING, NULL);
}

static void test_beside(void **state)
{
    (void)state;
    begin_policy("follow=beside");
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
    ask("../secret");
    snprintf(name, sizeof name, "-o follow=under:%s or -o ref=0:PATH", top);
    assert_found("../secret", POLICY_NOT_GRANTED, name);
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
    /* By the name that the user gave, and by that without links. */
    assert_granted(in_top("link-to-images/good"), "good");
    assert_granted(in_top("images/good"), "good");
    assert_state(in_top("secret"), POLICY_NOT_GRANTED, NULL);
    assert_state(in_top("other/../secret"), POLICY_REFUSED, "leads out");
    begin_policy("follow=under:/");
    assert_granted(in_top("secret"), "secret");
    assert_granted(in_top("images/../secret"), "secret");
}

/* A name that leads up from the referrer's directory counts from there. */
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
    /* What follow=beside would refuse is still granted by another option. */
    take("follow=beside");
    assert_granted("good", "good");
    assert_granted("../other/base", "base");
    assert_state("../secret", POLICY_REFUSED, "leads out");
}

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
        _exit(found.state == POLICY_MISSING && found.fd < 0 ? 0 : 1);
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
    test_links_that_stay_inside(state);
    test_kinds_of_files(state);
    test_owners(state);
    begin_policy(NULL);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_granted_by_default),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_windows_paths),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_under),
        cmocka_unit_test(test_several_directories),
        cmocka_unit_test(test_up_into_a_directory),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_links_that_stay_inside),
        cmocka_unit_test(test_existence_is_not_told),
        cmocka_unit_test(test_kinds_of_files),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_named_files),
        cmocka_unit_test(test_root_directory),
        cmocka_unit_test(test_nothing_is_left_open),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
