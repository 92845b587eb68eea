// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes what the front takes from a job that may be anybody's. An input is a byte that chooses the
 * job's pass, and what comes through its pipe. Whatever that is, results are of files that such a
 * job tells of, and nothing is longer than it may be.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/jobs/jobs.h"
#include "fs/tree/passes.h"

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "frames: %s\n", what);
    abort();
}

/* Takes all that comes by fd. Returns what the last frame said. */
static int take_all(struct job *job, int fd)
{
    int taken = 0;

    require(lseek(fd, 0, SEEK_SET) == 0, "lseek");
    while (taken == 0 && frames_read(&job->frames, fd) > 0)
        taken = job_take_frames(job);
    return taken;
}

/* No file but those that such a task tells of. */
static void check_results(const struct job *job, const struct view *view)
{
    for (const struct node *n = nodes; n->path; n++) {
        struct place place = {.node = n};

        if (!n->is_numbered && results_get(&view->results, &place))
            require(task_may_tell(&job->task, &place), n->path);
    }
    require(job->problem_bytes <= IMAGE_PROBLEMS_MAX, "problems are longer than an image's");
    require(job->done <= job->total, "more is done than there is");
    require(job->sandbox.failed <= SANDBOX_LAYERS, "there is no such layer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static struct view view;
    struct job job = {.fd = -1, .room = FRAMES_BYTES_MAX};
    int taken;

    if (fd < 0) {
        nodes_begin();
        fd = memfd_create("frames", MFD_CLOEXEC);
    }
    if (!size)
        return 0;
    job.task.pass = (enum pass)(PASS_HEADER + data[0] % (PASSES - PASS_HEADER));
    require(ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1,
            "pwrite");
    taken = take_all(&job, fd);
    require(taken <= 1, "an answer that there is not");
    require(view_publish(&view, &job) == 0, "publish");
    check_results(&job, &view);
    frames_end(&job.frames);
    text_free(&job.problems);
    results_forget(&job.results);
    view_forget(&view);
    return 0;
}
