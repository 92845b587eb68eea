// SPDX-License-Identifier: Apache-2.0
/* The tree of an image without a mount. */
#include "cat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "limits.h"
#include "run.h"
#include "status.h"

/* The context of the sink, which keeps what a task yields. */
struct keeper {
    struct view *view;
    struct reference_list *references;
    struct bar *bar;
    const char *pass;
    int64_t started; /* ms */
};

static int keep_file(void *context, const struct place *place, int error, const struct text *text)
{
    const struct keeper *keeper = context;
    struct result *result = result_new(error, text->bytes, error ? 0 : text->length, text->number);

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

/* Runs a task, and keeps its results and problems. */
static int run(struct cat *cat, const struct task *task, struct reference_list *references)
{
    struct keeper keeper = {views_get(&cat->views, task->view), references, cat->bar,
                            passes[task->pass].name, now_ms()};
    const struct option_set *set = option_sets_get(&cat->sets, task->set);
    const struct pass_sink sink = {
        &keeper, keep_file, keep_count, keep_reference, cat->bar ? show_progress : NULL, NULL};
    struct pass_report report;
    int error =
        keeper.view ? task_run(task, set, &cat->layers, &cat->open, &sink, &report) : -ENOMEM;

    if (cat->bar)
        bar_clear(cat->bar);
    if (error)
        return error;
    keeper.view->costs[task->pass].bytes += report.bytes_read;
    text_add_lines_once(&keeper.view->problems, report.problems, strlen(report.problems));
    return 0;
}

/* Opens granted references, layer by layer. The results are dropped: they were computed before the
 * references were open. */
static int find_layers(struct cat *cat)
{
    int error = 0;

    for (unsigned i = 0; i < cat->layers.count && !error; i++) {
        struct reference_list references = {.items = NULL};

        error = run(cat, &(struct task){.view = view_named(VIEW_LAYER, i), .pass = PASS_HEADER},
                    &references);
        if (!error)
            error = layers_grant(&cat->layers, i, &references);
        reference_list_end(&references);
        views_end(&cat->views);
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
    views_end(&cat->views);
    layers_end(&cat->layers);
    option_sets_end(&cat->sets);
    free(cat->options);
}

static int compute(struct cat *cat, const struct place *place);

static int compute_status(struct cat *cat, const struct place *place)
{
    struct view *view = views_get(&cat->views, place->view);
    const struct layer *layer = &cat->layers.items[view_layer(place->view)];
    struct status status = {.image = layer->path,
                            .options = cat->options,
                            .file_size = (uint64_t)layer->st.st_size,
                            .disk_size = (uint64_t)layer->st.st_blocks * 512,
                            .generation = 1,
                            .fd = layer->fd};
    struct keeper keeper = {.view = view};
    struct text text = {.bytes = NULL};
    int error = view ? 0 : -ENOMEM;

    if (!error && place->node->after)
        error = compute(
            cat, &(struct place){.view = place->view, .node = node_by_path(place->node->after)});
    if (!error) {
        status.problems = &view->problems;
        status.bytes_read = view_bytes_read(view);
        error = place->node->show(&status, place, &text);
        error = keep_file(&keeper, place, error ? error : text.error, &text);
    }
    text_free(&text);
    return error;
}

static int compute(struct cat *cat, const struct place *place)
{
    const struct task task = place_task(place);

    if (place->node->show)
        return compute_status(cat, place);
    return views_result(&cat->views, place) ? 0 : run(cat, &task, NULL);
}

int cat_file(struct cat *cat, const struct place *place, const struct result **result)
{
    int error = node_is_directory(place->node) || !view_exists(place->view, &cat->layers)
                    ? -ENOENT
                    : compute(cat, place);

    if (error)
        return error;
    *result = views_result(&cat->views, place);
    return *result ? (*result)->error : -ENOENT;
}

const struct text *cat_problems(const struct cat *cat, const struct place *place)
{
    static const struct text none;
    const struct view *view = views_find(&cat->views, place->view);

    return view ? &view->problems : &none;
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

/* Prints the file of a node; of a numbered node, all files. */
static void print_node(struct cat *cat, const struct node *node, uint32_t view, FILE *out)
{
    struct place place = {.view = view, .node = node};
    const struct view *known = views_find(&cat->views, view);
    uint32_t count = 1;

    if (node->is_numbered)
        count = known ? results_count(&known->results, node_counter(node)) : 0;
    for (; place.number < count; place.number++) {
        const struct result *result = NULL;
        int error = cat_file(cat, &place, &result);

        if (error != -ENOENT)
            print(out, &place, error, result);
    }
}

/* Prints the files of one pass; PASS_NONE: those that need no pass. */
static void print_pass(struct cat *cat, enum pass_id pass, uint32_t view, FILE *out)
{
    for (const struct node *n = nodes; n->path; n++)
        if (n->pass == pass && !node_is_directory(n) && !(view && n->only_whole))
            print_node(cat, n, view, out);
}

/* Files that need no pass come last: some are about the passes. */
static void print_view(struct cat *cat, uint32_t view, FILE *out)
{
    for (enum pass_id pass = PASS_NONE + 1; pass < PASSES; pass++)
        print_pass(cat, pass, view, out);
    print_pass(cat, PASS_NONE, view, out);
}

int cat_all(struct cat *cat, FILE *out)
{
    print_view(cat, view_named(VIEW_WHOLE, 0), out);
    for (uint32_t i = 0; i < view_count(VIEW_LAYER, &cat->layers); i++)
        print_view(cat, view_named(VIEW_LAYER, i), out);
    return ferror(out) ? -EIO : 0;
}
