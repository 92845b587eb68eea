// SPDX-License-Identifier: Apache-2.0
/* The command line, as typed and as passed by mount(8); every error message is one sentence. */
#include "fs/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/support.h"

enum { ARGUMENTS_MAX = 16 };

static struct options o;
static char message[1024]; /* printed on stderr */

/* Parses the arguments, separated by "|", and keeps the message. */
static int parse(const char *arguments)
{
    static char text[512];
    char *argv[ARGUMENTS_MAX + 1] = {NULL}, *rest = text, *argument;
    int argc = 0, status, before = dup(STDERR_FILENO), fd = temporary_file("/tmp");
    ssize_t n;

    options_free(&o);
    strcpy(text, arguments);
    while ((argument = strsep(&rest, "|"))) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = argument;
    }
    dup2(fd, STDERR_FILENO);
    status = options_parse(&o, argc, argv);
    dup2(before, STDERR_FILENO);
    n = pread(fd, message, sizeof message - 1, 0);
    message[n > 0 ? n : 0] = '\0';
    close(before);
    close(fd);
    return status;
}

static void accept_line(const char *arguments)
{
    if (parse(arguments) != EXIT_GOOD)
        fail_msg("%s: %s", arguments, message);
    assert_string_equal(message, "");
}

/* Refused with one sentence that contains words; nothing is left to free. */
static void refuse_line(const char *arguments, const char *words)
{
    if (parse(arguments) != EXIT_USAGE)
        fail_msg("%s: not refused", arguments);
    if (!strstr(message, words) || strncmp(message, "mount.instar: ", 14) != 0 ||
        strchr(message, '\n') != message + strlen(message) - 1)
        fail_msg("%s: \"%s\"", arguments, message);
    assert_null(o.image);
    assert_null(o.directory);
}

static int end(void **state)
{
    (void)state;
    options_free(&o);
    return 0;
}

static void test_plain(void **state)
{
    (void)state;
    accept_line("mount.instar|a.img|/mnt");
    assert_string_equal(o.image, "a.img");
    assert_string_equal(o.directory, "/mnt");
    assert_null(o.image_options.open.format);
    assert_false(o.foreground || o.debug || o.verbose || o.fake || o.help || o.version);
    assert_false(o.allow_other || o.nonempty || o.image_options.policy.blockdev || o.has_uid ||
                 o.has_gid);
    assert_int_equal(o.umask, 0);
}

/* In any order. */
static void test_order(void **state)
{
    (void)state;
    accept_line("x|-o|allow_other,nonempty|a.img|-v|/mnt|-oblockdev,format=vpc");
    assert_string_equal(o.image, "a.img");
    assert_string_equal(o.directory, "/mnt");
    assert_true(o.allow_other && o.nonempty && o.image_options.policy.blockdev && o.verbose);
    assert_ptr_equal(o.image_options.open.format, &vhd_driver);
    accept_line("x|-f|-v|a.img|/mnt");
    assert_true(o.foreground && o.verbose);
    accept_line("x|--foreground|--debug|--verbose|a.img|/mnt");
    assert_true(o.foreground && o.debug && o.verbose);
    accept_line("x|-d|a.img|/mnt");
    assert_true(o.foreground);
}

static void test_counts(void **state)
{
    (void)state;
    refuse_line("x", "has 0");
    refuse_line("x|a.img", "has 1");
    refuse_line("x|a.img|/mnt|more", "needs 2 arguments, has 3");
}

static void test_help(void **state)
{
    (void)state;
    accept_line("x|-h");
    assert_true(o.help);
    accept_line("x|--help|a|b|c");
    assert_true(o.help);
    accept_line("x|-V");
    assert_true(o.version);
    accept_line("x|--version");
    assert_true(o.version);
}

static void test_format(void **state)
{
    (void)state;
    for (const struct format_driver *const *f = formats; *f; f++) {
        char line[64];

        snprintf(line, sizeof line, "x|a|b|-o|format=%s", (*f)->name);
        accept_line(line);
        assert_ptr_equal(o.image_options.open.format, *f);
    }
    accept_line("x|a|b|-o|format=auto");
    assert_null(o.image_options.open.format);
    accept_line("x|a|b|-o|format=vpc,format=raw");
    assert_ptr_equal(o.image_options.open.format, &raw_driver);
    refuse_line("x|a|b|-o|format=vhd", "format=vhd is not a format");
    refuse_line("x|a|b|-o|format=", "format= is not a format");
    refuse_line("x|a|b|-o|format=raw\\,qemu=7.2", "format=raw,qemu=7.2 is not a format");
    refuse_line("x|a|b|-o|format=auto7890123456789012345678901234567890123456789012345678901234567",
                "format=auto7890");
}

/* qemu=VERSION */
static void test_qemu(void **state)
{
    static const char *const bad[] = {
        "",
        "7",
        "7.",
        ".2",
        "7.2.1",
        "7.2x",
        "v7.2",
        "0.9",
        "-7.2",
        "+7.2",
        "7. 2",
        " 7.2",
        "7,2",
        "latest",
        "7.-2",
        "7..2",
        "1000.2",
        "7.1000",
        "7.2,format=raw",
        "7.2000000000000000000000000000000000000000000000000000000000",
    };

    (void)state;
    accept_line("x|a|b");
    assert_int_equal(o.image_options.open.qemu, 0);
    accept_line("x|a|b|-o|qemu=7.2");
    assert_int_equal(o.image_options.open.qemu, QEMU_VERSION(7, 2));
    accept_line("x|a|b|-o|format=vpc,qemu=10.0,uid=1");
    assert_int_equal(o.image_options.open.qemu, QEMU_VERSION(10, 0));
    assert_ptr_equal(o.image_options.open.format, &vhd_driver);
    accept_line("x|a|b|-o|qemu=7.2,qemu=999.999");
    assert_int_equal(o.image_options.open.qemu, QEMU_VERSION(999, 999));
    for (size_t i = 0; i < COUNT(bad); i++) {
        char line[128], *end = line + sprintf(line, "x|a|b|-o|qemu=");

        /* A comma in the value is escaped. */
        for (const char *c = bad[i]; *c; c++)
            end += sprintf(end, "%s%c", *c == ',' ? "\\" : "", *c);
        refuse_line(line, "is not a version, such as 7.2");
    }
}

static void test_numbers(void **state)
{
    (void)state;
    accept_line("x|a|b|-o|uid=1000,gid=0,umask=027");
    assert_true(o.has_uid && o.has_gid);
    assert_int_equal(o.uid, 1000);
    assert_int_equal(o.gid, 0);
    assert_int_equal(o.umask, 027);
    accept_line("x|a|b|-o|uid=9,umask=0");
    assert_int_equal(o.uid, 9);
    accept_line("x|a|b|-o|uid=010");
    assert_int_equal(o.uid, 10);
    assert_false(o.has_gid);
    accept_line("x|a|b|-o|gid=4294967294,umask=777");
    assert_int_equal(o.gid, 4294967294);
    assert_int_equal(o.umask, 0777);
    refuse_line("x|a|b|-o|uid=4294967296", "uid=4294967296 is not a number");
    refuse_line("x|a|b|-o|uid=99999999999999999999999", "is not a number");
    refuse_line("x|a|b|-o|uid=", "uid= is not a number");
    refuse_line("x|a|b|-o|uid=-1", "uid=-1 is not a number");
    refuse_line("x|a|b|-o|gid=+1", "gid=+1 is not a number");
    refuse_line("x|a|b|-o|gid=1x", "gid=1x is not a number");
    refuse_line("x|a|b|-o|gid= 1", "gid= 1 is not a number");
    refuse_line("x|a|b|-o|gid=root", "gid=root is not a number");
    refuse_line("x|a|b|-o|umask=8", "umask=8 is not an octal number");
    refuse_line("x|a|b|-o|umask=0x1", "umask=0x1 is not an octal number");
    refuse_line("x|a|b|-o|cpu-limit=1h", "cpu-limit=1h is not a number");
}

static void test_unknown(void **state)
{
    (void)state;
    refuse_line("x|a|b|-o|follow=anything", "follow=anything");
    refuse_line("x|a|b|-o|followed=beside", "unknown option 'followed=beside'");
    refuse_line("x|a|b|-o|ro,nonsense,format=vhd", "unknown option 'nonsense'");
    refuse_line("x|a|b|-o|sandbox", "option 'sandbox' needs a value");
    refuse_line("x|a|b|-o|ref", "option 'ref' needs a value");
    refuse_line("x|a|b|-o|re", "unknown option 're'");
    refuse_line("x|a|b|-z", "unknown option '-z'");
    refuse_line("x|a|b|--nonsense", "unknown option '--nonsense'");
    refuse_line("x|a|b|-o|formats=raw", "unknown option 'formats=raw'");
    /* mount -s: unknown options are ignored; known ones are still checked. */
    accept_line("x|-s|a|b|-o|nonsense");
    refuse_line("x|-s|a|b|-o|format=vhd", "format=vhd is not a format");
}

/* Options from fstab(5), and those that mount(8) adds. */
static void test_ignored(void **state)
{
    (void)state;
    accept_line("x|a|b|-o|ro,rw,defaults,auto,noauto,nofail,_netdev,user,user=joe,users,nouser,"
                "owner,group");
    accept_line("x|a|b|-o|exec,noexec,suid,nosuid,dev,nodev,atime,noatime,relatime,strictatime,"
                "nodiratime,sync,async");
    accept_line("x|a|b|-o|x-systemd.automount,x-gvfs-show,x-");
    accept_line("x|-n|-N|/proc/1/ns/mnt|-t|fuse.instar|a|b");
    assert_string_equal(o.image, "a");
    assert_string_equal(o.directory, "b");
}

/* mount(8) calls by an absolute path with -o last; its -f means "fake". */
static void test_called_by_mount(void **state)
{
    (void)state;
    accept_line("/sbin/mount.instar|a.img|/mnt|-f|-o|rw,nodev");
    assert_true(o.fake);
    assert_false(o.foreground);
    accept_line("/sbin/mount.instar|a.img|/mnt|-o|ro");
    assert_false(o.fake || o.foreground);
    accept_line("/sbin/mount.instar|a.img|/mnt|-f");
    assert_true(o.foreground);
    assert_false(o.fake);
    accept_line("/sbin/mount.instar|-f|a.img|/mnt|-o|ro");
    assert_true(o.foreground);
    assert_false(o.fake);
    accept_line("./mount.instar|a.img|/mnt|-f|-o|ro");
    assert_true(o.foreground);
    accept_line("/sbin/mount.instar|a.img|/mnt|-f|-o|nonempty");
    assert_true(o.foreground);
}

/* Any name that is not an option. */
static void test_names(void **state)
{
    (void)state;
    accept_line("x|a,b\\=c.img|/mnt/d e");
    assert_string_equal(o.image, "a,b\\=c.img");
    assert_string_equal(o.directory, "/mnt/d e");
    accept_line("x|--|-a.img|-dir");
    assert_string_equal(o.image, "-a.img");
    assert_string_equal(o.directory, "-dir");
}

static void assert_described(const char *arguments, const char *expected)
{
    char *text;

    accept_line(arguments);
    text = options_describe(&o);
    assert_string_equal(text, expected);
    free(text);
}

static void test_describe(void **state)
{
    (void)state;
    assert_described("x|a|b", "ro,format=auto");
    assert_described("x|a|b|-o|qemu=10.0", "ro,format=auto,qemu=10.0");
    assert_described("x|a|b|-o|umask=7,qemu=7.2,format=raw", "ro,format=raw,qemu=7.2,umask=007");
    assert_described("x|a|b|-o|format=vpc,uid=0,gid=7,umask=7,allow_other,blockdev",
                     "ro,format=vpc,blockdev,uid=0,gid=7,umask=007,allow_other");
    assert_described("x|a|b|-o|gid=4294967294,uid=4294967294,umask=777",
                     "ro,format=auto,uid=4294967294,gid=4294967294,umask=777");
    assert_described(
        "x|a|b|-o|follow=under:/,follow=beside,ref=2:/a\\,b,ref=1/0:/c,depth=3,any-owner",
        "ro,format=auto,follow=beside,follow=under:/,ref=2:/a\\,b,ref=1/0:/c,depth=3,"
        "any-owner");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),           cmocka_unit_test(test_order),
        cmocka_unit_test(test_counts),          cmocka_unit_test(test_help),
        cmocka_unit_test(test_format),          cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unknown),         cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_called_by_mount), cmocka_unit_test(test_names),
        cmocka_unit_test(test_describe),        cmocka_unit_test(test_qemu),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
