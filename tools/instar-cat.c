// SPDX-License-Identifier: Apache-2.0
/* instar-cat: prints files of the mount without a mount. It uses the same node table and render
 * functions as the mount, in this process and without a sandbox. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detect/files/image-file.h"
#include "fs/tree/cat.h"

static const char usage[] =
    "usage: instar-cat [-p] [-o OPTIONS] IMAGE FILE...\n"
    "           print files of the mount, such as measure/qcow2\n"
    "       instar-cat [-p] [-o OPTIONS] -a IMAGE\n"
    "           print all files, each after a line == FILE; this reads all guest data\n"
    "       instar-cat -l\n"
    "           list the names of all files\n"
    "       instar-cat -h\n"
    "           print this text\n"
    "-p draws a progress bar on the terminal.\n"
    "OPTIONS are those of mount.instar for the image and the files that it names: format=, qemu=,\n"
    "follow=, ref= and so on.\n";

/* Finds the file with that path. Returns false after printing that there is none. */
static bool find_file(struct cat *cat, const char *path, struct place *place)
{
    struct reason why = {.words = ""};
    int error = option_sets_path(&cat->sets, path, place, &why);

    if (!error && !node_is_directory(place->node))
        return true;
    if (!error)
        fprintf(stderr, "instar-cat: %s: is a directory\n", path);
    else if (*why.words)
        fprintf(stderr, "instar-cat: %s: %s\n", path, why.words);
    else
        fprintf(stderr, "instar-cat: %s: no such file (instar-cat -l lists all)\n", path);
    return false;
}

/* Prints one file. Returns false after printing the error and the image's problems. */
static bool print_file(struct cat *cat, const char *path)
{
    const struct result *result = NULL;
    const struct text *problems;
    struct place place;
    int error;

    if (!find_file(cat, path, &place))
        return false;
    error = cat_file(cat, &place, &result);
    problems = cat_problems(cat, &place);
    if (!error)
        fwrite(result->bytes, 1, result->length, stdout);
    else
        fprintf(stderr, "instar-cat: %s: %s\n%.*s", path, strerror(-error), (int)problems->length,
                problems->length ? problems->bytes : "");
    return !error;
}

/* Prints the files named after the image, or all files. Returns the exit status. */
static int run(struct cat *cat, const struct image_options *options, struct bar *bar, bool all,
               int argc, char **argv)
{
    int error = cat_begin(cat, argv[0], options);
    bool good = true;

    cat->bar = bar;
    if (error) {
        fprintf(stderr, "instar-cat: cannot open image '%s': %s\n", argv[0],
                image_file_error(error));
        return 1;
    }
    if (all)
        good = cat_all(cat, stdout) == 0;
    for (int i = 1; i < argc; i++)
        good &= print_file(cat, argv[i]);
    return good && fflush(stdout) == 0 ? 0 : 1;
}

/* Lists the names of all files; N stands for a number. */
static int list(void)
{
    for (const struct node *n = nodes; n->path; n++) {
        const char *number = strchr(n->path, '#');

        if (node_is_directory(n))
            continue;
        if (number)
            printf("%.*sN%s\n", (int)(number - n->path), n->path, number + 1);
        else
            puts(n->path);
    }
    return 0;
}

/* Parses the argument of -o. Returns false after printing what is wrong. */
static bool take_options(struct image_options *options, const char *list)
{
    struct reason why = {"out of memory"};

    if (image_options_take_list(options, list, &why) == 1)
        return true;
    fprintf(stderr, "instar-cat: %s\n", why.words);
    return false;
}

int main(int argc, char **argv)
{
    struct image_options options = {.open = {.format = NULL}};
    static struct cat cat;
    struct bar bar;
    bool all = false, progress = false;
    int option, status;

    nodes_begin();
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage, stdout) < 0;
    while ((option = getopt(argc, argv, "alpho:")) != -1) {
        if (option == 'l')
            return list();
        if (option == 'h')
            return fputs(usage, stdout) < 0;
        if (option == '?' || (option == 'o' && !take_options(&options, optarg)))
            return 1;
        all |= option == 'a';
        progress |= option == 'p';
    }
    argc -= optind;
    argv += optind;
    if (argc < 1 || all != (argc == 1)) {
        fprintf(stderr, "instar-cat: %s\n%s",
                argc < 1 ? "no image given"
                : all    ? "-a prints all files, and takes no file names"
                         : "no file names given",
                usage);
        return 1;
    }
    bar_begin(&bar, STDERR_FILENO);
    status = run(&cat, &options, progress ? &bar : NULL, all, argc, argv);
    cat_end(&cat);
    return status;
}
