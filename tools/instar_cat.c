// SPDX-License-Identifier: Apache-2.0
/* instar-cat: prints files of the mount without a mount, from the same table and by the same
 * functions. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/cat.h"
#include "fs/image_file.h"

static const char usage[] = "usage: instar-cat [-o format=FMT] IMAGE NODE...   print files of the "
                            "mount, e.g. measure/qcow2\n"
                            "       instar-cat [-o format=FMT] -a IMAGE       print all of them, "
                            "each under a line == NODE\n"
                            "       instar-cat -l                             list them\n";

/* Prints one node. Returns whether that went well. */
static bool print_node(struct cat *cat, const char *path)
{
    const struct node *node = node_by_path(path);
    const struct text *text = NULL;
    int error = node ? cat_node(cat, node, &text) : -ENOENT;

    if (!error && text->length)
        fwrite(text->bytes, 1, text->length, stdout);
    if (!node || node->pass == PASS_DIRECTORY)
        fprintf(stderr, "instar-cat: there is no file %s (instar-cat -l lists them)\n", path);
    else if (error)
        fprintf(stderr, "instar-cat: %s: %s\n%.*s", path, strerror(-error),
                (int)cat->problems.length, cat->problems.length ? cat->problems.bytes : "");
    return !error;
}

/* Prints what the arguments ask for. Returns the exit status. */
static int run(struct cat *cat, const struct format_driver *given, bool all, int argc, char **argv)
{
    int error = cat_begin(cat, argv[0], given);
    bool good = true;

    if (error) {
        fprintf(stderr, "instar-cat: cannot read image '%s': %s\n", argv[0],
                image_file_error(error));
        return 1;
    }
    if (all)
        good = cat_all(cat, stdout) == 0;
    for (int i = 1; i < argc; i++)
        good &= print_node(cat, argv[i]);
    return good && fflush(stdout) == 0 ? 0 : 1;
}

static int list(void)
{
    for (const struct node *n = nodes; n->path; n++)
        if (n->pass != PASS_DIRECTORY)
            puts(n->path);
    return 0;
}

/* The only -o is format=FMT. NULL, said, for another. */
static const struct format_driver *take_option(const char *option)
{
    const struct format_driver *given =
        strncmp(option, "format=", 7) == 0 ? format_by_name(option + 7) : NULL;

    if (!given)
        fprintf(stderr, "instar-cat: unknown option or format '%s'\n", option);
    return given;
}

int main(int argc, char **argv)
{
    const struct format_driver *given = NULL;
    struct cat cat;
    bool all = false;
    int option, status;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage, stdout) < 0;
    while ((option = getopt(argc, argv, "alho:")) != -1) {
        if (option == 'l')
            return list();
        if (option == 'h')
            return fputs(usage, stdout) < 0;
        if (option == '?' || (option == 'o' && !(given = take_option(optarg))))
            return 1;
        all |= option == 'a';
    }
    argc -= optind;
    argv += optind;
    if (argc < 1 || all != (argc == 1)) {
        fputs(usage, stderr);
        return 1;
    }
    status = run(&cat, given, all, argc, argv);
    cat_end(&cat);
    return status;
}
