// SPDX-License-Identifier: Apache-2.0
/* How far the jobs are, a line each. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "formats/escape.h"

/* What the job computes: a pass, or the file whose name has options. */
static void add_name(struct text *text, const struct jobs *jobs, const struct task *task)
{
    const struct option_set *set = option_sets_get(jobs->sets, task->set);
    char name[4 * OPTION_NAME_BYTES];

    if (task->view)
        text_add(text, "layers/%u/", task->view - 1);
    if (!set) {
        text_add(text, "%s\n", pass_name(task->pass));
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
        add_name(text, jobs, &job->task);
    }
}
