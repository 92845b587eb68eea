// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes the front's parser of the frames that a job sends, which may have been taken over by the
 * image. An input is a byte that chooses the job's pass, and the bytes of its pipe. Whatever they
 * are, the job yields only files of its pass, and nothing exceeds its limit.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/image.h"
#include "fs/jobs/received.h"
#include "fs/tree/limits.h"

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "frames: %s\n", what);
    abort();
}

/* Takes all frames in the file. Returns the result of the last one. */
static int take_all(struct job *job, int fd)
{
    int taken = 0;

    require(lseek(fd, 0, SEEK_SET) == 0, "lseek");
    while (taken == 0 && frames_read(&job->frames, fd) > 0)
        taken = job_take_frames(job);
    return taken;
}

static void check_results(const struct job *job)
{
    for (const struct node *n = nodes; n->path; n++) {
        struct place place = {.node = n};

        if (!n->is_numbered && results_get(&job->view->results, &place))
            require(task_may_yield(&job->task, &place), n->path);
    }
    require(job->problem_bytes <= IMAGE_PROBLEMS_MAX, "problems are longer than an image's");
    require(job->done <= job->total, "more is done than there is");
    require(job->sandbox.failed <= SANDBOX_LAYERS, "there is no such layer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct view view = {.problems = {.bytes = NULL}};
    struct job job = {.fd = -1, .view = &view, .bytes_limit = FRAMES_BYTES_MAX};
    int taken;

    if (fd < 0) {
        nodes_begin();
        fd = memfd_create("frames", MFD_CLOEXEC);
    }
    if (!size)
        return 0;
    job.task.pass = (enum pass_id)(PASS_HEADER + data[0] % (PASSES - PASS_HEADER));
    require(ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1,
            "pwrite");
    taken = take_all(&job, fd);
    require(taken <= 1, "undocumented return value");
    require(job_publish(&job) == 0, "publish");
    check_results(&job);
    frames_end(&job.frames);
    text_free(&job.problems);
    results_forget(&job.results);
    results_forget(&view.results);
    text_free(&view.problems);
    return 0;
}
