// SPDX-License-Identifier: Apache-2.0
/* Jobs that fail: why, in words; and when their pass is not tried again. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "fs/tree/clock.h"
#include "list.h"

/* What tells a job from those of its pass that are given up by themselves. */
static const char *kind_of(const struct job *job)
{
    return job->task.set ? " with options" : "";
}

void job_tell_failure(struct jobs *jobs, const struct job *job, const char *words)
{
    struct view *view = &jobs->views[job->task.view];
    struct text line = {.bytes = NULL};

    view_add_problems(view, &job->problems, VIEW_SAID_MAX);
    text_add(&line, "the %s job%s %s\n", pass_name(job->task.pass), kind_of(job), words);
    view_add_problems(view, &line, VIEW_PROBLEMS_MAX);
    text_free(&line);
}

static void tell_giving_up(struct view *view, const struct job *job)
{
    struct text line = {.bytes = NULL};

    text_add(
        &line,
        "the %s pass%s has failed %d times within a minute: it is not tried again until the image "
        "changes\n",
        pass_name(job->task.pass), kind_of(job), JOBS_FAILURES_MAX);
    view_add_problems(view, &line, VIEW_PROBLEMS_MAX);
    text_free(&line);
}

void job_note_failure(struct jobs *jobs, const struct job *job, const char *format, int number)
{
    struct view *view = &jobs->views[job->task.view];
    struct failures *f = &view->failures[job->task.pass][job->task.set != 0];
    char words[128];

    snprintf(words, sizeof words, format, number);
    job_tell_failure(jobs, job, words);
    if (job->started < f->at[0]) /* it ran when another failed: that may have one reason */
        return;
    memmove(f->at + 1, f->at, sizeof f->at - sizeof *f->at);
    f->at[0] = now_ms();
    f->given_up |=
        f->at[JOBS_FAILURES_MAX - 1] && f->at[0] - f->at[JOBS_FAILURES_MAX - 1] < JOBS_FAILURES_MS;
    if (f->given_up)
        tell_giving_up(view, job);
}

/* By the signal of the limit, which is of the job's sandbox, or another one. */
static void note_cpu_limit(struct jobs *jobs, const struct job *job)
{
    const char *format = job->sandbox.cpu_seconds
                             ? "took more than %d s of processor time (see -o cpu-limit)"
                             : "took more processor time than it may";

    job_note_failure(jobs, job, format, (int)job->sandbox.cpu_seconds);
}

/* By a signal. */
static void note_signal(struct jobs *jobs, const struct job *job, int number)
{
    if (number == SIGSYS)
        job_note_failure(jobs, job, "tried what the sandbox forbids, and was killed", 0);
    else if (number == SIGXCPU)
        note_cpu_limit(jobs, job);
    else
        job_note_failure(jobs, job, "was killed by signal %d", number);
}

void job_note_end(struct jobs *jobs, struct job *job)
{
    char words[SANDBOX_WORDS];

    if (WIFSIGNALED(job->status)) {
        note_signal(jobs, job, WTERMSIG(job->status));
    } else if (sandbox_tell_lack(&job->sandbox, words, sizeof words)) {
        text_add(&job->problems, "%s\n", words);
        job_note_failure(jobs, job, "does not run without it", 0);
    } else {
        job_note_failure(jobs, job, "failed with status %d", WEXITSTATUS(job->status));
    }
}
