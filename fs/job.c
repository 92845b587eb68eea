// SPDX-License-Identifier: Apache-2.0
/* A job: only reads the image, and only writes to its pipe. */
#include "job.h"

#include <string.h>

#include "passes.h"
#include "wire.h"

static int write_frame(int out, enum wire_frame_kind kind, uint32_t node, int error,
                       const void *bytes, size_t length)
{
    struct wire_frame frame = {kind, node, error, (uint32_t)length};
    int failed = wire_write(out, &frame, sizeof frame);

    return failed || !length ? failed : wire_write(out, bytes, length);
}

static int emit_file(void *context, const struct node *node, int error, const struct text *text)
{
    const int *out = context;

    return write_frame(*out, WIRE_FILE, (uint32_t)node_index(node), error, text->bytes,
                       error ? 0 : text->length);
}

int job_run(enum pass pass, int fd, const struct format_driver *given, int out)
{
    struct pass_report report;
    int error = pass_run(pass, fd, given, emit_file, &out, &report);

    if (!error)
        error = write_frame(out, WIRE_PROBLEMS, 0, 0, report.problems, strlen(report.problems));
    if (!error)
        error =
            write_frame(out, WIRE_BYTES_READ, 0, 0, &report.bytes_read, sizeof report.bytes_read);
    if (!error)
        error = write_frame(out, WIRE_END, 0, 0, NULL, 0);
    return error ? 1 : 0;
}
