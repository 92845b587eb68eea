// SPDX-License-Identifier: Apache-2.0
/*
 * The command line. What mount(8) adds for its own sake is accepted and has no effect: the mount is
 * read-only, and nosuid, nodev and noexec always.
 */
#include "options.h"

#include <fuse_opt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What fuse_opt_parse() fills in. */
struct parsed {
    struct options *options;
    char *uid, *gid, *umask, *sandbox, *cpu_limit, *stall_limit;
    int foreground, long_foreground, sloppy, remount;
    int allow_other, nonempty, debug, verbose, progress, help, version;
    int arguments; /* that are not options */
    bool failed;
};

enum { KEY_IGNORED, KEY_IMAGE };

enum { SECONDS_MAX = 1000000000, STALL_SECONDS = 60 };

#define FLAG(text, field)                                                                          \
    {                                                                                              \
        text, offsetof(struct parsed, field), 1                                                    \
    }
#define VALUE(text, field)                                                                         \
    {                                                                                              \
        text, offsetof(struct parsed, field), 0                                                    \
    }
#define IGNORED(text) FUSE_OPT_KEY(text, KEY_IGNORED)
#define IMAGE(text)   FUSE_OPT_KEY(text, KEY_IMAGE)

static const struct fuse_opt specification[] = {
    IMAGE("format="),
    IMAGE("qemu="),
    IMAGE("backing="),
    IMAGE("any-parent"),
    IMAGE("follow="),
    IMAGE("ref="),
    IMAGE("backing-format="),
    IMAGE("depth="),
    IMAGE("follow-symlinks"),
    IMAGE("any-owner"),
    IMAGE("blockdev"),
    VALUE("uid=%s", uid),
    VALUE("gid=%s", gid),
    VALUE("umask=%s", umask),
    VALUE("sandbox=%s", sandbox),
    VALUE("cpu-limit=%s", cpu_limit),
    VALUE("stall-limit=%s", stall_limit),
    FLAG("allow_other", allow_other),
    FLAG("nonempty", nonempty),
    FLAG("-f", foreground),
    FLAG("--foreground", long_foreground),
    FLAG("remount", remount),
    FLAG("-d", debug),
    FLAG("--debug", debug),
    FLAG("--progress", progress),
    FLAG("-v", verbose),
    FLAG("--verbose", verbose),
    FLAG("-h", help),
    FLAG("--help", help),
    FLAG("-V", version),
    FLAG("--version", version),
    FLAG("-s", sloppy),
    IGNORED("-n"),
    IGNORED("-N "),
    IGNORED("-t "),
    IGNORED("ro"),
    IGNORED("rw"),
    IGNORED("defaults"),
    IGNORED("auto"),
    IGNORED("noauto"),
    IGNORED("nofail"),
    IGNORED("_netdev"),
    IGNORED("user"),
    IGNORED("user="),
    IGNORED("users"),
    IGNORED("nouser"),
    IGNORED("owner"),
    IGNORED("group"),
    IGNORED("exec"),
    IGNORED("noexec"),
    IGNORED("suid"),
    IGNORED("nosuid"),
    IGNORED("dev"),
    IGNORED("nodev"),
    IGNORED("atime"),
    IGNORED("noatime"),
    IGNORED("relatime"),
    IGNORED("norelatime"),
    IGNORED("strictatime"),
    IGNORED("diratime"),
    IGNORED("nodiratime"),
    IGNORED("lazytime"),
    IGNORED("nolazytime"),
    IGNORED("symfollow"),
    IGNORED("nosymfollow"),
    IGNORED("iversion"),
    IGNORED("noiversion"),
    IGNORED("mand"),
    IGNORED("nomand"),
    IGNORED("silent"),
    IGNORED("loud"),
    IGNORED("dirsync"),
    IGNORED("sync"),
    IGNORED("async"),
    IGNORED("default_permissions"),
    IGNORED("user_id="), /* as the kernel shows them, and mount(8) hands them back */
    IGNORED("group_id="),
    FUSE_OPT_END,
};

void complain(const char *format, ...)
{
    va_list args;

    fputs("mount.instar: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* Takes an option that concerns the image, or what it names. Returns 0 or -1, said. */
static int take_image_option(struct parsed *p, const char *option)
{
    struct reason why;

    if (image_options_take(&p->options->image_options, option, &why) == 1)
        return 0;
    complain("%s", why.words);
    p->failed = true;
    return -1;
}

/* Whether it is an option without the value that it must have. */
static bool lacks_value(const char *argument)
{
    size_t length = strlen(argument);

    for (const struct fuse_opt *o = specification; o->templ; o++)
        if (strncmp(o->templ, argument, length) == 0 && o->templ[length] == '=')
            return true;
    return false;
}

/* Called for what the specification does not take: 0 drops it, -1 fails. */
static int take_argument(void *data, const char *argument, int key, struct fuse_args *rest)
{
    struct parsed *p = data;

    (void)rest;
    if (key == KEY_IGNORED)
        return 0;
    if (key == KEY_IMAGE)
        return take_image_option(p, argument);
    if (key == FUSE_OPT_KEY_OPT) {
        if (p->sloppy || !*argument || strncmp(argument, "x-", 2) == 0)
            return 0;
        complain(lacks_value(argument) ? "option '%s' needs a value (see mount.instar -h)"
                                       : "unknown option '%s' (see mount.instar -h)",
                 argument);
        p->failed = true;
        return -1;
    }
    p->arguments++;
    if (p->arguments == 1)
        p->options->image = strdup(argument);
    else if (p->arguments == 2)
        p->options->directory = strdup(argument);
    return 0;
}

/* A number in base, all of text, up to most. */
static bool parse_number(const char *name, const char *text, int base, unsigned most,
                         unsigned *value)
{
    char *end;
    unsigned long number = strtoul(text, &end, base);

    *value = (unsigned)number;
    if (*text >= '0' && *text <= '9' && !*end && number <= most)
        return true;
    complain(base == 8 ? "%s=%s is not an octal number from 0 to %o"
                       : "%s=%s is not a number from 0 to %u",
             name, text, most);
    return false;
}

/* What is said of the sandbox, and of limits that go with it. */
static bool parse_sandbox(struct options *o, const struct parsed *p)
{
    int mode = p->sandbox ? sandbox_mode_by_name(p->sandbox) : SANDBOX_DEFAULT;
    unsigned cpu = 0;

    if (mode < 0) {
        complain("sandbox=%s is none of default, require, best-effort, off", p->sandbox);
        return false;
    }
    o->stall_seconds = STALL_SECONDS;
    if ((p->cpu_limit && !parse_number("cpu-limit", p->cpu_limit, 10, SECONDS_MAX, &cpu)) ||
        (p->stall_limit &&
         !parse_number("stall-limit", p->stall_limit, 10, SECONDS_MAX, &o->stall_seconds)))
        return false;
    o->sandbox = (struct sandbox_options){
        .mode = (enum sandbox_mode)mode, .has_cpu_limit = p->cpu_limit, .cpu_seconds = cpu};
    return true;
}

/*
 * Whether mount(8) called us: by its path in /sbin, with image and directory first and -o last,
 * which begins with ro or rw. Then -f means "fake", to a person it means "foreground".
 */
static bool called_by_mount(int argc, char **argv)
{
    bool is_helper =
        strncmp(argv[0], "/sbin/mount.", 12) == 0 || strncmp(argv[0], "/usr/sbin/mount.", 16) == 0;

    return argc >= 5 && is_helper && argv[1][0] != '-' && argv[2][0] != '-' &&
           strcmp(argv[argc - 2], "-o") == 0 &&
           (strncmp(argv[argc - 1], "ro", 2) == 0 || strncmp(argv[argc - 1], "rw", 2) == 0);
}

/* Takes over what was parsed. Returns an exit status. */
static int accept_parsed(struct options *o, const struct parsed *p, bool by_mount)
{
    o->allow_other = p->allow_other;
    o->nonempty = p->nonempty;
    o->debug = p->debug;
    o->verbose = p->verbose;
    o->progress = p->progress;
    o->help = p->help;
    o->version = p->version;
    o->fake = p->foreground && by_mount;
    o->foreground = (p->foreground && !by_mount) || p->long_foreground || p->debug || p->progress;
    o->has_uid = p->uid != NULL;
    o->has_gid = p->gid != NULL;
    if ((p->uid && !parse_number("uid", p->uid, 10, UINT32_MAX - 1, &o->uid)) ||
        (p->gid && !parse_number("gid", p->gid, 10, UINT32_MAX - 1, &o->gid)) ||
        (p->umask && !parse_number("umask", p->umask, 8, 0777, &o->umask)) || !parse_sandbox(o, p))
        return EXIT_USAGE;
    if (o->help || o->version)
        return EXIT_GOOD;
    if (p->remount) {
        complain("a mount cannot be changed: unmount it and mount again");
        return EXIT_MOUNT;
    }
    if (p->arguments != 2) {
        complain("an image and a directory are wanted: mount.instar IMAGE DIR [-o options]");
        return EXIT_USAGE;
    }
    if (!o->image || !o->directory) {
        complain("out of memory");
        return EXIT_SYSTEM;
    }
    return EXIT_GOOD;
}

int options_parse(struct options *options, int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct parsed parsed = {.options = options};
    int status;

    *options = (struct options){.image = NULL};
    if (fuse_opt_parse(&args, &parsed, specification, take_argument) < 0) {
        if (!parsed.failed)
            complain("cannot read the arguments (see mount.instar -h)");
        status = EXIT_USAGE;
    } else {
        status = accept_parsed(options, &parsed, called_by_mount(argc, argv));
    }
    fuse_opt_free_args(&args);
    free(parsed.uid);
    free(parsed.gid);
    free(parsed.umask);
    free(parsed.sandbox);
    free(parsed.cpu_limit);
    free(parsed.stall_limit);
    if (status)
        options_free(options);
    return status;
}

void options_free(struct options *options)
{
    image_options_end(&options->image_options);
    free(options->image);
    free(options->directory);
    *options = (struct options){.image = NULL};
}

char *options_describe(const struct options *o)
{
    char *image = image_options_describe(&o->image_options.open, &o->image_options.policy);
    char *text = NULL;
    size_t size;
    FILE *out = image ? open_memstream(&text, &size) : NULL;

    if (out) {
        fputs(image, out);
        if (o->has_uid)
            fprintf(out, ",uid=%u", o->uid);
        if (o->has_gid)
            fprintf(out, ",gid=%u", o->gid);
        if (o->umask)
            fprintf(out, ",umask=%03o", o->umask);
        if (o->sandbox.mode != SANDBOX_DEFAULT)
            fprintf(out, ",sandbox=%s", sandbox_mode_name(o->sandbox.mode));
        if (o->sandbox.has_cpu_limit)
            fprintf(out, ",cpu-limit=%" PRIu64, o->sandbox.cpu_seconds);
        if (o->stall_seconds != STALL_SECONDS)
            fprintf(out, ",stall-limit=%u", o->stall_seconds);
        fputs(o->allow_other ? ",allow_other" : "", out);
        fclose(out);
    }
    free(image);
    return text;
}

void options_help(void)
{
    printf("usage: mount.instar IMAGE DIR [-f] [-d] [-v] [-o options]\n"
           "Shows what there is to know about a disk image as files below DIR. Unmount with umount "
           "DIR or\n"
           "fusermount3 -u DIR.\n"
           "\n"
           "  -f, --foreground  stay in the foreground\n"
           "  -d, --debug       print what the kernel asks; implies -f\n"
           "      --progress    draw a bar of what is being computed; implies -f\n"
           "  -v, --verbose     say what was mounted\n"
           "  -h, --help        this text\n"
           "  -V, --version     the version\n"
           "\n"
           "  -o format=FMT     take the image as FMT instead of detecting it:");
    for (const struct format_driver *const *f = formats; *f; f++)
        printf(" %s", (*f)->name);
    printf(
        "\n"
        "  -o qemu=VERSION   the numbers of that qemu, where ours are others: 7.2, 10.0 ...\n"
        "  -o follow=beside  open what the image names (a backing file ...) in its directory\n"
        "  -o follow=under:DIR\n"
        "                    open it below DIR; may be given several times\n"
        "  -o ref=N:PATH     open PATH as what references/N names\n"
        "  -o backing-format=FMT\n"
        "                    the format of an image below, where the image does not tell it\n"
        "  -o backing=none   tell what this image holds alone\n"
        "  -o depth=N        images below each other, at most (16)\n"
        "  -o follow-symlinks, any-owner, any-parent\n"
        "                    rules that are lifted: see the manual\n"
        "  -o uid=N,gid=N    owner of the files (default: who mounts)\n"
        "  -o umask=OCTAL    permission bits to take away from 0555 and 0444\n"
        "  -o allow_other    let other users look, too\n"
        "  -o nonempty       mount over a directory that is not empty\n"
        "  -o blockdev       the image may be a block device\n"
        "  -o sandbox=MODE   for what reads the image: default, require, best-effort or off\n"
        "  -o cpu-limit=N    seconds of processor time for one pass over the image, which may "
        "last\n"
        "                    16 times as long; 0: no limit\n"
        "  -o stall-limit=N  seconds after which a pass that tells nothing is given up; 0: never\n"
        "\n"
        "See mount.instar(8).\n");
}
