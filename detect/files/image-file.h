/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are opened: the image that the user named, and those that it names and were granted.
 */
#ifndef DETECT_FILES_IMAGE_FILE_H
#define DETECT_FILES_IMAGE_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Opens the image at path read-only, once it is known that it may be opened at all: opening a FIFO
 * would wait, opening a device may do something. Fills *st. Returns a descriptor, or -errno:
 * EISDIR, ENOTBLK (a block device, and these are not allowed), ENODEV (neither file nor block
 * device), open's.
 */
int image_file_open(const char *path, bool block_devices, struct stat *st);

/*
 * The same for a file that place, opened with O_PATH, already is. It is closed in any case.
 */
int image_file_reopen(int place, bool block_devices, struct stat *st);

/* The path that is none: of a descriptor alone. It is this string, not another one, that sandboxes
 * let through. */
extern const char image_file_no_path[];

/* fstat(2), with the true size of a block device. Returns 0 or -errno. */
int image_file_stat(int fd, struct stat *st);

/* The same, as far as is known without asking another machine or program, which may take long. */
int image_file_known_stat(int fd, struct stat *st);

/* Whether the file is no longer as st says, as far as image_file_known_stat() knows; *st is then
 * what it is now. */
bool image_file_has_changed(int fd, struct stat *st);

/* What the file system of a file may do; more than one. */
enum storage {
    STORAGE_REMOTE = 1,   /* not know, without asking another machine or program, of a change */
    STORAGE_ONE_USER = 2, /* answer no user but its own (FUSE) */
    STORAGE_ANY = STORAGE_REMOTE | STORAGE_ONE_USER,
};

/* Asks that of the file system itself, which may take long. */
unsigned image_file_storage(int fd);

/* What such an error says, in words. */
const char *image_file_error(int error);

/*
 * Who has the file open, as far as qemu's locks tell, none of which are taken: "write", "read" or
 * "no" (QEMU, docs/devel/... block/file-posix: a byte for each permission that is in use).
 */
const char *image_file_use(int fd);

#endif
