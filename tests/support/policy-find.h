/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the policy for an image in the directory images/ of a tree with files of all types. */
#ifndef TESTS_SUPPORT_POLICY_FIND_H
#define TESTS_SUPPORT_POLICY_FIND_H

#include <errno.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "detect/files/policy.h"
#include "policy-files.h"

enum { IMAGE_OWNER = 4242, OTHER_OWNER = 4243, CALLER = 4244 };

static struct policy policy;
static struct policy_referrer from = {.directory_fd = -1};
static struct policy_file_found found = {.fd = -1};

static inline void make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_top(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static inline void make_nodes(void)
{
    assert_int_equal(mkfifo(in_top("images/fifo"), 0644), 0);
    make_socket("images/socket");
    assert_int_equal(mknod(in_top("images/zero"), S_IFCHR | 0644, makedev(1, 5)), 0);
    assert_int_equal(mknod(in_top("images/block"), S_IFBLK | 0644, makedev(7, 0)), 0);
    make_file("images/theirs", "theirs");
    assert_int_equal(chown(in_top("images/theirs"), OTHER_OWNER, 0), 0);
    make_file("images/callers", "callers");
    assert_int_equal(chown(in_top("images/callers"), CALLER, 0), 0);
    make_file("images/own", "own");
    assert_int_equal(chown(in_top("images/own"), IMAGE_OWNER, 0), 0);
    make_file("images/closed", "closed");
    assert_int_equal(chmod(in_top("images/closed"), 0), 0);
}

static inline void make_links(void)
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

static inline int begin(void **state)
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
        .owner = IMAGE_OWNER,
    };
    return 0;
}

static inline void take(const char *option)
{
    struct reason why;

    if (policy_take(&policy, option, &why) != 1)
        fail_msg("%s: %s", option, why.words);
}

static inline void take_path(const char *option, const char *name)
{
    char words[PATH_MAX + 64];

    snprintf(words, sizeof words, "%s%s", option, in_top(name));
    take(words);
}

static inline void forget(void)
{
    free(found.name);
    if (found.fd >= 0)
        close(found.fd);
    found = (struct policy_file_found){.fd = -1};
}

static inline void begin_policy(const char *option)
{
    forget();
    policy_end(&policy);
    policy.caller = CALLER;
    if (option)
        take(option);
}

static inline void find_bytes(const char *path, size_t length, bool is_windows)
{
    const struct reference reference = {.role = REFERENCE_BACKING,
                                        .kind = "backing file",
                                        .path = path,
                                        .length = length,
                                        .is_windows = is_windows};

    forget();
    assert_int_equal(policy_find(&policy, &from, 0, &reference, &found), 0);
    /* There is a descriptor exactly if the file is granted, and it is read-only. */
    assert_int_equal(found.fd >= 0, found.state == POLICY_GRANTED);
    if (found.fd >= 0) {
        assert_int_equal(fcntl(found.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(found.fd, F_GETFD), FD_CLOEXEC);
    } else {
        assert_true(found.why.words[0]);
    }
}

static inline void find(const char *path)
{
    find_bytes(path, strlen(path), false);
}

static inline void assert_found(const char *path, enum policy_state state, const char *words)
{
    if (found.state != state || (words && !strstr(found.why.words, words)))
        fail_msg("%s: state %d, words \"%s\"", path, (int)found.state, found.why.words);
}

static inline void assert_state(const char *path, enum policy_state state, const char *words)
{
    find(path);
    assert_found(path, state, words);
}

static inline void assert_windows(const char *path, enum policy_state state, const char *words)
{
    find_bytes(path, strlen(path), true);
    assert_found(path, state, words);
}

/* The file is granted, and contains the text. */
static inline void assert_granted(const char *path, const char *text)
{
    char bytes[64] = "";

    assert_state(path, POLICY_GRANTED, "");
    assert_true(pread(found.fd, bytes, sizeof bytes - 1, 0) >= 0);
    assert_string_equal(bytes, text);
}

/* Two names have the same result, in state and message. */
static inline void assert_same_result(const char *one, const char *other)
{
    struct policy_file_found first;

    find(one);
    first = found;
    assert_int_not_equal(first.state, POLICY_GRANTED);
    find(other);
    assert_int_equal(found.state, first.state);
    assert_string_equal(found.why.words, first.why.words);
}

static inline int end(void **state)
{
    (void)state;
    begin_policy(NULL);
    free((char *)(uintptr_t)from.directory);
    close(from.directory_fd);
    remove_top();
    return 0;
}

#endif
