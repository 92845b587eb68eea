/* SPDX-License-Identifier: Apache-2.0 */
/* Opening of image files, read-only, and what is known of open ones. */
#ifndef DETECT_FILES_IMAGE_FILE_H
#define DETECT_FILES_IMAGE_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * Opens the file at path read-only and sets *st. The type is checked first: open() waits for a
 * FIFO, and may have side effects on a device. block_devices: these are allowed. Returns a
 * descriptor or -errno: EISDIR, ENOTBLK (a block device, which is not allowed), ENODEV (neither a
 * regular file nor a block device), or open's.
 */
int image_file_open(const char *path, bool block_devices, struct stat *st);

/* The same for a descriptor that was opened with O_PATH. Closes it in any case. */
int image_file_reopen(int o_path_fd, bool block_devices, struct stat *st);

/* The empty path of statx(2) for a descriptor. Sandboxes compare its address, not the string. */
extern const char image_file_no_path[];

/* fstat(2), with the size of a block device in st_size. Returns 0 or -errno. May wait for the file
 * system. */
int image_file_stat(int fd, struct stat *st);

/* The same from what the kernel has cached: never waits for another machine or process. */
int image_file_known_stat(int fd, struct stat *st);

/* Whether size or times, by image_file_known_stat(), differ from *st. Then sets *st. */
bool image_file_has_changed(int fd, struct stat *st);

/* Whether both are the same file. */
bool image_file_is_same(const struct stat *a, const struct stat *b);

/* Properties of a file system, as flags. */
enum storage {
    STORAGE_REMOTE = 1,   /* changes are seen only by asking another machine or process */
    STORAGE_ONE_USER = 2, /* it answers only the user who mounted it (FUSE) */
    STORAGE_ANY = STORAGE_REMOTE | STORAGE_ONE_USER,
};

/* Returns the flags of the file's file system. May wait for it. */
unsigned image_file_storage(int fd);

/* Returns the message for an error of image_file_open(). */
const char *image_file_error(int error);

/*
 * Returns what qemu processes do with the file, by the locks that they hold: "write", "read" or
 * "no" (qemu's block/file-posix.c locks a byte for each permission in use). Takes no lock.
 */
const char *image_file_use(int fd);

#endif
