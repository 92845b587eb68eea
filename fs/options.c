// SPDX-License-Identifier: Apache-2.0
/*
 * The command line. Options that mount(8) passes on, or that only concern mount(8), are accepted
 * and have no effect: the mount is always read-only, nosuid, nodev and noexec.
 */
#include "options.h"

#include <fuse_opt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/image.h"

/* The result of fuse_opt_parse(). */
struct parsed {
    struct options *options;
    char *uid, *gid, *umask, *sandbox, *cpu_limit, *stall_limit;
    int foreground, long_foreground, sloppy, remount;
    int allow_other, nonempty, debug, verbose, progress, help, version;
    int arguments; /* count of those that are not options */
    bool failed;   /* the reason was printed */
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
    IGNORED("user_id="), /* from /proc/mounts: mount(8) passes them on a remount */
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

/* Takes an option about the image or its references. Returns 0, or -1 after printing the reason. */
static int take_image_option(struct parsed *p, const char *option)
{
    struct reason why;

    if (image_options_take(&p->options->image_options, option, &why) == 1)
        return 0;
    complain("%s", why.words);
    p->failed = true;
    return -1;
}

/* Whether the argument is the name of an option that needs a value. */
static bool lacks_value(const char *argument)
{
    size_t length = strlen(argument);

    for (const struct fuse_opt *o = specification; o->templ; o++)
        if (strncmp(o->templ, argument, length) == 0 && o->templ[length] == '=')
            return true;
    return false;
}

/* fuse_opt_parse() calls it for arguments with a key, or not in the specification. Returns 0 (drop
 * the argument) or -1. */
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

/* Parses text as a number from 0 to most. Returns false after printing what is wrong. */
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

/* The options of the sandbox and of its limits. Returns false after printing what is wrong. */
static bool parse_sandbox(struct options *o, const struct parsed *p)
{
    int mode = p->sandbox ? sandbox_mode_by_name(p->sandbox) : SANDBOX_DEFAULT;
    unsigned cpu = 0;

    if (mode < 0) {
        complain("sandbox=%s is not default, require, best-effort or off", p->sandbox);
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
 * Whether mount(8) called us: it calls by a path in /sbin, with image and directory first, and last
 * -o with options that begin with ro or rw. Its -f means "fake"; typed, -f means "foreground".
 */
static bool called_by_mount(int argc, char **argv)
{
    bool is_helper =
        strncmp(argv[0], "/sbin/mount.", 12) == 0 || strncmp(argv[0], "/usr/sbin/mount.", 16) == 0;

    return argc >= 5 && is_helper && argv[1][0] != '-' && argv[2][0] != '-' &&
           strcmp(argv[argc - 2], "-o") == 0 &&
           (strncmp(argv[argc - 1], "ro", 2) == 0 || strncmp(argv[argc - 1], "rw", 2) == 0);
}

/* Fills in the options from the parsed arguments. Returns an exit status. */
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
        complain("remount is not supported: unmount it and mount again");
        return EXIT_MOUNT;
    }
    if (p->arguments != 2) {
        complain("needs 2 arguments, has %d: mount.instar IMAGE DIR [-o OPTIONS]", p->arguments);
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
            complain("cannot parse the arguments (see mount.instar -h)");
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

/* The help, before and after the names of the formats. */
static const char help_begin[] =
    "usage: mount.instar IMAGE DIR [-f] [-d] [-v] [-o OPTIONS]\n"
    "Mounts a disk image on DIR; the files there describe the image. Unmount with umount "
    "DIR\n"
    "or fusermount3 -u DIR.\n"
    "\n"
    "  -f, --foreground  stay in the foreground\n"
    "  -d, --debug       print each FUSE request; implies -f\n"
    "      --progress    draw a progress bar on the terminal; implies -f\n"
    "  -v, --verbose     print the image and the directory when mounted\n"
    "  -h, --help        print this text\n"
    "  -V, --version     print the version\n"
    "\n"
    "Format of the image\n"
    "  -o format=FMT     do not detect the format:";
static const char help_rest[] =
    "\n"
    "  -o qemu=VERSION   print the sizes that this version of qemu prints: 7.2, 10.0 ...\n"
    "\n"
    "Other files that the image names (backing file, parent, extents ...)\n"
    "  -o follow=none    open none of them (default)\n"
    "  -o follow=beside  open those with a relative path, below the image's directory\n"
    "  -o follow=under:DIR\n"
    "                    open those below DIR; may be repeated\n"
    "  -o ref=N:PATH     open PATH for reference N, instead of the path in the image\n"
    "  -o backing-format=FMT\n"
    "                    format of a backing image where the overlay does not name it\n"
    "  -o backing=none   ignore backing images: count only what this image stores\n"
    "  -o depth=N        maximum length of the backing chain (default 16)\n"
    "  -o follow-symlinks, any-owner, any-parent\n"
    "                    lift one rule for these files: see the manual\n"
    "  -o blockdev       allow block devices\n"
    "\n"
    "Mount\n"
    "  -o uid=N,gid=N    owner of the files (default: the user who mounts)\n"
    "  -o umask=OCTAL    permission bits to remove from 0555 and 0444\n"
    "  -o allow_other    allow access by other users\n"
    "  -o nonempty       allow a directory that is not empty\n"
    "  -o sandbox=MODE   sandbox of the processes: default, require, best-effort or off\n"
    "  -o cpu-limit=N    processor seconds for one pass over the image; its elapsed time may\n"
    "                    be 16 times as long; 0: no limit\n"
    "  -o stall-limit=N  seconds without progress after which a pass is stopped; 0: no limit\n"
    "                    (default 60)\n"
    "\n"
    "See mount.instar(8).\n";

void options_help(void)
{
    fputs(help_begin, stdout);
    for (const struct format_driver *const *f = formats; *f; f++)
        printf(" %s", (*f)->name);
    fputs(help_rest, stdout);
}
