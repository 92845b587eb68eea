// SPDX-License-Identifier: Apache-2.0
/* Failed jobs: their lines in `problems`, and passes that are given up. */
#include "failures.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "fs/tree/clock.h"
#include "fs/tree/limits.h"

/* Jobs with options are counted apart from the other jobs of their pass. */
static const char *kind_of(const struct job *job)
{
    return job->task.set ? " with options" : "";
}

static struct pass_failures *failures_of(const struct job *job)
{
    return &job->view->failures[job->task.pass][job->task.set != 0];
}

bool job_is_given_up(const struct job *job)
{
    return failures_of(job)->given_up;
}

/* Adds a line about the job. Lines of jobs are limited to PROBLEMS_REPORTED_MAX, which leaves room
 * for these. */
static void add_line(struct job *job, const char *what, const char *words)
{
    struct text line = {.bytes = NULL};

    text_add(&line, "the %s %s%s %s\n", passes[job->task.pass].name, what, kind_of(job), words);
    view_add_problems(job->view, &line, PROBLEMS_MAX);
    text_free(&line);
}

void job_report_failure(struct job *job, const char *words)
{
    view_add_problems(job->view, &job->problems, PROBLEMS_REPORTED_MAX);
    add_line(job, "job", words);
}

static void report_giving_up(struct job *job)
{
    char words[128];

    snprintf(words, sizeof words,
             "has failed %d times within a minute: it is not tried again until the image changes",
             PASS_FAILURES_MAX);
    add_line(job, "pass", words);
}

void job_count_failure(struct job *job, const char *format, ...)
{
    struct pass_failures *f = failures_of(job);
    char words[128];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    job_report_failure(job, words);
    if (job->started < f->at[0]) /* another failed while it ran: the cause may be the same */
        return;
    memmove(f->at + 1, f->at, sizeof f->at - sizeof *f->at);
    f->at[0] = now_ms();
    f->given_up |=
        f->at[PASS_FAILURES_MAX - 1] && f->at[0] - f->at[PASS_FAILURES_MAX - 1] < PASS_FAILURES_MS;
    if (f->given_up)
        report_giving_up(job);
}

/* Killed by the limit of its sandbox, or by a lower one that the mount inherited. */
static void count_cpu_limit(struct job *job)
{
    if (job->sandbox.cpu_seconds)
        job_count_failure(job, "took more than %u s of processor time (see -o cpu-limit)",
                          (unsigned)job->sandbox.cpu_seconds);
    else
        job_count_failure(job, "exceeded its limit of processor time");
}

static void count_signal(struct job *job, int number)
{
    if (number == SIGSYS)
        job_count_failure(job, "was killed: it made a system call that the sandbox forbids");
    else if (number == SIGXCPU)
        count_cpu_limit(job);
    else
        job_count_failure(job, "was killed by signal %d", number);
}

void job_count_end(struct job *job)
{
    char words[SANDBOX_WORDS];

    if (WIFSIGNALED(job->status)) {
        count_signal(job, WTERMSIG(job->status));
    } else if (sandbox_describe_failure(&job->sandbox, words, sizeof words)) {
        text_add(&job->problems, "%s\n", words);
        job_count_failure(job, "cannot run without its sandbox");
    } else {
        job_count_failure(job, "failed with status %d", WEXITSTATUS(job->status));
    }
}
