// SPDX-License-Identifier: Apache-2.0
/* The tree of an image without a mount. */
#include "cat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detect/image_file.h"

int cat_begin(struct cat *cat, const char *path, const struct open_options *options)
{
    struct stat st;
    size_t used;

    *cat = (struct cat){.fd = -1};
    if (options)
        cat->open = *options;
    cat->known = calloc(nodes_count(), sizeof *cat->known);
    cat->errors = calloc(nodes_count(), sizeof *cat->errors);
    cat->texts = calloc(nodes_count(), sizeof *cat->texts);
    if (!cat->known || !cat->errors || !cat->texts)
        return -ENOMEM;
    cat->fd = image_file_open(path, true, &st);
    if (cat->fd < 0)
        return cat->fd;
    if (!realpath(path, cat->path))
        return -errno;
    cat->open.name = strrchr(cat->path, '/') + 1;
    used = (size_t)snprintf(cat->options, sizeof cat->options, "ro,");
    open_options_describe(&cat->open, cat->options + used, sizeof cat->options - used);
    cat->status = (struct status){.image = cat->path,
                                  .options = cat->options,
                                  .problems = &cat->problems,
                                  .file_size = (uint64_t)st.st_size,
                                  .disk_size = (uint64_t)st.st_blocks * 512};
    return 0;
}

void cat_end(struct cat *cat)
{
    for (size_t i = 0; cat->texts && i < nodes_count(); i++)
        text_free(&cat->texts[i]);
    text_free(&cat->problems);
    free(cat->known);
    free(cat->errors);
    free(cat->texts);
    if (cat->fd >= 0)
        close(cat->fd);
}

/* Keeps the text of a node. */
static int keep(void *context, const struct node *node, int error, const struct text *text)
{
    struct cat *cat = context;
    size_t i = node_index(node);

    cat->known[i] = true;
    cat->errors[i] = error;
    text_free(&cat->texts[i]);
    if (!error && text->length)
        text_add(&cat->texts[i], "%.*s", (int)text->length, text->bytes);
    return cat->texts[i].error;
}

static int compute(struct cat *cat, const struct node *node);

static int compute_status(struct cat *cat, const struct node *node)
{
    struct facts facts = {.status = &cat->status};
    struct text text = {.bytes = NULL};
    int error = node->after ? compute(cat, node_by_path(node->after)) : 0;

    if (error)
        return error;
    error = node->render(&facts, node, &text);

    error = keep(cat, node, error ? error : text.error, &text);
    text_free(&text);
    return error;
}

static int compute(struct cat *cat, const struct node *node)
{
    struct pass_report report;
    int error;

    if (node->pass == PASS_STATUS)
        return compute_status(cat, node);
    if (cat->known[node_index(node)])
        return 0;
    error = pass_run(node->pass, cat->fd, &cat->open, keep, cat, &report);
    if (error)
        return error;
    cat->status.bytes_read += report.bytes_read;
    text_add_lines_once(&cat->problems, report.problems, strlen(report.problems));
    return 0;
}

int cat_node(struct cat *cat, const struct node *node, const struct text **text)
{
    int error = node->pass == PASS_DIRECTORY ? -ENOENT : compute(cat, node);

    if (error)
        return error;
    *text = &cat->texts[node_index(node)];
    return cat->errors[node_index(node)];
}

static void print(FILE *out, const struct node *node, int error, const struct text *text)
{
    fprintf(out, "== %s\n", node->path);
    if (error)
        fprintf(out, "error: %s\n", strerrorname_np(-error));
    else if (text->length)
        fwrite(text->bytes, 1, text->length, out);
}

int cat_all(struct cat *cat, FILE *out)
{
    static const enum pass order[] = {PASS_HEADER, PASS_CONTENT, PASS_MEASURE, PASS_SCAN,
                                      PASS_STATUS};

    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (const struct node *n = nodes; n->path; n++) {
            const struct text *text = NULL;
            int error;

            if (n->pass != order[k])
                continue;
            error = cat_node(cat, n, &text);
            if (error != -ENOENT)
                print(out, n, error, text);
        }
    return ferror(out) ? -EIO : 0;
}
