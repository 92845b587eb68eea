// SPDX-License-Identifier: Apache-2.0
/* Runs a task: opens the view, runs the passes it needs and its own, and renders the files. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conversions.h"
#include "formats/checked.h"
#include "render.h"

/* A view that is open. */
struct session {
    struct image *img;
    struct findings findings;
};

static void session_close(struct session *s)
{
    if (!s)
        return;
    conversions_close(&s->findings);
    image_close(s->img);
    free(s);
}

/* Opens the file of a view and detects its format. An error of the image is in the findings; NULL
 * and *error: the file cannot be read at all. */
static struct session *session_open(uint32_t view, const struct layers *layers,
                                    const struct open_options *options,
                                    const struct pass_sink *sink, int *error)
{
    struct open_options o = view_options(view, layers, options);
    struct session *s = calloc(1, sizeof *s);
    struct findings *f = &s->findings;

    *error = s ? image_open(&s->img, layers->items[view_layer(view)].fd) : -ENOMEM;
    if (*error) {
        free(s);
        return NULL;
    }
    image_on_read(s->img, sink->read, sink->context);
    f->view = view;
    f->layers = layers;
    f->detect_error = f->open_error = detect(s->img, &o, &f->detection);
    if (f->detect_error)
        return s;
    f->open_error = disk_open(&f->disk, s->img, f->detection.driver, &o);
    chain_open(&f->chain, &f->disk, layers, view_layer(view), &o);
    return s;
}

static void run_passes(struct findings *f, unsigned set_of_passes, const struct pass_sink *sink)
{
    for (enum pass_id pass = PASS_NONE; pass < PASSES; pass++)
        if (set_of_passes & PASS_BIT(pass))
            passes[pass].run(f, sink);
}

static int emit_file(const struct findings *f, const struct place *place,
                     const struct pass_sink *sink)
{
    struct text text = {.bytes = NULL};
    int failed = place->node->render(f, place, &text);
    int error = sink->file(sink->context, place, failed ? failed : text.error, &text);

    text_free(&text);
    return error;
}

/* The number of entries of a numbered directory. */
static uint32_t count_of(const struct findings *f, const struct node *directory)
{
    return (uint32_t)min_u64(directory->count(f), NUMBERS_MAX);
}

/* Passes the sink what the task yields for a node: a count, or files. */
static int emit_node(const struct findings *f, const struct task *task, const struct node *node,
                     const struct pass_sink *sink)
{
    struct place place = {.view = task->view, .set = task->set, .node = node};
    uint32_t count = 1;
    int error = 0;

    if (task->view && node->only_whole)
        return 0;
    if (node->count && task_yields_headers(task))
        return sink->count(sink->context, &place, count_of(f, node));
    if (!node->render || !findings_yield(f, node))
        return 0;
    if (node->is_numbered)
        count = count_of(f, node_counter(node));
    for (; place.number < count && !error; place.number++)
        error = emit_file(f, &place, sink);
    return error;
}

static int emit_all(const struct findings *f, const struct task *task, const struct pass_sink *sink)
{
    bool has_references = sink->reference && task_yields_headers(task);
    int error = 0;

    for (const struct node *n = nodes; n->path && !error; n++)
        error = emit_node(f, task, n, sink);
    for (size_t i = 0; has_references && i < count_references(f) && !error; i++)
        error = sink->reference(sink->context, &f->disk.references[i]);
    return error;
}

/* Runs the passes over the whole image that a pass over another view needs. */
static struct session *run_whole(const struct pass *pass, const struct findings *of,
                                 const struct open_options *options, const struct pass_sink *sink,
                                 int *error)
{
    const struct pass_sink silent = {.context = sink->context, .read = sink->read};
    struct session *whole = session_open(0, of->layers, options, &silent, error);

    if (whole)
        run_passes(&whole->findings, passes_needed(pass->needs_whole), &silent);
    return whole;
}

static void write_report(struct pass_report *report, const struct session *s)
{
    snprintf(report->problems, sizeof report->problems, "%s", image_problems(s->img));
    report->bytes_read += image_bytes_read(s->img);
    report->reads += image_reads(s->img);
}

int pass_run(const struct pass *pass, const struct task *task, const struct option_set *set,
             const struct layers *layers, const struct open_options *options,
             const struct pass_sink *sink, struct pass_report *report)
{
    int error;
    struct session *whole = NULL, *s = session_open(task->view, layers, options, sink, &error);

    *report = (struct pass_report){.bytes_read = 0};
    if (!s)
        return error;
    s->findings.set = set;
    s->findings.yields = pass->yields;
    if (pass->needs_whole)
        whole = run_whole(pass, &s->findings, options, sink, &error);
    if (!error) {
        s->findings.whole = whole ? &whole->findings : NULL;
        run_passes(&s->findings, passes_needed(pass->needs), sink);
        pass->run(&s->findings, sink);
        error = emit_all(&s->findings, task, sink);
    }
    if (whole)
        write_report(report, whole);
    write_report(report, s);
    session_close(whole);
    session_close(s);
    return error;
}

int task_run(const struct task *task, const struct option_set *set, const struct layers *layers,
             const struct open_options *options, const struct pass_sink *sink,
             struct pass_report *report)
{
    return pass_run(&passes[task->pass], task, set, layers, options, sink, report);
}
