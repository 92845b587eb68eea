// SPDX-License-Identifier: Apache-2.0
/* The tree of an image without a mount. */
#include "cat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "formats/image.h"

/* What a pass finds goes here. */
struct keeper {
    struct cat_view *view;
    struct reference_list *references;
    struct bar *bar;
    const char *pass;
    int64_t started; /* ms */
};

static int keep_file(void *context, const struct place *place, int error, const struct text *text)
{
    const struct keeper *keeper = context;
    struct result *result = result_new(error, text->bytes, error ? 0 : text->length);

    return result ? results_put(&keeper->view->results, place, result) : -ENOMEM;
}

static int keep_count(void *context, const struct place *directory, uint32_t count)
{
    const struct keeper *keeper = context;

    return results_set_count(&keeper->view->results, directory, count);
}

static int keep_reference(void *context, const struct reference *reference)
{
    const struct keeper *keeper = context;

    return keeper->references ? reference_list_add(keeper->references, reference) : 0;
}

static int show_progress(void *context, uint64_t done, uint64_t total)
{
    const struct keeper *keeper = context;

    bar_show(keeper->bar, keeper->pass, done, total, keeper->started);
    return 0;
}

/* Does a task, and keeps what it finds. */
static int run(struct cat *cat, const struct task *task, struct reference_list *references)
{
    struct keeper keeper = {&cat->views[task->view], references, cat->bar, pass_name(task->pass),
                            now_ms()};
    const struct option_set *set = option_sets_get(&cat->sets, task->set);
    const struct pass_sink sink = {
        &keeper, keep_file, keep_count, keep_reference, cat->bar ? show_progress : NULL, NULL};
    struct pass_report report;
    int error = task_run(task, set, &cat->layers, &cat->open, &sink, &report);

    if (cat->bar)
        bar_clear(cat->bar);
    if (error)
        return error;
    keeper.view->bytes_read += report.bytes_read;
    text_add_lines_once(&keeper.view->problems, report.problems, strlen(report.problems));
    return 0;
}

static void forget(struct cat_view *view)
{
    results_forget(&view->results);
    text_free(&view->problems);
    view->bytes_read = 0;
}

/* Finds and opens what is granted. What a look at the headers says before that does not count. */
static int find_layers(struct cat *cat)
{
    int error = 0;

    for (unsigned i = 0; i < cat->layers.count && !error; i++) {
        struct reference_list references = {.items = NULL};

        error = run(cat, &(struct task){.view = i + 1, .pass = PASS_HEADER}, &references);
        if (!error)
            error = layers_grant(&cat->layers, i, &references);
        reference_list_end(&references);
        forget(&cat->views[i + 1]);
    }
    return error;
}

int cat_begin(struct cat *cat, const char *path, const struct image_options *options)
{
    int error;

    *cat = (struct cat){.options = NULL};
    if (options) {
        cat->open = options->open;
        cat->layers.policy = options->policy;
    }
    cat->layers.policy.caller = getuid();
    error = layers_begin(&cat->layers, path, true);
    if (error)
        return error;
    cat->open.name = strrchr(cat->layers.items[0].path, '/') + 1;
    cat->options = image_options_describe(&cat->open, &cat->layers.policy);
    if (!cat->options)
        return -ENOMEM;
    return find_layers(cat);
}

void cat_end(struct cat *cat)
{
    for (unsigned i = 0; i < VIEWS_MAX; i++)
        forget(&cat->views[i]);
    layers_end(&cat->layers);
    option_sets_end(&cat->sets);
    free(cat->options);
}

static int compute(struct cat *cat, const struct place *place);

static int compute_status(struct cat *cat, const struct place *place)
{
    struct cat_view *view = &cat->views[place->view];
    const struct layer *layer = &cat->layers.items[place->view ? place->view - 1 : 0];
    const struct status status = {.image = layer->path,
                                  .options = cat->options,
                                  .problems = &view->problems,
                                  .file_size = (uint64_t)layer->st.st_size,
                                  .disk_size = (uint64_t)layer->st.st_blocks * 512,
                                  .bytes_read = view->bytes_read,
                                  .generation = 1,
                                  .fd = layer->fd};
    struct facts *facts = calloc(1, sizeof *facts);
    struct keeper keeper = {.view = view};
    struct text text = {.bytes = NULL};
    int error = facts ? 0 : -ENOMEM;

    if (!error && place->node->after)
        error = compute(
            cat, &(struct place){.view = place->view, .node = node_by_path(place->node->after)});
    if (!error) {
        facts->status = &status;
        error = place->node->render(facts, place, &text);
        error = keep_file(&keeper, place, error ? error : text.error, &text);
    }
    text_free(&text);
    free(facts);
    return error;
}

static int compute(struct cat *cat, const struct place *place)
{
    const struct task task = place_task(place);

    if (task.pass == PASS_STATUS)
        return compute_status(cat, place);
    if (results_get(&cat->views[place->view].results, place))
        return 0;
    return run(cat, &task, NULL);
}

int cat_file(struct cat *cat, const struct place *place, const struct result **result)
{
    int error = place->node->pass == PASS_DIRECTORY || place->view > cat->layers.count
                    ? -ENOENT
                    : compute(cat, place);

    if (error)
        return error;
    *result = results_get(&cat->views[place->view].results, place);
    return *result ? (*result)->error : -ENOENT;
}

static void print(FILE *out, const struct place *place, int error, const struct result *result)
{
    char path[PLACE_PATH_BYTES];

    place_path(place, path);
    fprintf(out, "== %s\n", path);
    if (error)
        fprintf(out, "error: %s\n", strerrorname_np(-error));
    else
        fwrite(result->bytes, 1, result->length, out);
}

/* Prints a node; a numbered one for each of its numbers. */
static void print_node(struct cat *cat, const struct node *node, unsigned view, FILE *out)
{
    struct place place = {.view = view, .node = node};
    uint32_t count = 1;

    if (node->is_numbered)
        count = results_count(&cat->views[view].results, node_counter(node));
    for (; place.number < count; place.number++) {
        const struct result *result = NULL;
        int error = cat_file(cat, &place, &result);

        if (error != -ENOENT)
            print(out, &place, error, result);
    }
}

static void print_view(struct cat *cat, unsigned view, FILE *out)
{
    static const enum pass order[] = {PASS_HEADER, PASS_CONTENT, PASS_MEASURE,
                                      PASS_SCAN,   PASS_DATA,    PASS_STATUS};

    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (const struct node *n = nodes; n->path; n++)
            if (n->pass == order[k] && !(view && n->of_mount))
                print_node(cat, n, view, out);
}

int cat_all(struct cat *cat, FILE *out)
{
    print_view(cat, 0, out);
    for (unsigned i = 0; cat->layers.count > 1 && i < cat->layers.count; i++)
        print_view(cat, i + 1, out);
    return ferror(out) ? -EIO : 0;
}
