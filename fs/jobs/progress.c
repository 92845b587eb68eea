// SPDX-License-Identifier: Apache-2.0
/* Jobs as status/ shows them: progress, readers, costs. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats/escape.h"
#include "fs/tree/clock.h"

void progress_add_name(struct text *text, const struct jobs *jobs, const struct task *task)
{
    const struct option_set *set = option_sets_get(jobs->config.sets, task->set);
    char name[4 * OPTION_NAME_BYTES], path[64];

    view_path(task->view, path, sizeof path);
    text_add(text, "%s%s", path, *path ? "/" : "");
    if (!set) {
        text_add(text, "%s\n", passes[task->pass].name);
        return;
    }
    escape_text(name, sizeof name, set->name, strlen(set->name));
    text_add(text, "%s/%s\n", set->directory->path, name);
}

void progress_add(struct text *text, const struct jobs *jobs)
{
    for (const struct job *job = jobs->all; job; job = job->next) {
        double done = (double)job->done, total = (double)job->total;
        double seconds = (double)(now_ms() - job->started) / 1000;

        if (job->total)
            text_add(text, "%" PRIu64 " %" PRIu64 " %.0f ", job->done, job->total,
                     100 * done / total);
        else
            text_add(text, "- - - ");
        if (job->done)
            text_add(text, "%.0f ", seconds * (total - done) / done);
        else
            text_add(text, "- ");
        progress_add_name(text, jobs, &job->task);
    }
}

static void add_readers(struct text *text, const struct waiter *waiters)
{
    const char *before = "";

    for (const struct waiter *w = waiters; w; w = w->next) {
        text_add(text, w->pid ? "%s%d" : "%s?", before, (int)w->pid);
        before = ",";
    }
    text_add(text, waiters ? " " : "- ");
}

void progress_add_waiting(struct text *text, const struct jobs *jobs)
{
    for (const struct job *job = jobs->all; job; job = job->next) {
        if (job->state != JOB_QUEUED)
            text_add(text, "running %" PRId64 " ", (now_ms() - job->started) / 1000);
        else
            text_add(text, "waiting - ");
        add_readers(text, job->waiters);
        progress_add_name(text, jobs, &job->task);
    }
}

static void add_costs(struct text *text, const struct jobs *jobs, const struct view *view)
{
    for (enum pass_id pass = PASS_NONE; pass < PASSES; pass++) {
        const struct pass_cost *cost = &view->costs[pass];

        if (!cost->runs)
            continue;
        text_add(text, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %.3f ", cost->runs, cost->bytes,
                 cost->reads, (double)cost->ms / 1000);
        progress_add_name(text, jobs, &(struct task){.view = view->name, .pass = pass});
    }
}

void progress_add_done(struct text *text, const struct jobs *jobs, const struct views *views)
{
    for (size_t i = 0; i < views->count; i++)
        add_costs(text, jobs, views->items[i]);
}

void progress_show(struct bar *bar, const struct jobs *jobs)
{
    const struct job *job = jobs->all;
    struct text name = {.bytes = NULL};

    while (job && !job->total)
        job = job->next;
    if (!job) {
        bar_clear(bar);
        return;
    }
    progress_add_name(&name, jobs, &job->task);
    if (name.length > 0) {
        name.bytes[name.length - 1] = '\0'; /* its newline */
        bar_show(bar, name.bytes, job->done, job->total, job->started);
    }
    text_free(&name);
}
